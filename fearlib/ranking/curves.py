"""A learning curve becomes scores that come free with training, larger being better, and times."""

import math
from functools import partial

import numpy as np
import pandas as pd

from fearlib.errors import InputError, check_threshold
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman, top_spearman
from fearlib.sweeps.labels import kind_of
from fearlib.sweeps.meaning import MEANING

KEYS = ["index", "method", "seed"]


def tse(curve: pd.DataFrame) -> float:
    """Minus the sum over epochs of the mean training loss (Ru et al., Speedy performance estimation, 2021).

    `curve` has a line a record, in order, with the columns `epoch` (passes made at its end) and `loss`.
    """
    return tse_ema(curve, decay=1.0)


def tse_ema(curve: pd.DataFrame, decay: float = 0.999) -> float:
    """`tse`, the loss of an epoch that lies t epochs back counting decay^t."""
    length = np.diff(curve.epoch.to_numpy(), prepend=0.0)
    age = curve.epoch.iloc[-1] - curve.epoch.to_numpy()
    return -float((curve.loss.to_numpy() * length * decay**age).sum())


def cost_to_threshold(curve: pd.DataFrame, threshold: float) -> float:
    """Minus the `macs` spent when a record's training top-1 first is at least `threshold`.

    NaN if none is: such a network takes longer than anyone waited.
    """
    reached = (curve.train_top1 >= threshold).to_numpy()
    return -float(curve.macs.to_numpy()[: reached.argmax() + 1].sum()) if reached.any() else float("nan")


def free_scores(rows: pd.DataFrame, curves: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The rows that regular training gives for nothing, one an architecture, method, seed and score.

    `rows` and `curves` as a sweep writes them; `threshold` is a share of training images. Of every `shortreg` row:
    `tse of ...`, `tse_ema of ...` and `macs_to_threshold of ...`, the dots being its label, at its cost.
    Raises InputError if there is no such row.
    """
    scores = {
        "tse": tse,
        "tse_ema": tse_ema,
        "macs_to_threshold": lambda curve: cost_to_threshold(curve, threshold),
    }
    short = [method for method in rows.method.unique() if kind_of(method) == "shortreg"]
    trained = rows[rows.method.isin(short)].drop(columns=list(MEANING), errors="ignore")
    if trained.empty:
        raise InputError("there are no rows of shortreg, whose curves give these scores.")
    by_trial = dict(list(curves.groupby(KEYS)))
    lines = []
    for row in trained.to_dict("records"):
        curve = by_trial.get(tuple(row[key] for key in KEYS))
        if curve is not None:
            for name, score in scores.items():
                lines.append(row | {"method": f"{name} of {row['method']}", "score": score(curve)})
    return pd.DataFrame(lines)


def times_to_threshold(rows: pd.DataFrame, curves: pd.DataFrame, method: str, threshold: float) -> pd.DataFrame:
    """When each architecture reached a training accuracy, from the rows and curves of a sweep.

    `threshold` is a share of training images. A line an architecture and seed of `method`: `index`, `seed`,
    `epochs`, `seconds` and 1e9 `gmacs` until training top-1 first was at least the threshold (NaN if it never was)
    and `test_accuracy` in %. A FEAR looks at the latest epoch's worth of images, so there `threshold` must be its
    own, and the times are those of its stage 1. Raises InputError if there are no such rows, or none with a curve,
    or unless 0 < threshold <= 1.
    """
    check_threshold(threshold)
    curves = curves[(curves.method == method) & (curves.stage == 1)].sort_values("epoch")
    by_trial = dict(list(curves.groupby(["index", "seed"])))
    lines, is_fear = [], kind_of(method) == "fear"
    for row in rows[rows.method == method].to_dict("records"):
        curve = by_trial.get((row["index"], row["seed"]))
        if curve is None:
            continue
        if is_fear:
            reached, records = not math.isnan(row["score"]), len(curve)
        else:
            there = (curve.train_top1 >= threshold).to_numpy()
            reached, records = there.any(), there.argmax() + 1
        spent = curve[:records] if reached else curve[:0]
        line = {key: row[key] for key in ("index", "seed")}
        line["epochs"] = spent.epoch.max()
        line["seconds"] = spent.seconds.sum(min_count=1)
        line["gmacs"] = spent.macs.sum(min_count=1) / 1e9
        lines.append(line | {"test_accuracy": row["test_accuracy"]})
    if not lines:
        raise InputError(f"there are no rows of {method!r} with a learning curve.")
    return pd.DataFrame(lines)


def of_architectures(times: pd.DataFrame) -> pd.DataFrame:
    """`times_to_threshold` a line an architecture: the mean over seeds, NaN if one never reached the threshold."""
    return times.groupby("index").agg(lambda each: each.mean(skipna=False)) if "seed" in times else times


def time_against_accuracy(times: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Spearman between the time to a training accuracy and final test accuracy, of `times_to_threshold` by name.

    Of several seeds as `of_architectures` has it. A line a name and cost: how many networks `reached` the
    threshold and `never` did, with the mean test accuracy of each. Spearman, as text with its interval, is over
    the former; over all, those that never did being the slowest, tied (`with never`); and over the former within
    the better half of all by test accuracy.
    """
    lines = []
    for name, table in times.items():
        table = of_architectures(table)
        for cost in [cost for cost in ("epochs", "seconds", "gmacs") if cost in table]:
            reached, never = table.dropna(subset=cost), table[table[cost].isna()]
            line = {"source": name, "cost": cost, "reached": len(reached), "never": len(never)}
            line |= {"accuracy": reached.test_accuracy.mean(), "of the never": never.test_accuracy.mean()}
            slowest = reached[cost].max() + 1  # finite: an infinite cost would be none
            for which, each in (("Spearman", reached), ("with never", table)):
                slow = each[cost].fillna(slowest)
                line[f"{which} (95%)"] = str(estimate(spearman, slow, each.test_accuracy))
            better = estimate(partial(top_spearman, percent=50), table[cost], table.test_accuracy)
            lines.append(line | {"better half (95%)": str(better)})
    return pd.DataFrame(lines)
