"""The journal of a sweep: one line of JSON for every finished trial, on disk before the next one starts.

It is `journal.jsonl` while trials are added, and `journal.jsonl.gz` once their sweep has ended. One form is
removed when the other is whole; after a crash between the two steps both are there, and `journal.jsonl` counts.
"""

import contextlib
import gc
import gzip
import io
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from fearlib.errors import InputError, one_line
from fearlib.files.outside import check_file, read_at_most, read_file, user_path
from fearlib.files.packed import last_packed_line, pack_lines, read_packed_lines
from fearlib.files.write import replace_file
from fearlib.sweeps.record import MAX_LINE, read_record, write_record

JOURNAL, PACKED = "journal.jsonl", "journal.jsonl.gz"
FORMS = JOURNAL, PACKED  # where both are there, the first counts
DAMAGED = "journal.damaged"
MAX_BYTES = 2**31  # of a journal when unpacked; a trial takes 1 to 40 KB


def read_journal(folder: Path, curves: bool = True) -> list[dict]:
    """All finished trials; lines that cannot be read, or have another form than a trial's, are left out.

    Without `curves`, most of a journal, these are left empty, unread and unchecked. Raises InputError if the lines
    are of another version's journal, or the journal is larger than 2 GiB or cannot be unpacked.
    """
    return read_journal_on(folder, curves=curves)[0]


class Position(NamedTuple):
    """How far a journal has been read: the bytes of the lines so far, all whole, and the last of these lines."""

    offset: int = 0
    line: bytes = b""


START = Position()
_CURVE = b'"curve": ['  # in a text its quotes would have backslashes


def read_journal_on(
    folder: Path, position: Position = START, curves: bool = True
) -> tuple[list[dict], Position, bool]:
    """What `read_journal` gives of the whole lines after `position`, the position after them, and whether all
    lines were read instead, as the journal is no longer the one that was read up to there.

    A writer that has set damaged lines aside, or deleted the journal, makes it another one. A line without its end
    is still being written and is left for the next time. Raises InputError as `read_journal` does.
    """
    with _opened(folder) as (file, packed):
        last = last_packed_line(packed, MAX_LINE) if packed else None
        if last and _end(*last) == position:
            return [], position, False
        file.seek(position.offset - len(position.line))
        other = file.read(len(position.line)) != position.line
        start = START if other else position
        file.seek(start.offset)
        lines = _lines_of(file, packed)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    end = Position(start.offset + sum(map(len, lines)), lines[-1]) if lines else start
    if not curves:
        lines = [_without_curve(line) for line in lines]
    with collector_at_rest():
        records = [record for record in map(read_record, lines) if record is not None]
    return [_of_this_version(record, folder) for record in records], end, other


def end_of_journal(folder: Path) -> tuple[dict | None, Position]:
    """The last trial, None if its line cannot be read, and the position after it; nothing before it is read."""
    with _opened(folder) as (file, packed):
        if packed:
            tail = last_packed_line(packed, MAX_LINE) or (0, b"".join(_lines_of(file, packed)))
        else:
            tail = file.seek(max(0, file.seek(0, io.SEEK_END) - 2 * MAX_LINE)), file.read()
    end = _end(*tail)
    return read_record(end.line), end


def _end(before: int, content: bytes) -> Position:
    """The position after the last whole line in `content`, before which so many bytes lie."""
    end = content.rfind(b"\n") + 1
    return Position(before + end, content[content.rfind(b"\n", 0, max(0, end - 1)) + 1 : end]) if end else START


def recover_journal(folder: Path) -> Iterator[dict]:
    """All finished trials, one by one, for the folder's writer.

    At the end the lines that cannot be read are moved to `journal.damaged`, with a warning. Raises InputError if
    two journals differ.
    """
    path = user_path(folder) / JOURNAL
    if path.exists():
        _unpack(folder)
    lines, bad = _lines(folder), set()
    for number, line in enumerate(lines):
        record = read_record(line)
        if record is None:
            bad.add(number)
        else:
            yield _of_this_version(record, folder)
    if bad:
        _unpack(folder)
        with open(user_path(folder) / DAMAGED, "ab") as damaged:
            damaged.writelines(lines[number].removesuffix(b"\n") + b"\n" for number in sorted(bad))
        replace_file(path, b"".join(line for number, line in enumerate(lines) if number not in bad))
        warnings.warn(
            f"{path}: {len(bad)} damaged line(s) were set aside in {DAMAGED}; their trials run again.",
            stacklevel=2,
        )


def has_damaged_lines(folder: Path) -> bool:
    """Whether the journal has lines that cannot be read."""
    return any(read_record(line) is None for line in _lines(folder))


def set_aside(folder: Path) -> int:
    """How many damaged lines lie in `journal.damaged`."""
    path = user_path(folder) / DAMAGED
    return read_file(path, MAX_BYTES).count(b"\n") if path.exists() else 0


def _of_this_version(record: dict, folder: Path) -> dict:
    if "test_accuracy" not in record:
        raise InputError(
            f"{user_path(folder) / JOURNAL} was written by another version of fearlib: continue it with that one, "
            "or choose another folder."
        )
    return record


def append_to_journal(folder: Path, record: dict) -> None:
    """Add one finished trial, durably.

    Raises InputError if it cannot be written (a full disk, for one); what was in the journal before stays whole.
    """
    _unpack(folder)
    path = user_path(folder) / JOURNAL
    line = write_record(record)
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


def pack_journal(folder: Path) -> None:
    """The last step of a sweep, once its rows are written; not if a line is longer than any that is read.

    Raises InputError if it cannot be written, or two journals differ; all stays as it is then.
    """
    path = user_path(folder) / JOURNAL
    if not path.exists():
        return
    _unpack(folder)  # what a crash has left
    lines = _lines(folder)
    if max(map(len, lines), default=0) <= MAX_LINE:
        replace_file(path.with_name(PACKED), pack_lines(b"".join(lines)))
        path.unlink()


def _unpack(folder: Path) -> None:
    """For the folder's writer: what is packed becomes the file to which trials are added.

    Raises InputError if both are there and `journal.jsonl` does not go on from the other, which no crash explains.
    """
    path, packed = user_path(folder) / JOURNAL, user_path(folder) / PACKED
    if not packed.exists():
        return
    content = b"".join(_lines(folder, (PACKED,)))
    if not path.exists():
        replace_file(path, content)
    else:
        refuse_two_journals(folder)
    packed.unlink()


def refuse_two_journals(folder: Path) -> None:
    """Raises InputError if a folder has its journal in both forms and one does not go on from the other."""
    path, packed = user_path(folder) / JOURNAL, user_path(folder) / PACKED
    if not (path.exists() and packed.exists()):
        return
    if not read_file(path, MAX_BYTES).startswith(b"".join(_lines(folder, (PACKED,)))):
        raise InputError(
            f"{path} and {PACKED} beside it hold different trials, as after a sweep by an older fearlib: move one "
            "of them into a folder of its own, with a copy of the manifest, and join the two by fear merge."
        )


def has_journal(folder: Path) -> bool:
    """Whether a folder has a journal, in either form; the first is looked for again, as a writer may put one in
    the other's place meanwhile."""
    return any((user_path(folder) / name).exists() for name in (*FORMS, FORMS[0]))


@contextlib.contextmanager
def _opened(folder: Path, forms: tuple[str, ...] = FORMS) -> Iterator[tuple[IO[bytes], IO[bytes] | None]]:
    """The journal's lines, none if there is no journal, and the file that they are unpacked from, if any.

    Raises InputError where they cannot be read.
    """
    with _open(folder, forms) as file:
        packed = file if file.name.endswith(PACKED) else None
        try:
            if packed and not file.peek(1):
                raise EOFError("it is empty")
            yield (gzip.GzipFile(fileobj=file) if packed else file), packed
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{file.name} cannot be read ({one_line(error)}): restore it.") from error


def _open(folder: Path, forms: tuple[str, ...]) -> IO[bytes]:
    """The first of the forms that is there. All are tried twice, as a writer may put one in another's place."""
    for path in [user_path(folder) / name for name in forms] * 2:
        if path.exists():
            try:
                check_file(path, MAX_BYTES)
                return path.open("rb")
            except InputError:
                if path.exists():
                    raise
            except OSError as error:
                if path.exists():
                    raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return open(os.devnull, "rb")


def _lines(folder: Path, forms: tuple[str, ...] = FORMS) -> list[bytes]:
    with _opened(folder, forms) as (file, packed):
        return _lines_of(file, packed)


def _lines_of(file: IO[bytes], packed: IO[bytes] | None) -> list[bytes]:
    if packed:  # which has no damaged lines, however long
        return read_packed_lines(file, MAX_BYTES, MAX_LINE, packed.name)
    return io.BytesIO(read_at_most(file, MAX_BYTES, file.name)).readlines()


def _without_curve(line: bytes) -> bytes:
    start = line.find(_CURVE) + len(_CURVE)
    end = line.find(b"]", start)
    has_flat_curve = start >= len(_CURVE) and line.find(b"[", start, max(end, start)) < 0 <= end
    return line[:start] + line[end:] if has_flat_curve else line


@contextlib.contextmanager
def collector_at_rest():
    """Without the garbage collector, which would find nothing in a journal and take as long as the parsing."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
