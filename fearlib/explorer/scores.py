"""A sweep's rows as the explorer shows them: filtered, in order, and how any two scores agree."""

import functools
from typing import NamedTuple

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import common, top_indices, top_spearman
from fearlib.ranking.tables import method_order
from fearlib.sweeps.meaning import with_meaning
from fearlib.sweeps.rows import own_truth, with_finite_scores

TRUTH = "test accuracy (%)"
EVERY = "all"
OUTCOMES = (EVERY, "with a score", "without a score", "failed")
SHOWN = ("index", "arch", "method", "seed", "score", "test_accuracy", "seconds", "macs", "outcome")
_RESAMPLED = 1_000_000  # values that an interval draws, or 100 times all


def score_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line an architecture, by its index: `arch`, its string, `TRUTH`, and every method's score.

    Seeds are averaged and failed trials take no part, as in `fearlib.ranking_table`. NaN: no score, or no
    accuracy. Raises InputError if there is no score at all.
    """
    rows = with_finite_scores(with_meaning(rows))
    rows = rows[~rows.failed & (rows.method != own_truth(rows))]
    if rows.score.isna().all():
        raise InputError("there is nothing to explore yet: no trial has finished with a score.")
    by_architecture = rows.groupby("index")
    scores = rows.astype({"score": float}).groupby(["index", "method"]).score.mean().unstack()
    scores = scores[sorted(scores.columns, key=method_order)]
    accuracy = by_architecture.test_accuracy.mean().astype(float)
    return pd.concat([by_architecture.arch.first(), accuracy.rename(TRUTH), scores], axis="columns")


def axes_of(scores: pd.DataFrame) -> list[str]:
    """What of `score_table` can be drawn against each other: the methods, and the truth where it is known."""
    return [column for column in scores.columns[1:] if scores[column].notna().any()]


def filter_rows(
    rows: pd.DataFrame, method: str = EVERY, outcome: str = EVERY, text: str = "", sort: str = "index",
    descending: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """The rows of one method or `EVERY`, with one of `OUTCOMES`, whose architecture contains `text`, sorted.

    A `text` of digits alone is an index. NaN comes last.
    """
    rows, keep = with_finite_scores(with_meaning(rows)), np.ones(len(rows), dtype=bool)
    if method != EVERY:
        keep &= (rows.method == method).to_numpy(bool)
    if outcome != EVERY:
        failed, scored = rows.failed.to_numpy(bool), rows.score.notna().to_numpy()
        keep &= {OUTCOMES[1]: scored, OUTCOMES[2]: ~scored & ~failed, OUTCOMES[3]: failed}[outcome]
    if text.strip().isdecimal():
        keep &= (rows["index"] == int(text)).to_numpy(bool)
    elif text.strip():
        keep &= rows.arch.str.contains(text.strip(), regex=False).to_numpy(bool)
    return rows.loc[keep, list(SHOWN)].sort_values(sort, ascending=not descending, kind="stable")


class Agreement(NamedTuple):
    """How two columns of `score_table` agree within the top; see `agreement`."""

    n: int
    out: int
    spearman: float
    low: float
    high: float
    common: float
    resamples: int


def agreement(scores: pd.DataFrame, of: str, against: str, percent: float) -> Agreement:
    """How `of` ranks the top `percent` by `against`, both columns of `score_table`.

    `n` architectures of that top have a value of both, `out` have none of `of`; `spearman` is over the former,
    with its 95% percentile bootstrap interval `low` and `high` from that many `resamples`, 1,000 or for many
    architectures fewer; `common` is the share of the top that is among as many best by `of`. NaN where undefined.
    """
    values, truth = scores[of].to_numpy(float), scores[against].to_numpy(float)
    known = np.isfinite(truth)
    values, truth = values[known], truth[known]
    best = top_indices(truth, percent)
    n = int(np.isfinite(values[best]).sum())
    resamples = int(np.clip(_RESAMPLED // max(len(truth), 1), 100, 1000))
    statistic = functools.partial(top_spearman, percent=percent)
    found = estimate(statistic, values, truth, resamples=resamples).columns("spearman")
    shared = common(values, truth, percent)
    return Agreement(n, len(best) - n, **found, common=shared, resamples=resamples)


def ranks_of(scores: pd.DataFrame, index: int) -> pd.DataFrame:
    """An architecture's value and rank in the truth and under every method: `by`, `value`, `rank`, `of` how many.

    Rank 1 is the highest; equal values share their average rank. What has no value has no rank and does not count.
    """
    numbers = scores[axes_of(scores)]
    value, rank = (each.reindex([index]).iloc[0].to_numpy() for each in (numbers, numbers.rank(ascending=False)))
    return pd.DataFrame({"by": numbers.columns, "value": value, "rank": rank, "of": numbers.count().to_numpy()})


def first_axes(scores: pd.DataFrame) -> tuple[str, str]:
    """What to draw first, and against what: the first method against the truth, or against the last method."""
    methods = [column for column in axes_of(scores) if column != TRUTH]
    return methods[0], TRUTH if TRUTH in axes_of(scores) else methods[-1]
