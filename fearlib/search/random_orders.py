"""Many searches at once, replayed in random orders, and what they find and cost; the paper's third table."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import scipy  # loads its `stats`, which takes a second, when they are first used

from fearlib.errors import InputError, check_whole
from fearlib.files.progress import progress
from fearlib.ranking.combinations import DIGITS
from fearlib.search.evaluations import Evaluate, value_of
from fearlib.search.searches import check_ratio

# From architectures' indices and orders (searches x length) of places among them, to a line a search.
Searches = Callable[[list[int], np.ndarray], pd.DataFrame]
_ORDERS = 100  # of a resample


def random_searches(
    evaluate: Evaluate, indices: list[int], orders: np.ndarray, ratio: float = math.inf
) -> pd.DataFrame:
    """`random_search` in many orders at once, a line each.

    `orders` (searches x length) are places in `indices`; what stands in one twice counts as two architectures.
    Columns: `place` of the best-scored (-1 if every one was dropped), `dropped`, and the search's `macs` and
    `seconds`.
    """
    check_ratio(ratio)
    score, stage1, macs, seconds = _while_cheapest(evaluate, indices, ratio)
    cheapest, best = np.full(len(orders), len(indices)), np.full(len(orders), -1)
    least, highest = np.full(len(orders), math.inf), np.full(len(orders), -math.inf)
    dropped, spent = np.zeros(len(orders), dtype=int), np.zeros((2, len(orders)))
    for place in orders.T:
        now = place, cheapest
        dropped += np.isinf(score[now])
        spent += macs[now], seconds[now]
        best, highest = np.where(score[now] > highest, place, best), np.maximum(score[now], highest)
        cheapest, least = np.where(stage1[now] < least, place, cheapest), np.minimum(stage1[now], least)
    return pd.DataFrame({"place": best, "dropped": dropped, "macs": spent[0], "seconds": spent[1]})


def _while_cheapest(evaluate: Evaluate, indices: list[int], ratio: float) -> np.ndarray:
    """Score (-inf: dropped), macs of stage 1, all macs and seconds of each architecture: a matrix each.

    A row for the architecture that is looked at, a column for the one that is the cheapest so far, and a last one
    for none.
    """
    whole = [evaluate(index, math.inf) for index in indices]
    limits = [ratio * each.stage1 for each in whole] + [math.inf]
    table = [
        [each if math.isinf(limit) else evaluate(index, limit) for limit in limits]
        for index, each in zip(indices, whole)
    ]
    values = [[(value_of(each), each.stage1, each.macs, each.seconds) for each in line] for line in table]
    return np.array(values).transpose(2, 0, 1)


def funnel_searches(
    screens: dict[str, Evaluate], evaluate: Evaluate, indices: list[int], orders: np.ndarray, keep: int
) -> pd.DataFrame:
    """`funnel_search` by rank products in many orders at once, a line each.

    Takes and gives what `random_searches` does, and of `macs` and `seconds` what is `screening macs` and
    `screening seconds`.
    """
    every = [[one(index, math.inf) for index in indices] for one in (*screens.values(), evaluate)]
    values = np.array([[value_of(each) for each in line] for line in every])
    cost = np.array([[(each.macs, each.seconds) for each in line] for line in every])
    screened, trained = cost[:-1].sum(axis=0), cost[-1]
    products = _rank_products(values[:-1][:, orders])
    kept = np.take_along_axis(orders, np.argsort(-products, axis=1, kind="stable")[:, :keep], axis=1)
    scored = np.isfinite(values[-1][kept])
    both = np.where(scored, _rank_products(values[:, kept]), -math.inf)
    best = np.take_along_axis(kept, both.argmax(axis=1)[:, None], axis=1)[:, 0]
    screening = screened[orders].sum(axis=1)
    macs, seconds = (screening + trained[kept].sum(axis=1)).T
    return pd.DataFrame(
        {
            "place": np.where(scored.any(axis=1), best, -1), "dropped": (~scored).sum(axis=1), "macs": macs,
            "seconds": seconds, "screening macs": screening[:, 0], "screening seconds": screening[:, 1],
        }
    )  # fmt: skip


def _rank_products(values: np.ndarray) -> np.ndarray:
    """`rank_product` of every search's scores (scores x searches x architectures), -inf standing for none."""
    ranks = np.where(np.isfinite(values), scipy.stats.rankdata(values, axis=-1), 1.0)
    return np.log(ranks / values.shape[-1]).sum(axis=0).round(DIGITS)


def random_search_table(
    searches: dict[tuple[str, float], Searches],
    accuracy: pd.Series,
    length: int,
    orders: int = 200,
    reference: tuple[str, float] | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> pd.DataFrame:
    """What searches find and cost, over `orders` random orders; the paper's third table.

    `searches` by method and ratio, such as `partial(random_searches, evaluate, ratio=4)`, `accuracy` the test
    accuracy in % by architecture index. Every search sees `length` of these architectures without replacement, the
    same for all methods. A line a method and ratio: `found`, the mean accuracy of the best-scored architecture,
    `macs` and `seconds`, the mean cost of the search, each with its standard deviation over the orders (`found sd`
    and so on); of these, those of a funnel's screening (`screening macs`, `screening seconds`); `dropped`, the
    mean number without a score; `lost`, searches that found nothing, which have no accuracy. Of a `reference`
    among the searches, the `difference` of what is found to what it finds, and the `speedup`, its macs over
    theirs. `found`, `difference` and `speedup` have 95% intervals, `found low` and so on: the paired bootstrap
    over architectures, its resamples searched in `_ORDERS` orders each; of `found` and `speedup` about the
    estimate, as wide as the resamples spread about their mean, of the `difference` their percentiles. Raises
    InputError if there are fewer than `length` architectures.
    """
    check_whole(1, length=length, orders=orders, resamples=resamples)
    check_whole(0, seed=seed)
    if length > len(accuracy):
        raise InputError(f"a search cannot see {length} of {len(accuracy)} architectures.")
    if not np.isfinite(accuracy).all():
        raise InputError("searches need a test accuracy of every architecture.")
    if reference is not None and reference not in searches:
        raise InputError(f"the reference {reference} is not among the searches.")
    rng, number = np.random.default_rng(seed), len(accuracy)
    drawn = np.array([rng.permutation(number)[:length] for _ in range(orders)])
    samples = rng.integers(number, size=(resamples, number)).repeat(_ORDERS, axis=0)
    again = rng.permuted(samples, axis=1)[:, :length]
    each = {key: _found(search, accuracy, drawn) for key, search in searches.items()}
    shown = progress(searches.items(), "resampled orders", "search")
    resampled = {key: _found(search, accuracy, again) for key, search in shown}
    means = {key: found.groupby(found.index // _ORDERS).mean() for key, found in resampled.items()}
    return pd.DataFrame(
        [
            {"method": method, "ratio": ratio, "length": length, "orders": orders, "n": number}
            | _summary(each[method, ratio], means[method, ratio])
            | ({} if reference is None else _beside(each, means, (method, ratio), reference))
            for method, ratio in searches
        ]
    )


def _found(search: Searches, accuracy: pd.Series, orders: np.ndarray) -> pd.DataFrame:
    """The searches with the accuracy `found`, NaN where nothing was."""
    searches = search(accuracy.index.tolist(), orders)
    return searches.assign(found=np.append(accuracy.to_numpy(), math.nan)[searches.place])


def _summary(each: pd.DataFrame, means: pd.DataFrame) -> dict[str, float]:
    line = {}
    for column in ("found", "macs", "seconds"):
        line |= {column: each[column].mean(), f"{column} sd": each[column].std()}
    line |= _with_interval("found", line["found"], means.found)
    for column in ("screening macs", "screening seconds"):
        line[column] = each[column].mean() if column in each else 0.0
    return line | {"dropped": each.dropped.mean(), "lost": int((each.place < 0).sum())}


def _beside(
    each: dict[tuple, pd.DataFrame], means: dict[tuple, pd.DataFrame], key: tuple, reference: tuple
) -> dict[str, float]:
    difference = each[key].found.mean() - each[reference].found.mean()
    resampled = means[key].found - means[reference].found
    line = _with_bounds("difference", difference, resampled)
    with np.errstate(divide="ignore", invalid="ignore"):  # what costs nothing is endlessly faster
        speedup = np.log(each[reference].macs.mean() / each[key].macs.mean())
        logarithms = _with_interval("speedup", speedup, np.log(means[reference].macs / means[key].macs))
        return line | {name: float(np.exp(value)) for name, value in logarithms.items()}


def _with_interval(name: str, value: float, resampled: pd.Series) -> dict[str, float]:
    """By the resamples' spread about their mean, for a search of fewer different architectures finds less."""
    return _with_bounds(name, value, value + resampled - resampled.mean())


def _with_bounds(name: str, value: float, resampled: pd.Series) -> dict[str, float]:
    low, high = resampled.quantile([0.025, 0.975])
    return {name: value, f"{name} low": float(low), f"{name} high": float(high)}
