"""A network's parameters and buffers as copies, by which it runs without its own being touched."""

from collections.abc import Callable

import torch
from torch import nn


def copied_state(
    network: nn.Module,
    convert: Callable[[torch.Tensor], torch.Tensor] = lambda value: value,
) -> dict[str, torch.Tensor]:
    """Detached parameters that ask for gradients, shared ones once, with copies of the buffers.

    By the names of `named_modules`, as torch's `functional_call` takes them with `tie_weights=False`. What is a
    floating-point number is as `convert` makes it; parameters of four dimensions lie in channels-last memory.
    """
    state, detached = {}, {}
    for path, module in network.named_modules():  # each once
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in detached:
                value = channels_last(convert(ordinary(parameter.detach())))
                detached[id(parameter)] = value.requires_grad_()
            state[f"{path}.{name}".lstrip(".")] = detached[id(parameter)]
        for name, buffer in module.named_buffers(recurse=False):
            copy = buffer.clone()
            state[f"{path}.{name}".lstrip(".")] = convert(copy) if buffer.is_floating_point() else copy
    return state


def channels_last(value: torch.Tensor) -> torch.Tensor:
    """The same values, in channels-last memory if they have four dimensions."""
    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value


def ordinary(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, or a copy if it was made in torch's inference mode, so that it can be differentiated."""
    return tensor.clone() if tensor.is_inference() else tensor
