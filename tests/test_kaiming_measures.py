"""The measures with Kaiming weights against their definitions written out slowly, in double precision."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_measures import AZ, CLASSES, ONLY_NONE, close, drawn, every_network, layers_of, nats_network, reasons
from torch import nn

from fearlib import (
    OPERATIONS,
    Architecture,
    Network,
    build_darts_network,
    build_network,
    sample_architectures,
    sample_genotypes,
    zero_cost,
)
from fearlib.ranking.degradation import UNCHANGED_BY_TRAINING
from fearlib.scores.measures import SPACE_PARAMETERS
from fearlib.scores.registry import zero_cost_macs

LATER = ("meco", "swap", "swap_reg", *AZ)


# The definitions, slowly.


def redrawn(network, images, seed):
    """A copy with Kaiming weights, 64 noise images, and the generator that drew them."""
    generator, network = torch.Generator().manual_seed(seed), copy.deepcopy(network).train()
    for layer in layers_of(network):
        deviation = math.sqrt(2 / layer.weight[0].numel())
        layer.weight.data = deviation * torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
        if layer.bias is not None:
            layer.bias.data.zero_()
    for norm in network.modules():
        if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)) and norm.affine:
            norm.weight.data.fill_(1)
            norm.bias.data.zero_()
    return network, torch.randn(64, *images.shape[1:], generator=generator, dtype=torch.float64), generator


def slow_correlation(one, other):
    one, other = one - one.mean(), other - other.mean()
    if not one.any() or not other.any():
        return 0
    return (one * other).sum() / math.sqrt((one**2).sum() * (other**2).sum())


def slow_meco(network, images, seed):
    network, noise, _ = redrawn(network, images, seed)
    smallest = []

    def look(module, _, output):
        if output.dim() == 4 and output.shape[2:] != (1, 1):
            channels = [channel.flatten().numpy().copy() for channel in output[0].detach()]
            matrix = [[slow_correlation(one, other) for other in channels] for one in channels]
            smallest.append(max(0, min(np.linalg.eigvals(matrix).real)))

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(look)
    network(noise[:2])
    return sum(smallest) if smallest else math.nan


def slow_swap(network, images, seed):
    network, _, _ = redrawn(network, images, seed)
    patterns = []

    def look(module, _, output):
        patterns.extend("".join("1" if value > 0 else "0" for value in unit) for unit in output.flatten(1).T)

    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(look)
    network(images[:32])
    return len(set(patterns)) if patterns else math.nan


def slow_entropy(features):
    rows = [pixel for image in features.detach().permute(0, 2, 3, 1).flatten(1, 2).numpy() for pixel in image]
    centred = np.array(rows) - np.mean(rows, axis=0)
    values = np.linalg.eigvals(sum(np.outer(row, row) for row in centred) / len(rows)).real.clip(0)
    if values.sum() == 0:
        return math.nan
    return -sum(p * math.log(p + 1e-8) for p in values / values.sum())


def slow_unshuffled(features):
    """Four pixels of one become four channels of one pixel."""
    images, channels, height, width = features.shape
    result = np.zeros((images, 4 * channels, height // 2, width // 2))
    for channel, row, column in itertools.product(range(channels), range(height), range(width)):
        place = 4 * channel + 2 * (row % 2) + column % 2
        result[:, place, row // 2, column // 2] = features[:, channel, row, column]
    return result


def slow_az(network, images, seed):
    network, noise, generator = redrawn(network, images, seed)
    handed_on, scores = [network.stem(noise)], []
    for block in network.blocks:
        before = handed_on[-1]
        pair = isinstance(before, tuple)  # of a DARTS cell the second is the output of the cell before
        given = (before[1] if pair else before).detach().requires_grad_()
        output = block((before[0].detach(), given) if pair else given)
        handed_on.append(output)
        own = output[1] if pair else output
        g = 2 * torch.randint(0, 2, own.shape, generator=generator, dtype=torch.int8).double() - 1
        if own.requires_grad:
            own.backward(g, retain_graph=True)
        h = given.grad
        if h is None or not h.any() or h.shape == g.shape and (h == g).all():
            scores.append(math.nan)
            continue
        h = slow_unshuffled(h) if h.shape[2] == 2 * g.shape[2] else h.numpy()
        matrix = np.einsum("bihw,bohw->io", h, g.numpy()) / (len(g) * g.shape[2] * g.shape[3])
        s = np.linalg.svd(matrix)[1].max()
        scores.append(-s - 1 / (s + 1e-6) + 2)
    entropies = [slow_entropy(each[1] if isinstance(each, tuple) else each) for each in handed_on]
    steps = [after - before for before, after in zip(entropies, entropies[1:])]
    smallest = math.nan if any(map(math.isnan, steps)) else min(steps)
    return dict(zip(AZ, (sum(entropies), smallest, np.mean(scores))))


def slow_later(network, images, seed):
    swap = slow_swap(network, images, seed)
    parameters, (mean, variance) = sum(p.numel() for p in network.parameters()) / 1e6, SPACE_PARAMETERS
    return {
        "meco": slow_meco(network, images, seed),
        "swap": swap,
        "swap_reg": swap * math.exp(-((parameters - mean) ** 2) / variance),
        **(slow_az(network, images, seed) if isinstance(network, Network) else dict.fromkeys(AZ, math.nan)),
    }


# Values.


@every_network
def test_later_measures_follow_their_definitions(build):
    network, images, labels = drawn(build)
    values = zero_cost(network, images, labels, LATER, seed=5)
    assert values == close(slow_later(network, images, seed=5))


@settings(max_examples=6, deadline=None)
@given(ops=st.tuples(*[st.sampled_from(OPERATIONS)] * 6), seed=st.integers(0, 2**20), batch=st.integers(30, 35))
def test_later_measures_of_any_architecture_follow_their_definitions(ops, seed, batch):
    network, images, labels = drawn(lambda: nats_network(ops), seed, batch)
    assert zero_cost(network, images, labels, LATER, seed) == close(slow_later(network, images, seed))


def test_a_block_that_hands_on_several_tensors_is_known_by_its_own():
    network, images, labels = drawn(lambda: build_darts_network(sample_genotypes(1, 0)[0], CLASSES, 2, 3))
    values = zero_cost(network, images, labels, AZ)
    assert all(map(math.isfinite, values.values())) and values == close(slow_az(network, images, seed=0))


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, features):
        return self.factor * features


def network_of(*blocks):
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, CLASSES))
    return Network(nn.Conv2d(3, 3, 1), list(blocks), head, default_first_free_block=0)


def test_what_is_known_of_blocks_that_multiply():
    """Their Jacobian is the factor, and they leave the shares of the components as they are."""
    network, images, labels = drawn(lambda: network_of(Times(2), Times(-0.5)), side=16)
    values = zero_cost(network, images, labels, AZ)
    assert values["az_progressivity"] == pytest.approx(0, abs=1e-9)
    twice, half = 2 - 2 - 1 / 2, 2 - 0.5 - 1 / 0.5
    assert values["az_trainability"] == pytest.approx((twice + half) / 2, abs=0.05)


@pytest.mark.parametrize(
    "blocks, undefined, reason",
    [
        ([Times(1)], 1, "a block hands its input on"),
        ([Times(0)], 3, "the output of its stem or of a block is constant"),
        ([nn.Flatten()], 3, "its stem or a block gives no feature map"),
        ([nn.Upsample(scale_factor=2)], 1, "a block does not change the resolution by a whole factor"),
        ([nn.MaxPool2d(3, 1)], 1, "a block does not change the resolution by a whole factor"),
        ([], 2, "it has no block"),
    ],
)
def test_parts_of_az_nas_say_why_they_have_no_value(blocks, undefined, reason):
    network, images, labels = drawn(lambda: network_of(*blocks))
    if isinstance(network.blocks[0] if blocks else None, nn.Flatten):
        network.head = nn.Linear(192, CLASSES).double()
    values, told = reasons(network, images, labels, AZ)
    assert len(told) == undefined and reason in told.values()


def test_other_modules_have_no_parts_of_az_nas():
    network, images, labels = drawn(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES)))
    _, told = reasons(network, images, labels, LATER)
    assert {told[name] for name in AZ} == {"it is no fearlib.Network, which is built of a stem and blocks"}
    assert told["meco"] == "none of its modules gives a feature map of several positions"
    assert told["swap"] == told["swap_reg"] == "it has no ReLU module"


def test_an_architecture_of_none_has_no_parts_of_az_nas():
    _, told = reasons(*drawn(lambda: nats_network(ONLY_NONE)), LATER)
    assert told == dict.fromkeys(AZ[:2], "the output of its stem or of a block is constant") | {
        "az_trainability": "a block's output does not depend on its input"
    }


def test_numbers_that_are_not_finite_within_a_network():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, features):
            return self.scale * features

    network, images, labels = drawn(lambda: network_of(nn.Sequential(Scale(), nn.ReLU())))
    network.blocks[0][0].scale.data.fill_(math.nan)
    values, told = reasons(network, images, labels, LATER)
    assert not values and set(told.values()) == {"the network's blocks.0.0.scale holds NaN or an infinity"}


def test_the_weights_play_no_part_and_the_seed_does():
    network, images, labels = drawn(nats_network, batch=10)
    values = zero_cost(network, images, labels, LATER)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    assert zero_cost(network, images, labels, LATER) == values
    others = zero_cost(network, images, labels, LATER, seed=1)
    assert all(others[name] != values[name] for name in LATER)
    assert set(LATER) < set(UNCHANGED_BY_TRAINING)  # which degradation leaves out


def test_only_swap_looks_at_the_images_and_at_no_more_than_32():
    network, images, labels = drawn(nats_network, batch=40)
    values = zero_cost(network, images, labels, LATER)
    images[32:] += 1
    assert zero_cost(network, images, labels, LATER) == values
    images[:32] *= torch.rand_like(images[:32])
    others = zero_cost(network, images, labels, LATER)
    assert {name for name in LATER if others[name] != values[name]} == {"swap", "swap_reg"}


@pytest.mark.parametrize("name, images, passes", [
    ("meco", 2, 1), ("swap", 32, 1), ("swap_reg", 32, 1), ("near", 40, 1), ("nwot", 40, 1), ("macs", 40, 1),
    ("az_expressivity", 64, 1), ("az_progressivity", 64, 1), ("az_trainability", 64, 2),
])  # fmt: skip
def test_a_measure_is_charged_for_the_images_that_go_through_the_network(name, images, passes):
    """As many as its first layer sees; what comes after the forward pass is charged as the definitions say."""
    network, minibatch, labels = drawn(nats_network, batch=40)
    seen = []
    network.stem[0].register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    zero_cost(network, minibatch, labels, (name,))
    assert sum(seen) == images and zero_cost_macs(name, 1000, 40) == 1000 * images * passes


def test_the_parameters_of_the_whole_space():
    """All 15,625, each as the sum of what its edges add; and of a few of them as they are built."""
    bare = build_network(Architecture(ONLY_NONE), 10).num_parameters
    added = {op: build_network(Architecture((op, *ONLY_NONE[1:])), 10).num_parameters - bare for op in OPERATIONS}
    for architecture in sample_architectures(4, 0):
        expected = bare + sum(added[op] for op in architecture.ops)
        assert build_network(architecture, 10).num_parameters == expected
    counts = [bare + sum(edges) for edges in itertools.product(added.values(), repeat=6)]
    assert len(counts) == 15625
    assert SPACE_PARAMETERS == pytest.approx((np.mean(counts) / 1e6, np.var(counts) / 1e12))
