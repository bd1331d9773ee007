"""An estimate with its interval: against the statistics themselves, and as tables print it."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from fearlib import spearman, top_spearman
from fearlib.ranking.estimate import Estimate, estimate

RNG = np.random.default_rng(3)
ACCURACY = RNG.normal(size=40)
SCORES = ACCURACY + RNG.normal(size=40)


@pytest.mark.parametrize("statistic", [spearman, partial(top_spearman, percent=50)])
def test_an_estimate_is_the_statistic_within_its_interval(statistic):
    scores = np.where(np.arange(40) < 3, [math.nan, math.inf, *SCORES[2:]], SCORES)
    found = estimate(statistic, scores, ACCURACY, resamples=50)
    assert found.value == statistic(scores, ACCURACY) and found.n == 38
    assert found.low < found.value < found.high and found != estimate(statistic, scores, ACCURACY, resamples=51)


def test_arrays_are_matched_by_position_alone():
    shuffled = pd.Series(SCORES, index=range(40, 0, -1))
    assert estimate(spearman, shuffled, pd.Series(ACCURACY)) == estimate(spearman, SCORES, ACCURACY)


def test_it_prints_as_tables_do():
    assert (
        str(Estimate(0.8666, 0.8149, 0.9051, 95))
        == f"{Estimate(0.8666, 0.8149, 0.9051, 95)}"
        == "0.87 (0.81..0.91)"
    )
    assert f"{Estimate(0.5, -0.25, 1.0, 3):+.1f}" == "+0.5 (-0.2..+1.0)"
    assert str(estimate(spearman, [1.0, 2.0], [1.0, 2.0])) == "–"


def test_it_fills_a_line_of_a_table_in_order():
    found = Estimate(0.5, 0.25, 0.75, 9)
    assert list(found.columns("spearman").items()) == [("spearman", 0.5), ("low", 0.25), ("high", 0.75)]
    assert found.columns("top 50%", "top 50% ") == {"top 50%": 0.5, "top 50% low": 0.25, "top 50% high": 0.75}
    for prefix in ("", "top 50% "):
        assert Estimate.of(found.columns("value", prefix) | {"n": 9}, "value", prefix) == found
