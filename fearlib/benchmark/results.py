"""The accuracies that a results folder holds: in its rows, or in a table beside them."""

import contextlib
from pathlib import Path

import pandas as pd

from fearlib.benchmark.splits import ARCHIVE_EPOCHS, ARCHIVE_NAMES, FULL_EPOCHS, column_of
from fearlib.benchmark.tables import MAX_TABLE_BYTES, by_index
from fearlib.data.registry import stands_for
from fearlib.errors import InputError
from fearlib.files.tables import read_csv
from fearlib.spaces.listing import agreed
from fearlib.sweeps.labels import read_label
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.rows import own_truth, read_rows

ACCURACIES = "accuracies.csv"  # a table of the benchmark's that a results folder may hold


def read_results(folder: Path, dataset: str, epochs: int | None, split: str) -> tuple[pd.Series, int | None]:
    """Accuracies by architecture index, of its rows if these have what is asked for, and after how many epochs."""
    length = FULL_EPOCHS if epochs is None else epochs
    column = column_of(dataset, length, split)
    if split != "test":  # of which rows have none
        beside = _read_beside(folder)
        if column not in beside:
            raise InputError(f"{folder} holds no {split} accuracy on {dataset} after {length} epochs.")
        return beside[column].dropna(), length
    rows = read_rows(folder)
    same = rows.dataset == dataset if own_truth(rows) else rows.dataset.map(stands_for) == stands_for(dataset)
    known = rows[same & rows.test_accuracy.notna()]
    _refuse_contradictions(known, folder)
    trained = _epochs_of_rows(folder, known)
    if len(known) and epochs in (None, trained):
        return known.groupby("index").test_accuracy.first(), trained
    beside = _read_beside(folder)
    if column in beside:
        return beside[column].dropna(), length
    if known.empty:
        held = sorted(set(rows.dataset))
        why = "its rows have none" if dataset in held else f"it holds rows on {', '.join(held) or 'nothing'}"
        raise InputError(f"{folder} holds no test accuracy on {dataset}: {why}.")
    lengths = {trained, *(length for length in ARCHIVE_EPOCHS if column_of(dataset, length) in beside)} - {None}
    raise InputError(
        f"{folder} holds no test accuracy on {dataset} after {epochs} epochs: it holds those after "
        f"{' or '.join(map(str, sorted(lengths))) or 'a number that it does not say'}."
    )


def _refuse_contradictions(known: pd.DataFrame, folder: Path) -> None:
    """Raises InputError unless the rows are of NATS-Bench's architectures, with one accuracy for each."""
    if other := set(known.space) - {"nats-tss"}:
        raise InputError(f"{folder} holds architectures of {', '.join(sorted(other))}, not of nats-tss.")
    for index, arch in known.dropna(subset="arch").groupby("index").arch.unique().explode().items():
        agreed(index, arch, folder)
    several = known.groupby("index").test_accuracy.nunique() > 1  # of a dataset and its stand-in together
    if several.any():
        raise InputError(f"{folder} has two test accuracies of architecture {several.idxmax()}.")


def _epochs_of_rows(folder: Path, rows: pd.DataFrame) -> int | None:
    """The length of the training whose test accuracies the rows have, None if it is not known."""
    sittings, settings = [], {}
    with contextlib.suppress(InputError):  # rows may lie there alone
        manifest = read_manifest(folder)
        sittings, settings = manifest["sittings"], manifest["configuration"]["settings"]
    if len(rows) and (truth := own_truth(rows)):
        label = read_label(truth)
        epochs = label.number("epochs") if "epochs" in label.arguments else settings.get("full_epochs")
        return int(epochs) if isinstance(epochs, (int, float)) and float(epochs).is_integer() else None
    said = {sitting.get("truth_epochs") for sitting in sittings if type(sitting.get("truth_epochs")) is int}
    if said:
        return said.pop() if len(said) == 1 else None
    if any("truth_epochs" in sitting and sitting.get("truth") is not None for sitting in sittings):
        return None
    of_benchmark = set(rows.dataset.map(stands_for)) <= set(ARCHIVE_NAMES)
    return FULL_EPOCHS if of_benchmark else None  # sittings did not always say


def _read_beside(folder: Path) -> pd.DataFrame:
    """The folder's `accuracies.csv` by architecture index, or an empty table."""
    path = folder / ACCURACIES
    return by_index(read_csv(path, MAX_TABLE_BYTES), path) if path.is_file() else pd.DataFrame()
