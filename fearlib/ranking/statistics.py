"""Scores become statistics: rank correlation, the top x%, cost against quality.

Every function takes 1-d arrays (lists, pandas Series) of one length, one entry an architecture or a setting,
matched by position: the index of a Series plays no part. Arrays of another shape, of unequal length or without
numbers raise InputError. Larger scores, accuracies and values are better. NaN means "not known": such an entry
is left out as each function says. An infinite score or accuracy is not known either; an infinite cost is the
largest.
"""

import math
from numbers import Real

import numpy as np
import scipy  # loads its `stats`, which takes a second, when they are first used
from numpy.typing import ArrayLike

from fearlib.errors import InputError, is_number
from fearlib.ranking.arrays import exact_percent, finite_or_nan, vectors, without_nan


def spearman(scores: ArrayLike, accuracy: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's correlation of the ranks, tied values sharing their average rank.

    Pairs with a NaN are dropped. NaN if fewer than three pairs are left, because the ranks of two can only give
    -1 or 1 whatever the data, or if the scores or the accuracies left are all equal.
    """
    scores, accuracy = without_nan(*finite_or_nan(scores, accuracy))
    if _has_no_correlation(scores, accuracy):
        return math.nan
    return float(np.corrcoef(scipy.stats.rankdata(scores), scipy.stats.rankdata(accuracy))[0, 1])


def spearman_difference(scores: ArrayLike, others: ArrayLike, accuracy: ArrayLike) -> float:
    """`spearman` of the scores less that of the others, over the entries that have both scores and an accuracy."""
    scores, others, accuracy = without_nan(*finite_or_nan(scores, others, accuracy))
    return spearman(scores, accuracy) - spearman(others, accuracy)


def kendall(scores: ArrayLike, accuracy: ArrayLike) -> float:
    """Kendall's tau-b: concordant less discordant pairs, corrected for ties. NaN where `spearman` is NaN."""
    scores, accuracy = without_nan(*finite_or_nan(scores, accuracy))
    if _has_no_correlation(scores, accuracy):
        return math.nan
    return float(scipy.stats.kendalltau(scores, accuracy, variant="b").statistic)


def top_indices(accuracy: ArrayLike, percent: Real) -> np.ndarray:
    """Positions of the n = floor(percent% of N) largest accuracies, best first, of equal ones the earlier first.

    N counts the accuracies that are not NaN. The floor is that of the decimal number as written: 29% of 100 is
    29 and 0.3% of 1000 is 3. Raises InputError unless 0 <= percent <= 100.
    """
    (accuracy,) = finite_or_nan(accuracy)
    known = np.count_nonzero(~np.isnan(accuracy))
    return _largest(accuracy, math.floor(exact_percent(percent) * known / 100))


def top_spearman(scores: ArrayLike, accuracy: ArrayLike, percent: Real) -> float:
    """`spearman` within the top `percent` by accuracy (see `top_indices`)."""
    scores, accuracy = finite_or_nan(scores, accuracy)
    best = top_indices(accuracy, percent)
    return spearman(scores[best], accuracy[best])


def top_spearman_difference(scores: ArrayLike, others: ArrayLike, accuracy: ArrayLike, percent: Real) -> float:
    """`spearman_difference` within the top `percent` by accuracy (see `top_indices`)."""
    scores, others, accuracy = finite_or_nan(scores, others, accuracy)
    best = top_indices(accuracy, percent)
    return spearman_difference(scores[best], others[best], accuracy[best])


def lead_over_best(*arrays: ArrayLike, percent: Real) -> float:
    """`top_spearman` of the first scores less the highest of the other scores; the last array are accuracies.

    All are finite. In a resample another may be the best: what is found best on the same data is no fixed rival.
    """
    *scores, accuracy = finite_or_nan(*arrays)
    best = top_indices(accuracy, percent)
    ranks = scipy.stats.rankdata(np.stack([*scores, accuracy])[:, best], axis=1)
    with np.errstate(invalid="ignore"):  # a constant has no correlation
        first, *others = np.corrcoef(ranks)[-1, :-1]
    return first - np.nanmax(others) if np.isfinite(others).any() else math.nan


def common(scores: ArrayLike, accuracy: ArrayLike, percent: Real) -> float:
    """Share of the n best by accuracy (see `top_indices`) that are also among the n best by score.

    Entries without an accuracy take no part. NaN scores are never among the best, so that with fewer than n
    scores the share falls short. Of equal scores the earlier count as better: the order of the entries must not
    itself follow the accuracy. NaN if n is 0.
    """
    scores, accuracy = finite_or_nan(scores, accuracy)
    scores, accuracy = scores[~np.isnan(accuracy)], accuracy[~np.isnan(accuracy)]
    best = top_indices(accuracy, percent)
    if best.size == 0:
        return math.nan
    return float(np.isin(best, _largest(scores, best.size)).mean())


def ndcg(scores: ArrayLike, accuracy: ArrayLike, percent: Real) -> float:
    """Normalised discounted cumulative gain of the n best by score (Järvelin & Kekäläinen, 2002), n as in
    `top_indices`.

    The gain of an entry is the share of entries that are worse by accuracy; at place i, from 1, it is divided by
    log2(i + 1), and the sum by what the n best by accuracy would give: 1 is best. Entries without an accuracy take
    no part, those without a score follow all others, and of equal scores the earlier is first: the order of the
    entries must not itself follow the accuracy. NaN if n is 0 or all accuracies are equal.
    """
    scores, accuracy = finite_or_nan(scores, accuracy)
    scores, accuracy = scores[~np.isnan(accuracy)], accuracy[~np.isnan(accuracy)]
    best = top_indices(accuracy, percent)
    gain = scipy.stats.rankdata(accuracy, method="min") - 1
    discount = 1 / np.log2(np.arange(best.size) + 2)
    most = float(gain[best] @ discount)
    chosen = np.argsort(-scores, kind="stable")[: best.size]  # NaN comes last
    return float(gain[chosen] @ discount) / most if most else math.nan


def average_cost(cost: ArrayLike, accuracy: ArrayLike, percent: Real) -> tuple[float, float]:
    """Mean cost within the top `percent` by accuracy, and its standard error, both in the unit of `cost`.

    NaN costs are dropped. The mean of no cost is NaN, and so is the standard error of fewer than two costs or
    of an infinite one.
    """
    cost, accuracy = vectors(cost, accuracy)
    (cost,) = without_nan(cost[top_indices(accuracy, percent)])
    mean = float(cost.mean()) if cost.size else math.nan
    if cost.size < 2 or not np.isfinite(cost).all():
        return mean, math.nan
    return mean, float(cost.std(ddof=1) / math.sqrt(cost.size))


def top_cost_ratio(cost: ArrayLike, other: ArrayLike, accuracy: ArrayLike, percent: Real) -> float:
    """Mean cost within the top `percent` by accuracy (see `top_indices`) over the mean of the other cost there.

    NaN costs are dropped. NaN where one of the two has none, or the other's mean is 0.
    """
    mean, others = (average_cost(each, accuracy, percent)[0] for each in (cost, other))
    return mean / others if others else math.nan


def pareto_front(cost: ArrayLike, value: ArrayLike) -> np.ndarray:
    """Positions of the points that no other point beats, cheapest first.

    A point is beaten by one that costs no more and is worth no less, and is better in one of the two. Exact
    duplicates do not beat each other: they stay together, the earlier first. A point with a NaN takes no part.
    """
    cost, value = vectors(cost, value)
    front = []
    for i in np.lexsort((-value, cost)):
        if np.isnan(cost[i]) or np.isnan(value[i]):
            continue
        last = front[-1] if front else None
        if last is None or value[i] > value[last] or (cost[i], value[i]) == (cost[last], value[last]):
            front.append(i)
    return np.array(front, dtype=int)


def nearest_pareto(cost: ArrayLike, value: ArrayLike, target_cost: float) -> int:
    """Position of the point on the Pareto front whose cost is nearest to `target_cost`, in log cost.

    Of two equally near the cheaper is taken, of duplicates the earlier. Raises InputError if a cost or
    `target_cost` is not positive, if `target_cost` is not finite, or if every point has a NaN.
    """
    cost, value = vectors(cost, value)
    if not is_number(target_cost) or not 0 < target_cost < math.inf:
        raise InputError(f"target cost {target_cost!r}: it must be a positive, finite number.")
    if (cost <= 0).any():
        raise InputError(f"cost {cost[cost <= 0][0]:g}: costs must be positive to be compared in log cost.")
    front = pareto_front(cost, value)
    if front.size == 0:
        raise InputError("the Pareto front is empty: at least one point must have a cost and a value.")
    ratio = np.maximum(cost[front] / target_cost, target_cost / cost[front])  # exp |log cost - log target|
    return int(front[ratio.argmin()])


def _has_no_correlation(x: np.ndarray, y: np.ndarray) -> bool:
    return x.size < 3 or (x == x[0]).all() or (y == y[0]).all()


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` largest values, or of all that are not NaN if these are fewer."""
    order = np.argsort(-values, kind="stable")  # NaN comes last
    return order[: min(count, np.count_nonzero(~np.isnan(values)))]
