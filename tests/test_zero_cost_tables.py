"""The tables about zero-cost measures, on made-up scores of which the answer is known."""

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fearlib import InputError, read_rows, spearman
from fearlib.benchmark.splits import VALIDATION
from fearlib.ranking.combinations import AZ_NAS
from fearlib.ranking.later import az_nas_forms, later_measures
from fearlib.ranking.tables import save_table
from fearlib.ranking.zero_cost import (
    beside_naslib,
    between_seeds,
    measures_beside,
    other_accuracies,
    published_comparison,
    validation_accuracies,
)

RESULTS = Path(__file__).parents[1] / "results"

INDICES = np.arange(20)
ACCURACY = 60.0 + INDICES


def rows_of(measure, score, seed=0):
    return pd.DataFrame(
        {"index": INDICES, "method": measure, "score": score, "seed": seed, "test_accuracy": ACCURACY,
         "seconds": 0.5, "macs": 3e9}
    )  # fmt: skip


def test_ours_beside_the_published():
    score = np.where(INDICES == 4, math.nan, ACCURACY)
    table = published_comparison(
        pd.concat([rows_of("synflow", score), rows_of("snip", -ACCURACY)]), {"synflow": 0.74}
    )
    snip, synflow = (table.set_index("measure").loc[name] for name in ("snip", "synflow"))
    assert (synflow.n, synflow.out, synflow.gmacs) == (19, 1, 3.0)
    assert synflow.difference == pytest.approx(1 - 0.74) and synflow.spearman == pytest.approx(1)
    assert snip.spearman == pytest.approx(-1) and math.isnan(snip.published) and math.isnan(snip.difference)


def test_ours_beside_naslib_s(tmp_path):
    """In another order, of some architectures, some of them without a score, under NASLib's names."""
    names = [f"arch{index}" for index in INDICES]
    rows = pd.concat([rows_of("jacob_cov", ACCURACY), rows_of("snip", ACCURACY), rows_of("zico", ACCURACY)])
    rows = rows.assign(arch=names * 3)
    theirs = pd.DataFrame({"arch": names, "jacov": -ACCURACY, "snip": ACCURACY % 7, "index": 3})
    theirs = theirs.astype({"snip": object})
    theirs.loc[5, "snip"] = "none"
    theirs.iloc[::-1].head(17).to_csv(tmp_path / "theirs.csv.gz", index=False)
    table = beside_naslib(rows, tmp_path / "theirs.csv.gz").set_index("measure")
    assert table.n.to_dict() == {"snip": 16, "jacob_cov": 17}
    both = [index for index in INDICES if index >= 3 and index != 5]
    expected = spearman(ACCURACY[both], ACCURACY[both] % 7)
    assert table.spearman.to_dict() == pytest.approx({"snip": expected, "jacob_cov": -1})
    for wrong, says in (
        (pd.concat([theirs, theirs]), "has 'arch0' twice"),
        (theirs.assign(arch="a").head(1), "has none of the architectures"),
    ):
        wrong.to_csv(tmp_path / "wrong.csv", index=False)
        with pytest.raises(InputError, match=says):
            beside_naslib(rows, tmp_path / "wrong.csv")


@pytest.mark.skipif("FEARLIB_NASLIB" not in os.environ, reason="FEARLIB_NASLIB does not name NASLib's scores")
def test_the_committed_comparison_with_naslib_is_made_again(tmp_path):
    rows = read_rows(RESULTS / "zero_cost_cifar10")
    table = beside_naslib(rows[rows.seed == 0], os.environ["FEARLIB_NASLIB"])
    save_table(table, tmp_path / "made", "")
    made, committed = (tmp_path / "made.csv"), (RESULTS / "naslib" / "zero_cost_cifar10.csv")
    assert made.read_bytes() == committed.read_bytes()


def test_noise_between_seeds_is_over_what_every_seed_scored():
    second = np.where(INDICES == 0, math.nan, -ACCURACY)
    third = ACCURACY**2
    both = [rows_of("snip", score, seed) for seed, score in enumerate((ACCURACY, second, third))]
    table = between_seeds(pd.concat([*both, rows_of("grasp", ACCURACY)]))
    (line,) = table.to_dict("records")
    assert (line["measure"], line["n"]) == ("snip", 19)
    assert (line["lowest of seeds"], line["highest"]) == pytest.approx((-1, 1))
    assert line["between seeds"] == pytest.approx((-1 + 1 - 1) / 3)
    assert line["mean score"] == pytest.approx(1)  # the squares outweigh
    assert between_seeds(rows_of("snip", ACCURACY)).empty


def test_scores_against_other_accuracies():
    wide = pd.DataFrame({"snip": ACCURACY, "cifar10": ACCURACY, "cifar100": -ACCURACY, "imagenet16_120": ACCURACY})
    published = {"cifar10": {"snip": 0.58}, "cifar100": {"snip": 0.63}, "imagenet16-120": {}}
    (line,) = other_accuracies(wide, published).to_dict("records")
    assert line["n"] == 20 and line["cifar100 (95%)"] == "-1.00 (-1.00..-1.00)"
    assert [line[f"published, on {name} images"] for name in ("cifar100", "imagenet16_120")] == ["0.63", ""]


def test_the_published_rest_on_validation_accuracies():
    validated = ACCURACY[::-1].copy()
    validated[0] = math.nan
    score = ACCURACY % 7
    wide = pd.DataFrame({"snip": score, "zen": score, "cifar10": ACCURACY, VALIDATION: validated})
    (line,) = validation_accuracies(wide, {"snip": 0.58}).to_dict("records")
    ours = spearman(score[1:], ACCURACY[1:])
    assert (line["n"], line["test"]) == (19, ours) and line["validation"] == pytest.approx(-ours)
    assert line["low"] <= -ours <= line["high"] and line["change"] == pytest.approx(-2 * ours)
    assert line["change low"] <= line["change"] <= line["change high"]
    assert line["published less ours"] == pytest.approx(0.58 + ours)


def test_measures_are_a_sweeps_own_or_those_of_full_size_networks_beside_it(tmp_path):
    """Of one seed, and those that all the architectures have."""
    for folder, preset in (("cifar10_compact", "compact"), ("cifar10_paper", "paper")):
        architectures = read_rows(RESULTS / folder)["index"].unique()[:5]
        rows = measures_beside(RESULTS / folder, architectures)
        assert set(rows["index"]) == set(architectures) and set(rows.preset) == {preset}
        assert {"synflow", "zico"} <= set(rows.method) and not rows.duplicated(["index", "method"]).any()
    assert (
        set(measures_beside(RESULTS / "cifar10_paper", [1, 2, 3]).method) == set()
    )  # not among the paper's 1,000
    shutil.copytree(RESULTS / "cifar10_paper", tmp_path / "cifar10_paper")
    assert measures_beside(tmp_path / "cifar10_paper", architectures).empty


def test_what_is_undefined_is_ranked_worst_or_left_out():
    """A perfect measure that is undefined for the best architecture, and for the worst."""
    accuracies = pd.DataFrame({"test": ACCURACY, "other": -ACCURACY})
    best = np.where(INDICES == 19, math.nan, ACCURACY)
    table = later_measures(pd.DataFrame({"meco": best, "swap": ACCURACY, "zico": 0.0}), accuracies, {"swap": 0.9})
    meco, swap = (table[table.accuracy == "test"].set_index("measure").loc[name] for name in ("meco", "swap"))
    moved = np.r_[1:20, 0]  # the best's place is the lowest
    assert meco.spearman == pytest.approx(spearman(moved, ACCURACY)) and meco.without == pytest.approx(1)
    assert (meco.n, meco.out, swap.out) == (20, 1, 0) and swap.published == 0.9 and math.isnan(meco.published)
    assert len(table) == 4 and table[table.accuracy == "other"].spearman.tolist()[1] == pytest.approx(-1)


def test_az_nas_in_forms_that_could_explain_what_users_report():
    """Its four parts agree, the trainability below 0, and the worst architecture has no part but macs."""
    scores = pd.DataFrame({name: ACCURACY - 100 * (name == "az_trainability") for name in AZ_NAS})
    scores.loc[0, list(AZ_NAS[:3])] = math.nan
    published = {"cifar10": {"az_nas": 0.91, "az_nas.reported": 0.75}}
    table = az_nas_forms(scores, pd.DataFrame({"cifar10": ACCURACY, "cifar100": -ACCURACY}), published)
    assert table[table.accuracy == "cifar100"][["published", "reported"]].isna().all(axis=None)
    table = table[table.accuracy == "cifar10"].set_index("form")
    assert set(table.published) == {0.91} and set(table.reported) == {0.75}
    assert table.n.to_dict() == dict.fromkeys(table.index, 20) | {"undefined left out": 19}
    log = np.log(np.r_[1:21] / 20)
    expected = {
        "undefined ranked worst": ACCURACY,
        "undefined left out": ACCURACY,
        # the trainability of 0 is the best of 20, and all others have one rank less
        "undefined counted as 0": [3 * log[0] + log[19], *(3 * log[1:] + log[:19])],
        "undefined ranked best": [3 * log[19] + log[0], *(3 * log[:19] + log[1:])],
        "macs alone": ACCURACY,
    }
    for form, score in expected.items():
        assert table.spearman[form] == pytest.approx(spearman(score, ACCURACY)), form
