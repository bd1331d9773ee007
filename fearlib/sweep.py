"""A sweep: methods x architectures x seeds, to one journal; a rerun does only what is missing."""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from fearlib.architecture import Architecture
from fearlib.darts import Genotype
from fearlib.data import load_dataset
from fearlib.errors import InputError, require
from fearlib.journal import append_to_journal, only_writer, read_journal, set_damaged_lines_aside
from fearlib.manifest import open_manifest, write_manifest
from fearlib.methods import expand_methods, run_trial
from fearlib.presets import LENGTHS, Settings, as_dict
from fearlib.provenance import sitting, utc_now
from fearlib.spaces import build, known_space, space_of
from fearlib.tables import rows_of_trials, write_tables


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
    architectures: list[Architecture] | list[Genotype],
    seeds: list[int] = (0,),
    data_folder: str | None = None,
    truth: pd.Series | None = None,
    workers: int = 1,
    time_budget: float = float("inf"),
    after_trial: Callable[[pd.DataFrame], None] = lambda rows: None,
) -> pd.DataFrame:
    """Run every trial that `folder` does not hold yet, and return the table of all its rows.

    `methods` as in `fearlib.methods.expand_methods`. `truth` is the benchmark's test accuracy in % by
    architecture index. No trial starts after `time_budget` seconds. More than one worker runs one-thread
    processes through dask. `after_trial` is called with each finished trial's rows. The folder receives
    `journal.jsonl` while the sweep runs and `rows.csv`, `curves.csv` and `manifest.json` at its end, when it
    is interrupted too. Raises InputError if the folder holds results of another configuration, or other test
    accuracies than `truth`.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}: it must be at least 1.")
    space, labels = space_of(architectures), expand_methods(methods, settings)
    load = functools.partial(cached_dataset, dataset, data_folder, settings.resolution, settings.train_images)
    loaded = load()
    for architecture in architectures[:1]:  # refuses wrong sizes before anything is written
        build(architecture, loaded.num_classes, settings.channels, settings.cells)
    configuration = {
        "space": space,
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
        for architecture in architectures  # outermost: a sweep cut short has every method on the same ones
        for seed in seeds
        for label in labels
    ]
    run = functools.partial(_run, space=space, load=load, fingerprint=loaded.fingerprint, settings=settings)
    folder = Path(folder)
    with only_writer(folder):
        manifest = open_manifest(folder, configuration)
        set_damaged_lines_aside(folder)
        records = read_journal(folder)
        check_truth(records, truth)
        count_trials(manifest, records)
        manifest["sittings"].append(sitting(workers, truth))
        finished = finished_trials(records)
        missing = [trial for trial in trials if trial not in finished]
        results = _execute(run, missing, time.monotonic() + time_budget, workers)
        progress = _progress(len(trials), len(missing), f"{dataset} {settings.preset}")
        try:
            with progress, contextlib.closing(results):
                write_manifest(folder, manifest)
                for trial, result in results:
                    record = {"trial": vars(trial), "sitting": len(manifest["sittings"]) - 1}
                    record |= {"test_accuracy": _accuracy(trial, truth), **result}
                    append_to_journal(folder, record)
                    manifest["sittings"][-1]["trials"] += 1
                    progress.update()
                    after_trial(rows_of_trials([record], configuration))
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


def count_trials(manifest: dict, records: list[dict]) -> None:
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


def check_truth(records: list[dict], truth: pd.Series | None) -> None:
    """Raises InputError if a journal's records hold another test accuracy than `truth` for an architecture."""
    for record in records:
        index, recorded = record["trial"]["index"], record["test_accuracy"]
        given = math.nan if truth is None else truth.get(index, math.nan)
        if not (math.isnan(recorded) or math.isnan(given) or recorded == given):
            raise InputError(
                f"architecture {index} has a test accuracy of {recorded}% in the journal and of {given}% in the "
                "truth given now: give the same truth, or choose another folder."
            )


def _progress(trials: int, missing: int, what: str):
    tqdm = require("tqdm.auto", "show progress").tqdm
    return tqdm(total=trials, initial=trials - missing, desc=what, unit="trial")


def _run(trial: Trial, space: str, load, fingerprint: str, settings: Settings) -> dict:
    dataset = load()
    if dataset.fingerprint != fingerprint:
        raise InputError(f"a worker found other data ({dataset.fingerprint}) than the driver ({fingerprint}).")
    try:
        architecture = known_space(space).kind.from_index(trial.index)
        return run_trial(architecture, trial.method, trial.seed, dataset, settings)
    except InputError:
        raise
    except Exception as error:
        return _failed(trial, error)


def _failed(trial: Trial, error: Exception) -> dict:
    nothing = dict.fromkeys(("score", "seconds", "macs"), float("nan"))
    reason = f"failed: {type(error).__name__}: {error}"
    return {"rows": [{"method": trial.method, **nothing, "outcome": reason}], "curve": []}


def _accuracy(trial: Trial, truth: pd.Series | None) -> float:
    return math.nan if truth is None else float(truth.get(trial.index, math.nan))


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
                "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1},
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
