"""The widgets of results folders."""

import functools
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from fearlib.errors import InputError, require
from fearlib.explorer.axes import COMBINATIONS, beside, same_methods, score_axes, with_combination
from fearlib.explorer.scores import EVERY, OUTCOMES, SHOWN, axes_of, filter_rows, first_axes, ranks_of, score_table
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
    static_view,
    table_html,
)
from fearlib.ranking.tables import method_order
from fearlib.spaces.drawing import draw_cell, has_cell
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import parse_architecture
from fearlib.sweeps.folders import distinct_names
from fearlib.sweeps.reader import Results

_NOTHING = {"nothing": ""}
_LABEL, _FULL = {"description_width": "105px"}, {"width": "98%"}
_NARROW = {"style": _LABEL, "layout": {"width": "330px"}}


class Explorer:
    """Widgets of a results folder, for the last line of a notebook's cell, and what happens when they are used.

    `folders` are others that can be opened in its place, or beside it. Where no widgets can be shown,
    `static_view` stands in their place. Raises ImportError, naming it, if a package is missing, InputError if
    there is no score yet.
    """

    def __init__(self, results: Results, folders: Iterable[str | Path] = ()):
        widgets = require("ipywidgets", "explore results in a notebook")
        require("anywidget", "explore results in a notebook")
        graph = require("plotly.graph_objects", "draw interactive figures")
        self.results, self.other, self.other_name, self.scores = results, None, "", score_table(results.rows)
        self.lock, self.answering, self.chosen = threading.RLock(), False, None
        self.figure = graph.FigureWidget(scatter_figure(self.scores, *first_axes(self.scores), 100))
        self._make_choices(widgets, folders)
        self._make_detail(widgets)
        self._make_filters(widgets)
        self._lay_out(widgets)
        self._listen()
        self._show_heading()
        self._show_agreement()
        self._show_rows()
        self._show_chosen()

    def _make_choices(self, widgets, folders: Iterable[str | Path]) -> None:
        """What is drawn of which folders, and what is said of that."""
        choice = functools.partial(widgets.Dropdown, **_NARROW)
        paths = list({path.resolve(): path for path in (*map(Path, folders), self.results.folder)}.values())
        paths = dict(zip(distinct_names(paths), paths))
        axes, (of, against) = axes_of(self.scores), first_axes(self.scores)
        self.heading, self.message, self.compared, self.agreement = (widgets.HTML() for _ in range(4))
        self.refresh = widgets.Button(
            description="Refresh", icon="refresh", tooltip="Read the trials that are new"
        )
        self.folder = choice(description="folder", options=paths, value=self.results.folder)
        self.beside = choice(description="beside it", options=_NOTHING | paths)
        self.of = choice(description="vertical axis", options=axes, value=of)
        self.against = choice(description="horizontal axis", options=axes, value=against)
        self.percent = widgets.IntSlider(100, 5, 100, 5, description="top x%", continuous_update=False, **_NARROW)
        self.combined = widgets.SelectMultiple(
            description="combine", options=score_axes(self.scores), rows=4, **_NARROW,
            tooltip="Two methods or more become one, which is then an axis",
        )  # fmt: skip
        self.how = choice(description="as their", options=list(COMBINATIONS))

    def _make_detail(self, widgets) -> None:
        """One architecture, and what is known of it."""
        self.architecture = widgets.Text(
            description="architecture", placeholder="click a point, or type an index or a string",
            continuous_update=False, style=_LABEL, layout=_FULL,
        )  # fmt: skip
        self.name, self.ranks = widgets.HTML(), widgets.HTML()
        self.cell, self.curve = (widgets.Image(layout=_FULL) for _ in range(2))
        self.curve_of = widgets.Dropdown(description="learning curve", style=_LABEL, layout=_FULL)
        self.detail = widgets.VBox([self.name, self.cell, self.curve_of, self.curve, self.ranks])

    def _make_filters(self, widgets) -> None:
        """The table of rows: which, in what order, and which page of them."""
        choice = functools.partial(widgets.Dropdown, **_NARROW)
        self.filters = {
            "method": choice(description="method", options=[EVERY, *self.results.rows.method.unique()]),
            "outcome": choice(description="outcome", options=OUTCOMES),
            "text": widgets.Text(description="architecture", placeholder="index, or part of its string",
                                 continuous_update=False, **_NARROW),
            "sort": choice(description="sorted by", options=SHOWN),
            "descending": widgets.Checkbox(description="largest first", indent=False),
        }  # fmt: skip
        self.page = widgets.BoundedIntText(1, min=1, description="page", **_NARROW)
        self.table = widgets.HTML()

    def _lay_out(self, widgets) -> None:
        row = functools.partial(widgets.HBox, layout={"flex_flow": "row wrap"})
        panel = widgets.VBox([self.architecture, self.detail], layout={"width": "470px"})
        self.box = widgets.VBox([
            row([self.folder, self.beside, self.refresh]),
            self.heading, self.message, self.compared,
            row([self.of, self.against, self.percent]),
            row([self.combined, self.how]),
            self.agreement,
            row([self.figure, panel]),
            row([*self.filters.values(), self.page]),
            self.table,
        ])  # fmt: skip

    def _listen(self) -> None:
        self.refresh.on_click(self._answer(self._read_on))
        for answer, *asking in (
            (self._open, self.folder),
            (self._open_beside, self.beside),
            (self._combine, self.combined, self.how),
            (self._draw, self.of, self.against, self.percent),
            (self._choose, self.architecture),
            (self._show_rows, *self.filters.values()),
        ):
            for widget in asking:
                widget.observe(self._answer(answer), "value")
        for trace in self.figure.data:
            trace.on_click(self._click)
        self.curve_of.observe(self._show_curve, "value")
        self.page.observe(self._show_page, "value")

    def _answer(self, answer: Callable[[], None]) -> Callable[..., None]:
        """A handler of events that shows what is wrong in a sentence.

        Events come in several threads and wait for each other. Those of what a handler itself sets are left alone.
        """

        def handler(*_) -> None:
            with self.lock:
                if not self.answering:
                    self.answering = True
                    try:
                        answer()
                    except (InputError, OSError) as error:
                        self.message.value = paragraph(str(error))
                    finally:
                        self.answering = False

        return handler

    def _repr_mimebundle_(self, **_) -> dict:
        axes, percent = (self.of.value, self.against.value), self.percent.value
        shown = static_html(
            self.heading.value, self.agreement.value, self.results.rows, self.scores, axes, percent
        )
        return self.box._repr_mimebundle_() | {"text/html": shown}

    def _read_on(self) -> None:
        try:
            new = self.results.refresh() + (self.other.refresh() if self.other else 0)
            self.message.value = paragraph(
                f"{new} new trial{'s' * (new > 1)} at {datetime.now():%H:%M:%S}" if new else "nothing is new"
            )
        finally:  # of two folders the first may have new ones where the other cannot be read
            self._show_all()

    def _open(self) -> None:
        results = Results(self.folder.value)
        score_table(results.rows)  # refuses one that has none
        self.results, self.other, self.message.value = results, None, ""
        self.beside.value = self.architecture.value = ""  # which may be of another search space
        self.chosen = None
        self._show_all()

    def _open_beside(self) -> None:
        other = Results(self.beside.value) if self.beside.value else None
        if other:  # refuses what cannot stand there
            beside(score_table(self.results.rows), score_table(other.rows), self.beside.label)
        self.other, self.other_name, self.message.value = other, self.beside.label, ""
        self._show_all()

    def _combine(self) -> None:
        self.message.value = ""
        self._show_all()
        if len(self.combined.value) > 1:
            self.of.value = self.scores.columns[-1]
            self._draw()

    def _show_all(self) -> None:
        self.scores = self._gathered()
        for dropdown, first in zip((self.of, self.against), first_axes(self.scores)):
            _offer(dropdown, axes_of(self.scores), first)
        _offer(self.filters["method"], [EVERY, *self.results.rows.method.unique()])
        self._show_heading()
        self._draw()
        self._show_rows()
        self._show_chosen()

    def _gathered(self):
        """The scores of the folder, those of the one beside it, and the combination that is chosen."""
        scores, self.compared.value = score_table(self.results.rows), ""
        if self.other:
            others, name = score_table(self.other.rows), self.other_name
            self.compared.value = table_html(same_methods(scores, others)) + paragraph(
                f"Spearman with test accuracy here and there, in {name}; together: between a method's two scores."
            )
            scores = beside(scores, others, name)
        offered = score_axes(scores)
        chosen = [name for name in offered if name in self.combined.value]
        if tuple(offered) != tuple(self.combined.options):
            self.combined.options = offered
            self.combined.value = chosen
        return with_combination(scores, chosen, self.how.value) if len(chosen) > 1 else scores

    def _draw(self) -> None:
        of, against, chosen = self.of.value, self.against.value, self.chosen
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

    def _show_heading(self) -> None:
        self.heading.value = heading_html(self.results)

    def _click(self, trace, points, _) -> None:
        if points.point_inds:
            self.architecture.value = str(trace.customdata[points.point_inds[0]])

    def _choose(self) -> None:
        self.message.value, self.chosen = "", None
        text = self.architecture.value.strip()
        try:
            self.chosen = parse_architecture(text, self.results.rows.space.iloc[0]) if text else None
        finally:
            self._show_chosen()
            self._draw()

    def _show_chosen(self) -> None:
        chosen = self.chosen
        self.detail.layout.display = "none" if chosen is None else None
        if chosen is not None:
            self.name.value = paragraph(f"{chosen.index}: {chosen}")
            self.cell.layout.display = None if has_cell(chosen) else "none"
            if has_cell(chosen):
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
        method, chosen = self.curve_of.value, self.chosen
        self.curve.layout.display = "none" if method is None or chosen is None else None
        if method is not None and chosen is not None:
            curves = self.results.curves()
            self.curve.value = png_of(lambda axes: draw_curve(curves, chosen.index, method, axes), (6.4, 3.2))

    def _show_rows(self) -> None:
        chosen = {name: widget.value for name, widget in self.filters.items()}
        self.filtered = filter_rows(self.results.rows, **chosen)
        self.page.max = count_pages(self.filtered)
        self._show_page()

    def _show_page(self, *_) -> None:
        self.table.value = page_of(self.filtered, self.page.value)


def explore(folder: str | Path, folders: Iterable[str | Path] = (), widgets: bool = True):
    """The `Explorer` of a results folder; or its `static_view`, where no widgets are wanted, or none are there."""
    results = Results(folder)
    if widgets:
        try:
            return Explorer(results, folders)
        except ImportError as error:
            print(error)
    return require("IPython.display", "show HTML in a notebook").HTML(static_view(results))


def _offer(dropdown, options: list[str], first: str | None = None) -> None:
    """Give a dropdown other options, what is chosen staying so if it is one of them; else `first`."""
    if tuple(options) != tuple(dropdown.options):
        chosen = dropdown.value
        dropdown.options = options
        dropdown.value = chosen if chosen in options else first or next(iter(options), None)
