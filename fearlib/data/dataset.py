"""A dataset as whole tensors; batches are augmented and normalised on the tensor itself."""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from fearlib.data.checks import check_images, check_labels, check_mean_and_std
from fearlib.errors import InputError, check_whole

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True, eq=False)  # two are compared by their fingerprints
class Dataset:
    """A classification dataset, all of it in memory.

    Images are (count, 3, side, side): uint8 with a `mean` and `std` to normalise by, or float32 ready to use.
    Labels are int64 (count,). `padding` is how far a training crop may shift, in pixels; 0 turns crop and flip
    off. `verified` is False for files whose checksums differ from the official ones. `num_classes` is one more
    than the largest training label unless given. Raises InputError for images of another shape or type or of two
    sizes, or with NaN or an infinity, labels that are not one class number an image, uint8 images without `mean`
    and `std`, a `mean` or `std` that is not three numbers (a std above 0), or a padding that is no integer of at
    least 0.
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
        for part, images, labels in (
            ("training", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            check_images(f"the {part} images", images)
            if images.dtype == torch.uint8 and self.mean is None:
                raise InputError(f"the {part} images are uint8: they need a mean and std to normalise by.")
            check_labels(f"{self.name}'s {part} labels", labels, len(images))
        if self.test_images.shape[1:] != self.train_images.shape[1:]:
            raise InputError(
                f"the training images have {self.resolution} pixels a side and the test images "
                f"{self.test_images.shape[-1]}: they must be alike."
            )
        if (self.mean is None) != (self.std is None):
            raise InputError("a dataset has both a mean and a std, or neither.")
        if self.mean is not None:
            check_mean_and_std(self.mean, self.std)
        check_whole(0, padding=self.padding)
        if self.num_classes is None:
            object.__setattr__(self, "num_classes", int(self.train_labels.max()) + 1)

    @property
    def resolution(self) -> int:
        return self.train_images.shape[-1]

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the exact arrays, their types and shapes (first 16 hexadecimal digits)."""
        digest = hashlib.sha256()
        for array in (getattr(self, name) for name in ARRAYS):
            array = np.ascontiguousarray(array.cpu().numpy())
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array)
        return digest.hexdigest()[:16]

    @property
    def prepared(self) -> dict:
        """What the fingerprint does not tell: `mean` and `std` to six digits, `padding` and `classes`."""
        mean, std = (
            None if value is None else [float(f"{number:.6g}") for number in value.tolist()]
            for value in (self.mean, self.std)
        )
        return {"mean": mean, "std": std, "padding": int(self.padding), "classes": int(self.num_classes)}

    def to(self, device: torch.device | str) -> "Dataset":
        """The same dataset with its tensors on `device`."""
        here, there = self.train_images.device, torch.device(device)
        if here.type == there.type and there.index in (None, here.index):
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
