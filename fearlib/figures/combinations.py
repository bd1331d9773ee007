"""Combinations of scores against cost, and by budget."""

import textwrap

import pandas as pd

from fearlib.data.registry import shown_name
from fearlib.figures.frame import COLOURS, MARKERS, count_range, not_free, pyplot
from fearlib.ranking.statistics import pareto_front
from fearlib.sweeps.labels import kind_of


def combinations_cost(table: pd.DataFrame):
    """Spearman of single scores and of combinations against cost, with their fronts; also in the better half.

    `table` has `dataset`, `set`, `candidate`, `n`, `spearman`, `top 50%` and `gmacs`; a line of two panels a set
    on a dataset. FEAR alone is a square. Scores without a cost stand at the left edge. Returns the matplotlib
    figure.
    """
    plt = pyplot()
    is_single = ~table.candidate.str.contains(r" \* |^mean of ")
    is_fear = is_single & (table.candidate.str.partition("/")[2].map(kind_of) == "fear")
    table = table.assign(gmacs=not_free(table.gmacs), single=is_single, fear=is_fear)
    groups = list(table.groupby(["dataset", "set"], sort=False))
    lowest = min(-0.2, table[["spearman", "top 50%"]].min(axis=None) - 0.05)
    figure, axes = plt.subplots(
        len(groups),
        2,
        figsize=(7, 2.4 * len(groups)),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for line, ((dataset, name), each) in zip(axes, groups):
        line[0].set_ylabel(
            f"{textwrap.fill(shown_name(dataset), 20)}\n{name}, n={count_range(each.n)}", fontsize=8
        )
        for axis, value in zip(line, ("spearman", "top 50%")):
            _points_and_front(axis, each[~each.single], value, "combination", "#009e73")
            _points_and_front(axis, each[each.single], value, "single score", "#0072b2")
            marker, colour = MARKERS["fear"]
            fear = each[each.fear]
            axis.plot(fear.gmacs, fear[value], marker, color=colour, markersize=5, label="FEAR")
            axis.set_xscale("log")
            axis.set_ylim(lowest, 1)
            axis.tick_params(labelsize=7)
    for axis, title in zip(axes[0], ("over all", "in the better half")):
        axis.set_title(title, fontsize=9)
    axes[0, 0].legend(fontsize=6, loc="lower right")
    figure.supxlabel("cost an architecture (10$^9$ multiply-accumulates); at the left edge: none", fontsize=8)
    figure.supylabel("Spearman with test accuracy", fontsize=8)
    return figure


def _points_and_front(axis, each: pd.DataFrame, value: str, label: str, colour: str) -> None:
    axis.plot(each.gmacs, each[value], ".", color=colour, markersize=4, alpha=0.5, label=label)
    front = each.iloc[pareto_front(each.gmacs, each[value])]
    axis.step(front.gmacs, front[value], where="post", color=colour, linewidth=1)


def value_of_budgets(table: pd.DataFrame):
    """What the best score or combination within each budget is worth; a column of panels a dataset, a line a set.

    `table` as `fearlib.ranking.held_out.choices` makes it, with `dataset` and `set`; bars hold 95% of the
    halvings. FEAR alone is an empty square beside its budget. Returns the matplotlib figure.
    """
    plt = pyplot()
    datasets, budgets = list(table.dataset.unique()), list(table.sort_values("at most").budget.unique())
    sets, values = list(table["set"].unique()), {"spearman": "", "top 50%": "top 50% "}
    figure, axes = plt.subplots(
        2, len(datasets), figsize=(4 * len(datasets), 5), squeeze=False, sharex="col", sharey="row",
        layout="constrained",
    )  # fmt: skip
    for column, dataset in zip(axes.T, datasets):
        here = table[table.dataset == dataset]
        for name, each in here.groupby("set", sort=False):
            colour, shift = COLOURS[sets.index(name)], 0.14 * (sets.index(name) - (len(sets) - 1) / 2)
            for among, style, beside, label in (
                ("combinations too", "o-", 0, f"{name}, n={count_range(each.n)}"), ("FEAR alone", "s", 0.07, None),
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
        column[1].legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2)
        for axis in column:
            axis.tick_params(labelsize=7)
            axis.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("Spearman held out, over all", fontsize=8)
    axes[1, 0].set_ylabel("in the better half", fontsize=8)
    figure.supxlabel("budget, and its 10$^9$ multiply-accumulates an architecture", fontsize=8)
    figure.suptitle("the best within each budget; empty squares: FEAR alone; bars: 95% of halvings", fontsize=8)
    return figure
