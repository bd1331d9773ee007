"""The official files of CIFAR-10, CIFAR-100 and ImageNet16-120 become arrays of pixels and labels."""

import hashlib
import io
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fearlib import safe_pickle
from fearlib.errors import InputError, require
from fearlib.outside import read_file, user_path


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
    hold the dataset's official folder (`cifar-10-batches-py`, `cifar-100-python`, `ImageNet16`) or be it.
    ImageNet16-120 is the classes 1..120 of downsampled ImageNet (Chrabaszcz et al. 2017), renumbered
    0..119, its validation images being the test images (Dong & Yang, NAS-Bench-201, 2020).

    A copy with other checksums is read too, if its structure is right; `verified` is then False.
    Raises InputError if the name is unknown, files are missing, damaged or of another form, or the
    download fails.
    """
    if name not in tuple(DATASETS):
        raise InputError(f"unknown dataset {name!r}: official files are read of {', '.join(DATASETS)}.")
    dataset = DATASETS[name]
    folder = folder or os.environ.get("FEARLIB_DATA")
    place = _locate(dataset, user_path(folder)) if folder else _cached(dataset)

    train_images, train_labels, train_verified = _read_split(dataset, place, dataset.train)
    test_images, test_labels, test_verified = _read_split(dataset, place, dataset.test)
    verified = train_verified and test_verified
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
    """The folder with the dataset's files: its official folder inside `folder`, or `folder` itself."""
    place = min(folder / dataset.folder, folder, key=lambda place: len(_missing(dataset, place)))
    missing = _missing(dataset, place)
    if missing:
        raise InputError(
            f"{place} lacks {', '.join(missing)} of {dataset.title}, distributed by {dataset.origin}: "
            "put them there, or name the folder that holds them as `folder` (--folder) or in FEARLIB_DATA."
        )
    return place


def _cached(dataset: DatasetFiles) -> Path:
    """The dataset's folder in pooch's cache, downloaded first if need be."""
    cache = Path(require("pooch", "find and download image datasets").os_cache("fearlib"))
    if dataset.archive_md5 and _missing(dataset, cache / dataset.folder):
        _unpack(dataset, _download(dataset, cache), cache)
    return _locate(dataset, cache)


def _download(dataset: DatasetFiles, cache: Path) -> str:
    """The path of the dataset's archive in `cache`, its MD5 checked."""
    pooch = require("pooch", "download image datasets")
    instead = "try again, or name a folder that holds the unpacked files as `folder` (--folder) or in FEARLIB_DATA"
    try:
        return pooch.retrieve(
            dataset.origin,
            known_hash=f"md5:{dataset.archive_md5}",
            fname=dataset.origin.rsplit("/", 1)[-1],
            path=cache,
        )
    except OSError as error:
        reason = type(error).__name__
        raise InputError(f"could not download {dataset.origin} to {cache} ({reason}): {instead}.") from error
    except ValueError as error:
        raise InputError(
            f"what {dataset.origin} sent is not the published archive (its MD5 is not {dataset.archive_md5}): "
            f"{instead}."
        ) from error


def _unpack(dataset: DatasetFiles, archive: str, cache: Path) -> None:
    """Put the archive's batch files into `cache`, each at once and whole."""
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(scratch, filter="data")
        except tarfile.FilterError as error:
            raise InputError(f"{archive} is refused, for it reaches outside its folder: {error}.") from error
        unpacked = _locate(dataset, Path(scratch))
        (cache / dataset.folder).mkdir(exist_ok=True)
        for file in (*dataset.train, *dataset.test):
            os.replace(unpacked / file, cache / dataset.folder / file)


def _read_split(
    dataset: DatasetFiles, place: Path, checksums: dict[str, str]
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Images (N, 3, size, size), labels (N,), and whether every file has its published MD5."""
    batches, verified = [], True
    for file, md5 in checksums.items():
        content = read_file(place / file, safe_pickle.MAX_BYTES)
        verified &= hashlib.md5(content, usedforsecurity=False).hexdigest() == md5
        batches.append(_read_batch(dataset, place / file, content))
    images, labels = (np.concatenate(parts) for parts in zip(*batches))
    if not len(labels):
        raise InputError(f"{', '.join(checksums)} in {place} hold no image of {dataset.title}.")
    return images.reshape(-1, 3, dataset.size, dataset.size), labels, verified


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
    if not (isinstance(labels, list) and all(type(label) is int and label in dataset.labels for label in labels)):
        first, last = dataset.labels[0], dataset.labels[-1]
        raise InputError(f"'{dataset.label_key}' in {path} must be a list of integers in {first}..{last}.")
    if len(data) != len(labels):
        raise InputError(f"{path} holds {len(data)} images but {len(labels)} labels: there must be one an image.")
    labels = np.array(labels, dtype=np.int64)
    kept = (labels >= dataset.kept.start) & (labels < dataset.kept.stop)
    return data[kept], labels[kept] - dataset.kept.start


def _entry(batch: object, key: str) -> object:
    """The value under `key`, which Python 2 wrote as bytes; None without it."""
    return batch.get(key, batch.get(key.encode())) if isinstance(batch, dict) else None
