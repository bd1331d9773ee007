"""What a sweep says of every architecture: scores and test accuracy, and how well each score ranks."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.data.registry import shown_name
from fearlib.files.outside import user_path
from fearlib.files.progress import progress
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman
from fearlib.ranking.tables import method_order
from fearlib.sweeps.folders import results_folders
from fearlib.sweeps.rows import own_truth, read_rows

DIGITS = 6  # of a score that is shown
MOST = 2000  # architectures of a sweep that is shown: the page is to stay small
LARGEST = 1e308  # JSON has no infinity


def scores(results: Path) -> dict:
    """`architectures`, their strings by index by space, and `sweeps`, what each of them measured of which.

    Without sweeps of more than `MOST` architectures, and without full training that serves as a sweep's truth.
    """
    architectures, sweeps = {}, []
    for folder in progress(results_folders(results), "reading scores", "sweep"):
        rows = read_rows(folder)
        if rows["index"].nunique() > MOST:
            continue
        rows = rows[~rows.failed & rows.moment.isna() & (rows.method != own_truth(rows))]
        for space, each in rows.groupby("space"):
            architectures.setdefault(space, {}).update(zip(each["index"].astype(str), each.arch))
            name = folder.relative_to(user_path(results)).as_posix()
            sweeps.append({"name": name, "space": space} | _sweep(each))
    return {"architectures": architectures, "sweeps": sweeps}


def _sweep(rows: pd.DataFrame) -> dict:
    """Mean over seeds of every method's scores, in the order of `indices`, with their statistics.

    A method's `spearman` with test accuracy has the bootstrap 95% interval `low`..`high`; `n` architectures have a
    score and an accuracy, `out` were tried and have no score. `pairs` holds Spearman between any two methods.
    """
    accuracy = rows.groupby("index").test_accuracy.mean()
    methods = sorted(rows.method.unique(), key=method_order)
    by_method = {method: rows[rows.method == method].groupby("index").score.mean() for method in methods}
    each = pd.DataFrame({method: of_method.reindex(accuracy.index) for method, of_method in by_method.items()})
    return {
        "preset": ", ".join(rows.preset.unique()),
        "dataset": ", ".join(map(shown_name, rows.dataset.unique())),
        "indices": [str(index) for index in accuracy.index],
        "accuracy": _numbers(accuracy),
        "methods": [
            _method(name, by_method[name], accuracy) | {"scores": _numbers(each[name])} for name in methods
        ],
        "pairs": [_numbers(line) for line in each.corr("spearman", min_periods=3).to_numpy()],
    }


def _method(name: str, score: pd.Series, accuracy: pd.Series) -> dict:
    truth = accuracy[score.index]
    found = estimate(spearman, score, truth)
    statistics = found.columns("spearman")
    numbers = dict(zip(statistics, _numbers(list(statistics.values()))))
    return {"name": name, "n": found.n, "out": int(score.isna().sum())} | numbers


def _numbers(values) -> list[float | None]:
    """Rounded to `DIGITS` significant digits; None for NaN."""
    return [
        None if math.isnan(value) else float(f"{value:.{DIGITS}g}")
        for value in np.clip(np.asarray(values, dtype=float), -LARGEST, LARGEST)
    ]
