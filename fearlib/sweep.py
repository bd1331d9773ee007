"""A sweep: methods x architectures x seeds, to one journal; a rerun does only what is missing."""

import functools
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fearlib.architecture import SPACE, Architecture
from fearlib.data import load_dataset
from fearlib.errors import InputError, require
from fearlib.journal import append_to_journal, read_journal, replace_file
from fearlib.methods import expand_methods, run_trial
from fearlib.presets import Settings, as_dict
from fearlib.provenance import sitting
from fearlib.tables import write_tables

MANIFEST = "manifest.json"
# Dask makes workers hand freed memory back at once, and training then spends a third of its time on page faults.
_KEEP_MEMORY = {"OMP_NUM_THREADS": 1, "MALLOC_TRIM_THRESHOLD_": 2**32, "MALLOC_MMAP_THRESHOLD_": 2**32}


@dataclass(frozen=True)
class Trial:
    """One method on one architecture with one seed."""

    index: int
    method: str
    seed: int


def run_sweep(
    folder: str | Path,
    dataset: str,
    settings: Settings,
    methods: list[str],
    architectures: list[Architecture],
    seeds: list[int] = (0,),
    data_folder: str | None = None,
    truth: pd.Series | None = None,
    workers: int = 1,
    time_budget: float = float("inf"),
    after_trial: Callable[[dict], None] = lambda record: None,
) -> pd.DataFrame:
    """Run every trial that `folder` does not hold yet, and return the table of all its rows.

    `methods` as in `fearlib.methods.expand_methods`. `truth` is the benchmark's test accuracy in % by
    architecture index. No trial starts after `time_budget` seconds. More than one worker runs one-thread
    processes through dask. `after_trial` is called with each finished trial's record. The folder receives
    `journal.jsonl` while the sweep runs and `rows.csv`, `curves.csv` and `manifest.json` at its end, when it
    is interrupted too. Raises InputError if the folder holds results of another configuration.
    """
    folder = Path(folder)
    labels = expand_methods(methods, settings)
    load = functools.partial(cached_dataset, dataset, data_folder, settings.resolution, settings.train_images)
    loaded = load()
    configuration = {
        "space": SPACE,
        "dataset": dataset,
        "dataset_source": loaded.source,
        "dataset_verified": loaded.verified,
        "dataset_fingerprint": loaded.fingerprint,
        "train_images": len(loaded.train_labels),
        "test_images": len(loaded.test_labels),
        "settings": as_dict(settings),
    }
    folder.mkdir(parents=True, exist_ok=True)
    manifest = _open_manifest(folder, configuration)
    manifest["sittings"].append(sitting(workers))

    finished = {
        Trial(**record["trial"])
        for record in read_journal(folder)
        if not any(row["outcome"].startswith("failed") for row in record["rows"])
    }
    trials = [
        Trial(architecture.index, label, seed)
        for label in labels
        for seed in seeds
        for architecture in architectures
    ]
    missing = [trial for trial in trials if trial not in finished]
    run = functools.partial(_run, load=load, fingerprint=loaded.fingerprint, settings=settings)
    deadline = time.monotonic() + time_budget
    progress = require("tqdm.auto", "show progress").tqdm(
        total=len(trials), initial=len(trials) - len(missing), desc=f"{dataset} {settings.preset}", unit="trial"
    )
    _write_manifest(folder, manifest)
    try:
        with progress, _executor(workers) as execute:
            for trial, result in execute(run, missing, deadline):
                record = {"trial": vars(trial), **result}
                record["rows"] = [_complete(row, trial, dataset, settings, truth) for row in result["rows"]]
                append_to_journal(folder, record)
                manifest["sittings"][-1]["trials"] += 1
                _write_manifest(folder, manifest)
                progress.update()
                after_trial(record)
    finally:
        manifest["sittings"][-1]["ended"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _write_manifest(folder, manifest)
        rows = write_tables(folder, truth)
    return rows


@functools.lru_cache(maxsize=1)
def cached_dataset(name: str, folder: str | None, resolution: int, train_images: int | None):
    """`load_dataset`, remembering the last one: a worker loads its dataset once."""
    return load_dataset(name, folder, resolution, train_images)


def _run(trial: Trial, load, fingerprint: str, settings: Settings) -> dict:
    dataset = load()
    if dataset.fingerprint != fingerprint:
        raise InputError(f"a worker found other data ({dataset.fingerprint}) than the driver ({fingerprint}).")
    try:
        return run_trial(Architecture.from_index(trial.index), trial.method, trial.seed, dataset, settings)
    except InputError:
        raise
    except Exception as error:
        reason = f"failed: {type(error).__name__}: {error}"
        nothing = {"score": float("nan"), "seconds": float("nan"), "macs": 0, "outcome": reason}
        return {"rows": [{"method": trial.method, **nothing}], "curve": []}


def _complete(row: dict, trial: Trial, dataset: str, settings: Settings, truth: pd.Series | None) -> dict:
    accuracy = float("nan") if truth is None else float(truth.get(trial.index, float("nan")))
    return {
        "space": SPACE,
        "index": trial.index,
        "arch": str(Architecture.from_index(trial.index)),
        "dataset": dataset,
        "preset": settings.preset,
        **row,
        "seed": trial.seed,
        "test_accuracy": accuracy,
    }


@contextmanager
def _executor(workers: int) -> Iterator[Callable]:
    """A function that runs trials and yields (trial, result) as they finish, until the deadline."""
    if workers < 1:
        raise InputError(f"workers is {workers}: it must be at least 1.")
    if workers == 1:
        yield _in_this_process
        return
    distributed = require("distributed", "run more than one worker")
    with (
        require("dask", "run more than one worker").config.set(
            {"distributed.nanny.pre-spawn-environ": _KEEP_MEMORY}
        ),
        distributed.LocalCluster(workers, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield functools.partial(_on_cluster, distributed, client, workers)


def _in_this_process(run: Callable, trials: list[Trial], deadline: float) -> Iterator[tuple[Trial, dict]]:
    for trial in trials:
        if time.monotonic() >= deadline:
            return
        yield trial, run(trial)


def _on_cluster(distributed, client, workers: int, run: Callable, trials: list[Trial], deadline: float):
    waiting = iter(trials)
    running = {client.submit(run, trial, pure=False): trial for trial in itertools.islice(waiting, workers)}
    completed = distributed.as_completed(running)
    for future in completed:
        trial, result = running.pop(future), future.result()
        following = next(waiting, None) if time.monotonic() < deadline else None
        if following is not None:
            future = client.submit(run, following, pure=False)
            running[future] = following
            completed.add(future)
        yield trial, result


def _open_manifest(folder: Path, configuration: dict) -> dict:
    path = folder / MANIFEST
    if not path.exists():
        return {"configuration": configuration, "sittings": []}
    try:
        manifest = json.loads(path.read_text())
        existing = manifest["configuration"]
        manifest["sittings"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a manifest of a sweep: restore it, or choose another folder.") from error
    differences = _differences(existing, configuration)
    if differences:
        raise InputError(
            f"{folder} holds results of another configuration ({'; '.join(differences)}): "
            "choose another folder, or the same settings and data."
        )
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


def _write_manifest(folder: Path, manifest: dict) -> None:
    replace_file(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
