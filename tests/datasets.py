"""A dataset whose training diverges."""

import copy


def spoiled(dataset, **images):
    """The dataset with images that it would refuse: numbers that training makes are not always finite."""
    found = copy.copy(dataset)
    for name, value in images.items():
        object.__setattr__(found, name, value)
    return found
