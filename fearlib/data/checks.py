"""Images and labels as tensors: what of them can be trained on."""

import numpy as np
import torch

from fearlib.errors import InputError
from fearlib.spaces.state import ordinary


def check_labels(what: str, labels: torch.Tensor, images: int) -> torch.Tensor:
    """Labels as int64. Raises InputError unless they are class numbers from 0, one for each of the images."""
    check_tensor(what, labels)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"{what} are {dtype_text(labels.dtype)}: they must be class numbers, integers from 0.")
    if labels.shape != (images,) or not images:
        raise InputError(
            f"{what} have the shape {tuple(labels.shape)} for {images} images: there must be one class number for "
            "each, and at least one."
        )
    labels = ordinary(labels).long()
    if labels.min() < 0:
        raise InputError(f"{what} hold {int(labels.min())}: classes are numbered from 0.")
    return labels


def check_images(what: str, images: torch.Tensor) -> None:
    """Raises InputError unless they are (count, 3, side, side), of uint8 or of finite floating-point numbers."""
    check_tensor(what, images)
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise InputError(f"{what} are {dtype_text(images.dtype)}: they must be uint8 or floating-point numbers.")
    if images.is_floating_point() and not images.isfinite().all():
        raise InputError(f"{what} hold NaN or an infinity.")
    if images.dim() != 4 or images.shape[1] != 3 or images.shape[-1] != images.shape[-2]:
        raise InputError(f"{what} have the shape {tuple(images.shape)}: it must be (count, 3, side, side).")


def check_mean_and_std(mean: torch.Tensor, std: torch.Tensor) -> None:
    """Raises InputError unless both are three finite numbers, those of the std above 0."""
    for name, value, numbers in (("mean", mean, "numbers"), ("std", std, "numbers above 0")):
        check_tensor("the mean and std", value)
        if value.shape != (3,) or not value.isfinite().all() or name == "std" and not (value > 0).all():
            raise InputError(f"the {name} is {value.tolist()}: it must be three {numbers}, one a channel.")


def check_tensor(what: str, value: object) -> None:
    """Raises InputError unless it is a torch.Tensor."""
    if not isinstance(value, torch.Tensor):
        hint = ", as torch.from_numpy makes one" if isinstance(value, np.ndarray) else ""
        kind = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
        raise InputError(f"{what} are a {kind}: a torch.Tensor is needed{hint}.")


def dtype_text(dtype: torch.dtype) -> str:
    """`float32` of torch.float32."""
    return str(dtype).removeprefix("torch.")
