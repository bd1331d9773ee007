"""The cells that methods rank best and worst."""

import pandas as pd

from fearlib.errors import InputError
from fearlib.figures.frame import heading, pyplot
from fearlib.ranking.tables import method_order
from fearlib.spaces.drawing import draw_cell
from fearlib.spaces.registry import parse_architecture


def best_and_worst_cells(rows: pd.DataFrame):
    """The cell that each method ranks best and the one that it ranks worst, below those of test accuracy itself.

    `rows` as `fearlib.read_rows` gives them, of one search space; scores are means over seeds. Above each cell
    stand its test accuracy and the rank of that. Of equal scores the lowest index is drawn, and they are counted.
    A method without a score is left out. Returns the matplotlib figure. Raises InputError if no test accuracy is
    known.
    """
    plt = pyplot()
    rows = rows[rows.test_accuracy.notna()]
    if rows.empty:
        raise InputError("there is no test accuracy to draw the cells by: run the sweep with a truth.")
    accuracy = rows.groupby("index").test_accuracy.mean()
    architectures, (space,) = rows.groupby("index").arch.first(), rows.space.unique()
    ranks = accuracy.rank(ascending=False, method="min").astype(int)
    scores = {"test accuracy": accuracy} | {
        method: rows[rows.method == method].groupby("index").score.mean().dropna()
        for method in sorted(rows.method.unique(), key=method_order)
    }
    scores = {method: score for method, score in scores.items() if len(score)}
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
    figure.suptitle(heading(rows), fontsize=9)
    return figure
