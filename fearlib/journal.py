"""The journal of a sweep: one line of JSON for every finished trial, on disk before the next one starts."""

import json
import os
import warnings
from pathlib import Path

from fearlib.errors import InputError

JOURNAL = "journal.jsonl"
DAMAGED = "journal.damaged"


def read_journal(folder: Path) -> list[dict]:
    """All finished trials. Lines that cannot be read are moved to `journal.damaged`, with a warning."""
    path = Path(folder) / JOURNAL
    if not path.exists():
        return []
    good, bad, records = [], [], []
    for line in path.read_bytes().splitlines(keepends=True):
        record = _parse(line)
        if record is None:
            bad.append(line)
        else:
            good.append(line)
            records.append(record)
    if bad:
        with open(Path(folder) / DAMAGED, "ab") as damaged:
            damaged.writelines(bad)
        replace_file(path, b"".join(good))
        warnings.warn(
            f"{path}: {len(bad)} damaged line(s) were set aside in {DAMAGED}; their trials run again.",
            stacklevel=2,
        )
    return records


def append_to_journal(folder: Path, record: dict) -> None:
    """Add one finished trial, durably.

    Raises InputError if it cannot be written (a full disk, for one); what was in the journal before stays whole.
    """
    path = Path(folder) / JOURNAL
    line = (json.dumps(record) + "\n").encode()
    with open(path, "ab", buffering=0) as journal:
        before = journal.tell()
        try:
            while line:
                line = line[journal.write(line) :]
            os.fsync(journal.fileno())
        except OSError as error:
            os.truncate(path, before)
            raise InputError(
                f"{path} could not be written ({error.strerror}): every trial before this one is safe, "
                "and the same command continues once there is room."
            ) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write a whole file in one step: a reader, or a crash, sees the old content or the new."""
    partial = Path(path).with_name(f"{Path(path).name}.part")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _parse(line: bytes) -> dict | None:
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    complete = isinstance(record, dict) and {"trial", "rows", "curve"} <= record.keys()
    return record if complete else None
