"""How a measure's ranking changes as training proceeds, on the architectures with a score at both moments."""

import numpy as np
import pandas as pd

from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman, spearman_difference
from fearlib.ranking.tables import degradation_moments

CONSTANT = ("params", "macs", "zen")  # do not depend on the weights


def with_start(moments: pd.DataFrame, epoch: float) -> np.ndarray:
    """A measure's scores after that epoch, those at initialisation, and accuracies: three rows for
    `spearman_difference`.

    `moments` are those of one measure and schedule as `degradation_moments` gives them; seeds are averaged.
    """
    scores = moments.pivot_table("score", "index", "epoch")
    both = scores[[epoch, 0]].dropna()
    accuracy = moments.groupby("index").test_accuracy.first()[both.index]
    return np.array([*both.to_numpy().T, accuracy.to_numpy()])


def degradation_changes(rows: pd.DataFrame) -> pd.DataFrame:
    """Spearman of every measure at the start, after the first epoch and after the last, and how it changed.

    `rows` are those of a degradation sweep. A line a `schedule` and `measure`, with each change as text with its
    interval, and whether it `falls` or rises beyond chance. Measures that do not depend on the weights, or that
    were not taken at the start, are left out. Raises InputError as `degradation_moments` does.
    """
    lines = []
    for (schedule, measure), each in degradation_moments(rows).groupby(["schedule", "measure"], sort=False):
        epochs = set(each.epoch[each.score.notna()])
        if measure in CONSTANT or 0 not in epochs:
            continue
        line = {"schedule": schedule, "measure": measure}
        for label, epoch in (("after 1", 1), (f"after {max(epochs):g}", max(epochs))):
            later, start, accuracy = with_start(each, epoch)
            change = estimate(spearman_difference, later, start, accuracy)
            line |= {"n": change.n, "at start": spearman(start, accuracy), label: spearman(later, accuracy)}
            line[f"change {label}"] = str(change)
            line[f"falls {label}"] = "yes" if change.high < 0 else "rises" if change.low > 0 else ""
        lines.append(line)
    return pd.DataFrame(lines)
