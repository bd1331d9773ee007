"""Texts that a table gives back as they are."""

import contextlib

_NO_TEXTS = {  # to pandas, in any case
    "", "na", "n/a", "<na>", "#na", "#n/a", "#n/a n/a", "none", "null", "nan", "1.#ind", "1.#qnan", "-1.#ind",
    "-1.#qnan", "true", "false",
}  # fmt: skip


def stays_a_text(text: str) -> bool:
    """Whether a table gives the text back as it is, and not as a number, as True or False, or as missing."""
    with contextlib.suppress(ValueError):
        float(text)
        return not text.isascii() or "_" in text  # numbers to Python alone
    return text == text.strip() and text.lower() not in _NO_TEXTS
