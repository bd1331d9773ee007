"""A table becomes a figure: pure functions of tidy rows, readable in print and for colour-blind readers."""

from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.errors import require
from fearlib.ranking import bootstrap_interval, spearman


def scatter(rows: pd.DataFrame, methods: list[str] | None = None, columns: int = 4):
    """Score against test accuracy, a panel a method, with Spearman, its 95% interval and n above each.

    `rows` as `fearlib.read_rows` gives them. Architectures without a score are counted, not drawn.
    Returns the matplotlib figure.
    """
    plt = _pyplot()
    methods = methods or list(rows.method.unique())
    lines = -(-len(methods) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(2.9 * columns, 2.7 * lines), squeeze=False, layout="constrained"
    )
    for axis, method in zip(axes.flat, methods):
        each = rows[rows.method == method].groupby("index")[["score", "test_accuracy"]].mean()
        known = each.dropna()
        axis.plot(known.test_accuracy, known.score, ".", color="#0072b2", markersize=4, alpha=0.7)
        low, high = bootstrap_interval(spearman, known.score, known.test_accuracy)
        out = f", {len(each) - len(known)} without a score" if len(each) > len(known) else ""
        estimate = f"{spearman(known.score, known.test_accuracy):.2f} ({low:.2f}..{high:.2f})"
        title = f"{method}\nSpearman {estimate}, n={len(known)}{out}"
        axis.set_title(title, fontsize=8)
        axis.tick_params(labelsize=7)
        if len(known) and known.score.abs().max() > 1e3 * max(known.score.abs().median(), 1e-12):
            axis.set_yscale("symlog", linthresh=max(known.score.abs().median() / 10, 1e-12))
    for axis in axes.flat[len(methods) :]:
        axis.set_visible(False)
    figure.supxlabel("benchmark test accuracy (%)", fontsize=9)
    figure.supylabel("score", fontsize=9)
    figure.suptitle(_where(rows), fontsize=9)
    return figure


def cost_against_spearman(table: pd.DataFrame, rows: pd.DataFrame):
    """Each method's Spearman with its 95% interval against its mean cost in multiply-accumulates.

    `table` as `fearlib.ranking_table` makes it of `rows`. Returns the matplotlib figure.
    """
    plt = _pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    markers = {"fear": ("s", "#d55e00"), "shortreg": ("o", "#0072b2")}
    label_height = {}
    for line in table.sort_values("spearman").itertuples():
        marker, colour = markers.get(line.method.split("(")[0], ("^", "#009e73"))
        error = [[max(line.spearman - line.low, 0)], [max(line.high - line.spearman, 0)]]
        axis.errorbar(
            line.gmacs, line.spearman, yerr=error, fmt=marker, color=colour, markersize=5, elinewidth=0.8
        )
        decade = round(np.log10(line.gmacs)) if line.gmacs > 0 else None
        label_height[decade] = max(line.spearman, label_height.get(decade, -2) + 0.05)  # labels must not overlap
        axis.annotate(
            f"  {line.method}  ",
            (line.gmacs, line.spearman),
            (line.gmacs, label_height[decade]),
            fontsize=7,
            va="center",
            ha="right" if line.method.startswith("shortreg") else "left",
        )
    axis.set_xscale("log")
    axis.set_xlim(right=axis.get_xlim()[1] * 20)  # room for the labels
    axis.set_xlabel("cost an architecture (10$^9$ multiply-accumulates)")
    axis.set_ylabel("Spearman with test accuracy")
    axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_title(f"{_where(rows)}, n={table.n.min()}..{table.n.max()}, bars: 95% bootstrap", fontsize=9)
    return figure


def save_figure(figure, path: str | Path) -> None:
    """Write `path` as PNG and PDF, without dates, so that the same figure is the same file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})
    figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})


def _pyplot():
    require("seaborn", "draw figures").set_theme("paper", "whitegrid")
    import matplotlib.pyplot as plt

    return plt


def _where(rows: pd.DataFrame) -> str:
    return f"{', '.join(rows.dataset.unique())}, {', '.join(rows.preset.unique())} preset"
