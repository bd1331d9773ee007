"""An architecture becomes a network: the NATS-Bench macro skeleton around its cell."""

import torch
from torch import nn

from fearlib.errors import check_whole
from fearlib.spaces.nats import EDGES, Architecture, freeze_point
from fearlib.spaces.network import AvgPool3x3, Network, check_kind, relu_conv_bn


def build_network(architecture: Architecture, num_classes: int, channels: int = 16, cells: int = 5) -> "Network":
    """The NATS-Bench network of a cell (Dong & Yang, NAS-Bench-201, 2020).

    Stem, then three stages of `cells` cells at `channels`, 2 and 4 times as many channels, joined by two
    residual reduction blocks, then batch norm, ReLU, average pooling and a linear classifier. At five cells
    the blocks are numbered 0..16, the reductions being 5 and 11. Weights are PyTorch's default
    initialisation, drawn from torch's global generator. Takes images of shape (batch, 3, height, width), their
    sides multiples of 4, and gives logits of shape (batch, num_classes). Raises InputError if a size is not a
    positive integer, or it is no Architecture.
    """
    check_whole(1, num_classes=num_classes, channels=channels, cells=cells)
    check_kind(architecture, Architecture)
    blocks = []
    for stage in range(3):
        width = channels * 2**stage
        if stage > 0:
            blocks.append(Reduction(width // 2, width))
        blocks.extend(Cell(architecture, width) for _ in range(cells))
    stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
    head = nn.Sequential(
        nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)
    )
    return Network(stem, blocks, head, freeze_point(cells), stride=4)


class Cell(nn.Module):
    """Four nodes, each the sum of its incoming edges; node 0 is the input and node 3 the output."""

    def __init__(self, architecture: Architecture, channels: int):
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                f"{source}-{target}": _operation(op, channels)
                for (source, target), op in zip(EDGES, architecture.ops)
                if op != "none"
            }
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        nodes = [features]
        for target in (1, 2, 3):
            incoming = [
                self.edges[f"{source}-{target}"](node)
                for source, node in enumerate(nodes)
                if f"{source}-{target}" in self.edges
            ]
            nodes.append(sum(incoming[1:], incoming[0]) if incoming else torch.zeros_like(features))
        return nodes[3]


class Reduction(nn.Module):
    """Residual block that halves the resolution and doubles the channels."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.main = nn.Sequential(
            relu_conv_bn(channels_in, channels_out, kernel=3, stride=2),
            relu_conv_bn(channels_out, channels_out, kernel=3),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels_in, channels_out, 1, bias=False))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.main(features) + self.shortcut(features)


def _operation(op: str, channels: int) -> nn.Module:
    if op == "skip_connect":
        return nn.Identity()
    if op == "avg_pool_3x3":
        return AvgPool3x3(stride=1)
    return relu_conv_bn(channels, channels, kernel={"nor_conv_1x1": 1, "nor_conv_3x3": 3}[op])
