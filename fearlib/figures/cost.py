"""What methods, and searches, are worth against what they cost."""

import textwrap

import numpy as np
import pandas as pd

from fearlib.figures.frame import MARKERS, OTHER_MARKER, apart, count_range, not_free, pyplot, where
from fearlib.sweeps.labels import kind_of

_SEARCH_MARKERS = {**MARKERS, "funnel": ("D", "#cc79a7")}


def cost_against_spearman(table: pd.DataFrame, rows: pd.DataFrame):
    """Each method's Spearman with its 95% interval against its mean cost in multiply-accumulates.

    `table` as `fearlib.ranking_table` makes it of `rows`. Returns the matplotlib figure.
    """
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    table = table.dropna(subset="spearman").sort_values("spearman", ignore_index=True)
    axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    kinds = table.method.map(kind_of)
    _points(axis, table.method, kinds, table.gmacs, table.spearman, table.low, table.high)
    cost = "cost an architecture (10$^9$ multiply-accumulates)"
    axis.set_xlabel(cost + "; at the left edge: none" * bool((table.gmacs == 0).any()))
    axis.set_ylabel("Spearman with test accuracy")
    title = f"{where(rows)}, n={count_range(table.n)}, bars: 95% bootstrap"
    axis.set_title(textwrap.fill(title, 80), fontsize=9)
    return figure


def search_cost(table: pd.DataFrame, rows: pd.DataFrame):
    """Accuracy that searches find against their cost, with 95% intervals; the paper's T3.

    `table` as `random_search_table` makes it of trials in `rows`. Returns the matplotlib figure.
    """
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    table = table.sort_values("found", ignore_index=True)
    kinds = table.method.map(kind_of)
    names = [
        method if np.isinf(ratio) else f"{kind}, ratio {ratio:g}"
        for method, kind, ratio in zip(table.method, kinds, table.ratio)
    ]
    _points(axis, names, kinds, table.macs / 1e12, table.found, table["found low"], table["found high"])
    cost = "cost of the search (10$^{12}$ multiply-accumulates)"
    axis.set_xlabel(cost + "; at the left edge: none" * bool((table.macs == 0).any()))
    axis.set_ylabel("test accuracy of the architecture found (%)")
    seen = f"{table.length[0]} of {table.n[0]} architectures, {table.orders[0]} orders"
    title = f"{where(rows)}, {seen}, bars: 95% bootstrap over architectures"
    axis.set_title(textwrap.fill(title, 80), fontsize=9)
    return figure


def _points(axis, names, kinds, cost, value, low, high) -> None:
    """Values, ascending, with error bars against cost on a log scale, in the colours of their kinds of method."""
    points = pd.DataFrame({"name": names, "kind": kinds, "cost": not_free(cost), "value": value})
    for point, below, above in zip(points.itertuples(), value - low, high - value):
        marker, colour = _SEARCH_MARKERS.get(point.kind, OTHER_MARKER)
        error = [[max(below, 0)], [max(above, 0)]]
        axis.errorbar(point.cost, point.value, yerr=error, fmt=marker, color=colour, markersize=5, elinewidth=0.8)
    axis.set_xscale("log")
    axis.set_xlim(right=axis.get_xlim()[1] * 10 ** (max(map(len, names), default=0) / 11))  # room for the names
    bottom, top = axis.get_ylim()
    neighbours = np.log10(points.cost.sort_values()).diff().gt(0.7).cumsum()  # a gap to the next cost: a new group
    for _, near in points.groupby(neighbours):
        heights = apart(near.value.to_numpy(), (top - bottom) / 26, bottom, top)
        for point, height in zip(near.itertuples(), heights):
            axis.annotate(
                point.name,
                (point.cost, point.value),
                (near.cost.max() * 1.6, height),
                fontsize=7,
                va="center",
                arrowprops={"arrowstyle": "-", "color": "0.7", "linewidth": 0.5, "relpos": (0, 0.5)},
            )
