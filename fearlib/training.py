"""The one training loop: SGD as NATS-Bench uses it, with a record for every epoch."""

import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from fearlib.data import Dataset
from fearlib.errors import InputError
from fearlib.network import Network

LEARNING_RATE = 0.1
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
GRADIENT_CLIP = 5.0
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images cost and gave.

    `loss` is the mean cross entropy and `train_top1` the share of images classified right (0..1), both while
    training; `val_top1` the same on the test images afterwards, NaN unless asked for. `seconds` and `macs`
    are of training alone. `images` is below the size of the training set if time ran out within the epoch.
    """

    stage: int
    epoch: int
    loss: float
    train_top1: float
    val_top1: float
    seconds: float
    images: int
    macs: int


def train(
    network: Network,
    dataset: Dataset,
    epochs: int,
    batch_size: int = 256,
    schedule_epochs: int | None = None,
    first_free_block: int = 0,
    stop_at: float = float("inf"),
    max_seconds: float = float("inf"),
    validate: bool = False,
    precision: str = "bfloat16",
    seed: int = 0,
    stage: int = 1,
) -> list[Epoch]:
    """Train `network` in place with SGD and return one record per epoch.

    Nesterov momentum 0.9, weight decay 5e-4, gradient norm clipped at 5, the rate falling from 0.1 by a
    cosine, step by step, to 0 after `schedule_epochs` (default `epochs`). Batch norm stays in training mode
    in frozen blocks too. Training ends after `epochs`, after an epoch with training top-1 of at least
    `stop_at`, or in the step in which `max_seconds` have passed. `seed` orders images and augmentation.
    Forward passes run under autocast at `precision`, "bfloat16" or "float32", in channels-last memory, on the
    device of the network's parameters. Raises InputError for an unknown precision or a non-positive count.
    """
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}: {' or '.join(PRECISIONS)} is allowed.")
    if epochs < 1 or batch_size < 1:
        raise InputError(f"epochs={epochs} and batch_size={batch_size} must both be at least 1.")
    parameters = network.free_parameters(first_free_block)
    device = parameters[0].device
    network.to(memory_format=torch.channels_last)
    dataset = dataset.to(device)
    steps = -(-len(dataset.train_labels) // batch_size)
    optimizer = torch.optim.SGD(
        parameters, lr=LEARNING_RATE, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, (schedule_epochs or epochs) * steps)
    generator = torch.Generator().manual_seed(seed)
    macs_per_image = network.training_macs(dataset.resolution, first_free_block)

    records, spent = [], 0.0
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        network.train()
        images_seen = 0
        loss_sum, correct = torch.zeros((), device=device), torch.zeros((), dtype=torch.long, device=device)
        for images, labels in dataset.training_batches(batch_size, generator):
            logits, loss = training_step(network, images, labels, first_free_block, precision)
            torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_CLIP)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            loss_sum += loss.detach() * len(labels)
            correct += (logits.argmax(1) == labels).sum()
            images_seen += len(labels)
            if spent + time.perf_counter() - started >= max_seconds:
                break
        train_top1 = correct.item() / images_seen
        seconds = time.perf_counter() - started
        spent += seconds
        val_top1 = top1(network, dataset, precision) if validate else float("nan")
        records.append(
            Epoch(
                stage, epoch, loss_sum.item() / images_seen, train_top1, val_top1, seconds, images_seen,
                images_seen * macs_per_image,
            )
        )  # fmt: skip
        if spent >= max_seconds or train_top1 >= stop_at:
            break
    return records


def training_step(
    network: Network, images: torch.Tensor, labels: torch.Tensor, first_free_block: int, precision: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forward and backward of one batch; returns (logits, loss) and leaves the gradients in place."""
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, PRECISIONS[precision], enabled=precision != "float32"):
        logits = network(images, first_free_block)
    loss = F.cross_entropy(logits.float(), labels)
    loss.backward()
    return logits, loss


@torch.no_grad()
def top1(network: Network, dataset: Dataset, precision: str = "bfloat16", batch_size: int = 1000) -> float:
    """Share of the test images classified right (0..1), in evaluation mode."""
    network.eval()
    correct = 0
    for images, labels in dataset.test_batches(batch_size):
        with torch.autocast(images.device.type, PRECISIONS[precision], enabled=precision != "float32"):
            correct += (network(images.contiguous(memory_format=torch.channels_last)).argmax(1) == labels).sum()
    return int(correct) / len(dataset.test_labels)
