"""What the texts of rows say, in columns of their own."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from fearlib.sweeps.labels import FAILED, Label, kind_of, read_label

MEANING = ("kind", "moment", "failed")


def with_meaning(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with what their texts say in columns of their own.

    `kind` is the label's name; `moment` the epoch of training at which a measure was taken, NaN for what is not a
    measure in training; `failed` whether the trial has no result.
    """
    return rows.assign(
        kind=_of_each(rows.method, kind_of, object),
        moment=_of_each(rows.method, lambda text: _moment(read_label(text)), float),
        failed=_of_each(rows.outcome, lambda text: text.startswith(FAILED), bool),
    )


def _moment(label: Label) -> float:
    in_training = {"epoch", "epochs", "schedule"} <= label.arguments.keys()  # a method may have an `epoch`, too
    return label.number("epoch") if in_training else math.nan


def _of_each(texts: pd.Series, meaning: Callable[[str], object], kind: type) -> np.ndarray:
    """What each text means; one that occurs again and again is read once."""
    places, different = pd.factorize(texts, use_na_sentinel=False)
    return np.array([meaning(str(text)) for text in different], dtype=kind)[places]
