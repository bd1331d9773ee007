"""A network gets a score by training: FEAR, shortreg and full training."""

import math
from dataclasses import dataclass, replace

from fearlib.data.dataset import Dataset
from fearlib.errors import InputError, check_seed, check_whole, is_number
from fearlib.spaces.network import Network
from fearlib.training.loop import (
    Epoch,
    check_trainable,
    ended_by,
    has_diverged,
    top1,
    train,
    trainable_parameters,
)


@dataclass(frozen=True)
class Score:
    """A score, higher is better, with the learning curve that led to it.

    `value` is NaN when there is none, and `outcome` says why: "ok", "below threshold", "out of time", "out of
    macs", or "diverged" where a loss, or what the trained network gives for the test images, is NaN or infinite.
    """

    value: float
    outcome: str
    curve: tuple[Epoch, ...]

    @property
    def seconds(self) -> float:
        return sum(epoch.seconds for epoch in self.curve)

    @property
    def macs(self) -> int:
        """Multiply-accumulates: forward once, backward twice, frozen parts without backward."""
        return sum(epoch.macs for epoch in self.curve)


def fear(
    network: Network,
    dataset: Dataset,
    threshold: float,
    stage2_epochs: int = 5,
    stage2_batch: int = 1024,
    first_free_block: int | None = None,
    stage1_epochs: int = 200,
    schedule_epochs: int = 200,
    threshold_checks: int = 1,
    batch_size: int = 256,
    max_seconds: float = float("inf"),
    max_macs: float = float("inf"),
    precision: str = "auto",
    seed: int = 0,
) -> Score:
    """Feature-extraction score of a network (Dey, Shah & Bubeck, FEAR, 2021); trains it in place.

    Stage 1 trains the whole network, on a cosine set for `schedule_epochs`, until training top-1 over the latest
    epoch's worth of images is at least `threshold` (0..1). This is looked at `threshold_checks` times an epoch;
    the paper looks once, so that a network overshoots by what it learns in up to an epoch. Stage 2 freezes
    everything before `first_free_block` (default: the paper's 13 of 0..16, carried over to other depths),
    computes no gradient there, and trains the rest for `stage2_epochs` with an optimizer and cosine of its own.
    The score is the training top-1 of the last stage-2 epoch; its record carries test top-1 too. A network that
    does not reach the threshold in `stage1_epochs`, or whose stage 1 takes `max_seconds` or `max_macs`, has no
    score. One that has is left in evaluation mode. `batch_size` (of stage 1), `precision` and `seed` are those of
    `fearlib.train`. Raises InputError for a block, threshold, count, limit or precision that does not exist, fewer
    `schedule_epochs` than `stage1_epochs`, blocks in which nothing can be trained, and for a network that
    `fearlib.training.loop.check_trainable` refuses, before any training.
    """
    check_whole(1, stage2_epochs=stage2_epochs, stage2_batch=stage2_batch, batch_size=batch_size)
    of_stage2 = check_seed(check_seed(seed) + 1)
    if not is_number(threshold) or not 0 <= threshold <= 1:
        raise InputError(f"threshold={threshold!r}: it must be a share, from 0 to 1.")
    check_trainable(network, dataset, batch_size, stage2_batch)
    if first_free_block is None:
        first_free_block = network.default_first_free_block
    trainable_parameters(network, first_free_block)
    first = train(
        network, dataset, stage1_epochs, batch_size, schedule_epochs, stop_at=threshold,
        records_per_epoch=threshold_checks, max_seconds=max_seconds, max_macs=max_macs,
        precision=precision, seed=seed,
    )  # fmt: skip
    ended = ended_by(first, len(dataset.train_labels), threshold, max_seconds, max_macs)
    if ended != "top1":
        return Score(float("nan"), ended or "below threshold", tuple(first))
    second = train(
        network, dataset, stage2_epochs, stage2_batch,
        first_free_block=first_free_block, precision=precision, seed=of_stage2, stage=2,
    )  # fmt: skip
    return _after_training(second[-1].train_top1, (*first, *_with_test_top1(second, network, dataset, precision)))


def shortreg(
    network: Network,
    dataset: Dataset,
    epochs: int,
    batch_size: int = 256,
    precision: str = "auto",
    seed: int = 0,
) -> Score:
    """Short regular training with its own cosine; the score is the best epoch's training top-1 (0..1).

    The baseline of Dey et al. (2021). The last epoch's record carries test top-1 too, and the network is left in
    evaluation mode, unless training diverged. `batch_size`, `precision` and `seed` are those of `fearlib.train`,
    whose InputErrors it raises.
    """
    curve = train(network, dataset, epochs, batch_size, precision=precision, seed=seed)
    best = max(epoch.train_top1 for epoch in curve)
    return _after_training(best, _with_test_top1(curve, network, dataset, precision))


def _with_test_top1(curve: list[Epoch], network: Network, dataset: Dataset, precision: str) -> tuple[Epoch, ...]:
    """The curve, its last record with the test top-1 of the network as it is now; its seconds do not count.

    The network is left in evaluation mode.
    """
    last = curve[-1]
    if not has_diverged([last.loss]):
        last = replace(last, val_top1=top1(network, dataset, precision))
    return *curve[:-1], last


def full(
    network: Network,
    dataset: Dataset,
    epochs: int,
    batch_size: int = 256,
    precision: str = "auto",
    seed: int = 0,
) -> Score:
    """Regular training to the end; the score is the last epoch's test top-1 (0..1), so it serves as the truth.

    `batch_size`, `precision` and `seed` are those of `fearlib.train`, whose InputErrors it raises.
    """
    curve = train(network, dataset, epochs, batch_size, validate=True, precision=precision, seed=seed)
    return _after_training(curve[-1].val_top1, tuple(curve))


def _after_training(value: float, curve: tuple[Epoch, ...]) -> Score:
    """The score of a training that went to its end, whose last record has a test top-1 unless it diverged."""
    if has_diverged(epoch.loss for epoch in curve) or math.isnan(curve[-1].val_top1):
        return Score(float("nan"), "diverged", curve)
    return Score(value, "ok", curve)
