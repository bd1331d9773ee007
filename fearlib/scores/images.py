"""The images that measures are taken on: the first of a dataset, or noise."""

import torch

from fearlib.data.dataset import Dataset
from fearlib.errors import check_seed, check_whole


def first_minibatch(dataset: Dataset, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `size` training images of the seed's first epoch, augmented and normalised, and their labels.

    All of a smaller dataset. Raises InputError unless `size` is a positive integer.
    """
    check_whole(1, size=size)
    return next(dataset.training_batches(size, torch.Generator().manual_seed(check_seed(seed))))


def noise_minibatch(size: int, resolution: int, seed: int, classes: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Standard normal images (size, 3, resolution, resolution) and random labels.

    Raises InputError unless `size`, `resolution` and `classes` are positive integers.
    """
    check_whole(1, size=size, resolution=resolution, classes=classes)
    generator = torch.Generator().manual_seed(check_seed(seed))
    images = torch.randn(size, 3, resolution, resolution, generator=generator)
    return images, torch.randint(0, classes, (size,), generator=generator)
