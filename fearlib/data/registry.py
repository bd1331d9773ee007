"""The datasets by name; what loads one is imported when it does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING

from fearlib.errors import InputError, is_integer
from fearlib.files.outside import user_path
from fearlib.files.spelling import spelt
from fearlib.plugin import OTHERS, Registry

if TYPE_CHECKING:
    from fearlib.data.dataset import Dataset

NUM_CLASSES = {
    "synthetic": 10, "cifar10": 10, "cifar100": 100, "imagenet16-120": 120, "tinyimagenet16-120": 120,
}  # fmt: skip
# A dataset of other images that has the settings of one, and is compared with the benchmark's accuracies on it.
STANDS_FOR = {"tinyimagenet16-120": "imagenet16-120"}


def load_dataset(
    name: str, folder: str | None = None, resolution: int | None = None, train_images: int | None = None
) -> Dataset:
    """`synthetic`, `cifar10`, `cifar100`, `imagenet16-120` or its stand-in `tinyimagenet16-120`, or another of
    `DATASETS`, whole and in memory.

    `folder` holds the official files (else the environment variable FEARLIB_DATA, else a download); the
    synthetic dataset is generated and cached there. `resolution` is the side in pixels: 32 or 16 (CIFAR images
    are averaged 2x2), 16 for ImageNet16-120 and its stand-in. `train_images` keeps that many training images, the
    first of each class in equal numbers: of 120 classes, 5,000 are 41 each, 4,920 together. Of the synthetic
    dataset it draws another, smaller one, whose rarest classes may lack images. Raises InputError for an unknown
    name or a size that the dataset does not have.
    """
    from fearlib.data.dataset import Dataset  # here, for it imports torch

    loaded = DATASETS[dataset_name(name)](folder and str(user_path(folder)), resolution, train_images)
    if not isinstance(loaded, Dataset):
        raise InputError(f"{name} gave a {type(loaded).__name__}, but a dataset's function must give a Dataset.")
    if resolution is not None and loaded.resolution != resolution:
        raise InputError(
            f"{name} has images of {loaded.resolution} pixels a side, but {resolution} were asked for."
        )
    if train_images is not None and len(loaded.train_labels) > train_images:
        raise InputError(
            f"{name} gave {len(loaded.train_labels)} training images: at most {train_images} were asked for."
        )
    return loaded


def dataset_name(name: str, others: Iterable[str] = ()) -> str:
    """The name in `DATASETS`, or in `others`, that is meant: `ImageNet16-120` and `CIFAR-10` are taken, too.

    Case, blanks, hyphens and underscores do not count unless a name is the same to the letter. Raises InputError
    if no dataset is meant, or it could be several.
    """
    names = (*DATASETS, *others)
    meant = spelt(name, names)
    if len(meant) > 1:
        raise InputError(f"dataset {name!r} may be {' or '.join(meant)}: give it to the letter.")
    if not meant:
        raise InputError(f"unknown dataset {name!r:.80}: the datasets are {', '.join(names)}; {OTHERS}.")
    return meant[0]


def stands_for(dataset: str) -> str:
    """The dataset whose settings and benchmark accuracies serve: itself, or that for which it is a stand-in."""
    return STANDS_FOR.get(dataset, dataset)


def shown_name(dataset: str) -> str:
    """The dataset's name to be shown, which says of a stand-in that it is one."""
    return f"{dataset} (stand-in for {STANDS_FOR[dataset]})" if dataset in STANDS_FOR else dataset


def stand_in_note(datasets: Iterable[str]) -> str:
    """A sentence for whoever reads a table of results on these datasets; empty if none is a stand-in."""
    return " ".join(
        f"{dataset} is a stand-in for {STANDS_FOR[dataset]}: the images are others, and the benchmark's "
        f"accuracies are those on {STANDS_FOR[dataset]}."
        for dataset in dict.fromkeys(datasets)
        if dataset in STANDS_FOR
    )


def _load_synthetic(folder: str | None, resolution: int | None, train_images: int | None) -> Dataset:
    from fearlib.data.synthetic import load_synthetic

    return load_synthetic(*_check_size("synthetic", resolution, train_images), folder)


def _load_official(name: str, folder: str | None, resolution: int | None, train_images: int | None) -> Dataset:
    from fearlib.data.official import read_images
    from fearlib.data.tensors import dataset_of
    from fearlib.data.tinyimagenet import read_tinyimagenet

    resolution, train_images = _check_size(name, resolution, train_images)
    files = read_tinyimagenet(folder) if name == "tinyimagenet16-120" else read_images(name, folder)
    return dataset_of(name, files, NUM_CLASSES[name], resolution, train_images)


def _check_size(name: str, resolution: int | None, train_images: int | None) -> tuple[int, int | None]:
    """The resolution asked for, or the dataset's own, and `train_images`. Raises InputError for another size."""
    native = 16 if stands_for(name) == "imagenet16-120" else 32
    resolution = native if resolution is None else resolution
    if not is_integer(resolution) or resolution not in (native, 16):
        allowed = " or ".join(map(str, sorted({16, native})))
        raise InputError(f"{name} has no {resolution!r}-pixel version: {allowed} is allowed.")
    least = 2 * NUM_CLASSES[name]
    if train_images is not None and (not is_integer(train_images) or train_images < least):
        raise InputError(
            f"train_images is {train_images!r}: it must be an integer of at least {least}, two images a class."
        )
    return int(resolution), None if train_images is None else int(train_images)


# What each name loads, given a folder, a resolution and a number of training images, each of which may be None.
DATASETS: MutableMapping[str, Callable[[str | None, int | None, int | None], Dataset]] = Registry(
    "dataset", Callable
)
DATASETS["synthetic"] = _load_synthetic
DATASETS.update({name: functools.partial(_load_official, name) for name in NUM_CLASSES if name != "synthetic"})
