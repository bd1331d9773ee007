"""Names as people spell them, and as tables read them."""

import contextlib
import re
from collections.abc import Iterable

_NO_TEXTS = {  # to pandas, in any case
    "", "na", "n/a", "<na>", "#na", "#n/a", "#n/a n/a", "none", "null", "nan", "1.#ind", "1.#qnan", "-1.#ind",
    "-1.#qnan", "true", "false",
}  # fmt: skip


def spelt(name: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that are `name`; if none is, those that differ from it in case, blanks, - and _ alone."""
    names = list(names)
    exact = [each for each in names if each == name]
    return exact or [each for each in names if isinstance(name, str) and _bare(each) == _bare(name)]


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def stays_a_text(text: str) -> bool:
    """Whether a table gives the text back as it is, and not as a number, as True or False, or as missing."""
    with contextlib.suppress(ValueError):
        float(text)
        return not text.isascii() or "_" in text  # numbers to Python alone
    return text == text.strip() and text.lower() not in _NO_TEXTS
