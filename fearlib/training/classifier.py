"""What a classifier takes and gives, checked once, so that a mistake is a sentence and not a number."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from fearlib.data.checks import check_labels, check_tensor, dtype_text
from fearlib.errors import InputError
from fearlib.spaces.state import ordinary

PRECISE = (torch.float32, torch.float64)  # sums over all weights leave the range of half precision


def check_minibatch(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images, detached, and their labels as int64, ready for this network.

    Raises InputError unless `images` (batch, channels, height, width) are float32 or float64 as the network's
    parameters are, on the same device, and `labels` class numbers (batch,). Values are not looked at.
    """
    if not isinstance(network, nn.Module):
        raise InputError(f"the network is a {type(network).__name__}: it must be a torch.nn.Module.")
    check_tensor("images", images)
    if images.dim() != 4 or 0 in images.shape:
        raise InputError(
            f"images have the shape {tuple(images.shape)}: it must be (batch, channels, height, width), "
            "none of them 0."
        )
    _check_dtype("images are", images)
    for name, parameter in network.named_parameters():
        check_initialised(name, parameter)
        _check_dtype(f"the network's {name} is", parameter)
        if (parameter.dtype, parameter.device) != (images.dtype, images.device):
            raise InputError(
                f"images are {dtype_text(images.dtype)} on {images.device}, but the network's {name} is "
                f"{dtype_text(parameter.dtype)} on {parameter.device}: they must be alike."
            )
    return ordinary(images.detach()), check_labels("labels", labels, len(images)).to(images.device)


def check_initialised(name: str, parameter: torch.Tensor) -> None:
    """Raises InputError for a parameter of a lazy module that no image went through yet."""
    if is_lazy(parameter):
        raise InputError(f"the network's {name} is not initialised yet: run an image through the network first.")


def check_logits(output: torch.Tensor, images: int, largest_label: int) -> torch.Tensor:
    """A network's output for that many images. Raises InputError unless it is logits, with one for every label."""
    if not isinstance(output, torch.Tensor):
        raise InputError(
            f"the network returns a {type(output).__name__}: it must return logits (batch, classes) alone, so "
            "wrap one that returns features or auxiliary logits too."
        )
    if output.dim() != 2 or len(output) != images:
        raise InputError(
            f"the network returns the shape {tuple(output.shape)} for {images} images: "
            "it must be (batch, classes)."
        )
    if largest_label >= output.shape[1]:
        raise InputError(
            f"labels go up to {largest_label}, but the network has {output.shape[1]} classes, numbered from 0."
        )
    return output


def has_one_value(error: ValueError) -> bool:
    """Whether torch says so of a normalisation that had one value a channel."""
    return "more than 1 value per channel" in str(error) or "more than 1 spatial element" in str(error)


def _check_dtype(what: str, tensor: torch.Tensor) -> None:
    if tensor.dtype not in PRECISE:
        raise InputError(
            f"{what} {dtype_text(tensor.dtype)}: measures need float32 or float64 (images normalised, the network "
            "as network.float() makes it)."
        )
