"""A sweep's manifest: its configuration, and for every sitting who ran it, with what and where."""

import json
from pathlib import Path

from fearlib.errors import InputError
from fearlib.journal import JOURNAL, replace_file

MANIFEST = "manifest.json"


def open_manifest(folder: Path, configuration: dict) -> dict:
    """The folder's manifest, or a new one. Raises InputError if it is one of another configuration."""
    path = folder / MANIFEST
    if not path.exists():
        if (folder / JOURNAL).exists():
            raise InputError(f"{folder} has a journal but no {MANIFEST}: restore it, or choose another folder.")
        return {"configuration": configuration, "sittings": []}
    manifest = read_manifest(folder)
    existing = manifest["configuration"]
    differences = _differences(existing, configuration)
    if differences:
        raise InputError(
            f"{folder} holds results of another configuration ({'; '.join(differences)}): "
            "choose another folder, or the same settings and data."
        )
    return manifest


def read_manifest(folder: str | Path) -> dict:
    """What a sweep says of itself: `configuration` and `sittings`. Raises InputError if it cannot be read."""
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable manifest of a sweep ({error}).") from error
    forms = {"configuration": dict, "sittings": list}
    if not isinstance(manifest, dict) or not all(isinstance(manifest.get(k), form) for k, form in forms.items()):
        raise InputError(f"{path} is not a manifest of a sweep: restore it, or choose another folder.")
    return manifest


def _differences(old: dict, new: dict, prefix: str = "") -> list[str]:
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            found.extend(_differences(before, now, f"{prefix}{key}."))
        elif before != now:
            found.append(f"{prefix}{key} was {before!r} and is now {now!r}")
    return found


def write_manifest(folder: Path, manifest: dict) -> None:
    replace_file(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
