"""Files written whole."""

import contextlib
import os
import platform
import shutil
from pathlib import Path

from fearlib.errors import InputError
from fearlib.files.outside import existing_path, user_path


def check_place(path: str | Path) -> Path:
    """The path of a file to be written. Raises InputError if its folder is not there, or something else is."""
    path = user_path(path)
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no plain file"
        raise InputError(f"{path} cannot be written: it is {kind}.")
    existing_path(path.parent)
    return path


def replace_file(path: Path, content: bytes) -> None:
    """Write a whole file in one step: a reader, or a crash, sees the old content or the new.

    A link stays one, and a file that is replaced keeps its permissions. Raises InputError if it cannot be written;
    the old content then stays.
    """
    path = check_place(path)
    path = Path(os.path.realpath(path)) if os.path.islink(path) else path
    partial = path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            with contextlib.suppress(OSError):  # some file systems of others have none
                shutil.copymode(path, partial)
        os.replace(partial, path)
    except (OSError, ValueError) as error:  # ValueError of a name with a null in it
        with contextlib.suppress(OSError, ValueError):  # of a folder that cannot be written it fails, too
            partial.unlink()
        raise InputError(f"{path!s:.200} cannot be written: {getattr(error, 'strerror', error)}.") from error
