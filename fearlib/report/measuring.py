"""The paper's claims, measured from the sweeps in a folder of results: the lines that the ledger takes."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from fearlib.benchmark.truth import benchmark_accuracy
from fearlib.data.registry import STANDS_FOR
from fearlib.errors import InputError
from fearlib.ranking.against_shortreg import TOPS
from fearlib.ranking.degradation import with_start
from fearlib.ranking.estimate import Estimate, estimate
from fearlib.ranking.finished import comparable_methods, finished_rows, methods_of, preset_method
from fearlib.ranking.statistics import common, spearman, spearman_difference
from fearlib.ranking.tables import (
    compare_methods,
    degradation_moments,
    in_papers_form,
    nearest_shortreg,
    ranking_table,
    top_table,
)
from fearlib.report.account import commands
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.labels import parse_label, read_label
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.rows import holds_sweep, read_rows

DATA_AGNOSTIC = ("synflow", "synflow_bn", "params", "macs", "l2_norm", "zen")
_TRAINED = ("fear", "shortreg")
_IMAGES = "the {} images (fear data) and their sweep at the paper preset, results/{}"
MISSING = {
    "C3": "short training as long as the paper's (50 epochs); with 1 to 16: tables/cifar10_compact_search.md",
    "C4": "the degradation sweep",
    "C5": "the synthetic sweep",
    "F1": "the degradation sweep",
    "T1": f"{_IMAGES.format('cifar100', 'cifar100_paper')}, "
    "with a top large enough; on CIFAR-10: tables/cifar10_paper_nearest.md",
    "T2": "the synthetic sweep",
    "T3": "short training as long as the paper's (50 epochs); with 1 to 16: tables/cifar10_compact_search.md",
}
MISSING |= {
    claim.format(dataset): _IMAGES.format(dataset, folder.format(dataset))
    for dataset in ("cifar10", "cifar100", "imagenet16-120")
    for claim, folder in (
        ("C1.{}", "{}_paper"),
        ("C2.{}", "{0}_paper, with results/zero_cost_{0}"),
        ("ZC.{}", "zero_cost_{}"),
    )
}


def measure_claims(ids: pd.Series, results: str | Path) -> list[dict]:
    """A line for every claim of `ids` that the sweeps in `results` can answer, as `ledger` takes them.

    A claim on methods or moments that a sweep does not have gets none.

    Where two methods are compared, `than` names the other, the best that there is.
    """
    _command.cache_clear()  # a sweep may have gone on
    sources = (_zero_cost, _degradation, _fear_alone, _fear_among_others, _against_shortreg, _synthetic)
    return [line for source in sources for line in source(list(ids), Path(results))]


def _line(
    claim: str,
    folder: Path,
    methods: tuple,
    each: pd.DataFrame,
    found: Estimate,
    top: int = 100,
    beyond: float = 0,
) -> dict:
    """A measured line on the `top` percent; `each` are the rows that it rests on, `methods` the labels or kinds of
    the trials that make them, and the verdict is `beyond` what a random score would have."""
    configuration = read_manifest(folder)["configuration"]
    preset = configuration["settings"]["preset"]
    return found.columns("ours") | {
        "id": claim,
        "paper_scale": preset.startswith("paper"),
        "top": top,
        "beyond": beyond,
        "stand_in": configuration["dataset"] in STANDS_FOR,
        "n": found.n,
        "architectures": each["index"].nunique(),
        "seeds": ", ".join(map(str, sorted(each.seed.unique()))),
        "preset": preset,
        "dataset": configuration["dataset"],
        "data": f"{configuration['dataset_source']}, {configuration['dataset_fingerprint']}",
        "command": _command(folder, methods, frozenset(each["index"]), frozenset(each.seed)),
    }


@functools.cache
def _command(folder: Path, methods: tuple, indices: frozenset, seeds: frozenset) -> str:
    """The commands that make those methods' trials on those architectures, and all seeds of a truth of our own."""
    manifest = read_manifest(folder)
    trials = [record["trial"] for record in read_journal(folder, curves=False)]
    kinds = set(methods) - {t["method"] for t in trials}
    trials = [t for t in trials if t["method"] in methods or parse_label(t["method"]).name in kinds]
    trials = [t for t in trials if t["index"] in indices]
    trials = [t for t in trials if t["seed"] in seeds or t["method"] == "full"]
    with_truth = any(sitting["truth"] for sitting in manifest["sittings"])
    return " && ".join(commands(folder, manifest["configuration"], trials, with_truth))


def _asked(ids: list[str], beginning: str | tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """The claims that begin so, each with what its id says after that."""
    return ((claim, claim.split(".")[1:]) for claim in ids if claim.startswith(beginning))


def _zero_cost(ids: list[str], results: Path) -> Iterator[dict]:
    for claim, (dataset, name) in _asked(ids, "ZC."):
        (folder,) = _folders(results, dataset, "zero_cost_{}")
        if holds_sweep(folder):
            rows = _first_seed(read_rows(folder))
            each = rows[rows.method == name]
            if len(each):
                found, beside = _with_published_accuracies(folder, dataset, each)
                yield _line(claim, folder, ("zero_cost",), each, found) | {"beside": beside}


def _with_published_accuracies(folder: Path, dataset: str, each: pd.DataFrame) -> tuple[Estimate, str]:
    """Spearman with the accuracies on which the published value rests, where the folder has them, and a note."""
    tested = estimate(spearman, each.score, each.test_accuracy)
    if dataset != "cifar10":
        return tested, ""
    try:
        accuracy = benchmark_accuracy(folder, "cifar10-valid", each["index"], split="validation")
    except InputError:
        return tested, "with test accuracy, the published with validation accuracy"
    return estimate(spearman, each.score, accuracy.to_numpy()), f"with test accuracy: {tested}"


def _degradation(ids: list[str], results: Path) -> Iterator[dict]:
    """On the cosine over the whole run; a change over the architectures that have the score at both moments."""
    folder = results / "degradation_cifar10"
    if not holds_sweep(folder):
        return
    rows = read_rows(folder)
    rows = rows[list(map(_is_moment_of_cosine, rows.method))]
    if rows.empty:
        return
    moments = degradation_moments(rows)
    line = partial(_line, folder=folder, methods=("degradation",))
    for claim, (name, epoch) in _asked(ids, "F1."):
        each = moments[(moments.measure == name) & (moments.epoch == float(epoch))]
        if len(each):
            known = each.groupby("index")[["score", "test_accuracy"]].mean().dropna()
            yield line(claim, each=each, found=estimate(spearman, known.score, known.test_accuracy))
    for claim, (name, when) in _asked(ids, "C4."):
        each = moments[moments.measure == name]
        epochs = each.epoch[each.score.notna()]
        epoch = 1 if when == "first" else epochs.max()
        if {0, epoch} <= set(epochs):
            yield line(claim, each=each, found=estimate(spearman_difference, *with_start(each, epoch)))


def _is_moment_of_cosine(method: str) -> bool:
    arguments = read_label(method).arguments
    return arguments.get("schedule") == "cosine" and "epoch" in arguments


def _fear_alone(ids: list[str], results: Path) -> Iterator[dict]:
    for claim, (dataset,) in _asked(ids, "C1."):
        (folder,) = _folders(results, dataset, "{}_paper")
        if holds_sweep(folder) and methods_of(rows := read_rows(folder), "fear"):
            fear = preset_method(rows)
            if len(each := finished_rows(folder, [fear])):
                yield _line(claim, folder, (fear,), each, Estimate.of(ranking_table(each).iloc[0], "spearman"))


def _fear_among_others(ids: list[str], results: Path) -> Iterator[dict]:
    """FEAR less the best other method in the top half, the zero-cost measures of a sweep of their own included."""
    for claim, (dataset,) in _asked(ids, "C2."):
        folder, measures = _folders(results, dataset, "{}_paper", "zero_cost_{}")
        methods, rows = _comparison(folder, *_TRAINED)
        if methods and holds_sweep(measures):
            free = _first_seed(read_rows(measures))
            free = free[free["index"].isin(rows["index"])]
            yield from _ahead_of_best(claim, folder, methods, pd.concat([rows, free]), rows, percent=50)


def _against_shortreg(ids: list[str], results: Path) -> Iterator[dict]:
    """T1 in the paper's form. Chance gives `common` x% in the top x%."""
    folder = results / "cifar100_paper"
    methods, rows = _comparison(folder, *_TRAINED)
    if not methods or not methods_of(rows, "shortreg"):
        return
    fear = preset_method(rows)
    form = in_papers_form(rows, fear)
    tops = top_table(form, TOPS)
    nearest = nearest_shortreg(tops, fear).set_index(["value", "top"])
    tops = tops.set_index(["method", "top"])
    for claim, (whose, value, top) in _asked(ids, ("T1.fear.", "T1.shortreg.")):
        if (value, int(top)) not in nearest.index:
            continue
        method = fear if whose == "fear" else nearest.setting[value, int(top)]
        chance, found = 0.0, Estimate.of(tops.loc[(method, int(top))], "spearman")
        if value == "common":
            each = form[form.method == method].groupby("index")[["score", "test_accuracy"]].mean()
            shared = estimate(partial(common, percent=int(top)), each.score, each.test_accuracy)
            chance, found = int(top) / 100, replace(shared, n=found.n)
        yield _line(claim, folder, methods, rows[rows.method == method], found, int(top), chance)


def _synthetic(ids: list[str], results: Path) -> Iterator[dict]:
    """Against our own full training. C5 compares FEAR with the best of the measures that look at no data."""
    folder = results / "synthetic_compact"
    methods, rows = _comparison(folder, "full", "fear", "zero_cost")
    if not methods:
        return
    fear = preset_method(rows)
    for claim, (name,) in _asked(ids, "T2."):
        each = rows[rows.method == (fear if name == "fear" else name)]
        if len(each):
            yield _line(claim, folder, methods, each, Estimate.of(ranking_table(each).iloc[0], "spearman"))
    if "C5" in ids:
        yield from _ahead_of_best("C5", folder, methods, rows[rows.method.isin((fear, *DATA_AGNOSTIC))], rows)


def _ahead_of_best(
    claim: str, folder: Path, made_by: tuple, compared: pd.DataFrame, rows: pd.DataFrame, percent: float = 100
) -> Iterator[dict]:
    """A line, or none where there is no other method."""
    fear = preset_method(rows)
    found = compare_methods(compared, fear, percent=percent)
    if len(found):
        best = found.sort_values("difference").iloc[0]
        line = _line(claim, folder, made_by, rows[rows.method == fear], Estimate.of(best, "difference"), percent)
        yield line | {"than": best.than}


def _folders(results: Path, dataset: str, *forms: str) -> list[Path]:
    """The dataset's folders of these forms; its stand-in's where that alone has them all."""
    datasets = dataset, *(name for name, other in STANDS_FOR.items() if other == dataset)
    each = [[results / form.format(name) for form in forms] for name in datasets]
    return next((folders for folders in each if all(map(holds_sweep, folders))), each[0])


def _first_seed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows.seed == rows.seed.min()]


def _comparison(folder: Path, *kinds: str) -> tuple[tuple[str, ...], pd.DataFrame]:
    """The comparable methods of these kinds and their rows; no methods where there is no FEAR among them yet."""
    if not holds_sweep(folder):
        return (), pd.DataFrame()
    methods = tuple(comparable_methods(folder, *kinds))
    rows = finished_rows(folder, methods)
    return (methods if methods_of(rows, "fear") else ()), rows
