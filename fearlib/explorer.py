"""A results folder to look into: tables, figures and statistics of it, and widgets that show them."""

import base64
import functools
import html
import io
import math
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from fearlib.architecture import Architecture
from fearlib.cell_drawing import draw_cell
from fearlib.errors import InputError, require
from fearlib.ranking import bootstrap_interval, common, spearman, top_indices, top_spearman
from fearlib.results import Results
from fearlib.spaces import parse_architecture
from fearlib.tables import method_order

TRUTH = "test accuracy (%)"
EVERY = "all"
OUTCOMES = (EVERY, "with a score", "without a score", "failed")
PAGE = 15  # rows of the table at a time
_SHOWN = ("index", "arch", "method", "seed", "score", "test_accuracy", "seconds", "macs", "outcome")
_RESAMPLED = 1_000_000  # values that an interval draws, or 100 times all
_MANY = 5_000  # points, from which on the graphics card draws them
_DASHES = ("-", "--", ":", "-.")
_MARKER = ("color", "symbol", "size")
_BEST, _OTHERS, _CHOSEN = "#0072b2", "#b8b8b8", "#d55e00"


# Functions of tables


def scores_of(rows: pd.DataFrame) -> pd.DataFrame:
    """A line an architecture, by its index: `arch`, its string, `TRUTH`, and every method's score.

    Seeds are averaged and failed trials take no part, as in `fearlib.ranking_table`. NaN: no score, or no
    accuracy. Raises InputError if there is no score at all.
    """
    rows = rows[~rows.outcome.astype(str).str.startswith("failed")]
    if rows.score.isna().all():
        raise InputError("there is nothing to explore yet: no trial has finished with a score.")
    by_architecture = rows.groupby("index")
    scores = rows.astype({"score": float}).groupby(["index", "method"]).score.mean().unstack()
    scores = scores[sorted(scores.columns, key=method_order)]
    accuracy = by_architecture.test_accuracy.mean().astype(float)
    return pd.concat([by_architecture.arch.first(), accuracy.rename(TRUTH), scores], axis="columns")


def axes_of(scores: pd.DataFrame) -> list[str]:
    """What of `scores_of` can be drawn against each other: the methods, and the truth where it is known."""
    return [column for column in scores.columns[1:] if scores[column].notna().any()]


def filter_rows(
    rows: pd.DataFrame, method: str = EVERY, outcome: str = EVERY, text: str = "", sort: str = "index",
    descending: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """The rows of one method or `EVERY`, with one of `OUTCOMES`, whose architecture contains `text`, sorted.

    A `text` of digits alone is an index. NaN comes last.
    """
    keep = np.ones(len(rows), dtype=bool)
    if method != EVERY:
        keep &= (rows.method == method).to_numpy(bool)
    if outcome != EVERY:
        failed, scored = rows.outcome.str.startswith("failed").to_numpy(bool), rows.score.notna().to_numpy()
        keep &= {OUTCOMES[1]: scored, OUTCOMES[2]: ~scored & ~failed, OUTCOMES[3]: failed}[outcome]
    if text.strip().isdecimal():
        keep &= (rows["index"] == int(text)).to_numpy(bool)
    elif text.strip():
        keep &= rows.arch.str.contains(text.strip(), regex=False).to_numpy(bool)
    return rows.loc[keep, list(_SHOWN)].sort_values(sort, ascending=not descending, kind="stable")


class Agreement(NamedTuple):
    """How two columns of `scores_of` agree within the top; see `agreement`."""

    n: int
    out: int
    spearman: float
    low: float
    high: float
    common: float
    resamples: int


def agreement(scores: pd.DataFrame, of: str, against: str, percent: float) -> Agreement:
    """How `of` ranks the top `percent` by `against`, both columns of `scores_of`.

    `n` architectures of that top have a value of both, `out` have none of `of`; `spearman` is over the former,
    with its 95% percentile bootstrap interval `low` and `high` from that many `resamples`, 1,000 or for many
    architectures fewer; `common` is the share of the top that is among as many best by `of`. NaN where undefined.
    """
    values, truth = scores[of].to_numpy(float), scores[against].to_numpy(float)
    known = ~np.isnan(truth)
    values, truth = values[known], truth[known]
    best = top_indices(truth, percent)
    n = int(np.isfinite(values[best]).sum())
    resamples = int(np.clip(_RESAMPLED // max(len(truth), 1), 100, 1000))
    statistic = functools.partial(top_spearman, percent=percent)
    low, high = bootstrap_interval(statistic, values, truth, resamples=resamples)
    value = spearman(values[best], truth[best])
    return Agreement(n, len(best) - n, value, low, high, common(values, truth, percent), resamples)


def ranks_of(scores: pd.DataFrame, index: int) -> pd.DataFrame:
    """An architecture's value and rank in the truth and under every method: `by`, `value`, `rank`, `of` how many.

    Rank 1 is the highest; equal values share their average rank. What has no value has no rank and does not count.
    """
    numbers = scores[axes_of(scores)]
    ranks = numbers.rank(ascending=False)
    found = {"by": numbers.columns, "value": math.nan, "rank": math.nan, "of": numbers.notna().sum().to_numpy()}
    table = pd.DataFrame(found)
    if index in numbers.index:
        table = table.assign(value=numbers.loc[index].to_numpy(), rank=ranks.loc[index].to_numpy())
    return table


# Figures and texts


def scatter_figure(scores: pd.DataFrame, of: str, against: str, percent: float, chosen: int | None = None):
    """`of` against `against`, two columns of `scores_of`, as an interactive plotly figure.

    The top `percent` by `against` is blue, the architecture with the index `chosen` a star; its string and its
    numbers appear where the mouse points. Raises ImportError without plotly.
    """
    graph = require("plotly.graph_objects", "draw interactive figures")
    kind = graph.Scattergl if len(scores) > _MANY else graph.Scatter
    layers = _layers(scores, of, against, percent, chosen)
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
        xaxis_type=_scale(scores[against]), yaxis_type=_scale(scores[of]),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
    return figure


def _layers(scores: pd.DataFrame, of: str, against: str, percent: float, chosen: int | None) -> list[dict]:
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


def _scale(values: pd.Series) -> str:
    """Logarithmic for positive values of several orders of magnitude."""
    values = values[np.isfinite(values.astype(float))]
    return "log" if len(values) and values.min() > 0 and values.max() > 1e3 * values.median() else "linear"


def draw_scatter(scores: pd.DataFrame, of: str, against: str, percent: float, axes):
    """The same as `scatter_figure`, on matplotlib's axes, which are returned."""
    for layer, colour in zip(_layers(scores, of, against, percent, None), (_OTHERS, _BEST)):
        axes.plot(layer["x"], layer["y"], ".", color=colour, markersize=5, label=layer["name"])
    axes.set(xlabel=against, ylabel=of, xscale=_scale(scores[against]), yscale=_scale(scores[of]))
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
        f"{of}, {where}: Spearman {found.spearman:.2f} ({found.low:.2f}..{found.high:.2f}), n = {found.n}"
        f"{f', {found.out} without a score' if found.out else ''}; common {found.common:.2f}. "
        f"In brackets the 95% bootstrap interval, {found.resamples} resamples."
    )


def static_view(results: Results) -> str:
    """HTML that needs no widgets: a picture of `first_axes`, how they agree, and the first rows.

    Raises InputError if there is no score yet.
    """
    scores = scores_of(results.rows)
    axes = first_axes(scores)
    return _static(_heading(results), _said(agreement_text(scores, *axes, 100)), results.rows, scores, axes, 100)


def _static(heading: str, said: str, rows: pd.DataFrame, scores: pd.DataFrame, axes: tuple, percent: float) -> str:
    picture = _picture(lambda drawn: draw_scatter(scores, *axes, percent, drawn), (6.4, 4.4))
    image = f"<img width='640' src='data:image/png;base64,{base64.b64encode(picture).decode()}'>"
    return heading + said + image + _page(filter_rows(rows), 1)


def first_axes(scores: pd.DataFrame) -> tuple[str, str]:
    """What to draw first, and against what: the first method against the truth, or against the last method."""
    methods = [column for column in axes_of(scores) if column != TRUTH]
    return methods[0], TRUTH if TRUTH in axes_of(scores) else methods[-1]


def _heading(results: Results) -> str:
    name, rows = results.folder.resolve().name, results.rows
    what = ", ".join(value for column in ("dataset", "preset", "space") for value in rows[column].unique())
    counts = f"{rows['index'].nunique()} architectures, {rows.method.nunique()} methods, {len(rows)} rows"
    failed = int(rows.outcome.str.startswith("failed").sum())
    text = f"{what}: {counts}" + (f", {failed} of them failed" if failed else "")
    return f"<div style='font-size:15px'><b>{html.escape(name)}</b>, {html.escape(text)}</div>"


def _page(rows: pd.DataFrame, page: int) -> str:
    part = rows.iloc[(page - 1) * PAGE : page * PAGE].rename(columns={"test_accuracy": TRUTH})
    return _table(part) + _said(f"page {page} of {_pages(rows)}; {len(rows)} rows")


def _pages(rows: pd.DataFrame) -> int:
    return max(1, -(-len(rows) // PAGE))


def _table(table: pd.DataFrame) -> str:
    shown = table.to_html(index=False, border=0, na_rep="–", float_format="{:.6g}".format, justify="left")
    return f"<div style='overflow-x:auto;font-size:12px;line-height:1.5'>{shown}</div>"


def _said(text: str) -> str:
    return f"<div style='line-height:1.5;overflow-wrap:anywhere'>{html.escape(text)}</div>"


def _picture(draw, size: tuple[float, float]) -> bytes:
    """PNG of what `draw` puts on matplotlib's axes, twice as fine as it is shown."""
    figure = require("matplotlib.figure", "draw figures").Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


# Widgets


def _tells(handler):
    """A handler of events that shows what is wrong in a sentence."""

    @functools.wraps(handler)
    def told(self, *event) -> None:
        try:
            handler(self, *event)
        except (InputError, OSError) as error:
            self.message.value = _said(str(error))

    return told


class Explorer:
    """Widgets of a results folder, for the last line of a notebook's cell, and what happens when they are used.

    Where no widgets can be shown, `static_view` stands in their place. Raises ImportError, naming it, if a package
    is missing, InputError if there is no score yet.
    """

    def __init__(self, results: Results):
        widgets = require("ipywidgets", "explore results in a notebook")
        require("anywidget", "explore results in a notebook")
        graph = require("plotly.graph_objects", "draw interactive figures")
        self.results, self.scores = results, scores_of(results.rows)
        of, against = first_axes(self.scores)
        wide, label = widgets.Layout(width="330px"), {"description_width": "105px"}
        full, panel = widgets.Layout(width="98%"), widgets.Layout(width="470px")
        choice = functools.partial(widgets.Dropdown, layout=wide, style=label)

        self.heading, self.message, self.agreement = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.refresh = widgets.Button(
            description="Refresh", icon="refresh", tooltip="Read the trials that are new"
        )
        self.of = choice(description="vertical axis", options=axes_of(self.scores), value=of)
        self.against = choice(description="horizontal axis", options=axes_of(self.scores), value=against)
        self.percent = widgets.IntSlider(
            100, 5, 100, 5, description="top x%", continuous_update=False, layout=wide, style=label
        )
        self.figure = graph.FigureWidget(scatter_figure(self.scores, of, against, 100))
        self.architecture = widgets.Text(
            description="architecture", placeholder="click a point, or type an index or a string", style=label,
            continuous_update=False, layout=full,
        )  # fmt: skip
        self.name, self.ranks = widgets.HTML(), widgets.HTML()
        self.cell, self.curve = (widgets.Image(layout=full) for _ in range(2))
        self.curve_of = choice(description="learning curve", layout=full)
        self.detail = widgets.VBox([self.name, self.cell, self.curve_of, self.curve, self.ranks])
        self.filters = {
            "method": choice(description="method", options=[EVERY, *results.rows.method.unique()]),
            "outcome": choice(description="outcome", options=OUTCOMES),
            "text": widgets.Text(description="architecture", placeholder="index, or part of its string",
                                 continuous_update=False, layout=wide, style=label),
            "sort": choice(description="sorted by", options=_SHOWN),
            "descending": widgets.Checkbox(description="largest first", indent=False),
        }  # fmt: skip
        self.page = widgets.BoundedIntText(1, min=1, description="page", layout=wide, style=label)
        self.table = widgets.HTML()

        self.box = widgets.VBox([
            widgets.HBox([self.heading, self.refresh]), self.message,
            widgets.HBox([self.of, self.against, self.percent], layout=widgets.Layout(flex_flow="row wrap")),
            self.agreement,
            widgets.HBox([self.figure, widgets.VBox([self.architecture, self.detail], layout=panel)],
                         layout=widgets.Layout(flex_flow="row wrap")),
            widgets.HBox([*self.filters.values(), self.page], layout=widgets.Layout(flex_flow="row wrap")),
            self.table,
        ])  # fmt: skip
        self._listen()
        self._show_counts()
        self._show_agreement()
        self._show_rows()
        self._show_chosen()

    def _listen(self) -> None:
        self.refresh.on_click(self._read_on)
        for widget in (self.of, self.against, self.percent):
            widget.observe(self._draw, "value")
        for trace in self.figure.data:
            trace.on_click(self._click)
        self.architecture.observe(self._choose, "value")
        self.curve_of.observe(self._show_curve, "value")
        for widget in self.filters.values():
            widget.observe(self._show_rows, "value")
        self.page.observe(self._show_page, "value")

    def _repr_mimebundle_(self, **_) -> dict:
        axes, percent = (self.of.value, self.against.value), self.percent.value
        shown = _static(self.heading.value, self.agreement.value, self.results.rows, self.scores, axes, percent)
        return self.box._repr_mimebundle_() | {"text/html": shown}

    @_tells
    def _read_on(self, *_) -> None:
        new = self.results.refresh()
        self.message.value = _said(
            f"{new} new trial{'s' * (new > 1)} at {datetime.now():%H:%M:%S}" if new else "nothing is new"
        )
        if new:
            self.scores = scores_of(self.results.rows)
            for dropdown in (self.of, self.against):
                _offer(dropdown, axes_of(self.scores))
            _offer(self.filters["method"], [EVERY, *self.results.rows.method.unique()])
            self._show_counts()
            self._draw()
            self._show_rows()
            self._show_chosen()

    @_tells
    def _draw(self, *_) -> None:
        of, against, chosen = self.of.value, self.against.value, self._chosen()
        layers = _layers(self.scores, of, against, self.percent.value, chosen and chosen.index)
        with self.figure.batch_update():
            for trace, layer in zip(self.figure.data, layers):
                trace.update(layer)
            self.figure.layout.xaxis.update(title_text=against, type=_scale(self.scores[against]))
            self.figure.layout.yaxis.update(title_text=of, type=_scale(self.scores[of]))
        self._show_agreement()

    def _show_agreement(self) -> None:
        text = agreement_text(self.scores, self.of.value, self.against.value, self.percent.value)
        self.agreement.value = _said(text)

    def _show_counts(self) -> None:
        self.heading.value = _heading(self.results)

    def _click(self, trace, points, _) -> None:
        if points.point_inds:
            self.architecture.value = str(trace.customdata[points.point_inds[0]])

    def _chosen(self):
        text = self.architecture.value.strip()
        return parse_architecture(text, self.results.rows.space.iloc[0]) if text else None

    @_tells
    def _choose(self, *_) -> None:
        self.message.value = ""
        self._show_chosen()
        self._draw()

    def _show_chosen(self) -> None:
        chosen = self._chosen()
        self.detail.layout.display = "none" if chosen is None else None
        if chosen is not None:
            self.name.value = _said(f"{chosen.index}: {chosen}")
            size = (6.4, 4.1) if isinstance(chosen, Architecture) else (12.4, 4)
            self.cell.value = _picture(lambda axes: draw_cell(chosen, axes), size)
            ranks = ranks_of(self.scores, chosen.index)
            self.ranks.value = _table(ranks) + _said(
                "Rank 1 is the highest; equal values share their average rank."
            )
            trained = sorted(self.results.curves().method.unique(), key=method_order)
            _offer(self.curve_of, trained)
            if self.of.value in trained:
                self.curve_of.value = self.of.value
            self._show_curve()

    def _show_curve(self, *_) -> None:
        method, chosen = self.curve_of.value, self._chosen()
        self.curve.layout.display = "none" if method is None or chosen is None else None
        if method is not None and chosen is not None:
            curves = self.results.curves()
            self.curve.value = _picture(lambda axes: draw_curve(curves, chosen.index, method, axes), (6.4, 3.2))

    @_tells
    def _show_rows(self, *_) -> None:
        chosen = {name: widget.value for name, widget in self.filters.items()}
        self.filtered = filter_rows(self.results.rows, **chosen)
        self.page.max = _pages(self.filtered)
        self._show_page()

    def _show_page(self, *_) -> None:
        self.table.value = _page(self.filtered, self.page.value)


def _offer(dropdown, options: list[str]) -> None:
    """Give a dropdown other options, what is chosen staying so if it is one of them, else the first."""
    if tuple(options) != tuple(dropdown.options):
        chosen = dropdown.value
        dropdown.options = options
        dropdown.value = chosen if chosen in options else next(iter(options), None)
