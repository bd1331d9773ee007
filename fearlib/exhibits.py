"""The paper's tables, figures and claims, and the sweeps that each of them needs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fearlib.data.registry import dataset_name, stands_for
from fearlib.errors import InputError, check_least
from fearlib.files.outside import user_path
from fearlib.spaces.registry import find_space
from fearlib.sweeps.labels import truth_method
from fearlib.sweeps.presets import check_settings, plain_preset, preset

if TYPE_CHECKING:
    import pandas as pd

ARCHITECTURES = Path("results/zero_cost_cifar100")  # the paper's 1,000, in their order
ACCURACIES = Path("results/zero_cost_cifar10/accuracies.csv")  # of these, on the benchmark's three datasets
_SMOKE_COUNT = 3
_SEARCH_BATCH = {"imagenet16-120": 512}  # of short training in a search; else 1,024


@dataclass(frozen=True)
class Sweep:
    """One results folder: the methods, on the first `count` of the paper's architectures.

    Of a space other than NATS-Bench's, `count` architectures are drawn, and the method `full` gives the truth.
    """

    folder: str  # {dataset} and {preset} are filled in
    preset: str
    methods: str
    count: int = 1000
    changes: dict = field(default_factory=dict)  # of the preset's settings
    space: str = "nats-tss"


@dataclass(frozen=True)
class Exhibit:
    """What the paper shows, the sweeps behind it by preset, and what makes our form of it of them."""

    title: str
    shows: str
    sweeps: dict[str, tuple[Sweep, ...]]
    notebook: str  # in analysis/
    files: tuple[str, ...]  # patterns in results/
    dataset: str = "cifar10"  # where nothing else is asked for


_MEASURES = Sweep("zero_cost_{dataset}", "paper", "zero_cost")  # costs little at full size
_RANKING = {
    "compact": (
        Sweep(
            "{dataset}_{preset}", "compact",
            "fear shortreg(epochs=4) shortreg(epochs=8) shortreg(epochs=16) zero_cost", 240,
        ),
    ),
    "paper": (_MEASURES, Sweep("{dataset}_{preset}", "paper", "fear shortreg")),
}  # fmt: skip
_SEARCH = {
    "compact": (Sweep("{dataset}_{preset}_search", "compact", "fear shortreg(epochs=50) zero_cost", 100),),
    "paper": (
        Sweep(
            "{dataset}_{preset}_search", "paper",
            "fear(stage2_epochs=10,stage2_batch=1024) shortreg(epochs=50,batch_size={search_batch}) zero_cost",
        ),
    ),
}  # fmt: skip
_DEGRADATION = {
    "compact": (
        Sweep(
            "degradation_{dataset}", "compact", "degradation(epochs=8) degradation_constant(epochs=8)", 100,
            {"train_images": 10_000},
        ),
    ),
    "paper": (Sweep("degradation_{dataset}_{preset}", "paper", "degradation_constant(epochs=8)"),),
}  # fmt: skip
_SYNTHETIC = {
    "compact": (
        Sweep(
            "synthetic_{preset}", "compact", "fear(stage2_epochs=12) zero_cost full", 120,
            {"train_images": 10_000, "full_epochs": 10},
        ),
    ),
    "paper": (Sweep("synthetic_{preset}", "paper", "fear zero_cost full"),),
}  # fmt: skip
_DARTS = Sweep("darts_{dataset}", "compact", "full", 40, {"cells": 3, "full_epochs": 20}, space="darts")

EXHIBITS = {
    "T1": Exhibit(
        "Within the top x%",
        "FEAR beside the nearest short training on the Pareto front, in the top 10 to 100%: "
        "Spearman, `common`, seconds",
        _RANKING, "fear_against_shortreg",
        ("tables/*_t1.md", "tables/*_lead.md", "tables/*_nearest.md", "tables/*_ahead.md"), "cifar100",
    ),
    "T2": Exhibit(
        "Data unlike images",
        "Spearman of FEAR and six zero-cost measures on the synthetic dataset",
        _SYNTHETIC, "synthetic",
        ("tables/*_t2.md", "tables/synthetic_compact_scores.md", "figures/synthetic_compact_scatter.png"),
        "synthetic",
    ),
    "T3": Exhibit(
        "Random search",
        "random search with FEAR and with short training of 50 epochs: the accuracy found and the seconds",
        _SEARCH, "search", ("tables/t3.md", "tables/*_search.md", "figures/*_search.png"),
    ),
    "F1": Exhibit(
        "Scores in training",
        "Spearman of every zero-cost measure at initialisation and after every epoch of training",
        _DEGRADATION, "degradation",
        (
            "tables/degradation_cifar10_paper.md", "tables/degradation_cifar10.md",
            "tables/degradation_long_cifar10.md", "figures/degradation_cifar10.png",
        ),
    ),
    "F2": Exhibit(
        "Zero-cost within the top x%",
        "Spearman of every zero-cost measure and of FEAR within the top x%",
        {"compact": (_MEASURES, *_RANKING["compact"]), "paper": _RANKING["paper"]},
        "zero_cost", ("tables/zero_cost_*_top.md", "figures/*_top.png"),
    ),
    "F3": Exhibit(
        "No late bloomers",
        "the time to a training accuracy against final accuracy: there are no late bloomers",
        {"compact": (_DARTS, *_RANKING["compact"]), "paper": _RANKING["paper"]},
        "late_bloomers", ("tables/*_late_bloomers.md", "figures/*_late_bloomers.png"),
    ),
    "F4": Exhibit(
        "Correlation against cost",
        "cost against Spearman and against `common`, in the top x%: FEAR, short training, zero-cost measures",
        _RANKING, "fear_against_shortreg",
        ("figures/*_pareto_*.png", "figures/cifar*_cost.png", "tables/*_tops.md"),
    ),
    "C1": Exhibit(
        "FEAR ranks well",
        "FEAR ranks well on all three datasets", _RANKING, "correlations",
        ("tables/cifar*_compact.md", "tables/cifar*_more_architectures.md", "figures/cifar*_scatter.png"),
    ),
    "C2": Exhibit(
        "FEAR is best at the top",
        "FEAR ranks best among the top performers",
        {"compact": (_MEASURES, *_RANKING["compact"]), "paper": _RANKING["paper"]},
        "claims", ("tables/cifar*_differences.md",),
    ),
    "C3": Exhibit(
        "Search with FEAR",
        "FEAR makes random search 2.4 times cheaper, and it finds no worse", _SEARCH, "search",
        ("tables/t3.md", "tables/*_search.md"),
    ),
    "C4": Exhibit(
        "Scores fall in training",
        "zero-cost measures break down as training proceeds", _DEGRADATION, "degradation",
        (
            "tables/degradation_cifar10_paper_change.md", "tables/degradation_cifar10_change.md",
            "tables/degradation_long_cifar10_change.md", "tables/degradation_long_cifar10_later.md",
        ),
    ),
    "C5": Exhibit(
        "FEAR leads, data unlike images",
        "scores that look at no data do not carry over to unlike data", _SYNTHETIC, "synthetic",
        ("tables/synthetic_compact_scores.md",), "synthetic",
    ),
}  # fmt: skip


def find_exhibit(name: str) -> Exhibit:
    """The exhibit of that name. Raises InputError if there is none."""
    if not isinstance(name, str) or name not in EXHIBITS:
        raise InputError(f"unknown exhibit {name!r}: the exhibits are {', '.join(EXHIBITS)}.")
    return EXHIBITS[name]


def exhibit_sweeps(name: str, scale: str = "compact", dataset: str | None = None) -> list[Sweep]:
    """The sweeps that an exhibit needs at a preset, their folders and methods filled in.

    At `smoke`, to try it out, those of `compact` on three architectures; there any exhibit can be tried on the
    synthetic dataset, where the truth is the method `full`. Raises InputError for an unknown exhibit, preset or
    dataset, or one that the exhibit is not about.
    """
    exhibit = find_exhibit(name)
    dataset = dataset_name(dataset or exhibit.dataset)
    plain_preset(scale, dataset)  # refuses unknown ones
    if exhibit.dataset == "synthetic" != dataset:
        raise InputError(f"{name} is about the synthetic dataset, not {dataset}: leave the dataset out.")
    if dataset == "synthetic" != exhibit.dataset and scale != "smoke":
        raise InputError(f"{name} is not about the synthetic dataset: it can be tried on it at smoke alone.")
    sweeps = exhibit.sweeps["compact" if scale == "smoke" else scale]
    if scale == "smoke":
        sweeps = [replace(sweep, preset=scale, count=_SMOKE_COUNT, changes={}) for sweep in sweeps]
    return [_filled_in(sweep, scale, dataset) for sweep in sweeps]


def run_exhibit(
    name: str,
    output: str | Path,
    scale: str = "compact",
    dataset: str | None = None,
    count: int | None = None,
    indices: str | Path = ARCHITECTURES,
    truth: str | Path | None = None,
    changes: dict | None = None,
    time_budget: float = math.inf,
    **how,
) -> dict[Path, pd.DataFrame]:
    """Run the sweeps that an exhibit needs, one after another, into folders in `output`; give their rows.

    A second run does only what is missing. `scale` is a preset, `dataset` the exhibit's own if not given.
    `count` replaces that of every sweep. `indices` and `truth` are what `read_indices` and `benchmark_accuracy`
    take, by default the paper's 1,000 architectures and their accuracies in this repository. `changes` replace
    settings of every sweep. No trial starts after `time_budget` seconds, and a sweep that this leaves no time for
    is not begun. `how` goes to `run_sweep`: seeds, data_folder, workers, scheduler, per_gpu, retries.
    Raises InputError as `exhibit_sweeps` and `run_sweep` do, or where the files for the paper's 1,000 are not
    there.
    """
    from fearlib.sweeps.run import check_sweep, run_sweep  # here, for they import torch

    check_least(0, time_budget=time_budget)
    check_settings(changes or {})
    started, done = time.monotonic(), {}
    dataset = dataset_name(dataset or find_exhibit(name).dataset)
    if truth is not None and dataset == "synthetic":
        raise InputError("the truth of the synthetic dataset is the sweep's own full training: leave truth out.")
    planned = []  # all are known, and can be run, before the first trains
    for sweep in exhibit_sweeps(name, scale, dataset):
        settings = preset(sweep.preset, dataset, space=sweep.space, **sweep.changes | (changes or {}))
        architectures, methods = _architectures(sweep, count, indices), sweep.methods.split()
        accuracy = None if truth_method(methods) else _accuracy(truth, dataset, architectures)
        planned.append((Path(output) / sweep.folder, (dataset, settings, methods, architectures), accuracy))
    for folder, what, _ in reversed(planned):  # the first then has its images loaded
        check_sweep(folder, *what, how.get("data_folder"))
    for folder, what, accuracy in planned:
        left = time_budget - (time.monotonic() - started)
        if done and left <= 0:
            break
        done[folder] = run_sweep(folder, *what, truth=accuracy, time_budget=max(left, 0.0), **how)
    return done


def _filled_in(sweep: Sweep, scale: str, dataset: str) -> Sweep:
    methods = sweep.methods.format(search_batch=_SEARCH_BATCH.get(stands_for(dataset), 1024))
    if dataset == "synthetic" and truth_method(methods.split()) is None:
        methods += " full"
    return replace(sweep, folder=sweep.folder.format(dataset=dataset, preset=scale), methods=methods)


def _architectures(sweep: Sweep, count: int | None, indices: str | Path) -> list:
    from fearlib.sweeps.indices import read_indices

    count = sweep.count if count is None else count
    if sweep.space != "nats-tss":
        return find_space(sweep.space).sample(count, 0)
    return read_indices(_existing(indices), count)


def _accuracy(truth: str | Path | None, dataset: str, architectures: list) -> pd.Series:
    from fearlib.benchmark.truth import benchmark_accuracy

    source = _existing(ACCURACIES) if truth is None else truth
    return benchmark_accuracy(source, dataset, [architecture.index for architecture in architectures])


def _existing(path: str | Path) -> Path:
    path = user_path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: run this in the repository's folder, or name other files.")
    return path
