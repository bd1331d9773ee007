"""The DARTS space: a normal and a reduction cell of four nodes, each node the sum of two incoming edges."""

import ast
import itertools
import random
import re
from dataclasses import dataclass

from fearlib.errors import InputError, check_whole, is_integer
from fearlib.spaces.nats import check_index

OPERATIONS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
EDGES = 8  # of a cell: two for each of its four nodes in turn
SPACE_SIZE = 1_037_664_180**2  # 1 * 3 * 6 * 10 choices of sources and 7**8 of operations a cell; below 2**63

# What each node of a cell can be: 49, 147, 294 and 490 pairs of edges.
_CHOICES = tuple(
    tuple(
        ((op, source), (other_op, other_source))
        for source, other_source in itertools.combinations(range(2 + node), 2)
        for op in OPERATIONS
        for other_op in OPERATIONS
    )
    for node in range(EDGES // 2)
)
_CELL = "+".join(["|{}~{}|{}~{}|"] * (EDGES // 2))
_TEMPLATE = f"normal={_CELL} reduce={_CELL}"
_PATTERN = re.compile(re.escape(_TEMPLATE).replace(r"\{\}\~\{\}", r"([^|~+]*)\~([0-9])"))


@dataclass(frozen=True)
class Genotype:
    """A normal and a reduction cell (Liu, Simonyan & Yang, DARTS, 2019), without the operation `none`.

    Each is eight edges (operation, source), two for each of four nodes in turn. Source 0 is the output of the last
    cell but one, 1 that of the last cell, 2..4 are the nodes before. The two sources of a node differ, and the
    lower one comes first: given the other way round, they are swapped. Raises InputError for anything else.
    """

    normal: tuple[tuple[str, int], ...]
    reduce: tuple[tuple[str, int], ...]

    def __post_init__(self):
        for name in ("normal", "reduce"):
            object.__setattr__(self, name, _canonical(name, getattr(self, name)))

    @classmethod
    def from_string(cls, string: str) -> "Genotype":
        """The genotype of `str(genotype)`, or of the form in which DARTS publishes genotypes.

        The latter is `Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...],
        reduce_concat=range(2, 6))`; it is read as data and never run. Raises InputError if it is neither.
        """
        text = " ".join(string.split()) if isinstance(string, str) else ""
        cells = _parse(text) or _parse_published(text)
        if cells is None:
            raise InputError(
                f"{string!r:.500} is not a genotype: expected the form "
                f"{_TEMPLATE.format(*['OP', 'S'] * 2 * EDGES)}, "
                "OP an operation and S its source, or Genotype(normal=[('OP', S), ...], "
                "normal_concat=range(2, 6), reduce=[('OP', S), ...], reduce_concat=range(2, 6))."
            )
        return cls(*cells)

    @classmethod
    def from_index(cls, index: int) -> "Genotype":
        """The genotype with this index. Raises InputError outside 0..SPACE_SIZE - 1."""
        number, edges = check_index(index, SPACE_SIZE), ()
        for choices in reversed(2 * _CHOICES):
            number, choice = divmod(number, len(choices))
            edges = choices[choice] + edges
        return cls(edges[:EDGES], edges[EDGES:])

    @property
    def index(self) -> int:
        """0..SPACE_SIZE - 1, another one for every genotype; our own numbering, which fits into 64 bits.

        A number of mixed radix, whose digits are the choices made for the nodes: the normal cell's first node is
        the most significant, and within a node its sources.
        """
        number, edges = 0, self.normal + self.reduce
        for choices, node in zip(2 * _CHOICES, zip(edges[::2], edges[1::2])):
            number = number * len(choices) + choices.index(node)
        return number

    def __str__(self) -> str:
        return _TEMPLATE.format(*itertools.chain.from_iterable(self.normal + self.reduce))

    def neighbours(self) -> list["Genotype"]:
        """The 120 genotypes with one other operation (96) or one other source (24)."""
        edges = self.normal + self.reduce
        found = []
        for position, (op, source) in enumerate(edges):
            sources = set(range(2 + position % EDGES // 2)) - {source, edges[position ^ 1][1]}
            changed = [(other, source) for other in OPERATIONS if other != op] + [(op, other) for other in sources]
            for edge in changed:
                others = edges[:position] + (edge,) + edges[position + 1 :]
                found.append(Genotype(others[:EDGES], others[EDGES:]))
        return found


def sample_genotypes(count: int, seed: int) -> list[Genotype]:
    """`count` different genotypes, drawn uniformly; a longer sample starts with the shorter one.

    Raises InputError unless 0 <= count <= SPACE_SIZE, and for a seed that is no integer of at least 0.
    """
    check_whole(0, seed=seed)
    if not is_integer(count) or not 0 <= count <= SPACE_SIZE:
        raise InputError(
            f"cannot sample {count!r} genotypes: it must be an integer of at least 0, and the space has "
            f"{SPACE_SIZE}."
        )
    generator, indices = random.Random(int(seed)), {}  # a dictionary keeps the order in which it is filled
    while len(indices) < count:
        indices[generator.randrange(SPACE_SIZE)] = None
    return [Genotype.from_index(index) for index in indices]


def _canonical(name: str, cell: list | tuple) -> tuple[tuple[str, int], ...]:
    try:
        edges = [(op, source) for op, source in cell]
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {cell!r}: a cell is {EDGES} pairs (operation, source).") from error
    if len(edges) != EDGES:
        raise InputError(f"a cell has {EDGES} edges, two for each of four nodes, but {name} has {len(edges)}.")
    for position, (op, source) in enumerate(edges):
        if op not in OPERATIONS:
            raise InputError(f"unknown operation {op!r} in {name}: the operations are {', '.join(OPERATIONS)}.")
        last = 1 + position // 2
        if type(source) is not int or not 0 <= source <= last:
            raise InputError(
                f"source {source!r} of edge {position} in {name}: it must be an integer in 0..{last}."
            )
    nodes = [sorted(edges[start : start + 2], key=lambda edge: edge[1]) for start in range(0, EDGES, 2)]
    for number, (edge, other) in enumerate(nodes):
        if edge[1] == other[1]:
            raise InputError(f"both edges of node {number} in {name} have source {edge[1]}: they must differ.")
    return tuple(itertools.chain.from_iterable(nodes))


def _parse(string: str) -> tuple[list, list] | None:
    """The edges of both cells, if `string` has the form of `str(genotype)`."""
    match = _PATTERN.fullmatch(string)
    if match is None:
        return None
    groups = match.groups()
    edges = [(op, int(source)) for op, source in zip(groups[::2], groups[1::2])]
    return edges[:EDGES], edges[EDGES:]


def _parse_published(string: str) -> tuple[list, list] | None:
    """The cells, if `string` has the form in which DARTS publishes genotypes."""
    try:
        call = ast.parse(string, mode="eval").body
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        concatenated = {ast.unparse(given.pop(f"{cell}_concat")) for cell in ("normal", "reduce")}
        normal, reduce = (ast.literal_eval(given.pop(cell)) for cell in ("normal", "reduce"))
    except (SyntaxError, ValueError, TypeError, AttributeError, KeyError, RecursionError, MemoryError):
        return None
    known = concatenated <= {"range(2, 6)", "[2, 3, 4, 5]"} and ast.unparse(call.func) == "Genotype"
    return (normal, reduce) if known and len(call.keywords) == 4 and not call.args else None


def freeze_point(cells: int) -> int:
    """The first block that FEAR's second stage trains: 15 of 0..19 at twenty cells.

    The last stage's cells are those after the second reduction cell, which joins the stages as NATS-Bench's
    reduction block does. As there, 4/5 of them stay free, and at least one cell: with three cells, where none
    comes after it, the second reduction cell itself.
    """
    after_reductions = cells - 1 - max(reductions(cells))
    return cells - max(1, round(0.8 * after_reductions))


def reductions(cells: int) -> tuple[int, int]:
    return cells // 3, 2 * cells // 3
