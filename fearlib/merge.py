"""Sweeps of one configuration, run apart, become one."""

import math
from pathlib import Path

import pandas as pd

from fearlib.errors import InputError
from fearlib.journal import append_to_journal, only_writer, read_journal, recover_journal
from fearlib.manifest import MANIFEST, open_manifest, read_manifest, write_manifest
from fearlib.sweep import Trial, check_truth, count_trials, finished_trials
from fearlib.tables import write_tables


def merge_sweeps(folder: str | Path, sources: list[str | Path]) -> int:
    """Add to `folder` the trials of `sources` that it does not hold yet; how many those were.

    A new folder is made. A finished trial is never replaced, and the sources are left as they are. Raises
    InputError if a source is not a sweep, or is one of another configuration or with other test accuracies;
    nothing is written then.
    """
    folder, sources = Path(folder), [Path(source) for source in sources]
    configuration = read_manifest(folder if (folder / MANIFEST).exists() else sources[0])["configuration"]
    manifests = [read_manifest(source) for source in sources]
    for source, manifest in zip(sources, manifests):
        open_manifest(source, configuration)  # refuses another configuration
        named = max((record.get("sitting", 0) for record in read_journal(source)), default=-1)
        if named >= len(manifest["sittings"]):
            raise InputError(f"{source} cannot be merged: its journal names a sitting that its manifest lacks.")
    if any(source.resolve() == folder.resolve() for source in sources):
        raise InputError(f"{folder} cannot be merged into itself.")
    added = 0
    with only_writer(folder):
        merged = open_manifest(folder, configuration)
        records = recover_journal(folder)
        held = finished_trials(records)
        for source in sources:
            of_source = read_journal(source)
            check_truth(of_source, _accuracies(records))
            records += of_source
        for source, manifest in zip(sources, manifests):
            count_trials(manifest, read_journal(source))
            sittings = [_place(merged["sittings"], sitting) for sitting in manifest["sittings"]]
            write_manifest(folder, merged)
            last = {Trial(**record["trial"]): record for record in read_journal(source)}
            for trial, record in last.items():
                if trial not in held:
                    append_to_journal(folder, record | {"sitting": sittings[record.get("sitting", 0)]})
                    held |= finished_trials([record])
                    added += 1
        write_tables(folder)
    return added


def _accuracies(records: list[dict]) -> pd.Series:
    accuracies = ((record["trial"]["index"], record["test_accuracy"]) for record in records)
    return pd.Series({index: accuracy for index, accuracy in accuracies if not math.isnan(accuracy)}, dtype=float)


def _place(sittings: list[dict], sitting: dict) -> int:
    """The sitting's number in the list, to which it is added unless an earlier merge has."""
    for number, known in enumerate(sittings):
        if all(known.get(key) == sitting.get(key) for key in ("id", "started", "commit")):
            return number
    sittings.append(sitting)
    return len(sittings) - 1
