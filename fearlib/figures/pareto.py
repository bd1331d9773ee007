"""FEAR beside short training's Pareto front; figure F4 of Dey et al. 2021."""

import pandas as pd

from fearlib.figures.frame import MARKERS, OTHER_MARKER, count_range, heading, log_scale, not_free, pyplot
from fearlib.ranking.statistics import pareto_front
from fearlib.sweeps.labels import kind_of


def pareto(table: pd.DataFrame, rows: pd.DataFrame, value: str = "spearman"):
    """`value` (`spearman` or `common`) against cost, a panel a top x%, with shortreg's Pareto front; figure F4.

    `table` as `top_table` makes it of `rows`; its cost is the mean in the top x%. Spearman is drawn
    with its 95% interval; `common` is 1 in the top 100%, which has no panel. The best measure at initialisation is
    named. Scores without a cost stand at the left edge. Returns the matplotlib figure.
    """
    plt = pyplot()
    known = table.dropna(subset=value)  # of two architectures there is no correlation
    tops = sorted((table if known.empty else known).top.unique())
    if value == "common":
        tops = [top for top in tops if top < 100] or tops
    figure, axes = plt.subplots(
        -(-len(tops) // 3), 3, figsize=(8, 2.6 * -(-len(tops) // 3)), squeeze=False, sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[len(tops) :]:
        axis.set_visible(False)
    for axis, top in zip(axes.flat, tops):
        each = table[table.top == top].dropna(subset=value)
        kinds = each.method.map(kind_of)
        each = each.assign(gmacs=not_free(each.gmacs), family=kinds.where(kinds.isin(MARKERS), "zero-cost"))
        for family in (*MARKERS, "zero-cost"):
            marker, colour = MARKERS.get(family, OTHER_MARKER)
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
            if family == "zero-cost":
                best = of_family.loc[of_family[value].idxmax()]
                axis.annotate(
                    best.method, (best.gmacs, best[value]), (0, 4), textcoords="offset points", fontsize=6
                )
            if family == "shortreg":
                front = of_family.iloc[pareto_front(of_family.gmacs, of_family[value])]
                axis.plot(front.gmacs, front[value], color=colour, linewidth=0.8, label="shortreg's Pareto front")
        log_scale(axis, each.gmacs)
        axis.axhline(0, color="0.5", linewidth=0.8, zorder=0)
        axis.set_title(f"top {top:g}%, n={count_range(table.n[table.top == top])}", fontsize=9)
        axis.tick_params(labelsize=7, labelbottom=True)
    if axis.containers:  # of very few architectures there may be nothing to draw
        axis.legend(fontsize=6, loc="lower left")
    figure.suptitle(heading(rows), fontsize=9)
    cost = "cost an architecture in the top x% (10$^9$ multiply-accumulates)"
    figure.supxlabel(cost + "; at the left edge: none" * bool((table.gmacs == 0).any()), fontsize=9)
    figure.supylabel({"spearman": "Spearman, 95% bootstrap", "common": "common"}[value], fontsize=9)
    return figure
