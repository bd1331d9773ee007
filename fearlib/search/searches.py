"""Searches that rank as they go: random and local search, and a funnel."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from fearlib.errors import InputError, check_whole, is_number
from fearlib.ranking.combinations import rank_product
from fearlib.search.evaluations import Evaluate, Evaluation, value_of
from fearlib.spaces.nats import Architecture


@dataclass(frozen=True)
class Found:
    """The best architecture of a search by score (None if every one was dropped), and the search's cost.

    A funnel's `macs` and `seconds` include its screening, whose cost stands apart, too.
    """

    index: int | None
    score: float
    seen: int
    dropped: int
    macs: float
    seconds: float
    screening_macs: float = 0.0
    screening_seconds: float = 0.0


def random_search(evaluate: Evaluate, order: Iterable[int], ratio: float = math.inf) -> Found:
    """The best-scored of the architectures, seen one after another in `order` (Dey et al., FEAR, 2021).

    Stage 1 may cost `ratio` times the cheapest so far that reached the threshold; an architecture that takes more
    is dropped, and what it cost until then counts. Of equal scores the earlier wins. Raises InputError unless the
    ratio is above 0.
    """
    seen = {}
    _evaluate_unseen(evaluate, order, ratio, seen)
    return _found(seen)


def local_search(evaluate: Evaluate, start: int) -> Found:
    """From `start`, of NATS-Bench, move to the best-scored neighbour as long as it has a higher score.

    Every architecture is evaluated once. A start that is dropped gives way to its best neighbour.
    """
    seen, best = {}, start
    _evaluate_unseen(evaluate, [start], math.inf, seen)
    while True:
        around = [neighbour.index for neighbour in Architecture.from_index(best).neighbours()]
        _evaluate_unseen(evaluate, around, math.inf, seen)
        current, best = best, max([best, *around], key=lambda index: value_of(seen[index]))
        if best == current:
            return _found(seen)


def funnel_search(
    screens: dict[str, Evaluate],
    evaluate: Evaluate,
    order: Iterable[int],
    keep: int,
    combine: Callable[[pd.DataFrame], pd.Series] = rank_product,
) -> Found:
    """Screen every architecture of `order`, evaluate the best `keep`, and return the best of these by both.

    `screens` are cheap evaluations by name, such as `live("zero_cost(measures=synflow)", ...)`; `evaluate` is the
    costly one. `combine` makes one score of a table of them, a column each: of the screens, over all
    architectures; of these and what `evaluate` gives, the column `evaluated`, over those that were kept. One that
    is dropped is not returned, nor one to which `combine` gives NaN. Of equal scores the earlier is kept, and of
    those kept the one that was screened better wins. Raises InputError without a screen, with one called
    `evaluated`, or unless `keep` is an integer of at least 1.
    """
    check_whole(1, keep=keep)
    if not screens or "evaluated" in screens:
        raise InputError("a funnel needs at least one screen, a score that costs little, not called 'evaluated'.")
    order = list(dict.fromkeys(order))
    screened = {name: [screen(index, math.inf) for index in order] for name, screen in screens.items()}
    table = pd.DataFrame({name: [each.score for each in found] for name, found in screened.items()}, order)
    kept = combine(table).sort_values(ascending=False, kind="stable").index[:keep]
    seen: dict[int, Evaluation] = {}
    _evaluate_unseen(evaluate, kept, math.inf, seen)
    both = combine(table.loc[kept].assign(evaluated=[value_of(seen[index]) for index in kept]))
    both = both[[math.isfinite(seen[index].score) for index in kept]].dropna()
    best = None if both.empty else int(both.idxmax())
    cost = [each for found in screened.values() for each in found]
    screening = sum(each.macs for each in cost), sum(each.seconds for each in cost)
    trained = _found(seen)
    return Found(
        best, math.nan if best is None else float(both[best]), len(order), trained.dropped,
        trained.macs + screening[0], trained.seconds + screening[1], *screening,
    )  # fmt: skip


def _evaluate_unseen(evaluate: Evaluate, order: Iterable[int], ratio: float, seen: dict[int, Evaluation]) -> None:
    """Evaluate those of `order` that `seen` lacks, and add them to it."""
    check_ratio(ratio)
    for index in order:
        if index not in seen:
            cheapest = min((each.stage1 for each in seen.values()), default=math.inf)
            seen[index] = evaluate(index, ratio * cheapest)


def check_ratio(ratio: float) -> None:
    """Raise InputError unless stage 1 may cost something."""
    if not is_number(ratio) or not ratio > 0:
        raise InputError(f"ratio {ratio!r:.80}: the limit of stage 1 must be above 0 times the cheapest.")


def _found(seen: dict[int, Evaluation]) -> Found:
    scored = {index: each.score for index, each in seen.items() if math.isfinite(each.score)}
    best = max(scored, key=scored.get, default=None)
    return Found(
        best, scored.get(best, math.nan), len(seen), len(seen) - len(scored),
        sum(each.macs for each in seen.values()), sum(each.seconds for each in seen.values()),
    )  # fmt: skip
