"""Of a sweep that is under way or was cut short: the architectures and rows that a comparison may rest on."""

import itertools
import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from fearlib.data.registry import DATASETS
from fearlib.errors import InputError
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.labels import kind_of, read_label
from fearlib.sweeps.presets import PRESETS, plain_preset
from fearlib.sweeps.rows import read_rows, refuse_rows_without_journal


def finished_architectures(folder: str | Path, methods: Iterable[str] | None = None) -> list[int]:
    """The indices that the sweep in `folder` has finished with every method, up to the first that it has not.

    In the order in which the sweep came to them. Of a sweep that was cut short, later ones may be finished too,
    but to take these would favour architectures that train fast. One seed is enough, and a trial that failed
    counts as finished: it was tried. `methods` are those that are compared, each by its label in the journal, or
    by its name (`fear`: all of its settings) where no label is that name alone; by default those of
    `comparable_methods`. Others may be half done. Raises InputError if one of them has no trial.
    """
    records = read_journal(folder, curves=False)
    return _finished(records, _compared(folder, records, methods))


def finished_rows(folder: str | Path, methods: Iterable[str] | None = None) -> pd.DataFrame:
    """The rows of the methods that are compared, on the architectures of `finished_architectures`.

    Raises InputError as that does, or if the rows have no journal, which alone says what is finished.
    """
    refuse_rows_without_journal(folder)
    records = read_journal(folder, curves=False)  # before the rows, which may become more meanwhile
    labels = _compared(folder, records, methods)
    named = {row["method"] for record in records if record["trial"]["method"] in labels for row in record["rows"]}
    rows = read_rows(folder)
    return rows[rows["index"].isin(_finished(records, labels)) & rows.method.isin(named)]


def comparable_methods(folder: str | Path, *kinds: str) -> list[str]:
    """The labels of a sweep with which a comparison is largest: the most methods times architectures finished.

    A FEAR is among them, the one that is furthest, if there is any. Of `kinds` alone, if some are given. So a
    method that has only begun is left out, and one that nearly all architectures have is not.
    """
    return _comparable(read_journal(folder, curves=False), kinds)


def _comparable(records: list[dict], kinds: tuple[str, ...] = ()) -> list[str]:
    labels = [label for label in _labels(records) if not kinds or kind_of(label) in kinds]
    counts = {label: len(_finished(records, {label})) for label in labels}
    labels.sort(key=counts.get, reverse=True)
    furthest = next((label for label in labels if kind_of(label) == "fear"), None)
    labels.sort(key=lambda label: label != furthest)

    def size(number: int) -> int:
        return number * min(counts[label] for label in labels[:number])

    return labels[: max(range(1, len(labels) + 1), key=size, default=0)]


def _finished(records: list[dict], labels: set[str]) -> list[int]:
    done = {}
    for record in records:
        done.setdefault(record["trial"]["index"], set()).add(record["trial"]["method"])
    return list(itertools.takewhile(lambda index: labels <= done[index], done))


def _labels(records: list[dict]) -> list[str]:
    return list(dict.fromkeys(record["trial"]["method"] for record in records))


def _compared(folder: str | Path, records: list[dict], methods: Iterable[str] | None) -> set[str]:
    """The labels of the methods, each a label itself or the name of several."""
    if methods is None:
        return set(_comparable(records))
    labels, compared = _labels(records), set()
    for method in methods:
        found = {method} & set(labels) or {label for label in labels if kind_of(label) == method}
        if not found:
            known = ", ".join(sorted(labels)) or "none"
            raise InputError(f"{folder} has no trials of {method!r}: the methods of its journal are {known}.")
        compared |= found
    return compared


def methods_of(rows: pd.DataFrame, *kinds: str) -> list[str]:
    """The labels in the rows that name one of the kinds, in order; `fear(stage2_epochs=24)` is of kind fear."""
    return sorted(label for label in rows.method.unique() if kind_of(label) in kinds)


def preset_method(rows: pd.DataFrame, kind: str = "fear") -> str:
    """The label of a kind with the preset's settings: of those with its `stage2_epochs`, if any, the shortest.

    Raises InputError if the rows have none.
    """
    labels = methods_of(rows, kind)
    if not labels:
        raise InputError(
            f"there are no rows of {kind}: the methods are {', '.join(sorted(rows.method.unique()))}."
        )
    length = _stage2_epochs(rows)
    return min(labels, key=lambda label: (read_label(label).number("stage2_epochs") != length, len(label)))


def _stage2_epochs(rows: pd.DataFrame) -> float:
    """Those of the preset as it is written, NaN where the rows do not say which it is."""
    if not {"preset", "dataset"} <= set(rows):
        return math.nan
    preset, dataset = read_label(rows.preset.iloc[0]).name, rows.dataset.iloc[0]
    return plain_preset(preset, dataset).stage2_epochs if preset in PRESETS and dataset in DATASETS else math.nan
