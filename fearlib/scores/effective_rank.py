"""The effective rank of what a layer hands on (Roy & Vetterli 2007), which `near` sums."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fearlib.errors import Undefined
from fearlib.scores.kaiming import by_position
from fearlib.scores.minibatch import NO_LAYER, Minibatch
from fearlib.spaces.network import hooked
from fearlib.spaces.state import copied_state


def effective_ranks(batch: Minibatch) -> list[torch.Tensor]:
    """Of the output of every convolution, linear layer, batch norm and ReLU, with the network's own weights.

    A line of the matrix is a position of an image, a column a channel: the last axis of a linear layer's output,
    the second of any other. Of its lines as many as there are columns count, in a row from a random one that
    begins a line of pixels; all where there are no more. Raises Undefined if there is no such module.
    """
    batch.refuse_infinite_images()
    generator, ranks = batch.generator(), []

    def look(module, _, output):
        batch.refuse_infinite([output])
        lines = output.flatten(0, -2) if isinstance(module, nn.Linear) else by_position(output)
        width = output.shape[-1] if output.dim() == 4 else 1
        size = lines.shape[1]
        starts = max(len(lines) - size, 0) // width + 1
        start = width * int(torch.randint(starts, (), generator=generator, device=output.device))
        ranks.append(effective_rank(lines[start : start + size]))

    state = copied_state(batch.network)
    with torch.no_grad(), hooked(batch.modules(nn.Conv2d, nn.Linear, _BatchNorm, nn.ReLU), look):
        batch.run(state, batch.images)
    if not ranks:
        raise Undefined(NO_LAYER)
    return ranks


def effective_rank(matrix: torch.Tensor) -> torch.Tensor:
    """exp of the entropy of the shares that the singular values have in their sum; 0 of a matrix of zeros."""
    values = torch.linalg.svdvals(matrix.double())
    return torch.special.entr(values / values.sum()).sum().exp() if values.any() else values.sum()
