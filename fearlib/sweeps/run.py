"""A sweep: methods x architectures x seeds, to one journal; a rerun does only what is missing."""

import contextlib
import functools
import math
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch

from fearlib.data.dataset import Dataset
from fearlib.data.registry import DATASETS, dataset_name, load_dataset
from fearlib.errors import InputError, check_least, check_whole, one_line, require
from fearlib.files.outside import user_path
from fearlib.files.progress import in_terminal
from fearlib.plugin import PLUGIN, import_plugin
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import find_space, space_of
from fearlib.sweeps.given import checked_truth, distinct
from fearlib.sweeps.journal import append_to_journal, pack_journal, recover_journal
from fearlib.sweeps.labels import FAILED, has_failed
from fearlib.sweeps.manifest import PREPARED, count_trials, open_manifest, refuse_lost_trials, write_manifest
from fearlib.sweeps.methods import expand_methods, most_macs
from fearlib.sweeps.place import Place
from fearlib.sweeps.presets import LENGTHS, Settings, as_dict, checked
from fearlib.sweeps.provenance import code_commit, hardware, sitting, utc_now
from fearlib.sweeps.record import Trial, refuse_unreadable
from fearlib.sweeps.rows import known_accuracy, refuse_rows_without_journal, rows_of_trials, write_tables
from fearlib.sweeps.taken import refuse_measures_twice
from fearlib.sweeps.trial import refuse_nan, run_trial
from fearlib.sweeps.writer import only_writer


@dataclass(frozen=True)
class Plan:
    """What a sweep is to do: its trials in order, how one runs, and what all share."""

    trials: list[Trial]
    run: Callable[[Trial], dict]
    configuration: dict
    truth: pd.Series | None


def run_sweep(
    folder: str | Path,
    dataset: str,
    settings: Settings,
    methods: list[str],
    architectures: list[Architecture] | list[Genotype],
    seeds: list[int] = (0,),
    data_folder: str | None = None,
    truth: pd.Series | dict[int, float] | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    per_gpu: int | None = None,
    retries: int = 0,
    time_budget: float = float("inf"),
    after_trial: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Run every trial that `folder` does not hold yet, and return the table of all its rows.

    `methods` as in `expand_methods`. `truth` is the benchmark's test accuracy in % by architecture index, a Series
    as `benchmark_accuracy` gives it or a dict. One worker is this process; more, or a `scheduler`, or `per_gpu`
    networks at once on each GPU, are dask's, as `cluster` says. A trial that fails (it raises, its workers die,
    its loss or score is not a number, another method has given rows of that name) is recorded with its reason, and
    tried again up to `retries` times once the others are done. No trial starts after `time_budget` seconds.
    Several workers take the cheapest method first, so that there is soon something to see; with a time budget, and
    with one worker, one architecture follows another. The order of architectures is always that given, so that
    those which are finished are no selection. `after_trial` is called with each finished trial's rows. The folder
    receives `journal.jsonl` while the sweep runs; at its end, when it is interrupted too, it has `rows.csv.gz`,
    `manifest.json` and `journal.jsonl.gz`. Raises InputError for a number or settings that cannot be, as
    `distinct` does, if `truth` is not of these architectures, if the folder holds results of another configuration
    or other test accuracies, if two methods take the same measure, if the journal has lost trials, if another
    sweep is writing to it, or on Windows. A script that asks for workers does so under
    `if __name__ == "__main__":`.
    """
    _refuse_places()
    import_plugin()
    place = Place(workers, scheduler, per_gpu)
    check_whole(0, retries=retries)
    check_least(0, time_budget=time_budget)
    ends, (architectures, seeds) = time.monotonic() + time_budget, distinct(architectures, seeds)
    cheap_first = not place.is_here and time_budget == math.inf
    plan = _planned(dataset, settings, methods, architectures, seeds, data_folder, truth, cheap_first)
    folder, started = user_path(folder), time.monotonic()
    with only_writer(folder):
        manifest, missing, made_by = _begun(folder, plan, place)
        with place.opened(missing) as run_on:
            write_manifest(folder, manifest)
            try:
                with _progress(plan, missing) as progress:
                    for trial, result in _with_retries(run_on, plan.run, missing, ends, retries):
                        record = _record(trial, result, plan, manifest, made_by, time.monotonic() - started)
                        append_to_journal(folder, record)
                        manifest["sittings"][-1]["trials"] += 1
                        progress.update(not has_failed(record))
                        if after_trial is not None:
                            after_trial(rows_of_trials([record], plan.configuration))
            except BaseException:
                with contextlib.suppress(Exception):  # what stopped the sweep is the sentence to show
                    _close(folder, manifest, plan.truth)
                raise
            return _close(folder, manifest, plan.truth)


def check_sweep(
    folder: str | Path,
    dataset: str,
    settings: Settings,
    methods: list[str],
    architectures: list[Architecture] | list[Genotype],
    data_folder: str | None = None,
) -> dict:
    """The configuration that `run_sweep` would have for these; nothing is written.

    Raises InputError if they cannot be run, or the folder holds results of another configuration.
    """
    import_plugin()
    plan = _planned(dataset, settings, methods, architectures, (0,), data_folder, truth=None)
    open_manifest(user_path(folder), plan.configuration)
    return plan.configuration


def _planned(
    dataset: str,
    settings: Settings,
    methods: list[str],
    architectures: list[Architecture] | list[Genotype],
    seeds: list[int],
    data_folder: str | None,
    truth: pd.Series | dict[int, float] | None,
    cheap_first: bool = False,
) -> Plan:
    """The plan, one architecture after another; or, if `cheap_first`, one method, by what a trial takes at most.

    Raises InputError for whatever cannot be run.
    """
    dataset, space = dataset_name(dataset), space_of(architectures)
    settings = checked(settings, dataset, space)
    labels = expand_methods(methods, settings)
    if truth is not None:
        truth = checked_truth(truth, [architecture.index for architecture in architectures], stacklevel=4)
    data_folder = data_folder and os.path.abspath(user_path(data_folder))  # workers run elsewhere
    load = functools.partial(cached_dataset, dataset, data_folder, settings.resolution, settings.train_images)
    loaded = load()
    looked_at = architectures if cheap_first else architectures[:1]
    costs = {  # which refuses what does not fit, before anything is written
        label: max((most_macs(each, label, loaded, settings) for each in looked_at), default=0) for label in labels
    }
    trials = [
        Trial(int(architecture.index), label, seed)
        for architecture in architectures
        for seed in seeds
        for label in labels
    ]
    return Plan(
        trials=sorted(trials, key=lambda trial: costs[trial.method]) if cheap_first else trials,
        run=functools.partial(
            _run, space=space, load=load, data=_identity(loaded), settings=settings, plugin=os.environ.get(PLUGIN),
        ),
        configuration=sweep_configuration(space, dataset, loaded, settings),
        truth=truth,
    )  # fmt: skip


def _refuse_places() -> None:
    """Where no sweep can run: on Windows, and in a worker that imports the script which has asked for it."""
    if os.name == "nt":
        raise InputError("sweeps run on Linux and macOS: on Windows, run fearlib in WSL.")
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)  # without a word: the driver says what to do


def sweep_configuration(space: str, dataset: str, loaded: Dataset, settings: Settings) -> dict:
    """What all trials of a sweep share; sweeps that differ in it cannot be one."""
    return {
        "space": space,
        "dataset": dataset,
        "dataset_source": loaded.source,
        "dataset_verified": loaded.verified,
        "dataset_fingerprint": loaded.fingerprint,
        "train_images": len(loaded.train_labels),
        "test_images": len(loaded.test_labels),
        PREPARED: loaded.prepared,
        "settings": {key: value for key, value in as_dict(settings).items() if key not in LENGTHS},
    }


def _close(folder: Path, manifest: dict, truth: pd.Series | None) -> pd.DataFrame:
    manifest["sittings"][-1]["ended"] = utc_now()
    write_manifest(folder, manifest)
    rows = write_tables(folder, truth)
    pack_journal(folder)
    return rows


def cached_dataset(name: str, folder: str | None, resolution: int, train_images: int | None) -> Dataset:
    """`load_dataset` on the GPU if there is one, remembering the last: a worker loads its dataset once.

    Not if another function loads it meanwhile, or its files are looked for elsewhere.
    """
    return _remembered(DATASETS[name], os.environ.get("FEARLIB_DATA"), name, folder, resolution, train_images)


@functools.lru_cache(maxsize=1)
def _remembered(loads: Callable, elsewhere: str | None, *asked) -> Dataset:
    return load_dataset(*asked).to("cuda" if torch.cuda.is_available() else "cpu")


def _identity(dataset: Dataset) -> str:
    return f"{dataset.fingerprint}, {dataset.prepared}"


def _begun(folder: Path, plan: Plan, place: Place) -> tuple[dict, list[Trial], dict[str, str]]:
    """The folder's manifest, with a sitting that begins now; the trials to run in it; `_take_up`'s names."""
    refuse_rows_without_journal(folder)
    manifest = open_manifest(folder, plan.configuration)
    for index, accuracy in known_accuracy(folder).items():
        _check_truth(index, accuracy, plan.truth)
    finished, made_by = _take_up(folder, manifest, plan.truth)
    methods = (trial.method for trial in [*finished, *plan.trials])
    refuse_measures_twice(methods, plan.configuration["settings"])
    missing = [trial for trial in plan.trials if trial not in finished]
    this = sitting(plan.truth) | asdict(place)
    manifest["sittings"].append(this | {"missing": Counter(trial.method for trial in missing)})
    return manifest, missing, made_by


def _record(trial: Trial, result: dict, plan: Plan, manifest: dict, made_by: dict[str, str], after: float) -> dict:
    """What the journal holds of a trial, without what its sitting says already.

    That it failed, if it could not be read again, or would count as another method's, as `made_by` says which has
    made rows of that name; it would not be otherwise the next time, so it is not retried.
    """
    index, this = len(manifest["sittings"]) - 1, manifest["sittings"][-1]
    record = {
        "trial": vars(trial),
        "sitting": index,
        "test_accuracy": _accuracy(trial.index, plan.truth),
        "after": after,
    }
    record |= {key: value for key, value in result.items() if this.get(key) != value}
    try:
        refuse_unreadable(record)
        for name in (names := [row["method"] for row in record["rows"]]):
            if (other := made_by.get(name, trial.method)) != trial.method:
                raise ValueError(f"{other} has given rows named {name}, too: rows need other names")
        made_by |= dict.fromkeys(names, trial.method)
    except ValueError as error:
        return record | _failure(trial, error)
    return record


def _take_up(folder: Path, manifest: dict, truth: pd.Series | None) -> tuple[set[Trial], dict[str, str]]:
    """The trials that need not run again, and by which method rows of each name are made, from the journal."""
    of_sitting, finished, made_by = Counter(), set(), {}
    for record in recover_journal(folder):
        _check_truth(record["trial"]["index"], record["test_accuracy"], truth)
        of_sitting[record.get("sitting", 0)] += 1
        if not has_failed(record):
            finished.add(Trial(**record["trial"]))
            made_by |= dict.fromkeys((row["method"] for row in record["rows"]), record["trial"]["method"])
    refuse_lost_trials(folder, manifest, of_sitting)
    count_trials(folder, manifest, of_sitting)
    return finished, made_by


def _check_truth(index: int, recorded: float, truth: pd.Series | None) -> None:
    """Raises InputError if a folder holds another test accuracy (%) of the architecture than `truth`."""
    given = _accuracy(index, truth)
    if not (math.isnan(recorded) or math.isnan(given) or recorded == given):
        raise InputError(
            f"architecture {index} has a test accuracy of {recorded}% in the journal and of {given}% in the "
            "truth given now: give the same truth, or choose another folder."
        )


def _progress(plan: Plan, missing: list[Trial]):
    tqdm, total = require("tqdm", "show progress").tqdm, len(plan.trials)
    what = f"{plan.configuration['dataset']} {plan.configuration['settings']['preset']}"
    often = 0.1 if in_terminal() else 10.0  # seconds; a log and a notebook keep every line
    return tqdm(
        total=total, initial=total - len(missing), desc=what, unit="trial", mininterval=often,
        disable=sys.stderr is None,
    )  # fmt: skip


def _with_retries(
    run_on: Callable, run: Callable, trials: list[Trial], deadline: float, retries: int
) -> Iterator[tuple[Trial, dict]]:
    """(trial, result) as they finish; then again for those that failed, up to `retries` times."""
    for _ in range(1 + retries):
        failed = []
        with contextlib.closing(run_on(run, trials, deadline)) as results:
            for trial, result in results:
                if isinstance(result, Exception):  # its workers died, most likely of too much memory
                    result = _failure(trial, result)
                if has_failed(result):
                    failed.append(trial)
                yield trial, result
        trials = failed


def _run(
    trial: Trial,
    space: str,
    load: Callable,
    data: str,
    settings: Settings,
    plugin: str | None = None,
) -> dict:
    """A trial's rows and learning curve, how long it took in all, and with what code on what machine.

    `plugin` is the driver's.
    """
    started = time.monotonic()
    try:
        import_plugin(plugin)
        dataset = load()
        if (found := _identity(dataset)) != data:
            raise ValueError(f"the worker found other data ({found}) than the driver ({data})")
        result = run_trial(find_space(space).from_index(trial.index), trial.method, trial.seed, dataset, settings)
        refuse_nan(result)
    except Exception as error:
        result = _failure(trial, error)
    return result | {"elapsed": time.monotonic() - started, "hardware": hardware(), "commit": code_commit()}


def _failure(trial: Trial, error: Exception) -> dict:
    nothing = dict.fromkeys(("score", "seconds", "macs"), float("nan"))
    reason = f"{FAILED}{one_line(error)}".encode(errors="backslashreplace").decode()
    return {"rows": [{"method": trial.method, **nothing, "outcome": reason}], "curve": []}


def _accuracy(index: int, truth: pd.Series | None) -> float:
    return math.nan if truth is None else float(truth.get(index, math.nan))
