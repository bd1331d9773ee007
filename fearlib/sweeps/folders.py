"""Which results folders there are to look into, and what tables call them."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from fearlib.errors import InputError
from fearlib.files.outside import user_path
from fearlib.sweeps.journal import FORMS
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.rows import ROW_FORMS

NEWEST = "newest"


def results_folders(parent: str | Path = "results") -> list[Path]:
    """`parent` and the folders in it, or in a folder there, that hold a sweep; none if there is no such folder.

    Those in the archive lie deeper.
    """
    places = [f"{within}{name}" for within in ("", "*/", "*/*/") for name in (*ROW_FORMS, *FORMS)]
    return sorted({path.parent for place in places for path in user_path(parent).glob(place)})


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


def by_name(folders: Iterable[str | Path]) -> dict[str, str | Path]:
    """The folders by the names under which tables show them. Raises InputError if two have the same name."""
    named = {}
    for folder in folders:
        name = Path(folder).name
        if name in named:
            raise InputError(
                f"Two folders are named {name}, {named[name]} and {folder}: sweeps that are shown together need "
                "names of their own."
            )
        named[name] = folder
    return named


def distinct_names(folders: Iterable[str | Path]) -> list[str]:
    """Each folder's name, with as many of those above it as tell it from the other folders."""
    paths = [Path(os.path.abspath(user_path(folder))).parts for folder in folders]

    def tail(parts: tuple[str, ...]) -> str:
        for length in range(1, len(parts)):
            if all(parts[-length:] != other[-length:] for other in set(paths) - {parts}):
                return "/".join(parts[-length:])
        return str(Path(*parts))

    return [tail(parts) for parts in paths]


def _began(folder: Path) -> str:
    """When the last command began, in UTC, as a manifest says it; of a copy of rows alone nothing is known."""
    with contextlib.suppress(InputError):
        sittings = read_manifest(folder)["sittings"]
        return str(sittings[-1].get("started", "")) if sittings else ""
    return ""
