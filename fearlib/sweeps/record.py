"""A trial, and its line in a journal: whether it is a finished trial's, in all that is read of it."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_LINE = 2**22  # bytes
_TRIAL = ("index", "method", "seed")
_ROW_NUMBERS = ("score", "seconds", "macs")
_EPOCH_NUMBERS = ("stage", "epoch", "loss", "train_top1", "val_top1", "seconds", "images", "macs")
_LARGEST = 2**63


@dataclass(frozen=True)
class Trial:
    """One method on one architecture with one seed."""

    index: int
    method: str
    seed: int


def last_trials(records: Iterable[dict]) -> list[dict]:
    """Of a journal's records the last of every trial."""
    return list({tuple(record["trial"].values()): record for record in records}.values())


def write_record(record: dict) -> bytes:
    """The record as a line with its end, for which `read_record` gives it again."""
    return (json.dumps(record) + "\n").encode()


def refuse_unreadable(record: dict) -> None:
    """Raises ValueError, with the reason, if a journal would not give the record back."""
    line = write_record(record)
    if len(line) > MAX_LINE:
        raise ValueError(f"the trial takes {len(line)} bytes of a journal, and at most {MAX_LINE} are read")
    if read_record(line) is None:
        raise ValueError("the trial has a number of more than 64 bits or a broken text, which no journal holds")


def read_record(line: bytes) -> dict | None:
    """The record in a line with its end, None if it has not the form of one."""
    try:
        record = json.loads(line.decode()) if line.endswith(b"\n") and len(line) <= MAX_LINE else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not {"trial", "rows", "curve"} <= record.keys():
        return None
    if "test_accuracy" not in record:  # another version's
        return record
    if not _is_a_trials(record):
        return None
    record["trial"] = {key: record["trial"][key] for key in _TRIAL}  # in one order, whatever that of the line
    return record


def _is_a_trials(record: dict) -> bool:
    """Whether a record has the form of a trial's, in all that is read of it."""
    trial, rows, curve = record["trial"], record["rows"], record["curve"]
    return (
        isinstance(trial, dict)
        and trial.keys() == set(_TRIAL)
        and _is_count(trial["index"])
        and _is_text(trial["method"])
        and type(trial["seed"]) is int
        and _is_number(trial["seed"])
        and _is_number(record["test_accuracy"])
        and isinstance(rows, list)
        and len(rows) > 0
        and all([_has_numbers(row, _ROW_NUMBERS) for row in rows])
        and all([_is_text(row.get("method")) and _is_text(row.get("outcome")) for row in rows])
        and isinstance(curve, list)
        and all([_has_numbers(epoch, _EPOCH_NUMBERS) for epoch in curve])
        and _is_count(record.get("sitting", 0))
        and _is_duration(record.get("after", 0))
        and _is_duration(record.get("elapsed", 0))
        and _is_text(record.get("hardware", ""))
        and _is_text(record.get("commit", ""))
    )


def _has_numbers(value: object, keys: tuple[str, ...]) -> bool:
    return isinstance(value, dict) and all([_is_number(value.get(key)) for key in keys])


def _is_number(value: object) -> bool:
    """Whether it is a float or an integer of 64 bits."""
    return type(value) is float or (type(value) is int and -_LARGEST <= value < _LARGEST)


def _is_duration(value: object) -> bool:
    return _is_number(value) and 0 <= value < math.inf


def _is_text(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or not re.search("[\ud800-\udfff]", value))  # half a pair


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _LARGEST
