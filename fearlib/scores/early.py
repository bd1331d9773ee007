"""Zero-cost measures after a few steps of training (ours: of full-size networks, `snip` then ranks better)."""

from collections.abc import Sequence

import torch

from fearlib.data.dataset import Dataset
from fearlib.errors import InputError, check_whole
from fearlib.scores.degradation import Moment, are_rising, degradation, in_words
from fearlib.spaces.network import Network


def early(
    network: Network,
    dataset: Dataset,
    images: torch.Tensor,
    labels: torch.Tensor,
    steps: Sequence[int],
    measures: tuple[str, ...] = ("snip",),
    batch_size: int = 256,
    precision: str = "auto",
    seed: int = 0,
) -> list[Moment]:
    """The measures of a network on one minibatch after each of so many `steps` of training; trains it in place.

    Steps of `batch_size` images at a rate of 0.1, within the first epoch; nothing is trained after the last. A
    training that diverges ends there. `images` and `labels` are those of `fearlib.zero_cost`. Raises InputError as
    `fearlib.train` and `fearlib.zero_cost` do, and unless the steps rise from 1 to those of an epoch at most.
    """
    check_whole(1, batch_size=batch_size)
    check_steps(steps)
    of_epoch = check_within_epoch(steps, len(dataset.train_labels), batch_size)
    return degradation(
        network, dataset, images, labels, 1, constant_rate=True, batch_size=batch_size, precision=precision,
        seed=seed, moments=[step / of_epoch for step in steps], measures=measures,
    )  # fmt: skip


def check_within_epoch(steps: Sequence[int], images: int, batch_size: int) -> int:
    """The steps of an epoch of so many images. Raises InputError if the last of `steps` is beyond them."""
    of_epoch = -(-images // batch_size)
    if steps[-1] > of_epoch:
        raise InputError(
            f"steps={steps[-1]:g}: an epoch of {images} images has {of_epoch} steps of {batch_size}, and no more "
            "are taken."
        )
    return of_epoch


def check_steps(steps: Sequence[int]) -> None:
    """Raises InputError unless these are whole numbers from 1, in rising order, and at least one."""
    if not are_rising(steps) or not all(float(step).is_integer() and step >= 1 for step in steps):
        raise InputError(
            f"steps {in_words(steps)}: they must be whole numbers from 1, in rising order, each once."
        )
