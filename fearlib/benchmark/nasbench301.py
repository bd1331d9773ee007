"""The training logs behind NAS-Bench-301: how soon a DARTS network reaches a training accuracy."""

import json
import lzma
import math
import re
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pandas as pd

from fearlib.errors import InputError, check_threshold, one_line
from fearlib.files.outside import user_path
from fearlib.files.progress import progress
from fearlib.files.tar import BoundedMember
from fearlib.files.zip import refuse_other_packing
from fearlib.spaces.darts import Genotype

MAX_BYTES = 16 * 2**20  # of one log
_CONFIGURATION = "optimized_hyperparamater_config"  # so spelt in the logs
_COLUMNS = (
    "name", "genotype", "epochs", "trained_epochs", "seconds", "runtime", "test_accuracy",
)  # fmt: skip
_UNREADABLE = (
    OSError, EOFError, RuntimeError, NotImplementedError, tarfile.TarError, zipfile.BadZipFile, zlib.error,
    lzma.LZMAError, struct.error, UnicodeDecodeError,
)  # fmt: skip


def log_times(source: str | Path, threshold: float = 0.6) -> pd.DataFrame:
    """When each network of NAS-Bench-301's training logs reached a training accuracy.

    `source` is a folder of logs, at any depth, or a .zip or .tar archive of one, as published: Siems et al.,
    NAS-Bench-301, 2020; nb_301_v13_lc_iclr_final.zip has a folder for every search method, `rs` for random search.
    An archive is read without being unpacked, one log at a time. A log is a .json file; other files, and hidden
    ones, are passed over.

    A row a network, sorted by `name`, the file's path within the source. `genotype` is the `Genotype` as a string,
    None if the log does not tell. `epochs` counts the epochs until the training accuracy is first at least
    `threshold`, a share of training images, and `seconds` their part of the `runtime`, shared equally among all
    `trained_epochs`; both are NaN if it never is. `test_accuracy` is in %.

    Raises InputError if the source cannot be read or holds no log, if a log is malformed or larger than 16 MiB, or
    unless 0 < threshold <= 1.
    """
    check_threshold(threshold)
    source = user_path(source)
    if source.exists() and not (source.is_dir() or source.is_file()):
        raise InputError(f"{source} is neither a folder nor a .zip or .tar archive.")
    rows = []
    try:
        for name, size, file in _logs(source):
            where = f"{name if name.isprintable() else ascii(name)} in {source}"
            rows.append((name, *_measure(_load(file, size, where), where, threshold)))
    except _UNREADABLE as error:
        raise InputError(f"{source} cannot be read: {one_line(error)}.") from error
    names = Counter(row[0] for row in rows)
    if twice := [name for name, times in names.items() if times > 1]:
        raise InputError(f"{source} holds {twice[0]!r} twice: pack it anew, with every log once.")
    if not rows:
        raise InputError(f"{source} holds no training log: there is no .json file in it.")
    return pd.DataFrame(rows, columns=_COLUMNS).sort_values("name", ignore_index=True)


def _logs(source: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, declared size in bytes and open file of every log, one after the other."""
    if source.is_dir():
        for path in progress([path for path in source.rglob("*.json") if path.is_file()], "reading logs", "log"):
            if _is_log(path.name):
                with path.open("rb") as file:
                    yield path.relative_to(source).as_posix(), path.stat().st_size, file
    elif _is_tar(source):
        with tarfile.open(source, tarinfo=BoundedMember) as archive:
            for member in progress(archive, "reading logs", "log"):
                if member.isfile() and _is_log(member.name):
                    yield member.name, member.size, archive.extractfile(member)
            archive.fileobj.seek(archive.offset)  # tarfile stops in silence where it finds no member
            if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise InputError(f"{source} is damaged or cut short: there is no end of archive after its logs.")
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            logs = [member for member in archive.infolist() if _is_log(member.filename)]
            refuse_other_packing(logs, source)
            for member in progress(logs, "reading logs", "log"):
                with archive.open(member) as file:
                    yield member.filename, member.file_size, file
    else:
        raise InputError(f"{source} is neither a folder nor a .zip or .tar archive.")


def _is_tar(source: Path) -> bool:
    try:
        tarfile.open(source, tarinfo=BoundedMember).close()
    except tarfile.TarError:
        return False
    return True


def _is_log(name: str) -> bool:
    return name.endswith(".json") and not name.rpartition("/")[2].startswith(".")


def _load(file: IO[bytes], size: int, where: str) -> dict:
    """The log, its numbers all floats; no more is read than its declared size."""
    if size > MAX_BYTES:
        raise InputError(f"{where} has {size} bytes, but a training log may have no more than {MAX_BYTES}.")
    try:
        return json.loads(file.read(size), parse_int=float)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not readable JSON: {error}.") from error


def _measure(log: dict, where: str, threshold: float) -> tuple:
    """What `log_times` tells of a log, in the order of its columns."""
    accuracies = _entry(log, where, "learning_curves", "Train/train_accuracy")
    if not isinstance(accuracies, list) or not accuracies:
        raise InputError(f"{where}: 'Train/train_accuracy' must be a list of one number an epoch.")
    for accuracy in accuracies:
        _check_number(accuracy, where, "Train/train_accuracy", highest=100)
    runtime, test_accuracy = _entry(log, where, "runtime"), _entry(log, where, "test_accuracy")
    _check_number(runtime, where, "runtime")
    _check_number(test_accuracy, where, "test_accuracy", highest=100)
    reached = next((epoch for epoch, value in enumerate(accuracies, 1) if value / 100 >= threshold), math.nan)
    epochs = len(accuracies)
    return _genotype(log, where), reached, epochs, runtime * reached / epochs, runtime, test_accuracy


def _entry(log: dict, where: str, *keys: str):
    """log[key][key]..."""
    for key in keys:
        if not isinstance(log, dict) or key not in log:
            raise InputError(f"{where} is not a training log of NAS-Bench-301: it lacks {key!r}.")
        log = log[key]
    return log


def _check_number(value, where: str, key: str, highest: float = math.inf) -> None:
    if not isinstance(value, float) or not (0 <= value <= highest and value < math.inf):
        allowed = "0 or a positive number" if highest == math.inf else f"a number in 0..{highest}"
        raise InputError(f"{where}: {key!r} has the value {value!r:.80}, but must be {allowed}.")


def _genotype(log: dict, where: str) -> str | None:
    """The network's genotype, if the log has the configuration of its search space.

    That names the sources of nodes 1..3 of a cell, as `0_2`, under the numbers 3..5, and the operations by edge.
    Edges are numbered by node and then by source, among all that a node could have: 2, 3, 4 and 5.
    """
    if _CONFIGURATION not in log:
        return None
    cells = []
    for cell in ("normal", "reduce"):
        edges = []
        for node, first_edge in enumerate((0, 2, 5, 9)):
            sources = "0_1" if node == 0 else _configured(log, where, f"inputs_node_{cell}_{node + 2}")
            if not re.fullmatch("[0-4]_[0-4]", sources):
                raise InputError(
                    f"{where}: the sources of a node are {sources!r}, but must be two numbers in 0..4."
                )
            for source in map(int, sources.split("_")):
                edges.append((_configured(log, where, f"edge_{cell}_{first_edge + source}"), source))
        cells.append(edges)
    try:
        return str(Genotype(*cells))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _configured(log: dict, where: str, key: str) -> str:
    value = _entry(log, where, _CONFIGURATION, f"NetworkSelectorDatasetInfo:darts:{key}")
    if not isinstance(value, str):
        raise InputError(f"{where}: {key!r} has the value {value!r:.80}, but must be a string.")
    return value
