"""The arrays of official files become a dataset."""

import torch
import torch.nn.functional as F

from fearlib.data.dataset import ARRAYS, Dataset, first_of_each_class
from fearlib.data.official import Images

# Per channel, in units of 0..255: the values that NATS-Bench trains with. Those of the stand-in are of its own
# training pixels: `images.mean((0, 2, 3))` and `images.std((0, 2, 3))` of all its `train_images.double()`.
MEAN_AND_STD = {
    "cifar10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    "cifar100": ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
    "imagenet16-120": ((122.68, 116.66, 104.01), (63.22, 61.26, 65.09)),
    "tinyimagenet16-120": ((120.69, 113.61, 100.69), (62.36, 60.15, 63.42)),
}


def dataset_of(name: str, files: Images, num_classes: int, resolution: int, train_images: int | None) -> Dataset:
    """The images at `resolution` pixels a side, averaged 2x2 where the files have twice as many.

    Of the training images the first `train_images // num_classes` of each class, or all. Raises InputError if a
    class has fewer.
    """
    arrays = {array: torch.from_numpy(getattr(files, array)) for array in ARRAYS}
    if train_images is not None:
        kept = first_of_each_class(arrays["train_labels"], train_images, num_classes)
        arrays["train_images"], arrays["train_labels"] = arrays["train_images"][kept], arrays["train_labels"][kept]
    if resolution != files.train_images.shape[-1]:
        for part in ("train_images", "test_images"):
            arrays[part] = F.avg_pool2d(arrays[part].float(), 2).round().to(torch.uint8)
    mean, std = (torch.tensor(values) for values in MEAN_AND_STD[name])
    return Dataset(
        name, files.source, files.verified, **arrays,
        mean=mean, std=std, padding=resolution // 8, num_classes=num_classes,
    )  # fmt: skip
