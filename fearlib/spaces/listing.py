"""Architectures as files from outside name them: by index, by string, or by both, which must then agree."""

import functools
import re
from pathlib import Path

import pandas as pd

from fearlib.errors import InputError
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import find_space, from_string, parse_architecture


def architectures_of_lines(content: bytes, path: str | Path, space: str) -> list[Architecture | Genotype]:
    """One a line, as `parse_architecture` takes them, or several indices; what follows a # is a comment.

    Raises InputError if a line is neither, or an architecture is named twice.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text of architectures, one a line ({error.reason}).") from error
    found = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        several = all(re.fullmatch(r"\d+", word, re.ASCII) for word in words)
        for text in words if several else [" ".join(words)]:
            try:
                found.append(parse_architecture(text, space))
            except InputError as error:
                raise InputError(f"{path}, line {number}: {error}") from error
    if len(set(found)) < len(found):
        raise InputError(f"{path} names an architecture twice.")
    return found


def architectures_of_table(
    table: pd.DataFrame, path: str | Path, space: str = "nats-tss"
) -> list[Architecture | Genotype]:
    """That of every row, by the table's columns `index` and `arch`, of which it may have one alone.

    Raises InputError if it has neither, or a row is of no architecture or of two.
    """
    if "index" in table and "arch" in table:
        return [agreed(index, arch, path, space) for index, arch in zip(table["index"], table["arch"])]
    of_space = functools.partial(from_string, space=space)
    for name, read in (("index", find_space(space).from_index), ("arch", of_space)):
        if name in table:
            try:
                return [read(value) for value in table[name]]
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
    raise InputError(
        f"{path} names no architectures: it has neither a column index nor a column arch, "
        f"but {', '.join(map(str, table.columns)):.200}."
    )


def agreed(index: int, arch: str, source: str | Path, space: str = "nats-tss") -> Architecture | Genotype:
    """The architecture of that index. Raises InputError if there is none, or the string `arch` is of another."""
    try:
        found = find_space(space).from_index(index)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    if arch != str(found) and not _is_of(arch, found, space):
        given = f"{arch:.200}" if isinstance(arch, str) else f"a {type(arch).__name__}"
        raise InputError(
            f"{source}: architecture {index} is {found}, but is given there as {given}; the two must agree."
        )
    return found


def _is_of(arch: object, architecture: Architecture | Genotype, space: str) -> bool:
    try:
        return from_string(arch, space) == architecture
    except InputError:
        return False
