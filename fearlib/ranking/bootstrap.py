"""The uncertainty of a statistic: its bootstrap interval, of rank correlations in all resamples at once."""

import functools
import math
import warnings
from collections.abc import Callable
from numbers import Real

import numpy as np
import scipy  # loads its `stats`, which takes a second, when they are first used
from numpy.typing import ArrayLike

from fearlib.errors import InputError, check_whole, is_number
from fearlib.ranking.arrays import exact_percent, vectors, without_nan
from fearlib.ranking.statistics import spearman, spearman_difference, top_spearman, top_spearman_difference


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
    arrays = vectors(*arrays)
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
        (drawn,) = without_nan(drawn)
        if drawn.size == 0:
            return math.nan, math.nan
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    if reflected:
        low, high = min(2 * value - high, value), max(2 * value - low, value)
    return float(low), float(high)


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
    count = math.floor(exact_percent(percent) * arrays[-1].shape[-1] / 100)
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
