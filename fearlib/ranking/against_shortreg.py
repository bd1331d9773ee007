"""FEAR against short training: the tables behind the paper's T1 and F4, as numbers and as texts to read."""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from fearlib.benchmark.splits import COLUMNS
from fearlib.errors import InputError
from fearlib.ranking.estimate import estimate, texts
from fearlib.ranking.finished import finished_rows, methods_of
from fearlib.ranking.statistics import (
    common,
    top_cost_ratio,
    top_indices,
    top_spearman,
    top_spearman_difference,
)
from fearlib.ranking.tables import (
    beside_paper,
    compare_methods,
    in_papers_form,
    nearest_shortreg,
    top_table,
    with_errors,
)
from fearlib.ranking.zero_cost import measures_beside
from fearlib.scores.registry import MEASURES

TOPS = (10, 20, 30, 40, 50, 100)
_UNKNOWN = r"nan$"  # of two architectures there is no correlation
SECONDS = {"spearman": "seconds", "common": "common_seconds"}  # in the paper's T1, beside each value


def read_comparison(folder: str | Path, methods: Iterable[str] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `finished_rows` of the methods, and of them those on the common set: where every FEAR gives a score.

    Where no zero-cost measure is among the methods, there are those of `measures_beside`. Raises InputError if no
    test accuracy is known, or no architecture is in the common set.
    """
    rows = finished_rows(folder, methods)
    if rows.test_accuracy.isna().all():
        raise InputError(f"{folder} has no test accuracy to compare with: run the sweep with a truth.")
    if not rows.kind.isin(MEASURES).any():
        rows = pd.concat([rows, measures_beside(folder, rows["index"])])
    fear = rows[rows.kind == "fear"]
    reached = fear.groupby("index").score.apply(lambda score: score.notna().all())
    if len(fear) and not reached.any():
        raise InputError(f"{folder}: no architecture has a score of every setting of FEAR; name fewer methods.")
    return rows, rows[rows["index"].isin(reached.index[reached])]


def papers_t1(rows: pd.DataFrame, fear: str, published: Mapping[str, float]) -> pd.DataFrame:
    """T1 as the paper has it, a line a top: `fear`, and the short training nearest to it on the Pareto front.

    FEAR is over the architectures that reached its threshold, short training over all. `published` has the
    paper's values by the rest of their ids, such as `fear.spearman.10`. Columns: `top`, `n` of FEAR; of `fear`
    and `shortreg`, in `spearman` and in `common`, the value (`fear spearman`) and the cost (`fear spearman
    gmacs`), and the paper's value and seconds (`fear spearman paper`, `fear spearman seconds`); the settings,
    `nearest in spearman` and `nearest in common`.
    """
    tops = top_table(in_papers_form(rows, fear), TOPS, resamples=1)
    nearest = nearest_shortreg(tops, fear).set_index(["value", "top"]).to_dict("index")
    lines = []
    for top, n in tops[tops.method == fear].set_index("top").n.items():
        line = {"top": top, "n": n}
        for value, seconds in SECONDS.items():
            found = nearest.get((value, top), {})
            for whose, ours, cost in (("fear", "ours", "our gmacs"), ("shortreg", "theirs", "their gmacs")):
                line[f"{whose} {value}"] = found.get(ours, math.nan)
                line[f"{whose} {value} gmacs"] = found.get(cost, math.nan)
                line[f"{whose} {value} paper"] = published.get(f"{whose}.{value}.{top}", math.nan)
                line[f"{whose} {value} seconds"] = published.get(f"{whose}.{seconds}.{top}", math.nan)
            line[f"nearest in {value}"] = found.get("setting", "")
        lines.append(line)
    return pd.DataFrame(lines)


def shown_t1(table: pd.DataFrame) -> pd.DataFrame:
    """`papers_t1` as texts to read: in every cell the paper's value, if it has one, and ours."""
    shown = pd.DataFrame({"top %": table.top, "n": table.n})
    for value in SECONDS:
        for whose, title in (("fear", "FEAR"), ("shortreg", "nearest")):
            for column, paper, name, ours, form in (
                ("", "paper", value, "{:.2f}", ".2f"),
                (" gmacs", "seconds", "cost", "{:.0f}", ".0f"),
            ):
                key = f"{whose} {value}"
                shown[f"{title}: {name} ({value})" if name == "cost" else f"{title}: {name}"] = [
                    beside_paper(of_paper, ours.format(of_ours), form)
                    for of_paper, of_ours in zip(table[f"{key} {paper}"], table[f"{key}{column}"])
                ]
    shown = shown.assign(**{f"nearest ({value})": table[f"nearest in {value}"] for value in SECONDS})
    return shown.replace(_UNKNOWN, "–", regex=True)


def lead_table(rows: pd.DataFrame, fear: str) -> pd.DataFrame:
    """How far `fear` is ahead of one short training in every one of the `TOPS`, and what it costs beside it.

    On the architectures that reached its threshold. Columns: `than`, of the short trainings on the Pareto front of
    Spearman against cost over all architectures the nearest to it in log cost (of too few architectures for a
    correlation, on that of `common`); `top`, `n`; the Spearman of `fear` and of the `other`; the `lead`, their
    difference; the `ratio` of their mean costs in multiply-accumulates, FEAR's over the other's; lead and ratio
    with paired 95% intervals, `lead low` and so on. Raises InputError if none reached it, or without short
    training.
    """
    reached = rows["index"][(rows.method == fear) & rows.score.notna()]
    if reached.empty:
        raise InputError(f"no architecture has a score of {fear}.")
    rows = rows[rows["index"].isin(reached) & rows.method.isin((fear, *methods_of(rows, "shortreg")))]
    than = nearest_shortreg(top_table(rows, (100,), resamples=1), fear).setting.iloc[0]
    values = rows.pivot_table(["score", "macs"], ["index", "test_accuracy"], "method")
    values = values.loc[:, [(column, method) for column in ("score", "macs") for method in (fear, than)]].dropna()
    accuracy = values.index.get_level_values("test_accuracy").to_numpy()
    score, other, macs, others = values.to_numpy().T
    lines = []
    for top in TOPS:
        line = {"than": than, "top": top, "n": len(top_indices(accuracy, top))}
        line |= {"fear": top_spearman(score, accuracy, top), "other": top_spearman(other, accuracy, top)}
        lead = estimate(partial(top_spearman_difference, percent=top), score, other, accuracy)
        ratio = estimate(partial(top_cost_ratio, percent=top), macs, others, accuracy)
        lines.append(line | lead.columns("lead", "lead ") | ratio.columns("ratio", "ratio "))
    return pd.DataFrame(lines)


def shown_lead(table: pd.DataFrame) -> pd.DataFrame:
    """`lead_table`, with the `architectures` that it is of, as texts to read."""
    shown = pd.DataFrame(
        {
            "architectures": table.architectures,
            "top %": table.top,
            "n": table.n,
            "FEAR": table.fear.map("{:.2f}".format),
            "other": table.other.map("{:.2f}".format),
            "lead (95%)": texts(table, "lead", "lead "),
            "cost, FEAR over other (95%)": texts(table, "ratio", "ratio "),
            "other is": table.than,
        }
    )
    return shown.replace(_UNKNOWN, "–", regex=True)


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
    every["Spearman (95%)"] = texts(tops, "spearman")
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
            line = {"FEAR": method, "top": top, "n": len(top_indices(each.test_accuracy, top))}
            line["training accuracy"] = top_spearman(each.train_top1, each.test_accuracy, top)
            line["test accuracy"] = top_spearman(each.val_top1, each.test_accuracy, top)
            difference = partial(top_spearman_difference, percent=top)
            found = estimate(difference, each.train_top1, each.val_top1, each.test_accuracy)
            lines.append(line | found.columns("difference"))
    return pd.DataFrame(lines)


def benchmark_short_training(accuracies: pd.DataFrame) -> pd.DataFrame:
    """How the benchmark's own accuracies after 12 epochs rank by those after all, in every one of the `TOPS`.

    `accuracies` has a column for each dataset, and `..._12ep` where it is known.
    """
    lines = []
    for dataset in COLUMNS:
        if f"{dataset}_12ep" not in accuracies:
            continue
        short, final = accuracies[f"{dataset}_12ep"].to_numpy(), accuracies[dataset].to_numpy()
        for top in TOPS:
            line = {"dataset": dataset, "top": top, "n": len(top_indices(final, top))}
            line |= estimate(partial(top_spearman, percent=top), short, final).columns("spearman")
            lines.append(line | {"common": common(short, final, top)})
    return pd.DataFrame(lines)
