"""Images and labels as tensors: what of them can be trained on."""

import numpy as np
import torch

from fearlib.errors import InputError


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


def check_tensor(what: str, value: object) -> None:
    """Raises InputError unless it is a torch.Tensor."""
    if not isinstance(value, torch.Tensor):
        hint = ", as torch.from_numpy makes one" if isinstance(value, np.ndarray) else ""
        kind = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
        raise InputError(f"{what} are a {kind}: a torch.Tensor is needed{hint}.")


def ordinary(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, or a copy if it was made in torch's inference mode, so that it can be differentiated."""
    return tensor.clone() if tensor.is_inference() else tensor


def dtype_text(dtype: torch.dtype) -> str:
    """`float32` of torch.float32."""
    return str(dtype).removeprefix("torch.")
