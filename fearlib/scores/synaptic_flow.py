"""The pass of one image of ones through a network of absolute weights (Tanaka et al. 2020) of both `synflow`s."""

import contextlib

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fearlib.errors import Undefined, one_line
from fearlib.scores.forward_passes import runs_as, without_batch_norm
from fearlib.scores.minibatch import Minibatch, gradients_of
from fearlib.spaces.state import copied_state


def synaptic_flow(batch: Minibatch, keep_batch_norm: bool) -> torch.Tensor:
    """Sum of |W * dR/dW|, R the summed logits of one image of ones, parameters and buffers absolute.

    Raises Undefined if batch norm is to be removed and has a forward pass of its own, or if the network does
    not compute in double precision.
    """
    for norm in [] if keep_batch_norm else batch.modules(_BatchNorm):
        if not (runs_as(norm, _BatchNorm) or runs_as(norm, nn.SyncBatchNorm)):
            raise Undefined(f"its {type(norm).__name__} cannot be removed: it has a forward pass of its own")
    state = copied_state(batch.network, lambda value: value.double().abs())
    weights, ones = batch.weights_in(state), torch.ones_like(batch.images[:1], dtype=torch.float64)
    try:
        with contextlib.nullcontext() if keep_batch_norm else without_batch_norm(batch.network):
            flow = batch.run(state, ones).sum()
    except RuntimeError as error:
        if "dtype" not in str(error) and "scalar type" not in str(error):
            raise
        raise Undefined(f"it does not compute in double precision ({one_line(error)})") from error
    return sum((weight * gradient).abs().sum() for weight, gradient in zip(weights, gradients_of(flow, weights)))
