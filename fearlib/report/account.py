"""What a sweep rests on: the commands that make it, code, packages, hardware and data."""

import contextlib
import shlex
from pathlib import Path

from fearlib.data.registry import shown_name, stand_in_note
from fearlib.errors import InputError
from fearlib.files.outside import read_json
from fearlib.files.progress import progress
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.labels import kind_of
from fearlib.sweeps.manifest import MANIFEST, MAX_BYTES
from fearlib.sweeps.presets import LENGTHS, PRESETS, as_dict, preset, setting_text
from fearlib.sweeps.rows import rows_file

ARCHIVE = "archive"  # in a folder of results: sweeps of former presets, and unfinished ones
OF_A_SITTING = ("started", "ended", "trials", "workers", "commit", "plugin", "hardware", "python", "truth")


def accounts(results: Path) -> list[dict]:
    """The account of every folder in `results` with a manifest, archived ones last.

    Raises InputError if one cannot be read.
    """
    places = f"*/{MANIFEST}", f"{ARCHIVE}/*/*/{MANIFEST}"
    paths = [path for place in places for path in sorted(results.glob(place))]
    return [account(path.parent) for path in progress(paths, "reading journals", "sweep")]


def name_in_results(folder: Path) -> str:
    """A sweep's place in the folder of results: its name, or `archive/KIND/NAME`."""
    parts = folder.parts[-3:]
    return "/".join(parts) if parts[0] == ARCHIVE else folder.name


def account(folder: Path) -> dict:
    """What a folder's manifest and journal say of it, as texts and numbers to show."""
    configuration, sittings = _read(folder / MANIFEST)
    trials = [record["trial"] for record in read_journal(folder, curves=False)]
    settings, dataset = configuration["settings"], str(configuration.get("dataset", ""))
    return {
        "name": name_in_results(folder),
        "dataset": shown_name(dataset),
        "note": stand_in_note([dataset]),
        "source": configuration.get("dataset_source", ""),
        "fingerprint": configuration.get("dataset_fingerprint", ""),
        "preset": settings.get("preset", "none"),
        "settings": ", ".join(f"{key}={value}" for key, value in settings.items() if key != "preset"),
        "architectures": len({trial["index"] for trial in trials}),
        "trials": len({tuple(trial.values()) for trial in trials}),
        "seeds": ", ".join(map(str, sorted({trial["seed"] for trial in trials}))),
        "methods": sorted({trial["method"] for trial in trials}),
        "commands": commands(folder, configuration, trials, any(sitting["truth"] for sitting in sittings)),
        "commits": list(dict.fromkeys(str(sitting["commit"]) for sitting in sittings)),
        "hardware": list(dict.fromkeys(str(sitting["hardware"]) for sitting in sittings)),
        "sittings": sittings,
        "latest": max((str(sitting["ended"] or sitting["started"]) for sitting in sittings), default=""),
    }


def provenance(folder: str | Path) -> str:
    """Where a sweep's numbers come from, in lines to print: data, settings, architectures and sittings."""
    folder = Path(folder)
    of_it, configuration = account(folder), _read(folder / MANIFEST)[0]
    lines = [
        f"{of_it['dataset']}: {of_it['source']},",
        f"fingerprint {of_it['fingerprint']}, {configuration['train_images']} training images",
        f"preset {of_it['preset']}: {of_it['settings']}",
        f"{of_it['architectures']} architectures, seeds {of_it['seeds']}",
    ]
    for sitting in of_it["sittings"]:
        lines.append(f"{sitting['started']}: {sitting['trials']} trials by {sitting['workers']} worker(s),")
        plugin = f" with {sitting['plugin']}" if sitting["plugin"] else ""
        lines.append(f"  code {sitting['commit']}{plugin}, {sitting['hardware']}")
    return "\n".join(lines)


def _read(path: Path) -> tuple[dict, list[dict]]:
    """Configuration and sittings. A notebook's manifest names no search space, so less is asked of it than of a
    sweep's."""
    manifest = read_json(path, MAX_BYTES, levels=8)
    configuration = manifest.get("configuration") if isinstance(manifest, dict) else None
    if not isinstance(configuration, dict) or not isinstance(configuration.get("settings"), dict):
        raise InputError(f"{path} is not a manifest: it has no configuration with settings.")
    sittings = manifest.get("sittings")
    if not isinstance(sittings, list) or not all(
        isinstance(sitting, dict) and isinstance(sitting.get("packages", {}), dict) for sitting in sittings
    ):
        raise InputError(f"{path} is not a manifest: its sittings are not a list of objects with packages.")
    return configuration, [
        {key: sitting.get(key, "") for key in OF_A_SITTING} | {"packages": sitting.get("packages", {})}
        for sitting in sittings
    ]


def commands(folder: Path, configuration: dict, trials: list[dict], with_truth: bool) -> list[str]:
    """The `fear rank` commands for the trials: one for all methods and seeds with the same architectures.

    Without trials there are none. The benchmark's accuracies are those that the folder holds; INDICES stands for a
    file of the architectures' indices.
    """
    name = kind_of(str(configuration["settings"].get("preset")))
    if not trials or name not in PRESETS:
        return []
    each = {}
    for trial in trials:
        each.setdefault((trial["method"], trial["seed"]), set()).add(trial["index"])
    seeds = {}
    for (method, seed), indices in sorted(each.items()):
        seeds.setdefault((method, frozenset(indices)), []).append(seed)
    methods = {}
    for (method, indices), of_method in seeds.items():
        methods.setdefault((indices, tuple(of_method)), []).append(method)
    orders = _orders(folder, configuration["space"])
    shared = _shared(folder, configuration, name)
    shared += ["--truth", f"results/{name_in_results(folder)}"] if with_truth else []
    return [
        shlex.join(
            [*shared, "--indices", *_indices(folder, indices, orders), "--methods", " ".join(of_them)]
            + (["--seeds", ",".join(map(str, of_seeds))] if of_seeds != (0,) else [])
        )
        for (indices, of_seeds), of_them in methods.items()
    ]


def _shared(folder: Path, configuration: dict, name: str) -> list[str]:
    """The command's beginning: data, preset, and what differs from the preset; the precision always."""
    dataset, space = configuration["dataset"], configuration["space"]
    usual = as_dict(preset(name, dataset, space=space, precision="float32"))
    changes = [
        (key, value)
        for key, value in configuration["settings"].items()
        if key == "precision" or (key not in ("preset", *LENGTHS) and key in usual and usual[key] != value)
    ]
    words = ["fear", "rank", f"results/{name_in_results(folder)}", "--dataset", dataset, "--preset", name]
    words += ["--space", space] if space != "nats-tss" else []
    return words + [word for key, value in changes for word in ("--set", f"{key}={setting_text(value)}")]


def _orders(folder: Path, space: str) -> dict[Path, list[int]]:
    """The sweep's architectures as it came to them, as its sorted rows name them, and as texts beside its folder
    list them, where these can be read."""
    orders = {}
    for where in filter(None, (folder, rows_file(folder), *sorted(folder.parent.glob("*.txt")))):
        with contextlib.suppress(InputError):
            orders[where] = [each.index for each in read_indices(where, space=space)]
    return orders


def _indices(folder: Path, indices: frozenset[int], orders: dict[Path, list[int]]) -> list[str]:
    """The first architectures in one of the orders, where these are meant; else a file."""
    for where, order in orders.items():
        if set(order[: len(indices)]) == indices:
            beside = not where.is_relative_to(folder)
            place = where.name if beside else Path(name_in_results(folder), where.relative_to(folder))
            place = Path("results", place)
            return [place.as_posix(), "--count", str(len(indices))]
    return ["INDICES", "--count", str(len(indices))]
