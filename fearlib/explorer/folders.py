"""Which results folders there are to look into."""

import contextlib
from pathlib import Path

from fearlib.errors import InputError
from fearlib.explorer.known_scores import results_folders
from fearlib.sweeps.manifest import read_manifest

NEWEST = "newest"


def newest_first(parent: str | Path = "results") -> list[Path]:
    """The folders in `parent` that hold a sweep, that whose last command began last coming first."""
    return sorted(results_folders(parent), key=_began, reverse=True)


def folder_to_open(results: str | Path, folders: list[Path]) -> Path:
    """`results` itself, or the first of `folders` where it is `NEWEST`. Raises InputError if there is none."""
    if results != NEWEST:
        return Path(results)
    if not folders:
        raise InputError("no results folder is here yet: run a sweep, or name the folder of one.")
    return folders[0]


def _began(folder: Path) -> str:
    """When the last command began, in UTC, as a manifest says it; of a copy of rows alone nothing is known."""
    with contextlib.suppress(InputError):
        sittings = read_manifest(folder)["sittings"]
        return str(sittings[-1].get("started", "")) if sittings else ""
    return ""
