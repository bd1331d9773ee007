"""The NATS-Bench topology space (NAS-Bench-201): a cell of six edges, five operations each."""

import functools
import itertools
import operator
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

from fearlib.errors import InputError, check_whole, is_integer

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # (source node, target node)
SPACE_SIZE = len(OPERATIONS) ** len(EDGES)

_TEMPLATE = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
_PATTERN = re.compile(re.escape(_TEMPLATE).replace(r"\{\}", "([^|~+]*)"))
_NASLIB = re.compile(r"[(\[]" + ",".join(["([0-4])"] * len(EDGES)) + r",?[)\]]")
_NASLIB_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_NASLIB_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


@dataclass(frozen=True)
class Architecture:
    """One cell: `ops[i]` is the operation on edge `EDGES[i]`.

    The order of the edges is that of the string form `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`,
    in which `~s` names an edge's source node (Dong & Yang, NAS-Bench-201, 2020).
    Raises InputError unless `ops` holds six names out of `OPERATIONS`.
    """

    ops: tuple[str, ...]

    def __post_init__(self):
        if not isinstance(self.ops, Iterable):
            raise InputError(f"ops is {self.ops!r:.80}: it must be six names out of {', '.join(OPERATIONS)}.")
        object.__setattr__(self, "ops", tuple(self.ops))
        if len(self.ops) != len(EDGES):
            raise InputError(
                f"an architecture has {len(EDGES)} operations, one an edge, but {len(self.ops)} were given."
            )
        for op in self.ops:
            if op not in OPERATIONS:
                raise InputError(f"unknown operation {op!r:.80}: the operations are {', '.join(OPERATIONS)}.")

    @classmethod
    def from_string(cls, string: str) -> "Architecture":
        """The architecture of a NATS-Bench string, or of NASLib's six operations, `(4, 0, 3, 1, 4, 3)`.

        Blanks do not count. NASLib orders edges by their source node and has an order of its own for operations
        (`EDGE_LIST` and `OP_NAMES_NB201` in its nasbench201/conversions.py; Mehta et al., NAS-Bench-Suite, 2022).
        Raises InputError if the string is malformed.
        """
        text = "".join(string.split()) if isinstance(string, str) else ""
        if match := _NASLIB.fullmatch(text):
            op = dict(zip(_NASLIB_EDGES, (_NASLIB_OPERATIONS[int(number)] for number in match.groups())))
            return cls(tuple(op[edge] for edge in EDGES))
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise InputError(
                f"{string!r:.200} is not an architecture: expected the form {_TEMPLATE.format(*['OP'] * 6)}, "
                f"OP one of {', '.join(OPERATIONS)}, or NASLib's six numbers, as in (4, 0, 3, 1, 4, 3)."
            )
        return cls(match.groups())

    @classmethod
    def from_index(cls, index: int) -> "Architecture":
        """The architecture with this NATS-Bench index. Raises InputError outside 0..15624."""
        return cls(_all_ops()[check_index(index, SPACE_SIZE)])

    @property
    def index(self) -> int:
        """NATS-Bench's index of this architecture, 0..15624."""
        return _index_of_ops()[self.ops]

    def __str__(self) -> str:
        return _TEMPLATE.format(*self.ops)

    def neighbours(self) -> list["Architecture"]:
        """The 24 architectures that differ in exactly one edge."""
        return [
            Architecture(self.ops[:edge] + (op,) + self.ops[edge + 1 :])
            for edge in range(len(EDGES))
            for op in OPERATIONS
            if op != self.ops[edge]
        ]


def check_index(index: int, space_size: int) -> int:
    """`index` as Python's integer. Raises InputError unless it is an integer in 0..space_size - 1."""
    try:
        number = operator.index(index)
    except TypeError:
        number = -1
    if not 0 <= number < space_size or isinstance(index, bool):
        raise InputError(f"architecture index {index!r}: it must be an integer in 0..{space_size - 1}.")
    return number


def sample_architectures(count: int, seed: int) -> list[Architecture]:
    """`count` different architectures, drawn uniformly; a longer sample starts with the shorter one.

    Raises InputError unless 0 <= count <= 15625, and for a seed that is no integer of at least 0.
    """
    check_whole(0, seed=seed)
    if not is_integer(count) or not 0 <= count <= SPACE_SIZE:
        raise InputError(
            f"cannot sample {count!r} architectures: it must be an integer of at least 0, and the space has "
            f"{SPACE_SIZE}."
        )
    order = list(range(SPACE_SIZE))
    random.Random(int(seed)).shuffle(order)
    return [Architecture.from_index(index) for index in order[:count]]


@functools.cache
def _all_ops() -> tuple[tuple[str, ...], ...]:
    """All cells in NATS-Bench's order: the product order shuffled by Python's generator, seed 88."""
    cells = list(itertools.product(OPERATIONS, repeat=len(EDGES)))
    random.Random(88).shuffle(cells)
    return tuple(cells)


@functools.cache
def _index_of_ops() -> dict[tuple[str, ...], int]:
    return {ops: index for index, ops in enumerate(_all_ops())}


def freeze_point(cells: int) -> int:
    """The first block that FEAR's second stage trains: 13 of 0..16 at five cells.

    At other depths the same fraction, 4/5, of the last stage's cells stays free, at least one.
    """
    return 3 * cells + 2 - max(1, round(0.8 * cells))
