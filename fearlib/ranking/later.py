"""The measures after the paper beside their published values; and what az_nas makes of an undefined part."""

import math
from collections.abc import Mapping

import pandas as pd

from fearlib.ranking.candidates import DERIVED
from fearlib.ranking.combinations import AZ_NAS, az_nas
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman
from fearlib.scores.registry import LATER


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


def undefined_parts(scores: pd.DataFrame, accuracies: pd.DataFrame) -> pd.DataFrame:
    """Spearman of `az_nas`, by what is done with architectures of which a part is undefined.

    The authors rank an undefined part worst. It could also be counted as 0, which is the best trainability; be
    ranked best; or the architecture be left out. `scores` and `accuracies` as of `later_measures`. A line each of
    these and kind of accuracy: `undefined parts`, `accuracy`, `n`, `spearman`, `low`, `high`. Raises InputError
    if a part is missing.
    """
    undefined = scores[list(AZ_NAS)]
    treated = {
        "ranked worst": undefined,
        "architecture left out": undefined.dropna(),
        "counted as 0": undefined.fillna(0),
        "ranked best": undefined.fillna(undefined.max() + 1),
    }
    lines = []
    for treatment, parts in treated.items():
        score = az_nas(parts)
        for kind, accuracy in accuracies.loc[parts.index].items():
            found = estimate(spearman, score, accuracy)
            line = {"undefined parts": treatment, "accuracy": kind, "n": found.n}
            lines.append(line | found.columns("spearman"))
    return pd.DataFrame(lines)
