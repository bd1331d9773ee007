"""Zero-cost measures followed through training (figure F1 of Dey et al. 2021)."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from fearlib.data.dataset import Dataset
from fearlib.errors import InputError, check_seed, check_whole, is_number
from fearlib.scores.measures import Measurement, measure_network
from fearlib.scores.registry import FIFTEEN, MOMENTS, measure_names
from fearlib.spaces.network import Network
from fearlib.training.classifier import check_minibatch
from fearlib.training.loop import Epoch, check_trainable, has_diverged, train
from fearlib.training.precision import resolve_precision

ENDLESS_EPOCHS = 10**9  # epochs of a cosine that does not fall


@dataclass(frozen=True)
class Moment:
    """The measures of a network after `epoch` passes over the training images, and the training until then."""

    epoch: float
    measures: dict[str, Measurement]
    curve: tuple[Epoch, ...]

    @property
    def seconds(self) -> float:
        """Of the training until then."""
        return sum(record.seconds for record in self.curve)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the training until then."""
        return sum(record.macs for record in self.curve)


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
    moments: Sequence[float] | None = None,
    measures: tuple[str, ...] = FIFTEEN,
) -> list[Moment]:
    """Train a network regularly, in place, and take `measures` of it on one minibatch again and again.

    At initialisation, `MOMENTS` times in the first epoch, and after every other epoch; or at `moments`, in epochs,
    each with the first step that reaches it; nothing is trained after the last. One cosine over all `epochs` or,
    with `constant_rate`, a rate of 0.1 and a fresh optimizer every epoch, as the paper's code has it. The training
    has `MOMENTS` records an epoch and one at every moment. One that diverges ends there: its last record has a
    loss that is not finite. Raises InputError as `check_moments`, `fearlib.train` and `fearlib.zero_cost` do, or
    for two moments within one step.
    """
    check_whole(1, epochs=epochs, batch_size=batch_size)
    resolve_precision(precision)
    check_trainable(network, dataset, batch_size)
    check_minibatch(network, images, labels)
    measures = measure_names(measures)
    steps = -(-len(dataset.train_labels) // batch_size)  # of an epoch
    wanted = _default_steps(epochs, steps) if moments is None else steps_of(moments, epochs, steps)
    last = math.ceil(max(wanted) / steps)
    check_seed(check_seed(seed) + last - 1 if constant_rate and last else seed)
    curve: list[Epoch] = []
    found = [Moment(0, measure_network(network, images, labels, measures, seed), ())] if 0 in wanted else []

    def look(record: Epoch) -> None:
        epoch = record.epoch + done
        curve.append(replace(record, epoch=epoch))
        if round(epoch * steps) in wanted or has_diverged([record.loss]):
            found.append(Moment(epoch, measure_network(network, images, labels, measures, seed), tuple(curve)))

    runs = [(1, ENDLESS_EPOCHS)] * last if constant_rate else [(last, epochs)] * (last > 0)
    for done, (length, schedule) in enumerate(runs):
        in_run = {step - done * steps for step in wanted if 0 < step - done * steps <= length * steps}
        train(
            network, dataset, length, batch_size, schedule, records_per_epoch=MOMENTS, recorded_steps=in_run,
            max_steps=max(wanted) - done * steps, precision=precision, seed=seed + done, after_record=look,
        )  # fmt: skip
        if has_diverged([curve[-1].loss]):
            break
    return found


def check_moments(moments: Sequence[float], epochs: int) -> None:
    """Raises InputError unless the moments are finite, from 0 to `epochs`, in rising order, and at least one."""
    if not are_rising(moments) or not all(0 <= moment <= epochs for moment in moments):
        raise InputError(
            f"moments {in_words(moments)}: they must be numbers of epochs from 0 to {epochs}, in rising order, "
            "each once."
        )


def are_rising(values: object) -> bool:
    """Whether it is a sequence of numbers, each larger than the last, and at least one."""
    return _are_numbers(values) and len(values) > 0 and all(map(operator.lt, values[:-1], values[1:]))


def in_words(values: object) -> str:
    """Numbers as a label has them, `0+0.2+1`; anything else as Python shows it."""
    return f"{'+'.join(f'{value:g}' for value in values) if _are_numbers(values) else values!r:.200}"


def _are_numbers(values: object) -> bool:
    return isinstance(values, (Sequence, np.ndarray)) and all(map(is_number, values))


def _default_steps(epochs: int, steps: int) -> set[int]:
    in_first = (-(-steps * part // MOMENTS) for part in range(1, MOMENTS))
    return {0, *in_first, *range(steps, epochs * steps + 1, steps)}


def steps_of(moments: Sequence[float], epochs: int, steps: int) -> set[int]:
    """The first step, from 1, to reach each moment, to a tenth of a step as labels round; 0 for initialisation."""
    check_moments(moments, epochs)
    reached = [max(math.ceil(round(moment * steps, 1)), int(moment > 0)) for moment in moments]
    for one, other, step, same in zip(moments, moments[1:], reached, reached[1:]):
        if step == same:
            raise InputError(
                f"moments {one:g} and {other:g} are both reached with step {step}: an epoch has {steps} steps."
            )
    return set(reached)
