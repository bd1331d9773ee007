"""FEAR against short training, on made-up rows of which the answer is known."""

import math

import numpy as np
import pandas as pd
import pytest

from fearlib import common, spearman
from fearlib.ranking import against_shortreg as against
from fearlib.ranking.tables import top_table, with_errors

FEAR, SHORT = "fear(stage2_epochs=2)", "shortreg(epochs=4)"
INDICES = np.arange(20)
ACCURACY = 60.0 + INDICES


def rows_of(method, score, seed=0, macs=1e9):
    return pd.DataFrame(
        {"index": INDICES, "method": method, "score": score, "seed": seed, "outcome": "ok", "macs": macs,
         "test_accuracy": ACCURACY, "seconds": 1.0, "space": "nats-tss", "dataset": "cifar10", "preset": "paper"}
    )  # fmt: skip


REACHED = np.where(INDICES < 2, math.nan, ACCURACY)
ROWS = pd.concat([rows_of(FEAR, REACHED), rows_of(SHORT, -ACCURACY), rows_of("snip", ACCURACY)])


def test_the_common_set_is_where_every_fear_gives_a_score(monkeypatch):
    other = rows_of("fear(stage2_epochs=4)", np.where(INDICES == 9, math.nan, ACCURACY))
    free = pd.concat([rows_of("synflow", ACCURACY, seed) for seed in (0, 1)])
    finished = pd.concat([ROWS, other])
    finished = finished[finished["index"] < 15]
    monkeypatch.setattr(against, "finished_rows", lambda folder, methods: finished[finished.method != methods])
    monkeypatch.setattr(against, "read_rows", lambda folder: free)
    rows, on_common = against.read_comparison("a sweep", zero_cost="measures")
    assert set(rows["index"]) == set(range(15)) and set(on_common["index"]) == set(range(15)) - {0, 1, 9}
    assert (rows[rows.method == "synflow"].seed == 0).all() and (rows.method == "synflow").sum() == 15
    assert set(against.read_comparison("a sweep", SHORT)[0].method) == {*finished.method} - {SHORT}


def test_the_nearest_short_training_over_both_sets():
    on_common = ROWS[ROWS["index"] >= 2]
    nearest = against.nearest_table(ROWS, top_table(on_common, against.TOPS, resamples=1))
    assert set(nearest.over) == {"the paper's form", "common set"} and set(nearest.setting) == {SHORT}
    whole = nearest[(nearest.top == 100) & (nearest.value == "spearman")]
    assert whole.ours.tolist() == pytest.approx([1, 1]) and whole.theirs.tolist() == pytest.approx([-1, -1])
    shown = against.shown_nearest(whole)
    assert shown["FEAR's"].tolist() == ["1.00", "1.00"] and shown["10^9 macs, FEAR"].tolist() == ["1", "1"]


def test_how_far_fear_is_ahead_of_trained_methods_alone():
    ahead = against.ahead_table(ROWS[ROWS["index"] >= 2])
    assert set(ahead.than) == {SHORT} and list(ahead.top) == list(against.TOPS)
    whole = ahead[ahead.top == 100].iloc[0]
    assert (whole.n, whole.difference) == (18, pytest.approx(2)) and whole.low <= 2 <= whole.high + 1e-9


def test_tops_as_texts():
    shown = against.shown_tops(top_table(rows_of(SHORT, ACCURACY), (100,), resamples=20))
    assert shown["Spearman (95%)"].tolist() == ["1.00 (1.00..1.00)"] and shown.common.tolist() == ["1.00"]
    assert shown["10^9 macs ± se"].tolist() == ["1.00 ± 0.00"]
    table = pd.DataFrame({"macs": [2.5e12], "macs se": [1e11]})
    assert with_errors(table, "macs", 1e12, 1) == ["2.5 ± 0.1"]


def test_training_beside_test_accuracy_as_the_score():
    curves = pd.DataFrame(
        {"index": INDICES, "method": FEAR, "seed": 0, "stage": 2, "train_top1": -ACCURACY, "val_top1": ACCURACY}
    )
    earlier = curves.assign(train_top1=0.0, val_top1=math.nan)
    rows = ROWS[ROWS["index"] < 12]
    table = against.training_or_test_accuracy(rows, pd.concat([earlier, curves])).set_index("top")
    assert list(table.n) == [6, 12] and set(table.FEAR) == {FEAR}
    assert table["training accuracy"][100] == pytest.approx(-1) and table["test accuracy"][100] == pytest.approx(1)
    assert table.difference[50] == pytest.approx(-2)
    assert against.training_or_test_accuracy(rows, earlier).empty


def test_short_training_of_the_benchmark():
    short = ACCURACY % 7
    table = against.benchmark_short_training(
        pd.DataFrame({"cifar10": ACCURACY, "cifar10_12ep": short, "cifar100": 1.0})
    )
    assert set(table.dataset) == {"cifar10"} and list(table.top) == list(against.TOPS)
    half = table.set_index("top").loc[50]
    assert half.n == 10 and half.spearman == spearman(short[10:], ACCURACY[10:])
    assert half.common == common(short, ACCURACY, 50)
