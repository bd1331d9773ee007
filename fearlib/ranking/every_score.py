"""All sweeps in a folder become one table of scores: what they say of the same architectures, side by side.

A score is named by the preset and the label with which it was measured: `paper/synflow` is a measure of the
full-size network at initialisation, `compact/fear(stage2_epochs=24)` is FEAR of a small one,
`paper/snip(epoch=0.2,schedule=constant)` a measure after a fifth of an epoch of training.
"""

import gzip
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fearlib.benchmark.splits import FULL_EPOCHS, column_of
from fearlib.data.registry import stands_for
from fearlib.errors import InputError
from fearlib.files.outside import user_path
from fearlib.files.progress import progress
from fearlib.files.tables import read_csv
from fearlib.files.write import replace_file
from fearlib.ranking.degradation import UNCHANGED_BY_TRAINING
from fearlib.ranking.tables import method_order
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.labels import Label, read_label
from fearlib.sweeps.rows import read_rows, rows_file

SCORES = "scores.csv.gz"
PAPERS = "zero_cost_cifar100"  # the folder whose sweep took the paper's architectures in their order
ACCURACIES = "zero_cost_cifar10/accuracies.csv"
MAX_BYTES = 2**24
BESIDE = ("test_accuracy_12ep", "valid_accuracy")  # other accuracies of the benchmark's
_SPACE = "nats-tss"
_NO_SCORES = ("full", "train_loss")  # the accuracy itself, and what is better the smaller it is


class Scores(NamedTuple):
    """Of one dataset, by architecture's index: what was measured of each, a column a score.

    `scores` is NaN where nothing was measured and -inf where there is no score, because FEAR did not reach its
    threshold or a measure is undefined; `macs` are each one's cost; `accuracy` is the test accuracy in %.
    """

    scores: pd.DataFrame
    macs: pd.DataFrame
    accuracy: pd.Series


def read_scores(results: str | Path = "results") -> pd.DataFrame:
    """The rows of all sweeps in the folder `results` on NATS-Bench's architectures, one for each and `name`.

    `name` is the score's, and `folder` the sweep's; the other columns are those of `fearlib.read_rows`. Of several
    seeds the lowest counts. Measures in training are there until the end of the first epoch, if they depend on the
    weights; at a constant rate they are the same however long the training was to be. Full training, which gives
    the accuracy, training losses and failed trials are left out. Raises InputError if there is no sweep.
    """
    folders = [folder for folder in sorted(user_path(results).glob("*/")) if rows_file(folder)]
    if not folders:
        raise InputError(f"{results} holds no results of sweeps: run this in the repository's folder.")
    found = [read_rows(each).assign(folder=each.name) for each in progress(folders, "reading results", "sweep")]
    rows = pd.concat(found, ignore_index=True)
    rows = rows[(rows.space == _SPACE) & ~rows.failed & ~rows.kind.isin(_NO_SCORES)]
    in_training = (rows.moment > 0) & (rows.moment <= 1) & ~rows.kind.isin(UNCHANGED_BY_TRAINING)
    rows = rows[rows.moment.isna() | in_training]
    labels = list(zip(rows.preset, rows.method))
    names = {label: score_name(*label) for label in set(labels)}
    rows = rows.assign(name=[names[label] for label in labels])
    rows = rows.sort_values("seed", kind="stable").drop_duplicates(["dataset", "name", "index"])
    return rows.sort_values(["dataset", "name", "index"], ignore_index=True)


def score_name(preset: str, method: str) -> str:
    """`compact/fear(stage2_epochs=24)`, of the label with which a sweep at `preset` has it in its rows."""
    label = read_label(method)
    if label.arguments.get("schedule") == "constant" and 0 < label.number("epoch") <= 1:
        moment = {"epoch": f"{label.number('epoch'):.1g}", "schedule": "constant"}
        label = Label(label.name, moment)
    return f"{preset}/{label}"


def name_order(name: str) -> tuple:
    """Sorts names by preset, then as tables of methods do."""
    preset, _, method = name.partition("/")
    label = read_label(method)
    moment = label.number("epoch")
    return preset, 0.0 if math.isnan(moment) else moment, method_order(method), method


def scores_of(rows: pd.DataFrame, dataset: str) -> Scores:
    """What `read_scores` read, of one dataset."""
    rows = rows[rows.dataset == dataset]
    names = sorted(rows.name.unique(), key=name_order)
    measured = rows.assign(score=rows.score.fillna(-math.inf))
    wide = (measured.pivot(index="index", columns="name", values=value)[names] for value in ("score", "macs"))
    return Scores(*wide, rows.groupby("index").test_accuracy.first())


def positions(results: str | Path = "results") -> pd.Series:
    """The place of each of the paper's architectures in its list, from 1, by index."""
    found = read_indices(Path(results) / PAPERS)
    return pd.Series(range(1, len(found) + 1), [architecture.index for architecture in found], name="position")


def wide_table(rows: pd.DataFrame, results: str | Path = "results") -> pd.DataFrame:
    """A line a dataset and architecture, a column a score: what `results/scores.csv.gz` holds.

    After `dataset`, `position`, `index` and `arch` come accuracies in %: `test_accuracy`; `test_accuracy_12ep`,
    after the benchmark's training of 12 epochs; `valid_accuracy`, of networks trained on half of the training
    images. Then come the scores, which are empty where nothing was measured and -inf where there is none.
    """
    place = positions(results)
    beside = read_csv(Path(results) / ACCURACIES, MAX_BYTES, ["index"]).set_index("index")
    arch = rows.groupby("index").arch.first()
    parts = []
    for dataset in rows.dataset.unique():
        each = scores_of(rows, dataset)
        said = pd.DataFrame({"dataset": dataset, "position": place, "arch": arch}, each.scores.index)
        said = said.astype({"position": "Int64"}).assign(test_accuracy=each.accuracy)
        columns = column_of(dataset, 12), column_of(f"{stands_for(dataset)}-valid", FULL_EPOCHS, "validation")
        for name, column in zip(BESIDE, columns):
            said[name] = beside.get(column, math.nan)
        parts.append(said.join(each.scores).reset_index())
    table = pd.concat(parts, ignore_index=True)
    scores = sorted(rows.name.unique(), key=name_order)
    return table[["dataset", "position", "index", "arch", "test_accuracy", *BESIDE, *scores]]


def columns_table(rows: pd.DataFrame, listed: Iterable[int]) -> pd.DataFrame:
    """What every score of `wide_table` is: a line a `score` and `dataset`, in the columns' order.

    Columns: `n` architectures with a score, `out` without, how many of these are `listed`; the mean `gmacs` (1e9
    multiply-accumulates) and `seconds` of an architecture, over the listed if there are any: others, such as those
    that a funnel keeps, are no sample of the space; and the sweeps' `folder`.
    """
    listed, lines = set(listed), []
    for (name, dataset), each in rows.groupby(["name", "dataset"]):
        line = {"score": name, "dataset": dataset, "n": each.score.notna().sum(), "out": each.score.isna().sum()}
        among = each["index"].isin(listed)
        folders = " ".join(sorted(each.folder.unique()))
        line["listed"], each = among.sum(), each[among] if among.any() else each
        line |= {"gmacs": each.macs.mean() / 1e9, "seconds": each.seconds.mean()}
        lines.append(line | {"folder": folders})
    lines = pd.DataFrame(lines)
    return lines.iloc[sorted(range(len(lines)), key=lambda i: (name_order(lines.score[i]), lines.dataset[i]))]


def write_scores(rows: pd.DataFrame, output: str | Path, results: str | Path = "results") -> None:
    """Write `wide_table` as `scores.csv.gz` in the folder `output`; the same table gives the same bytes."""
    content = wide_table(rows, results).to_csv(index=False, float_format="%.8g", lineterminator="\n")
    user_path(output).mkdir(parents=True, exist_ok=True)
    replace_file(Path(output) / SCORES, gzip.compress(content.encode(), mtime=0))
