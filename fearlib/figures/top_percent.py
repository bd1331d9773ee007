"""Spearman within the top x%; figure F2 of Dey et al. 2021."""

import textwrap

import pandas as pd

from fearlib.figures.frame import count_range, heading, small_panels, with_band


def top_percent(table: pd.DataFrame, rows: pd.DataFrame, published: dict[str, float] | None = None):
    """Spearman within the top x% against x, with its 95% interval; the paper's figure F2.

    A panel a method, the highest Spearman over all first. `table` as `top_table` makes it of `rows`; `published`
    values, over all architectures, are shown as diamonds. Returns the matplotlib figure.
    """
    whole = table[table.top == table.top.max()].sort_values("spearman", ascending=False, kind="stable")
    figure, panels = small_panels(list(whole.method))
    for method, axis in panels.items():
        with_band(axis, table[table.method == method], "top", "#0072b2")
        if method in (published or {}):
            axis.plot([100], [published[method]], "D", color="#d55e00", markersize=4, label="published")
            axis.legend(fontsize=7, loc="lower right")
        axis.set_xticks(range(20, 101, 20))
    count = count_range(table.n[table.top == 100])
    title = f"{heading(rows)}, n={count} at 100%, bands: 95% bootstrap"
    figure.suptitle(textwrap.fill(title, int(13 * figure.get_figwidth())), fontsize=9)
    figure.supxlabel("top x% by test accuracy", fontsize=9)
    figure.supylabel("Spearman with test accuracy", fontsize=9)
    return figure
