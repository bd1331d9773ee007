"""The one training loop: SGD as NATS-Bench uses it, with a record for every epoch."""

import math
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch.func import functional_call
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from fearlib.data.dataset import Dataset
from fearlib.errors import InputError, check_seed, check_whole, is_integer, is_number
from fearlib.randomness import seeded
from fearlib.spaces.network import Network, in_mode, shapes_checked
from fearlib.spaces.state import copied_state
from fearlib.training.classifier import check_initialised, check_logits, has_one_value
from fearlib.training.cuda_graph import recorded_step
from fearlib.training.memory import keep_freed_memory
from fearlib.training.precision import autocast, resolve_precision

LEARNING_RATE = 0.1
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
GRADIENT_CLIP = 5.0


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images, or a part of a pass, cost and gave.

    `stage` is 1, or 2 after FEAR has frozen blocks; `epoch` is the number of passes made when it ended. `loss` is
    the mean cross entropy and `train_top1` the share of images classified right (0..1), both while training;
    `val_top1` the same on the test images afterwards, NaN where it was not measured or a logit is not finite.
    Where the loss is not finite, as training has diverged, both shares are NaN. `seconds` and `macs` are of
    training alone, `images` is how many were trained on.
    """

    stage: int
    epoch: float
    loss: float
    train_top1: float
    val_top1: float
    seconds: float
    images: int
    macs: int


def ended_by(records: list[Epoch], images: int, stop_at: float, max_seconds: float, max_macs: float) -> str | None:
    """What ends a training with these records before its last epoch, on that many training images, if anything.

    "diverged", "out of time" and "out of macs" where it failed; else "top1", once `latest_top1` is at `stop_at`.
    """
    if has_diverged(record.loss for record in records):
        return "diverged"
    if sum(record.seconds for record in records) >= max_seconds:
        return "out of time"
    if sum(record.macs for record in records) >= max_macs:
        return "out of macs"
    return "top1" if latest_top1(records, images) >= stop_at else None


@dataclass
class _Sums:
    """Sums over the images since the last record.

    `loss` and `correct` stay the same tensors on the device, so that a CUDA graph can add to them.
    """

    loss: torch.Tensor
    correct: torch.Tensor
    images: int = 0
    started: float = 0.0

    def restart(self) -> None:
        self.started, self.images = time.perf_counter(), 0
        self.loss.zero_()
        self.correct.zero_()

    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def record(self, stage: int, epoch: float, macs_per_image: int) -> Epoch:
        """Without test top-1; waits for the device."""
        loss = float(self.loss) / self.images
        train_top1 = math.nan if has_diverged([loss]) else int(self.correct) / self.images
        return Epoch(
            stage, round(epoch, 6), loss, train_top1, math.nan, self.seconds(), self.images,
            self.images * macs_per_image,
        )  # fmt: skip


@torch.inference_mode(False)
@torch.enable_grad()
def train(
    network: Network,
    dataset: Dataset,
    epochs: int,
    batch_size: int = 256,
    schedule_epochs: int | None = None,
    first_free_block: int = 0,
    stop_at: float = float("inf"),
    records_per_epoch: int = 1,
    recorded_steps: Collection[int] = (),
    max_seconds: float = float("inf"),
    max_macs: float = float("inf"),
    max_steps: float = float("inf"),
    validate: bool = False,
    precision: str = "auto",
    seed: int = 0,
    stage: int = 1,
    after_record: Callable[[Epoch], None] = lambda record: None,
) -> list[Epoch]:
    """Train `network` in place with SGD, as NATS-Bench does (Dong et al. 2021), and return the records.

    One record per epoch, or several. Nesterov momentum 0.9, weight decay 5e-4, gradient norm clipped at 5, the
    rate falling from 0.1 by a cosine, step by step, to 0 after `schedule_epochs` (default `epochs`). Batch norm
    stays in training mode in frozen blocks too. Training ends after `epochs`; after a record with which
    `latest_top1` reaches `stop_at`, or whose loss is not finite (`has_diverged`); or with the step in which
    `max_seconds` have passed, `max_macs` are spent (`ended_by` says which) or `max_steps` are done, with a record
    of what was done until then. On a GPU, which lags behind, `max_seconds` may be passed by up to an epoch.
    `validate` measures test accuracy after every full epoch. `seed` orders images and augmentation, and decides
    what the network draws, as dropout does; torch's own generators stay as they are.
    `recorded_steps`, counted from 1 through the whole training, end with a record, too.
    `after_record` is called with every record, while the network stands as it was then; its time does not count.
    Forward passes run under autocast at `precision` (`resolve_precision`), in channels-last memory, on the device
    of the network's parameters; on a processor the process keeps the memory it has used (`keep_freed_memory`).
    Inference mode, no_grad, a caller's autocast and gradients that the network holds play no part. Raises
    InputError for an unknown precision, a non-positive count, more epochs than the schedule has, a recorded step
    that the training has not, a limit that is no number, a seed that is no integer, or a network that
    `check_trainable` or `trainable_parameters` refuses.
    """
    schedule_epochs = epochs if schedule_epochs is None else schedule_epochs
    check_whole(1, epochs=epochs, batch_size=batch_size, records_per_epoch=records_per_epoch)
    check_schedule(epochs, schedule_epochs)
    check_limits(stop_at=stop_at, max_seconds=max_seconds, max_macs=max_macs, max_steps=max_steps)
    seed = check_seed(seed)
    check_trainable(network, dataset, batch_size)
    steps = -(-len(dataset.train_labels) // batch_size)
    of_an_epoch, others = _recorded(epochs, steps, records_per_epoch, recorded_steps)
    parameters = trainable_parameters(network, first_free_block)
    device = parameters[0].device
    precision = resolve_precision(precision, device.type)
    if device.type == "cpu":
        keep_freed_memory()
    macs_per_image = network.training_macs(dataset.resolution, first_free_block)
    network.zero_grad()
    network.to(memory_format=torch.channels_last)
    dataset = dataset.to(device)
    optimizer, schedule = _optimizer(parameters, schedule_epochs * steps)
    generator = torch.Generator().manual_seed(seed)
    sums = _Sums(torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device))
    step_on = _step(network, parameters, optimizer, sums, first_free_block, precision)
    if device.type == "cuda":
        step_on = recorded_step(step_on, optimizer, batch_size)

    records, seconds, macs = [], 0.0, 0
    with seeded(seed, device):
        for epoch in range(epochs):
            network.train()
            sums.restart()
            for step, (images, labels) in enumerate(dataset.training_batches(batch_size, generator), 1):
                step_on(images, labels)
                schedule.step()
                sums.images += len(labels)
                done = epoch * steps + step
                spent = (
                    seconds + sums.seconds() >= max_seconds
                    or macs + sums.images * macs_per_image >= max_macs
                    or done >= max_steps
                )
                if step not in of_an_epoch and done not in others and not spent:
                    continue
                record = sums.record(stage, epoch + step / steps, macs_per_image)
                if validate and step == steps and not has_diverged([record.loss]):
                    record = replace(record, val_top1=top1(network, dataset, precision))
                records.append(record)
                after_record(record)
                if spent or ended_by(records, len(dataset.train_labels), stop_at, max_seconds, max_macs):
                    return records
                seconds, macs = seconds + record.seconds, macs + record.macs
                sums.restart()
    return records


def _recorded(
    epochs: int, steps: int, records_per_epoch: int, others: Collection[int]
) -> tuple[set[int], set[int]]:
    """The steps that end with a record: of every epoch, and others, which count through the whole training.

    Raises InputError for another step that is not among the training's.
    """
    if not isinstance(others, Collection) or not all(
        is_integer(step) and 0 < step <= epochs * steps for step in others
    ):
        raise InputError(f"recorded_steps={others!r:.200}: they must be whole numbers from 1 to {epochs * steps}.")
    return {-(-steps * part // records_per_epoch) for part in range(1, records_per_epoch + 1)}, set(others)


def _step(
    network: Network,
    parameters: list[torch.nn.Parameter],
    optimizer: SGD,
    sums: _Sums,
    first_free_block: int,
    precision: str,
) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """One step of training on a batch of images and labels, added to the `sums`."""

    def step_on(images: torch.Tensor, labels: torch.Tensor) -> None:
        logits, loss = training_step(network, images, labels, first_free_block, precision)
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_CLIP)
        optimizer.step()
        optimizer.zero_grad()
        sums.loss.add_(loss.detach() * len(labels))
        sums.correct.add_((logits.argmax(1) == labels).sum())

    return step_on


def _optimizer(parameters: list[torch.nn.Parameter], steps: int) -> tuple[SGD, CosineAnnealingLR]:
    """The optimizer, and the schedule on which its rate falls to 0 within so many steps."""
    optimizer = SGD(
        parameters, lr=LEARNING_RATE, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY,
        fused=parameters[0].is_cuda,
    )  # fmt: skip
    return optimizer, CosineAnnealingLR(optimizer, steps)


def has_diverged(losses: Iterable[float]) -> bool:
    """Whether a training with these losses has failed: one of them is NaN or infinite."""
    return not all(map(math.isfinite, losses))


def check_schedule(epochs: int, schedule_epochs: int) -> None:
    """Raises InputError unless the schedule has as many epochs: after its end the cosine would rise again."""
    check_whole(1, schedule_epochs=schedule_epochs)
    if schedule_epochs < epochs:
        raise InputError(
            f"schedule_epochs={schedule_epochs}: it must be at least the {epochs} epochs of the training."
        )


def check_limits(**limits: float) -> None:
    """Raises InputError, naming it, for a limit that is no number, or NaN, which nothing would ever reach."""
    for name, limit in limits.items():
        if not is_number(limit) or math.isnan(limit):
            raise InputError(f"{name} is {limit!r:.80}: it must be a number.")


@torch.no_grad()
def check_trainable(network: Network, dataset: Dataset, *batch_sizes: int) -> None:
    """Raises InputError unless it is a `Network` that can be trained, with a logit for every class of `dataset`.

    So it is refused if in a batch, of those that the positive `batch_sizes` make, it has one value a channel to
    normalise. An image or two go through it in channels-last memory, in training mode and in evaluation mode, with
    copies of its parameters and buffers, which draws no random number of the caller's.
    """
    if not hasattr(network, "free_parameters"):
        raise InputError(
            f"the network is a {type(network).__name__}: training needs a fearlib.Network, which knows its blocks "
            "and counts its macs: make one by fearlib.Network(stem, blocks, head, default_first_free_block)."
        )
    for name, parameter in network.named_parameters():
        check_initialised(name, parameter)
    parameters = list(network.parameters())
    if any(parameter.is_inference() for parameter in parameters):
        raise InputError("the network was built in torch.inference_mode, so that it cannot be trained.")
    if not any(parameter.requires_grad for parameter in parameters):
        raise InputError("the network has no parameter that asks for gradients, so that it cannot be trained.")
    largest = int(max(dataset.train_labels.max(), dataset.test_labels.max()))
    count = len(dataset.train_labels)
    smallest, batch_size = min((count % size or size, size) for size in batch_sizes)
    images = dataset.normalise(dataset.train_images[: min(smallest, 2)]).to(parameters[0].device)
    if images.dtype != parameters[0].dtype:
        raise InputError(
            f"images are {images.dtype} and the network's parameters {parameters[0].dtype}: they must be alike; "
            "the argument precision says in which numbers to compute."
        )
    try:
        with shapes_checked(images.shape), torch.random.fork_rng([images.device] if images.is_cuda else []):
            for training, some in ((True, images), (False, images[:1])):
                check_logits(_logits_of_copies(network, some, training), len(some), largest)
    except ValueError as error:
        if not has_one_value(error):
            raise
        size = "a batch size that leaves no image alone, or " if smallest == 1 else ""
        raise InputError(
            f"in batches of {batch_size} the {count} training images end in one of {smallest}, where the "
            f"normalisation has one value a channel at {dataset.resolution}x{dataset.resolution} pixels: choose "
            f"{size}images of which several pixels reach it."
        ) from error


def _logits_of_copies(network: Network, images: torch.Tensor, training: bool) -> torch.Tensor:
    """In that mode and channels-last memory, by copies of the parameters and buffers, and of the images."""
    copies = copied_state(network)
    with in_mode(network, training):
        return functional_call(
            network, copies, (images.clone(memory_format=torch.channels_last),), tie_weights=False
        )


def trainable_parameters(network: Network, first_free_block: int) -> list[torch.nn.Parameter]:
    """The parameters from that block on. Raises InputError if it is not there, or none asks for gradients."""
    parameters = network.free_parameters(first_free_block)
    if not any(parameter.requires_grad for parameter in parameters):
        raise InputError(
            f"no parameter from block {first_free_block} on asks for gradients: choose an earlier one."
        )
    return parameters


def latest_top1(records: list[Epoch], images: int) -> float:
    """Training top-1 over the latest records that together make `images`; NaN while there are fewer."""
    correct, seen = 0.0, 0
    for record in reversed(records):
        correct, seen = correct + record.train_top1 * record.images, seen + record.images
        if seen >= images:
            return correct / seen
    return float("nan")


def training_step(
    network: Network, images: torch.Tensor, labels: torch.Tensor, first_free_block: int, precision: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forward and backward of one batch; returns (logits, loss) and leaves the gradients in place."""
    images = images.contiguous(memory_format=torch.channels_last)
    with autocast(images.device, precision):
        logits = network(images, first_free_block)
    with autocast(images.device, "float32"):
        loss = F.cross_entropy(logits.float(), labels.long())
        loss.backward()
    return logits, loss


@torch.no_grad()
def top1(network: Network, dataset: Dataset, precision: str = "auto", batch_size: int = 1000) -> float:
    """Share of the test images classified right (0..1), in evaluation mode; NaN if a logit is not finite."""
    network.eval()
    device = next(network.parameters()).device
    dataset = dataset.to(device)
    precision, correct, finite = resolve_precision(precision, device.type), 0, True
    for images, labels in dataset.test_batches(batch_size):
        with autocast(images.device, precision):
            logits = network(images.clone(memory_format=torch.channels_last))  # which the network may change
        correct += (logits.argmax(1) == labels).sum()
        finite &= logits.isfinite().all()
    return int(correct) / len(dataset.test_labels) if finite else float("nan")
