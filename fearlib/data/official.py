"""The official files of CIFAR-10, CIFAR-100 and ImageNet16-120 become arrays of pixels and labels."""

import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fearlib.data.folder import data_folder, named_folder
from fearlib.errors import InputError, one_line, require
from fearlib.files import safe_pickle
from fearlib.files.outside import read_at_most, read_file
from fearlib.files.progress import is_watched
from fearlib.files.tar import BoundedMember

MAX_ARCHIVE_BYTES = 2**29  # of an archive's members, unpacked; CIFAR-10's have 186 MB
MAX_MEMBERS = 100  # of an archive; CIFAR-10's has nine
MAX_PADDING = 2**20  # bytes behind an archive's last member; tar pads to 10 kB


@dataclass(frozen=True, eq=False)
class Images:
    """A dataset's pictures as they are in its files, N for training and M for testing.

    `train_images` (N, 3, H, W) and `test_images` (M, 3, H, W): uint8, channels red, green, blue.
    `train_labels` (N,) and `test_labels` (M,): int64, counted from 0.
    `verified`: every file has its published MD5. `source`: the same in words, for reports.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    verified: bool
    source: str


@dataclass(frozen=True)
class DatasetFiles:
    """The published facts of one dataset's files."""

    title: str
    folder: str
    train: dict[str, str]  # file name: MD5
    test: dict[str, str]
    label_key: str
    labels: range  # of the files
    kept: range  # those of them that belong to the dataset
    size: int  # pixels a side
    origin: str
    archive_md5: str | None = None  # of the archive at `origin`; without it nothing is downloaded

    @property
    def archive(self) -> str | None:
        """The name of the archive that holds all files."""
        return self.origin.rsplit("/", 1)[-1] if self.archive_md5 else None


DATASETS = {
    "cifar10": DatasetFiles(
        title="CIFAR-10",
        folder="cifar-10-batches-py",
        train={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        test={"test_batch": "40351d587109b95175f43aff81a1287e"},
        label_key="labels",
        labels=range(10),
        kept=range(10),
        size=32,
        origin="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        archive_md5="c58f30108f718f92721af3b95e74349a",
    ),
    "cifar100": DatasetFiles(
        title="CIFAR-100",
        folder="cifar-100-python",
        train={"train": "16019d7e3df5f24257cddd939b257f8d"},
        test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        label_key="fine_labels",
        labels=range(100),
        kept=range(100),
        size=32,
        origin="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
    ),
    "imagenet16-120": DatasetFiles(
        title="ImageNet16-120",
        folder="ImageNet16",
        train={
            "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
            "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
            "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
            "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
            "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
            "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
            "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
            "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
            "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
            "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
        },
        test={"val_data": "3410e3017fdaefba8d5073aaa65e4bd6"},
        label_key="labels",
        labels=range(1, 1001),
        kept=range(1, 121),
        size=16,
        origin="image-net.org (downsampled ImageNet 16x16, Chrabaszcz et al. 2017)",
    ),
}


def read_images(name: str, folder: str | os.PathLike | None = None) -> Images:
    """All images and labels of a dataset: `cifar10`, `cifar100` or `imagenet16-120`.

    The files are looked for in `folder`, or in the folder that the environment variable FEARLIB_DATA
    names, or in pooch's cache, where CIFAR is downloaded to when it is not there yet. Either folder may
    hold the dataset's official folder (`cifar-10-batches-py`, `cifar-100-python`, `ImageNet16`) or be it; or
    CIFAR's archive as it was downloaded (`cifar-10-python.tar.gz`), which is then read without being unpacked.
    ImageNet16-120 is the classes 1..120 of downsampled ImageNet (Chrabaszcz et al. 2017), renumbered
    0..119, its validation images being the test images (Dong & Yang, NAS-Bench-201, 2020).

    A copy with other checksums is read too, if its structure is right; `verified` is then False.
    Raises InputError if the name is unknown, files are missing, damaged or of another form, or the
    download fails.
    """
    if name not in tuple(DATASETS):
        raise InputError(f"unknown dataset {name!r}: official files are read of {', '.join(DATASETS)}.")
    dataset = DATASETS[name]
    place = data_folder(folder)
    if dataset.archive and not named_folder(folder) and _missing(dataset, place / dataset.folder):
        _download(dataset, place)
    place = _locate(dataset, place)

    batches, verified = {}, True
    for file, path, content in _contents(dataset, place):
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        verified &= md5 == (dataset.train | dataset.test)[file]
        batches[file] = _read_batch(dataset, path, content)
    train_images, train_labels = _joined(dataset, place, batches, dataset.train)
    test_images, test_labels = _joined(dataset, place, batches, dataset.test)
    return Images(
        train_images,
        train_labels,
        test_images,
        test_labels,
        verified,
        f"official {dataset.title} files"
        if verified
        else f"unverified copy of {dataset.title} (checksums differ from the official ones)",
    )


def _missing(dataset: DatasetFiles, place: Path) -> list[str]:
    return [file for file in (*dataset.train, *dataset.test) if not (place / file).is_file()]


def _locate(dataset: DatasetFiles, folder: Path) -> Path:
    """The folder with the dataset's files, which is `folder` or inside it; else the archive in `folder`."""
    place = min(folder / dataset.folder, folder, key=lambda place: len(_missing(dataset, place)))
    missing = _missing(dataset, place)
    if missing and dataset.archive and (folder / dataset.archive).is_file():
        return folder / dataset.archive
    if missing:
        raise InputError(
            f"{place} lacks {', '.join(missing)} of {dataset.title}, distributed by {dataset.origin}: "
            f"put them there{f', or {dataset.archive} into {folder}' if dataset.archive else ''}, "
            "or name the folder that holds them as `folder` (--folder) or in FEARLIB_DATA."
        )
    return place


def _download(dataset: DatasetFiles, cache: Path) -> None:
    """Put the dataset's archive into `cache`, unless it is there; its MD5 is checked."""
    pooch = require("pooch", "download image datasets")
    instead = (
        "try again, or name a folder that holds the archive or its files as `folder` (--folder) or in FEARLIB_DATA"
    )
    try:
        pooch.retrieve(
            dataset.origin,
            known_hash=f"md5:{dataset.archive_md5}",
            fname=dataset.archive,
            path=cache,
            progressbar=is_watched() and find_spec("tqdm") is not None,
        )
    except OSError as error:
        reason = type(error).__name__
        raise InputError(f"could not download {dataset.origin} to {cache} ({reason}): {instead}.") from error
    except ValueError as error:
        raise InputError(
            f"what {dataset.origin} sent is not the published archive (its MD5 is not {dataset.archive_md5}): "
            f"{instead}."
        ) from error


def _contents(dataset: DatasetFiles, place: Path) -> Iterator[tuple[str, Path, bytes]]:
    """Name, path and content of every file, in any order, from their folder or archive."""
    if place.is_file():
        return _members(dataset, place)
    files = (*dataset.train, *dataset.test)
    return ((file, place / file, read_file(place / file, safe_pickle.MAX_BYTES)) for file in files)


def _members(dataset: DatasetFiles, archive: Path) -> Iterator[tuple[str, Path, bytes]]:
    """The same out of an archive, read to its end for gzip's checksum; nothing is written anywhere."""
    missing, size = {f"{dataset.folder}/{file}": file for file in (*dataset.train, *dataset.test)}, 0
    official = dict(missing)
    try:
        with tarfile.open(archive, "r:gz", tarinfo=BoundedMember) as tar:
            for number, member in enumerate(tar):
                size += member.size
                if number >= MAX_MEMBERS or size > MAX_ARCHIVE_BYTES:
                    raise InputError(
                        f"{archive} has more than {MAX_MEMBERS} members or, unpacked, {MAX_ARCHIVE_BYTES} bytes: "
                        f"it is not the archive of {dataset.title}."
                    )
                name = member.name.removeprefix("./")
                if member.isfile() and name in official:
                    file = missing.pop(name, None)
                    if file is None:
                        raise InputError(f"{archive} has more than one file {name}.")
                    content = read_at_most(tar.extractfile(member), safe_pickle.MAX_BYTES, f"{archive}/{file}")
                    yield file, archive / file, content
            read_at_most(tar.fileobj, MAX_PADDING, f"{archive}, behind its last member,")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise InputError(f"{archive} cannot be read: {one_line(error)}.") from error
    if missing:
        raise InputError(
            f"{archive} is damaged, or not of {dataset.title}: it lacks {', '.join(missing.values())}."
        )


def _joined(
    dataset: DatasetFiles, place: Path, batches: dict[str, tuple[np.ndarray, np.ndarray]], files: dict[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, size, size) and labels (N,) of those `batches` that are called `files`, in their order."""
    images, labels = (np.concatenate(parts) for parts in zip(*(batches[file] for file in files)))
    if not len(labels):
        raise InputError(f"{', '.join(files)} in {place} hold no image of {dataset.title}.")
    return images.reshape(-1, 3, dataset.size, dataset.size), labels


def _read_batch(dataset: DatasetFiles, path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Rows of pixels (N, 3 * size * size) uint8 and labels (N,) int64 from 0, of the kept classes."""
    batch = safe_pickle.load(io.BytesIO(content), str(path))
    pixels = 3 * dataset.size**2
    data, labels = _entry(batch, "data"), _entry(batch, dataset.label_key)
    if data is None or labels is None:
        raise InputError(
            f"{path} is not a batch file of {dataset.title}: it must be a dictionary that holds 'data' and "
            f"'{dataset.label_key}'."
        )
    if not (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape[1:] == (pixels,)):
        raise InputError(f"'data' in {path} must be an array of uint8 with one row of {pixels} pixels an image.")
    if not _are_labels(labels, dataset.labels):
        first, last = dataset.labels[0], dataset.labels[-1]
        raise InputError(
            f"'{dataset.label_key}' in {path} must be a list or plain array of integers in {first}..{last}."
        )
    if len(data) != len(labels):
        raise InputError(f"{path} holds {len(data)} images but {len(labels)} labels: there must be one an image.")
    labels = np.array(labels, dtype=np.int64)
    kept = (labels >= dataset.kept.start) & (labels < dataset.kept.stop)
    return data[kept], labels[kept] - dataset.kept.start


def _are_labels(labels: object, allowed: range) -> bool:
    if isinstance(labels, np.ndarray):
        whole = labels.ndim == 1 and labels.dtype.kind in "iu"
        return whole and bool(((labels >= allowed.start) & (labels < allowed.stop)).all())
    return isinstance(labels, list) and all(
        (type(label) is int or isinstance(label, np.integer)) and int(label) in allowed for label in labels
    )


def _entry(batch: object, key: str) -> object:
    """The value under `key`, which Python 2 wrote as bytes; None without it."""
    return dict.get(batch, key, dict.get(batch, key.encode())) if isinstance(batch, dict) else None
