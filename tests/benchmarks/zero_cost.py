"""Speed of the zero-cost measures, as ratios within one run, on one thread, in single precision.

The unit is one plain forward and backward pass of the same network on the same minibatch. "By definition" computes
each measure by itself on a fresh copy of the network, in the plain way of a reference implementation.
"""

import copy
import statistics
import time
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from fearlib import MEASURES, Architecture, build_network, zero_cost
from fearlib.scores.registry import FIFTEEN

REFERENCE = ("grad_norm", "snip", "grasp", "fisher", "synflow", "synflow_bn", "jacob_cov", "plain")
MOST = 1.6  # times what fifteen take, for all
WITHOUT_GRASP = tuple(name for name in REFERENCE if name != "grasp")
INDICES = (9102, 2373, 6531, 7624, 9509, 4336, 11751, 11652, 15543, 1604)  # spread over size
BATCH, SIDE, REPEATS = 64, 32, 2


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    labels = torch.randint(0, 10, (BATCH,), generator=generator)
    print(f"16 channels, 5 cells a stage, {SIDE}x{SIDE} pixels, batch {BATCH}, one thread")
    architectures = sorted(map(Architecture.from_index, INDICES), key=macs)
    all_beside_fifteen(architectures, images, labels)
    beside_definitions(architectures, images, labels)


def all_beside_fifteen(architectures, images, labels) -> None:
    ratios = []
    for architecture in architectures:
        measured = partial(zero_cost, new_network(architecture), images, labels)
        fifteen, every = typical(partial(measured, FIFTEEN)), typical(measured)
        ratios.append(every / fifteen)
        said = f"fifteen {fifteen:.1f} s, all {len(MEASURES)} {ratios[-1]:.2f} times that"
        print(f"{millions(architecture)}: {said}")
    middle = statistics.median(ratios)
    print(f"all {len(MEASURES)} together: {middle:.2f} times as long as the fifteen (median; at most: {MOST})\n")


def beside_definitions(architectures, images, labels) -> None:
    totals: dict[str, list[float]] = {}
    for architecture in architectures:
        seconds = time_all(new_network(architecture), images, labels)
        unit = seconds.pop("unit")
        for name, taken in seconds.items():
            totals.setdefault(name, []).append(taken / unit)
        seven, eight = seconds["7 together"] / unit, seconds["8 together"] / unit
        said = f"forward + backward {unit:.2f} s: 7 together {seven:.2f}, 8 together {eight:.2f} of that"
        print(f"{millions(architecture)}, {said}")
    mean = {name: statistics.mean(values) for name, values in totals.items()}
    print("\nmean over the architectures")
    for name in REFERENCE:
        ours, theirs = mean[f"{name} alone"], mean[f"{name} by definition"]
        print(f"{name:10} alone {ours:5.2f}, by definition {theirs:5.2f}: {theirs / ours:.2f} times as fast")
    for together, names, bound, faster in (
        ("7 together", WITHOUT_GRASP, 2.2, 2.5),
        ("8 together", REFERENCE, 5.5, 1.7),
    ):
        theirs = sum(mean[f"{name} by definition"] for name in names)
        print(
            f"{together}: {mean[together]:.2f} units (to reach: {bound}), by definition {theirs:.2f}: "
            f"{theirs / mean[together]:.2f} times as fast (to reach: {faster})"
        )


def time_all(network, images, labels) -> dict[str, float]:
    ways = {
        "unit": lambda: plain_step(network, images, labels),
        "7 together": lambda: zero_cost(network, images, labels, WITHOUT_GRASP),
        "8 together": lambda: zero_cost(network, images, labels, REFERENCE),
    }
    for name in REFERENCE:
        ways[f"{name} alone"] = lambda name=name: zero_cost(network, images, labels, (name,))
        ways[f"{name} by definition"] = lambda name=name: by_definition(name, network, images, labels)
    return {name: typical(way) for name, way in ways.items()}


def new_network(architecture: Architecture) -> nn.Module:
    torch.manual_seed(0)
    return build_network(architecture, 10).train()


def millions(architecture: Architecture) -> str:
    return f"{macs(architecture) / 1e6:6.1f} million macs"


def macs(architecture: Architecture) -> int:
    return build_network(architecture, 10).macs(SIDE)


def typical(way) -> float:
    way()
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        way()
        taken.append(time.perf_counter() - started)
    return min(taken)


def plain_step(network, images, labels) -> None:
    network.zero_grad()
    F.cross_entropy(network(images), labels).backward()


def by_definition(name, network, images, labels) -> float:
    network = copy.deepcopy(network)
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    weights = [layer.weight for layer in layers]
    if name in ("synflow", "synflow_bn"):
        return synflow(network, keep_batch_norm=name == "synflow_bn")
    if name == "jacob_cov":
        return jacob_cov(network, images)
    if name == "fisher":
        return fisher(network, layers, images, labels)
    loss = F.cross_entropy(network(images), labels)
    if name == "grasp":
        gradients = torch.autograd.grad(loss, weights, create_graph=True)
        sum((gradient * gradient.detach()).sum() for gradient in gradients).backward()
        return -sum((weight * weight.grad).sum() for weight in weights).item()
    loss.backward()
    each = {
        "grad_norm": lambda weight: weight.grad.norm(),
        "snip": lambda weight: (weight * weight.grad).abs().sum(),
        "plain": lambda weight: (weight * weight.grad).sum(),
    }[name]
    return sum(each(weight) for weight in weights).item()


def fisher(network, layers, images, labels) -> float:
    outputs = {}

    def keep(layer, _, output):
        output.retain_grad()
        outputs[layer] = output

    for layer in layers:
        layer.register_forward_hook(keep)
    F.cross_entropy(network(images), labels).backward()
    total = 0.0
    for layer, output in outputs.items():
        product = (output * output.grad).flatten(2).sum(2) if output.dim() == 4 else output * output.grad
        total += (product.pow(2).mean(0) / 2).sum().item() * layer.weight[0].numel()
    return total


def synflow(network, keep_batch_norm) -> float:
    network.double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and not keep_batch_norm:
            module.forward = lambda features: features
    for parameter in network.parameters():
        parameter.data.abs_()
    network(torch.ones(1, 3, SIDE, SIDE, dtype=torch.float64)).sum().backward()
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    return sum(
        (layer.weight * layer.weight.grad).abs().sum() for layer in layers if layer.weight.grad is not None
    ).item()


def jacob_cov(network, images) -> float:
    images = images.clone().requires_grad_()
    network(images).sum().backward()
    values = torch.linalg.eigvalsh(torch.corrcoef(images.grad.flatten(1).double())) + 1e-5
    return -(values.log() + 1 / values).sum().item()


if __name__ == "__main__":
    main()
