"""NATS-Bench's own archive, read as data."""

import bz2
import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd

from fearlib.benchmark.splits import ARCHIVE_NAMES, FULL_EPOCHS, OF_TABLES, SPLITS, column_of
from fearlib.data.registry import dataset_name
from fearlib.errors import InputError, check_threshold, one_line, require
from fearlib.files import safe_pickle
from fearlib.files.outside import user_path
from fearlib.files.progress import progress
from fearlib.files.tables import percentages
from fearlib.spaces.listing import agreed
from fearlib.spaces.nats import SPACE_SIZE

MAX_MEMBER_BYTES = 2**26  # of a file of the archive, unpacked; the longest training takes 2 MB
_EXTENSION = ".pickle.pbz2"
_META = "meta" + _EXTENSION


def archive_times(archive: str | Path, dataset: str, threshold: float) -> pd.DataFrame:
    """When each of the archive's networks reached a training accuracy in its 200 epochs of training.

    `archive` is the folder of NATS-Bench's topology archive, `threshold` a share of training images (0..1). A line
    an architecture: `index`, `epochs` and `seconds` until the mean over seeds of training accuracy first is at
    least the threshold at the end of an epoch (NaN if it never is), and `test_accuracy` in %. The seconds are
    those of the benchmark's own hardware. Raises InputError if the archive cannot be read, lacks the dataset, or
    holds accuracies outside 0..100 or times that are not finite, and unless 0 < threshold <= 1.
    """
    check_threshold(threshold)
    archive, dataset = user_path(archive), dataset_name(dataset, OF_TABLES)
    held = held_in(archive)

    def times(api, index: int) -> dict:
        training = api.arch2infos_dict[index][str(FULL_EPOCHS)]
        line = {"index": index, "epochs": math.nan, "seconds": math.nan}
        for epoch in range(FULL_EPOCHS):
            record = training.get_metrics(ARCHIVE_NAMES[dataset], "train", iepoch=epoch)
            accuracy, seconds = record["accuracy"], record["all_time"]
            if not (0 <= accuracy <= 100 and 0 <= seconds < math.inf):
                raise InputError(
                    f"{archive}: architecture {index} has a training accuracy of {accuracy!r:.80}% after "
                    f"{seconds!r:.80} seconds: these must be in 0..100, and finite and at least 0."
                )
            if accuracy / 100 >= threshold:
                line |= {"epochs": epoch + 1, "seconds": seconds}
                break
        return line | {"test_accuracy": _accuracy(api, index, *wanted)}

    wanted = (dataset, FULL_EPOCHS, "test")
    table = pd.DataFrame(line for _, line in _each_architecture(archive, held, [wanted], times))
    return table.assign(test_accuracy=percentages(table.set_index("index").test_accuracy, archive).to_numpy())


def held_in(folder: Path) -> list[int]:
    """The indices of the architectures that have a file in the archive."""
    if not (folder / _META).is_file():
        raise InputError(f"{folder} is not the folder of NATS-Bench's archive: it has no {_META}.")
    names = [path.name.removesuffix(_EXTENSION) for path in folder.glob("*" + _EXTENSION)]
    held = sorted(int(name) for name in names if name.isdecimal() and len(name) == 6 and int(name) < SPACE_SIZE)
    if not held:
        raise InputError(f"{folder} holds no architecture: it has no file such as 000000{_EXTENSION}.")
    return held


def read_archive(folder: Path, indices: Iterable[int], wanted: list[tuple[str, int, str]]) -> pd.DataFrame:
    """Accuracies with one row an architecture and one column for each (dataset, epochs, split) of `wanted`."""

    def accuracies(api, index: int) -> list[float]:
        return [_accuracy(api, index, *which) for which in wanted]

    rows = dict(_each_architecture(folder, indices, wanted, accuracies))
    columns = [column_of(*which) for which in wanted]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("index")


def _accuracy(api, index: int, dataset: str, epochs: int, split: str) -> float:
    names, metric, _ = SPLITS[split]
    return float(api.get_more_info(index, names[dataset], hp=str(epochs), is_random=False)[metric])


def _each_architecture(
    folder: Path, indices: Iterable[int], wanted: list[tuple[str, int, str]], read: Callable[[object, int], object]
) -> Iterator[tuple[int, object]]:
    """What `read` makes of NATS-Bench's API for every index, once its trainings are known to be there."""
    for dataset, _, split in wanted:
        if dataset not in (names := SPLITS[split].names):
            raise InputError(f"{folder} is read for {', '.join(names)} alone, not for {dataset}.")
    with _nats_bench(folder) as nats_bench:
        with _format_errors(folder / _META):
            api = nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)
        for index in progress(indices, "reading the archive", "architecture"):
            path = folder / f"{index:06d}{_EXTENSION}"
            with _format_errors(path):
                agreed(index, api.arch(index), folder / _META)
                api.reload(str(folder), index)
                for dataset, epochs, split in wanted:
                    name = SPLITS[split].names[dataset]
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
