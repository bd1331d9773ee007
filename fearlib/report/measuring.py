"""The paper's claims, measured from the sweeps in a folder of results: the lines that the ledger takes."""

import contextlib
import functools
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from fearlib.benchmark.splits import COLUMNS
from fearlib.benchmark.truth import benchmark_accuracy
from fearlib.data.registry import STANDS_FOR
from fearlib.errors import InputError
from fearlib.ranking.against_shortreg import TOPS, lead_table
from fearlib.ranking.candidates import CHOSEN_WITH
from fearlib.ranking.degradation import degradation_moments, with_start
from fearlib.ranking.estimate import Estimate, estimate
from fearlib.ranking.every_score import positions
from fearlib.ranking.finished import (
    comparable_methods,
    finished_architectures,
    finished_rows,
    methods_of,
    preset_method,
)
from fearlib.ranking.statistics import (
    common,
    lead_over_best,
    spearman,
    spearman_difference,
    top_indices,
    top_spearman,
)
from fearlib.ranking.tables import (
    in_papers_form,
    nearest_shortreg,
    ranking_table,
    top_table,
)
from fearlib.ranking.zero_cost import measures_beside
from fearlib.report.account import commands
from fearlib.report.rule import NO_WORSE
from fearlib.report.searches import EPOCHS, RATIO, search_table, searched_pair, searched_rows
from fearlib.scores.registry import AFTER_FEAR, FIFTEEN
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.labels import kind_of, read_label, truth_method
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.rows import holds_sweep, read_rows, with_finite_scores
from fearlib.sweeps.taken import BY_SCHEDULE

DATA_AGNOSTIC = (  # some look at noise
    "synflow", "synflow_bn", "params", "macs", "l2_norm", "zen", "meco", "az_expressivity", "az_progressivity",
    "az_trainability",
)  # fmt: skip
SCALES = ("paper", "compact")
NEARLY_ALL = 0.9
NETWORK = ("channels", "cells", "resolution")  # smaller ones are not of the paper's scale
CHOSEN = "compact", "cifar10"  # the preset that was chosen with the paper's first architectures, on this dataset
_TRAINED = ("fear", "shortreg")
_IMAGES = "{what} on the images of {dataset} (fear data): results/{folder}"
MISSING = {
    "C4": "a degradation sweep: results/degradation_cifar10",
    "C5": "the synthetic sweep: results/synthetic_compact",
    "F1": "a degradation sweep: results/degradation_cifar10",
    "T2": "the synthetic sweep: results/synthetic_compact",
}
MISSING |= {
    claim.format(dataset): _IMAGES.format(what=what, dataset=dataset, folder=folder.format(dataset))
    for dataset in COLUMNS.values()
    for claim, what, folder in (
        ("C1.{}", "FEAR", "{}_compact"),
        ("C2.{}", "FEAR and other methods", "{}_compact"),
        ("C3.{}", f"FEAR, and short training of {EPOCHS} epochs", "{}_compact"),
        ("T3.{}", f"FEAR, and short training of {EPOCHS} epochs", "{}_compact"),
        ("ZC.{}", "zero-cost measures of full-size networks", "zero_cost_{}"),
    )
}
MISSING["T1"] = _IMAGES.format(what="FEAR and short training", dataset="cifar100", folder="cifar100_compact")


def measure_claims(ids: pd.Series, results: str | Path) -> list[dict]:
    """What the sweeps in `results` answer of the claims `ids`: a line a claim and scale, as `ledger` takes them.

    Of several sweeps at one scale, that on the claim's own images, then that with the most architectures. A claim
    on methods or moments that a sweep does not have gets no line from it. Where FEAR is compared with one other
    method, the text `beside` it names that.
    """
    _command.cache_clear()  # a sweep may have gone on
    sources = (_zero_cost, _degradation, _fear_alone, _fear_among_others, _against_shortreg, _searches, _synthetic)
    best = {}
    for line in itertools.chain.from_iterable(source(list(ids), Path(results)) for source in sources):
        key = line["id"], line["paper_scale"]
        if key not in best or _preference(line) > _preference(best[key]):
            best[key] = line
    return list(best.values())


def _preference(line: dict) -> tuple:
    return not line["stand_in"], line["n"]


def _line(
    claim: str,
    folder: Path,
    made_by: Iterable[str],
    each: pd.DataFrame,
    found: Estimate,
    top: int = 100,
    beyond: float = 0.0,
    beside: str = "",
) -> dict:
    """A measured line on the `top` percent: what is `beyond` a value is judged, and a text stands `beside` it.

    It rests on the rows `each`; `made_by` are the labels or names of the trials that make them.
    """
    configuration = read_manifest(folder)["configuration"]
    preset = configuration["settings"]["preset"]
    label = read_label(preset)
    return found.columns("ours") | {
        "id": claim,
        "beside": "; ".join(filter(None, (beside, _chosen_on(folder, preset, each)))),
        "paper_scale": label.name == "paper" and not {*NETWORK, "train_images"} & label.arguments.keys(),
        "top": top,
        "beyond": beyond,
        "stand_in": configuration["dataset"] in STANDS_FOR,
        "n": found.n,
        "architectures": each["index"].nunique(),
        "seeds": ", ".join(map(str, sorted(each.seed.unique()))),
        "preset": preset,
        "dataset": configuration["dataset"],
        "data": f"{configuration['dataset_source']}, {configuration['dataset_fingerprint']}",
        "command": _command(folder, frozenset(made_by), frozenset(each["index"]), frozenset(each.seed)),
    }


def _chosen_on(folder: Path, preset: str, each: pd.DataFrame) -> str:
    """Of rows with FEAR: on how many of their architectures its preset was chosen, if on any."""
    if (preset, each.dataset.iloc[0]) != CHOSEN or not each.kind.eq("fear").any():
        return ""
    with contextlib.suppress(InputError):  # the paper's list is not there
        place = positions(folder.parent).reindex(each["index"].unique())
        count = (place <= CHOSEN_WITH).sum()
        return f"`{preset}` was chosen with {'all' if count == len(place) else count} of these"
    return ""


@functools.cache
def _command(folder: Path, made_by: frozenset, indices: frozenset, seeds: frozenset) -> str:
    """The commands that make those methods' trials on those architectures, and all seeds of a truth of our own."""
    manifest = read_manifest(folder)
    trials = [record["trial"] for record in read_journal(folder, curves=False)]
    labels = {t["method"] for t in trials}
    kinds, own_truth = made_by - labels, truth_method(labels)
    trials = [t for t in trials if t["method"] in made_by or kind_of(t["method"]) in kinds]
    trials = [t for t in trials if t["index"] in indices]
    trials = [t for t in trials if t["seed"] in seeds or t["method"] == own_truth]
    with_truth = any(sitting["truth"] for sitting in manifest["sittings"])
    return " && ".join(commands(folder, manifest["configuration"], trials, with_truth))


def _asked(ids: list[str], *beginnings: str) -> Iterator[tuple[str, list[str]]]:
    """The claims that begin so, each with what its id says after its first part."""
    return ((claim, claim.split(".")[1:]) for claim in ids if claim.startswith(beginnings))


def _sweeps(results: Path, *forms: str, dataset: str = "") -> Iterator[Path]:
    """The folders of these forms that hold a sweep, of the dataset and of its stand-in, at every scale."""
    datasets = dataset, *(name for name, other in STANDS_FOR.items() if other == dataset)
    names = (form.format(dataset=each, scale=scale) for form in forms for each in datasets for scale in SCALES)
    return (results / name for name in dict.fromkeys(names) if holds_sweep(results / name))


def _zero_cost(ids: list[str], results: Path) -> Iterator[dict]:
    for dataset in COLUMNS.values():
        asked = list(_asked(ids, f"ZC.{dataset}."))
        for folder in _sweeps(results, "zero_cost_{dataset}", dataset=dataset) if asked else ():
            rows = read_rows(folder)
            for claim, (_, name) in asked:
                each = rows[(rows.method == name) & (rows.seed == rows.seed.min())]
                if len(each):
                    found, beside = _with_published_accuracies(folder, dataset, each)
                    yield _line(claim, folder, ["zero_cost"], each, found, beside=beside)


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
    """On every schedule of the learning rate. The last epoch is one after the first."""
    for folder in _sweeps(
        results, "degradation_cifar10", "degradation_cifar10_{scale}", "degradation_long_cifar10"
    ):
        rows = read_rows(folder)
        for (name, schedule), moments in degradation_moments(rows).groupby(["measure", "schedule"], sort=False):
            epochs = set(moments.epoch[moments.score.notna()])
            line = partial(_line, folder=folder, made_by=[BY_SCHEDULE.get(schedule, "degradation")])
            for claim, (_, epoch) in _asked(ids, f"F1.{name}."):
                if float(epoch) in epochs:
                    each = moments[moments.epoch == float(epoch)]
                    known = each.groupby("index")[["score", "test_accuracy"]].mean().dropna()
                    found = estimate(spearman, known.score, known.test_accuracy)
                    yield line(claim, each=each, found=found, beside=schedule)
            for claim, (_, when) in _asked(ids, f"C4.{name}."):
                epoch = 1 if when == "first" else max(epochs, default=0)
                if {0, epoch} <= epochs and (when == "first" or epoch > 1):
                    each = moments[moments.epoch == epoch]
                    found = estimate(spearman_difference, *with_start(moments, epoch))
                    yield line(claim, each=each, found=found, beside=f"{schedule}, after {epoch:g}")


def _fear_alone(ids: list[str], results: Path) -> Iterator[dict]:
    for claim, (dataset,) in _asked(ids, "C1."):
        for folder in _sweeps(results, "{dataset}_{scale}", dataset=dataset):
            if methods_of(rows := read_rows(folder), "fear"):
                fear = preset_method(rows)
                if len(each := finished_rows(folder, [fear])):
                    yield _line(claim, folder, [fear], each, Estimate.of(ranking_table(each).iloc[0], "spearman"))


def _fear_among_others(ids: list[str], results: Path) -> Iterator[dict]:
    """FEAR less the best other method in the top half, zero-cost measures among them.

    They are of full-size networks, where there are such.
    """
    for claim, (dataset,) in _asked(ids, "C2."):
        for folder in _sweeps(results, "{dataset}_{scale}", dataset=dataset):
            methods, rows = _comparison(folder, *_TRAINED)
            if not methods:
                continue
            free = measures_beside(folder, rows["index"], prefer_full_size=True)
            if free.empty:
                continue
            line = _ahead_with_and_without_later(claim, folder, methods, pd.concat([rows, free]), percent=50)
            line["beside"] += f"; zero-cost measures at `{free.preset.iloc[0]}`"
            yield line | {"command": f"{line['command']} && {_command_of(free)}"}


def _command_of(free: pd.DataFrame) -> str:
    """That of zero-cost measures in the folder that they are from."""
    folder = free.attrs["folder"]
    trials = {record["trial"]["method"] for record in read_journal(folder, curves=False)}
    made_by = frozenset(method for method in trials if kind_of(method) == "zero_cost")
    return _command(folder, made_by, frozenset(free["index"]), frozenset(free.seed))


def _against_shortreg(ids: list[str], results: Path) -> Iterator[dict]:
    """T1 in the paper's form. Chance gives `common` x% in the top x%. Lead and costs are on one common set.

    The paper has another short training beside `common` than beside Spearman. Ours is one for all, so that both
    ratios of costs are the same.
    """
    if not any(_asked(ids, "T1.")):
        return
    for folder in _sweeps(results, "{dataset}_{scale}", dataset="cifar100"):
        if searched_pair(read_rows(folder)):  # both are there
            methods = _widest_comparison(folder)
            rows = finished_rows(folder, methods)
            yield from _in_papers_form(ids, folder, methods, rows)
            yield from _lead(ids, folder, methods, rows)


def _widest_comparison(folder: Path) -> list[str]:
    """The preset's FEAR, and the short trainings that nearly all of its architectures have: the tops are small."""
    rows = read_rows(folder)
    labels = preset_method(rows), *methods_of(rows, "shortreg")
    fear, *others = (len(finished_architectures(folder, [label])) for label in labels)
    least = min(NEARLY_ALL * fear, max(others))
    return [labels[0], *(label for label, count in zip(labels[1:], others) if count >= least)]


def _in_papers_form(ids: list[str], folder: Path, methods: list[str], rows: pd.DataFrame) -> Iterator[dict]:
    fear = preset_method(rows)
    form = in_papers_form(rows, fear)
    tops = top_table(form, TOPS)
    nearest = nearest_shortreg(tops, fear).set_index(["value", "top"])
    tops = tops.set_index(["method", "top"])
    for claim, (whose, value, top) in _asked(ids, "T1.fear.", "T1.shortreg."):
        if (value, int(top)) not in nearest.index:
            continue
        method = fear if whose == "fear" else nearest.setting[value, int(top)]
        chance, found = 0.0, Estimate.of(tops.loc[(method, int(top))], "spearman")
        if value == "common":
            each = form[form.method == method].groupby("index")[["score", "test_accuracy"]].mean()
            shared = estimate(partial(common, percent=int(top)), each.score, each.test_accuracy)
            chance, found = int(top) / 100, replace(shared, n=found.n)
        yield _line(claim, folder, methods, rows[rows.method == method], found, int(top), chance)


def _lead(ids: list[str], folder: Path, methods: list[str], rows: pd.DataFrame) -> Iterator[dict]:
    fear = preset_method(rows)
    leads = lead_table(rows, fear).set_index("top")
    for name in ("lead", "ratio"):
        for claim, (*_, top) in _asked(ids, f"T1.{name}."):
            line = leads.loc[int(top)]
            found, beside = Estimate.of(line, name, f"{name} "), f"beside `{line.than}`"
            if ".common." in claim:
                beside += ", the same costs as beside Spearman"
            yield _line(claim, folder, methods, rows[rows.method == fear], found, int(top), beside=beside)


def _searches(ids: list[str], results: Path) -> Iterator[dict]:
    """T3 and C3: FEAR at the paper's ratio against short training of as many epochs as the paper's."""
    for dataset in COLUMNS.values():
        asked = [claim for claim in ids if claim == f"C3.{dataset}" or claim.startswith(f"T3.{dataset}.")]
        for folder in (
            _sweeps(results, "{dataset}_{scale}", "{dataset}_{scale}_search", dataset=dataset) if asked else ()
        ):
            rows = searched_rows(folder)
            pair = searched_pair(rows)
            if pair is None or read_label(pair[1]).number("epochs") != EPOCHS:
                continue
            rows = rows[rows.method.isin(pair)]
            table = search_table(folder, rows, [RATIO]).set_index(["method", "ratio"])
            for claim in asked:
                name, beyond = ("difference", -NO_WORSE) if claim.startswith("C3.") else (claim.split(".")[2], 0.0)
                found = Estimate.of(table.loc[(pair[0], RATIO)], name, f"{name} ")
                yield _line(claim, folder, pair, rows, found, beyond=beyond, beside=f"beside `{pair[1]}`")


def _synthetic(ids: list[str], results: Path) -> Iterator[dict]:
    """Against our own full training. C5 compares FEAR with the best of the measures that look at no data."""
    for folder in _sweeps(results, "synthetic_{scale}"):
        methods, rows = _comparison(folder, "full", "fear", "zero_cost")
        if not methods:
            continue
        fear = preset_method(rows)
        for claim, (name,) in _asked(ids, "T2."):
            each = rows[rows.method == (fear if name == "fear" else name)]
            if len(each):
                yield _line(claim, folder, methods, each, Estimate.of(ranking_table(each).iloc[0], "spearman"))
        if "C5" in ids:
            agnostic = rows[rows.method.isin((fear, *DATA_AGNOSTIC))]
            if agnostic.dropna(subset="score").method.nunique() > 1:
                yield _ahead_with_and_without_later("C5", folder, methods, agnostic, percent=100)


def _ahead_with_and_without_later(
    claim: str, folder: Path, made_by: tuple, rows: pd.DataFrame, percent: int
) -> dict:
    """FEAR less the best of the others, and beside it the same without the measures of later years, if any."""
    fear = preset_method(rows)
    found, best = _ahead_of_best(rows, fear, percent)
    of_the_time = set(FIFTEEN) - set(AFTER_FEAR)
    beside, then = f"the best other is `{best}`", rows[rows.method.isin(of_the_time) | rows.kind.isin(_TRAINED)]
    if len(then) < len(rows) and then.dropna(subset="score").method.nunique() > 1:
        beside += f"; without later measures {_ahead_of_best(then, fear, percent)[0]}"
    return _line(claim, folder, made_by, rows[rows.method == fear], found, percent, beside=beside)


def _ahead_of_best(rows: pd.DataFrame, fear: str, percent: float) -> tuple[Estimate, str]:
    """FEAR less the best of the others, its own other settings aside, and the name of that other.

    On the architectures that all of them score. Which other is best is found anew in every resample.
    """
    compared = with_finite_scores(rows[(rows.kind != "fear") | (rows.method == fear)])
    each = compared.pivot_table("score", "index", "method").dropna()
    others = each.columns.drop(fear)
    accuracy = rows.groupby("index").test_accuracy.mean()[each.index]
    columns = [each[method] for method in (fear, *others)]
    found = estimate(partial(lead_over_best, percent=percent), *columns, accuracy, reflected=True)
    of_others = pd.Series({method: top_spearman(each[method], accuracy, percent) for method in others})
    return replace(found, n=len(top_indices(accuracy, percent))), of_others.fillna(-math.inf).idxmax()


def _comparison(folder: Path, *kinds: str) -> tuple[tuple[str, ...], pd.DataFrame]:
    """The comparable methods of these kinds and their rows; no methods where FEAR has no score among them."""
    methods = tuple(comparable_methods(folder, *kinds))
    rows = finished_rows(folder, methods)
    has_score = methods_of(rows, "fear") and rows.score[rows.method == preset_method(rows)].notna().any()
    return (methods if has_score else ()), rows
