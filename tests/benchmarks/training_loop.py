"""Speed of the training loop, as ratios within one run, on one thread.

The plain way is a torch DataLoader over per-image transforms, float32, contiguous memory. The limit is the same
optimizer step on one batch that is already in memory, at the loop's own precision, memory format and allocator.
"""

import contextlib
import functools
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from fearlib import Architecture, build_network, train
from fearlib import Dataset as TensorDataset
from fearlib.data.tensors import MEAN_AND_STD
from fearlib.training.loop import (
    GRADIENT_CLIP,
    LEARNING_RATE,
    MOMENTUM,
    WEIGHT_DECAY,
    training_step,
)
from fearlib.training.memory import keep_freed_memory
from fearlib.training.precision import PRECISIONS, resolve_precision

IMAGES, SIDE, BATCH, REPEATS = 10_240, 16, 256, 5
ARCHITECTURE = Architecture.from_index(0)


def main() -> None:
    ways = {"plain way": plain_way, "our loop": our_loop, "limit": limit}
    ways |= {precision: functools.partial(our_loop, precision=precision) for precision in PRECISIONS}
    typical = medians(ways)
    print(f"{ARCHITECTURE}\n16 channels, 1 cell a stage, {SIDE}x{SIDE} pixels, batch {BATCH}, one thread")
    for name, taken in typical.items():
        print(f"{name:10} {IMAGES / taken:8.0f} images/s (median of {REPEATS})")
    print(f"our loop / plain way: {typical['plain way'] / typical['our loop']:.2f} times as fast (to reach: 2)")
    ratio = typical["float32"] / typical["bfloat16"]
    print(f"bfloat16 / float32:   {ratio:.2f} times as fast; auto takes {resolve_precision('auto')}")
    print(f"our loop / limit:     {typical['limit'] / typical['our loop']:.2f} of its speed (to reach: 0.9)")


def medians(ways: dict) -> dict[str, float]:
    """Median seconds of each way, taking turns, each in a process of its own: our loop sets the allocator."""
    spawn = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as open_pools:
        pools = {
            name: open_pools.enter_context(ProcessPoolExecutor(1, spawn, torch.set_num_threads, (1,)))
            for name in ways
        }
        rounds = [
            {name: pools[name].submit(way, random_dataset()).result() for name, way in ways.items()}
            for _ in range(REPEATS + 1)
        ]
    return {name: statistics.median(taken[name] for taken in rounds[1:]) for name in ways}  # the first warms up


def random_dataset() -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (IMAGES,), generator=generator)
    mean, std = (torch.tensor(values) for values in MEAN_AND_STD["cifar10"])
    return TensorDataset("cifar10", "random", False, images, labels, images, labels, mean, std, SIDE // 8)


def new_network():
    torch.manual_seed(0)
    return build_network(ARCHITECTURE, 10, cells=1)


def sgd(parameters):
    return torch.optim.SGD(parameters, LEARNING_RATE, MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY)


def our_loop(dataset, precision="auto") -> float:
    network = new_network()
    started = time.perf_counter()
    train(network, dataset, 1, BATCH, precision=precision)
    return time.perf_counter() - started


def limit(dataset) -> float:
    keep_freed_memory()
    network = new_network().to(memory_format=torch.channels_last).train()
    images, labels = next(dataset.training_batches(BATCH, torch.Generator().manual_seed(0)))
    images = images.contiguous(memory_format=torch.channels_last)
    parameters = list(network.parameters())
    optimizer = sgd(parameters)
    started = time.perf_counter()
    for _ in range(IMAGES // BATCH):
        training_step(network, images, labels, 0, resolve_precision("auto"))
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_CLIP)
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - started


class PerImage(Dataset):
    """Crop, flip and normalise one image at a time, as torchvision's transforms do."""

    def __init__(self, dataset: TensorDataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset.train_labels)

    def __getitem__(self, index):
        data, pad = self.dataset, self.dataset.padding
        image = F.pad(data.train_images[index], (pad,) * 4)
        row, column = torch.randint(0, 2 * pad + 1, (2,)).tolist()
        image = image[:, row : row + SIDE, column : column + SIDE]
        if torch.rand(()) < 0.5:
            image = image.flip(-1)
        return (image.float() - data.mean.view(3, 1, 1)) / data.std.view(3, 1, 1), data.train_labels[index]


def plain_way(dataset) -> float:
    network = new_network().train()
    parameters = list(network.parameters())
    optimizer = sgd(parameters)
    started = time.perf_counter()
    for images, labels in DataLoader(PerImage(dataset), BATCH, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_CLIP)
        optimizer.step()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
