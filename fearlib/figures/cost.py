"""What methods, and searches, are worth beside what they cost."""

import textwrap

import numpy as np
import pandas as pd

from fearlib.figures.frame import MARKERS, OTHER_MARKER, count_range, heading, not_free, pyplot
from fearlib.sweeps.labels import kind_of

_SEARCH_MARKERS = {**MARKERS, "funnel": ("D", "#cc79a7")}


def cost_against_spearman(table: pd.DataFrame, rows: pd.DataFrame):
    """A line a method, the cheapest above: its Spearman with its 95% interval, and its cost an architecture.

    `table` as `fearlib.ranking_table` makes it of `rows`; methods without a Spearman are left out. Returns the
    matplotlib figure.
    """
    table = table.dropna(subset="spearman").sort_values(["gmacs", "spearman"], ignore_index=True)
    figure, (worth, cost) = _lines(table.method, table.method, table.gmacs, table[["spearman", "low", "high"]])
    worth.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    worth.set_xlabel("Spearman with test accuracy")
    cost.set_xlabel("10$^9$ macs an architecture")
    title = f"{heading(rows)}, n={count_range(table.n)}, bars: 95% bootstrap"
    figure.suptitle(textwrap.fill(title, 80), fontsize=9)
    return figure


def search_cost(table: pd.DataFrame, rows: pd.DataFrame):
    """A line a search, the cheapest above: the accuracy that it finds with its 95% interval, and its cost; the
    paper's T3.

    `table` as `random_search_table` makes it of trials in `rows`. Returns the matplotlib figure.
    """
    table = table.sort_values(["macs", "found"], ignore_index=True)
    names = [  # with a limit: at so many times the fastest
        method if np.isinf(ratio) else f"{method}, at {ratio:g} times"
        for method, ratio in zip(table.method, table.ratio)
    ]
    found = table[["found", "found low", "found high"]]
    figure, (worth, cost) = _lines(names, table.method, table.macs / 1e12, found)
    worth.set_xlabel("test accuracy of the architecture found (%)")
    cost.set_xlabel("10$^{12}$ macs a search")
    seen = f"{table.length[0]} of {table.n[0]} architectures, {table.orders[0]} orders"
    title = f"{heading(rows)}, {seen}, bars: 95% bootstrap over architectures"
    figure.suptitle(textwrap.fill(title, 80), fontsize=9)
    return figure


def _lines(names, methods, cost: pd.Series, worth: pd.DataFrame):
    """Two panels, a line a name: `worth` (value, low, high), and `cost`, on a log scale and in numbers."""
    plt = pyplot()
    size = (6.5, 0.19 * len(cost) + 1.2)
    figure, panels = plt.subplots(1, 2, figsize=size, sharey=True, width_ratios=(3, 2), layout="constrained")
    placed = not_free(cost)
    for line, (method, (value, low, high)) in enumerate(zip(methods, worth.to_numpy())):
        marker, colour = _SEARCH_MARKERS.get(kind_of(method), OTHER_MARKER)
        error = [[max(value - low, 0)], [max(high - value, 0)]]
        panels[0].errorbar(value, line, xerr=error, fmt=marker, color=colour, markersize=4, elinewidth=0.8)
        panels[1].plot(placed[line], line, marker, color=colour, markersize=4)
        number = f"{cost[line]:,.0f}" if cost[line] >= 100 else f"{cost[line]:.3g}" if cost[line] else "none"
        panels[1].annotate(
            number, (placed[line], line), (5, 0), textcoords="offset points", fontsize=7, va="center"
        )
    panels[0].set_yticks(range(len(cost)), names, fontsize=7)
    panels[0].set_ylim(len(cost) - 0.4, -0.6)
    panels[1].set_xscale("log")
    panels[1].set_xlim(right=panels[1].get_xlim()[1] * 20)  # room for the numbers
    for panel in panels:
        panel.tick_params(axis="x", labelsize=7)
        panel.xaxis.label.set_fontsize(8)
        panel.grid(axis="y", linewidth=0.4)
    return figure, panels
