"""The measures after the paper beside their published values, and the forms that az_nas could have."""

import math
from collections.abc import Mapping

import pandas as pd

from fearlib.benchmark.splits import COLUMNS, VALIDATION
from fearlib.data.registry import stands_for
from fearlib.ranking.candidates import DERIVED
from fearlib.ranking.combinations import AZ_NAS, az_nas
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman
from fearlib.scores.registry import LATER


def later_tables(
    rows: pd.DataFrame, wide: pd.DataFrame | None, published: Mapping[str, Mapping[str, float]]
) -> dict[str, pd.DataFrame]:
    """`later_measures` as `later`, `az_nas_forms` as `az_nas`; nothing where the rows lack a part of `az_nas`.

    `rows` are of one seed, `wide` is the table that `keep_accuracies` writes of them, `published` the values by
    dataset. With `wide`, CIFAR-10's measures stand beside the validation accuracies too, and `az_nas`, which looks
    at noise, beside the accuracies on every dataset.
    """
    scores = rows.pivot(index="index", columns="method", values="score")
    if not set(AZ_NAS) <= set(scores):
        return {}
    dataset = stands_for(rows.dataset.iloc[0])
    accuracies = pd.DataFrame({"test": rows.groupby("index").test_accuracy.first()})
    on_datasets = accuracies.set_axis([dataset], axis="columns")
    if wide is not None:
        wide = wide.set_index("index")
        on_datasets = wide[list(COLUMNS)].rename(columns=COLUMNS)
        if VALIDATION in wide and dataset == "cifar10":
            accuracies["cifar10-valid"] = wide[VALIDATION]
    return {
        "later": later_measures(scores, accuracies, published.get(dataset, {})),
        "az_nas": az_nas_forms(scores, on_datasets, published),
    }


def later_measures(scores: pd.DataFrame, accuracies: pd.DataFrame, published: Mapping[str, float]) -> pd.DataFrame:
    """Spearman of the later measures, and of those `DERIVED` from several, beside their `published` values.

    `scores` has a row an architecture and a column a measure, NaN where it is undefined; `accuracies` a column a
    kind of accuracy, on the same index; `published` values are by measure. A line a measure and kind of accuracy:
    `measure`, `accuracy`, `n` architectures; Spearman with what is undefined ranked worst (`spearman`, `low`,
    `high`); `out` architectures that are undefined, and Spearman `without` them (`without low`, `without high`);
    `published`. Measures that the table lacks are left out.
    """
    lines = []
    for measure, score in _columns(scores).items():
        known = score.notna()
        worst = score.fillna(score.min() - 1)
        for kind, accuracy in accuracies.items():
            line = {"measure": measure, "accuracy": kind, "n": len(score)}
            line |= estimate(spearman, worst, accuracy).columns("spearman")
            line |= {"out": int((~known).sum())}
            line |= estimate(spearman, score[known], accuracy[known]).columns("without", "without ")
            lines.append(line | {"published": published.get(measure, math.nan)})
    return pd.DataFrame(lines)


def _columns(scores: pd.DataFrame) -> dict[str, pd.Series]:
    found = {measure: scores[measure] for measure in LATER if measure in scores}
    combined = {
        name: combine(scores) for name, (parts, combine) in DERIVED.items() if set(parts) <= set(scores.columns)
    }
    return found | combined


def az_nas_forms(
    scores: pd.DataFrame, accuracies: pd.DataFrame, published: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Spearman of `az_nas` in the forms that could explain why users report less than is published.

    The authors rank an undefined part worst. It could also be counted as 0, which is the best trainability; be
    ranked best; or the architecture be left out. Last, `macs` alone is what remains where the other three parts
    say nothing. `scores` as of `later_measures`; `accuracies` a column a dataset, on the same index; `published`
    by dataset, with `az_nas` and what is reported as `az_nas.reported`. A line each form and dataset: `form`,
    `accuracy`, `n`, `spearman`, `low`, `high`, `published`, `reported`. Raises InputError if a part is missing.
    """
    parts = scores[list(AZ_NAS)]
    forms = {
        "undefined ranked worst": parts,
        "undefined left out": parts.dropna(),
        "undefined counted as 0": parts.fillna(0),
        "undefined ranked best": parts.fillna(parts.max() + 1),
    }
    forms = {name: az_nas(each) for name, each in forms.items()} | {"macs alone": parts.macs}
    lines = []
    for form, score in forms.items():
        for dataset, accuracy in accuracies.loc[score.index].items():
            found, others = estimate(spearman, score, accuracy), published.get(dataset, {})
            line = {"form": form, "accuracy": dataset, "n": found.n} | found.columns("spearman")
            line |= {"published": others.get("az_nas", math.nan)}
            lines.append(line | {"reported": others.get("az_nas.reported", math.nan)})
    return pd.DataFrame(lines)
