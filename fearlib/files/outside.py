"""Paths that users give; files from outside, read whole if they are no larger than files of their kind can be."""

import codecs
import csv
import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from fearlib.errors import InputError, one_line

MAX_HEADER = 2**16  # bytes of a table's first line
MAX_EXTENSION = 2**16  # bytes of a name, or extended header, in a .tar
_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip


def user_path(path: str | Path) -> Path:
    """A path as a user gives it, `~` at its start being the home folder. Raises InputError if it is no path."""
    try:
        return Path(path).expanduser()
    except (TypeError, RuntimeError) as error:  # of something else, or of a user who has no home folder
        raise InputError(f"{path!r} is not a path that can be used: {error}") from error


def check_file(path: str | Path, most: int) -> None:
    """Raises InputError unless it is a file of at most `most` bytes."""
    path = user_path(path)
    if not path.is_file():  # a pipe would be waited for without end
        raise InputError(f"{path} is not a file.")
    if path.stat().st_size > most:
        raise InputError(
            f"{path} has {path.stat().st_size} bytes, but no more than {most} are read of such a file."
        )


def read_file(path: str | Path, most: int) -> bytes:
    """A file's content. Raises InputError unless it is a file of at most `most` bytes that can be read."""
    path = user_path(path)
    check_file(path, most)
    try:
        with path.open("rb") as file:
            return read_at_most(file, most, str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def read_at_most(file: IO[bytes], most: int, what: str) -> bytes:
    """What is left in an open file, which may unpack it. Raises InputError if that is more than `most` bytes."""
    content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"{what} has more than {most} bytes, but no more are read of such a file.")
    return content


def read_json(path: str | Path, most: int, levels: int) -> object:
    """The value in a JSON file of at most `most` bytes, its lists and objects nested at most `levels` deep.

    Raises InputError if it cannot be read.
    """
    content = read_file(path, most)
    try:
        value = json.loads(content)
        if _levels(value) > levels:
            raise ValueError(f"it is nested more than {levels} deep")
        json.dumps(value, ensure_ascii=False).encode()  # no text in it is half a pair of surrogates
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON: {one_line(error)}.") from error
    return value


def _levels(value: object) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(_levels, value.values() if isinstance(value, dict) else value), default=0)


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


def percentages(values: pd.Series, source: str | Path) -> pd.Series:
    """The accuracies (%) of `values`, by architecture, as floats. Raises InputError unless all lie in 0..100."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    for index, value, number in zip(values.index, values, numbers):
        if not 0 <= number <= 100:
            where = f" in {values.name}" if values.name else ""
            raise InputError(
                f"{source}: architecture {index} has the accuracy {value!r:.80}{where}, "
                "which is not a number in 0..100."
            )
    return pd.Series(numbers, index=values.index, name=values.name)


def _check_names(header: str, separator: str) -> None:
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])]
    doubled = {name for name in names if name and names.count(name) > 1}
    if doubled:
        raise ValueError(f"it has more than one column {min(doubled):.80}")


def spelt(name: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that are `name`; if none is, those that differ from it in case, blanks, - and _ alone."""
    names = list(names)
    exact = [each for each in names if each == name]
    return exact or [each for each in names if isinstance(name, str) and _bare(each) == _bare(name)]


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


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


class BoundedMember(tarfile.TarInfo):
    """A member of a .tar whose long name, and whatever else precedes it, is not read without bound."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENSIONS and self.size > MAX_EXTENSION:
            raise tarfile.ReadError(f"a name or extended header in it has {self.size} bytes")
        return super()._proc_member(archive)
