"""The zero-cost measures by name; what computes them is imported when one is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fearlib.errors import InputError, check_whole, is_integer
from fearlib.plugin import OTHERS, Registry

if TYPE_CHECKING:
    from fearlib.scores.minibatch import Minibatch

# What a sweep's `zero_cost` and `degradation` take, whatever else is registered: a finished folder stays finished.
FIFTEEN = (
    "grad_norm", "snip", "grasp", "fisher", "synflow", "synflow_bn", "jacob_cov", "plain", "params", "macs",
    "l2_norm", "nwot", "zen", "epe_nas", "zico",
)  # fmt: skip
AFTER_FEAR = ("zico",)  # of the fifteen, those published after it
LATER = ("meco", "swap", "swap_reg", "az_expressivity", "az_progressivity", "az_trainability", "near")
MOMENTS = 5  # of `degradation`, in the first epoch, its end included

COMBINED = {  # combinations with a name of their own, of the measures
    "vote": ("synflow", "jacob_cov", "snip"),
    "az_nas": ("az_expressivity", "az_progressivity", "az_trainability", "macs"),
}


@dataclass(frozen=True)
class Measure:
    """`passes` is its cost alone, in forward passes of the network (a backward pass counts two).

    They run over the minibatch, over the first `at_most` of its images, or over `own_images` in its place.
    """

    function: Callable[[Minibatch], float]
    passes: int
    own_images: int | None = None
    at_most: int | None = None


MEASURES: MutableMapping[str, Measure] = Registry(
    "measure",
    Measure,
    made_by=lambda measure: measure.function,
    own=FIFTEEN + LATER,
    added_by="fearlib.scores.measures",
    reserved=COMBINED,
)


def measure(passes: int, own_images: int | None = None, at_most: int | None = None):
    """Register a measure under its function's name. Raises InputError if it is taken or a number is no count."""
    if not is_integer(passes) or passes < 0:
        raise InputError(f"passes is {passes!r:.80}: write @measure(passes=3), an integer of at least 0.")
    check_whole(1, **{name: n for name, n in (("own_images", own_images), ("at_most", at_most)) if n is not None})

    def register(function):
        MEASURES[function.__name__] = Measure(function, passes, own_images, at_most)
        return function

    return register


def measure_names(names: Iterable[str] | None) -> tuple[str, ...]:
    """The names, all measures' if None. Raises InputError for an unknown one, or for one name alone."""
    if isinstance(names, str):
        raise InputError(f"measures={names!r}: it must be a tuple of names, as ({names!r},).")
    if not (names is None or isinstance(names, Iterable)):
        raise InputError(f"measures={names!r:.80}: it must be a tuple of names, as ('snip',).")
    names = tuple(MEASURES if names is None else names)
    for name in names:
        if isinstance(name, str) and name in COMBINED:
            parts = ", ".join(COMBINED[name])
            raise InputError(f"{name} is a combination, for `fear funnel`: name its measures here, {parts}.")
        if not isinstance(name, str) or name not in MEASURES:
            raise InputError(f"unknown measure {name!r}: the measures are {', '.join(MEASURES)}; {OTHERS}.")
    return names


def zero_cost_macs(name: str, macs_per_image: int, batch_size: int) -> int:
    """Multiply-accumulates that one measure needs alone, for a network of that many per image forward."""
    measure = MEASURES[name]
    images = measure.own_images or min(batch_size, measure.at_most or batch_size)
    return measure.passes * macs_per_image * images
