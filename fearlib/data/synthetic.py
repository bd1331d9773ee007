"""Synthetic CIFAR-10: Gaussian noise, labelled by the loudest of ten random networks (Dey et al. 2021)."""

import contextlib
import os
import platform
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

from fearlib.data.dataset import ARRAYS, Dataset
from fearlib.data.folder import data_folder
from fearlib.errors import InputError, check_whole, one_line
from fearlib.files.outside import check_file
from fearlib.files.progress import progress
from fearlib.randomness import seeded

CLASSES = 10
SEED = 42
CHUNK = 10_000  # images drawn at once; part of the definition, since it orders the random numbers
FULL_TRAIN_IMAGES = 50_000
DRAWS_PER_TRAIN_IMAGE = 20  # 1,000,000 draws for the full 50,000


def load_synthetic(resolution: int = 32, train_images: int | None = None, folder: str | None = None) -> Dataset:
    """The synthetic dataset, from its cache or generated and cached (the full one takes tens of minutes).

    A smaller `train_images` (default 50,000) draws proportionally fewer images. The cache lies in `folder`,
    else in FEARLIB_DATA, else in pooch's cache folder; where that cannot be written the dataset stays in memory,
    with a warning. Raises InputError for a size that is no positive integer, and if a cached file is damaged.
    """
    train_images = FULL_TRAIN_IMAGES if train_images is None else train_images
    check_whole(1, resolution=resolution, train_images=train_images)
    path = data_folder(folder) / f"synthetic-{resolution}px-{train_images}.pt"
    if path.exists():
        arrays = _read_cache(path, resolution, train_images)
    else:
        arrays = generate_synthetic(resolution, train_images)
        _write_cache(arrays, path)
    arrays = [arrays[name] for name in ARRAYS]
    return Dataset("synthetic", f"generated from seed {SEED}", True, *arrays, num_classes=CLASSES)


def _write_cache(arrays: dict[str, torch.Tensor], path: Path) -> None:
    """In one step; a folder that cannot be written, as shared data often lies in, is no reason to stop."""
    partial = path.with_suffix(f".{platform.node()}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(arrays, partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # torch's own is a RuntimeError
        warnings.warn(
            f"{path} cannot be written, so the synthetic dataset is drawn again by every process; a folder that "
            f"can be written, as FEARLIB_DATA or `folder`, would keep it ({one_line(error)}).",
            stacklevel=3,
        )
    finally:  # after Ctrl-C, too
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _read_cache(path: Path, resolution: int, train_images: int) -> dict[str, torch.Tensor]:
    """The cached arrays. Raises InputError if they are damaged."""
    try:
        return _read_arrays(path, resolution, train_images)
    except (OSError, MemoryError) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}).") from error
    except Exception as error:  # torch raises nearly every kind there is
        raise InputError(
            f"{path} is not a complete cached dataset ({one_line(error)}): delete it, it will be made anew."
        ) from error


def _read_arrays(path: Path, resolution: int, train_images: int) -> dict[str, torch.Tensor]:
    """The tensors of ARRAYS. Raises nearly any kind of error unless they are of their type and size."""
    most = train_images * 6 // 5 * (3 * resolution**2 * 4 + 8) + 2**16
    check_file(path, most)
    with zipfile.ZipFile(path) as archive:  # torch would read other forms too, and unpack what is packed
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is packed")
        if archive.testzip():  # torch does not look
            raise ValueError("its checksums are wrong")
    arrays = torch.load(path, weights_only=True, map_location="cpu")
    if not isinstance(arrays, dict):
        raise ValueError("it holds something else")
    of_class = _most_of_a_class(train_images)
    for part, images in (("train", CLASSES * (of_class * 5 // 6)), ("test", CLASSES * -(-of_class // 6))):
        pictures, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        count = len(labels)
        if not (
            count <= images
            and _is_plain(pictures, torch.float32, (count, 3, resolution, resolution))
            and _is_plain(labels, torch.int64, (count,))
            and set(labels.unique().tolist()) <= set(range(CLASSES))
        ):
            raise ValueError(f"its {part}ing images and labels are not {images} at most, of {resolution} pixels")
    return arrays


def _most_of_a_class(train_images: int) -> int:
    return train_images * 6 // 5 // CLASSES


def _is_plain(array: object, kind: torch.dtype, shape: tuple[int, ...]) -> bool:
    """Whether it is an ordinary tensor of that type and shape: all of it there, and no gradient wanted."""
    return (
        type(array) is torch.Tensor
        and (array.dtype, tuple(array.shape), array.layout) == (kind, shape, torch.strided)
        and array.device.type == "cpu"
        and array.is_contiguous()
        and not array.requires_grad
    )


def generate_synthetic(resolution: int, train_images: int) -> dict[str, torch.Tensor]:
    """Draw images, label them, keep the first of each class; 5/6 of those kept train, the rest test.

    Follows the paper: standard normal pixels, ten networks Linear-ReLU-Linear(1) as wide as the image has
    values, drawn before the images from seed 42; the label is the index of the largest response. An image is
    drawn height x width x channel and stored channels first. At the full size 1,000,000 images are drawn and
    6,000 of each class kept. A class too rare to fill its share is smaller, with a warning.
    Returns float32 images (count, 3, side, side) and int64 labels (count,).
    """
    cap = _most_of_a_class(train_images)
    draws = train_images * DRAWS_PER_TRAIN_IMAGE
    with seeded(SEED), torch.inference_mode():
        networks = labelling_networks(resolution)
        counts = [0] * CLASSES
        kept_images, kept_labels = [], []
        for start in progress(range(0, draws, CHUNK), f"synthetic {resolution}px", "chunk"):
            images = torch.randn(min(CHUNK, draws - start), resolution, resolution, 3)
            labels = label_images(networks, images)
            wanted = []
            for label in range(CLASSES):
                places = torch.nonzero(labels == label).flatten()[: cap - counts[label]]
                counts[label] += len(places)
                wanted.append(places)
            wanted = torch.cat(wanted).sort().values
            kept_images.append(images[wanted].permute(0, 3, 1, 2).contiguous())
            kept_labels.append(labels[wanted])
    if min(counts) < cap:
        warnings.warn(
            f"the rarest synthetic class has {min(counts)} images, fewer than its share of {cap}.", stacklevel=2
        )
    images, labels = torch.cat(kept_images), torch.cat(kept_labels)
    for_training = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(CLASSES):
        places = torch.nonzero(labels == label).flatten()
        for_training[places[: len(places) * 5 // 6]] = True
    return {
        "train_images": images[for_training],
        "train_labels": labels[for_training],
        "test_images": images[~for_training],
        "test_labels": labels[~for_training],
    }


def labelling_networks(resolution: int) -> list[nn.Module]:
    """Ten two-layer networks of PyTorch's default initialisation, from the global generator."""
    values = 3 * resolution**2
    return [nn.Sequential(nn.Linear(values, values), nn.ReLU(), nn.Linear(values, 1)) for _ in range(CLASSES)]


def label_images(networks: list[nn.Module], images: torch.Tensor) -> torch.Tensor:
    """The index of the network with the largest response to each image (count, height, width, channel)."""
    flat = images.flatten(1)
    return torch.cat([network(flat) for network in networks], dim=1).argmax(1)
