"""How far a sweep has come, from its journal and manifest alone: while it runs, and after."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.labels import has_failed
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.record import last_trials
from fearlib.sweeps.writer import writer


class Progress(NamedTuple):
    """How many trials have `finished`, have `failed` at their last try, or are `remaining`: of the last command,
    which has not tried them yet.

    `seconds` is the mean that a finished one took in all, NaN while there is none.
    """

    finished: int
    failed: int
    remaining: int
    seconds: float


@dataclass(frozen=True)
class Status:
    """What `sweep_status` finds.

    `methods` has the progress of each method, `total` that of all. `rate` is how many trials the last command
    finishes in a second and `expected` how many seconds its remaining ones take at its pace, NaN while there is
    nothing to tell it from. `writer` is the process that writes to the folder, None if there is none. `failures`
    are the reasons of the failed ones.
    """

    methods: dict[str, Progress]
    total: Progress
    rate: float
    expected: float
    writer: str | None
    failures: list[str]


def sweep_status(folder: str | Path) -> Status:
    """The state of the sweep in `folder`, which may be running. Raises InputError if there is none.

    Learning curves, most of a journal, are not looked at.
    """
    return status_of(folder, read_journal(folder, curves=False), writer(folder))


def status_of(folder: str | Path, records: list[dict], who: str | None) -> Status:
    """The state of the sweep in `folder` with these records in its journal and that writer."""
    sittings = read_manifest(folder)["sittings"]
    last = last_trials(records)
    finished = [record for record in last if not has_failed(record)]
    failed = [record for record in last if has_failed(record)]
    now = [record for record in records if record.get("sitting", 0) == len(sittings) - 1]
    planned = Counter(sittings[-1].get("missing", {})) if sittings else Counter()
    remaining = planned - _by_method(last_trials(now))
    of_finished, of_failed, seconds = _by_method(finished), _by_method(failed), {}
    for record in finished:
        seconds.setdefault(_method(record), []).append(_seconds(record))
    methods = {
        method: Progress(of_finished[method], of_failed[method], remaining[method], _mean(seconds.get(method, [])))
        for method in sorted({*of_finished, *of_failed, *remaining})
    }
    total = Progress(len(finished), len(failed), remaining.total(), _mean(map(_seconds, finished)))
    clock = max((record.get("after", 0) for record in now), default=0)
    return Status(
        methods,
        total,
        rate=len(now) / clock if clock else math.nan,
        expected=_expected(methods.values(), total) / _at_once(now, clock),
        writer=who,
        failures=[f"{record['trial']['index']} {_reason(record)}" for record in failed],
    )


def _expected(methods: Iterable[Progress], total: Progress) -> float:
    """Of all remaining trials, one after another; one of a method that has no time yet takes the mean of all."""
    return sum(
        each.remaining * (total.seconds if math.isnan(each.seconds) else each.seconds)
        for each in methods
        if each.remaining
    )


def _reason(record: dict) -> str:
    return next(row["outcome"] for row in record["rows"] if has_failed({"rows": [row]}))


def _at_once(records: list[dict], clock: float) -> float:
    """How many trials of one command ran at a time, on average, in so many seconds."""
    known = [seconds for seconds in map(_seconds, records) if not math.isnan(seconds)]  # none if a worker died
    return sum(known) / clock if sum(known) and clock else 1


def _by_method(records: Iterable[dict]) -> Counter:
    return Counter(map(_method, records))


def _method(record: dict) -> str:
    return record["trial"]["method"]


def _seconds(record: dict) -> float:
    """In all, or, of a journal from before that was noted, in training and measuring alone."""
    return record.get("elapsed", sum(row["seconds"] for row in record["rows"]))


def _mean(numbers: Iterable[float]) -> float:
    numbers = [number for number in numbers if not math.isnan(number)]
    return sum(numbers) / len(numbers) if numbers else math.nan
