"""Settings of FEAR compared, on made-up scores of which the answer is known."""

import numpy as np
import pandas as pd
import pytest

from fearlib import Architecture, InputError, build_network, spearman
from fearlib.ranking import ablation
from fearlib.ranking.ablation import (
    Run,
    ablation_table,
    compare_freeze_points,
    compare_with_references,
    fear_settings,
    noise_of_two_seeds,
    read_runs,
)
from fearlib.spaces.registry import SPACES

PRESET = {
    "cells": 1, "channels": 4, "resolution": 16, "train_images": 100, "threshold": 0.4, "threshold_checks": 4,
    "stage2_epochs": 24, "stage2_batch": 256, "first_free_block": None, "precision": "float32",
}  # fmt: skip
INDEX = pd.RangeIndex(12, name="index")
ACCURACY = pd.Series(np.linspace(60, 71, 12), INDEX)


def drawn_of_nats(cells):
    return build_network(Architecture.from_index(5), 10, 4, cells)


def drawn_of_darts(cells):
    (genotype,) = SPACES["darts"].sample(1, 0)
    return SPACES["darts"].build(genotype, 10, 4, cells)


def run(score, seed=0, settings=PRESET, ends=None, of="cifar10, nats-tss"):
    rows = pd.DataFrame({"score": score, "test_accuracy": ACCURACY, "macs": 2e9}, INDEX)
    return Run("a sweep", of, seed, settings, rows, pd.Series(0.5, INDEX) if ends is None else ends)


def test_settings_are_the_labels_else_the_presets():
    names = ("threshold", "stage2_epochs", "cells")
    found = fear_settings("fear(threshold=0.3,stage2_epochs=6)", PRESET, names, "nats-tss")
    assert found == {"threshold": 0.3, "stage2_epochs": 6, "cells": 1}
    old = {key: value for key, value in PRESET.items() if key != "threshold_checks"}
    assert fear_settings("fear", old, ["threshold_checks"], "nats-tss") == {"threshold_checks": 1}


@pytest.mark.parametrize("lacking", ["threshold", "cells", "first_free_block"])
def test_settings_that_a_manifest_lacks_are_not_guessed(lacking):
    altered = {key: value for key, value in PRESET.items() if key != lacking}
    with pytest.raises(InputError, match=f"lack {lacking}: its manifest was altered"):
        fear_settings("fear", altered, ["threshold"], "nats-tss")


@pytest.mark.parametrize("cells", [1, 3, 6])
@pytest.mark.parametrize("space, build", [("nats-tss", drawn_of_nats), ("darts", drawn_of_darts)])
def test_the_freeze_point_is_that_of_the_space(cells, space, build):
    if space == "darts" and cells < 3:
        pytest.skip("a DARTS network has at least three cells")
    (found,) = fear_settings("fear", PRESET | {"cells": cells}, ["first_free_block"], space).values()
    assert found == build(cells).default_first_free_block


def test_where_fear_cuts_in_a_space_of_ones_own_is_not_known():
    with pytest.raises(
        InputError, match="where fear cuts networks of mine is not known: state its first_free_block"
    ):
        fear_settings("fear", PRESET, ["first_free_block"], "mine")
    assert fear_settings("fear(first_free_block=3)", PRESET, ["first_free_block"], "mine") == {
        "first_free_block": 3
    }


def test_fears_on_other_data_are_not_compared():
    runs = {"a": run(ACCURACY), "b": run(ACCURACY, of="cifar100, nats-tss")}
    with pytest.raises(InputError, match="of cifar10, nats-tss and of cifar100, nats-tss"):
        compare_with_references(runs, ["a"])


def test_stage_1_ends_where_it_looked_last(monkeypatch):
    """At the latest epoch's worth of images: records of 50, 50 and 50 of 100, all that the dataset has."""
    configuration = {"settings": PRESET | {"train_images": None}, "train_images": 100}
    configuration |= {"dataset": "cifar10", "space": "nats-tss"}
    trial = {"dataset": "cifar10", "index": 3, "method": "fear(stage2_epochs=24)", "seed": 1}
    rows = pd.DataFrame([trial | {"score": 0.7, "test_accuracy": 90.0, "macs": 7}])
    curve = [(0.5, 0.1), (1.0, 0.2), (1.5, 0.6)]
    lines = [trial | {"stage": 1, "epoch": epoch, "images": 50, "train_top1": top1} for epoch, top1 in curve]
    lines.append(lines[-1] | {"stage": 2, "epoch": 2.0, "train_top1": 0.9})
    monkeypatch.setattr(ablation, "read_rows", lambda folder: rows)
    monkeypatch.setattr(ablation, "read_curves", lambda folder: pd.DataFrame(lines))
    monkeypatch.setattr(ablation, "read_manifest", lambda folder: {"configuration": configuration})
    (name, found), *others = read_runs("results/long").items()
    assert name == "long: fear(stage2_epochs=24), seed 1" and not others
    assert found.ends.to_dict() == {3: pytest.approx((0.2 + 0.6) / 2)} and found.rows.score[3] == 0.7
    monkeypatch.setattr(ablation, "finished_rows", lambda folder, methods: rows[~rows.method.isin(methods)])
    assert not read_runs("results/long", [trial["method"]])


def test_the_gain_is_what_the_end_of_stage_1_hides():
    ends = pd.Series(np.random.default_rng(0).normal(size=12), INDEX)
    score = 0.01 * ACCURACY + ends
    score[11] = np.nan
    (line,) = ablation_table({"one": run(score, ends=ends)}).to_dict("records")
    assert (line["n"], line["out"], line["10^9 macs"]) == (11, 1, 2.0)
    assert line["gain: Spearman"] == pytest.approx(1) and line["Spearman"] == spearman(score, ACCURACY) < 1
    assert line["score ~ stage-1 end"] == spearman(score, ends)


def test_each_pair_is_compared_once_and_on_what_it_shares():
    few = run(ACCURACY.where(INDEX < 9))
    runs = {"a": run(ACCURACY), "b": run(-ACCURACY), "few": few}
    table = compare_with_references(runs, ["a", "b", "not run"])
    assert table[["one", "other"]].to_numpy().tolist() == [["a", "b"]]
    (line,) = table.to_dict("records")
    assert line["difference (95%)"] == "2.00 (2.00..2.00)" and line["between the two scores"] == pytest.approx(-1)
    assert line["mean difference of scores"] == pytest.approx(2 * ACCURACY.mean())


def test_freeze_points_are_compared_on_what_the_choice_had_not_seen():
    score = ACCURACY.where(INDEX >= 4, -ACCURACY)  # right on the last eight alone
    last_cell, block_2 = (PRESET | {"first_free_block": block} for block in (4, 2))
    pair = run(score, settings=last_cell), run(-ACCURACY, settings=block_2)
    table = compare_freeze_points(*pair, seen=[0, 1, 2, 3])
    assert list(table.n) == [12, 6, 8, 4]
    unseen = table[table.architectures == "not seen"]
    assert unseen["last cell free"].tolist() == pytest.approx([1, 1])
    assert unseen.difference.tolist() == pytest.approx([2, 2])
    assert table["last cell free"][0] == spearman(score, ACCURACY)
    with pytest.raises(InputError, match=r"train from blocks \[2, 4\] on, not from the last cell and block 2"):
        compare_freeze_points(*pair[::-1], seen=[])
    with pytest.raises(InputError, match="differ in more than the block from which stage 2 trains"):
        compare_freeze_points(pair[0], run(-ACCURACY, settings=block_2 | {"threshold": 0.5}), seen=[])


def test_noise_between_two_seeds():
    step = pd.Series(np.tile([0.3, -0.3], 6), INDEX)
    other = PRESET | {"cells": 2}
    runs = {"first": run(ACCURACY + step), "second": run(ACCURACY - step, 1), "else": run(ACCURACY, 1, other)}
    beside = (-ACCURACY).rename("synflow")
    (line,) = noise_of_two_seeds(runs, "first", beside).to_dict("records")
    assert line["seeds"] == "0, 1" and line["n"] == 12
    assert line["sd of the noise"] == pytest.approx((2 * step).std() / 2**0.5)
    share = (line["sd of the noise"] / (ACCURACY + step).std()) ** 2
    assert line["reliability"] == pytest.approx(1 - share)
    assert line["mean of both"] == "1.00 (1.00..1.00)" and line["synflow"] == "-1.00 (-1.00..-1.00)"
