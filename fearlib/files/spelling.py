"""Names as people spell them."""

import re
from collections.abc import Iterable


def spelt(name: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that are `name`; if none is, those that differ from it in case, blanks, - and _ alone."""
    names = list(names)
    exact = [each for each in names if each == name]
    return exact or [each for each in names if isinstance(name, str) and _bare(each) == _bare(name)]


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
