"""How much of a number is chance, from architectures measured with several seeds."""

import math

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.ranking.statistics import spearman

_SIMULATIONS = 500  # of noise


def noise_of_seeds(values: pd.DataFrame) -> dict[str, float]:
    """The noise that the seed puts in an architecture's mean value, and the ceiling that it puts on correlations.

    `values` has the columns `index`, `seed` and `value`. Returns `architectures`, how many have a value, and
    `repeated`, how many two seeds or more; `noise`, the standard deviation of one seed's value about its
    architecture's, from the repeated ones; `spread`, that of the architectures' means; `reliability`, the share of
    the means' variance that is not noise, each being over its own number of seeds; `ceiling`, its root: what a
    score without noise that ranks perfectly would on average correlate with the means (Spearman, 1904), in
    Pearson's sense; and `rank_ceiling`, the same in Spearman's: the mean over simulated noise on values spread as
    the means are, without their noise.
    What is not finite is no value. Raises InputError if no architecture has two seeds, fewer than three have any,
    or one has two values of one seed.
    """
    if values.duplicated(["index", "seed"]).any():
        raise InputError("an architecture has two values of one seed: give each seed one.")
    known = values[np.isfinite(values.value.astype(float))]
    each = known.groupby("index").value.agg(["mean", "var", "count"])
    repeated = each[each["count"] > 1]
    if repeated.empty or len(each) < 3:
        raise InputError(
            f"{len(each)} architectures have a value and {len(repeated)} of them two seeds: "
            "noise needs three, one of them with two seeds."
        )
    degrees = repeated["count"] - 1
    noise = float((repeated["var"] * degrees).sum() / degrees.sum())
    spread = float(each["mean"].var())
    reliability = 1 - noise * float((1 / each["count"]).mean()) / spread if spread > 0 else math.nan
    ceiling = math.sqrt(max(0.0, reliability))
    return {
        "architectures": len(each),
        "repeated": len(repeated),
        "noise": math.sqrt(noise),
        "spread": math.sqrt(spread),
        "reliability": reliability,
        "ceiling": ceiling,
        "rank_ceiling": _rank_ceiling(
            ceiling * each["mean"].to_numpy(), np.sqrt(noise / each["count"].to_numpy())
        ),
    }


def _rank_ceiling(values: np.ndarray, noise: np.ndarray) -> float:
    if not values.any():  # nothing but noise
        return 0.0
    rng = np.random.default_rng(0)
    return float(np.mean([spearman(values, rng.normal(values, noise)) for _ in range(_SIMULATIONS)]))
