"""Members of a .zip from outside."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from fearlib.errors import InputError

_USUAL = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others are unpacked without bound


def refuse_other_packing(members: Iterable[zipfile.ZipInfo], path: str | Path) -> None:
    """Raises InputError unless all of these members of the archive at `path` are stored or deflated."""
    if any(member.compress_type not in _USUAL for member in members):
        raise InputError(f"{path} has a file packed in another way than a .zip's usual two, stored and deflated.")
