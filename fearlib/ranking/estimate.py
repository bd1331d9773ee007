"""A statistic with its interval: computed, put into a table's line, and printed, in one way."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fearlib.ranking.bootstrap import bootstrap_interval


@dataclass(frozen=True)
class Estimate:
    """A statistic's `value`, its 95% interval `low`..`high`, and the `n` entries that it rests on.

    Prints as `0.87 (0.81..0.91)`, or `–` without a value; a format is of each of the three: `f"{estimate:+.3f}"`.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self}"

    def __format__(self, form: str) -> str:
        if math.isnan(self.value):
            return "–"
        form = form or ".2f"
        return f"{self.value:{form}} ({self.low:{form}}..{self.high:{form}})"

    def columns(self, name: str, prefix: str = "") -> dict[str, float]:
        """For a line of a table: the value by `name`, the interval as `low` and `high` after the `prefix`."""
        return {name: self.value, f"{prefix}low": self.low, f"{prefix}high": self.high}

    @classmethod
    def of(cls, line: Mapping, name: str, prefix: str = "") -> "Estimate":
        """What `columns` put into a line of a table that also counts its entries as `n`."""
        return cls(line[name], line[f"{prefix}low"], line[f"{prefix}high"], line["n"])


def texts(table: pd.DataFrame, name: str, prefix: str = "", form: str = ".2f") -> list[str]:
    """The estimates that `Estimate.columns` put into a table, a text a line."""
    return [f"{Estimate.of(line, name, prefix):{form}}" for line in table.to_dict("records")]


def estimate(
    statistic: Callable[..., float], *arrays: ArrayLike, resamples: int = 1000, reflected: bool = False
) -> Estimate:
    """`statistic(*arrays)` with the 95% interval of `bootstrap_interval`, whose arguments these are.

    `n` counts the entries that are finite in every array. Raises InputError as `bootstrap_interval` does.
    """
    low, high = bootstrap_interval(statistic, *arrays, resamples=resamples, reflected=reflected)
    known = np.isfinite(np.asarray(arrays, dtype=float)).all(axis=0)
    return Estimate(statistic(*arrays), low, high, int(known.sum()))
