"""Rows become tables: how well every method ranks, and what it costs."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.data.registry import stand_in_note
from fearlib.errors import InputError, require
from fearlib.files.outside import user_path
from fearlib.files.write import replace_file
from fearlib.ranking.estimate import estimate, texts
from fearlib.ranking.statistics import (
    average_cost,
    common,
    kendall,
    nearest_pareto,
    spearman,
    top_indices,
    top_spearman,
    top_spearman_difference,
)
from fearlib.scores.registry import MEASURES
from fearlib.sweeps.labels import kind_of, read_label
from fearlib.sweeps.meaning import with_meaning
from fearlib.sweeps.rows import own_truth, with_finite_scores

TOP_PERCENTS = (10, 20, 30, 40)
TENTHS = tuple(range(10, 101, 10))
BETTER_HALF = 50


def ranking_table(rows: pd.DataFrame, resamples: int = 1000) -> pd.DataFrame:
    """One line a method: how well its score ranks the architectures by test accuracy, and what it costs.

    Of the architectures whose test accuracy is known, or of all if none is. Columns: `n` with a score and `out`
    without (an infinite score is none); `spearman` with its bootstrap 95% interval `low` and `high`; `kendall`;
    `top x%`, Spearman within the best x% by accuracy of all architectures (of these, those with a score count),
    for 50% with its interval `top 50% low` and `top 50% high`; `common x%`; mean `seconds` and `gmacs` (1e9
    multiply-accumulates) an architecture, those without a score included. Seeds are averaged first; failed trials
    take no part. The full training whose accuracy is the truth has its cost alone: nothing is ranked against
    itself. Raises InputError if there are no rows, or as `refuse_repeated_rows` does.
    """
    lines = []
    refuse_repeated_rows(rows)
    truth, any_known, rows = own_truth(rows), rows.test_accuracy.notna().any(), with_meaning(rows)
    rows = with_finite_scores(rows[~rows.failed])
    for method, of_method in rows.groupby("method", sort=False):
        each = of_method.groupby("index")[["score", "seconds", "macs", "test_accuracy"]].mean()
        each = each[each.test_accuracy.notna()] if any_known else each
        score, accuracy = each.score.to_numpy(), each.test_accuracy.to_numpy()
        line = {"method": method, "n": int(np.isfinite(score).sum()), "out": int(np.isnan(score).sum())}
        line |= estimate(spearman, score, accuracy, resamples=resamples).columns("spearman")
        line["kendall"] = kendall(score, accuracy)
        for percent in TOP_PERCENTS:
            line[f"top {percent}%"] = top_spearman(score, accuracy, percent)
        better_half = partial(top_spearman, percent=BETTER_HALF)
        line |= estimate(better_half, score, accuracy, resamples=resamples).columns("top 50%", "top 50% ")
        for percent in (*TOP_PERCENTS, BETTER_HALF):
            line[f"common {percent}%"] = common(score, accuracy, percent)
        if method == truth:
            line |= dict.fromkeys(line.keys() - {"method", "n", "out"}, math.nan)
        line["seconds"], line["gmacs"] = each.seconds.mean(), each.macs.mean() / 1e9
        lines.append(line)
    if not lines:
        raise InputError("there is nothing to rank yet: no trial has finished.")
    return pd.DataFrame(sorted(lines, key=lambda line: method_order(line["method"])))


def top_table(rows: pd.DataFrame, percents: tuple[float, ...] = TENTHS, resamples: int = 1000) -> pd.DataFrame:
    """How every method ranks within the top x% by test accuracy, and what it costs there, for several x.

    Columns: `method`, `top` (x), `n` architectures in it with a score, `spearman` and its bootstrap 95% interval
    `low` and `high`, `common` (see `fearlib.common`), and the mean over the top of `seconds` and `gmacs` (1e9
    multiply-accumulates) with their standard errors, `seconds se` and `gmacs se`. Seeds are averaged first; the
    top is taken among all architectures of a method. Raises InputError as `refuse_repeated_rows` does.
    """
    refuse_repeated_rows(rows)
    lines, rows = [], with_meaning(rows)
    rows = with_finite_scores(rows[~rows.failed])
    for method, of_method in rows.groupby("method", sort=False):
        each = of_method.groupby("index")[["score", "seconds", "macs", "test_accuracy"]].mean()
        score, accuracy = each.score.to_numpy(), each.test_accuracy.to_numpy()
        for percent in percents:
            best = top_indices(accuracy, percent)
            line = {"method": method, "top": percent, "n": int(np.isfinite(score[best]).sum())}
            within = partial(top_spearman, percent=percent)
            line |= estimate(within, score, accuracy, resamples=resamples).columns("spearman")
            line["common"] = common(score, accuracy, percent)
            for column, cost in (("seconds", each.seconds), ("gmacs", each.macs / 1e9)):
                line[column], line[f"{column} se"] = average_cost(cost, accuracy, percent)
            lines.append(line)
    return pd.DataFrame(sorted(lines, key=lambda line: method_order(line["method"])))


def refuse_repeated_rows(rows: pd.DataFrame) -> None:
    """Raises InputError if an architecture has two rows of one method and seed, or a column to tell is missing."""
    if missing := {"method", "index", "seed"} - set(rows):
        raise InputError(f"the rows lack {', '.join(sorted(missing))}: give them as fearlib.read_rows does.")
    twice = rows.duplicated(["method", "index", "seed"])
    if twice.any():
        line = rows[twice].iloc[0]
        raise InputError(
            f"there are two rows of {line.method} with seed {line.seed} on architecture {line['index']}: rank "
            "each dataset, preset and search space alone."
        )


def in_papers_form(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    """The rows as T1 takes them: a FEAR's where it reached the threshold, and all of short training."""
    return rows[(with_meaning(rows).kind == "shortreg") | ((rows.method == method) & rows.score.notna())]


def nearest_shortreg(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """`method` beside the short training nearest to it on the Pareto front; the paper's table T1.

    `table` as `top_table` makes it, with rows of `method` and of shortreg. A line a top x% and kind of `value`,
    `spearman` or `common`: the method's value (`ours`) and shortreg's (`theirs`), each with `gmacs` and `seconds`
    within the top, and `setting`, the shortreg on the front of value against cost in macs whose cost is nearest to
    the method's, in log cost. Tops too small for a value are left out. Raises InputError if either is missing.
    """
    ours, theirs = table[table.method == method], table[table.method.map(kind_of) == "shortreg"]
    if ours.empty or theirs.empty:
        raise InputError(f"a comparison needs rows of {method} and of shortreg.")
    lines = []
    for value in ("spearman", "common"):
        for line in ours.to_dict("records"):
            settings = theirs[theirs.top == line["top"]].dropna(subset=[value, "gmacs"])
            if settings.empty or math.isnan(line["gmacs"]):
                continue
            other = settings.iloc[nearest_pareto(settings.gmacs, settings[value], line["gmacs"])]
            found = {"value": value, "top": line["top"], "setting": other.method}
            found |= {"ours": line[value], "theirs": other[value]}
            for cost in ("gmacs", "seconds"):
                found |= {f"our {cost}": line[cost], f"their {cost}": other[cost]}
            lines.append(found)
    return pd.DataFrame(lines)


def common_table(rows: pd.DataFrame, **arguments) -> pd.DataFrame:
    """`ranking_table` on the architectures to which every method gives a score.

    A method that gives no architecture a score is left out of that condition. Raises InputError if there is no
    such architecture.
    """
    rows = with_finite_scores(rows)
    each = rows.pivot_table("score", "index", "method", dropna=False).dropna(axis="columns", how="all")
    if each.shape[1] and each.dropna().empty:
        raise InputError(f"no architecture has a score of each of {', '.join(each.columns)}.")
    return ranking_table(rows[rows["index"].isin(each.dropna().index)], **arguments)


def compare_methods(rows: pd.DataFrame, method: str, percent: float = 100, resamples: int = 1000) -> pd.DataFrame:
    """How much higher `method`'s Spearman is than every other method's, on the architectures both give a score.

    Within the top `percent` by test accuracy. Columns: `than`, `n` architectures with both scores in that top,
    `difference`, and its paired bootstrap 95% interval `low` and `high`. Raises InputError if there is
    no such method, or as `refuse_repeated_rows` does.
    """
    refuse_repeated_rows(rows)
    each = with_finite_scores(rows).pivot_table("score", "index", "method")
    if method not in each:
        raise InputError(f"there are no scores of {method!r}: the methods are {', '.join(each.columns)}.")
    accuracy = rows.groupby("index").test_accuracy.mean()

    difference = partial(top_spearman_difference, percent=percent)
    lines = []
    for other in sorted(each.columns.drop(method), key=method_order):
        both = each[[method, other]].dropna()
        arrays = (both[method].to_numpy(), both[other].to_numpy(), accuracy[both.index].to_numpy())
        line = {"than": other, "n": len(top_indices(arrays[-1], percent))}
        lines.append(line | estimate(difference, *arrays, resamples=resamples).columns("difference"))
    return pd.DataFrame(lines)


def method_order(method: str) -> tuple:
    """Trained methods first, by name and numbers, then the measures in their registered order."""
    label = read_label(method)
    if label.name in MEASURES:
        return (1, "", list(MEASURES).index(label.name))
    numbers = map(label.number, label.arguments)
    return (0, label.name, [number for number in numbers if not math.isnan(number)])


def save_table(
    table: pd.DataFrame, path: str | Path, shown: str | None = None, rows: pd.DataFrame | None = None
) -> None:
    """Write `path.csv` and, for readers, `path.md`: the text `shown`, by default the table rounded to 3 digits.

    Where the `rows` that the table was made of are of a stand-in, the text says so. Folders are made. The same
    table gives the same bytes.
    """
    require("tabulate", "print tables")
    path = user_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    replace_file(path.with_name(f"{path.name}.csv"), content.encode())
    shown = table.round(3).to_markdown(index=False) if shown is None else shown
    if note := stand_in_note([] if rows is None else rows.dataset):
        shown += f"\n\n{note}"
    replace_file(path.with_name(f"{path.name}.md"), f"{shown}\n".encode())


def markdown(table: pd.DataFrame) -> str:
    """The table as Markdown, its texts as they are."""
    require("tabulate", "print tables")
    return table.to_markdown(index=False, disable_numparse=True)


def with_errors(table: pd.DataFrame, column: str) -> list[str]:
    """The column's values with their standard errors, `column se`, as texts: `1.23 ± 0.04`."""
    return [f"{value:.2f} ± {error:.2f}" for value, error in zip(table[column], table[f"{column} se"])]


def beside_paper(paper: float, ours: str, form: str) -> str:
    """A cell with the paper's value in that form, where it has one, and ours: `0.61 / 0.52`."""
    return ours if math.isnan(paper) else f"{paper:{form}} / {ours}"


def format_ranking(table: pd.DataFrame) -> str:
    """The ranking table as Markdown, rounded for reading; Kendall and `common` are left to the CSV."""
    shown = pd.DataFrame({"method": table.method, "n": table.n, "out": table.out})
    shown["Spearman (95%)"] = texts(table, "spearman")
    shown["top 50% (95%)"] = texts(table, "top 50%", "top 50% ")
    for percent in reversed(TOP_PERCENTS):
        shown[f"top {percent}%"] = table[f"top {percent}%"].map("{:.2f}".format).replace("nan", "–")
    shown["seconds"], shown["10^9 macs"] = table.seconds.map("{:.2f}".format), table.gmacs.map("{:.2f}".format)
    return markdown(shown)
