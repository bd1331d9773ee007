"""A sweep that may have been cut short becomes the rows that a comparison may rest on."""

from pathlib import Path

import pandas as pd

from fearlib.errors import InputError
from fearlib.sweeps.labels import parse_label
from fearlib.sweeps.rows import finished_architectures, read_rows


def finished_rows(folder: str | Path) -> pd.DataFrame:
    """The rows of the sweep in `folder` on the architectures of `finished_architectures`."""
    finished = finished_architectures(folder)  # before the rows, which may become more meanwhile
    rows = read_rows(folder)
    return rows[rows["index"].isin(finished)]


def methods_of(rows: pd.DataFrame, *kinds: str) -> list[str]:
    """The labels in the rows that name one of the kinds, in order; `fear(stage2_epochs=24)` is of kind fear."""
    return sorted(label for label in rows.method.unique() if parse_label(label).name in kinds)


def preset_method(rows: pd.DataFrame, kind: str = "fear") -> str:
    """The label of a kind with the preset's settings, the shortest. Raises InputError if the rows have none."""
    labels = methods_of(rows, kind)
    if not labels:
        raise InputError(
            f"there are no rows of {kind}: the methods are {', '.join(sorted(rows.method.unique()))}."
        )
    return min(labels, key=len)
