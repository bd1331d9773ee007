"""Tiny-ImageNet-200 becomes `tinyimagenet16-120`, 120 classes at 16x16 pixels: a stand-in for ImageNet16-120."""

import contextlib
import io
import itertools
import os
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fearlib.data.official import Images
from fearlib.errors import InputError, one_line, require
from fearlib.files.outside import check_file, read_at_most, read_file, user_path
from fearlib.files.write import replace_file

CLASSES, SIZE, OFFICIAL_SIZE = 120, 16, 64
ARRAYS = "tinyimagenet16_120.npz"
OFFICIAL = "tiny-imagenet-200"
SOURCE = (
    f"copy of Tiny-ImageNet-200 (its first {CLASSES} classes at {SIZE}x{SIZE} pixels), "
    "a stand-in for ImageNet16-120"
)
_PARTS = ("train", "test")
_NAMES = (*(f"{part}_{what}" for part in _PARTS for what in ("images", "labels")), "classes")
MAX_FILE_BYTES = 2**20  # of a picture, or a list of names; the longest has 0.6 MB
MAX_ARRAY_BYTES = 2**26  # the training images take 46 MB
MAX_ARCHIVE_BYTES = 2**28  # the official one has 248 MB

_Place = Path | zipfile.Path


def read_tinyimagenet(folder: str | os.PathLike | None = None) -> Images:
    """The first 120 classes of Tiny-ImageNet-200 (Stanford's CS231n) by WordNet id, at 16x16 pixels.

    Looked for in `folder`, or in the folder that the environment variable FEARLIB_DATA names, or in pooch's cache,
    in this order: the arrays `tinyimagenet16_120.npz`; the official folder `tiny-imagenet-200`, which `folder` may
    also be; `tiny-imagenet-200.zip`. A 64x64 JPEG is averaged over boxes of 4x4 pixels, rounded to whole numbers,
    half to even. A class's training images stand in the order of their numbers, one class after another; the test
    images are the official validation images, in the order of theirs. All that is kept beside them as the arrays
    `train_images` (N, 16, 16, 3) uint8, `train_labels` (N,), `test_images`, `test_labels` and `classes`, the
    WordNet ids by label, to be read the next time.

    No checksums of the files are published, so `verified` is False. Raises InputError if nothing is there, or
    something is damaged, missing or contradicts the rest.
    """
    folder = folder or os.environ.get("FEARLIB_DATA")
    folder = user_path(folder or require("pooch", "find the cache folder").os_cache("fearlib"))
    if (folder / ARRAYS).exists():
        arrays = _read_arrays(folder / ARRAYS)
    else:
        arrays = _read_official(folder)
        _keep(arrays, folder / ARRAYS)
    images = [
        array
        for part in _PARTS
        for array in (
            np.ascontiguousarray(arrays[f"{part}_images"].transpose(0, 3, 1, 2)),
            arrays[f"{part}_labels"].astype(np.int64),
        )
    ]
    return Images(*images, verified=False, source=SOURCE)


# The arrays


def _keep(arrays: dict[str, np.ndarray], path: Path) -> None:
    """A folder that cannot be written, as shared data often lies in, is no reason to stop."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    try:
        replace_file(path, content.getvalue())
    except InputError as error:
        warnings.warn(f"the pictures are read again by every process, for {error}", stacklevel=4)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    check_file(path, MAX_ARCHIVE_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_other_packing(archive)
            arrays = {name: _read_array(archive, name) for name in _NAMES}
            wrong = _wrong(arrays)
    except Exception as error:  # zipfile and numpy raise many kinds
        wrong = one_line(error)
    if wrong:
        raise InputError(
            f"{path} does not hold the arrays of tinyimagenet16-120 ({wrong}): restore it, or delete it and put "
            f"{OFFICIAL} or {OFFICIAL}.zip in its place."
        )
    return arrays


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        content = read_at_most(member, MAX_ARRAY_BYTES, name)
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def _wrong(arrays: dict[str, np.ndarray]) -> str | None:
    """What is not as `_read_official` makes it, if anything."""
    for part in _PARTS:
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.dtype != np.uint8 or images.shape[1:] != (SIZE, SIZE, 3):
            return f"{part}_images must be of uint8 and of the shape (N, {SIZE}, {SIZE}, 3)"
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            return f"{part}_labels must be one integer an image"
        if not len(labels) or labels.min() < 0 or labels.max() >= CLASSES:
            return f"{part}_labels must be integers in 0..{CLASSES - 1}"
        if len(set(np.bincount(labels, minlength=CLASSES))) > 1:
            return f"{part}_labels must name every class equally often"
    if arrays["classes"].shape != (CLASSES,) or arrays["classes"].tolist() != _sorted_ids(arrays["classes"]):
        return f"classes must be {CLASSES} WordNet ids in order"
    return None


def _sorted_ids(names: Iterator[str]) -> list[str]:
    """The WordNet ids among the names, each once, in order."""
    return sorted({str(name) for name in names if re.fullmatch("n[0-9]{8}", str(name))})


# The official files


def _read_official(folder: Path) -> dict[str, np.ndarray]:
    """The arrays, from the official folder or archive."""
    archive = folder / f"{OFFICIAL}.zip"
    for place in (folder / OFFICIAL, folder):
        if (place / "wnids.txt").is_file():
            return _read_pictures(place)
    if archive.is_file():
        with _opened(archive) as place:
            return _read_pictures(place)
    raise InputError(
        f"{folder} has none of {ARRAYS}, {OFFICIAL} and {OFFICIAL}.zip of Tiny-ImageNet-200, distributed by "
        f"http://cs231n.stanford.edu/{OFFICIAL}.zip: put one of them there, or name the folder that holds it as "
        "`folder` (--folder) or in FEARLIB_DATA."
    )


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[zipfile.Path]:
    """The official folder within an archive, which is not unpacked."""
    check_file(archive, MAX_ARCHIVE_BYTES)
    try:
        with zipfile.ZipFile(archive) as opened:
            _refuse_other_packing(opened)
            yield zipfile.Path(opened, f"{OFFICIAL}/")
    except (InputError, ImportError):
        raise
    except Exception as error:  # zipfile and what unpacks raise many kinds
        raise InputError(f"{archive} cannot be read: {one_line(error)}.") from error


def _refuse_other_packing(archive: zipfile.ZipFile) -> None:
    usual = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others are unpacked without bound
    if any(member.compress_type not in usual for member in archive.infolist()):
        raise InputError(
            f"{archive.filename} is packed in another way than a .zip's usual two, stored and deflated."
        )


def _read_pictures(place: _Place) -> dict[str, np.ndarray]:
    names = _read(place / "wnids.txt").decode("ascii", "replace").split()
    ids = _sorted_ids(names)
    if len(ids) < max(CLASSES, len(names)):
        raise InputError(
            f"{place / 'wnids.txt'} must hold the WordNet ids of at least {CLASSES} classes, a line each, none "
            "twice."
        )
    classes = ids[:CLASSES]
    labels = {name: label for label, name in enumerate(classes)}
    arrays = {"classes": np.array(classes)}
    for part, found in (("train", _training(place, classes)), ("test", _validation(place, ids))):
        progress = require("tqdm", "show progress").tqdm(found, desc=f"{part}ing pictures", unit="picture")
        arrays[f"{part}_labels"] = np.array([labels[name] for _, name in found], np.uint8)
        arrays[f"{part}_images"] = np.stack([_shrunk(path) for path, _ in progress])
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


def _validation(place: _Place, ids: list[str]) -> list[tuple[_Place, str]]:
    """The path and class of every validation picture of the first `CLASSES` of `ids`."""
    path, class_of = place / "val" / "val_annotations.txt", {}
    for line in _read(path).decode("ascii", "replace").splitlines():
        match = re.match("val_(0|[1-9][0-9]{0,8})\\.JPEG\t(n[0-9]{8})(?:\t|$)", line)
        if not match or int(match[1]) in class_of or match[2] not in ids:
            raise InputError(
                f"{path} has the line {line!r:.80}, but must name each picture, as in val_0.JPEG, once, and after "
                "a tab its class, one of those in wnids.txt."
            )
        class_of[int(match[1])] = match[2]
    classes, images = ids[:CLASSES], place / "val" / "images"
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
