"""FEAR with one thing changed, and how measures change with training, on made-up scores."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from fearlib import InputError, spearman
from fearlib.ranking import one_change
from fearlib.ranking.degradation import degradation_changes, with_start
from fearlib.ranking.one_change import chance_table, one_change_table, read_fears
from fearlib.sweeps.meaning import with_meaning

PRESET = {"cells": 1, "train_images": 5000, "threshold": 0.4, "stage2_epochs": 24, "first_free_block": None}
FEAR, LOWER = "fear(stage2_epochs=24)", "fear(threshold=0.3,stage2_epochs=24)"
INDICES = np.arange(14)
ACCURACY = 60.0 + INDICES


def rows_of(method, score, seed=0, train_images=5000):
    return pd.DataFrame(
        {"index": INDICES, "method": method, "score": score, "seed": seed, "test_accuracy": ACCURACY, "macs": 2e9,
         "end_test_accuracy": -ACCURACY, "outcome": "ok", "train_images": train_images, "space": "nats-tss"}
    )  # fmt: skip


def test_one_thing_changed():
    lower = np.where(INDICES < 4, math.nan, -ACCURACY)
    scores = pd.concat([rows_of(FEAR, ACCURACY, 1), rows_of(LOWER, lower), rows_of(FEAR, ACCURACY)])
    table = one_change_table(scores, FEAR, PRESET)
    assert table[["changed", "value"]].to_numpy().tolist() == [["nothing", 0], ["seed", 1], ["threshold", 0.3]]
    line = table.set_index("changed").loc["threshold"]
    assert (line.n, line.out, line.both, line.gmacs) == (10, 4, 10, 2.0)
    assert (line.spearman, line["of the preset"], line.difference) == pytest.approx((-1, 1, -2))
    assert (line["difference low"], line["difference high"]) == pytest.approx((-2, -2))
    assert (line["between the scores"], line["by test accuracy"]) == pytest.approx((-1, -1))


def test_any_setting_may_be_what_is_changed_and_only_one():
    batch = FEAR.replace(")", ",stage2_batch=512)")
    scores = pd.concat([rows_of(FEAR, ACCURACY), rows_of(batch, ACCURACY)])
    table = one_change_table(scores, FEAR, PRESET | {"stage2_batch": 256})
    assert table[["changed", "value"]].to_numpy().tolist() == [["nothing", 0], ["stage2_batch", 512]]
    images = one_change_table(
        pd.concat([scores, rows_of(FEAR, -ACCURACY, 0, 10_000)]), FEAR, PRESET | {"stage2_batch": 256}
    )
    line = images.set_index("changed").loc["train_images"]
    assert (line.value, line.spearman, line["of the preset"]) == (10_000, pytest.approx(-1), pytest.approx(1))
    two = LOWER.replace(")", ",stage2_batch=512)")
    with pytest.raises(InputError, match="changes threshold and stage2_batch: one thing at a time"):
        one_change_table(pd.concat([scores, rows_of(two, ACCURACY)]), FEAR, PRESET | {"stage2_batch": 256})


def test_chance_between_seeds():
    step = np.tile([1.0, -1.0], 7)
    scores = pd.concat([rows_of(FEAR, ACCURACY + step), rows_of(FEAR, ACCURACY - step, 1), rows_of(LOWER, step)])
    scores = pd.concat([scores, rows_of(FEAR, step, train_images=10_000)])
    (line,) = chance_table(scores, FEAR, 5000).to_dict("records")
    assert (line["seeds"], line["n"]) == (2, 14) and line["mean"] == "1.00 (1.00..1.00)"
    assert line["noise"] == pytest.approx(2**0.5) and line["spread"] == pytest.approx(ACCURACY.std(ddof=1))
    of_one = ACCURACY.var(ddof=1) + 2 / 2  # the variance of the means, and what averaging took of the noise
    assert line["reliability of one"] == pytest.approx(1 - 2 / of_one)
    assert line["seed 0"].startswith(f"{spearman(ACCURACY + step, ACCURACY):.2f} (")
    with pytest.raises(InputError, match="two seeds"):
        chance_table(rows_of(FEAR, ACCURACY), FEAR, 5000)
    others = chance_table(scores.assign(seed=scores.seed + 5), FEAR, 5000)  # whatever their numbers
    assert others["seed 5"].tolist() == [line["seed 0"]] and others["mean"].tolist() == [line["mean"]]


def test_fears_are_read_where_all_the_sweeps_have_been(monkeypatch):
    sweeps = {"a": rows_of(FEAR, ACCURACY), "b": rows_of(LOWER, ACCURACY)[:9], "twice": rows_of(FEAR, ACCURACY)}
    sweeps |= dict.fromkeys(
        ("more images", "another block", "other data", "another copy"), rows_of(FEAR, ACCURACY)
    )
    sweeps = {name: rows.drop(columns=["end_test_accuracy", "train_images"]) for name, rows in sweeps.items()}
    sweeps["a"] = pd.concat([sweeps["a"], sweeps["a"].assign(method="snip")])
    curves = pd.DataFrame({"index": [3, 3, 4], "method": FEAR, "seed": 0, "stage": [1, 2, 2], "epoch": 1.0})
    curves["val_top1"] = [0.1, 0.7, math.nan]
    monkeypatch.setattr(one_change, "read_rows", sweeps.get)
    monkeypatch.setattr(one_change, "read_curves", lambda folder: curves)
    images, blocks = {"more images": 10_000}, {"another block": 2}
    monkeypatch.setattr(
        one_change,
        "read_manifest",
        lambda folder: {
            "configuration": {
                "train_images": images.get(folder, 5000),
                "dataset": "cifar100" if folder == "other data" else "cifar10",
                "dataset_source": "another copy" if folder == "another copy" else "official files",
                "space": "nats-tss",
                "settings": {"preset": folder, "cells": 1, "first_free_block": blocks.get(folder)},
            }
        },
    )
    scores = read_fears(["a", "b"])
    assert set(scores["index"]) == set(range(9)) and set(scores.method) == {FEAR, LOWER}
    ends = scores[scores.end_test_accuracy.notna()]
    assert ends[["index", "method", "end_test_accuracy"]].to_numpy().tolist() == [[3, FEAR, 0.7]]
    assert set(read_fears(["a", "more images"]).train_images) == {5000, 10_000}
    with pytest.raises(InputError, match="another block differs from a in first_free_block: of a"):
        read_fears(["a", "another block"])
    with pytest.raises(InputError, match="other data differs from a in dataset: of a"):
        read_fears(["a", "other data"])
    with pytest.raises(InputError, match="another copy differs from a in dataset_source"):
        read_fears(["a", "another copy"])
    for twice in (["a", "twice"], ["a", "a"]):
        with pytest.raises(InputError, match="seed 0 on architecture 0: each trial must be in one alone"):
            read_fears(twice)


def moments(measure, **by_epoch):
    each = [
        rows_of(f"{measure}(epoch={epoch[1:]},epochs=2,schedule=cosine)", score)
        for epoch, score in by_epoch.items()
    ]
    return pd.concat(each)


def test_how_measures_change_with_training():
    unknown = np.where(INDICES == 5, math.nan, ACCURACY)
    rows = pd.concat(
        [
            moments("snip", _0=ACCURACY, _1=-ACCURACY, _2=unknown),
            moments("grasp", _0=-ACCURACY, _1=ACCURACY, _2=ACCURACY),
            moments("zen", _0=ACCURACY, _1=ACCURACY, _2=ACCURACY),
            moments("train_top1", _1=ACCURACY, _2=ACCURACY),
        ]
    )
    table = degradation_changes(rows).set_index(["measure", "epoch"])
    assert list(table.index) == [(measure, epoch) for measure in ("snip", "grasp") for epoch in (1, 2)]
    assert set(table.schedule) == {"cosine, 2 epochs"}
    assert table.change.to_list() == pytest.approx([-2, 0, 2, 2]) == table.low.to_list()
    assert table.verdict.to_list() == ["falls", "", "rises", "rises"]
    assert table.since.to_list() == pytest.approx([1, math.nan, 1, 1], nan_ok=True)
    assert table.n["snip"].to_list() == [14, 13]


def test_scores_are_paired_with_those_at_the_start():
    each = pd.DataFrame(
        {"index": [1, 1, 2, 2, 3], "epoch": [0.0, 1.0, 0.0, 1.0, 1.0], "score": [5.0, 6.0, 7.0, 8.0, 9.0],
         "test_accuracy": [90.0, 90.0, 80.0, 80.0, 70.0]}
    )  # fmt: skip
    assert with_start(each, 1.0).tolist() == [[6.0, 8.0], [5.0, 7.0], [90.0, 80.0]]
    assert with_start(each, 0.0, 1.0).tolist() == [[5.0, 7.0], [6.0, 8.0], [90.0, 80.0]]


def test_a_change_from_a_later_moment_is_between_the_two_and_nothing_before_it():
    rng = np.random.default_rng(5)
    accuracy = rng.normal(size=30)
    scores = {
        epoch: accuracy + noise * rng.normal(size=30) for epoch, noise in ((0, 3), (1, 0.1), (8, 9), (64, 5))
    }
    rows = with_meaning(pd.DataFrame([
        {"index": index, "seed": 0, "method": f"snip(epoch={epoch},epochs=64,schedule=cosine)", "outcome": "ok",
         "score": values[index], "test_accuracy": accuracy[index]}
        for epoch, values in scores.items() for index in range(30)
    ]))  # fmt: skip
    table = degradation_changes(rows, start=1).set_index("epoch")
    assert list(table.index) == [8, 64]
    for epoch in (8, 64):
        found = {each: spearmanr(scores[each], accuracy).statistic for each in (1, epoch)}
        assert table["at start"][epoch] == pytest.approx(found[1]) and table.after[epoch] == pytest.approx(
            found[epoch]
        )
        assert table.change[epoch] == pytest.approx(found[epoch] - found[1]) and table.verdict[epoch] == "falls"
        best = np.argsort(-accuracy)[:15]
        found = {each: spearmanr(scores[each][best], accuracy[best]).statistic for each in (1, epoch)}
        assert table["top 50% change"][epoch] == pytest.approx(found[epoch] - found[1])
        change, low, high = table.filter(like="top 50% change").loc[epoch]
        assert low < change < high
