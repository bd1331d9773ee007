"""Columns of scores become one: rank products, rank means and votes.

Every function takes a table, a row an architecture and a column a score, larger being better, and gives a score by
the table's index. It ranks the architectures among those of the table: among others an architecture has another
score. Equal scores share their average rank. A missing score, or an infinite one, ranks below every other. Raises
InputError if the table has no columns, or one that does not hold numbers.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.scores.registry import COMBINED

VOTERS, AZ_NAS = COMBINED["vote"], COMBINED["az_nas"]
DIGITS = 12  # that a sum of ranks keeps: equal products are equal, in whatever order they were summed


def ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """The rank within each column, of m architectures from 1, the worst, to m; a missing score has rank 1."""
    scores = _numbers(scores)
    return scores.rank(na_option="top").where(scores.notna(), 1.0)


def rank_product(scores: pd.DataFrame) -> pd.Series:
    """The sum over columns of log(rank / m): 0 for what is best in every column."""
    return np.log(ranks(scores) / len(scores)).sum(axis=1).round(DIGITS)


def rank_mean(scores: pd.DataFrame) -> pd.Series:
    """The mean over columns of rank / m: 1 for what is best in every column."""
    return (ranks(scores) / len(scores)).mean(axis=1).round(DIGITS)


def az_nas(scores: pd.DataFrame) -> pd.Series:
    """`rank_product` of the columns `AZ_NAS` (Lee & Ham, AZ-NAS, 2024). Raises InputError if one is missing."""
    return rank_product(_columns(scores, AZ_NAS))


def vote(scores: pd.DataFrame) -> pd.Series:
    """How many others an architecture beats in at least two of the columns `VOTERS` (Abdelfattah et al., 2021).

    Where neither of two beats the other, each has half. Raises InputError if a column is missing.
    """
    every = ranks(_columns(scores, VOTERS)).to_numpy()
    beaten = [((own > every).sum(axis=1) >= 2).sum() for own in every]
    not_above = [((own >= every).sum(axis=1) >= 2).sum() for own in every]  # beaten, equal, and itself
    return pd.Series(np.add(beaten, not_above) / 2 - 0.5, index=scores.index)


def _columns(scores: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    missing = [name for name in names if name not in scores]
    if missing:
        raise InputError(f"the table lacks {', '.join(missing)}: it has {', '.join(map(str, scores))}.")
    return scores[list(names)]


def _numbers(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores as floats, NaN for what is infinite."""
    if not scores.shape[1]:
        raise InputError("there is nothing to combine: the table has no columns.")
    try:
        numbers = scores.astype(float)
    except (TypeError, ValueError) as error:
        raise InputError(f"a column of scores must hold numbers: {error}.") from error
    return numbers.where(np.isfinite(numbers))
