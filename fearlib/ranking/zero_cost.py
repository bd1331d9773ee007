"""Zero-cost measures at initialisation: beside the published and NASLib's, between seeds, other accuracies."""

import itertools
import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from fearlib.benchmark.splits import COLUMNS, VALIDATION
from fearlib.errors import InputError
from fearlib.files.tables import read_csv
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman, spearman_difference
from fearlib.scores.registry import MEASURES
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.rows import holds_sweep, read_rows

NASLIB = {"jacob_cov": "jacov", "macs": "flops"}  # what it calls by another name
MAX_NASLIB_BYTES = 2**26


def measures_beside(
    folder: str | Path, architectures: Iterable[int], prefer_full_size: bool = False
) -> pd.DataFrame:
    """The rows of the zero-cost measures that all these architectures of the sweep in `folder` have, of one seed.

    They are the sweep's own; where it has none, those of full-size networks in `zero_cost_DATASET` beside it; or
    these first. The folder that has them is their `attrs["folder"]`.
    """
    dataset = read_manifest(folder)["configuration"]["dataset"]
    architectures, places = set(architectures), [Path(folder), Path(folder).parent / f"zero_cost_{dataset}"]
    for place in filter(holds_sweep, reversed(places) if prefer_full_size else places):
        rows = read_rows(place)
        rows = rows[rows.kind.isin(MEASURES) & rows.moment.isna() & rows["index"].isin(architectures)]
        rows = rows[rows.seed == rows.seed.min()]
        measured = rows.groupby("method")["index"].nunique()
        if len(known := measured.index[measured == len(architectures)]):
            rows = rows[rows.method.isin(known)]
            rows.attrs["folder"] = place
            return rows
    return rows.iloc[:0]


def published_comparison(rows: pd.DataFrame, published: dict[str, float]) -> pd.DataFrame:
    """Spearman of every measure in the rows of one seed, beside its `published` value by name.

    Columns: `measure`, `n` architectures with a score and `out` without, `spearman` with its interval `low` and
    `high`, `published` and by how much ours is higher (`difference`), mean `seconds` and `gmacs`.
    """
    lines = []
    for measure in [measure for measure in MEASURES if measure in set(rows.method)]:
        each = rows[rows.method == measure]
        line = {"measure": measure, "n": each.score.notna().sum(), "out": each.score.isna().sum()}
        line |= estimate(spearman, each.score, each.test_accuracy).columns("spearman")
        line["published"] = published.get(measure, math.nan)
        line["difference"] = line["spearman"] - line["published"]
        lines.append(line | {"seconds": each.seconds.mean(), "gmacs": each.macs.mean() / 1e9})
    return pd.DataFrame(lines)


def beside_naslib(rows: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """How every measure in the rows of one seed agrees with NASLib's scores (Krishnakumar et al. 2022).

    `path` is a table of these with a line an architecture: its string `arch`, and a column a measure, in which
    what is no number is no score. Columns of the result: `measure`, `n` architectures that both give a score,
    `spearman` between the two scores with its interval `low` and `high`. Raises InputError if the table cannot be
    read, has an architecture twice, or is of other architectures.
    """
    theirs = read_csv(path, MAX_NASLIB_BYTES, ["arch"]).set_index("arch")
    if theirs.index.has_duplicates:
        raise InputError(f"{path} has {theirs.index[theirs.index.duplicated()][0]!r:.200} twice.")
    ours = rows.pivot(index="arch", columns="method", values="score")
    shared = ours.index.intersection(theirs.index)
    if shared.empty:
        raise InputError(f"{path} has none of the architectures of these rows.")
    lines = []
    for measure in [measure for measure in MEASURES if measure in ours]:
        if NASLIB.get(measure, measure) in theirs:
            other = pd.to_numeric(theirs[NASLIB.get(measure, measure)], errors="coerce")[shared]
            pair = pd.DataFrame({"ours": ours[measure][shared], "theirs": other}).dropna()
            found = estimate(spearman, pair.ours, pair.theirs)
            lines.append({"measure": measure, "n": found.n} | found.columns("spearman"))
    return pd.DataFrame(lines)


def between_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """How the seed changes every measure's Spearman, over the architectures that have a score of every seed.

    Columns: `measure`, `n`, the `lowest of seeds` and the `highest`, the mean Spearman `between seeds`, and that
    of the `mean score` with its interval `low` and `high`. Empty where there is one seed alone.
    """
    lines = []
    for measure in MEASURES:
        scores = rows[rows.method == measure].pivot(index="index", columns="seed", values="score").dropna()
        if scores.shape[1] < 2 or len(scores) < 3:
            continue
        accuracy = rows.groupby("index").test_accuracy.first()[scores.index]
        of_seeds = [spearman(scores[seed], accuracy) for seed in scores]
        pairs = [spearman(scores[one], scores[other]) for one, other in itertools.combinations(scores, 2)]
        line = {"measure": measure, "n": len(scores), "lowest of seeds": min(of_seeds), "highest": max(of_seeds)}
        line["between seeds"] = sum(pairs) / len(pairs)
        lines.append(line | estimate(spearman, scores.mean(axis=1), accuracy).columns("mean score"))
    return pd.DataFrame(lines)


def other_accuracies(wide: pd.DataFrame, published: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Spearman of measures on CIFAR-10 images with the accuracies on every one of the datasets, as texts.

    `wide` has a line an architecture and a column a measure and a dataset; `published` values are by dataset's
    name and measure, taken on that dataset's own images.
    """
    lines = []
    for measure in [measure for measure in MEASURES if measure in wide]:
        line = {"measure, on CIFAR-10 images": measure, "n": wide[measure].notna().sum()}
        for column, dataset in COLUMNS.items():
            line[f"{column} (95%)"] = str(estimate(spearman, wide[measure], wide[column]))
            value = published[dataset].get(measure)
            line[f"published, on {column} images"] = "" if value is None else f"{value:.2f}"
        lines.append(line)
    return pd.DataFrame(lines)


def validation_accuracies(wide: pd.DataFrame, published: dict[str, float]) -> pd.DataFrame:
    """Spearman of every published measure with the accuracies on which the published values rest, `VALIDATION`.

    `wide` as `other_accuracies` takes it, with CIFAR-10's accuracies `cifar10` and `VALIDATION`. Columns:
    `measure`, `n`, Spearman with `test` accuracy, with `validation` accuracy and its interval `low` and `high`,
    the `change` from the first to the second with `change low` and `change high`, `published`, and `published less
    ours`.
    """
    lines = []
    for measure in [measure for measure in MEASURES if measure in wide and measure in published]:
        validation, test, score = wide[[VALIDATION, "cifar10", measure]].dropna().to_numpy().T
        found, change = (
            estimate(spearman, score, validation),
            estimate(spearman_difference, validation, test, score),
        )
        line = {"measure": measure, "n": found.n, "test": spearman(score, test)}
        line |= found.columns("validation") | change.columns("change", "change ")
        line |= {"published": published[measure], "published less ours": published[measure] - found.value}
        lines.append(line)
    return pd.DataFrame(lines)
