"""What went wrong, in one sentence, and which package is missing."""

import importlib


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


def check_threshold(threshold: float) -> None:
    """Raises InputError unless 0 < threshold <= 1."""
    if not 0 < threshold <= 1:
        raise InputError(f"threshold is {threshold!r}: it is a share of training images, above 0 and at most 1.")
