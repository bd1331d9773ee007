"""The benchmark's images, trainings and datasets, and what they are called in its archive and in tables."""

from typing import NamedTuple

from fearlib.data.registry import stands_for

FULL_EPOCHS = 200  # of the benchmark's own training
ARCHIVE_EPOCHS = (FULL_EPOCHS, 12)
ARCHIVE_NAMES = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"}


class _Split(NamedTuple):
    """Images on which the benchmark's networks were evaluated."""

    names: dict[str, str]  # of its datasets in the archive
    metric: str  # in the archive
    ending: str  # of its columns in a table


SPLITS = {
    "test": _Split(ARCHIVE_NAMES, "test-accuracy", ""),
    "validation": _Split(
        {"cifar10-valid": "cifar10-valid", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"},
        "valid-accuracy",
        "_val",
    ),
}
OF_TABLES = ("cifar10-valid",)  # what a table may hold besides the datasets that networks are trained on here


def column_of(dataset: str, epochs: int, split: str = "test") -> str:
    trained = stands_for(dataset).replace("-", "_") + ("" if epochs == FULL_EPOCHS else f"_{epochs}ep")
    return trained + SPLITS[split].ending


COLUMNS = {column_of(name, FULL_EPOCHS): name for name in ARCHIVE_NAMES}  # a table's, and the dataset of each
VALIDATION = column_of("cifar10-valid", FULL_EPOCHS, "validation")  # published values of CIFAR-10 rest on it
