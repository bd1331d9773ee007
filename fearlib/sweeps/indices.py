"""A list of architectures from outside."""

from pathlib import Path

import pandas as pd

from fearlib.errors import InputError, check_whole
from fearlib.files.outside import read_file, user_path
from fearlib.files.tables import own_names, read_csv
from fearlib.spaces.listing import architectures_of_lines, architectures_of_table
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.rows import MAX_ROWS_BYTES

MAX_INDICES_BYTES = 2**24  # of a file of indices, which have up to 19 digits


def read_indices(path: str | Path, count: int | None = None, space: str = "nats-tss") -> list:
    """The first `count` architectures that a file names, or a sweep, in their order there.

    `path` is a text with an index, an architecture string or NASLib's six numbers a line, and comments after #; a
    table (.csv or .csv.gz) with the columns `index`, `arch` or both, such as a sweep's `rows.csv.gz`, where an
    architecture may have several rows; or a results folder, in the order in which its sweep came to them.

    Raises InputError if a line is none of these, an index and a string contradict each other, a text names an
    architecture twice, or there are none, or fewer than `count`.
    """
    if count is not None:
        check_whole(0, count=count)
    path = user_path(path)
    if path.is_dir():
        _refuse_others({read_manifest(path)["configuration"]["space"]} - {space}, path, space)
        indices = dict.fromkeys(record["trial"]["index"] for record in read_journal(path, curves=False))
        architectures = architectures_of_table(pd.DataFrame({"index": list(indices)}, dtype=object), path, space)
    elif path.name.endswith((".csv", ".csv.gz")):
        table = read_csv(path, MAX_ROWS_BYTES)
        table = table.rename(columns=own_names(table.columns, ("index", "arch", "space"), path))
        _refuse_others(set(table.get("space", [])) - {space}, path, space)
        table = table.drop_duplicates([name for name in ("index", "arch") if name in table] or None)
        architectures = list(dict.fromkeys(architectures_of_table(table, path, space)))
    else:
        architectures = architectures_of_lines(read_file(path, MAX_INDICES_BYTES), path, space)
    if not architectures:
        raise InputError(f"{path} names no architecture.")
    if count is not None and count > len(architectures):
        raise InputError(f"{path} has {len(architectures)} architectures, but {count} were asked for.")
    return architectures[:count]


def _refuse_others(spaces: set, path: str | Path, space: str) -> None:
    if spaces:
        raise InputError(f"{path} holds architectures of {', '.join(map(str, spaces))}, not of {space}.")
