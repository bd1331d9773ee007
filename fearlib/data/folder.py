"""Where datasets lie: in a folder that the user names, or in pooch's cache."""

import os
from pathlib import Path

from fearlib.errors import require
from fearlib.files.outside import user_path


def named_folder(folder: str | os.PathLike | None) -> Path | None:
    """`folder`, else the one that the environment variable FEARLIB_DATA names; None without either.

    Raises InputError if it is no path.
    """
    folder = folder or os.environ.get("FEARLIB_DATA")
    return user_path(folder) if folder else None


def data_folder(folder: str | os.PathLike | None) -> Path:
    """The same; without either, pooch's cache. Raises ImportError if that is needed and pooch is not there."""
    return named_folder(folder) or Path(require("pooch", "find the cache of datasets").os_cache("fearlib"))
