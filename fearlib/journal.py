"""The journal of a sweep: one line of JSON for every finished trial, on disk before the next one starts."""

import contextlib
import json
import os
import platform
import warnings
from pathlib import Path

from fearlib.errors import InputError
from fearlib.provenance import utc_now

JOURNAL = "journal.jsonl"
DAMAGED = "journal.damaged"
WRITER = ".writer"


def read_journal(folder: Path) -> list[dict]:
    """All finished trials; lines that cannot be read are left out.

    Raises InputError if the lines are of another version's journal.
    """
    records = [record for line in _lines(folder) if (record := _parse(line)) is not None]
    if any("test_accuracy" not in record for record in records):
        raise InputError(
            f"{Path(folder) / JOURNAL} was written by another version of fearlib: continue it with that one, "
            "or choose another folder."
        )
    return records


def set_damaged_lines_aside(folder: Path) -> None:
    """Move lines that cannot be read to `journal.damaged`, with a warning; only the folder's writer may."""
    path, good, bad = Path(folder) / JOURNAL, [], []
    for line in _lines(folder):
        (bad if _parse(line) is None else good).append(line)
    if bad:
        with open(Path(folder) / DAMAGED, "ab") as damaged:
            damaged.writelines(bad)
        replace_file(path, b"".join(good))
        warnings.warn(
            f"{path}: {len(bad)} damaged line(s) were set aside in {DAMAGED}; their trials run again.",
            stacklevel=2,
        )


def append_to_journal(folder: Path, record: dict) -> None:
    """Add one finished trial, durably.

    Raises InputError if it cannot be written (a full disk, for one); what was in the journal before stays whole.
    """
    path = Path(folder) / JOURNAL
    line = (json.dumps(record) + "\n").encode()
    before = path.stat().st_size if path.exists() else 0
    try:
        with open(path, "ab", buffering=0) as journal:
            while line:
                line = line[journal.write(line) :]
            os.fsync(journal.fileno())
    except OSError as error:
        if path.exists():
            os.truncate(path, before)
        raise InputError(
            f"{path} could not be written ({error.strerror}): every trial before this one is safe, "
            "and the same command continues once there is room."
        ) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write a whole file in one step: a reader, or a crash, sees the old content or the new.

    Raises InputError if it cannot be written; the old content then stays.
    """
    partial = Path(path).with_name(f"{Path(path).name}.part")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def only_writer(folder: Path):
    """Hold a results folder, made if need be, for this process. Raises InputError if another one holds it."""
    from filelock import FileLock, Timeout  # torch brings it

    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        lock = FileLock(Path(folder) / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        who = writer(folder) or "another process"
        raise InputError(
            f"another sweep is writing to {folder} ({who}): wait for it, or choose another folder."
        ) from error
    except OSError as error:
        raise InputError(f"{folder} cannot be used as a results folder: {error.strerror or error}.") from error
    try:
        me = {"process": os.getpid(), "machine": platform.node(), "since": utc_now()}
        replace_file(Path(folder) / WRITER, json.dumps(me).encode())
        yield
    finally:
        (Path(folder) / WRITER).unlink(missing_ok=True)
        lock.release()


def writer(folder: Path) -> str | None:
    """Which process says that it writes to a results folder, and still runs as far as this machine can tell."""
    try:
        said = json.loads((Path(folder) / WRITER).read_bytes())
        process, machine, since = int(said["process"]), str(said["machine"]), str(said["since"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    here = machine == platform.node()
    return f"process {process} on {machine} since {since}" if not here or _runs(process) else None


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # only asks
    except PermissionError:  # as another user
        return True
    except (OSError, OverflowError):
        return False
    return True


def _lines(folder: Path) -> list[bytes]:
    path = Path(folder) / JOURNAL
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _parse(line: bytes) -> dict | None:
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    complete = isinstance(record, dict) and {"trial", "rows", "curve"} <= record.keys()
    return record if complete else None
