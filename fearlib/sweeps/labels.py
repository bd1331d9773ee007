"""The labels by which rows name a method or a measure, and what they and the outcomes say."""

import re
from typing import NamedTuple

import pandas as pd

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


def parse_label(text: str) -> Label:
    """The label in a text, in which blanks around names and values do not count.

    Raises InputError if it is not a name, or a name and NAME=VALUE in brackets, each once, separated by commas.
    """
    match = re.fullmatch(r"\s*([^(),=]*[^(),=\s])\s*(?:\((.*)\)\s*)?", text)
    items = [item.split("=") for item in (match[2] or "").split(",") if item.strip()] if match else [()]
    if any(len(item) != 2 or not item[0].strip() for item in items):
        raise InputError(f"{text!r} is not a name with arguments in brackets, as in fear(threshold=0.5).")
    arguments = {}
    for key, value in ((key.strip(), value.strip()) for key, value in items):
        if key in arguments:
            raise InputError(f"{text!r} gives {key} twice.")
        arguments[key] = value
    return Label(match[1], arguments)


def with_meaning(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with what their texts say in columns of their own.

    `kind` is the label's name; `moment` the epoch of training at which a measure was taken, NaN for what is not a
    measure in training; `failed` whether the trial has no result. Rows that have these columns stay as they are.
    """
    if "kind" in rows:
        return rows
    labels = {text: parse_label(text) for text in rows.method.unique()}
    moments = {text: float(label.arguments.get("epoch", "nan")) for text, label in labels.items()}
    return rows.assign(
        kind=rows.method.map({text: label.name for text, label in labels.items()}).astype(object),
        moment=rows.method.map(moments).astype(float),
        failed=rows.outcome.astype(str).str.startswith(FAILED),
    )


def has_failed(outcome: str) -> bool:
    """Whether an outcome says that a trial has no result and is to be tried again."""
    return outcome.startswith(FAILED)
