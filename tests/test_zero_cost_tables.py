"""The tables about zero-cost measures, on made-up scores of which the answer is known."""

import math

import numpy as np
import pandas as pd
import pytest

from fearlib import spearman
from fearlib.ranking.zero_cost import (
    VALIDATION,
    between_seeds,
    other_accuracies,
    published_comparison,
    validation_accuracies,
)

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
