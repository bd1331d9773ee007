"""A genotype becomes a network: the CIFAR network of DARTS around its two cells."""

import torch
from torch import nn

from fearlib.errors import InputError, check_whole
from fearlib.spaces.darts import EDGES, Genotype, freeze_point, reductions
from fearlib.spaces.network import AvgPool3x3, Network, check_kind, relu_conv_bn

Pair = tuple[torch.Tensor, torch.Tensor]  # outputs of the last cell but one and of the last cell


def build_darts_network(genotype: Genotype, num_classes: int, channels: int = 36, cells: int = 20) -> Network:
    """The network in which DARTS evaluates a genotype on CIFAR (Liu, Simonyan & Yang, DARTS, 2019).

    Stem, then `cells` cells, of which those numbered cells // 3 and 2 * cells // 3 are reduction cells that halve
    the resolution and double the channels, then average pooling and a linear classifier. The blocks are the cells,
    0..cells - 1. There is neither an auxiliary head nor drop path. Weights are PyTorch's default initialisation,
    drawn from torch's global generator. Takes images of shape (batch, 3, height, width), their sides multiples of
    4, and gives logits of shape (batch, num_classes). Raises InputError if a size is not a positive integer,
    `cells` is below 3, or it is no Genotype.
    """
    check_whole(1, num_classes=num_classes, channels=channels, cells=cells)
    check_kind(genotype, Genotype)
    if cells < 3:
        raise InputError(f"cells is {cells}: it must be at least 3, or there is no room for two reductions.")
    last_but_one = last = 3 * channels
    stem = _Stem(nn.Conv2d(3, last, 3, padding=1, bias=False), nn.BatchNorm2d(last))
    reduces_at = reductions(cells)
    blocks = []
    for number in range(cells):
        if number in reduces_at:
            channels *= 2
        blocks.append(
            DartsCell(genotype, last_but_one, last, channels, number in reduces_at, number - 1 in reduces_at)
        )
        last_but_one, last = last, 4 * channels
    head = _Head(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, num_classes))
    return Network(stem, blocks, head, freeze_point(cells), stride=4)


class DartsCell(nn.Module):
    """Four nodes, each the sum of two edges; the output is their channels side by side.

    Takes the outputs of the last cell but one and of the last cell, with `last_but_one` and `last` channels, and
    hands on the latter and its own. A `reduction` cell strides on the edges from its inputs.
    """

    def __init__(
        self,
        genotype: Genotype,
        last_but_one: int,
        last: int,
        channels: int,
        reduction: bool,
        after_reduction: bool,
    ):
        super().__init__()
        preprocess = FactorizedReduction if after_reduction else relu_conv_bn
        edges = genotype.reduce if reduction else genotype.normal
        self.sources = [source for _, source in edges]
        self.preprocess = nn.ModuleList([preprocess(last_but_one, channels), relu_conv_bn(last, channels)])
        self.edges = nn.ModuleList(
            _operation(op, channels, stride=2 if reduction and source < 2 else 1) for op, source in edges
        )

    def forward(self, inputs: Pair) -> Pair:
        nodes = [preprocess(features) for preprocess, features in zip(self.preprocess, inputs)]
        for first in range(0, EDGES, 2):
            one, other = (self.edges[edge](nodes[self.sources[edge]]) for edge in (first, first + 1))
            nodes.append(one + other)
        return inputs[1], torch.cat(nodes[2:], dim=1)


class FactorizedReduction(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2 that look at different pixels, half the channels each, batch norm."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(channels_in, channels_out // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(channels_in, channels_out - channels_out // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.relu(features)
        return self.norm(torch.cat([self.even(features), self.odd(features[:, :, 1:, 1:])], dim=1))


class _Stem(nn.Sequential):
    def forward(self, images: torch.Tensor) -> Pair:
        features = super().forward(images)
        return features, features


class _Head(nn.Sequential):
    def forward(self, inputs: Pair) -> torch.Tensor:
        return super().forward(inputs[1])


def _operation(op: str, channels: int, stride: int) -> nn.Module:
    if op == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)
    if op == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if op == "avg_pool_3x3":
        return AvgPool3x3(stride)
    kernel = {"sep_conv_3x3": 3, "sep_conv_5x5": 5, "dil_conv_3x3": 3, "dil_conv_5x5": 5}[op]
    if op.startswith("dil_conv"):
        return _depthwise_separable(channels, kernel, stride, dilation=2)
    return nn.Sequential(
        _depthwise_separable(channels, kernel, stride), _depthwise_separable(channels, kernel, stride=1)
    )


def _depthwise_separable(channels: int, kernel: int, stride: int, dilation: int = 1) -> nn.Module:
    """ReLU, one convolution for each channel, 1x1 convolution, batch norm."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )
