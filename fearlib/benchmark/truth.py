"""The benchmark's test accuracy, from a table or from NATS-Bench's own archive."""

import bz2
import contextlib
import gzip
import io
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fearlib.data.registry import dataset_name, stands_for
from fearlib.errors import InputError, check_threshold, one_line, require
from fearlib.files import safe_pickle
from fearlib.files.outside import read_file, user_path
from fearlib.files.tables import own_names, percentages, read_csv
from fearlib.files.write import replace_file
from fearlib.spaces.listing import agreed, architectures_of_table
from fearlib.spaces.nats import SPACE_SIZE, Architecture
from fearlib.sweeps.labels import read_label, truth_method
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.rows import full_is_truth, holds_sweep, read_rows

_ARCHIVE_EPOCHS = (200, 12)
_ARCHIVE_NAMES = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"}


class _Split(NamedTuple):
    """Images on which the benchmark's networks were evaluated."""

    names: dict[str, str]  # of its datasets in the archive
    metric: str  # in the archive
    ending: str  # of its columns in a table


_SPLITS = {
    "test": _Split(_ARCHIVE_NAMES, "test-accuracy", ""),
    "validation": _Split(
        {"cifar10-valid": "cifar10-valid", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"},
        "valid-accuracy",
        "_val",
    ),
}
_OF_TABLES = ("cifar10-valid",)  # what a table may hold besides the datasets that networks are trained on here
ACCURACIES = "accuracies.csv"  # a table of the benchmark's that a results folder may hold
MAX_TABLE_BYTES = 2**24  # unpacked; all architectures on all datasets take 4 MB
MAX_MEMBER_BYTES = 2**26  # of a file of the archive, unpacked; the longest training takes 2 MB
_EXTENSION = ".pickle.pbz2"
_META = "meta" + _EXTENSION


def benchmark_accuracy(
    source: str | Path, dataset: str, indices: Iterable[int], epochs: int | None = None, split: str = "test"
) -> pd.Series:
    """Test accuracy in %, averaged over the seeds, after `epochs` epochs of full training, 200 by default.

    `split` may be `validation` instead of `test`: of CIFAR-100, of ImageNet16-120, and of `cifar10-valid`, whose
    networks are trained on the other half of CIFAR-10's training images. On these accuracies the published
    correlations of zero-cost measures on CIFAR-10 rest.

    `source` is either a table (.csv, .csv.gz or .parquet) with the columns `arch`, `index` if it likes, and one
    for each dataset, `cifar10`, `cifar10_valid`, `cifar100`, `imagenet16_120` or `synthetic`, ending in `_12ep`
    for 12 epochs and in `_val` for validation images; or the folder of NATS-Bench's topology archive,
    NATS-tss-v1_0-3ffb9-simple (Dong et al., NATS-Bench, 2021); or a results folder, for the accuracies in its
    rows: those that the sweep was given, or those of its own full training, by default whatever its number of
    epochs; else for those in its `accuracies.csv`. It may hold only some of the architectures. Datasets and
    columns may be spelt as the field does, `ImageNet16-120`. Of the stand-in `tinyimagenet16-120` the accuracies
    are those on ImageNet16-120.
    On CIFAR-10 the networks are trained on the whole training set; on CIFAR-100 and ImageNet16-120 the test set
    is the half that NATS-Bench does not use for validation.

    The result is indexed by NATS-Bench's architecture index, in the order of `indices`, and named `test_accuracy`
    or `validation_accuracy`; its `attrs` are the `source`'s name, the `dataset`, the `split`, and the `epochs`,
    None if the source does not say how many.

    Raises InputError if the source cannot be read, contradicts NATS-Bench's numbering of the architectures, lacks
    what is asked for, or has an accuracy for it that is not a number in 0..100.
    """
    dataset = dataset_name(dataset, _OF_TABLES)
    if split not in _SPLITS:
        raise InputError(f"unknown split {split!r}: the splits are {', '.join(_SPLITS)}.")
    indices = [Architecture.from_index(index).index for index in indices]
    source = user_path(source)
    if holds_sweep(source):
        accuracies, epochs = _read_results(source, dataset, epochs, split)
        accuracies = percentages(accuracies, source)
        _check_held(indices, accuracies.index, source)
        return _named(accuracies.loc[indices], source, dataset, epochs, split)
    epochs = 200 if epochs is None else epochs
    column = _column(dataset, epochs, split)
    if source.is_dir():
        held = _held(source)
        _check_held(indices, held, source)
        table = _read_archive(source, dict.fromkeys(indices), [(stands_for(dataset), epochs, split)])
    else:
        table = _read_table(source, column)
        _check_held(indices, table.index, source)
    return _named(table.loc[indices, column], source, dataset, epochs, split)


def export_truth(archive: str | Path, output: str | Path) -> int:
    """Write all that `benchmark_accuracy` reads out of NATS-Bench's `archive` as the table `output`.

    The format goes by the name: .csv, .csv.gz or .parquet. The archive is read one architecture at a time.
    Returns the number of architectures left out, because the archive has no file for them.

    Raises InputError if the archive cannot be read or `output` cannot be a table.
    """
    archive, output = user_path(archive), user_path(output)
    _check_format(output)
    if not output.parent.is_dir():
        raise InputError(f"{output} cannot be written: there is no folder {output.parent}.")
    held = _held(archive)
    progress = require("tqdm", "show how far the export is").tqdm(held, desc="architectures")
    wanted = [(dataset, epochs, "test") for epochs in _ARCHIVE_EPOCHS for dataset in _ARCHIVE_NAMES]
    wanted += [(dataset, _ARCHIVE_EPOCHS[0], "validation") for dataset in _SPLITS["validation"].names]
    table = _read_archive(archive, progress, wanted)
    for column in table:
        table[column] = percentages(table[column], archive)
    table.insert(0, "arch", [str(Architecture.from_index(index)) for index in table.index])
    _write(table.reset_index(), output)
    return SPACE_SIZE - len(held)


def archive_times(archive: str | Path, dataset: str, threshold: float) -> pd.DataFrame:
    """When each of the archive's networks reached a training accuracy in its 200 epochs of training.

    `archive` is the folder of NATS-Bench's topology archive, `threshold` a share of training images (0..1). A line
    an architecture: `index`, `epochs` and `seconds` until the mean over seeds of training accuracy first is at
    least the threshold at the end of an epoch (NaN if it never is), and `test_accuracy` in %. The seconds are
    those of the benchmark's own hardware. Raises InputError if the archive cannot be read or lacks the dataset, or
    unless 0 < threshold <= 1.
    """
    check_threshold(threshold)
    archive, dataset = user_path(archive), dataset_name(dataset, _OF_TABLES)
    progress = require("tqdm", "show how far the archive is read").tqdm(_held(archive), desc="architectures")
    epochs = _ARCHIVE_EPOCHS[0]

    def times(api, index: int) -> dict:
        training = api.arch2infos_dict[index][str(epochs)]
        name = _ARCHIVE_NAMES[dataset]
        line = {"index": index, "epochs": math.nan, "seconds": math.nan}
        for epoch in range(epochs):
            record = training.get_metrics(name, "train", iepoch=epoch)
            if record["accuracy"] >= 100 * threshold:
                line |= {"epochs": epoch + 1, "seconds": record["all_time"]}
                break
        accuracy = api.get_more_info(index, name, hp=str(epochs), is_random=False)["test-accuracy"]
        return line | {"test_accuracy": float(accuracy)}

    wanted = [(dataset, epochs, "test")]
    return pd.DataFrame(line for _, line in _each_architecture(archive, progress, wanted, times))


def _column(dataset: str, epochs: int, split: str = "test") -> str:
    trained = stands_for(dataset).replace("-", "_") + ("" if epochs == 200 else f"_{epochs}ep")
    return trained + _SPLITS[split].ending


def _check_held(indices: list[int], held: Iterable[int], source: Path):
    held = set(held)
    missing = [index for index in dict.fromkeys(indices) if index not in held]
    if missing:
        first = ", ".join(map(str, missing[:5]))
        raise InputError(
            f"{source} lacks {len(missing)} of the architectures asked for (indices {first}"
            f"{', ...' if len(missing) > 5 else ''}): it holds {len(held)}."
        )


def _named(accuracies: pd.Series, source: Path, dataset: str, epochs: int | None, split: str) -> pd.Series:
    checked = percentages(accuracies, source).rename(f"{split}_accuracy")
    checked.attrs |= {"source": source.name, "dataset": dataset, "split": split, "epochs": epochs}
    return checked


# Tables


def _check_format(path: Path):
    if path.name.endswith(".parquet"):
        require("pyarrow", "read and write Parquet tables")
    elif not path.name.endswith((".csv", ".csv.gz")):
        raise InputError(f"{path} is not a table: its name must end in .csv, .csv.gz or .parquet.")


def _read_table(path: Path, column: str) -> pd.DataFrame:
    """The table at `path` by architecture index, `column` under this name, once its rows are consistent."""
    if not path.is_file():
        raise InputError(f"{path} is neither a table of accuracies nor the folder of NATS-Bench's archive.")
    _check_format(path)
    needed = ("arch", column)
    if path.suffix == ".parquet":
        table = _read_parquet(path, needed)
    else:
        table = read_csv(path, MAX_TABLE_BYTES)
        table = table.rename(columns=own_names(table.columns, ("index", *needed), path))
    for name in needed:
        if name not in table:
            raise InputError(f"{path} has no column {name}: it has {', '.join(map(str, table.columns))}.")
    return _by_index(table, path)


def _read_parquet(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """The columns `needed`, and `index` if there is one; or, if one is missing, no row and the columns there are.

    Equal texts of a column stay one: there may be millions of them in a small file.
    """
    from pyarrow import parquet, types

    content = read_file(path, MAX_TABLE_BYTES)
    try:
        names = parquet.read_schema(io.BytesIO(content)).names
        own = own_names(names, ("index", *needed), path)
        if not set(needed) <= set(own.values()):
            return pd.DataFrame(columns=names)
        file = parquet.ParquetFile(io.BytesIO(content), read_dictionary=list(own))
        metadata = file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        if metadata.num_rows > SPACE_SIZE or sum(group.total_byte_size for group in groups) > MAX_TABLE_BYTES:
            raise ValueError(f"it has more than {SPACE_SIZE} rows or, unpacked, {MAX_TABLE_BYTES} bytes")
        if any(types.is_nested(file.schema_arrow.field(name).type) for name in own):
            raise ValueError("it has lists in place of values")
        table = file.read(columns=list(own), use_threads=False).to_pandas(ignore_metadata=True)
    except InputError:
        raise
    except Exception as error:  # Arrow has no common kind of its own
        raise InputError(f"{path} is not a readable table: {one_line(error)}.") from error
    shared = table.select_dtypes("category")
    return table.astype(dict.fromkeys(shared, object)).rename(columns=own)


def _by_index(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows by their architectures' indices, each of which occurs once."""
    if "index" in table:
        _check_integers(table, path)
    table.index = pd.Index([found.index for found in architectures_of_table(table, path)], dtype=int, name="index")
    return _once_each(table, path)


def _once_each(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    doubled = table.index[table.index.duplicated()]
    if len(doubled):
        raise InputError(f"{path} has more than one row of architecture {doubled[0]}.")
    return table


def _check_integers(table: pd.DataFrame, path: Path):
    if not pd.api.types.is_integer_dtype(table["index"]) or table["index"].isna().any():
        raise InputError(f"{path}: the column index must hold integers, NATS-Bench's architecture indices.")


def _write(table: pd.DataFrame, path: Path):
    """Write `table` in one step; equal tables give equal bytes."""
    if path.name.endswith(".parquet"):
        content = table.to_parquet(index=False)
    else:
        content = table.to_csv(index=False, lineterminator="\n").encode()
    if path.name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    replace_file(path, content)


# A results folder


def _read_results(folder: Path, dataset: str, epochs: int | None, split: str) -> tuple[pd.Series, int | None]:
    """Accuracies by architecture index, of its rows if these have what is asked for, and after how many epochs."""
    if split != "test":
        return _read_validation(folder, dataset, epochs, split)
    rows = read_rows(folder)
    same = rows.dataset == dataset if full_is_truth(rows) else rows.dataset.map(stands_for) == stands_for(dataset)
    known = rows[same & rows.test_accuracy.notna()]
    trained = _epochs_of_rows(folder, known)
    if len(known) and epochs in (None, trained):
        return known.groupby("index").test_accuracy.first(), trained
    column = _column(dataset, 200 if epochs is None else epochs)
    beside = _read_beside(folder)
    if column in beside:
        return beside[column].dropna(), 200 if epochs is None else epochs
    if known.empty:
        held = sorted(set(rows.dataset))
        why = "its rows have none" if dataset in held else f"it holds rows on {', '.join(held) or 'nothing'}"
        raise InputError(f"{folder} holds no test accuracy on {dataset}: {why}.")
    lengths = {trained, *(length for length in _ARCHIVE_EPOCHS if _column(dataset, length) in beside)} - {None}
    raise InputError(
        f"{folder} holds no test accuracy on {dataset} after {epochs} epochs: it holds those after "
        f"{' or '.join(map(str, sorted(lengths))) or 'a number that it does not say'}."
    )


def _read_validation(folder: Path, dataset: str, epochs: int | None, split: str) -> tuple[pd.Series, int]:
    """Those of the folder's table, for rows have test accuracies alone."""
    epochs = 200 if epochs is None else epochs
    beside, column = _read_beside(folder), _column(dataset, epochs, split)
    if column not in beside:
        raise InputError(f"{folder} holds no {split} accuracy on {dataset} after {epochs} epochs.")
    return beside[column].dropna(), epochs


def _epochs_of_rows(folder: Path, rows: pd.DataFrame) -> int | None:
    """The length of the training whose test accuracies the rows have, None if it is not known."""
    sittings, settings = [], {}
    with contextlib.suppress(InputError):  # rows may lie there alone
        manifest = read_manifest(folder)
        sittings, settings = manifest["sittings"], manifest["configuration"]["settings"]
    if len(rows) and full_is_truth(rows):
        label = read_label(truth_method(rows.method))
        epochs = label.number("epochs") if "epochs" in label.arguments else settings.get("full_epochs")
        return int(epochs) if isinstance(epochs, (int, float)) and float(epochs).is_integer() else None
    said = {sitting.get("truth_epochs") for sitting in sittings if type(sitting.get("truth_epochs")) is int}
    if said:
        return said.pop() if len(said) == 1 else None
    return 200 if set(rows.dataset.map(stands_for)) <= set(_ARCHIVE_NAMES) else None  # sittings did not always say


def _read_beside(folder: Path) -> pd.DataFrame:
    """The folder's `accuracies.csv` by architecture index, or an empty table."""
    path = folder / ACCURACIES
    return _by_index(read_csv(path, MAX_TABLE_BYTES), path) if path.is_file() else pd.DataFrame()


# NATS-Bench's archive


def _held(folder: Path) -> list[int]:
    """The indices of the architectures that have a file in the archive."""
    if not (folder / _META).is_file():
        raise InputError(f"{folder} is not the folder of NATS-Bench's archive: it has no {_META}.")
    names = [path.name.removesuffix(_EXTENSION) for path in folder.glob("*" + _EXTENSION)]
    held = sorted(int(name) for name in names if name.isdecimal() and len(name) == 6 and int(name) < SPACE_SIZE)
    if not held:
        raise InputError(f"{folder} holds no architecture: it has no file such as 000000{_EXTENSION}.")
    return held


def _read_archive(folder: Path, indices: Iterable[int], wanted: list[tuple[str, int, str]]) -> pd.DataFrame:
    """Accuracies with one row an architecture and one column for each (dataset, epochs, split) of `wanted`."""

    def accuracies(api, index: int) -> list[float]:
        return [_accuracy(api, index, *which) for which in wanted]

    rows = dict(_each_architecture(folder, indices, wanted, accuracies))
    columns = [_column(*which) for which in wanted]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("index")


def _accuracy(api, index: int, dataset: str, epochs: int, split: str) -> float:
    names, metric, _ = _SPLITS[split]
    return float(api.get_more_info(index, names[dataset], hp=str(epochs), is_random=False)[metric])


def _each_architecture(
    folder: Path, indices: Iterable[int], wanted: list[tuple[str, int, str]], read: Callable[[object, int], object]
) -> Iterator[tuple[int, object]]:
    """What `read` makes of NATS-Bench's API for every index, once its trainings are known to be there."""
    for dataset, _, split in wanted:
        if dataset not in (names := _SPLITS[split].names):
            raise InputError(f"{folder} is read for {', '.join(names)} alone, not for {dataset}.")
    with _nats_bench(folder) as nats_bench:
        with _format_errors(folder / _META):
            api = nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)
        for index in indices:
            path = folder / f"{index:06d}{_EXTENSION}"
            with _format_errors(path):
                agreed(index, api.arch(index), folder / _META)
                api.reload(str(folder), index)
                for dataset, epochs, split in wanted:
                    name = _SPLITS[split].names[dataset]
                    _check_training(api.arch2infos_dict[index], index, name, epochs, path)
                found = read(api, index)
                del api.arch2infos_dict[index]  # or the whole archive would pile up in memory
            yield index, found


@contextlib.contextmanager
def _nats_bench(folder: Path):
    """The package nats_bench, which reads pickles of `folder` alone, and as data alone, until the context ends."""
    nats_bench = require("nats_bench", "read NATS-Bench's archive")

    def load(path: str) -> object:
        if Path(path).parent != folder:
            raise ValueError("it refers to another file")
        with bz2.open(path, "rb") as file:
            return safe_pickle.load(file, path, MAX_MEMBER_BYTES)

    with contextlib.ExitStack() as stack:
        for module in (nats_bench.api_utils, nats_bench.api_topology):
            stack.callback(setattr, module, "pickle_load", module.pickle_load)
            module.pickle_load = load
        yield nats_bench


def _check_training(trainings: dict, index: int, name: str, epochs: int, path: Path):
    if str(epochs) not in trainings:
        raise InputError(f"{path} holds no training of {epochs} epochs: it holds {', '.join(trainings)}.")
    results = trainings[str(epochs)]
    agreed(index, results.arch_str, path)
    names = results.get_dataset_names()
    if name not in names:
        raise InputError(f"{path} holds no {name} after {epochs} epochs: it holds {', '.join(names)}.")


@contextlib.contextmanager
def _format_errors(path: Path):
    """What nats_bench raises over a file of another form, as InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is not in the format of NATS-Bench's archive: {one_line(error)}.") from error
