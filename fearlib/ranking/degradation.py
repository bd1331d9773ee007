"""How a measure's ranking changes as training proceeds, on the architectures with a score at both moments."""

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.ranking.estimate import Estimate, estimate
from fearlib.ranking.statistics import spearman, spearman_difference
from fearlib.ranking.tables import CONSTANT, degradation_moments


def with_start(moments: pd.DataFrame, epoch: float, start: float = 0) -> np.ndarray:
    """A measure's scores after that epoch, those at the moment `start`, and accuracies: three rows for
    `spearman_difference`.

    `moments` are those of one measure and schedule as `degradation_moments` gives them; seeds are averaged.
    """
    scores = moments.pivot_table("score", "index", "epoch")
    both = scores[[epoch, start]].dropna()
    accuracy = moments.groupby("index").test_accuracy.first()[both.index]
    return np.array([*both.to_numpy().T, accuracy.to_numpy()])


def spearman_at(rows: pd.DataFrame, measure: str, epoch: float, schedule: str = "constant") -> Estimate:
    """A measure's Spearman at a moment, with its interval and n: of the `rows` of a degradation sweep.

    `epoch` and `schedule` are those of `degradation_moments`. Raises InputError if there are no scores there.
    """
    moments = _of_measure(rows, measure, {epoch}, schedule)
    each = moments[moments.epoch == epoch].groupby("index")[["score", "test_accuracy"]].mean().dropna()
    return estimate(spearman, each.score, each.test_accuracy)


def change_at(rows: pd.DataFrame, measure: str, epoch: float, schedule: str = "constant") -> Estimate:
    """How far a measure's Spearman at a moment is from that at initialisation, as `spearman_at` gives the first.

    Over the architectures with both scores, with a paired interval. Raises InputError if either has no scores.
    """
    return estimate(spearman_difference, *with_start(_of_measure(rows, measure, {0, epoch}, schedule), epoch))


def degradation_changes(rows: pd.DataFrame, start: float = 0) -> pd.DataFrame:
    """How each measure's Spearman changes from the moment `start` to every later one of a degradation sweep.

    Columns: `schedule`, `measure` and `epoch` as in `degradation_moments`; `n` architectures with both scores,
    their Spearman `at start` and `after`; the `change` with its paired 95% interval `low` and `high`; the
    `verdict`, "falls" or "rises" where that interval lies on one side of 0; and `since`, the earliest moment from
    which on the verdict is the same. Left out are measures that training does not change (`CONSTANT`), or that
    were not taken at the start, and the loss, which is better the smaller it is. Raises InputError as
    `degradation_moments` does.
    """
    lines = []
    for (schedule, measure), each in degradation_moments(rows).groupby(["schedule", "measure"], sort=False):
        epochs = set(each.epoch[each.score.notna()])
        if measure in (*CONSTANT, "train_loss") or start not in epochs:
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
            lines.append(line | change.columns("change") | {"verdict": verdict, "since": since})
    return pd.DataFrame(lines)


def for_readers(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
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


def _of_measure(rows: pd.DataFrame, measure: str, epochs: set[float], schedule: str) -> pd.DataFrame:
    moments = degradation_moments(rows)
    moments = moments[(moments.measure == measure) & (moments.schedule == schedule)]
    if lacking := epochs - set(moments.epoch[moments.score.notna()]):
        raise InputError(
            f"there are no scores of {measure} after {min(lacking):g} epochs on the schedule {schedule}."
        )
    return moments
