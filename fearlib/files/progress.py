"""A bar for what takes more than a moment."""

from collections.abc import Iterable

from fearlib.errors import require


def progress(items: Iterable, what: str, unit: str) -> Iterable:
    """The items, one by one; a terminal shows how many are done and how long the others take, after a second.

    Raises ImportError without tqdm.
    """
    tqdm = require("tqdm", "show progress").tqdm
    return tqdm(items, desc=what, unit=unit, delay=1, leave=False, disable=None)  # None: if it is no terminal
