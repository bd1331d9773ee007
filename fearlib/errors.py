"""What went wrong, in one sentence, and which package is missing."""

import importlib
from numbers import Integral, Real


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
    if not is_integer(seed) or not -(2**63) <= seed < 2**63:
        raise InputError(f"seed is {seed!r}: it must be an integer from -2**63 to 2**63 - 1.")
    return int(seed)


def is_integer(value: object) -> bool:
    """Whether it is one, numpy's too; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is a real one, numpy's too; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_least(least: float, **numbers: float) -> None:
    """Raises InputError, naming it, for a number below `least`, or what is no number."""
    for name, number in numbers.items():
        if not is_number(number) or not number >= least:
            raise InputError(f"{name} is {number!r:.80}: it must be a number of at least {least}.")


def check_whole(least: int, **numbers: int) -> None:
    """Raises InputError, naming it, for what is no integer of at least `least`."""
    for name, number in numbers.items():
        if not is_integer(number) or number < least:
            raise InputError(f"{name} is {number!r:.80}: it must be an integer of at least {least}.")


def check_threshold(threshold: float) -> None:
    """Raises InputError unless 0 < threshold <= 1."""
    if not is_number(threshold) or not 0 < threshold <= 1:
        raise InputError(f"threshold is {threshold!r}: it is a share of training images, above 0 and at most 1.")
