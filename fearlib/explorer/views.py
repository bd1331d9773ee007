"""Scores, learning curves and rows drawn and put into words, interactively or not; nothing here needs widgets."""

import base64
import html
import io

import numpy as np
import pandas as pd

from fearlib.data.registry import shown_name
from fearlib.errors import require
from fearlib.explorer.scores import TRUTH, agreement, filter_rows, first_axes, score_table
from fearlib.ranking.estimate import Estimate
from fearlib.ranking.statistics import top_indices
from fearlib.sweeps.reader import Results

PAGE = 15  # rows of the table at a time
_MANY = 5_000  # points, from which on the graphics card draws them
_DASHES = ("-", "--", ":", "-.")
_MARKER = ("color", "symbol", "size")
_BEST, _OTHERS, _CHOSEN = "#0072b2", "#b8b8b8", "#d55e00"


def scatter_figure(scores: pd.DataFrame, of: str, against: str, percent: float, chosen: int | None = None):
    """`of` against `against`, two columns of `score_table`, as an interactive plotly figure.

    The top `percent` by `against` is blue, the architecture with the index `chosen` a star; its string and its
    numbers appear where the mouse points. Raises ImportError without plotly.
    """
    graph = require("plotly.graph_objects", "draw interactive figures")
    kind = graph.Scattergl if len(scores) > _MANY else graph.Scatter
    layers = layers_of(scores, of, against, percent, chosen)
    styles = ((_OTHERS, "circle", 7), (_BEST, "circle", 7), (_CHOSEN, "star", 16))
    figure = graph.Figure(
        [
            kind(mode="markers", hovertemplate="%{text}<extra></extra>", **layer, marker=dict(zip(_MARKER, style)))
            for layer, style in zip(layers, styles)
        ]
    )  # fmt: skip
    figure.update_layout(
        template="plotly_white", width=560, height=460, margin={"l": 70, "r": 15, "t": 40, "b": 55},
        hovermode="closest", uirevision="stays", xaxis_title=against, yaxis_title=of,
        xaxis_type=scale_of(scores[against]), yaxis_type=scale_of(scores[of]),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
    return figure


def layers_of(scores: pd.DataFrame, of: str, against: str, percent: float, chosen: int | None) -> list[dict]:
    """Points with their texts, in three layers: outside the top, inside it, and the chosen one."""
    known = scores[["arch"]].assign(x=scores[against], y=scores[of]).dropna()
    is_best = known.index.isin(scores.index[top_indices(scores[against], percent)])
    parts = {
        "the others": known[~is_best],
        f"top {percent:g}% by {against}": known[is_best],
        "chosen": known[known.index == chosen],
    }
    return [
        {
            "name": f"{name} ({len(part)})" if name != "chosen" else name,
            "x": part.x.to_numpy(), "y": part.y.to_numpy(), "customdata": part.index.to_numpy(),
            "text": [
                f"{index}: {arch}<br>{of}: {y:.6g}<br>{against}: {x:.6g}"
                for index, arch, x, y in zip(part.index, part.arch, part.x, part.y)
            ],
        }
        for name, part in parts.items()
    ]  # fmt: skip


def scale_of(values: pd.Series) -> str:
    """Logarithmic for positive values of several orders of magnitude."""
    values = values[np.isfinite(values.astype(float))]
    return "log" if len(values) and values.min() > 0 and values.max() > 1e3 * values.median() else "linear"


def draw_scatter(scores: pd.DataFrame, of: str, against: str, percent: float, axes):
    """The same as `scatter_figure`, on matplotlib's axes, which are returned."""
    for layer, colour in zip(layers_of(scores, of, against, percent, None), (_OTHERS, _BEST)):
        axes.plot(layer["x"], layer["y"], ".", color=colour, markersize=5, label=layer["name"])
    axes.set(xlabel=against, ylabel=of, xscale=scale_of(scores[against]), yscale=scale_of(scores[of]))
    axes.legend(fontsize=8)
    return axes


def draw_curve(curves: pd.DataFrame, index: int, method: str, axes):
    """An architecture's training top-1 against epochs, beside the median of all; on matplotlib's axes, returned.

    `curves` as `Results.curves` gives them; a line a seed. The median of the trials of `method`, and the band of
    their middle half, end where fewer than half of them still train. Stage 2 of FEAR starts where stage 1 ends.
    """
    curves = curves[curves.method == method].astype({"stage": int, "epoch": float, "train_top1": float})
    curves = curves.assign(train_top1=100 * curves.train_top1)
    start = 0.0
    for stage, each in curves.groupby("stage"):
        by_epoch, trials = each.groupby("epoch").train_top1, each.groupby(["index", "seed"]).ngroups
        middle = by_epoch.quantile([0.25, 0.5, 0.75]).unstack()[2 * by_epoch.size() >= trials]
        axes.fill_between(start + middle.index, middle[0.25], middle[0.75], color=_OTHERS, alpha=0.4, linewidth=0)
        label = f"median of {trials}, with the middle half"
        axes.plot(start + middle.index, middle[0.5], color="0.35", label=label if stage == 1 else None)
        own = each[each["index"] == index]
        for number, (seed, one) in enumerate(own.groupby("seed")):
            label = f"{index}, seed {seed}" if stage == 1 else None
            axes.plot(start + one.epoch, one.train_top1, _DASHES[number % 4], color=_CHOSEN, label=label)
        if stage == 2:
            axes.axvline(start, color="0.7", linewidth=0.8)
            axes.annotate("stage 2", (start, 1), (3, -3), textcoords="offset points",
                          xycoords=axes.get_xaxis_transform(), va="top", fontsize=8)  # fmt: skip
        start = max(middle.index.max(), own.epoch.max() if len(own) else 0)
    axes.set(xlabel="epochs of training", ylabel="training top-1 (%)")
    axes.set_title(method if (curves["index"] == index).any() else f"{method}: no curve of {index}", fontsize=9)
    axes.legend(fontsize=8, loc="lower right")
    return axes


def agreement_text(scores: pd.DataFrame, of: str, against: str, percent: float) -> str:
    """`agreement` in a sentence."""
    found = agreement(scores, of, against, percent)
    where = f"top {percent:g}% by {against}" if percent < 100 else f"all with {against}"
    return (
        f"{of}, {where}: Spearman {Estimate.of(found._asdict(), 'spearman')}, n = {found.n}"
        f"{f', {found.out} without a score' if found.out else ''}; common {found.common:.2f}. "
        f"In brackets the 95% bootstrap interval, {found.resamples} resamples."
    )


def static_view(results: Results) -> str:
    """HTML that needs no widgets: a picture of `first_axes`, how they agree, and the first rows.

    Raises InputError if there is no score yet.
    """
    scores = score_table(results.rows)
    axes = first_axes(scores)
    return static_html(
        heading_html(results), paragraph(agreement_text(scores, *axes, 100)), results.rows, scores, axes, 100
    )


def static_html(
    heading: str, said: str, rows: pd.DataFrame, scores: pd.DataFrame, axes: tuple, percent: float
) -> str:
    drawn = png_of(lambda into: draw_scatter(scores, *axes, percent, into), (6.4, 4.4))
    image = f"<img width='640' src='data:image/png;base64,{base64.b64encode(drawn).decode()}'>"
    return heading + said + image + page_of(filter_rows(rows), 1)


def heading_html(results: Results) -> str:
    name, rows = results.folder.resolve().name, results.rows
    what = ", ".join([*map(shown_name, rows.dataset.unique()), *rows.preset.unique(), *rows.space.unique()])
    counts = f"{rows['index'].nunique()} architectures, {rows.method.nunique()} methods, {len(rows)} rows"
    failed = int(rows.failed.sum())
    text = f"{what}: {counts}" + (f", {failed} of them failed" if failed else "")
    return f"<div style='font-size:15px'><b>{html.escape(name)}</b>, {html.escape(text)}</div>"


def page_of(rows: pd.DataFrame, page: int) -> str:
    part = rows.iloc[(page - 1) * PAGE : page * PAGE].rename(columns={"test_accuracy": TRUTH})
    return table_html(part) + paragraph(f"page {page} of {count_pages(rows)}; {len(rows)} rows")


def count_pages(rows: pd.DataFrame) -> int:
    return max(1, -(-len(rows) // PAGE))


def table_html(table: pd.DataFrame) -> str:
    shown = table.to_html(index=False, border=0, na_rep="–", float_format="{:.6g}".format, justify="left")
    return f"<div style='overflow-x:auto;font-size:12px;line-height:1.5'>{shown}</div>"


def paragraph(text: str) -> str:
    return f"<div style='line-height:1.5;overflow-wrap:anywhere'>{html.escape(text)}</div>"


def png_of(draw, size: tuple[float, float]) -> bytes:
    """PNG of what `draw` puts on matplotlib's axes, twice as fine as it is shown."""
    figure = require("matplotlib.figure", "draw figures").Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    return content.getvalue()
