"""How far a sweep has come, from its journal and manifest alone: while it runs, and after."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.sweeps.journal import read_journal, writer
from fearlib.sweeps.labels import has_failed
from fearlib.sweeps.manifest import read_manifest


@dataclass(frozen=True)
class Status:
    """What `sweep_status` finds.

    `methods` has a line a method: how many trials have `finished`, have `failed` at their last try, and are
    `remaining` of the sweep's last command, and the mean `seconds` that a finished one took in all. `expected` is
    how many seconds the remaining ones take at that command's pace, NaN while there is nothing to tell it from.
    `writer` is the process that writes to the folder, None if there is none. `failures` are the reasons of the
    failed ones.
    """

    methods: pd.DataFrame
    expected: float
    writer: str | None
    failures: list[str]


def sweep_status(folder: str | Path) -> Status:
    """The state of the sweep in `folder`, which may be running. Raises InputError if there is none."""
    sittings, records = read_manifest(folder)["sittings"], read_journal(folder)
    last = {tuple(record["trial"].values()): record for record in records}.values()
    finished = [record for record in last if not has_failed(record)]
    failed = [record for record in last if has_failed(record)]
    now = [record for record in records if record.get("sitting", 0) == len(sittings) - 1]
    planned = Counter(sittings[-1].get("missing", {})) if sittings else Counter()
    counts = {
        "finished": _by_method(finished),
        "failed": _by_method(failed),
        "remaining": planned - _by_method(record for record in now if not has_failed(record)),
    }
    methods = pd.DataFrame(counts).fillna(0).astype(int).sort_index()
    seconds = pd.DataFrame([(_method(record), _seconds(record)) for record in finished], columns=["method", "s"])
    methods["seconds"] = seconds.groupby("method").s.mean()
    left = methods.remaining * methods.seconds.fillna(seconds.s.mean())
    return Status(
        methods,
        expected=float(left.sum(skipna=False)) / _at_once(now),
        writer=writer(folder),
        failures=[f"{record['trial']['index']} {_reason(record)}" for record in failed],
    )


def _reason(record: dict) -> str:
    return next(row["outcome"] for row in record["rows"] if has_failed({"rows": [row]}))


def _at_once(records: list[dict]) -> float:
    """How many trials of one command ran at a time, on average."""
    clock = max((record.get("after", 0) for record in records), default=0)
    seconds = np.nansum([_seconds(record) for record in records])  # of a worker that died nothing is known
    return seconds / clock if seconds and clock else 1


def _by_method(records) -> Counter:
    return Counter(map(_method, records))


def _method(record: dict) -> str:
    return record["trial"]["method"]


def _seconds(record: dict) -> float:
    """In all, or, of a journal from before that was noted, in training and measuring alone."""
    return record.get("elapsed", sum(row["seconds"] for row in record["rows"]))
