"""Scores of learning curves, against sums written out."""

import math

import pandas as pd
import pytest

from fearlib import InputError, spearman
from fearlib.ranking.curves import (
    cost_to_threshold,
    free_scores,
    time_against_accuracy,
    times_to_threshold,
    tse,
    tse_ema,
)

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


def test_times_of_fear_are_sums_over_stage_1_of_those_that_reached_it():
    line = {"method": "fear", "seed": 2}
    rows = pd.DataFrame(
        [
            {"index": 4, "score": 0.7, "test_accuracy": 91.0, **line},
            {"index": 9, "score": math.nan, "test_accuracy": 55.0, **line},
            {"index": 4, "score": 1.0, "test_accuracy": 91.0, "method": "synflow", "seed": 2},
        ]
    )
    parts = [(4, 1, 0.5, 10), (4, 1, 1.0, 10), (4, 1, 1.5, 20), (4, 2, 1.0, 99), (9, 1, 1.0, 30), (9, 1, 2.0, 30)]
    curves = pd.DataFrame(
        [{"index": i, "stage": s, "epoch": e, "macs": m * 1e9, "seconds": m / 2, **line} for i, s, e, m in parts]
    )
    times = times_to_threshold(rows, curves.iloc[::-1], "fear", 0.5).set_index("index")
    assert times.loc[4, ["seed", "epochs", "seconds", "gmacs", "test_accuracy"]].to_list() == [2, 1.5, 20, 40, 91]
    assert times.loc[9, ["epochs", "seconds", "gmacs"]].isna().all() and times.test_accuracy[9] == 55
    with pytest.raises(InputError, match="no rows of 'fear\\(threshold=0.5\\)'"):
        times_to_threshold(rows, curves, "fear(threshold=0.5)", 0.5)


def test_times_of_regular_training_are_those_of_the_first_epoch_that_reached_it():
    row = {"index": 3, "method": "full", "seed": 0, "score": 0.5, "test_accuracy": 50.0}
    rows = pd.DataFrame([row, row | {"seed": 1}])
    trained = EPOCHS.assign(index=3, method="full", stage=1, seconds=[1.0, 2.0, 4.0])
    curves = pd.concat([trained.assign(seed=0), trained.assign(seed=1, train_top1=[0.2, 0.4, 0.4])])
    times = times_to_threshold(rows, curves, "full", 0.5).set_index("seed")
    assert times.loc[0, ["epochs", "seconds", "gmacs", "test_accuracy"]].to_list() == [2, 3, 14e-9, 50]
    assert times.loc[1, ["epochs", "seconds", "gmacs"]].isna().all()
    with pytest.raises(InputError, match="threshold is 40: it is a share"):
        times_to_threshold(rows, curves, "full", 40)


def test_networks_that_never_reach_the_threshold_are_the_slowest():
    table = pd.DataFrame(
        {"epochs": [1.0, 2.0, 3.0, math.nan, math.nan], "test_accuracy": [90.0, 80.0, 85.0, 20.0, 10.0]}
    )
    (line,) = time_against_accuracy({"a sweep": table}).to_dict("records")
    assert (line["source"], line["cost"], line["reached"], line["never"]) == ("a sweep", "epochs", 3, 2)
    assert (line["accuracy"], line["of the never"]) == (85.0, 15.0)
    assert line["Spearman (95%)"].startswith("-0.50 (")
    expected = spearman([1, 2, 3, 4, 4], table.test_accuracy)
    assert line["with never (95%)"].startswith(f"{expected:.2f} (") and expected < -0.8
    assert line["better half (95%)"] == "–"  # two networks
