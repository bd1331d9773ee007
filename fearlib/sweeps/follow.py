"""A sweep followed while another process runs it."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from fearlib.sweeps.journal import START, read_journal_on
from fearlib.sweeps.reader import Results
from fearlib.sweeps.status import Status, status_of
from fearlib.sweeps.writer import writer


def follow(folder: str | Path) -> Iterator[tuple[Status, pd.DataFrame]]:
    """The state of the sweep in `folder` and its rows so far, as they are whenever the next ones are asked for.

    Reads only what is new. Ends once nobody writes to the folder any more. Raises InputError if there
    is no sweep, or it cannot be read.
    """
    results, records, position = Results(folder), [], START
    while True:
        who = writer(folder)  # before the journal, which is whole once it is nobody
        new, position, other = read_journal_on(folder, position, curves=False)
        records = new if other else records + new
        results.refresh()
        yield status_of(folder, records, who), results.rows
        if who is None:
            return
