"""Tables from outside, and the accuracies in them."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.errors import InputError, one_line
from fearlib.files.outside import read_at_most, read_file, user_path
from fearlib.files.spelling import spelt

MAX_HEADER = 2**16  # bytes of a table's first line


def read_csv(path: str | Path, most: int, columns: Iterable[str] = ()) -> pd.DataFrame:
    """The table in a .csv or .csv.gz file, of at most `most` bytes when unpacked.

    Its fields are separated by commas; by semicolons or tabs where its first line has no comma. A byte order mark
    and the blanks around a name or before a value do not count. Raises InputError if it cannot be read, has two
    columns of one name, or lacks one of the `columns`.
    """
    content = read_file(path, most)
    try:
        if user_path(path).suffix == ".gz":
            with gzip.open(io.BytesIO(content)) as file:
                content = read_at_most(file, most, f"{path} when unpacked")
        content = content.removeprefix(codecs.BOM_UTF8)
        header = content.lstrip(b"\r\n").partition(b"\n")[0]
        if len(header) > MAX_HEADER:
            raise ValueError(f"its first line, the columns' names, is longer than {MAX_HEADER} bytes")
        separator = next((each for each in ",;\t" if each.encode() in header), ",")
        _check_names(header.decode(), separator)
        table = pd.read_csv(io.BytesIO(content), sep=separator, skipinitialspace=True, low_memory=False)
        table.columns = table.columns.str.strip()
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("its rows have more fields than its first line has names")
    except InputError:
        raise
    except Exception as error:  # gzip, zlib and pandas have no common kind of their own
        raise InputError(f"{path} is not a readable table: {one_line(error)}.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}.")
    return table


def _check_names(header: str, separator: str) -> None:
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])]
    doubled = {name for name in names if name and names.count(name) > 1}
    if doubled:
        raise ValueError(f"it has more than one column {min(doubled):.80}")


def own_names(columns: Iterable[str], wanted: Iterable[str], path: str | Path) -> dict[str, str]:
    """What a table calls those of the columns `wanted` that it has, as `spelt` finds them: its name to the wanted.

    Raises InputError if one could be either of two columns.
    """
    own = {}
    for name in wanted:
        found = spelt(name, columns)
        if len(found) > 1:
            raise InputError(f"{path} has more than one column {name}: {', '.join(found):.200}.")
        own |= dict.fromkeys(found, name)
    return own


def percentages(values: pd.Series, source: str | Path) -> pd.Series:
    """The accuracies (%) of `values`, by architecture, as floats. Raises InputError unless all lie in 0..100."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    wrong = values[~((numbers >= 0) & (numbers <= 100))]
    if len(wrong):
        index, value = next(wrong.items())
        where = f" in {values.name}" if values.name else ""
        raise InputError(
            f"{source}: architecture {index} has the accuracy {value!r:.80}{where}, "
            "which is not a number in 0..100."
        )
    return pd.Series(numbers, index=values.index, name=values.name)
