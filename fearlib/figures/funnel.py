"""What a funnel keeps of a whole space, and what it makes of those."""

import pandas as pd

from fearlib.figures.frame import heading, pyplot
from fearlib.ranking.candidates import Comparison, combined
from fearlib.ranking.whole_space import best

_SHOWN = 0.9  # of the architectures, the best; networks that learn nothing would squash the others
_MARKS = {"the screen": ("v", "#0072b2"), "the training": ("s", "#009e73"), "both": ("D", "#d55e00")}


def funnel(of: Comparison, trained: pd.DataFrame, table: pd.DataFrame, screen: str):
    """Test accuracy against the place that the screen gives, on the left; against the trained score, on the right.

    `table` is `funnel_table` of the others. Lines on the right are from the lowest to the highest seed. Returns
    the matplotlib figure.
    """
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.6), layout="constrained")
    value = combined(of.scores, of.candidates)[screen]
    place = value.rank(ascending=False, method="first")
    kept = best(value, int(table.trained.max()))
    scores = trained[trained["index"].isin(kept)].groupby("index").score.agg(["mean", "min", "max"])
    shown = of.accuracy[of.accuracy >= of.accuracy.quantile(1 - _SHOWN)]
    left.plot(place[shown.index], shown, ".", color="0.6", markersize=1.5, rasterized=True)
    left.plot(place[kept], of.accuracy[kept], ".", color="black", markersize=4, label=f"the {len(kept)} kept")
    left.set_xscale("log")
    left.xaxis.set_major_formatter("{x:,.0f}")
    left.set(ylim=(shown.min(), of.accuracy.max() + 0.3), ylabel="test accuracy (%)")
    left.set(xlabel=f"place by the screen, of {len(value):,}, 1 the best")
    accuracy = of.accuracy[scores.index]
    right.hlines(accuracy, scores["min"], scores["max"], color="0.6", linewidth=0.8)
    right.plot(scores["mean"], accuracy, ".", color="black", markersize=4)
    right.axhline(of.accuracy.max(), color="0.4", linewidth=0.8, linestyle="--", label="the best of all")
    seeds = trained.seed.nunique()
    right.set(xlabel=f"{trained.method.iloc[0]}, {f'mean of {seeds} seeds' if seeds > 1 else 'one seed'}")
    for chosen_by, (marker, colour) in _MARKS.items():
        index = table.set_index("chosen by")["index"][chosen_by]
        if pd.isna(index):
            continue
        style = {"color": colour, "markersize": 8, "fillstyle": "none", "linestyle": "none", "marker": marker}
        left.plot(place[index], of.accuracy[index], **style)
        right.plot(scores["mean"].get(index), of.accuracy[index], **style, label=f"chosen by {chosen_by}")
    figure.legend(loc="outside lower center", ncols=5, fontsize=7)
    below = len(value) - len(shown)
    figure.suptitle(f"{heading(trained)}: {screen}; {below:,} architectures lie below the left panel", fontsize=8)
    return figure
