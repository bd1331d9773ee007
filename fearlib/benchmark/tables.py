"""Tables of the benchmark's accuracies, read and written."""

import gzip
import io
from pathlib import Path

import pandas as pd

from fearlib.errors import InputError, one_line, require
from fearlib.files.outside import read_file
from fearlib.files.tables import own_names, read_csv
from fearlib.files.write import replace_file
from fearlib.spaces.listing import architectures_of_table
from fearlib.spaces.nats import SPACE_SIZE

MAX_TABLE_BYTES = 2**24  # unpacked; all architectures on all datasets take 4 MB


def check_format(path: Path):
    if path.name.endswith(".parquet"):
        require("pyarrow", "read and write Parquet tables")
    elif not path.name.endswith((".csv", ".csv.gz")):
        raise InputError(f"{path} is not a table: its name must end in .csv, .csv.gz or .parquet.")


def read_table(path: Path, column: str) -> pd.DataFrame:
    """The table at `path` by architecture index, `column` under this name, once its rows are consistent."""
    if not path.is_file():
        raise InputError(f"{path} is neither a table of accuracies nor the folder of NATS-Bench's archive.")
    check_format(path)
    needed = ("arch", column)
    if path.suffix == ".parquet":
        table = _read_parquet(path, needed)
    else:
        table = read_csv(path, MAX_TABLE_BYTES)
        table = table.rename(columns=own_names(table.columns, ("index", *needed), path))
    for name in needed:
        if name not in table:
            raise InputError(f"{path} has no column {name}: it has {', '.join(map(str, table.columns))}.")
    return by_index(table, path)


def _read_parquet(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """The columns `needed`, and `index` if there is one; or, if one is missing, no row and the columns there are.

    Equal texts of a column stay one: there may be millions of them in a small file.
    """
    from pyarrow import parquet, types

    content = read_file(path, MAX_TABLE_BYTES)
    try:
        names = parquet.read_schema(io.BytesIO(content)).names
        own = own_names(names, ("index", *needed), path)
        if not set(needed) <= set(own.values()):
            return pd.DataFrame(columns=names)
        file = parquet.ParquetFile(io.BytesIO(content), read_dictionary=list(own))
        metadata = file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        if metadata.num_rows > SPACE_SIZE or sum(group.total_byte_size for group in groups) > MAX_TABLE_BYTES:
            raise ValueError(f"it has more than {SPACE_SIZE} rows or, unpacked, {MAX_TABLE_BYTES} bytes")
        if any(types.is_nested(file.schema_arrow.field(name).type) for name in own):
            raise ValueError("it has lists in place of values")
        table = file.read(columns=list(own), use_threads=False).to_pandas(ignore_metadata=True)
    except InputError:
        raise
    except Exception as error:  # Arrow has no common kind of its own
        raise InputError(f"{path} is not a readable table: {one_line(error)}.") from error
    shared = table.select_dtypes("category")
    return table.astype(dict.fromkeys(shared, object)).rename(columns=own)


def by_index(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows by their architectures' indices, each of which occurs once."""
    if "index" in table:
        _check_integers(table, path)
    table.index = pd.Index([found.index for found in architectures_of_table(table, path)], dtype=int, name="index")
    doubled = table.index[table.index.duplicated()]
    if len(doubled):
        raise InputError(f"{path} has more than one row of architecture {doubled[0]}.")
    return table


def _check_integers(table: pd.DataFrame, path: Path):
    if not pd.api.types.is_integer_dtype(table["index"]) or table["index"].isna().any():
        raise InputError(f"{path}: the column index must hold integers, NATS-Bench's architecture indices.")


def write_table(table: pd.DataFrame, path: Path):
    """Write `table` in one step; equal tables give equal bytes."""
    if path.name.endswith(".parquet"):
        content = table.to_parquet(index=False)
    else:
        content = table.to_csv(index=False, lineterminator="\n").encode()
    if path.name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    replace_file(path, content)
