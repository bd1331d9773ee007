"""What went wrong, in one sentence, and which package is missing."""

import importlib
from numbers import Integral


class InputError(ValueError):
    """Something given to the library is wrong; the message says what, and what is allowed, on one line."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))


class Undefined(Exception):
    """A measure has no value for a network; the message says why."""


def one_line(error: Exception) -> str:
    """An error's kind and message, to stand inside a sentence."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")[:300]


def require(package: str, purpose: str):
    """Import an optional `package` and return it; `purpose` completes "... is needed to <purpose>".

    Raises ImportError naming the package and how to get it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{package} is needed to {purpose} and is not installed: pip install 'fearlib[suite]' brings it."
        ) from error


def check_seed(seed: int) -> int:
    """The seed as Python's integer. Raises InputError unless it is an integer of 64 bits, as torch takes."""
    if not isinstance(seed, Integral) or not -(2**63) <= seed < 2**63:
        raise InputError(f"seed is {seed!r}: it must be an integer from -2**63 to 2**63 - 1.")
    return int(seed)


def check_least(least: float, **numbers: float) -> None:
    """Raises InputError, naming it, for a number below `least`, or NaN."""
    for name, number in numbers.items():
        if not number >= least:
            raise InputError(f"{name} is {number}: it must be at least {least}.")


def check_threshold(threshold: float) -> None:
    """Raises InputError unless 0 < threshold <= 1."""
    if not 0 < threshold <= 1:
        raise InputError(f"threshold is {threshold!r}: it is a share of training images, above 0 and at most 1.")
