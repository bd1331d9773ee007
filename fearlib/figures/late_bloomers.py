"""Test accuracy against the time until a training accuracy is reached; figure F3 of Dey et al. 2021."""

import textwrap

import pandas as pd

from fearlib.figures.frame import count_range, pyplot
from fearlib.ranking.curves import of_architectures
from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman


def late_bloomers(times: dict[str, pd.DataFrame]):
    """Test accuracy against the epochs and seconds until a training accuracy is reached; the paper's figure F3.

    `times` by a name for each source, with the columns `epochs`, `seconds` (NaN: never reached) and
    `test_accuracy`; seeds are averaged, as `of_architectures` does. Networks that never reached it stand at the
    right edge, at the bottom with their accuracy in numbers if it lies far below all others'. A line of panels a
    source, above each Spearman with its 95% interval over those that did. Returns the matplotlib figure.
    """
    plt = pyplot()
    figure, axes = plt.subplots(
        len(times), 2, figsize=(6.5, 2.9 * len(times)), squeeze=False, sharey="row", layout="constrained"
    )
    for line, (name, table) in zip(axes, times.items()):
        table = of_architectures(table)
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
                    f"{far.sum()} at {count_range(never[far].round().astype(int))}%", (edge, bottom), (-5, 2),
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
