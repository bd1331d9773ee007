"""Sweeps of one configuration, run apart, become one."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from fearlib.errors import InputError
from fearlib.files.outside import user_path
from fearlib.spaces.registry import find_space
from fearlib.sweeps.journal import (
    append_to_journal,
    has_damaged_lines,
    pack_journal,
    read_journal,
    recover_journal,
    refuse_two_journals,
)
from fearlib.sweeps.labels import has_failed
from fearlib.sweeps.manifest import (
    MANIFEST,
    completed,
    count_trials,
    open_manifest,
    read_manifest,
    refuse_lost_trials,
    write_manifest,
)
from fearlib.sweeps.record import Trial
from fearlib.sweeps.rows import known_accuracy, refuse_rows_without_journal, write_tables
from fearlib.sweeps.taken import refuse_measures_twice
from fearlib.sweeps.writer import only_writer


def merge_sweeps(folder: str | Path, sources: list[str | Path], methods: list[str] | None = None) -> int:
    """Add to `folder` the trials of `sources` that it does not hold yet; how many those were.

    Of all methods, or of `methods` alone, named as in a journal; `full` belongs to them where it is the truth. A
    new folder is made. A finished trial is never replaced, a failed one is added where none was tried, and the
    sources, which may still grow, are left as they are. Test accuracies are taken, too, of trials that `folder`
    holds without them. Raises InputError without sources, if a journal has lost trials, if one is not a sweep, or
    is one of another configuration, with other test accuracies or with a measure that another method has taken, or
    if a method has no trial; nothing is written then.
    """
    if isinstance(sources, str | Path):
        sources = [sources]
    if not sources:
        raise InputError(f"nothing is to be merged into {folder}: name at least one results folder.")
    folder, sources = user_path(folder), [user_path(source) for source in sources]
    places = [folder, *sources] if (folder / MANIFEST).exists() else sources
    configuration = completed(*(read_manifest(place)["configuration"] for place in places))
    find_space(configuration["space"])  # the tables need it
    parts = [_read_part(source, configuration, methods) for source in sources]
    if methods is not None:
        _check_methods(methods, sources)
    if any(source.resolve() == folder.resolve() for source in sources):
        raise InputError(f"{folder} cannot be merged into itself.")
    every_record = [*_records(folder), *itertools.chain(*(records for _, records in parts))]
    accuracies = _accuracies(every_record)
    finished = (record["trial"]["method"] for record in every_record if not has_failed(record))
    refuse_measures_twice(finished, configuration["settings"])
    added = 0
    with only_writer(folder):
        refuse_rows_without_journal(folder)
        merged = open_manifest(folder, configuration)
        records = list(recover_journal(folder))
        refuse_lost_trials(folder, merged, Counter(record.get("sitting", 0) for record in records))
        held = {Trial(**record["trial"]): record for record in records}
        count_trials(folder, merged, Counter(record.get("sitting", 0) for record in held.values()))
        for manifest, records in parts:
            sittings = [_place(merged["sittings"], sitting) for sitting in manifest["sittings"]]
            write_manifest(folder, merged)
            for trial, record in {Trial(**record["trial"]): record for record in records}.items():
                sitting = sittings[record.get("sitting", 0)]
                if trial not in held or has_failed(held[trial]) and not has_failed(record):
                    held[trial] = record | {"sitting": sitting}
                    append_to_journal(folder, held[trial])
                    added += 1
                elif held[trial].get("sitting", 0) != sitting and not has_failed(held[trial]):  # it is done here
                    merged["sittings"][sitting]["missing"] = _without(merged["sittings"][sitting], trial.method)
        count_trials(folder, merged, Counter(record.get("sitting", 0) for record in held.values()))
        write_manifest(folder, merged)
        write_tables(folder, accuracies)
        pack_journal(folder)
    return added


def _without(sitting: dict, method: str) -> dict[str, int]:
    """How many trials of each method a sitting had to do, less one of this method."""
    missing = Counter(sitting.get("missing", {}))
    missing[method] -= 1
    return dict(+missing)


def _read_part(source: Path, configuration: dict, methods: list[str] | None) -> tuple[dict, list[dict]]:
    """A source's manifest, with its trials counted, and its records."""
    before = read_manifest(source)  # of a source that still grows, the journal may have more
    refuse_two_journals(source)
    refuse_rows_without_journal(source)
    records = _records(source)  # before the sittings, which may become more meanwhile
    if not has_damaged_lines(source):  # which the source's own command sets aside
        refuse_lost_trials(source, before, Counter(record.get("sitting", 0) for record in records))
    records = [record for record in records if methods is None or record["trial"]["method"] in methods]
    manifest = open_manifest(source, configuration)  # refuses another configuration
    if methods is not None:
        for sitting in manifest["sittings"]:
            sitting["missing"] = {key: n for key, n in sitting.get("missing", {}).items() if key in methods}
    count_trials(source, manifest, Counter(record.get("sitting", 0) for record in records))
    return manifest, records


def _records(folder: Path) -> list[dict]:
    """Those of the folder's journal, with the test accuracies that its rows alone hold."""
    records, accuracy = read_journal(folder), known_accuracy(folder)
    for record in records:
        if math.isnan(record["test_accuracy"]):
            record["test_accuracy"] = float(accuracy.get(record["trial"]["index"], math.nan))
    return records


def _check_methods(methods: list[str], sources: list[Path]) -> None:
    records = itertools.chain(*(read_journal(source, curves=False) for source in sources))
    known = dict.fromkeys(record["trial"]["method"] for record in records)
    for method in methods:
        if method not in known:
            raise InputError(f"there are no trials of {method!r}: the methods are {', '.join(known)}.")


def _accuracies(records: Iterable[dict]) -> pd.Series:
    """The test accuracies (%) that the records state, by architecture. Raises InputError if two differ."""
    known: dict[int, float] = {}
    for record in records:
        index, accuracy = record["trial"]["index"], record["test_accuracy"]
        if not math.isnan(accuracy) and known.setdefault(index, accuracy) != accuracy:
            raise InputError(
                f"architecture {index} has test accuracies of {known[index]}% and {accuracy}% in what is to be "
                "merged: run both with the same truth."
            )
    return pd.Series(known, dtype=float)


def _place(sittings: list[dict], sitting: dict) -> int:
    """The sitting's number in the list, to which it is added unless an earlier merge has.

    That may have been of other methods, or before the sitting ended.
    """
    for number, known in enumerate(sittings):
        if all(known.get(key) == sitting.get(key) for key in ("id", "started", "commit")):
            if "missing" in sitting:
                known["missing"] = known.get("missing", {}) | sitting["missing"]
            if "ended" in sitting:
                known["ended"] = sitting["ended"]
            return number
    sittings.append(sitting | {"trials": 0})  # none is here yet
    return len(sittings) - 1
