"""The labels by which rows name a method or a measure, and what they and the outcomes say."""

import contextlib
import math
from collections.abc import Iterable
from typing import NamedTuple

from fearlib.errors import InputError

FAILED = "failed: "
UNDEFINED = "undefined: "


class Label(NamedTuple):
    """A name with arguments as texts: `fear(stage2_epochs=24)`, `snip(epoch=0.2,epochs=8,schedule=cosine)`."""

    name: str
    arguments: dict[str, str]

    def __str__(self) -> str:
        inner = ",".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.name}({inner})" if inner else self.name

    def number(self, argument: str) -> float:
        """An argument as a number, NaN where it is not given or is none."""
        with contextlib.suppress(ValueError):
            return float(self.arguments.get(argument, "nan"))
        return math.nan


def parse_label(text: str) -> Label:
    """The label in a text, in which blanks around names and values do not count.

    Raises InputError if it is not a name, or a name and NAME=VALUE in brackets, each once, separated by commas.
    """
    name, bracket, rest = text.strip().partition("(")
    inner = rest.removesuffix(")")
    items = [item.split("=") for item in inner.split(",") if item.strip()]
    is_name = name.strip() and not set(name) & set("),=")
    if not is_name or bracket and inner == rest or any(len(item) != 2 or not item[0].strip() for item in items):
        hint = ": blanks separate names, and + what one argument lists, as in zero_cost(measures=meco+swap)"
        hint = hint if "," in text else ""
        raise InputError(
            f"{text!r:.200} is not a name with arguments in brackets, as in fear(threshold=0.5){hint}."
        )
    arguments = {}
    for key, value in ((key.strip(), value.strip()) for key, value in items):
        if key in arguments:
            raise InputError(f"{text!r:.200} gives {key} twice.")
        arguments[key] = value
    return Label(name.strip(), arguments)


def read_label(text: str) -> Label:
    """The label in a text of a file; a text that is none is a name as it stands."""
    try:
        return parse_label(text)
    except InputError:
        return Label(text, {})


def kind_of(text: str) -> str:
    """The name in a label, by which trials of one method or measure belong together."""
    return read_label(text).name


def truth_method(methods: Iterable[str]) -> str | None:
    """Of a sweep's methods the full training that serves as its truth where no benchmark's accuracy is given.

    That is `full`, else the longest `full(epochs=...)`; None if there is neither.
    """
    lengths = {}
    for method in set(methods):
        label = read_label(method)
        if label.name == "full":
            epochs = label.number("epochs")
            lengths[method] = math.inf if math.isnan(epochs) else epochs
    return max(sorted(lengths), key=lengths.get, default=None)


def read_numbers(text: str) -> tuple[float, ...]:
    """The numbers of a list in a label, `0+0.2+4`. Raises InputError if it is not numbers joined by +."""
    try:
        return tuple(float(number) for number in text.split("+"))
    except ValueError:
        raise InputError(f"{text!r:.200} is not a list of numbers joined by +, as in 0+0.2+4.") from None


def numbers_text(numbers: Iterable[float]) -> str:
    """The numbers as `read_numbers` takes them, each in its shortest form."""
    return "+".join(f"{number:.15g}" for number in numbers)


def has_failed(result: dict) -> bool:
    """Whether a trial's record, or its result, lacks one of the trial's scores and is to be tried again."""
    return any(row["outcome"].startswith(FAILED) for row in result["rows"])
