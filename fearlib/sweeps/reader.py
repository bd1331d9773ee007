"""A results folder, finished or still being written: read as far as it is, and then on."""

from pathlib import Path

import pandas as pd

from fearlib.errors import InputError
from fearlib.files.outside import user_path
from fearlib.sweeps.journal import START, collector_at_rest, end_of_journal, has_journal, read_journal_on
from fearlib.sweeps.meaning import with_meaning
from fearlib.sweeps.record import last_trials
from fearlib.sweeps.rows import (
    CURVE_COLUMNS,
    ROW_COLUMNS,
    accuracy_from_outside,
    curves_of_trials,
    holds_journal,
    rows_of_folder,
    with_accuracy,
    written_curves,
    written_rows,
)

_KEYS = ["index", "method", "seed"]


class Results:
    """The rows and learning curves of a results folder; `refresh` reads on, and only what is new.

    `rows` are those of `fearlib.sweeps.rows.write_tables`, in the order in which they were read. They come from
    `rows.csv.gz` if that holds the journal's last trial, and so all of them; else from the journal, to which a
    running sweep appends. Raises InputError if there is no sweep in `folder`, or it cannot be read.
    """

    def __init__(self, folder: str | Path):
        self.folder = user_path(folder)
        written = written_rows(folder)
        self._rows = with_meaning(pd.DataFrame(columns=ROW_COLUMNS))
        self._curves = pd.DataFrame(columns=CURVE_COLUMNS)
        self._rows_end = self._curves_end = START
        self._known = [] if written is None else [accuracy_from_outside(written)]
        last, end = end_of_journal(self.folder)
        if written is not None and holds_journal(written, last, end):
            self._rows = written.assign(test_accuracy=written["index"].map(self._known[0]))
            self._rows_end = end
        self.rows = with_accuracy(self._rows, self._known)
        self.refresh()

    def refresh(self) -> int:
        """Read the trials that were journalled since the last time, and return how many there were.

        Raises InputError if the folder is no longer there; what was read stays.
        """
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is no longer there: what was read of it is still shown.")
        with collector_at_rest():
            records, end, other = read_journal_on(self.folder, self._rows_end, curves=False)
            records, rows = last_trials(records), self._rows[:0] if other else self._rows
            if records:
                rows = _replaced(rows, rows_of_folder(self.folder, records), records)
            self._rows, self._rows_end = rows, end  # not before: trials that could not be read are read again
            if records or other:
                self.rows = with_accuracy(rows, self._known)
        return len(records)

    def curves(self) -> pd.DataFrame:
        """The learning curves so far, a line an epoch, with the columns `CURVE_COLUMNS`; read when asked for."""
        if not has_journal(self.folder):
            return written_curves(self.folder)
        records, self._curves_end, other = read_journal_on(self.folder, self._curves_end)
        records = last_trials(records)
        if other:
            self._curves = self._curves[:0]
        if records:
            self._curves = _replaced(self._curves, curves_of_trials(records), records)
        return self._curves


def _replaced(table: pd.DataFrame, new: pd.DataFrame, records: list[dict]) -> pd.DataFrame:
    """The table with the `new` lines of these trials in place of those it has of them."""
    if table.empty:
        return new
    again = {
        (record["trial"]["index"], method, record["trial"]["seed"])
        for record in records
        for method in {record["trial"]["method"], *(row["method"] for row in record["rows"])}
    }
    kept = table[~pd.MultiIndex.from_frame(table[_KEYS]).isin(again)]
    return pd.concat([part for part in (kept, new) if len(part)], ignore_index=True)
