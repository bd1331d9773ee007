"""What figures share: colours, panels, bands, scales of cost, a heading, and how they are saved."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.data.registry import shown_name
from fearlib.errors import require
from fearlib.files.outside import user_path
from fearlib.scores.registry import MEASURES
from fearlib.sweeps.labels import kind_of

MARKERS = {"fear": ("s", "#d55e00"), "shortreg": ("o", "#0072b2")}
OTHER_MARKER = ("^", "#009e73")
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
COLUMNS = 4  # of small panels, in print
_PNG_COLOURS = (64, 128, 256)
_NOT_SEEN = 16  # of 255, how far a colour may move


def save_figure(figure, path: str | Path) -> None:
    """Write `path` as PNG and PDF, without dates, so that the same figure is the same file.

    The PNG has as few of `_PNG_COLOURS` as move none by more than `_NOT_SEEN`: a quarter of the bytes, and light
    bands in the colours of their lines.
    """
    from PIL import Image, ImageChops

    path = user_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=200)
    with Image.open(drawn) as image:
        whole = image.convert("RGB")
    for colours in _PNG_COLOURS:
        few = whole.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        if max(high for _, high in ImageChops.difference(few.convert("RGB"), whole).getextrema()) <= _NOT_SEEN:
            break
    stem = path.name.removesuffix(".png").removesuffix(".pdf")
    few.save(path.with_name(f"{stem}.png"), dpi=(200, 200), optimize=True)
    figure.set_layout_engine("none")  # both files, and the notebook, as laid out for the first
    figure.savefig(path.with_name(f"{stem}.pdf"), metadata={"CreationDate": None})


def pyplot(style: str = "whitegrid"):
    """matplotlib's, in a style of seaborn's."""
    require("seaborn", "draw figures").set_theme("paper", style)
    import matplotlib.pyplot as plt

    return plt


def small_panels(titles: list[str]):
    """A figure of small axes on one scale of correlation, by title."""
    plt = pyplot()
    columns = min(COLUMNS, max(len(titles), 1))
    lines = -(-len(titles) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(max(2.4 * columns, 3.4), 2.0 * lines), squeeze=False, sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    for axis, title in zip(axes.flat, titles):
        axis.set_title(title, fontsize=9)
        axis.axhline(0, color="0.5", linewidth=0.8)
        axis.set_ylim(-1, 1)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(titles) :]:
        axis.set_visible(False)
    for axis in axes.flat[max(len(titles) - columns, 0) : len(titles)]:
        axis.tick_params(labelbottom=True)
    return figure, dict(zip(titles, axes.flat))


def with_band(axis, table: pd.DataFrame, x: str, colour: str, label: str | None = None) -> None:
    """`spearman` against x with its interval."""
    axis.fill_between(table[x], table.low, table.high, color=colour, alpha=0.2, linewidth=0)
    axis.plot(table[x], table.spearman, ".-", color=colour, markersize=4, linewidth=1, label=label)


def log_scale(axis, cost: pd.Series) -> None:
    """For costs across, with as many numbers as there is room for."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.xaxis.set_minor_formatter(NullFormatter())
    if cost.max() < 30 * cost.min():
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")


def not_free(cost: pd.Series) -> pd.Series:
    """Costs for a log scale, on which nothing stands a tenth below the least."""
    return cost.where(cost > 0, cost[cost > 0].min() / 10)


def apart(heights: np.ndarray, gap: float, bottom: float, top: float) -> np.ndarray:
    """Ascending heights moved apart to a distance of at least `gap`, between `bottom` and `top` where they fit."""
    steps = gap * np.arange(len(heights))
    apart = np.maximum.accumulate(heights - steps) + steps
    down = np.minimum(apart, top - steps[::-1] - gap / 2)
    return np.maximum(down, bottom + steps + gap / 2)


def count_range(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low}..{high}"


def heading(rows: pd.DataFrame) -> str:
    """The data and the preset; beside trained methods also the preset of zero-cost scores, if it is another."""
    free = rows.method.map(kind_of).isin(MEASURES)
    measured, trained = (", ".join(rows.preset[which].unique()) for which in (free, ~free))
    of_all = f"{', '.join(map(shown_name, rows.dataset.unique()))}, {trained or measured} preset"
    beside = trained and measured not in ("", trained)
    return f"{of_all}, zero-cost measures at the {measured} preset" if beside else of_all
