"""The one training loop: SGD as NATS-Bench uses it, with a record for every epoch."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral

import torch
import torch.nn.functional as F

from fearlib.data.dataset import Dataset
from fearlib.errors import InputError
from fearlib.spaces.network import Network
from fearlib.training.classifier import check_labels, check_logits
from fearlib.training.cuda_graph import recorded_step
from fearlib.training.memory import keep_freed_memory

LEARNING_RATE = 0.1
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
GRADIENT_CLIP = 5.0
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images, or a part of a pass, cost and gave.

    `epoch` is the number of passes made when it ended. `loss` is the mean cross entropy and `train_top1` the share
    of images classified right (0..1), both while training; `val_top1` the same on the test images afterwards, NaN
    where it was not measured or a logit is not finite. Where the loss is not finite, as training has diverged,
    both shares are NaN. `seconds` and `macs` are of training alone, `images` is how many were trained on.
    """

    stage: int
    epoch: float
    loss: float
    train_top1: float
    val_top1: float
    seconds: float
    images: int
    macs: int


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
    max_seconds: float = float("inf"),
    max_macs: float = float("inf"),
    validate: bool = False,
    precision: str = "auto",
    seed: int = 0,
    stage: int = 1,
    after_record: Callable[[Epoch], None] = lambda record: None,
) -> list[Epoch]:
    """Train `network` in place with SGD and return one record per epoch, or several.

    Nesterov momentum 0.9, weight decay 5e-4, gradient norm clipped at 5, the rate falling from 0.1 by a
    cosine, step by step, to 0 after `schedule_epochs` (default `epochs`). Batch norm stays in training mode
    in frozen blocks too. Training ends after `epochs`; after a record with which `latest_top1` reaches `stop_at`,
    or whose loss is not finite (`has_diverged`); or with the step in which `max_seconds` have passed or `max_macs`
    are spent, with a record of what was done until then. On a GPU, which lags behind, `max_seconds` may be passed
    by up to an epoch.
    `validate` measures test accuracy after every full epoch. `seed` orders images and augmentation.
    `after_record` is called with every record, while the network stands as it was then; its time does not count.
    Forward passes run under autocast at `precision` (`known_precision`), in channels-last memory, on the device
    of the network's parameters; on a processor the process keeps the memory it has used (`keep_freed_memory`).
    Inference mode and no_grad play no part. Raises InputError for an unknown precision, a non-positive count, a
    limit that is NaN, or a network that `check_trainable` refuses.
    """
    precision = known_precision(precision)
    check_counts(epochs=epochs, batch_size=batch_size, records_per_epoch=records_per_epoch)
    check_counts(schedule_epochs=epochs if schedule_epochs is None else schedule_epochs)
    check_limits(stop_at=stop_at, max_seconds=max_seconds, max_macs=max_macs)
    check_trainable(network, dataset)
    parameters = network.free_parameters(first_free_block)
    device = parameters[0].device
    if device.type == "cpu":
        keep_freed_memory()
    network.to(memory_format=torch.channels_last)
    dataset = dataset.to(device)
    steps = -(-len(dataset.train_labels) // batch_size)
    record_after = {-(-steps * part // records_per_epoch) for part in range(1, records_per_epoch + 1)}
    optimizer = torch.optim.SGD(
        parameters, lr=LEARNING_RATE, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY,
        fused=device.type == "cuda",
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, (schedule_epochs or epochs) * steps)
    generator = torch.Generator().manual_seed(seed)
    macs_per_image = network.training_macs(dataset.resolution, first_free_block)

    loss_sum, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)

    def step_on(images: torch.Tensor, labels: torch.Tensor) -> None:
        logits, loss = training_step(network, images, labels, first_free_block, precision)
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_CLIP)
        optimizer.step()
        optimizer.zero_grad()
        loss_sum.add_(loss.detach() * len(labels))
        correct.add_((logits.argmax(1) == labels).sum())

    if device.type == "cuda":
        step_on = recorded_step(step_on, optimizer, batch_size)

    records, spent, images_spent = [], 0.0, 0
    for epoch in range(epochs):
        network.train()
        started, images_seen = time.perf_counter(), 0
        for step, (images, labels) in enumerate(dataset.training_batches(batch_size, generator), 1):
            step_on(images, labels)
            schedule.step()
            images_seen += len(labels)
            out_of_budget = (
                spent + time.perf_counter() - started >= max_seconds
                or (images_spent + images_seen) * macs_per_image >= max_macs
            )
            if step not in record_after and not out_of_budget:
                continue
            mean_loss = float(loss_sum) / images_seen  # waits for the device
            ended = has_diverged([mean_loss])
            train_top1 = float("nan") if ended else int(correct) / images_seen
            seconds = time.perf_counter() - started
            measured = validate and step == steps and not ended
            val_top1 = top1(network, dataset, precision) if measured else float("nan")
            records.append(
                Epoch(
                    stage, round(epoch + step / steps, 6), mean_loss, train_top1, val_top1, seconds,
                    images_seen, images_seen * macs_per_image,
                )
            )  # fmt: skip
            spent, images_spent = spent + seconds, images_spent + images_seen
            after_record(records[-1])
            if ended or out_of_budget or latest_top1(records, len(dataset.train_labels)) >= stop_at:
                return records
            started, images_seen = time.perf_counter(), 0
            loss_sum.zero_()
            correct.zero_()
    return records


def has_diverged(losses: Iterable[float]) -> bool:
    """Whether a training with these losses has failed: one of them is NaN or infinite."""
    return not all(map(math.isfinite, losses))


def check_counts(**counts: int) -> None:
    """Raises InputError, naming it, for a count that is not a positive integer."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < 1:
            raise InputError(f"{name}={count!r}: it must be an integer of at least 1.")


def check_limits(**limits: float) -> None:
    """Raises InputError, naming it, for a limit that is NaN, which nothing would ever reach."""
    for name, limit in limits.items():
        if math.isnan(limit):
            raise InputError(f"{name} is {limit}: it must be a number.")


@torch.no_grad()
def check_trainable(network: Network, dataset: Dataset) -> None:
    """Raises InputError unless it is a `Network` that can be trained, with a logit for every class of `dataset`.

    One image goes through it, in evaluation mode.
    """
    if not hasattr(network, "free_parameters"):
        raise InputError(
            f"the network is a {type(network).__name__}: training needs a fearlib.Network, which knows its blocks "
            "and counts its macs: make one by fearlib.Network(stem, blocks, head, default_first_free_block)."
        )
    parameters = list(network.parameters())
    if any(parameter.is_inference() for parameter in parameters):
        raise InputError("the network was built in torch.inference_mode, so that it cannot be trained.")
    if not any(parameter.requires_grad for parameter in parameters):
        raise InputError("the network has no parameter that asks for gradients, so that it cannot be trained.")
    largest = max(
        int(check_labels(f"{dataset.name}'s {part} labels", labels, len(images)).max())
        for part, images, labels in (
            ("training", dataset.train_images, dataset.train_labels),
            ("test", dataset.test_images, dataset.test_labels),
        )
    )
    image = dataset.normalise(dataset.train_images[:1]).to(parameters[0].device)
    if image.dtype != parameters[0].dtype:
        raise InputError(
            f"images are {image.dtype} and the network's parameters {parameters[0].dtype}: they must be alike; "
            "the argument precision says in which numbers to compute."
        )
    check_logits(network.eval()(image), 1, largest)


def latest_top1(records: list[Epoch], images: int) -> float:
    """Training top-1 over the latest records that together make `images`; NaN while there are fewer."""
    correct, seen = 0.0, 0
    for record in reversed(records):
        correct, seen = correct + record.train_top1 * record.images, seen + record.images
        if seen >= images:
            return correct / seen
    return float("nan")


def known_precision(precision: str) -> str:
    """ "bfloat16" or "float32"; "auto" is the first if this machine computes with it, else the second.

    A processor without bfloat16 instructions is several times slower with it than with float32. Raises InputError
    for another.
    """
    if precision not in (*PRECISIONS, "auto"):
        raise InputError(f"unknown precision {precision!r}: {', '.join(PRECISIONS)} or auto is allowed.")
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bfloat16" if native else "float32"


def training_step(
    network: Network, images: torch.Tensor, labels: torch.Tensor, first_free_block: int, precision: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forward and backward of one batch; returns (logits, loss) and leaves the gradients in place."""
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, PRECISIONS[precision], enabled=precision != "float32"):
        logits = network(images, first_free_block)
    loss = F.cross_entropy(logits.float(), labels.long())
    loss.backward()
    return logits, loss


@torch.no_grad()
def top1(network: Network, dataset: Dataset, precision: str = "auto", batch_size: int = 1000) -> float:
    """Share of the test images classified right (0..1), in evaluation mode; NaN if a logit is not finite."""
    network.eval()
    dataset = dataset.to(next(network.parameters()).device)
    precision, correct, finite = known_precision(precision), 0, True
    for images, labels in dataset.test_batches(batch_size):
        with torch.autocast(images.device.type, PRECISIONS[precision], enabled=precision != "float32"):
            logits = network(images.contiguous(memory_format=torch.channels_last))
        correct += (logits.argmax(1) == labels).sum()
        finite &= logits.isfinite().all()
    return int(correct) / len(dataset.test_labels) if finite else float("nan")
