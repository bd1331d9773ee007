"""Tiny-ImageNet-200 becomes `tinyimagenet16-120`, 120 classes at 16x16 pixels: a stand-in for ImageNet16-120."""

import contextlib
import io
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fearlib.data.folder import data_folder
from fearlib.data.official import Images
from fearlib.data.tinyimagenet_pictures import SIZE, read_pictures, sorted_ids
from fearlib.errors import InputError, one_line
from fearlib.files.outside import check_file, read_at_most
from fearlib.files.write import replace_file
from fearlib.files.zip import refuse_other_packing

CLASSES = 120
ARRAYS = "tinyimagenet16_120.npz"
OFFICIAL = "tiny-imagenet-200"
SOURCE = (
    f"copy of Tiny-ImageNet-200 (its first {CLASSES} classes at {SIZE}x{SIZE} pixels), "
    "a stand-in for ImageNet16-120"
)
_PARTS = ("train", "test")
_NAMES = (*(f"{part}_{what}" for part in _PARTS for what in ("images", "labels")), "classes")
MAX_ARRAY_BYTES = 2**26  # the training images take 46 MB
MAX_ARCHIVE_BYTES = 2**28  # the official one has 248 MB


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
    folder = data_folder(folder)
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
            refuse_other_packing(archive.infolist(), path)
            arrays = {name: _read_array(archive, name) for name in _NAMES}
            wrong = _wrong(arrays)
    except (OSError, MemoryError) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}).") from error
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
    if arrays["classes"].shape != (CLASSES,) or arrays["classes"].tolist() != sorted_ids(arrays["classes"]):
        return f"classes must be {CLASSES} WordNet ids in order"
    return None


# The official files


def _read_official(folder: Path) -> dict[str, np.ndarray]:
    """The arrays, from the official folder or archive."""
    archive = folder / f"{OFFICIAL}.zip"
    for place in (folder / OFFICIAL, folder):
        if (place / "wnids.txt").is_file():
            return read_pictures(place, CLASSES)
    if archive.is_file():
        with _opened(archive) as place:
            return read_pictures(place, CLASSES)
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
            refuse_other_packing(opened.infolist(), archive)
            yield zipfile.Path(opened, f"{OFFICIAL}/")
    except (InputError, ImportError):
        raise
    except Exception as error:  # zipfile and what unpacks raise many kinds
        raise InputError(f"{archive} cannot be read: {one_line(error)}.") from error
