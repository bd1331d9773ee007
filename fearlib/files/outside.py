"""Paths that users give; files from outside, read whole if they are no larger than files of their kind can be."""

import contextlib
import json
from pathlib import Path
from typing import IO

from fearlib.errors import InputError, one_line


def user_path(path: str | Path) -> Path:
    """A path as a user gives it, `~` at its start being the home folder. Raises InputError if it is no path."""
    try:
        return Path(path).expanduser()
    except (TypeError, RuntimeError) as error:  # of something else, or of a user who has no home folder
        raise InputError(f"{path!r} is not a path that can be used: {error}") from error


def existing_path(path: str | Path) -> Path:
    """The same of something that is there. Raises InputError if it is not."""
    path = user_path(path)
    with _cannot_be_read(path):
        if not path.exists():
            raise InputError(f"{path} does not exist.")
    return path


def check_file(path: str | Path, most: int) -> None:
    """Raises InputError unless it is a file of at most `most` bytes."""
    path = user_path(path)
    with _cannot_be_read(path):
        if not path.is_file():  # a pipe would be waited for without end
            raise InputError(f"{path} is not a file.")
        if (size := path.stat().st_size) > most:
            raise InputError(f"{path} has {size} bytes, but no more than {most} are read of such a file.")


def read_file(path: str | Path, most: int) -> bytes:
    """A file's content. Raises InputError unless it is a file of at most `most` bytes that can be read."""
    path = user_path(path)
    check_file(path, most)
    with _cannot_be_read(path), path.open("rb") as file:
        return read_at_most(file, most, str(path))


@contextlib.contextmanager
def _cannot_be_read(path: Path):
    """Within, what the system says of a path, as that its name is too long, is an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path!s:.200} cannot be read: {error.strerror}.") from error


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
