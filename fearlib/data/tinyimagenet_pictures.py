"""The pictures of Tiny-ImageNet-200, in its official folder, become arrays of 16x16 pixels."""

import io
import itertools
import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fearlib.errors import InputError, one_line, require
from fearlib.files.outside import read_at_most, read_file
from fearlib.files.progress import progress

SIZE, OFFICIAL_SIZE = 16, 64
MAX_FILE_BYTES = 2**20  # of a picture, or a list of names; the longest has 0.6 MB

_Place = Path | zipfile.Path


def sorted_ids(names: Iterable[str]) -> list[str]:
    """The WordNet ids among the names, each once, in order."""
    return sorted({str(name) for name in names if re.fullmatch("n[0-9]{8}", str(name))})


def read_pictures(place: _Place, count: int) -> dict[str, np.ndarray]:
    """The first `count` classes by WordNet id in `place`, the official folder, which may lie in a .zip.

    `train_images` (N, 16, 16, 3) and `train_labels` (N,), uint8; `test_images` and `test_labels`; and `classes`,
    the WordNet ids by label. `read_tinyimagenet` says in which order. Raises InputError if something is missing,
    damaged or contradicts the rest, ImportError without Pillow.
    """
    names = _read(place / "wnids.txt").decode("ascii", "replace").split()
    ids = sorted_ids(names)
    if len(ids) < max(count, len(names)):
        raise InputError(
            f"{place / 'wnids.txt'} must hold the WordNet ids of at least {count} classes, a line each, none "
            "twice."
        )
    classes = ids[:count]
    labels = {name: label for label, name in enumerate(classes)}
    arrays = {"classes": np.array(classes)}
    for part, found in (("train", _training(place, classes)), ("test", _validation(place, classes, ids))):
        shown = progress(found, f"{part}ing pictures", "picture")
        arrays[f"{part}_labels"] = np.array([labels[name] for _, name in found], np.uint8)
        arrays[f"{part}_images"] = np.stack([_shrunk(path) for path, _ in shown])
    return arrays


def _training(place: _Place, classes: list[str]) -> list[tuple[_Place, str]]:
    """Every training picture's path and class."""
    found = []
    for name in classes:
        folder = place / "train" / name / "images"
        numbered = (folder / f"{name}_{number}.JPEG" for number in itertools.count())
        found += [(path, name) for path in itertools.takewhile(lambda path: path.is_file(), numbered)]
    _check_equal(found, classes, f"{place / 'train'}, numbered from 0,")
    return found


def _validation(place: _Place, classes: list[str], ids: list[str]) -> list[tuple[_Place, str]]:
    """The path and class of every validation picture of the `classes`, which are some of the official `ids`."""
    path, class_of = place / "val" / "val_annotations.txt", {}
    for line in _read(path).decode("ascii", "replace").splitlines():
        match = re.match("val_(0|[1-9][0-9]{0,8})\\.JPEG\t(n[0-9]{8})(?:\t|$)", line)
        if not match or int(match[1]) in class_of or match[2] not in ids:
            raise InputError(
                f"{path} has the line {line!r:.80}, but must name each picture, as in val_0.JPEG, once, and after "
                "a tab its class, one of those in wnids.txt."
            )
        class_of[int(match[1])] = match[2]
    images = place / "val" / "images"
    found = [(images / f"val_{n}.JPEG", name) for n, name in sorted(class_of.items()) if name in set(classes)]
    _check_equal(found, classes, str(path))
    return found


def _check_equal(found: list[tuple[_Place, str]], classes: list[str], where: str) -> None:
    """Raises InputError unless every class has equally many pictures, as it has officially."""
    counts = dict.fromkeys(classes, 0) | Counter(name for _, name in found)
    fewest, most = min(classes, key=counts.get), max(classes, key=counts.get)
    if counts[fewest] < max(counts[most], 1):
        raise InputError(
            f"{where} has {counts[fewest]} pictures of {fewest} and {counts[most]} of {most}: officially every "
            "class has equally many, so some are missing."
        )


def _shrunk(path: _Place) -> np.ndarray:
    """A picture's pixels (16, 16, 3), each the mean of 4x4."""
    image = require("PIL.Image", "read the pictures of Tiny-ImageNet")
    content = _read(path)
    try:
        with image.open(io.BytesIO(content), formats=["JPEG"]) as picture:
            if picture.size != (OFFICIAL_SIZE, OFFICIAL_SIZE):
                raise ValueError(f"it must have {OFFICIAL_SIZE}x{OFFICIAL_SIZE} pixels")
            pixels = np.asarray(picture.convert("RGB"))  # a few are grey
    except Exception as error:  # a damaged picture raises errors of many kinds
        raise InputError(f"{path} is not a picture of Tiny-ImageNet: {one_line(error)}.") from error
    box = OFFICIAL_SIZE // SIZE
    return pixels.reshape(SIZE, box, SIZE, box, 3).mean(axis=(1, 3)).round().astype(np.uint8)


def _read(path: _Place) -> bytes:
    """A file's content, from a folder or an archive."""
    if isinstance(path, Path):
        return read_file(path, MAX_FILE_BYTES)
    if not path.is_file():
        raise InputError(f"{path} is missing.")
    with path.open("rb") as file:
        return read_at_most(file, MAX_FILE_BYTES, str(path))
