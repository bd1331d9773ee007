"""Who writes to a results folder: one process at a time."""

import contextlib
import errno
import json
import os
import platform
import re
import warnings
from pathlib import Path

from fearlib.errors import InputError
from fearlib.files.outside import read_file, user_path
from fearlib.files.write import replace_file
from fearlib.sweeps.provenance import utc_now

WRITER = ".writer"
LOCK, SOFT_LOCK = ".lock", ".lock.soft"
# What `replace_file` leaves of a sweep's files where its process is killed.
_LEFT = re.compile(r"(manifest\.json|rows\.csv\.gz|journal\.jsonl(\.gz)?|\.writer)\..*\.\d+\.part")
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)


@contextlib.contextmanager
def only_writer(folder: Path):
    """Hold a results folder, made if need be, for this process. Raises InputError if another one holds it.

    Where the file system has no locks a file that only one process can make takes their place, with a warning.
    """
    from filelock import Timeout  # torch brings it

    folder = user_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder)
    except Timeout as error:
        who = writer(folder) or "another process"
        died = f", or, if it has died, delete {error.lock_file}" if error.lock_file.endswith(SOFT_LOCK) else ""
        raise InputError(
            f"another sweep is writing to {folder} ({who}): wait for it, or choose another folder{died}."
        ) from error
    except (OSError, ValueError) as error:  # ValueError of a name with a null in it
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder!s:.200} cannot be used as a results folder: {reason}.") from error
    try:
        for left in filter(_LEFT.fullmatch, os.listdir(folder)):
            (folder / left).unlink(missing_ok=True)
        me = {"process": os.getpid(), "machine": platform.node(), "since": utc_now()}
        replace_file(folder / WRITER, json.dumps(me).encode())
        yield
    finally:
        (folder / WRITER).unlink(missing_ok=True)
        lock.release()


def _locked(folder: Path):
    """A lock on a folder, held. Raises filelock.Timeout if another process holds it."""
    from filelock import FileLock, SoftFileLock

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        lock = SoftFileLock(folder / SOFT_LOCK)
        lock.acquire(timeout=0)
        warnings.warn(
            f"the file system of {folder} has no locks ({error.strerror}): {SOFT_LOCK} in it keeps other sweeps "
            "out, and is left behind where this one is killed on another machine.",
            stacklevel=4,
        )
    return lock


def writer(folder: Path) -> str | None:
    """Which process says that it writes to a results folder, and still runs as far as this machine can tell."""
    try:
        said = json.loads(read_file(user_path(folder) / WRITER, 4096))
        process, machine, since = int(said["process"]), str(said["machine"]), str(said["since"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    who = f"process {process} on {machine} since {since}"
    if machine != platform.node():
        return f"{who}, unless it has died there"
    return who if _runs(process) else None


def _runs(process: int) -> bool:
    if os.name == "nt":  # where the same call would interrupt it
        return True
    try:
        os.kill(process, 0)  # only asks
    except PermissionError:  # as another user
        return True
    except (OSError, OverflowError):
        return False
    return True
