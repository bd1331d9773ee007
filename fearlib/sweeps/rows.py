"""A journal becomes tidy rows and learning curves, and the rows are read again."""

import functools
import gzip
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.files.outside import user_path
from fearlib.files.tables import read_csv
from fearlib.files.write import replace_file
from fearlib.spaces.registry import find_space
from fearlib.sweeps.journal import FORMS, JOURNAL, START, Position, end_of_journal, has_journal, read_journal
from fearlib.sweeps.labels import UNDEFINED, has_failed, truth_method
from fearlib.sweeps.manifest import MANIFEST, read_manifest, refuse_absent_or_several
from fearlib.sweeps.meaning import MEANING, with_meaning
from fearlib.sweeps.record import last_trials

ROWS = "rows.csv.gz"
ROW_FORMS = (ROWS, "rows.csv")  # the second is version 0.1's, or from outside
CURVES = "curves.csv"
MAX_ROWS_BYTES = 2**29  # of a table of rows; one takes 200
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
INFINITE = f"{UNDEFINED}its score is infinite"  # an outcome


def write_tables(folder: Path, truth: pd.Series | None = None) -> pd.DataFrame:
    """Write `rows.csv.gz` from the folder's journal and manifest and return the rows.

    A trial that ran again counts once, with its last result. A test accuracy that the journal lacks is taken
    from `truth`, else from the rows that are replaced. Where no architecture has one from outside, the mean
    of its own full training (`truth_method`) takes its place.
    """
    known = [] if truth is None else [truth]
    rows = _rows_of_journal(folder, last_trials(read_journal(folder)), known, written_rows(folder))
    content = rows[list(ROW_COLUMNS)].to_csv(index=False, lineterminator="\n").encode()
    replace_file(user_path(folder) / ROWS, gzip.compress(content, mtime=0))
    return rows


def _rows_of_journal(
    folder: Path, last: list[dict], known: list[pd.Series], written: pd.DataFrame | None
) -> pd.DataFrame:
    known = [*known, *([] if written is None else [accuracy_from_outside(written)])]
    return _ordered(with_accuracy(rows_of_folder(folder, last), known))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    keys = [key for key in ("method", "seed", "index", "stage", "epoch") if key in table]
    return table.sort_values(keys, ignore_index=True)


def rows_of_folder(folder: Path, records: list[dict]) -> pd.DataFrame:
    """`rows_of_trials` with the folder's manifest. Raises InputError if the space is unknown or not theirs."""
    configuration = read_manifest(folder)["configuration"]
    try:
        find_space(configuration["space"])
    except InputError as error:
        raise InputError(f"{user_path(folder) / MANIFEST} cannot be used: {error}") from error
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


def accuracy_from_outside(rows: pd.DataFrame) -> pd.Series:
    """Test accuracy by architecture, all NaN where they are those of the sweep's own full training.

    One from outside may equal its own by chance, as those of networks that learn nothing do.
    """
    accuracy = rows.groupby("index").test_accuracy.first().astype(float)  # of no rows, pandas knows no type
    own = np.isclose(accuracy, _accuracy_of_full(rows).reindex(accuracy.index))
    return accuracy * math.nan if own[accuracy.notna()].all() else accuracy


def own_truth(rows: pd.DataFrame) -> str | None:
    """The sweep's full training that gave the rows' test accuracies, which is not ranked by itself; else None."""
    label = truth_method(rows.method)
    return label if label and accuracy_from_outside(rows).isna().all() else None


def rows_of_trials(records: Iterable[dict], configuration: dict) -> pd.DataFrame:
    """A journal's records as tidy rows, one for every score, with what they share and mean filled in."""
    space, dataset = configuration["space"], configuration["dataset"]
    preset = configuration["settings"]["preset"]
    string = functools.cache(lambda index: str(find_space(space).from_index(index)))
    rows = []
    for record in records:
        index, seed = record["trial"]["index"], record["trial"]["seed"]
        arch, accuracy = string(index), record["test_accuracy"]
        for row in record["rows"]:
            cost = row["seconds"], row["macs"]
            method = space, index, arch, dataset, preset, row["method"]
            rows.append((*method, row["score"], *cost, seed, accuracy, row["outcome"]))
    return with_finite_scores(with_meaning(pd.DataFrame(rows, columns=ROW_COLUMNS)))


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
    """The rows of the sweep in `folder`, which may still be running: those of `rows.csv.gz`, or of the journal
    where that holds more.

    A line a score, with the columns `ROW_COLUMNS`: `score` (higher is better, NaN: none, and `outcome` says why),
    `seconds` and `macs` of the trial, `test_accuracy` in % (NaN: not known); and, of what their texts mean,
    `kind`, `moment` and `failed` (`with_meaning`). Raises InputError if there is no sweep, a column of
    `rows.csv.gz` is missing or holds something other than its texts or numbers, or an architecture has two test
    accuracies.
    """
    rows = written = written_rows(folder)
    if written is None or not holds_journal(written, *end_of_journal(folder)):
        rows = _rows_of_journal(folder, last_trials(read_journal(folder)), [], written)
    several = rows.groupby(["index", "space", "dataset"]).test_accuracy.nunique() > 1
    if several.any():
        raise InputError(f"{folder} has two test accuracies of architecture {several.idxmax()[0]}.")
    return rows


def read_curves(folder: str | Path) -> pd.DataFrame:
    """The learning curves of the sweep in `folder`, a line an epoch, as its journal has them.

    Raises InputError if there is no sweep, or it cannot be read.
    """
    if not holds_sweep(folder):
        raise _no_sweep(folder)
    if not has_journal(folder):
        return written_curves(folder)
    return _ordered(curves_of_trials(last_trials(read_journal(folder))))


def written_curves(folder: str | Path) -> pd.DataFrame:
    """Those of `curves.csv`, which older folders have beside their journal, or in its place; none without it."""
    path = user_path(folder) / CURVES
    return read_csv(path, MAX_ROWS_BYTES, CURVE_COLUMNS) if path.exists() else pd.DataFrame(columns=CURVE_COLUMNS)


def holds_sweep(folder: str | Path) -> bool:
    """Whether a sweep has begun in `folder`."""
    return any((user_path(folder) / name).is_file() for name in (*ROW_FORMS, *FORMS, MANIFEST))


def holds_journal(rows: pd.DataFrame, last: dict | None, end: Position) -> bool:
    """Whether `rows`, which a file has rounded, are a journal's; `last` and `end` are `end_of_journal`'s.

    A finished trial stands in a journal once, so its rows tell; one that failed may have failed alike before.
    """
    if last is None or has_failed(last):
        return last is None and end == START
    of_trial = rows[(rows["index"] == last["trial"]["index"]) & (rows.seed == last["trial"]["seed"])]
    of_trial = of_trial.set_index("method")
    return of_trial.index.is_unique and all(
        row["method"] in of_trial.index
        and of_trial.outcome[row["method"]] == row["outcome"]
        and all(
            np.isclose(of_trial[key][row["method"]], row[key], rtol=1e-9, atol=0, equal_nan=True)
            for key in ("score", "seconds")
        )
        for row in last["rows"]
    )


def rows_file(folder: str | Path) -> Path | None:
    """The file of the rows in `folder`: `rows.csv.gz`, else `rows.csv`; None without either."""
    paths = (user_path(folder) / name for name in ROW_FORMS)
    return next((path for path in paths if path.exists()), None)


def written_rows(folder: str | Path) -> pd.DataFrame | None:
    """The rows in the folder's file of rows as they are, None if the sweep has not written it yet."""
    path = rows_file(folder)
    if path is None:
        if not holds_sweep(folder):
            raise _no_sweep(folder)
        return None
    try:
        return with_finite_scores(with_meaning(_rows_in(path)))
    except InputError as error:
        if not has_journal(folder):
            raise
        raise InputError(
            f"{path} cannot be used ({error}): remove it, and the rows come from the journal again, all but the "
            "test accuracies that were given after their trials had run."
        ) from error


def _rows_in(path: Path) -> pd.DataFrame:
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
        if (rows["index"] < 0).any() or not (rows.test_accuracy.isna() | rows.test_accuracy.between(0, 100)).all():
            what = "every index must be at least 0, and every test_accuracy in 0..100"
            raise InputError(f"{path} is not a table of rows: {what}.")
    return rows.drop(columns=list(MEANING), errors="ignore")


def refuse_rows_without_journal(folder: str | Path) -> None:
    """Raises InputError if a folder has rows and no journal, so that writing its tables would lose them."""
    path = rows_file(folder)
    if path and not has_journal(folder) and len(written_rows(folder)):
        raise InputError(
            f"{folder} has {path.name} but no journal, from which a sweep goes on: restore it, or take another "
            "folder."
        )


def known_accuracy(folder: str | Path) -> pd.Series:
    """Test accuracy (%) by architecture that the written rows have from outside, NaN or nothing without one."""
    written = written_rows(folder) if rows_file(folder) else None
    return pd.Series(dtype=float) if written is None else accuracy_from_outside(written)


def _no_sweep(folder: str | Path) -> InputError:
    refuse_absent_or_several(folder)
    return InputError(f"{folder} holds neither {ROWS} nor {JOURNAL}: run a sweep into it first.")
