"""Lines packed by gzip, the last of them apart, so that it is read without the others."""

import gzip
import io
import zlib
from typing import IO

from fearlib.errors import InputError

_HEAD = b"\x1f\x8b\x08" + bytes(5)  # of a part without a name or time
_SIZE = 4  # bytes of a part's length, its end


def pack_lines(content: bytes) -> bytes:
    """Equal lines give equal bytes. Any tool for .gz unpacks them."""
    last = content.rfind(b"\n", 0, -1) + 1
    return b"".join(gzip.compress(part, mtime=0) for part in (content[:last], content[last:]))


def read_packed_lines(file: IO[bytes], most: int, longest: int, what: str) -> list[bytes]:
    """What is left in a file that unpacks. Raises InputError if that is more than `most` bytes, or a line of it
    more than `longest`."""
    lines, size = [], 0
    while line := file.readline(longest + 1):
        size += len(line)
        if size > most or len(line) > longest:
            raise InputError(
                f"{what} when unpacked has more than {most} bytes, or a line of more than {longest}, but no more "
                "are read of such a file."
            )
        lines.append(line)
    return lines


def last_packed_line(file: IO[bytes], longest: int) -> tuple[int, bytes] | None:
    """How many bytes lie before the last line, and that line, of a file that is still packed, left at its start.

    None if `pack_lines` has not made it, or the line has no end or is longer than `longest`: the file is to be
    read whole.
    """
    file.seek(max(0, file.seek(0, io.SEEK_END) - longest))
    end = file.read()
    file.seek(0)
    start = end.rfind(_HEAD)
    if start < _SIZE:
        return None
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(end[start:])) as part:
            line = part.read(longest + 1)
    except (OSError, EOFError, zlib.error):
        return None
    is_one_line = line.find(b"\n") == len(line) - 1 and 0 < len(line) <= longest
    return (int.from_bytes(end[start - _SIZE : start], "little"), line) if is_one_line else None
