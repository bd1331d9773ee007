"""The search spaces: an index becomes an architecture, an architecture a network."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fearlib.errors import InputError
from fearlib.plugin import OTHERS, Registry
from fearlib.spaces import darts
from fearlib.spaces.nats import Architecture, sample_architectures

if TYPE_CHECKING:
    from fearlib.spaces.network import Network


@dataclass(frozen=True)
class Space:
    """`kind` is an architecture's class; `draw` takes a count and a seed, `build` what `build_network` takes."""

    kind: type
    draw: Callable[[int, int], list]
    build: Callable[..., Network]

    def sample(self, count: int, seed: int) -> list:
        """As many different architectures, drawn. Raises InputError if the space draws others than asked for."""
        drawn = self.draw(count, seed)
        different = len({each.index for each in drawn})
        if not different == len(drawn) == count:
            raise InputError(
                f"{count} architectures were asked for, but the search space of {self.kind.__name__} drew "
                f"{len(drawn)}, {different} of them different."
            )
        return drawn

    def from_index(self, index: int) -> Architecture | darts.Genotype:
        """The architecture of an index. Raises InputError if there is none, or it has another index."""
        found = self.kind.from_index(index)
        if found.index != index:
            raise InputError(
                f"there is no architecture {index}: {self.kind.__name__}.from_index gives architecture "
                f"{found.index} for it."
            )
        return found


def _build_network(*arguments, **named) -> Network:
    from fearlib.spaces.nats_network import build_network  # here, for it imports torch

    return build_network(*arguments, **named)


def _build_darts_network(*arguments, **named) -> Network:
    from fearlib.spaces.darts_network import build_darts_network

    return build_darts_network(*arguments, **named)


SPACES: MutableMapping[str, Space] = Registry("search space", Space, made_by=lambda space: space.kind)
SPACES["nats-tss"] = Space(Architecture, sample_architectures, _build_network)
SPACES["darts"] = Space(darts.Genotype, darts.sample_genotypes, _build_darts_network)


def find_space(name: str) -> Space:
    """The space of that name. Raises InputError if there is none."""
    if not isinstance(name, str) or name not in SPACES:
        raise InputError(f"unknown search space {name!r:.80}: the spaces are {', '.join(SPACES)}; {OTHERS}.")
    return SPACES[name]


def parse_architecture(text: str, space: str = "nats-tss") -> Architecture | darts.Genotype:
    """The architecture that an index or a string names. Raises InputError if there is none, or no such space."""
    text = text.strip()
    if re.fullmatch(r"-?\d{1,40}", text):
        return find_space(space).from_index(int(text))
    return from_string(text, space)


def from_string(string: str, space: str = "nats-tss") -> Architecture | darts.Genotype:
    """The architecture of a string. Raises InputError if there is none, or the space has no such strings."""
    kind = find_space(space).kind
    if not hasattr(kind, "from_string"):
        raise InputError(f"{string!r:.200} names no architecture: {space} knows them by their index alone.")
    return kind.from_string(string)


def space_of(architectures: list[Architecture | darts.Genotype]) -> str:
    """The name of the space that all are from, the first one for none.

    Raises InputError if they differ, or several spaces have architectures of their class.
    """
    names = [name for name, space in SPACES.items() if {type(each) for each in architectures} <= {space.kind}]
    if not names:
        raise InputError(f"expected architectures of one search space, one of {', '.join(SPACES)}.")
    if architectures and len(names) > 1:
        raise InputError(
            f"{' and '.join(names)} have architectures of one class, {type(architectures[0]).__name__}: a search "
            "space needs a class of its own."
        )
    return names[0]


def build(architecture: Architecture | darts.Genotype, num_classes: int, channels: int, cells: int) -> Network:
    """The network of an architecture of any space; `cells` a stage, in the DARTS space in all."""
    return SPACES[space_of([architecture])].build(architecture, num_classes, channels, cells)
