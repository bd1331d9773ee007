"""A table becomes a figure: pure functions of tidy rows, readable in print and for colour-blind readers."""

import itertools
import math
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.data.registry import shown_name
from fearlib.errors import require
from fearlib.files.outside import user_path
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import pareto_front, spearman
from fearlib.ranking.tables import method_order
from fearlib.scores.registry import MEASURES
from fearlib.spaces.drawing import draw_cell
from fearlib.spaces.registry import parse_architecture
from fearlib.sweeps.labels import kind_of

_MARKERS = {"fear": ("s", "#d55e00"), "shortreg": ("o", "#0072b2")}
_OTHER_MARKER = ("^", "#009e73")
_SEARCH_MARKERS = {**_MARKERS, "funnel": ("D", "#cc79a7")}
_COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")


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
        out = f", {len(each) - len(known)} without score" if len(each) > len(known) else ""
        title = f"{method}\nSpearman {estimate(spearman, each.score, each.test_accuracy)}\nn={len(known)}{out}"
        axis.set_title(title, fontsize=8)
        axis.tick_params(labelsize=7)
        size = known.score.abs()
        if len(known) and size.max() > 1e3 * max(size.median(), 1e-12):
            linear = max(size.median() / 10, 1e-12)
            room = max(np.log10(size.max() / linear) / 5, 1)  # for the numbers about zero
            axis.set_yscale("symlog", linthresh=linear, linscale=room)
            axis.yaxis.get_major_locator().set_params(numticks=7)
    for axis in axes.flat[len(methods) :]:
        axis.set_visible(False)
    whose = "our own full training's" if set(rows.dataset) == {"synthetic"} else "benchmark"
    figure.supxlabel(f"{whose} test accuracy (%)", fontsize=9)
    figure.supylabel("score", fontsize=9)
    figure.suptitle(_where(rows), fontsize=9)
    return figure


def cost_against_spearman(table: pd.DataFrame, rows: pd.DataFrame):
    """Each method's Spearman with its 95% interval against its mean cost in multiply-accumulates.

    `table` as `fearlib.ranking_table` makes it of `rows`. Returns the matplotlib figure.
    """
    plt = _pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    table = table.dropna(subset="spearman").sort_values("spearman", ignore_index=True)
    axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    kinds = table.method.map(kind_of)
    _points(axis, table.method, kinds, table.gmacs, table.spearman, table.low, table.high)
    cost = "cost an architecture (10$^9$ multiply-accumulates)"
    axis.set_xlabel(cost + "; at the left edge: none" * bool((table.gmacs == 0).any()))
    axis.set_ylabel("Spearman with test accuracy")
    title = f"{_where(rows)}, n={_range(table.n)}, bars: 95% bootstrap"
    axis.set_title(textwrap.fill(title, 80), fontsize=9)
    return figure


def search_cost(table: pd.DataFrame, rows: pd.DataFrame):
    """Accuracy that searches find against their cost, with 95% intervals; the paper's T3.

    `table` as `random_search_table` makes it of trials in `rows`. Returns the matplotlib figure.
    """
    plt = _pyplot()
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
    title = f"{_where(rows)}, {seen}, bars: 95% bootstrap over architectures"
    axis.set_title(textwrap.fill(title, 80), fontsize=9)
    return figure


def _points(axis, names, kinds, cost, value, low, high) -> None:
    """Values, ascending, with error bars against cost on a log scale, in the colours of their kinds of method."""
    points = pd.DataFrame({"name": names, "kind": kinds, "cost": _not_free(cost), "value": value})
    for point, below, above in zip(points.itertuples(), value - low, high - value):
        marker, colour = _SEARCH_MARKERS.get(point.kind, _OTHER_MARKER)
        error = [[max(below, 0)], [max(above, 0)]]
        axis.errorbar(point.cost, point.value, yerr=error, fmt=marker, color=colour, markersize=5, elinewidth=0.8)
    axis.set_xscale("log")
    axis.set_xlim(right=axis.get_xlim()[1] * 10 ** (max(map(len, names), default=0) / 11))  # room for the names
    bottom, top = axis.get_ylim()
    neighbours = np.log10(points.cost.sort_values()).diff().gt(0.7).cumsum()  # a gap to the next cost: a new group
    for _, near in points.groupby(neighbours):
        heights = _apart(near.value.to_numpy(), (top - bottom) / 26, bottom, top)
        for point, height in zip(near.itertuples(), heights):
            axis.annotate(
                point.name,
                (point.cost, point.value),
                (near.cost.max() * 1.6, height),
                fontsize=7,
                va="center",
                arrowprops={"arrowstyle": "-", "color": "0.7", "linewidth": 0.5},
            )


def _log_scale(axis, cost: pd.Series) -> None:
    """For costs across, with as many numbers as there is room for."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.xaxis.set_minor_formatter(NullFormatter())
    if cost.max() < 30 * cost.min():
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")


def _not_free(cost: pd.Series) -> pd.Series:
    """Costs for a log scale, on which nothing stands a tenth below the least."""
    return cost.where(cost > 0, cost[cost > 0].min() / 10)


def _apart(heights: np.ndarray, gap: float, bottom: float, top: float) -> np.ndarray:
    """Ascending heights moved apart to a distance of at least `gap`, between `bottom` and `top` where they fit."""
    steps = gap * np.arange(len(heights))
    apart = np.maximum.accumulate(heights - steps) + steps
    down = np.minimum(apart, top - steps[::-1] - gap / 2)
    return np.maximum(down, bottom + steps + gap / 2)


def top_percent(
    table: pd.DataFrame, rows: pd.DataFrame, published: dict[str, float] | None = None, columns: int = 4
):
    """Spearman within the top x% against x, a panel a method, with its 95% interval; the paper's figure F2.

    `table` as `top_table` makes it of `rows`; `published` values, over all architectures, are shown
    as diamonds. Returns the matplotlib figure.
    """
    figure, panels = _panels(list(table.method.unique()), columns)
    for method, axis in panels.items():
        _with_band(axis, table[table.method == method], "top", "#0072b2")
        if method in (published or {}):
            axis.plot([100], [published[method]], "D", color="#d55e00", markersize=4, label="published")
            axis.legend(fontsize=7, loc="lower right")
        axis.set_xticks(range(20, 101, 20))
    count = _range(table.n[table.top == 100])
    title = f"{_where(rows)}, n={count} at 100%, bands: 95% bootstrap"
    figure.suptitle(textwrap.fill(title, int(13 * figure.get_figwidth())), fontsize=9)
    figure.supxlabel("top x% by test accuracy", fontsize=9)
    figure.supylabel("Spearman with test accuracy", fontsize=9)
    return figure


def pareto(table: pd.DataFrame, rows: pd.DataFrame, value: str = "spearman"):
    """`value` (`spearman` or `common`) against cost, a panel a top x%, with shortreg's Pareto front; figure F4.

    `table` as `top_table` makes it of `rows`; its cost is the mean in the top x%. Spearman is drawn
    with its 95% interval. Scores without a cost stand at the left edge. Returns the matplotlib figure.
    """
    plt = _pyplot()
    known = table.dropna(subset=value)  # of two architectures there is no correlation
    tops = sorted((table if known.empty else known).top.unique())
    figure, axes = plt.subplots(
        -(-len(tops) // 3), 3, figsize=(8, 2.6 * -(-len(tops) // 3)), squeeze=False, sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[len(tops) :]:
        axis.set_visible(False)
    for axis, top in zip(axes.flat, tops):
        each = table[table.top == top].dropna(subset=value)
        kinds = each.method.map(kind_of)
        each = each.assign(gmacs=_not_free(each.gmacs), family=kinds.where(kinds.isin(_MARKERS), "zero-cost"))
        for family in (*_MARKERS, "zero-cost"):
            marker, colour = _MARKERS.get(family, _OTHER_MARKER)
            of_family = each[each.family == family]
            if of_family.empty:
                continue
            spread = None
            if value == "spearman":
                below, above = of_family.spearman - of_family.low, of_family.high - of_family.spearman
                spread = [below.clip(lower=0), above.clip(lower=0)]
            axis.errorbar(
                of_family.gmacs, of_family[value], yerr=spread, fmt=marker, color=colour, markersize=4,
                elinewidth=0.6, label=family,
            )  # fmt: skip
            if family == "shortreg":
                front = of_family.iloc[pareto_front(of_family.gmacs, of_family[value])]
                axis.plot(front.gmacs, front[value], color=colour, linewidth=0.8, label="shortreg's Pareto front")
        _log_scale(axis, each.gmacs)
        axis.axhline(0, color="0.5", linewidth=0.8, zorder=0)
        axis.set_title(f"top {top:g}%, n={_range(table.n[table.top == top])}", fontsize=9)
        axis.tick_params(labelsize=7, labelbottom=True)
    if axis.containers:  # of very few architectures there may be nothing to draw
        axis.legend(fontsize=6, loc="lower left")
    figure.suptitle(_where(rows), fontsize=9)
    cost = "cost an architecture in the top x% (10$^9$ multiply-accumulates)"
    figure.supxlabel(cost + "; at the left edge: none" * bool((table.gmacs == 0).any()), fontsize=9)
    figure.supylabel({"spearman": "Spearman, 95% bootstrap", "common": "common"}[value], fontsize=9)
    return figure


def late_bloomers(times: dict[str, pd.DataFrame]):
    """Test accuracy against the epochs and seconds until a training accuracy is reached; the paper's figure F3.

    `times` by a name for each source, with the columns `epochs`, `seconds` (NaN: never reached) and
    `test_accuracy`; networks that never reached it stand at the right edge, at the bottom with their accuracy in
    numbers if it lies far below all others'. A line of panels a source, above each Spearman with its 95% interval
    over those that did. Returns the matplotlib figure.
    """
    plt = _pyplot()
    figure, axes = plt.subplots(
        len(times), 2, figsize=(6.5, 2.9 * len(times)), squeeze=False, sharey="row", layout="constrained"
    )
    for line, (name, table) in zip(axes, times.items()):
        for axis, cost in zip(line, ("epochs", "seconds")):
            reached = table.dropna(subset=cost)
            never = table.test_accuracy[table[cost].isna()]
            axis.plot(reached[cost], reached.test_accuracy, ".", color="#0072b2", markersize=4, alpha=0.7)
            edge = reached[cost].max() * 1.15
            least, most = reached.test_accuracy.min(), reached.test_accuracy.max()
            far = never < least - (most - least)
            if not far.all():
                axis.plot([edge] * (~far).sum(), never[~far], "x", color="#d55e00", markersize=4, label="never")
            if far.any():
                bottom = table.test_accuracy.drop(never[far].index).min() - 0.1 * (most - least)
                axis.plot(edge, bottom, "v", color="#d55e00", markersize=5, label="never, far below")
                axis.annotate(
                    f"{far.sum()} at {_range(never[far].round().astype(int))}%", (edge, bottom), (-5, 2),
                    textcoords="offset points", ha="right", fontsize=7,
                )  # fmt: skip
            found = estimate(spearman, reached[cost], reached.test_accuracy)
            title = f"{textwrap.fill(name, 56)}\nSpearman {found}, n={len(reached)}, {len(never)} never"
            axis.set_title(title, fontsize=7)
            axis.set_xlabel(f"{cost} until this training accuracy", fontsize=8)
            axis.tick_params(labelsize=7)
            if len(never):
                axis.legend(fontsize=7)
        line[0].set_ylabel("test accuracy (%)", fontsize=8)
    return figure


def best_and_worst_cells(rows: pd.DataFrame):
    """The cell that each method ranks best and the one that it ranks worst, below those of test accuracy itself.

    `rows` as `fearlib.read_rows` gives them, of one search space; scores are means over seeds. Above each cell
    stand its test accuracy and the rank of that. Of equal scores the lowest index is drawn, and they are counted.
    Returns the matplotlib figure.
    """
    plt = _pyplot()
    accuracy = rows.groupby("index").test_accuracy.mean()
    architectures, (space,) = rows.groupby("index").arch.first(), rows.space.unique()
    ranks = accuracy.rank(ascending=False, method="min").astype(int)
    scores = {"test accuracy": accuracy} | {
        method: rows[rows.method == method].groupby("index").score.mean().dropna()
        for method in sorted(rows.method.unique(), key=method_order)
    }
    figure, axes = plt.subplots(
        len(scores), 2, figsize=(9, 3.1 * len(scores)), squeeze=False, layout="constrained"
    )
    for line, (method, score) in zip(axes, scores.items()):
        for axis, which, index in zip(line, ("best", "worst"), (score.idxmax(), score.idxmin())):
            draw_cell(parse_architecture(architectures[index], space), axis)
            equal = (score == score[index]).sum()
            title = f"{method}: {which}{f', one of {equal}' if equal > 1 else ''}"
            rank = f"{accuracy[index]:.1f}% test accuracy, rank {ranks[index]} of {len(ranks)}"
            axis.set_title(f"{title}\n{rank}", fontsize=9)
    figure.suptitle(_where(rows), fontsize=9)
    return figure


def degradation(table: pd.DataFrame, published: dict[str, dict[float, float]] | None = None, columns: int = 4):
    """Spearman against epochs of training, a panel a measure, a line a schedule; the paper's figure F1.

    `table` as `degradation_table` makes it. At the end of a line stands how many architectures it rests on, and
    also before the moment at which they become others. `published` values by epoch are shown as diamonds. Epochs
    are on a linear scale up to 1, on a log scale beyond. Returns the matplotlib figure.
    """
    colours = dict(zip(table.schedule.unique(), itertools.cycle(_COLOURS)))
    figure, panels = _panels(list(table.measure.unique()), columns)
    for measure, axis in panels.items():
        of_measure = table[table.measure == measure]
        for schedule, each in of_measure.groupby("schedule", sort=False):
            _with_band(axis, each, "epoch", colours[schedule], schedule)
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
        for point, height in zip(points.itertuples(), _apart(points.spearman.to_numpy(), 0.15, -1, 1)):
            axis.annotate(
                point.n, (epoch, height), (2, 2), textcoords="offset points", fontsize=7,
                color=colours[point.schedule],
            )  # fmt: skip


def _epoch_ticks(last: float) -> list[float]:
    """0, 0.5, 1, and on by doubling, or by fours where that gives more than eight."""
    doublings = max(math.ceil(math.log2(max(last, 1))), 0)
    return [0, 0.5, *(2**power for power in range(0, doublings + 1, 2 if doublings > 4 else 1))]


def ablation(table: pd.DataFrame, standard: dict[str, float], rows: pd.DataFrame):
    """Spearman with its 95% interval for every value of a setting, a panel a setting, its usual value in orange.

    `table` has a line a value that differs from the `standard` of one setting, and one where `changed` is
    "nothing": `changed`, `value`, `n`, `spearman`, `low`, `high`, and `gmacs`, which stand below with n; `rows`
    are those that it was made of. Returns the matplotlib figure.
    """
    plt = _pyplot()
    settings = [name for name in standard if name in set(table.changed)]
    figure, axes = plt.subplots(
        1,
        max(len(settings), 1),
        figsize=(max(2.7 * len(settings), 4.5), 3),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, setting in zip(axes.flat, settings):
        usual = table[table.changed == "nothing"].assign(value=standard[setting], changed=setting)
        each = pd.concat([table[table.changed == setting], usual]).sort_values("value", ignore_index=True)
        spread = np.clip([each.spearman - each.low, each.high - each.spearman], 0, None)
        for place, line in each.iterrows():
            colour = "#d55e00" if line.value == standard[setting] else "#0072b2"
            axis.errorbar(place, line.spearman, yerr=spread[:, [place]], fmt="o", color=colour, elinewidth=0.8)
        names = [f"{line.value:g}\nn={line.n}\n{line.gmacs:.0f}" for line in each.itertuples()]
        axis.set_xticks(range(len(each)), names, fontsize=7)
        axis.set_xlim(-0.5, len(each) - 0.5)
        axis.set_title(setting, fontsize=9)
        axis.tick_params(labelsize=7)
    figure.suptitle(f"{_where(rows)}; orange: as the preset has it", fontsize=9)
    figure.supxlabel("value, architectures with a score, 10$^9$ multiply-accumulates an architecture", fontsize=8)
    figure.supylabel("Spearman with test accuracy,\n95% bootstrap", fontsize=8)
    return figure


def combinations_cost(table: pd.DataFrame):
    """Spearman of single scores and of combinations against cost, with their fronts; also in the better half.

    `table` has `dataset`, `set`, `candidate`, `n`, `spearman`, `top 50%` and `gmacs`; two lines of panels a
    dataset, a column a set. FEAR alone is a square. Scores without a cost stand at the left edge. Returns the
    matplotlib figure.
    """
    plt = _pyplot()
    sets, values = list(table["set"].unique()), {"spearman": "over all", "top 50%": "in the better half"}
    rows = [(dataset, value) for dataset in table.dataset.unique() for value in values]
    figure, axes = plt.subplots(
        len(rows), len(sets), figsize=(2.6 * len(sets), 1.8 * len(rows)), squeeze=False, sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    is_single = ~table.candidate.str.contains(r" \* |^mean of ")
    is_fear = is_single & (table.candidate.str.partition("/")[2].map(kind_of) == "fear")
    table = table.assign(gmacs=_not_free(table.gmacs))
    for line, (dataset, value) in zip(axes, rows):
        for axis, name in zip(line, sets):
            here = (table.dataset == dataset) & (table["set"] == name)
            axis.set_visible(bool(here.any()))
            axis.set_title(f"{name}, n={_range(table.n[here])}", fontsize=8)
            for label, chosen, colour in (
                ("combination", ~is_single, "#009e73"), ("single score", is_single, "#0072b2"),
            ):  # fmt: skip
                each = table[here & chosen]
                axis.plot(each.gmacs, each[value], ".", color=colour, markersize=4, alpha=0.5, label=label)
                front = each.iloc[pareto_front(each.gmacs, each[value])]
                axis.step(front.gmacs, front[value], where="post", color=colour, linewidth=1)
            marker, colour = _MARKERS["fear"]
            fear = table[here & is_fear]
            axis.plot(fear.gmacs, fear[value], marker, color=colour, markersize=5, label="FEAR")
            axis.set_xscale("log")
            axis.set_ylim(-0.2, 1)
            axis.tick_params(labelsize=7, labelbottom=True, labelleft=True)
        first = next(axis for axis in line if axis.get_visible())
        first.set_ylabel(f"{textwrap.fill(shown_name(dataset), 20)},\n{values[value]}", fontsize=8)
    axes[0, 0].legend(fontsize=6, loc="lower right")
    figure.supxlabel("cost an architecture (10$^9$ multiply-accumulates); at the left edge: none", fontsize=8)
    figure.supylabel("Spearman with test accuracy", fontsize=8)
    return figure


def value_of_budgets(table: pd.DataFrame):
    """What the best score or combination within each budget is worth; a column of panels a dataset, a line a set.

    `table` as `fearlib.ranking.held_out.choices` makes it, with `dataset` and `set`; bars hold 95% of the
    halvings. FEAR alone is an empty square beside its budget. Returns the matplotlib figure.
    """
    plt = _pyplot()
    datasets, budgets = list(table.dataset.unique()), list(table.sort_values("at most").budget.unique())
    sets, values = list(table["set"].unique()), {"spearman": "", "top 50%": "top 50% "}
    figure, axes = plt.subplots(
        2, len(datasets), figsize=(4 * len(datasets), 5), squeeze=False, sharex="col", sharey="row",
        layout="constrained",
    )  # fmt: skip
    for column, dataset in zip(axes.T, datasets):
        here = table[table.dataset == dataset]
        for name, each in here.groupby("set", sort=False):
            colour, shift = _COLOURS[sets.index(name)], 0.14 * (sets.index(name) - (len(sets) - 1) / 2)
            for among, style, beside, label in (
                ("combinations too", "o-", 0, f"{name}, n={_range(each.n)}"), ("FEAR alone", "s", 0.07, None),
            ):  # fmt: skip
                line = each[each.among == among]
                places = [budgets.index(budget) + shift + beside for budget in line.budget]
                for axis, (value, prefix) in zip(column, values.items()):
                    spread = [line[value] - line[f"{prefix}low"], line[f"{prefix}high"] - line[value]]
                    axis.errorbar(
                        places, line[value], yerr=spread, fmt=style, color=colour, markersize=4, elinewidth=0.7,
                        markerfacecolor="white" if beside else colour, linewidth=0.7, label=label,
                    )  # fmt: skip
        most = here.groupby("budget")["at most"].median()
        ticks = [f"{name}\n{float(f'{most[name]:.2g}'):g}" if name in most else name for name in budgets]
        column[1].set_xticks(range(len(budgets)), [tick.replace("times ", "times\n") for tick in ticks])
        column[1].set_xlim(-0.5, len(budgets) - 0.5)
        column[0].set_title(shown_name(dataset), fontsize=9)
        column[1].legend(fontsize=6, loc="lower right")
        for axis in column:
            axis.tick_params(labelsize=7)
            axis.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("Spearman held out, over all", fontsize=8)
    axes[1, 0].set_ylabel("in the better half", fontsize=8)
    figure.supxlabel("budget, and its 10$^9$ multiply-accumulates an architecture", fontsize=8)
    figure.suptitle("the best within each budget; empty squares: FEAR alone; bars: 95% of halvings", fontsize=8)
    return figure


def save_figure(figure, path: str | Path) -> None:
    """Write `path` as PNG and PDF, without dates, so that the same figure is the same file."""
    path = user_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})
    figure.set_layout_engine("none")  # both files, and the notebook, as laid out for the first
    figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})


def _panels(titles: list[str], columns: int):
    """A figure of small axes on one scale of correlation, by title."""
    plt = _pyplot()
    columns = min(columns, max(len(titles), 1))
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


def _with_band(axis, table: pd.DataFrame, x: str, colour: str, label: str | None = None) -> None:
    """`spearman` against x with its interval."""
    axis.fill_between(table[x], table.low, table.high, color=colour, alpha=0.2, linewidth=0)
    axis.plot(table[x], table.spearman, ".-", color=colour, markersize=4, linewidth=1, label=label)


def _pyplot():
    require("seaborn", "draw figures").set_theme("paper", "whitegrid")
    import matplotlib.pyplot as plt

    return plt


def _range(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low}..{high}"


def _where(rows: pd.DataFrame) -> str:
    """The data and the preset; beside trained methods also the preset at which zero-cost scores were taken."""
    free = rows.method.map(kind_of).isin(MEASURES)
    measured, trained = (", ".join(rows.preset[which].unique()) for which in (free, ~free))
    where = f"{', '.join(map(shown_name, rows.dataset.unique()))}, {trained or measured} preset"
    return f"{where}, zero-cost measures at the {measured} preset" if trained and measured else where
