"""A sweep: methods x architectures x seeds, to one journal; a rerun does only what is missing."""

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from fearlib.architecture import SPACE, Architecture
from fearlib.data import load_dataset
from fearlib.errors import InputError, require
from fearlib.journal import JOURNAL, append_to_journal, only_writer, read_journal, replace_file
from fearlib.methods import expand_methods, run_trial
from fearlib.presets import LENGTHS, Settings, as_dict
from fearlib.provenance import sitting, utc_now
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
    if workers < 1:
        raise InputError(f"workers is {workers}: it must be at least 1.")
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
        "settings": {key: value for key, value in as_dict(settings).items() if key not in LENGTHS},
    }
    trials = [
        Trial(architecture.index, label, seed)
        for label in labels
        for seed in seeds
        for architecture in architectures
    ]
    run = functools.partial(_run, load=load, fingerprint=loaded.fingerprint, settings=settings)
    folder = Path(folder)
    with only_writer(folder):
        manifest = open_manifest(folder, configuration)
        records = read_journal(folder)
        _count_trials(manifest, records)
        manifest["sittings"].append(sitting(workers, truth))
        finished = finished_trials(records)
        missing = [trial for trial in trials if trial not in finished]
        results = _execute(run, missing, time.monotonic() + time_budget, workers)
        progress = _progress(len(trials), len(missing), f"{dataset} {settings.preset}")
        try:
            with progress, contextlib.closing(results):
                write_manifest(folder, manifest)
                for trial, result in results:
                    record = {"trial": vars(trial), "sitting": len(manifest["sittings"]) - 1, **result}
                    record["rows"] = [_complete(row, trial, dataset, settings, truth) for row in result["rows"]]
                    append_to_journal(folder, record)
                    manifest["sittings"][-1]["trials"] += 1
                    progress.update()
                    after_trial(record)
        except BaseException:
            with contextlib.suppress(InputError):  # what stopped the sweep is the sentence to show
                _close(folder, manifest, truth)
            raise
        return _close(folder, manifest, truth)


def _close(folder: Path, manifest: dict, truth: pd.Series | None) -> pd.DataFrame:
    manifest["sittings"][-1]["ended"] = utc_now()
    write_manifest(folder, manifest)
    return write_tables(folder, truth)


@functools.lru_cache(maxsize=1)
def cached_dataset(name: str, folder: str | None, resolution: int, train_images: int | None):
    """`load_dataset` on the GPU if there is one, remembering the last: a worker loads its dataset once."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return load_dataset(name, folder, resolution, train_images).to(device)


def _count_trials(manifest: dict, records: list[dict]) -> None:
    """A sitting that was killed could not count its own trials."""
    for number, past in enumerate(manifest["sittings"]):
        past["trials"] = sum(record.get("sitting", 0) == number for record in records)


def finished_trials(records: list[dict]) -> set[Trial]:
    """The trials of a journal that need not run again: a failed one is tried again."""
    return {
        Trial(**record["trial"])
        for record in records
        if not any(row["outcome"].startswith("failed") for row in record["rows"])
    }


def _progress(trials: int, missing: int, what: str):
    tqdm = require("tqdm.auto", "show progress").tqdm
    return tqdm(total=trials, initial=trials - missing, desc=what, unit="trial")


def _run(trial: Trial, load, fingerprint: str, settings: Settings) -> dict:
    dataset = load()
    if dataset.fingerprint != fingerprint:
        raise InputError(f"a worker found other data ({dataset.fingerprint}) than the driver ({fingerprint}).")
    try:
        return run_trial(Architecture.from_index(trial.index), trial.method, trial.seed, dataset, settings)
    except InputError:
        raise
    except Exception as error:
        return _failed(trial, error)


def _failed(trial: Trial, error: Exception) -> dict:
    nothing = dict.fromkeys(("score", "seconds", "macs"), float("nan"))
    reason = f"failed: {type(error).__name__}: {error}"
    return {"rows": [{"method": trial.method, **nothing, "outcome": reason}], "curve": []}


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


def _execute(run: Callable, trials: list[Trial], deadline: float, workers: int) -> Iterator[tuple[Trial, dict]]:
    """Run trials, starting none after the deadline, and yield (trial, result) as they finish."""
    if workers > 1 and trials:
        yield from _on_cluster(run, trials, deadline, workers)
        return
    for trial in trials:
        if time.monotonic() >= deadline:
            return
        yield trial, run(trial)


def _on_cluster(run: Callable, trials: list[Trial], deadline: float, workers: int) -> Iterator[tuple[Trial, dict]]:
    config = require("dask", "run more than one worker").config
    distributed = require("distributed", "run more than one worker")
    waiting = iter(trials)
    with (
        config.set(
            {
                "distributed.nanny.pre-spawn-environ": _KEEP_MEMORY,
                "distributed.worker.profile.enabled": False,  # it would hold the interpreter every 10 ms
            }
        ),
        distributed.LocalCluster(workers, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        running = {}
        completed = distributed.as_completed()

        def start():
            trial = next(waiting, None) if time.monotonic() < deadline else None
            if trial is not None:
                future = client.submit(run, trial, pure=False)
                running[future] = trial
                completed.add(future)

        for _ in range(workers):
            start()
        for future in completed:
            trial = running.pop(future)
            try:
                result = future.result()
            except distributed.KilledWorker as error:  # out of memory, most likely
                result = _failed(trial, error)
            start()
            yield trial, result


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
