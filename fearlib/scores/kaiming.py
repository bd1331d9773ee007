"""Passes with Kaiming weights, over noise or the minibatch, which the measures of 2023 and later share.

They need neither labels nor the network's own weights. What a pass finds is its statistic, not the features, of
which a network has more than fit into memory at once.
"""

from typing import NamedTuple

import torch

from fearlib.errors import Undefined
from fearlib.scores.minibatch import Minibatch, gradients_of, noise, refuse_other_rows, shared_pass
from fearlib.scores.second_order import cheap_second_derivatives
from fearlib.spaces.network import Network, hooked
from fearlib.spaces.state import channels_last

NOISE_IMAGES = 64
PAIR = 2  # noise images of which the first is looked at
PATTERN_IMAGES = 32  # of the minibatch, at most


class Drawn(NamedTuple):
    """A network's `state` with other weights, noise images, and a generator for further noise."""

    state: dict[str, torch.Tensor]
    images: torch.Tensor
    generator: torch.Generator


class Blocks(NamedTuple):
    """`outputs` of the stem and of every block, and the same as `inputs` of what follows, cut from their past."""

    outputs: list[torch.Tensor]
    inputs: list[torch.Tensor]


@shared_pass
def kaiming(batch: Minibatch) -> Drawn:
    """Weights of convolutions and linear layers as He et al. (2015) draw them, and noise images.

    Normal, with a variance of 2 / (weights of an output channel); biases 0, batch norm's weights 1. The images are
    standard normal, in the shape of the minibatch's but `NOISE_IMAGES` in number.
    """
    generator = batch.generator()
    state = batch.redrawn_state(lambda weight: noise(weight, generator) * (2 / weight[0].numel()) ** 0.5)
    images = noise(batch.images[:1].expand(NOISE_IMAGES, -1, -1, -1), generator)
    return Drawn(state, images, generator)


@shared_pass
def blocks(batch: Minibatch) -> Blocks:
    """A pass of the noise images, of which each block's part is differentiable alone.

    Of a block that hands on several tensors the last is its own; the others pass by. Raises Undefined unless the
    network has a stem and blocks that give feature maps.
    """
    if not isinstance(batch.network, Network):
        raise Undefined("it is no fearlib.Network, which is built of a stem and blocks")
    drawn, found = kaiming(batch), Blocks([], [])

    def cut(_, inputs, output):
        *others, own = output if isinstance(output, tuple) else (output,)
        if own.dim() != 4:
            raise Undefined("its stem or a block gives no feature map")
        batch.refuse_infinite([own])
        found.outputs.append(own)
        found.inputs.append(own.detach().requires_grad_())
        handed_on = found.inputs[-1].clone()  # the next block may write into it
        return (*others, handed_on) if isinstance(output, tuple) else handed_on

    parts = [batch.network.stem, *batch.network.blocks]
    with cheap_second_derivatives(batch.network), hooked(parts, cut):
        batch.run(drawn.state, drawn.images)
    return found


@shared_pass
def block_entropies(batch: Minibatch) -> list[torch.Tensor]:
    """Of the stem's and every block's output the entropy of its principal components.

    That is of the shares that the eigenvalues of its channels' covariance, over images and positions, have in
    their sum. Raises Undefined if an output is constant.
    """
    entropies = []
    for output in blocks(batch).outputs:
        values = torch.linalg.eigvalsh(torch.atleast_2d(torch.cov(by_position(output).double().T))).clamp(min=0)
        if values.sum() == 0:
            raise Undefined("the output of its stem or of a block is constant")
        shares = values / values.sum()
        entropies.append(-(shares * (shares + 1e-8).log()).sum())
    return entropies


@shared_pass
def block_jacobians(batch: Minibatch) -> list[torch.Tensor]:
    """Of every block a random estimate of its Jacobian between channels, (channels in, channels out).

    The mean of h g over images and positions, g random signs in the shape of the block's output and h their
    product with the block's Jacobian. If a block lowers the resolution, the positions of its input that become one
    count as channels. Raises Undefined where h is nothing, or g, as of a block that hands its input on.
    """
    found, generator, jacobians = blocks(batch), kaiming(batch).generator, []
    for output, before in zip(found.outputs[1:], found.inputs):
        signs = torch.randint(0, 2, output.shape, generator=generator, device=output.device, dtype=torch.int8)
        g = channels_last(signs.to(output) * 2 - 1)
        (h,) = gradients_of(output, [before], grad_outputs=g)
        batch.refuse_infinite([h])
        if not h.any():
            raise Undefined("a block's output does not depend on its input")
        if torch.equal(g, h):
            raise Undefined("a block hands its input on")
        factor = h.shape[-1] // g.shape[-1] or 1
        if h.shape[2:] != tuple(factor * side for side in g.shape[2:]):
            raise Undefined("a block does not change the resolution by a whole factor")
        h = torch.nn.functional.pixel_unshuffle(h, factor)
        jacobians.append(by_position(h).T @ by_position(g) / by_position(g).shape[0])
    return jacobians


@shared_pass
def channel_correlations(batch: Minibatch) -> list[torch.Tensor]:
    """Of every feature map that a module without children gives, the correlations of its channels over positions.

    Of the first of `PAIR` noise images; undefined ones are 0. Raises Undefined if no map has two positions.
    """
    drawn, correlations = kaiming(batch), []

    def correlate(_, inputs, output):
        if isinstance(output, torch.Tensor) and output.dim() == 4 and output[0, 0].numel() > 1:
            batch.refuse_infinite([output])
            correlation = torch.atleast_2d(torch.corrcoef(output[0].flatten(1).double()))
            correlations.append(correlation.nan_to_num(0))

    leaves = [module for module in batch.network.modules() if next(module.children(), None) is None]
    with torch.no_grad(), hooked(leaves, correlate):
        batch.run(drawn.state, drawn.images[:PAIR])
    if not correlations:
        raise Undefined("none of its modules gives a feature map of several positions")
    return correlations


@shared_pass
def patterns(batch: Minibatch) -> torch.Tensor:
    """Of every unit after a ReLU which of the first `PATTERN_IMAGES` images switch it on, as the bits of a number.

    Raises Undefined if there is no ReLU module, or if one gives other rows than one an image.
    """
    batch.refuse_infinite_images(PATTERN_IMAGES)
    images, found = batch.images[:PATTERN_IMAGES], []
    place = torch.arange(len(images), device=images.device)[:, None]

    def switch(_, inputs, output):
        batch.refuse_infinite([output])
        refuse_other_rows(output, len(images))
        on = output.movedim(1, -1).flatten(1) > 0  # the order in memory: any order of the units will do
        found.append((on.long() << place).sum(0))

    with torch.no_grad(), hooked(batch.modules(torch.nn.ReLU), switch):
        batch.run(kaiming(batch).state, images)
    if not found:
        raise Undefined("it has no ReLU module")
    return torch.cat(found)


def by_position(features: torch.Tensor) -> torch.Tensor:
    """(images x height x width, channels)"""
    return features.detach().movedim(1, -1).flatten(0, -2)
