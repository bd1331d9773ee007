"""Zero-cost measures followed through training (figure F1 of Dey et al. 2021)."""

from dataclasses import dataclass

import torch

from fearlib.data.dataset import Dataset
from fearlib.scores.measures import FIFTEEN, Measurement, measure_network
from fearlib.spaces.network import Network
from fearlib.training.loop import Epoch, check_counts, check_trainable, has_diverged, train

MOMENTS = 5  # looks at the network in the first epoch, its end included
CONSTANT = 10**9  # epochs of a cosine that does not fall


@dataclass(frozen=True)
class Moment:
    """The measures of a network after `epoch` passes over the training images, and the training until then."""

    epoch: float
    measures: dict[str, Measurement]
    curve: tuple[Epoch, ...]


def degradation(
    network: Network,
    dataset: Dataset,
    images: torch.Tensor,
    labels: torch.Tensor,
    epochs: int,
    constant_rate: bool = False,
    batch_size: int = 256,
    precision: str = "auto",
    seed: int = 0,
) -> list[Moment]:
    """Train a network regularly, in place, and measure it on one minibatch again and again.

    At initialisation, `MOMENTS` times in the first epoch, and after every other epoch. One cosine over the whole
    training or, with `constant_rate`, a rate of 0.1 and a fresh optimizer every epoch, as the paper's code has it.
    A training that diverges ends there: its last record has a loss that is not finite. Raises InputError as
    `fearlib.train` and `fearlib.zero_cost` do.
    """
    check_counts(epochs=epochs, batch_size=batch_size)
    check_trainable(network, dataset, batch_size)
    curve: list[Epoch] = []
    moments = [Moment(0, measure_network(network, images, labels, FIFTEEN, seed), ())]

    def look(record: Epoch) -> None:
        epoch = record.epoch + done
        curve.append(Epoch(**vars(record) | {"epoch": epoch}))
        if epoch <= 1 or epoch == round(epoch):
            moments.append(Moment(epoch, measure_network(network, images, labels, FIFTEEN, seed), tuple(curve)))

    common = {"batch_size": batch_size, "records_per_epoch": MOMENTS, "precision": precision, "after_record": look}
    runs = [(1, CONSTANT)] * epochs if constant_rate else [(epochs, epochs)]
    for done, (length, schedule) in enumerate(runs):
        train(network, dataset, length, schedule_epochs=schedule, seed=seed + done, **common)
        if has_diverged([curve[-1].loss]):
            break
    return moments
