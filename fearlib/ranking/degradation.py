"""How a measure's ranking changes as training proceeds, on the architectures with a score at both moments."""

import math
from functools import partial

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.ranking.estimate import Estimate, estimate
from fearlib.ranking.statistics import (
    spearman,
    spearman_difference,
    top_indices,
    top_spearman,
    top_spearman_difference,
)
from fearlib.ranking.tables import BETTER_HALF
from fearlib.scores.registry import MEASURES
from fearlib.sweeps.labels import read_label
from fearlib.sweeps.meaning import with_meaning
from fearlib.sweeps.rows import with_finite_scores

# Measures that ignore the weights, or draw their own.
UNCHANGED_BY_TRAINING = (
    "params", "macs", "zen", "meco", "swap", "swap_reg", "az_expressivity", "az_progressivity", "az_trainability",
)  # fmt: skip


def degradation_moments(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a degradation sweep with what their labels say in columns of their own.

    These are `measure` (`train_top1` among them), `epoch`, the moment, and `schedule`: the form of the learning
    rate, with the training's length where the rate depends on it. At a constant rate it does not, so that a longer
    training begins with a shorter one and the two are one schedule. Raises InputError if there are no such rows.
    """
    rows = with_finite_scores(with_meaning(rows))
    arguments = {method: read_label(method).arguments for method in rows.method.unique()}
    forms = {
        method: "constant" if given["schedule"] == "constant" else f"{given['schedule']}, {given['epochs']} epochs"
        for method, given in arguments.items()
        if {"schedule", "epochs"} <= given.keys()
    }
    moments = rows.assign(measure=rows.kind, epoch=rows.moment, schedule=rows.method.map(forms))
    moments = moments.dropna(subset=["epoch", "schedule"])
    if moments.empty:
        raise InputError("there are no measures at moments of training: run the method `degradation` first.")
    return moments


def degradation_table(rows: pd.DataFrame, resamples: int = 1000) -> pd.DataFrame:
    """Spearman of every measure at every moment of training, from the rows of a degradation sweep.

    Columns: `measure`, `schedule` and `epoch` as in `degradation_moments`; `train_top1`, the mean training
    accuracy then (0..1); `n`, `spearman` with its bootstrap 95% interval `low` and `high`; `n 50%` and `top 50%`,
    the same within the better half by test accuracy, with `top 50% low` and `top 50% high`. Seeds are averaged
    first. Those `UNCHANGED_BY_TRAINING` are left out. Raises InputError if there are no such rows.
    """
    moments, lines = degradation_moments(rows), []
    trained = moments[moments.measure == "train_top1"].groupby(["schedule", "epoch"]).score.mean()
    better_half = partial(top_spearman, percent=BETTER_HALF)
    moments = moments[~moments.measure.isin(UNCHANGED_BY_TRAINING)]
    for keys, each in moments.groupby(["measure", "schedule", "epoch"], sort=False):
        each = each.groupby("index")[["score", "test_accuracy"]].mean()
        known, best = each.dropna(), top_indices(each.test_accuracy, BETTER_HALF)
        found = estimate(spearman, known.score, known.test_accuracy, resamples=resamples)
        line = dict(zip(("measure", "schedule", "epoch"), keys)) | {"train_top1": trained.get(keys[1:], math.nan)}
        line |= {"n": found.n} | found.columns("spearman") | {"n 50%": int(each.score.iloc[best].notna().sum())}
        found = estimate(better_half, each.score, each.test_accuracy, resamples=resamples)
        lines.append(line | found.columns("top 50%", "top 50% "))
    order = list(dict.fromkeys([*MEASURES, "train_top1", *(line["measure"] for line in lines)]))
    return pd.DataFrame(
        sorted(lines, key=lambda line: (order.index(line["measure"]), line["schedule"], line["epoch"]))
    )


def with_start(moments: pd.DataFrame, epoch: float, start: float = 0) -> np.ndarray:
    """A measure's scores after that epoch, those at the moment `start`, and accuracies: three rows for
    `spearman_difference`.

    `moments` are those of one measure and schedule as `degradation_moments` gives them; seeds are averaged.
    """
    scores = moments.pivot_table("score", "index", "epoch")
    both = scores[[epoch, start]].dropna()
    accuracy = moments.groupby("index").test_accuracy.first()[both.index]
    return np.array([*both.to_numpy().T, accuracy.to_numpy()])


def degradation_changes(rows: pd.DataFrame, start: float = 0) -> pd.DataFrame:
    """How each measure's Spearman changes from the moment `start` to every later one of a degradation sweep.

    Columns: `schedule`, `measure` and `epoch` as in `degradation_moments`; `n` architectures with both scores,
    their Spearman `at start` and `after`; the `change` with its paired 95% interval `low` and `high`, and that
    within the better half by test accuracy, `top 50% change` (`top 50% change low`, `top 50% change high`); the
    `verdict`, "falls" or "rises" where the interval over all lies on one side of 0; and `since`, the earliest
    moment from which on the verdict is the same. Left out are those `UNCHANGED_BY_TRAINING`, or not taken at the
    start, and the loss, which is better the smaller it is. Raises InputError as `degradation_moments` does.
    """
    in_half, lines = partial(top_spearman_difference, percent=BETTER_HALF), []
    for (schedule, measure), each in degradation_moments(rows).groupby(["schedule", "measure"], sort=False):
        epochs = set(each.epoch[each.score.notna()])
        if measure in (*UNCHANGED_BY_TRAINING, "train_loss") or start not in epochs:
            continue
        before, since = "", np.nan
        for epoch in sorted(epoch for epoch in epochs if epoch > start):
            later, earlier, accuracy = with_start(each, epoch, start)
            change = estimate(spearman_difference, later, earlier, accuracy)
            verdict = "falls" if change.high < 0 else "rises" if change.low > 0 else ""
            since = (since if verdict == before else epoch) if verdict else np.nan
            before = verdict
            line = {"schedule": schedule, "measure": measure, "epoch": epoch, "n": change.n}
            line |= {"at start": spearman(earlier, accuracy), "after": spearman(later, accuracy)}
            half = estimate(in_half, later, earlier, accuracy)
            line |= change.columns("change") | half.columns("top 50% change", "top 50% change ")
            lines.append(line | {"verdict": verdict, "since": since})
    return pd.DataFrame(lines)


def shown_degradation(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A `degradation_table` as three by their captions: a line a schedule and measure, a column a moment.

    Spearman with its interval over all architectures and within the better half, each with `n` (`counts`); and the
    mean training accuracy.
    """
    trained = table.groupby(["schedule", "epoch"]).train_top1.first().unstack().dropna(axis="columns", how="all")
    trained.columns = [f"{epoch:.3g}" for epoch in trained.columns]
    return {
        "Over all architectures": _by_moment(table, "spearman", "", "n"),
        "Within the better half by test accuracy": _by_moment(table, "top 50%", "top 50% ", "n 50%"),
        "Mean training accuracy": trained.round(3).reset_index(),
    }


def _by_moment(table: pd.DataFrame, name: str, prefix: str, n: str) -> pd.DataFrame:
    lines = []
    for (schedule, measure), each in table.groupby(["schedule", "measure"], sort=False):
        line = {"schedule": schedule, "measure": measure, "n": counts(each.epoch, each[n])}
        known = each[each[name].notna()].set_index("epoch")
        lines.append(line | {epoch: str(Estimate.of(found, name, prefix)) for epoch, found in known.iterrows()})
    wide = pd.DataFrame(lines).sort_values("schedule", kind="stable", ignore_index=True)
    wide = wide[["schedule", "measure", "n", *sorted(set(table.epoch) & set(wide))]].fillna("")
    return wide.rename(columns=lambda column: column if isinstance(column, str) else f"{column:.3g}")


def counts(epochs: pd.Series, n: pd.Series) -> str:
    """`90 to 1, 20 to 4`: how many architectures up to which epoch, ascending; one number if all are one."""
    last = n.ne(n.shift(-1))
    if last.sum() == 1:
        return f"{n.iloc[-1]}"
    return ", ".join(f"{number} to {epoch:.3g}" for epoch, number in zip(epochs[last], n[last]))
