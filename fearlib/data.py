"""Datasets as whole tensors; batches are augmented and normalised on the tensor itself."""

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from fearlib.errors import InputError
from fearlib.outside import spelt, user_path
from fearlib.plugin import OTHERS

# Per channel, in units of 0..255: the values that NATS-Bench trains with.
MEAN_AND_STD = {
    "cifar10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    "cifar100": ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
    "imagenet16-120": ((122.68, 116.66, 104.01), (63.22, 61.26, 65.09)),
}
NUM_CLASSES = {"synthetic": 10, "cifar10": 10, "cifar100": 100, "imagenet16-120": 120}


@dataclass(frozen=True)
class Dataset:
    """A classification dataset, all of it in memory.

    Images are (count, 3, side, side): uint8 with a `mean` and `std` to normalise by, or float32 ready to use.
    Labels are int64 (count,). `padding` is how far a training crop may shift, in pixels; 0 turns crop and flip
    off. `verified` is False for files whose checksums differ from the official ones. `num_classes` is one more
    than the largest training label unless given.
    """

    name: str
    source: str
    verified: bool
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    mean: torch.Tensor | None = None
    std: torch.Tensor | None = None
    padding: int = 0
    num_classes: int | None = None

    def __post_init__(self):
        if self.num_classes is None:
            object.__setattr__(self, "num_classes", int(self.train_labels.max()) + 1)

    @property
    def resolution(self) -> int:
        return self.train_images.shape[-1]

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the exact arrays, their types and shapes (first 16 hexadecimal digits)."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            array = np.ascontiguousarray(array.cpu().numpy())
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array)
        return digest.hexdigest()[:16]

    def to(self, device: torch.device | str) -> "Dataset":
        """The same dataset with its tensors on `device`."""
        if self.train_images.device.type == torch.device(device).type:
            return self
        tensors = {name: value.to(device) for name, value in vars(self).items() if torch.is_tensor(value)}
        return replace(self, **tensors)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Float32 images with zero mean and unit variance per channel."""
        if self.mean is None:
            return images.float()
        return (images.float() - self.mean.view(1, 3, 1, 1)) / self.std.view(1, 3, 1, 1)

    def training_batches(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """One shuffled epoch of (images, labels), every image with its own crop offset and flip.

        The order, offsets and flips come from `generator`, on the CPU, so they do not depend on the device.
        The last batch may be smaller.
        """
        count, device = len(self.train_labels), self.train_images.device
        order = torch.randperm(count, generator=generator).to(device)
        shifts = torch.randint(0, 2 * self.padding + 1, (2, count), generator=generator).to(device)
        flips = torch.randint(0, 2, (count,), generator=generator).bool().to(device)
        for start in range(0, count, batch_size):
            chosen = order[start : start + batch_size]
            images = self.train_images[chosen]
            if self.padding:
                here = slice(start, start + batch_size)
                images = crop_and_flip(images, self.padding, shifts[:, here], flips[here])
            yield self.normalise(images), self.train_labels[chosen]

    def test_batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All test images in order, normalised."""
        for start in range(0, len(self.test_labels), batch_size):
            here = slice(start, start + batch_size)
            yield self.normalise(self.test_images[here]), self.test_labels[here]


def crop_and_flip(images: torch.Tensor, padding: int, shifts: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Crop each image to its own place after zero padding, then mirror it where asked.

    `images` (n, 3, side, side); `shifts` (2, n), rows then columns, each in 0..2*padding; `flips` (n,) of bool.
    Returns the same shape, in channels-last memory.
    """
    side = images.shape[-1]
    along = torch.arange(side, device=images.device)
    rows = shifts[0, :, None] + along
    columns = shifts[1, :, None] + torch.where(flips[:, None], along.flip(0), along)
    padded = F.pad(images, (padding,) * 4)
    which = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def load_dataset(
    name: str, folder: str | None = None, resolution: int | None = None, train_images: int | None = None
) -> Dataset:
    """`synthetic`, `cifar10`, `cifar100` or `imagenet16-120`, or another of `DATASETS`, whole and in memory.

    `folder` holds the official files (else the environment variable FEARLIB_DATA, else a download); the
    synthetic dataset is generated and cached there. `resolution` is the side in pixels: 32 or 16 (CIFAR images
    are averaged 2x2), 16 for ImageNet16-120. `train_images` keeps that many training images, the first of each
    class in equal numbers. Raises InputError for an unknown name or a size that the dataset does not have.
    """
    return DATASETS[known_dataset(name)](folder and str(user_path(folder)), resolution, train_images)


def known_dataset(name: str, others: Iterable[str] = ()) -> str:
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


def _load_synthetic(folder: str | None, resolution: int | None, train_images: int | None) -> Dataset:
    from fearlib.synthetic import load_synthetic

    return load_synthetic(_known_size("synthetic", resolution, train_images), train_images, folder)


def _load_official(name: str, folder: str | None, resolution: int | None, train_images: int | None) -> Dataset:
    from fearlib.datafiles import read_images

    resolution = _known_size(name, resolution, train_images)
    files = read_images(name, folder)
    arrays = {
        "train_images": torch.from_numpy(files.train_images),
        "train_labels": torch.from_numpy(files.train_labels),
        "test_images": torch.from_numpy(files.test_images),
        "test_labels": torch.from_numpy(files.test_labels),
    }
    if train_images is not None:
        kept = first_of_each_class(arrays["train_labels"], train_images, NUM_CLASSES[name])
        arrays["train_images"], arrays["train_labels"] = arrays["train_images"][kept], arrays["train_labels"][kept]
    if resolution != files.train_images.shape[-1]:
        for part in ("train_images", "test_images"):
            arrays[part] = F.avg_pool2d(arrays[part].float(), 2).round().to(torch.uint8)
    mean, std = (torch.tensor(values) for values in MEAN_AND_STD[name])
    return Dataset(
        name, files.source, files.verified, **arrays,
        mean=mean, std=std, padding=resolution // 8, num_classes=NUM_CLASSES[name],
    )  # fmt: skip


def _known_size(name: str, resolution: int | None, train_images: int | None) -> int:
    """The resolution asked for, or the dataset's own. Raises InputError if the dataset has no such size."""
    native = 16 if name == "imagenet16-120" else 32
    resolution = resolution or native
    if resolution not in (native, 16):
        raise InputError(
            f"{name} has no {resolution}-pixel version: {' or '.join({str(native), '16'})} is allowed."
        )
    if train_images is not None and (not isinstance(train_images, int) or train_images < 2 * NUM_CLASSES[name]):
        raise InputError(
            f"train_images is {train_images!r}: it must be at least {2 * NUM_CLASSES[name]}, two images a class."
        )
    return resolution


# What each name loads, given a folder, a resolution and a number of training images, each of which may be None.
DATASETS: dict[str, Callable[[str | None, int | None, int | None], Dataset]] = {
    "synthetic": _load_synthetic,
    **{name: functools.partial(_load_official, name) for name in MEAN_AND_STD},
}


def first_of_each_class(labels: torch.Tensor, count: int, num_classes: int) -> torch.Tensor:
    """Positions, in order, of the first `count // num_classes` images of every class.

    Raises InputError if a class has fewer.
    """
    each = count // num_classes
    kept = []
    for label in range(num_classes):
        places = torch.nonzero(labels == label).flatten()[:each]
        if len(places) < each:
            raise InputError(
                f"train_images={count} needs {each} images of class {label}, but there are only {len(places)}."
            )
        kept.append(places)
    return torch.cat(kept).sort().values
