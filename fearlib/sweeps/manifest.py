"""A sweep's manifest: its configuration, and for every sitting who ran it, with what and where."""

import json
from collections import Counter
from pathlib import Path

from fearlib.errors import InputError
from fearlib.files.outside import existing_path, read_json, user_path
from fearlib.files.write import replace_file
from fearlib.plugin import is_name
from fearlib.sweeps.journal import has_journal, set_aside

MANIFEST = "manifest.json"
PREPARED = "dataset_prepared"  # not in manifests from before it was noted
SET_ASIDE = "set_aside"  # damaged lines, which the sittings do not count
MAX_BYTES = 2**24  # a sitting takes half a KB


def open_manifest(folder: Path, configuration: dict) -> dict:
    """The folder's manifest, `completed`, or a new one. Raises InputError if it has another configuration."""
    path = folder / MANIFEST
    if not path.exists():
        if has_journal(folder):
            raise InputError(f"{folder} has a journal but no {MANIFEST}: restore it, or choose another folder.")
        return {"configuration": configuration, "sittings": []}
    manifest = read_manifest(folder)
    existing = completed(manifest["configuration"], configuration)
    differences = _differences(existing, completed(configuration, existing))
    if differences:
        raise InputError(
            f"{folder} holds results of another configuration ({'; '.join(differences)}): "
            "choose another folder, or the same settings and data."
        )
    return manifest | {"configuration": existing}


def completed(configuration: dict, *others: dict) -> dict:
    """The configuration; if it lacks `PREPARED`, with that of the first other one that has it."""
    prepared = next((each[PREPARED] for each in others if PREPARED in each), None)
    return configuration if prepared is None else {PREPARED: prepared} | configuration


def read_manifest(folder: str | Path) -> dict:
    """What a sweep says of itself: `configuration` and `sittings`. Raises InputError if it cannot be read."""
    path = user_path(folder) / MANIFEST
    if not path.exists():
        refuse_absent_or_several(folder)
    try:
        manifest = read_json(path, MAX_BYTES, levels=8)
    except InputError as error:
        raise InputError(f"{path} is not a readable manifest of a sweep ({error}).") from error
    wrong = _wrong(manifest)
    if wrong:
        raise InputError(
            f"{path} is not a manifest of a sweep, for {wrong}: restore it, or choose another folder."
        )
    return manifest


def refuse_absent_or_several(folder: str | Path) -> None:
    """Raises InputError if what should hold a sweep is not there, or has sweeps in folders of their own."""
    folder = existing_path(folder)
    sweeps = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))
    if sweeps:
        raise InputError(f"{folder} holds the sweeps {', '.join(sweeps):.200}: name one, as {folder / sweeps[0]}.")


def _wrong(manifest: object) -> str | None:
    """What is not as the readers of a manifest expect it, if anything."""
    if not isinstance(manifest, dict) or not isinstance(manifest.get("configuration"), dict):
        return "it has no configuration"
    configuration = manifest["configuration"]
    for key in ("space", "dataset"):  # perhaps of a module that was not imported here
        if not is_name(configuration.get(key)):
            return f"it names no {key}"
    settings = configuration.get("settings")
    if not isinstance(settings, dict) or not _is_preset(settings.get("preset")):
        return "its settings name no preset"
    if type(manifest.get(SET_ASIDE, 0)) is not int:
        return "the lines set aside are no number"
    sittings = manifest.get("sittings")
    if not isinstance(sittings, list) or not all(isinstance(sitting, dict) for sitting in sittings):
        return "its sittings are not a list of objects"
    for sitting in sittings:
        if type(sitting.get("trials", 0)) is not int:
            return "the trials of a sitting are no number"
        missing = sitting.get("missing", {})
        if not isinstance(missing, dict) or not all(type(n) is int and 0 <= n < 2**63 for n in missing.values()):
            return "the missing trials of a sitting are not numbers of trials by method"
    return None


def _is_preset(preset: object) -> bool:
    return isinstance(preset, str) and is_name(preset.partition("(")[0]) and preset.isprintable()


def _differences(old: dict, new: dict, prefix: str = "") -> list[str]:
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            found.extend(_differences(before, now, f"{prefix}{key}."))
        elif before != now:
            found.append(f"{prefix}{key} was {before!r:.200} and is now {now!r:.200}")
    return found


def write_manifest(folder: Path, manifest: dict) -> None:
    replace_file(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())


def refuse_lost_trials(folder: Path, manifest: dict, of_sitting: Counter) -> None:
    """Raises InputError if the journal in `folder` has fewer trials of its sittings than its manifest counted.

    Tables made from it would lose them. There may be more: a sitting that was killed counted none. Lines that were
    set aside since are not lost.
    """
    counted = Counter({number: past.get("trials", 0) for number, past in enumerate(manifest["sittings"])})
    since = max(0, set_aside(folder) - manifest.get(SET_ASIDE, 0))
    lost = (counted - of_sitting).total() - since
    if lost > 0:
        raise InputError(
            f"{folder}: its journal lacks {lost} trials that its {MANIFEST} counted: put the whole journal back, "
            "or choose another folder."
        )


def count_trials(folder: Path, manifest: dict, of_sitting: Counter) -> None:
    """Put into a manifest how many trials of each sitting the journal has, and how many lines were set aside.

    Raises InputError if the journal in `folder` has trials of a sitting that the manifest lacks.
    """
    if max(of_sitting, default=-1) >= len(manifest["sittings"]):
        raise InputError(
            f"{folder}: its journal names a sitting that its {MANIFEST} lacks: put the newer {MANIFEST} back."
        )
    for number, past in enumerate(manifest["sittings"]):
        past["trials"] = of_sitting[number]
    if (aside := set_aside(folder)) != manifest.get(SET_ASIDE, 0):
        manifest[SET_ASIDE] = aside
