"""The widgets of a results folder."""

import functools
from datetime import datetime

from fearlib.errors import InputError, require
from fearlib.explorer.scores import EVERY, OUTCOMES, SHOWN, axes_of, filter_rows, first_axes, ranks_of, scores_of
from fearlib.explorer.views import (
    agreement_text,
    count_pages,
    draw_curve,
    heading_html,
    layers_of,
    page_of,
    paragraph,
    png_of,
    scale_of,
    scatter_figure,
    static_html,
    table_html,
)
from fearlib.ranking.tables import method_order
from fearlib.spaces.drawing import draw_cell
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import parse_architecture
from fearlib.sweeps.reader import Results


def _tells(handler):
    """A handler of events that shows what is wrong in a sentence."""

    @functools.wraps(handler)
    def told(self, *event) -> None:
        try:
            handler(self, *event)
        except (InputError, OSError) as error:
            self.message.value = paragraph(str(error))

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
            "sort": choice(description="sorted by", options=SHOWN),
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
        shown = static_html(
            self.heading.value, self.agreement.value, self.results.rows, self.scores, axes, percent
        )
        return self.box._repr_mimebundle_() | {"text/html": shown}

    @_tells
    def _read_on(self, *_) -> None:
        new = self.results.refresh()
        self.message.value = paragraph(
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
        layers = layers_of(self.scores, of, against, self.percent.value, chosen and chosen.index)
        with self.figure.batch_update():
            for trace, layer in zip(self.figure.data, layers):
                trace.update(layer)
            self.figure.layout.xaxis.update(title_text=against, type=scale_of(self.scores[against]))
            self.figure.layout.yaxis.update(title_text=of, type=scale_of(self.scores[of]))
        self._show_agreement()

    def _show_agreement(self) -> None:
        text = agreement_text(self.scores, self.of.value, self.against.value, self.percent.value)
        self.agreement.value = paragraph(text)

    def _show_counts(self) -> None:
        self.heading.value = heading_html(self.results)

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
            self.name.value = paragraph(f"{chosen.index}: {chosen}")
            size = (6.4, 4.1) if isinstance(chosen, Architecture) else (12.4, 4)
            self.cell.value = png_of(lambda axes: draw_cell(chosen, axes), size)
            ranks = ranks_of(self.scores, chosen.index)
            self.ranks.value = table_html(ranks) + paragraph(
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
            self.curve.value = png_of(lambda axes: draw_curve(curves, chosen.index, method, axes), (6.4, 3.2))

    @_tells
    def _show_rows(self, *_) -> None:
        chosen = {name: widget.value for name, widget in self.filters.items()}
        self.filtered = filter_rows(self.results.rows, **chosen)
        self.page.max = count_pages(self.filtered)
        self._show_page()

    def _show_page(self, *_) -> None:
        self.table.value = page_of(self.filtered, self.page.value)


def _offer(dropdown, options: list[str]) -> None:
    """Give a dropdown other options, what is chosen staying so if it is one of them, else the first."""
    if tuple(options) != tuple(dropdown.options):
        chosen = dropdown.value
        dropdown.options = options
        dropdown.value = chosen if chosen in options else next(iter(options), None)
