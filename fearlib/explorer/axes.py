"""More axes for the explorer: the scores of another folder, and several methods as one."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from fearlib.errors import InputError
from fearlib.explorer.scores import TRUTH, axes_of
from fearlib.ranking.combinations import rank_mean, rank_product
from fearlib.ranking.estimate import estimate
from fearlib.ranking.so_far import RESAMPLES
from fearlib.ranking.statistics import spearman

COMBINATIONS = {"rank product": rank_product, "rank mean": rank_mean}


def score_axes(scores: pd.DataFrame) -> list[str]:
    """The axes that are scores, not accuracies."""
    return [axis for axis in axes_of(scores) if not axis.endswith(TRUTH)]


def beside(scores: pd.DataFrame, others: pd.DataFrame, name: str) -> pd.DataFrame:
    """`scores` with every axis of `others` as a column `NAME: AXIS`, for the architectures of either.

    Both as `score_table` makes them, of two folders. Raises InputError if these have no architecture in common.
    """
    if not set(zip(scores.index, scores.arch)) & set(zip(others.index, others.arch)):
        raise InputError(f"{name} has no architecture in common with this folder.")
    joined = scores.join(others[axes_of(others)].add_prefix(f"{name}: "), how="outer")
    return joined.assign(arch=joined.arch.fillna(others.arch))


def with_combination(scores: pd.DataFrame, methods: Sequence[str], how: str) -> pd.DataFrame:
    """`scores` with one column more, of `methods` combined as one of `COMBINATIONS`, and named so.

    Among the architectures to which one of them gives a score; a score that is missing ranks below the others.
    """
    some = scores[list(methods)].dropna(how="all")
    return scores.assign(**{f"{how} of {', '.join(methods)}": COMBINATIONS[how](some)})


def same_methods(scores: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """How each method of both folders ranks in one and in the other, where it gives a score in both.

    Columns: `method`, `n` such architectures, `here` and `there`, its Spearman with the accuracy in `scores` and
    in `others`, and `together`, that between its two scores; as texts, with 95% bootstrap intervals from 200
    resamples.
    """
    lines, correlation = [], partial(estimate, spearman, resamples=RESAMPLES)
    for method in score_axes(scores):
        if method in score_axes(others):
            values = {
                "one": scores[method],
                "of one": scores[TRUTH],
                "two": others[method],
                "of two": others[TRUTH],
            }
            both = pd.DataFrame(values).dropna(subset=["one", "two"])
            lines.append({
                "method": method, "n": len(both),
                "here": str(correlation(both.one, both["of one"])),
                "there": str(correlation(both.two, both["of two"])),
                "together": str(correlation(both.one, both.two)),
            })  # fmt: skip
    return pd.DataFrame(lines, columns=["method", "n", "here", "there", "together"])
