"""A bar for what takes more than a moment."""

import sys
from collections.abc import Iterable

from fearlib.errors import require


def progress(items: Iterable, what: str, unit: str) -> Iterable:
    """The items, one by one; how many are done and how long the others take is shown after a second.

    In a terminal and in a notebook alone. Raises ImportError without tqdm.
    """
    tqdm = require("tqdm", "show progress").tqdm
    return tqdm(items, desc=what, unit=unit, delay=1, leave=False, disable=not is_watched())


def is_watched() -> bool:
    """Whether somebody reads the standard error, in a terminal or in a notebook."""
    return type(sys.stderr).__module__.startswith("ipykernel") or in_terminal()


def in_terminal() -> bool:
    """Whether somebody reads the standard error in a terminal; it may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()
