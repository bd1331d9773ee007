"""Features of noise images, and of images a little beside them (Lin et al. 2021), which `zen` compares."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fearlib.errors import Undefined
from fearlib.scores.minibatch import Minibatch, noise
from fearlib.spaces.network import hooked

PERTURBATION = 0.01  # of standard normal noise


def perturbed_features(batch: Minibatch) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Features of noise images and of slightly other ones, and each batch norm's variances of the first.

    Weights of convolutions and linear layers are standard normal, batch norm is without its affine map. The
    features are what the last adaptive pooling takes in, or else the last linear layer. Raises Undefined if
    there is no such layer, or if it does not run once a pass.
    """
    generator = batch.generator()
    state = batch.redrawn_state(lambda weight: noise(weight, generator))
    images = noise(batch.images, generator)
    others = images + PERTURBATION * noise(images, generator)
    norms = batch.modules(_BatchNorm)
    readers = batch.modules(nn.AdaptiveAvgPool2d) or batch.modules(nn.Linear)
    if not readers:
        raise Undefined("it has neither an adaptive pooling nor a linear layer that takes in features")
    reader = readers[-1]
    read, variances = [], []

    def vary(_, inputs, __):
        variances.append(inputs[0].transpose(0, 1).flatten(1).var(1, correction=0))

    with torch.no_grad(), hooked([reader], lambda _, inputs, __: read.append(inputs[0])):
        with hooked(norms, vary):
            batch.run(state, images)
        batch.run(state, others)
    if len(read) != 2:
        raise Undefined(f"its {type(reader).__name__} runs {len(read) // 2} times a pass, not once")
    return *read, variances
