"""FEAR against short training, on made-up rows of which the answer is known."""

import math

import numpy as np
import pandas as pd
import pytest

from fearlib import InputError, common, spearman
from fearlib.ranking import against_shortreg as against
from fearlib.ranking.tables import top_table, with_errors
from fearlib.sweeps.meaning import with_meaning

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
    finished = with_meaning(pd.concat([ROWS, other]))
    finished = finished[finished["index"] < 15]
    asked = []
    monkeypatch.setattr(against, "finished_rows", lambda folder, methods: finished[finished.method != methods])
    monkeypatch.setattr(
        against,
        "measures_beside",
        lambda folder, indices: asked.append(set(indices)) or ROWS[ROWS.method == "snip"][:0],
    )
    rows, on_common = against.read_comparison("a sweep")
    assert set(rows["index"]) == set(range(15)) and set(on_common["index"]) == set(range(15)) - {0, 1, 9}
    assert set(against.read_comparison("a sweep", SHORT)[0].method) == {*finished.method} - {SHORT} and not asked
    assert set(against.read_comparison("a sweep", "snip")[0].method) == {*finished.method} - {"snip"}
    assert asked == [set(range(15))]  # measures from elsewhere, where the sweep has none


def test_a_sweep_without_accuracies_is_refused(monkeypatch):
    unknown = with_meaning(ROWS.assign(test_accuracy=math.nan))
    monkeypatch.setattr(against, "finished_rows", lambda folder, methods: unknown)
    with pytest.raises(InputError, match="a sweep has no test accuracy to compare with"):
        against.read_comparison("a sweep")


LONG = rows_of("shortreg(epochs=8)", ACCURACY % 7, macs=9e9)
DEARER = pd.concat([rows_of(FEAR, REACHED, macs=1e9 * (1 + INDICES)), rows_of(SHORT, -ACCURACY, macs=8e9), LONG])


def test_lead_and_costs_are_beside_one_short_training_in_every_top():
    """Of the architectures that reached the threshold FEAR costs 11.5 on average: 9 is nearer than 8."""
    table = against.lead_table(DEARER, FEAR).set_index("top")
    assert list(table.index) == list(against.TOPS) and set(table.than) == {"shortreg(epochs=8)"}
    assert list(table.n) == [1, 3, 5, 7, 9, 18]
    best = INDICES[INDICES >= 11]
    assert table.other[50] == spearman(ACCURACY[best] % 7, ACCURACY[best]) and table.fear[50] == pytest.approx(1)
    assert table.lead[50] == pytest.approx(1 - table.other[50])
    assert table.ratio[50] == pytest.approx((best + 1).mean() / 9) and table.ratio[100] == pytest.approx(11.5 / 9)
    assert (table["ratio low"] <= table.ratio).all() and (table.ratio <= table["ratio high"]).all()
    assert table["ratio low"][100] < table.ratio[100] < table["ratio high"][100]
    shown = against.shown_lead(table.reset_index().assign(architectures="all")).iloc[-1]
    assert shown["lead (95%)"].startswith(f"{table.lead[100]:.2f} (") and shown["other is"] == "shortreg(epochs=8)"
    with pytest.raises(InputError, match=r"no architecture has a score of fear"):
        against.lead_table(DEARER.assign(score=DEARER.score.mask(DEARER.method == FEAR)), FEAR)


def test_t1_as_the_paper_has_it():
    """Short training is over all architectures, and the nearest on the front of each top."""
    published = {"fear.spearman.50": 0.76, "fear.seconds.50": 201.65, "shortreg.common_seconds.50": 239.41}
    table = against.papers_t1(DEARER, FEAR, published).set_index("top")
    line = table.loc[50]
    assert line.n == 9 and line["fear spearman"] == pytest.approx(1) and line["fear common"] == 1
    best = INDICES[INDICES >= 10]
    assert line["shortreg spearman"] == spearman(ACCURACY[best] % 7, ACCURACY[best])
    assert line["nearest in spearman"] == "shortreg(epochs=8)" and line["shortreg spearman gmacs"] == 9
    assert line["shortreg common"] == common(ACCURACY % 7, ACCURACY, 50)
    assert line["fear spearman gmacs"] == pytest.approx(np.mean(INDICES[INDICES >= 11] + 1))
    assert (line["fear spearman paper"], line["shortreg common seconds"]) == (0.76, 239.41)
    shown = against.shown_t1(table.reset_index()).set_index("top %").loc[50]
    assert shown["FEAR: spearman"] == "0.76 / 1.00" and shown["FEAR: cost (spearman)"] == "202 / 16"
    assert shown["nearest: cost (common)"] == "239 / 9" and shown["FEAR: common"] == "1.00"


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
    assert with_errors(pd.DataFrame({"macs": [2.5], "macs se": [0.104]}), "macs") == ["2.50 ± 0.10"]


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
