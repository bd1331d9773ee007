"""Settings of FEAR compared: how well each ranks, how they differ on shared architectures, what is chance."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fearlib.errors import InputError
from fearlib.ranking.estimate import estimate
from fearlib.ranking.finished import finished_rows, methods_of
from fearlib.ranking.statistics import (
    spearman,
    spearman_difference,
    top_indices,
    top_spearman,
    top_spearman_difference,
)
from fearlib.spaces import darts, nats
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.methods import parse_method
from fearlib.sweeps.rows import read_curves, read_rows

NETWORK_SETTINGS = ("cells", "channels", "resolution", "train_images")
FEAR_SETTINGS = ("threshold", "threshold_checks", "stage2_epochs", "stage2_batch", "first_free_block", "precision")
_FREEZE_POINTS = {"nats-tss": nats.freeze_point, "darts": darts.freeze_point}
LEAST_SHARED = 10  # architectures, for two settings to be compared


class Run(NamedTuple):
    """FEAR with one setting and seed in one sweep, `of` a dataset, its source and a search space.

    In `rows` `dataset`, `score`, `test_accuracy` and `macs` by index, in `ends` the training accuracy at which
    stage 1 ended.
    """

    sweep: str
    of: str
    seed: int
    settings: dict
    rows: pd.DataFrame
    ends: pd.Series


def fear_settings(label: str, preset: dict, names: Iterable[str], space: str) -> dict:
    """The named settings of a FEAR: those in its label, else the preset's. `threshold_checks` was 1 once.

    Raises InputError for another that both lack, and for another space than the library's where neither states
    `first_free_block`.
    """
    values = {"threshold_checks": 1} | preset | parse_method(label)[1]
    if lacking := sorted({*names, "cells", "first_free_block"} - values.keys()):
        raise InputError(f"the settings beside {label} lack {', '.join(lacking)}: its manifest was altered.")
    if values["first_free_block"] is None:
        if space not in _FREEZE_POINTS:
            raise InputError(f"where {label} cuts networks of {space} is not known: state its first_free_block.")
        values["first_free_block"] = _FREEZE_POINTS[space](values["cells"])
    return {name: values[name] for name in names}


def read_runs(folder: str | Path, methods: Iterable[str] | None = None) -> dict[str, Run]:
    """Every FEAR in a sweep's folder, by a name such as `cifar10_compact: fear(stage2_epochs=24), seed 0`.

    Each on all that it has, or `methods` alone on the architectures that are finished with all of these.
    """
    folder = Path(folder)
    rows, curves = read_rows(folder) if methods is None else finished_rows(folder, methods), read_curves(folder)
    configuration = read_manifest(folder)["configuration"]
    preset, runs = configuration["settings"], {}
    for (method, seed), each in rows[rows.method.isin(methods_of(rows, "fear"))].groupby(["method", "seed"]):
        stage1 = curves[(curves.method == method) & (curves.seed == seed) & (curves.stage == 1)]
        runs[f"{folder.name}: {method}, seed {seed}"] = Run(
            folder.name,
            ", ".join(str(configuration.get(key)) for key in ("dataset", "dataset_source", "space")),
            seed,
            fear_settings(method, preset, (*NETWORK_SETTINGS, *FEAR_SETTINGS), configuration["space"]),
            each.set_index("index")[["dataset", "score", "test_accuracy", "macs"]],
            _ends(stage1, configuration["train_images"]),
        )
    return runs


def _ends(stage1: pd.DataFrame, train_images: int) -> pd.Series:
    """The training accuracy over the latest epoch's worth of images, at which stage 1 looks, by index."""
    ends = {}
    for index, curve in stage1.groupby("index"):
        latest = curve.sort_values("epoch", ascending=False)
        latest = latest[latest.images.cumsum() <= train_images]
        ends[index] = (latest.train_top1 * latest.images).sum() / latest.images.sum()
    return pd.Series(ends, dtype=float)


def ablation_table(runs: dict[str, Run]) -> pd.DataFrame:
    """A line a run: its settings, how well it ranks, and how far the end of stage 1 makes its score.

    `score ~ stage-1 end` is Spearman between the two, and `gain: Spearman` that of the score less the end.
    """
    lines = []
    for run in runs.values():
        scored = run.rows.dropna(subset=["score", "test_accuracy"])
        score, accuracy, end = scored.score, scored.test_accuracy, run.ends.reindex(scored.index)
        line = {"sweep": run.sweep, **run.settings, "seed": run.seed}
        line |= {"n": len(scored), "out": len(run.rows) - len(scored)}
        line |= estimate(spearman, score, accuracy).columns("Spearman")
        line["top 50%"] = top_spearman(score, accuracy, 50)
        line["spread of stage-1 end"] = end.std()
        line["score ~ stage-1 end"] = spearman(score, end)
        line["gain: Spearman"] = spearman(score - end, accuracy)
        line["10^9 macs"] = run.rows.macs.mean() / 1e9
        lines.append(line)
    return pd.DataFrame(lines)


def _shared(one: Run, other: Run) -> pd.DataFrame:
    """`score`, `test_accuracy` and the `other` score, where all are known."""
    of_one = one.rows[["score", "test_accuracy"]]
    return of_one.join(other.rows.score.rename("other"), how="inner").dropna()


def compare_with_references(runs: dict[str, Run], references: list[str]) -> pd.DataFrame:
    """Every run beside every one of the references, once a pair, where enough architectures have both scores.

    Raises InputError if the runs are of several datasets, copies of one, or search spaces.
    """
    if len(data := {run.of for run in runs.values()}) > 1:
        raise InputError(f"these FEARs cannot be compared: they are of {' and of '.join(sorted(data))}.")
    lines, compared = [], []
    for one in runs:
        for other in references:
            if other not in runs or one == other or {one, other} in compared:
                continue
            compared.append({one, other})
            both = _shared(runs[one], runs[other])
            if len(both) < LEAST_SHARED:
                continue
            difference = estimate(spearman_difference, both.score, both.other, both.test_accuracy)
            lines.append(
                {
                    "one": one,
                    "other": other,
                    "n": len(both),
                    "Spearman of one": spearman(both.score, both.test_accuracy),
                    "of the other": spearman(both.other, both.test_accuracy),
                    "difference (95%)": str(difference),
                    "between the two scores": spearman(both.score, both.other),
                    "mean difference of scores": (both.score - both.other).mean(),
                    "its sd": (both.score - both.other).std(),
                }
            )
    return pd.DataFrame(lines)


def compare_freeze_points(last_cell: Run, block_2: Run, seen: Iterable[int]) -> pd.DataFrame:
    """The last cell alone free, less block 2 and all after it free: over all, and without those `seen`.

    Raises InputError if the two are not that, or differ in something else.
    """
    if last_cell.settings | {"first_free_block": 2} != block_2.settings | {"first_free_block": 2}:
        raise InputError("these two FEARs differ in more than the block from which stage 2 trains.")
    blocks = [run.settings["first_free_block"] for run in (last_cell, block_2)]
    if blocks != [nats.freeze_point(last_cell.settings["cells"]), 2]:
        raise InputError(f"these two FEARs train from blocks {blocks} on, not from the last cell and block 2.")
    lines, both = [], _shared(last_cell, block_2)
    for which, each in (("all", both), ("not seen", both[~both.index.isin(set(seen))])):
        for top in (100, 50):
            accuracy = each.test_accuracy
            line = {"architectures": which, "top": top, "n": len(top_indices(accuracy, top))}
            line["last cell free"] = top_spearman(each.score, accuracy, top)
            line["block 2 free"] = top_spearman(each.other, accuracy, top)
            difference = partial(top_spearman_difference, percent=top)
            lines.append(line | estimate(difference, each.score, each.other, accuracy).columns("difference"))
    return pd.DataFrame(lines)


def noise_of_two_seeds(runs: dict[str, Run], reference: str, beside: pd.Series) -> pd.DataFrame:
    """How much of a score is chance, from runs of the reference's settings with other seeds.

    A line a run: the noise's standard deviation, beside that of the scores, and Spearman of each seed, of the mean
    of both and of the scores `beside` by index, as texts.
    """
    lines, first = [], runs[reference]
    for other in runs.values():
        both = _shared(first, other)
        if other.settings != first.settings or other.seed == first.seed or len(both) < LEAST_SHARED:
            continue
        noise, spread = (both.score - both.other).std() / 2**0.5, both.score.std()
        line = {"seeds": f"{first.seed}, {other.seed}", "n": len(both)}
        line |= {"sd of the noise": noise, "sd of the scores": spread, "reliability": 1 - (noise / spread) ** 2}
        line["between the seeds"] = spearman(both.score, both.other)
        scores = {f"seed {first.seed}": both.score, f"seed {other.seed}": both.other}
        scores |= {"mean of both": (both.score + both.other) / 2, beside.name: beside.reindex(both.index)}
        line |= {name: str(estimate(spearman, score, both.test_accuracy)) for name, score in scores.items()}
        lines.append(line)
    return pd.DataFrame(lines)
