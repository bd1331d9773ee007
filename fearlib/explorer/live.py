"""A table that grows in a notebook's output while a sweep runs."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from fearlib.errors import InputError, require
from fearlib.ranking.so_far import spearman_so_far
from fearlib.sweeps.reader import Results


def so_far(rows: pd.DataFrame) -> pd.DataFrame:
    """Each method's Spearman so far, as a table to show."""
    return spearman_so_far(rows).set_index("method").round(2)


@contextlib.contextmanager
def shown_while_it_runs(
    folder: str | Path, table: Callable[[pd.DataFrame], object] = so_far, every: float = 10.0
) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yields an `after_trial` for `run_sweep` that shows `table(rows)` of all rows in `folder`.

    In one output of the cell, which is renewed after the first trial, then at most every so many seconds, and at
    the end. papermill writes that output to the notebook's file while the cell runs, every 30 seconds by default.
    What has no table yet, so that `table` raises InputError, is left as it is. Raises ImportError without IPython.
    """
    view = require("IPython.display", "show a table while a sweep runs").display("no trial yet", display_id=True)
    renewed, results = -every, []

    def renew() -> None:
        if not results:
            results.append(Results(folder))
        results[0].refresh()
        with contextlib.suppress(InputError):
            view.update(table(results[0].rows))

    def after_trial(_: pd.DataFrame) -> None:
        nonlocal renewed
        if time.monotonic() - renewed >= every:
            renew()
            renewed = time.monotonic()

    yield after_trial
    renew()
