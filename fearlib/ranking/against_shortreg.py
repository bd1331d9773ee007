"""FEAR against short training: the tables behind the paper's T1 and F4, as numbers and as texts to read."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from fearlib.ranking.estimate import Estimate, estimate
from fearlib.ranking.finished import finished_rows, methods_of
from fearlib.ranking.statistics import common, spearman, spearman_difference, top_indices
from fearlib.ranking.tables import compare_methods, in_papers_form, nearest_shortreg, top_table, with_errors
from fearlib.sweeps.meaning import with_meaning
from fearlib.sweeps.rows import read_rows

TOPS = (10, 20, 30, 40, 50, 100)


def read_comparison(
    folder: str | Path, methods: Iterable[str] | None = None, zero_cost: str | Path | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `finished_rows` of the methods, and of them those on the common set: where every FEAR gives a score.

    `zero_cost` is the folder with the zero-cost measures where the sweep has none: the first seed's are taken.
    """
    rows = finished_rows(folder, methods)
    if zero_cost is not None:
        free = read_rows(zero_cost)
        free = free[(free.seed == free.seed.min()) & free["index"].isin(rows["index"])]
        rows = pd.concat([rows, free])
    fear = rows[with_meaning(rows).kind == "fear"]
    reached = fear.groupby("index").score.apply(lambda score: score.notna().all())
    return rows, rows[rows["index"].isin(reached.index[reached])]


def nearest_table(rows: pd.DataFrame, tops: pd.DataFrame) -> pd.DataFrame:
    """`nearest_shortreg` of every setting of `FEAR`, `over` the paper's form and the common set.

    `tops` is `top_table` of the common set. In the paper's form a FEAR is over the architectures that reached its
    threshold, and short training over all.
    """
    lines = []
    for method in methods_of(rows, "fear"):
        as_paper = top_table(in_papers_form(rows, method), TOPS)
        for over, table in (("the paper's form", as_paper), ("common set", tops)):
            lines.append(nearest_shortreg(table, method).assign(FEAR=method, over=over))
    return pd.concat(lines, ignore_index=True)


def shown_nearest(nearest: pd.DataFrame) -> pd.DataFrame:
    """`nearest_table` as texts to read."""
    return pd.DataFrame(
        {
            "FEAR": nearest.FEAR,
            "over": nearest.over,
            "value": nearest.value,
            "top %": nearest.top,
            "FEAR's": nearest.ours.map("{:.2f}".format),
            "nearest short training's": nearest.theirs.map("{:.2f}".format),
            "which": nearest.setting,
            "10^9 macs, FEAR": nearest["our gmacs"].map("{:.0f}".format),
            "10^9 macs, other": nearest["their gmacs"].map("{:.0f}".format),
            "seconds, FEAR": nearest["our seconds"].map("{:.1f}".format),
            "seconds, other": nearest["their seconds"].map("{:.1f}".format),
        }
    )


def ahead_table(on_common: pd.DataFrame) -> pd.DataFrame:
    """`compare_methods` of every `FEAR` with every other trained method, in every one of the `TOPS`."""
    trained = on_common[on_common.method.isin(methods_of(on_common, "fear", "shortreg"))]
    columns = ["FEAR", "top", "than", "n", "difference", "low", "high"]
    each = [
        compare_methods(trained, method, top).assign(FEAR=method, top=top)[columns]
        for method in methods_of(on_common, "fear")
        for top in TOPS
    ]
    return pd.concat(each, ignore_index=True)


def shown_tops(tops: pd.DataFrame) -> pd.DataFrame:
    """`top_table` as texts to read."""
    every = pd.DataFrame({"method": tops.method, "top %": tops.top, "n": tops.n})
    every["Spearman (95%)"] = [str(Estimate.of(line, "spearman")) for line in tops.to_dict("records")]
    every["common"] = tops.common.map("{:.2f}".format)
    every["10^9 macs ± se"] = with_errors(tops, "gmacs")
    every["seconds ± se"] = with_errors(tops, "seconds")
    return every


def training_or_test_accuracy(rows: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """How FEAR would rank by the test accuracy at the end of stage 2, where it takes the training accuracy.

    A line a setting of `FEAR` and a `top`, over the architectures of the rows with both: Spearman of each, and
    that of the training accuracy less that of the other (`difference`). Empty if no test accuracy was recorded.
    """
    accuracy = rows.groupby("index").test_accuracy.first()
    ends = curves[curves.method.isin(methods_of(rows, "fear")) & (curves.stage == 2) & curves.val_top1.notna()]
    ends = ends[ends["index"].isin(rows["index"])]
    lines = []
    for method, of_method in ends.groupby("method"):
        each = of_method.groupby("index")[["train_top1", "val_top1"]].mean().join(accuracy).dropna()
        for top in (50, 100):
            best = each.iloc[top_indices(each.test_accuracy, top)]
            line = {"FEAR": method, "top": top, "n": len(best)}
            line["training accuracy"] = spearman(best.train_top1, best.test_accuracy)
            line["test accuracy"] = spearman(best.val_top1, best.test_accuracy)
            difference = estimate(spearman_difference, best.train_top1, best.val_top1, best.test_accuracy)
            lines.append(line | difference.columns("difference"))
    return pd.DataFrame(lines)


def benchmark_short_training(accuracies: pd.DataFrame) -> pd.DataFrame:
    """How the benchmark's own accuracies after 12 epochs rank by those after all, in every one of the `TOPS`.

    `accuracies` has a column for each dataset, and `..._12ep` where it is known.
    """
    lines = []
    for dataset in ("cifar10", "cifar100", "imagenet16_120"):
        if f"{dataset}_12ep" not in accuracies:
            continue
        short, final = accuracies[f"{dataset}_12ep"].to_numpy(), accuracies[dataset].to_numpy()
        for top in TOPS:
            best = top_indices(final, top)
            line = {"dataset": dataset, "top": top, "n": len(best)}
            line |= estimate(spearman, short[best], final[best]).columns("spearman")
            lines.append(line | {"common": common(short, final, top)})
    return pd.DataFrame(lines)
