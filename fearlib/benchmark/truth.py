"""The benchmark's test accuracy, from a table, a results folder or NATS-Bench's own archive."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from fearlib.benchmark.archive import held_in, read_archive
from fearlib.benchmark.results import read_results
from fearlib.benchmark.splits import ARCHIVE_EPOCHS, ARCHIVE_NAMES, FULL_EPOCHS, OF_TABLES, SPLITS, column_of
from fearlib.benchmark.tables import check_format, read_table, write_table
from fearlib.data.registry import dataset_name, stands_for
from fearlib.errors import InputError
from fearlib.files.outside import user_path
from fearlib.files.tables import percentages
from fearlib.files.write import check_place
from fearlib.spaces.nats import SPACE_SIZE, Architecture
from fearlib.sweeps.rows import holds_sweep


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
    dataset = dataset_name(dataset, OF_TABLES)
    if not isinstance(split, str) or split not in SPLITS:
        raise InputError(f"unknown split {split!r:.80}: the splits are {', '.join(SPLITS)}.")
    if not isinstance(indices, Iterable):
        raise InputError(f"indices={indices!r:.80}: give a list of architecture indices.")
    indices = [Architecture.from_index(index).index for index in indices]
    source = user_path(source)
    if holds_sweep(source):
        accuracies, epochs = read_results(source, dataset, epochs, split)
        _check_held(indices, accuracies.index, source)
        return _named(accuracies.loc[indices], source, dataset, epochs, split)
    epochs = FULL_EPOCHS if epochs is None else epochs
    column = column_of(dataset, epochs, split)
    if source.is_dir():
        held = held_in(source)
        _check_held(indices, held, source)
        table = read_archive(source, dict.fromkeys(indices), [(stands_for(dataset), epochs, split)])
    else:
        table = read_table(source, column)
        _check_held(indices, table.index, source)
    return _named(table.loc[indices, column], source, dataset, epochs, split)


def export_truth(archive: str | Path, output: str | Path) -> int:
    """Write all that `benchmark_accuracy` reads out of NATS-Bench's `archive` as the table `output`.

    The format goes by the name: .csv, .csv.gz or .parquet. The archive is read one architecture at a time.
    Returns the number of architectures left out, because the archive has no file for them.

    Raises InputError if the archive cannot be read or `output` cannot be a table.
    """
    archive, output = user_path(archive), user_path(output)
    check_format(output)
    check_place(output)
    held = held_in(archive)
    wanted = [(dataset, epochs, "test") for epochs in ARCHIVE_EPOCHS for dataset in ARCHIVE_NAMES]
    wanted += [(dataset, FULL_EPOCHS, "validation") for dataset in SPLITS["validation"].names]
    table = read_archive(archive, held, wanted)
    for column in table:
        table[column] = percentages(table[column], archive)
    table.insert(0, "arch", [str(Architecture.from_index(index)) for index in table.index])
    write_table(table.reset_index(), output)
    return SPACE_SIZE - len(held)


def _check_held(indices: list[int], held: Iterable[int], source: Path):
    held = set(held)
    missing = [index for index in dict.fromkeys(indices) if index not in held]
    if missing:
        first = ", ".join(map(str, missing[:5]))
        raise InputError(
            f"{source} lacks {len(missing)} of the architectures asked for (indices {first}"
            f"{', ...' if len(missing) > 5 else ''}): it holds {len(held)}. NATS-Bench's archive holds all; "
            "without accuracies architectures are ranked all the same."
        )


def _named(accuracies: pd.Series, source: Path, dataset: str, epochs: int | None, split: str) -> pd.Series:
    checked = percentages(accuracies, source).rename(f"{split}_accuracy")
    checked.attrs |= {"source": source.name, "dataset": dataset, "split": split, "epochs": epochs}
    return checked
