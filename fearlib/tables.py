"""Scores become tables: tidy rows and learning curves from a journal, and the ranking of the methods."""

import functools
import itertools
import math
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.errors import InputError, require
from fearlib.indices import architectures_of_lines, architectures_of_table
from fearlib.journal import JOURNAL, START, Position, end_of_journal, read_journal, replace_file
from fearlib.manifest import MANIFEST, read_manifest
from fearlib.measures import MEASURES
from fearlib.outside import own_names, read_csv, read_file, user_path
from fearlib.ranking import (
    average_cost,
    bootstrap_interval,
    common,
    kendall,
    nearest_pareto,
    spearman,
    top_indices,
    top_spearman,
    top_spearman_difference,
)
from fearlib.spaces import known_space

ROWS, CURVES = "rows.csv", "curves.csv"
MAX_ROWS_BYTES = 2**29  # of a table of rows; one takes 200
MAX_INDICES_BYTES = 2**24  # of a file of indices, which have up to 19 digits
ROW_COLUMNS = (
    "space", "index", "arch", "dataset", "preset", "method", "score", "seconds", "macs", "seed",
    "test_accuracy", "outcome",
)  # fmt: skip
_TEXTS = ("space", "dataset", "preset", "method", "outcome")
_INTEGERS = ("index", "seed")
_NUMBERS = ("score", "seconds", "macs", "test_accuracy")
CURVE_COLUMNS = (
    "index", "method", "seed", "stage", "epoch", "loss", "train_top1", "val_top1", "seconds", "images", "macs",
)  # fmt: skip
TOP_PERCENTS = (10, 20, 30, 40)
TENTHS = tuple(range(10, 101, 10))
BETTER_HALF = 50
INFINITE = "undefined: its score is infinite"  # an outcome


def write_tables(folder: Path, truth: pd.Series | None = None) -> pd.DataFrame:
    """Write `rows.csv` and `curves.csv` from the folder's journal and manifest and return the rows.

    A trial that ran again counts once, with its last result. A test accuracy that the journal lacks is taken
    from `truth`, else from the `rows.csv` that is replaced. Where no architecture has one from outside, the mean
    of its own full training (`truth_method`) takes its place.
    """
    last = last_trials(read_journal(folder))
    known = [] if truth is None else [truth]
    rows = _rows_of_journal(folder, last, known, written_rows(folder))
    curves = _ordered(curves_of_trials(last))
    for name, table in ((ROWS, rows), (CURVES, curves)):
        replace_file(user_path(folder) / name, table.to_csv(index=False, lineterminator="\n").encode())
    return rows


def _rows_of_journal(
    folder: Path, last: list[dict], known: list[pd.Series], written: pd.DataFrame | None
) -> pd.DataFrame:
    known = [*known, *([] if written is None else [accuracy_from_outside(written)])]
    return _ordered(with_accuracy(rows_of_folder(folder, last), known))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    keys = [key for key in ("method", "seed", "index", "stage", "epoch") if key in table]
    return table.sort_values(keys, ignore_index=True)


def last_trials(records: Iterable[dict]) -> list[dict]:
    """Of a journal's records the last of every trial."""
    return list({tuple(record["trial"].values()): record for record in records}.values())


def rows_of_folder(folder: Path, records: list[dict]) -> pd.DataFrame:
    """`rows_of_trials` with the folder's manifest. Raises InputError if the space is unknown or not theirs."""
    configuration = read_manifest(folder)["configuration"]
    known_space(configuration["space"])
    try:
        return rows_of_trials(records, configuration)
    except InputError as error:
        raise InputError(
            f"{user_path(folder) / JOURNAL} is not of the space {configuration['space']}: {error}"
        ) from error


def curves_of_trials(records: Iterable[dict]) -> pd.DataFrame:
    """A journal's records as learning curves, a line an epoch."""
    return pd.DataFrame(
        [epoch | record["trial"] for record in records for epoch in record["curve"]], columns=CURVE_COLUMNS
    )


def with_accuracy(rows: pd.DataFrame, known: Iterable[pd.Series]) -> pd.DataFrame:
    """The rows with a test accuracy (%): their own, else that of the first of `known` to have one.

    `known` are indexed by architecture. Where no architecture has one, the mean of its own full training
    (`truth_method`) takes its place.
    """
    known = [rows.groupby("index").test_accuracy.first(), *known]
    if all(accuracy.isna().all() for accuracy in known):
        known.append(_accuracy_of_full(rows))
    filled = rows.test_accuracy
    for accuracy in known:
        filled = filled.fillna(rows["index"].map(accuracy))
    return rows.assign(test_accuracy=filled)


def _accuracy_of_full(rows: pd.DataFrame) -> pd.Series:
    return rows[rows.method == truth_method(rows.method)].groupby("index").score.mean().astype(float) * 100


def truth_method(methods: Iterable[str]) -> str | None:
    """Of a sweep's methods the full training that serves as its truth where no benchmark's accuracy is given.

    That is `full`, else the longest `full(epochs=...)`; None if there is neither.
    """
    lengths = {}
    for method in set(methods):
        if re.match(r"full(\(|$)", method):
            epochs = re.search(r"\bepochs=(\d+)", method)
            lengths[method] = int(epochs[1]) if epochs else math.inf
    return max(sorted(lengths), key=lengths.get, default=None)


def accuracy_from_outside(rows: pd.DataFrame) -> pd.Series:
    """Test accuracy by architecture where it is not that of the sweep's own full training, NaN where it is."""
    accuracy = rows.groupby("index").test_accuracy.first().astype(float)  # of no rows, pandas knows no type
    return accuracy.where(~np.isclose(accuracy, _accuracy_of_full(rows).reindex(accuracy.index)))


def full_is_truth(rows: pd.DataFrame) -> bool:
    """Whether the test accuracies are the sweep's own `full` training, so that this cannot be ranked by them."""
    return bool(truth_method(rows.method) and accuracy_from_outside(rows).isna().all())


def rows_of_trials(records: Iterable[dict], configuration: dict) -> pd.DataFrame:
    """A journal's records as tidy rows, one for every score, with what they share filled in."""
    space, dataset = configuration["space"], configuration["dataset"]
    preset = configuration["settings"]["preset"]
    string = functools.cache(lambda index: str(known_space(space).kind.from_index(index)))
    rows = []
    for record in records:
        index, seed = record["trial"]["index"], record["trial"]["seed"]
        arch, accuracy = string(index), record["test_accuracy"]
        for row in record["rows"]:
            cost = row["seconds"], row["macs"]
            method = space, index, arch, dataset, preset, row["method"]
            rows.append((*method, row["score"], *cost, seed, accuracy, row["outcome"]))
    return with_finite_scores(pd.DataFrame(rows, columns=ROW_COLUMNS))


def with_finite_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, an infinite score being none, with an `outcome` that says so."""
    infinite = rows.score.astype(float).abs() == math.inf
    if not infinite.any():
        return rows
    return rows.assign(
        score=rows.score.astype(float).mask(infinite),
        outcome=rows.outcome.mask(infinite & (rows.outcome == "ok"), INFINITE),
    )


def read_rows(folder: str | Path) -> pd.DataFrame:
    """The rows of the sweep in `folder`, which may still be running: those of `rows.csv`, or of the journal where
    that holds more.

    Raises InputError if there is no sweep, or a column of `rows.csv` is missing or holds something other than its
    texts or numbers.
    """
    written = written_rows(folder)
    if written is not None and holds_journal(written, *end_of_journal(folder)):
        return written
    return _rows_of_journal(folder, last_trials(read_journal(folder)), [], written)


def read_curves(folder: str | Path) -> pd.DataFrame:
    """The learning curves of the sweep in `folder`, a line an epoch, as far as `read_rows` has its rows."""
    written = written_rows(folder)
    if written is None or not holds_journal(written, *end_of_journal(folder)):
        return _ordered(curves_of_trials(last_trials(read_journal(folder))))
    return written_curves(folder)


def written_curves(folder: str | Path) -> pd.DataFrame:
    """The curves in `curves.csv` as they are, none without it."""
    path = user_path(folder) / CURVES
    return read_csv(path, MAX_ROWS_BYTES, CURVE_COLUMNS) if path.exists() else pd.DataFrame(columns=CURVE_COLUMNS)


def holds_sweep(folder: str | Path) -> bool:
    """Whether a sweep has begun in `folder`."""
    return any((user_path(folder) / name).is_file() for name in (ROWS, JOURNAL, MANIFEST))


def holds_journal(rows: pd.DataFrame, last: dict | None, end: Position) -> bool:
    """Whether `rows`, which a file has rounded, are a journal's; `last` and `end` are `end_of_journal`'s."""
    if last is None:
        return end == START
    of_trial = rows[(rows["index"] == last["trial"]["index"]) & (rows.seed == last["trial"]["seed"])]
    of_trial = of_trial.set_index("method")
    return all(
        row["method"] in of_trial.index
        and of_trial.outcome[row["method"]] == row["outcome"]
        and all(
            np.isclose(of_trial[key][row["method"]], row[key], rtol=1e-9, atol=0, equal_nan=True)
            for key in ("score", "seconds")
        )
        for row in last["rows"]
    )


def written_rows(folder: str | Path) -> pd.DataFrame | None:
    """The rows in `rows.csv` as they are, None if the sweep in `folder` has not written it yet."""
    path = user_path(folder) / ROWS
    if not path.exists():
        if not holds_sweep(folder):
            raise InputError(f"{folder} holds neither {ROWS} nor {JOURNAL}: run a sweep into it first.")
        return None
    rows = read_csv(path, MAX_ROWS_BYTES, ROW_COLUMNS)
    if len(rows):  # of no rows, pandas knows no type
        for columns, form, is_right in (
            (_TEXTS, "a text", lambda values: pd.api.types.is_string_dtype(values) and values.notna().all()),
            (_INTEGERS, "an integer of 64 bits", lambda values: values.dtype == int),
            (_NUMBERS, "a number or nothing", lambda values: values.dtype.kind in "iuf"),
        ):
            for column in columns:
                if not is_right(rows[column]):
                    raise InputError(f"{path} is not a table of rows: every {column} must be {form}.")
    return with_finite_scores(rows)


def finished_architectures(folder: str | Path) -> list[int]:
    """The indices that the sweep in `folder` has finished with every method, up to the first that it has not.

    In the order in which the sweep came to them. Of a sweep that was cut short, later ones may be finished too,
    but to take these would favour architectures that train fast.
    """
    records = read_journal(folder)
    methods = {record["trial"]["method"] for record in records}
    done = {}
    for record in records:
        done.setdefault(record["trial"]["index"], set()).add(record["trial"]["method"])
    return list(itertools.takewhile(lambda index: done[index] == methods, done))


def ranking_table(rows: pd.DataFrame, resamples: int = 1000) -> pd.DataFrame:
    """One line a method: how well its score ranks the architectures by test accuracy, and what it costs.

    Columns: `n` architectures with a score and `out` without (an infinite score is none); `spearman` with its
    bootstrap 95% interval `low` and `high`; `kendall`; `top x%`, Spearman within the best x% by accuracy of all
    architectures (of these, those with a score count), for 50% with its interval `top 50% low` and `top 50% high`;
    `common x%`; mean `seconds` and `gmacs` (1e9 multiply-accumulates) an architecture, those without a score
    included. Seeds are averaged first; failed trials take no part. The full training whose accuracy is the truth
    has its cost alone: nothing is ranked against itself. Raises InputError if there are no rows.
    """
    lines = []
    own_truth = truth_method(rows.method) if full_is_truth(rows) else None
    rows = with_finite_scores(rows[~rows.outcome.str.startswith("failed")])
    for method, of_method in rows.groupby("method", sort=False):
        each = of_method.groupby("index")[["score", "seconds", "macs", "test_accuracy"]].mean()
        score, accuracy = each.score.to_numpy(), each.test_accuracy.to_numpy()
        line = {"method": method, "n": int(np.isfinite(score).sum()), "out": int(np.isnan(score).sum())}
        line["spearman"] = spearman(score, accuracy)
        line["low"], line["high"] = bootstrap_interval(spearman, score, accuracy, resamples=resamples)
        line["kendall"] = kendall(score, accuracy)
        for percent in (*TOP_PERCENTS, BETTER_HALF):
            line[f"top {percent}%"] = top_spearman(score, accuracy, percent)
        line["top 50% low"], line["top 50% high"] = bootstrap_interval(
            partial(top_spearman, percent=BETTER_HALF), score, accuracy, resamples=resamples
        )
        for percent in (*TOP_PERCENTS, BETTER_HALF):
            line[f"common {percent}%"] = common(score, accuracy, percent)
        if method == own_truth:
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
    top is taken among all architectures of a method.
    """
    lines, rows = [], with_finite_scores(rows[~rows.outcome.str.startswith("failed")])
    for method, of_method in rows.groupby("method", sort=False):
        each = of_method.groupby("index")[["score", "seconds", "macs", "test_accuracy"]].mean()
        score, accuracy = each.score.to_numpy(), each.test_accuracy.to_numpy()
        for percent in percents:
            best = top_indices(accuracy, percent)
            line = {"method": method, "top": percent, "n": int(np.isfinite(score[best]).sum())}
            line["spearman"] = spearman(score[best], accuracy[best])
            line["low"], line["high"] = bootstrap_interval(
                partial(top_spearman, percent=percent), score, accuracy, resamples=resamples
            )
            line["common"] = common(score, accuracy, percent)
            for column, cost in (("seconds", each.seconds), ("gmacs", each.macs / 1e9)):
                line[column], line[f"{column} se"] = average_cost(cost, accuracy, percent)
            lines.append(line)
    return pd.DataFrame(sorted(lines, key=lambda line: method_order(line["method"])))


def nearest_shortreg(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """`method` beside the short training nearest to it on the Pareto front; the paper's table T1.

    `table` as `top_table` makes it, with rows of `method` and of shortreg. A line a top x% and kind of `value`,
    `spearman` or `common`: the method's value (`ours`) and shortreg's (`theirs`), each with `gmacs` and `seconds`
    within the top, and `setting`, the shortreg on the front of value against cost in macs whose cost is nearest to
    the method's, in log cost. Tops too small for a value are left out. Raises InputError if either is missing.
    """
    ours, theirs = table[table.method == method], table[table.method.str.startswith("shortreg")]
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


def degradation_moments(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a degradation sweep with what their labels say in columns of their own.

    These are `measure` (`train_top1` among them), `epoch`, the moment, and `schedule`, the form of the learning
    rate with the training's length. Raises InputError if there are no such rows.
    """
    form = r"^(?P<measure>\w+)\(epoch=(?P<epoch>[^,]+),epochs=(?P<epochs>\d+),schedule=(?P<schedule>\w+)\)$"
    rows = with_finite_scores(rows)
    moments = rows.assign(**rows.method.str.extract(form)).dropna(subset="measure").astype({"epoch": float})
    if moments.empty:
        raise InputError("there are no measures at moments of training: run the method `degradation` first.")
    return moments.assign(schedule=moments.schedule + ", " + moments.epochs + " epochs")


def degradation_table(rows: pd.DataFrame, resamples: int = 1000) -> pd.DataFrame:
    """Spearman of every measure at every moment of training, from the rows of a degradation sweep.

    Columns: `measure`, `schedule` and `epoch` as in `degradation_moments`, `n`, `spearman` with its bootstrap 95%
    interval `low` and `high`. Seeds are averaged first. Raises InputError if there are no such rows.
    """
    lines = []
    for keys, each in degradation_moments(rows).groupby(["measure", "schedule", "epoch"], sort=False):
        each = each.groupby("index")[["score", "test_accuracy"]].mean().dropna()
        low, high = bootstrap_interval(spearman, each.score, each.test_accuracy, resamples=resamples)
        estimate = {"n": len(each), "spearman": spearman(each.score, each.test_accuracy), "low": low, "high": high}
        lines.append(dict(zip(("measure", "schedule", "epoch"), keys)) | estimate)
    order = list(dict.fromkeys([*MEASURES, "train_top1", *(line["measure"] for line in lines)]))
    return pd.DataFrame(
        sorted(lines, key=lambda line: (order.index(line["measure"]), line["schedule"], line["epoch"]))
    )


def common_table(rows: pd.DataFrame, **arguments) -> pd.DataFrame:
    """`ranking_table` on the architectures to which every method gives a score.

    A method that gives no architecture a score is left out of that condition.
    """
    rows = with_finite_scores(rows)
    each = rows.pivot_table("score", "index", "method", dropna=False).dropna(axis="columns", how="all")
    return ranking_table(rows[rows["index"].isin(each.dropna().index)], **arguments)


def compare_methods(rows: pd.DataFrame, method: str, percent: float = 100, resamples: int = 1000) -> pd.DataFrame:
    """How much higher `method`'s Spearman is than every other method's, on the architectures both give a score.

    Within the top `percent` by test accuracy. Columns: `than`, `n` architectures with both scores in that top,
    `difference`, and its paired bootstrap 95% interval `low` and `high`. Raises InputError if there is
    no such method.
    """
    each = with_finite_scores(rows).pivot_table("score", "index", "method")
    if method not in each:
        raise InputError(f"there are no scores of {method!r}: the methods are {', '.join(each.columns)}.")
    accuracy = rows.groupby("index").test_accuracy.mean()

    difference = partial(top_spearman_difference, percent=percent)
    lines = []
    for other in sorted(each.columns.drop(method), key=method_order):
        both = each[[method, other]].dropna()
        arrays = (both[method].to_numpy(), both[other].to_numpy(), accuracy[both.index].to_numpy())
        low, high = bootstrap_interval(difference, *arrays, resamples=resamples)
        n = len(top_indices(arrays[-1], percent))
        lines.append({"than": other, "n": n, "difference": difference(*arrays), "low": low, "high": high})
    return pd.DataFrame(lines)


def method_order(method: str) -> tuple:
    """Trained methods first, by name and numbers, then the measures in their registered order."""
    name, *numbers = re.split(r"\W+\w*=|\)", method)
    if name in MEASURES:
        return (1, "", list(MEASURES).index(name))
    return (0, name, [float(number) for number in numbers if re.fullmatch(r"\d+(\.\d*)?", number)])


def save_table(table: pd.DataFrame, path: str | Path, shown: str | None = None) -> None:
    """Write `path.csv` and, for readers, `path.md`: the text `shown`, by default the table rounded to 3 digits.

    Folders are made. The same table gives the same bytes.
    """
    require("tabulate", "print tables")
    path = user_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    replace_file(path.with_name(f"{path.name}.csv"), content.encode())
    shown = table.round(3).to_markdown(index=False) if shown is None else shown
    replace_file(path.with_name(f"{path.name}.md"), f"{shown}\n".encode())


def format_ranking(table: pd.DataFrame) -> str:
    """The ranking table as Markdown, rounded for reading; Kendall and `common` are left to the CSV."""
    require("tabulate", "print tables")

    def with_interval(value: str, low: str, high: str) -> list[str]:
        each = zip(table[value], table[low], table[high])
        return ["–" if np.isnan(v) else f"{v:.2f} ({a:.2f}..{b:.2f})" for v, a, b in each]

    shown = pd.DataFrame({"method": table.method, "n": table.n, "out": table.out})
    shown["Spearman (95%)"] = with_interval("spearman", "low", "high")
    shown["top 50% (95%)"] = with_interval("top 50%", "top 50% low", "top 50% high")
    for percent in reversed(TOP_PERCENTS):
        shown[f"top {percent}%"] = table[f"top {percent}%"].map("{:.2f}".format).replace("nan", "–")
    shown["seconds"], shown["10^9 macs"] = table.seconds.map("{:.2f}".format), table.gmacs.map("{:.2f}".format)
    return shown.to_markdown(index=False, disable_numparse=True)


def read_indices(path: str | Path, count: int | None = None, space: str = "nats-tss") -> list:
    """The first `count` architectures that a file names, or a sweep, in their order there.

    `path` is a text with an index, an architecture string or NASLib's six numbers a line, and comments after #; a
    table (.csv or .csv.gz) with the columns `index`, `arch` or both, such as a sweep's `rows.csv`, where an
    architecture may have several rows; or a results folder, in the order in which its sweep came to them.

    Raises InputError if a line is none of these, an index and a string contradict each other, a text names an
    architecture twice, or there are fewer than `count`.
    """
    path = user_path(path)
    if path.is_dir():
        _refuse_others({read_manifest(path)["configuration"]["space"]} - {space}, path, space)
        indices = dict.fromkeys(record["trial"]["index"] for record in read_journal(path))
        architectures = architectures_of_table(pd.DataFrame({"index": list(indices)}, dtype=object), path, space)
    elif path.name.endswith((".csv", ".csv.gz")):
        table = read_csv(path, MAX_ROWS_BYTES)
        table = table.rename(columns=own_names(table.columns, ("index", "arch", "space"), path))
        _refuse_others(set(table.get("space", [])) - {space}, path, space)
        table = table.drop_duplicates([name for name in ("index", "arch") if name in table] or None)
        architectures = list(dict.fromkeys(architectures_of_table(table, path, space)))
    else:
        architectures = architectures_of_lines(read_file(path, MAX_INDICES_BYTES), path, space)
    if count is not None and not 0 <= count <= len(architectures):
        raise InputError(f"{path} has {len(architectures)} architectures, but {count} were asked for.")
    return architectures[:count]


def _refuse_others(spaces: set, path: str | Path, space: str) -> None:
    if spaces:
        raise InputError(f"{path} holds architectures of {', '.join(map(str, spaces))}, not of {space}.")
