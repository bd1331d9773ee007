"""Scores of learning curves, against sums written out."""

import math

import pandas as pd
import pytest

from fearlib import InputError
from fearlib.curves import cost_to_threshold, free_scores, tse, tse_ema

EPOCHS = pd.DataFrame(
    {"epoch": [1.0, 2.0, 3.0], "loss": [2.0, 1.5, 1.0], "train_top1": [0.2, 0.5, 0.4], "macs": [7, 7, 7]}
)


def test_sum_of_losses():
    assert tse(EPOCHS) == pytest.approx(-4.5)
    assert tse_ema(EPOCHS, decay=0.9) == pytest.approx(-(2.0 * 0.81 + 1.5 * 0.9 + 1.0))
    assert tse_ema(EPOCHS, decay=1) == tse(EPOCHS)


def test_parts_of_an_epoch_count_as_parts():
    """Two halves of an epoch with losses 3 and 1 are an epoch with a mean loss of 2."""
    halves = pd.DataFrame({"epoch": [0.5, 1.0, 2.0, 3.0], "loss": [3.0, 1.0, 1.5, 1.0]})
    assert tse(halves) == pytest.approx(tse(EPOCHS))


def test_cost_to_threshold_is_that_of_the_first_record_that_reaches_it():
    assert cost_to_threshold(EPOCHS, 0.4) == -14
    assert cost_to_threshold(EPOCHS, 0.2) == -7
    assert math.isnan(cost_to_threshold(EPOCHS, 0.6))


def test_free_scores_are_tidy_rows():
    row = {"index": 3, "method": "shortreg(epochs=3)", "seed": 0, "score": 0.5, "macs": 21, "test_accuracy": 90.0}
    rows = pd.DataFrame([row, row | {"method": "synflow"}])
    curves = pd.concat([EPOCHS.assign(index=3, seed=0, method=name) for name in ("shortreg(epochs=3)", "fear")])
    free = free_scores(rows, curves, threshold=0.5).set_index("method")
    assert free.score.to_dict() == {
        "tse of shortreg(epochs=3)": pytest.approx(-4.5),
        "tse_ema of shortreg(epochs=3)": tse_ema(EPOCHS),
        "macs_to_threshold of shortreg(epochs=3)": -14,
    }
    assert set(free.macs) == {21} and set(free.test_accuracy) == {90.0}
    with pytest.raises(InputError, match="no rows of shortreg"):
        free_scores(rows[1:], curves, threshold=0.5)
