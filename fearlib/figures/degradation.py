"""Measures while a network trains; figure F1 of Dey et al. 2021."""

import itertools
import math

import pandas as pd

from fearlib.figures.frame import COLOURS, apart, small_panels, with_band

_FEWER = 0.8  # of the architectures before


def degradation(table: pd.DataFrame, published: dict[str, dict[float, float]] | None = None):
    """Spearman against epochs of training, a panel a measure, a line a schedule; the paper's figure F1.

    `table` as `degradation_table` makes it. At the end of a line stands how many architectures it rests on; it
    breaks where they become far fewer, and so others. `published` values by epoch are shown as diamonds. Epochs
    are on a linear scale up to 1, on a log scale beyond. Returns the matplotlib figure.
    """
    colours = dict(zip(table.schedule.unique(), itertools.cycle(COLOURS)))
    figure, panels = small_panels(list(table.measure.unique()))
    for measure, axis in panels.items():
        of_measure = table[table.measure == measure]
        for schedule, each in of_measure.groupby("schedule", sort=False):
            for _, part in each.groupby((each.n < _FEWER * each.n.shift()).cumsum()):
                with_band(axis, part, "epoch", colours[schedule], schedule)
        _with_counts(axis, of_measure, colours)
        if measure in (published or {}):
            epochs = published[measure]
            axis.plot(list(epochs), list(epochs.values()), "D", color="#d55e00", markersize=4, label="published")
        axis.set_xscale("symlog", linthresh=1, base=2)
        axis.set_xticks(_epoch_ticks(table.epoch.max()))
        axis.set_xlim(right=table.epoch.max() * 1.7)  # room for the numbers
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel("epochs of training" * axis.xaxis.get_tick_params()["labelbottom"], fontsize=8)
    lines = {line.get_label(): line for axis in panels.values() for line in axis.lines}
    named = {label: line for label, line in lines.items() if not label.startswith("_")}
    figure.legend(named.values(), named, fontsize=8, loc="outside lower center", ncols=3)
    figure.supylabel("Spearman with test accuracy", fontsize=9)
    return figure


def _with_counts(axis, table: pd.DataFrame, colours: dict[str, str]) -> None:
    """How many architectures the points rest on, after the last of each line with that number."""
    last = table[table.n != table.groupby("schedule").n.shift(-1)].sort_values("spearman")
    for epoch, points in last.groupby("epoch"):
        for point, height in zip(points.itertuples(), apart(points.spearman.to_numpy(), 0.15, -1, 1)):
            axis.annotate(
                point.n, (epoch, height), (2, 2), textcoords="offset points", fontsize=7,
                color=colours[point.schedule],
            )  # fmt: skip


def _epoch_ticks(last: float) -> list[float]:
    """0, 0.5, 1, and on by doubling, or by fours where that gives more than eight."""
    doublings = max(math.ceil(math.log2(max(last, 1))), 0)
    return [0, 0.5, *(2**power for power in range(0, doublings + 1, 2 if doublings > 4 else 1))]
