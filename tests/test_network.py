import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fearlib import OPERATIONS, Architecture, Genotype, InputError, Network, build_network, zero_cost
from fearlib.spaces import darts
from fearlib.spaces.nats import freeze_point
from fearlib.spaces.nats_network import Cell
from fearlib.spaces.registry import build

ALL_CONV = Architecture(["nor_conv_3x3"] * 6)
architectures = st.builds(Architecture, st.tuples(*[st.sampled_from(OPERATIONS)] * 6))


def test_published_parameters_and_macs():
    network = build_network(ALL_CONV, 10)
    assert network.num_parameters == 1_531_546  # NAS-Bench-201
    assert network.macs(32) == 220_119_680  # NAS-Bench-201 gives 220.12 M


def normalised(features):
    """Batch norm as it is at first: by the batch's own mean and variance."""
    mean, variance = features.mean((0, 2, 3), keepdim=True), features.var((0, 2, 3), unbiased=False, keepdim=True)
    return (features - mean) / (variance + 1e-5).sqrt()


def test_the_skeleton_around_the_cell_written_out():
    """A stem, a cell of the identity a stage, and between stages a residual block of half the resolution."""
    torch.manual_seed(0)
    identity = Architecture(["none", "none", "none", "skip_connect", "none", "none"])
    network = build_network(identity, 10, channels=4, cells=1).double()
    images = torch.randn(5, 3, 8, 8, dtype=torch.double)
    features = normalised(F.conv2d(images, network.stem[0].weight, padding=1))
    for reduction in (network.blocks[1], network.blocks[3]):
        first, second = (layer.weight for layer in reduction.main.modules() if isinstance(layer, nn.Conv2d))
        main = normalised(F.conv2d(features.clamp(min=0), first, stride=2, padding=1))
        main = normalised(F.conv2d(main.clamp(min=0), second, padding=1))
        count, channels, side, _ = features.shape
        pooled = features.reshape(count, channels, side // 2, 2, side // 2, 2).mean((3, 5))
        features = main + torch.einsum("oi,bihw->bohw", reduction.shortcut[1].weight[:, :, 0, 0], pooled)
    logits = network.head[-1](normalised(features).clamp(min=0).mean((2, 3)))
    torch.testing.assert_close(network.train()(images), logits)


@settings(max_examples=20, deadline=None)
@given(architectures, st.integers(1, 8), st.integers(1, 3), st.sampled_from([2, 10]))
def test_counts_by_hand(architecture, channels, cells, classes):
    """Parameters and multiply-accumulates added up from the operations' definitions."""
    parameters, macs, side = 27 * channels + 2 * channels, 27 * channels * 16**2, 16
    for stage in range(3):
        width = channels * 2**stage
        if stage > 0:
            half = width // 2
            weights = 9 * half * width + 9 * width * width + half * width
            parameters += weights + 4 * width
            side //= 2
            macs += weights * side**2
        for op in architecture.ops:
            kernel = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}.get(op)
            if kernel:
                parameters += cells * (kernel * width**2 + 2 * width)
                macs += cells * kernel * width**2 * side**2
    parameters += 2 * width + width * classes + classes
    macs += width * classes
    network = build_network(architecture, classes, channels, cells)
    assert network.num_parameters == parameters
    assert network.macs(16) == macs


def macs_by_torch(network, side, in_channels=3):
    """torch counts two operations for every multiply-accumulate."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, in_channels, side, side))
    return counter.get_total_flops() / 2


@settings(max_examples=8, deadline=None)
@given(
    st.one_of(architectures, st.builds(Genotype.from_index, st.integers(0, darts.SPACE_SIZE - 1))),
    st.integers(2, 8), st.integers(3, 5), st.sampled_from([4, 8, 12]), st.sampled_from([2, 10]),
)  # fmt: skip
def test_macs_are_those_that_torch_counts(architecture, channels, cells, side, classes):
    network = build(architecture, classes, channels, cells).eval()
    assert network.macs(side) == macs_by_torch(network, side)
    images, labels = torch.randn(2, 3, side, side), torch.tensor([0, 1])
    assert zero_cost(network, images, labels, ("macs",)) == {"macs": network.macs(side)}


class Tokens(nn.Module):
    """A linear layer on every position, as transformers have it."""

    def __init__(self, channels_in, channels):
        super().__init__()
        self.layer = nn.Linear(channels_in, channels)

    def forward(self, features):
        return self.layer(features.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, features.shape[2:])


def test_macs_of_layers_of_other_kinds_are_those_that_torch_counts():
    """Groups, strides, dilation, a linear layer on many positions, images of one channel."""
    blocks = [nn.Conv2d(4, 6, 3, stride=2, groups=2), Tokens(6, 5), nn.Conv2d(5, 5, (1, 3), dilation=2, groups=5)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
    network = Network(nn.Conv2d(1, 4, 3, padding=1), blocks, head, 1, in_channels=1)
    assert network.macs(13) == macs_by_torch(network, 13, in_channels=1)
    images, labels = torch.randn(2, 1, 13, 13), torch.tensor([0, 1])
    assert zero_cost(network, images, labels, ("macs",)) == {"macs": network.macs(13)}


@settings(max_examples=30, deadline=None)
@given(architectures)
def test_cell_is_the_sum_over_its_edges(architecture):
    """The cell against its definition written out node by node."""
    torch.manual_seed(0)
    cell = Cell(architecture, 4)
    x = torch.randn(2, 4, 6, 6)

    def edge(position, source, target, features):
        op = architecture.ops[position]
        if op == "none":
            return torch.zeros_like(features)
        if op == "skip_connect":
            return features
        if op == "avg_pool_3x3":
            ones = torch.ones_like(features)
            window = torch.ones(4, 1, 3, 3)
            total = F.conv2d(features, window, padding=1, groups=4)
            return total / F.conv2d(ones, window, padding=1, groups=4)
        conv = cell.edges[f"{source}-{target}"][1]
        out = F.conv2d(features.clamp(min=0), conv.weight, padding=conv.weight.shape[-1] // 2)
        mean, variance = out.mean((0, 2, 3), keepdim=True), out.var((0, 2, 3), keepdim=True, unbiased=False)
        return (out - mean) / (variance + 1e-5).sqrt()

    one = edge(0, 0, 1, x)
    two = edge(1, 0, 2, x) + edge(2, 1, 2, one)
    three = edge(3, 0, 3, x) + edge(4, 1, 3, one) + edge(5, 2, 3, two)
    torch.testing.assert_close(cell(x), three, atol=1e-4, rtol=1e-4)


def test_blocks_are_numbered_as_published():
    network = build_network(ALL_CONV, 10)
    assert len(network.blocks) == 17
    reductions = [number for number, block in enumerate(network.blocks) if not isinstance(block, Cell)]
    assert reductions == [5, 11]
    assert network.default_first_free_block == 13


@pytest.mark.parametrize("cells, first_free", [(1, 4), (2, 6), (3, 9), (4, 11), (5, 13), (10, 24)])
def test_freeze_point_at_other_depths(cells, first_free):
    """All but the last 4/5 of the last stage's cells are frozen, at least one stays free."""
    assert freeze_point(cells) == first_free


@given(cells=st.integers(1, 40))
def test_at_any_depth_a_part_of_the_last_stage_is_frozen(cells):
    """Four fifths of its cells, as near as they come, and never all of it is free but of one cell."""
    free = 3 * cells + 2 - freeze_point(cells)
    assert 1 <= free <= cells and abs(free - 0.8 * cells) <= 0.5


def test_images_shrink_by_four_and_channels_grow_by_four():
    network = build_network(Architecture.from_index(17), 7, channels=3, cells=2)
    shapes = []
    for block in network.blocks:
        block.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 7)
    assert shapes == [(3, 16, 16)] * 2 + [(6, 8, 8)] * 3 + [(12, 4, 4)] * 3


def test_counting_leaves_the_network_alone():
    network = build_network(ALL_CONV, 10, channels=2, cells=1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.macs(16)
    assert network.training and not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("first_free", range(6))
def test_frozen_parts_get_no_gradient(first_free):
    network = build_network(ALL_CONV, 10, channels=2, cells=1)
    network(torch.randn(4, 3, 8, 8), first_free).sum().backward()
    with_gradient = {id(parameter) for parameter in network.parameters() if parameter.grad is not None}
    assert with_gradient == {id(parameter) for parameter in network.free_parameters(first_free)}
    parts = [network.stem, *network.blocks, network.head]
    expected = parts if first_free == 0 else parts[first_free + 1 :]
    assert with_gradient == {id(parameter) for part in expected for parameter in part.parameters()}


def test_training_macs_count_forward_once_and_backward_twice():
    network = build_network(ALL_CONV, 10)
    below = nn.Sequential(network.stem, *network.blocks[:13])
    frozen = 0
    for layer in below.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda layer, _, out: counts.append(layer.weight.numel() * out.shape[2] * out.shape[3])
            )
    counts = []
    below(torch.zeros(2, 3, 32, 32))
    frozen = sum(counts)
    assert network.training_macs(32, 13) == frozen + 3 * (network.macs(32) - frozen)
    assert network.training_macs(32) == 3 * network.macs(32)


def test_wrong_sizes():
    with pytest.raises(InputError, match=r"first_free_block is 18: it must be an integer in 0\.\.17"):
        build_network(ALL_CONV, 10).free_parameters(18)
    network = build_network(ALL_CONV, np.int64(10), channels=np.int64(4), cells=np.int64(1))
    assert len(network.free_parameters(np.int64(1))) == len(network.free_parameters(1))
    assert network.macs(np.int64(8)) == build_network(ALL_CONV, 10, channels=4, cells=1).macs(8)
    with pytest.raises(InputError, match=r"first_free_block is 1.0: it must be an integer in 0\.\.5"):
        network.free_parameters(1.0)
    with pytest.raises(InputError, match="cells is 0: it must be an integer of at least 1"):
        build_network(ALL_CONV, 10, cells=0)


def ones_own(**sizes):
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return Network(nn.Conv2d(sizes.get("in_channels") or 3, 4, 3, padding=1), [nn.ReLU()], head, 0, **sizes)


def unpadded():
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return Network(nn.Conv2d(3, 4, 5), [nn.ReLU()], head, 0)


def test_a_network_of_ones_own_takes_any_side_unless_it_has_a_stride():
    assert ones_own()(torch.zeros(2, 3, 7, 5)).shape == (2, 2)
    assert ones_own().macs(7) == 4 * 27 * 7**2 + 8
    assert ones_own(stride=3)(torch.zeros(2, 3, 9, 6)).shape == (2, 2)
    assert ones_own(in_channels=1)(torch.zeros(2, 1, 8, 8)).shape == (2, 2)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ones_own(in_channels=0), "in_channels is 0: it must be an integer of at least 1"),
        (lambda: ones_own(stride=1.5), "stride is 1.5: it must be an integer of at least 1"),
        (lambda: ones_own(stride=3)(torch.zeros(1, 3, 9, 8)), "9x8 pixels: sides must be multiples of 3"),
        (lambda: ones_own()(torch.zeros(1, 1, 8, 8)), r"shape \(1, 1, 8, 8\): it must be \(batch, 3, height"),
        (lambda: ones_own()(torch.zeros(3, 8, 8)), r"shape \(3, 8, 8\): it must be \(batch, 3, height, width\)"),
        (lambda: build_network(ALL_CONV, 2)(torch.zeros(1, 3, 30, 32)), "30x32 pixels: sides must be"),
        (lambda: build_network(ALL_CONV, 10).macs(30), "30x30 pixels: sides must be multiples of 4"),
        (lambda: unpadded().macs(4), r"does not take images of the shape \(1, 3, 4, 4\)"),
        (lambda: build_network(ALL_CONV, 10).training_macs(0), "resolution is 0: it must be an integer of at"),
    ],
)  # fmt: skip
def test_sizes_and_images_that_a_network_does_not_take(call, message):
    with pytest.raises(InputError, match=message):
        call()
