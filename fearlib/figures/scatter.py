"""Architectures by a score and by test accuracy."""

import textwrap

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.figures.frame import COLUMNS, heading, pyplot
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman

_QUARTERS = np.linspace(0, 1, 5)


def scatter(rows: pd.DataFrame, methods: list[str] | None = None, *, own_truth: bool = False):
    """The rank of the score against that of test accuracy, a panel a method, the highest Spearman first.

    Ranks are what Spearman sees, and networks that learn nothing leave room for the others; below a quarter of the
    ranks stands the test accuracy there. Above each panel are Spearman, its 95% interval and n. `rows` as
    `fearlib.read_rows` gives them; `own_truth` says that our own full training gave their accuracy, as always on
    the synthetic dataset. Architectures without a score are not drawn. Returns the matplotlib figure.
    Raises InputError for methods without rows, and if no test accuracy is known.
    """
    plt = pyplot()
    of_rows = list(rows.method.unique())
    methods = of_rows if methods is None else methods
    if isinstance(methods, str) or not set(methods) or not set(methods) <= set(of_rows):
        raise InputError(f"methods={methods!r:.200}: it must be a list out of {', '.join(of_rows)}.")
    each = {
        name: rows[rows.method == name].groupby("index")[["score", "test_accuracy"]].mean() for name in methods
    }
    found = {name: estimate(spearman, table.score, table.test_accuracy) for name, table in each.items()}
    accuracy = rows.groupby("index").test_accuracy.mean().dropna()
    if accuracy.empty:
        raise InputError("there is no test accuracy to draw the scores against: run the sweep with a truth.")
    places = accuracy.rank(pct=True)
    lines = -(-len(methods) // COLUMNS)
    figure, axes = plt.subplots(
        lines, COLUMNS, figsize=(2.3 * COLUMNS, 2.35 * lines), squeeze=False, layout="constrained"
    )
    order = sorted(methods, key=lambda name: -np.nan_to_num(found[name].value, nan=-1))
    for axis, name in zip(axes.flat, order):
        known = each[name].dropna()
        score = known.score.rank(pct=True)
        size = 3 if len(known) > 300 else 5
        axis.plot(places[known.index], score, ".", color="#0072b2", markersize=size, alpha=0.6, markeredgewidth=0)
        of = f" of {len(each[name])}" if len(each[name]) > len(known) else ""
        axis.set_title(f"{name}\n{found[name]}, n={len(known)}{of}", fontsize=8)
        axis.set_xticks(_QUARTERS, [f"{level:.1f}" for level in accuracy.quantile(_QUARTERS)])
        axis.set_yticks(_QUARTERS, ["last", "", "", "", "first"])
        axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(methods) :]:
        axis.set_visible(False)
    own_truth |= set(rows.space) != {"nats-tss"} or "synthetic" in set(rows.dataset)
    whose = "our own full training's" if own_truth else "benchmark"
    figure.supxlabel(f"{whose} test accuracy (%) at every quarter of its ranks", fontsize=9)
    figure.supylabel("rank by the score", fontsize=9)
    title = f"{heading(rows)}; above: Spearman, 95% bootstrap"
    figure.suptitle(textwrap.fill(title, int(13 * figure.get_figwidth())), fontsize=9)
    return figure
