"""Scores become statistics: rank correlation, the top x%, their uncertainty, cost against quality.

Every function takes 1-d arrays (lists, pandas Series) of one length, one entry an architecture or a setting,
matched by position: the index of a Series plays no part. Arrays of another shape, of unequal length or without
numbers raise InputError. Larger scores, accuracies and values are better. NaN means "not known": such an entry
is left out as each function says. An infinite score or accuracy is not known either; an infinite cost is the
largest.
"""

import functools
import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from numbers import Real

import numpy as np
import scipy  # loads its `stats`, which takes a second, when they are first used
from numpy.typing import ArrayLike

from fearlib.errors import InputError, check_whole, is_number


def spearman(scores: ArrayLike, accuracy: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's correlation of the ranks, tied values sharing their average rank.

    Pairs with a NaN are dropped. NaN if fewer than three pairs are left, because the ranks of two can only give
    -1 or 1 whatever the data, or if the scores or the accuracies left are all equal.
    """
    scores, accuracy = _without_nan(*_scores(scores, accuracy))
    if _has_no_correlation(scores, accuracy):
        return math.nan
    return float(np.corrcoef(scipy.stats.rankdata(scores), scipy.stats.rankdata(accuracy))[0, 1])


def spearman_difference(scores: ArrayLike, others: ArrayLike, accuracy: ArrayLike) -> float:
    """`spearman` of the scores less that of the others, over the entries that have both scores and an accuracy."""
    scores, others, accuracy = _without_nan(*_scores(scores, others, accuracy))
    return spearman(scores, accuracy) - spearman(others, accuracy)


def kendall(scores: ArrayLike, accuracy: ArrayLike) -> float:
    """Kendall's tau-b: concordant less discordant pairs, corrected for ties. NaN where `spearman` is NaN."""
    scores, accuracy = _without_nan(*_scores(scores, accuracy))
    if _has_no_correlation(scores, accuracy):
        return math.nan
    return float(scipy.stats.kendalltau(scores, accuracy, variant="b").statistic)


def top_indices(accuracy: ArrayLike, percent: Real) -> np.ndarray:
    """Positions of the n = floor(percent% of N) largest accuracies, best first, of equal ones the earlier first.

    N counts the accuracies that are not NaN. The floor is that of the decimal number as written: 29% of 100 is
    29 and 0.3% of 1000 is 3. Raises InputError unless 0 <= percent <= 100.
    """
    (accuracy,) = _scores(accuracy)
    known = np.count_nonzero(~np.isnan(accuracy))
    return _largest(accuracy, math.floor(_exact_percent(percent) * known / 100))


def top_spearman(scores: ArrayLike, accuracy: ArrayLike, percent: Real) -> float:
    """`spearman` within the top `percent` by accuracy (see `top_indices`)."""
    scores, accuracy = _scores(scores, accuracy)
    best = top_indices(accuracy, percent)
    return spearman(scores[best], accuracy[best])


def top_spearman_difference(scores: ArrayLike, others: ArrayLike, accuracy: ArrayLike, percent: Real) -> float:
    """`spearman_difference` within the top `percent` by accuracy (see `top_indices`)."""
    scores, others, accuracy = _scores(scores, others, accuracy)
    best = top_indices(accuracy, percent)
    return spearman_difference(scores[best], others[best], accuracy[best])


def lead_over_best(*arrays: ArrayLike, percent: Real) -> float:
    """`top_spearman` of the first scores less the highest of the other scores; the last array are accuracies.

    All are finite. In a resample another may be the best: what is found best on the same data is no fixed rival.
    """
    *scores, accuracy = _scores(*arrays)
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
    scores, accuracy = _scores(scores, accuracy)
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
    scores, accuracy = _scores(scores, accuracy)
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
    cost, accuracy = _vectors(cost, accuracy)
    (cost,) = _without_nan(cost[top_indices(accuracy, percent)])
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


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    reflected: bool = False,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic(*arrays)`, drawing entries with replacement (Efron, 1979).

    `statistic` takes as many 1-d arrays as are given and returns a number, as `spearman` does; one with a
    percent is passed as `functools.partial(common, percent=10)`, and its top is then found anew in every
    resample. The same arguments give the same interval.

    Resamples in which the statistic is NaN (for a correlation, those that drew a constant) do not count. The
    interval is (NaN, NaN) if the statistic is NaN on the arrays themselves, if there are fewer than two entries
    or if no resample counts. The percentile method keeps the bounds within the statistic's range; BCa would
    correct by the share of resamples below the estimate and by leaving out one entry at a time, which is
    undefined where a share is at its maximum of 1 or where what is left is constant.

    What is found among noise, as the best of several is, lies to one side in the data, and once more in the
    resamples: its interval is `reflected` at the estimate, the "basic" bootstrap (Davison & Hinkley, 1997), and
    reaches at least to the estimate.

    Raises InputError unless 0 < confidence < 1, `resamples` is a positive integer and `seed` one of at least 0.
    """
    arrays = _vectors(*arrays)
    if not is_number(confidence) or not 0 < confidence < 1:
        raise InputError(f"confidence {confidence!r}: it must lie between 0 and 1, both excluded.")
    check_whole(1, resamples=resamples)
    check_whole(0, seed=seed)
    if len(arrays[0]) < 2 or math.isnan(value := statistic(*arrays)):
        return math.nan, math.nan
    # With NaN accuracies the top would not have as many entries in every resample.
    by_rows = _by_rows(statistic) if np.isfinite(arrays[-1]).all() else None
    if by_rows:
        arrays = tuple(_order(values) for values in arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's own interval, unused here, complains of NaN among the resamples
        drawn = scipy.stats.bootstrap(
            arrays,
            by_rows or statistic,
            paired=True,
            vectorized=by_rows is not None,
            n_resamples=resamples,
            batch=100,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
        (drawn,) = _without_nan(drawn)
        if drawn.size == 0:
            return math.nan, math.nan
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    if reflected:
        low, high = min(2 * value - high, value), max(2 * value - low, value)
    return float(low), float(high)


def pareto_front(cost: ArrayLike, value: ArrayLike) -> np.ndarray:
    """Positions of the points that no other point beats, cheapest first.

    A point is beaten by one that costs no more and is worth no less, and is better in one of the two. Exact
    duplicates do not beat each other: they stay together, the earlier first. A point with a NaN takes no part.
    """
    cost, value = _vectors(cost, value)
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
    cost, value = _vectors(cost, value)
    if not is_number(target_cost) or not 0 < target_cost < math.inf:
        raise InputError(f"target cost {target_cost!r}: it must be a positive, finite number.")
    if (cost <= 0).any():
        raise InputError(f"cost {cost[cost <= 0][0]:g}: costs must be positive to be compared in log cost.")
    front = pareto_front(cost, value)
    if front.size == 0:
        raise InputError("the Pareto front is empty: at least one point must have a cost and a value.")
    ratio = np.maximum(cost[front] / target_cost, target_cost / cost[front])  # exp |log cost - log target|
    return int(front[ratio.argmin()])


def _vectors(*arrays: ArrayLike) -> tuple[np.ndarray, ...]:
    try:
        if any(map(_holds_texts, arrays)):
            raise ValueError
        vectors = tuple(np.asarray(array, dtype=float) for array in arrays)
    except (TypeError, ValueError) as error:
        raise InputError("expected 1-d arrays of numbers, but one is ragged or holds something else.") from error
    shapes = {vector.shape for vector in vectors}
    if len(shapes) != 1 or vectors[0].ndim != 1:
        given = ", ".join(str(vector.shape) for vector in vectors) or "none"
        raise InputError(f"expected 1-d arrays of one length, but the shapes given are: {given}.")
    return vectors


def _holds_texts(array: ArrayLike) -> bool:
    """Or complex numbers: what numpy would make numbers of."""
    array = np.asarray(array)
    each = array.ravel() if array.dtype == object else ()
    return array.dtype.kind in "USc" or any(isinstance(one, str | bytes | complex) for one in each)


def _scores(*arrays: ArrayLike) -> list[np.ndarray]:
    """The arrays with NaN for what is infinite: neither a score nor an accuracy."""
    return [np.where(np.isfinite(vector), vector, math.nan) for vector in _vectors(*arrays)]


def _without_nan(*arrays: ArrayLike) -> list[np.ndarray]:
    """The arrays without the positions at which any of them is NaN."""
    vectors = _vectors(*arrays)
    known = ~np.isnan(vectors).any(axis=0)
    return [vector[known] for vector in vectors]


def _has_no_correlation(x: np.ndarray, y: np.ndarray) -> bool:
    return x.size < 3 or (x == x[0]).all() or (y == y[0]).all()


def _order(values: np.ndarray) -> np.ndarray:
    """Each value's place among the distinct ones, from 0; -1 for NaN and infinities. It has the values' ranks."""
    places = np.unique(values, return_inverse=True)[1]
    return np.where(np.isfinite(values), places, -1).astype(np.min_scalar_type(-max(values.size, 1)))


def _spearman_by_rows(scores: np.ndarray, accuracy: np.ndarray, axis: int = -1) -> np.ndarray:
    """`spearman` in each row, of values given as `_order`."""
    known = (scores >= 0) & (accuracy >= 0)
    count = known.sum(axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing known, or a constant: no correlation
        x, y = _standard_ranks(scores, known, count), _standard_ranks(accuracy, known, count)
        correlation = (x * y).sum(axis=axis) / count
    return np.where(count >= 3, np.clip(correlation, -1, 1), np.nan)


def _standard_ranks(order: np.ndarray, known: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Ranks in each row of what is known, with mean 0 and deviation 1, and 0 for the rest; NaN for a constant.

    Found by counting, which takes a tenth of the time that sorting every row does.
    """
    rows, width = len(order), max(int(order.max()), 0) + 2
    places = np.where(known, order, -1) + (width * np.arange(rows)[:, None] + 1)  # in 64 bits
    counts = np.bincount(places.ravel(), minlength=rows * width).reshape(rows, width)
    counts[:, 0] = 0  # the place of what is not known
    rank_of_place = counts.cumsum(axis=1) - (counts - 1) / 2  # the average of the ranks that equal values share
    centred = np.where(known, rank_of_place.ravel()[places] - (count[:, None] + 1) / 2, 0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count[:, None])
    return centred / np.where(deviation > 0, deviation, np.nan)


def _difference_by_rows(
    scores: np.ndarray, others: np.ndarray, accuracy: np.ndarray, axis: int = -1
) -> np.ndarray:
    scores, others = np.where(others < 0, -1, scores), np.where(scores < 0, -1, others)
    return _spearman_by_rows(scores, accuracy, axis) - _spearman_by_rows(others, accuracy, axis)


def _top_by_rows(by_rows: Callable, *arrays: np.ndarray, percent: Real, axis: int = -1) -> np.ndarray:
    """`by_rows` within each row's top `percent` by the last of the arrays, accuracies without NaN."""
    count = math.floor(_exact_percent(percent) * arrays[-1].shape[-1] / 100)
    best = np.argsort(-arrays[-1], axis=-1, kind="stable")[..., :count]
    return by_rows(*(np.take_along_axis(array, best, -1) for array in arrays))


_BY_ROWS = {
    spearman: _spearman_by_rows,
    spearman_difference: _difference_by_rows,
    top_spearman: functools.partial(_top_by_rows, _spearman_by_rows),
    top_spearman_difference: functools.partial(_top_by_rows, _difference_by_rows),
}


def _by_rows(statistic: Callable[..., float]) -> Callable[..., np.ndarray] | None:
    """The same statistic of each row of a matrix, from values as `_order` gives them, where there is one."""
    if isinstance(statistic, functools.partial):
        by_rows = _BY_ROWS.get(statistic.func)
        return by_rows and functools.partial(by_rows, *statistic.args, **statistic.keywords)
    return _BY_ROWS.get(statistic)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` largest values, or of all that are not NaN if these are fewer."""
    order = np.argsort(-values, kind="stable")  # NaN comes last
    return order[: min(count, np.count_nonzero(~np.isnan(values)))]


def _exact_percent(percent: Real) -> Fraction:
    try:
        exact = Fraction(str(percent)) if isinstance(percent, Real) else None
    except (ValueError, ZeroDivisionError):
        exact = None
    if exact is None or not 0 <= exact <= 100:
        raise InputError(f"percent {percent!r}: it must be a number in 0..100.")
    return exact
