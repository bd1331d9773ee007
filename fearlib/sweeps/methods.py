"""What a sweep can run: a method's name, its arguments, and what it does."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from fearlib.errors import InputError
from fearlib.plugin import OTHERS, Registry
from fearlib.scores.registry import COMBINED, MEASURES
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import build
from fearlib.sweeps.labels import Label, parse_label
from fearlib.sweeps.presets import LENGTHS, Settings, convert_setting, setting_text

if TYPE_CHECKING:  # what imports torch is imported by the functions that run a trial
    from fearlib.data.dataset import Dataset
    from fearlib.scores.trained import Score
    from fearlib.spaces.network import Network
    from fearlib.training.loop import Epoch

_NO_ARGUMENT = ("preset", "shortreg_epochs")  # the second would be several numbers as one argument of a label


@dataclass(frozen=True)
class Given:
    """What every method is given for a trial. `network` has its initial weights and is on the dataset's device.

    `max_macs` is a limit for stage 1 of FEAR, infinite in a sweep.
    """

    network: Network
    dataset: Dataset
    settings: Settings
    seed: int
    max_macs: float = math.inf


@dataclass(frozen=True)
class Method:
    """How a sweep scores an architecture.

    `what` says so in a line. `run(given, **arguments)` is one trial: it gives a `fearlib.Score`; or rows of its
    own (dictionaries with `method`, `score`, `seconds`, `macs`, `outcome`) and the records of the training.
    `arguments` are those that a label may state, each with the setting that supplies it where the label does not,
    and whose kind of value it has; or, where none does, with a function that gives a text's one form or raises
    InputError. `expand(arguments, settings)` gives the arguments of each trial that a mention stands for.
    `most_macs(epoch_macs, arguments, images)` says how many multiply-accumulates its training takes at most, or
    raises InputError for what cannot be run; `epoch_macs(first_free_block=0)` are those of an epoch of so many
    `images`. `seed_shift` is added to the seed of its trials. Raises InputError if there is no such setting.
    """

    what: str
    run: Callable[..., Score | tuple[list[dict], tuple[Epoch, ...]]]
    arguments: dict[str, str | Callable[[str], str]] = field(default_factory=dict)
    expand: Callable[[dict, Settings], list[dict]] = lambda arguments, settings: [arguments]
    most_macs: Callable[[Callable[..., int], dict, int], int] = lambda epoch_macs, arguments, images: 0
    seed_shift: int = 0

    def __post_init__(self):
        settings = [setting.name for setting in fields(Settings) if setting.name not in _NO_ARGUMENT]
        for argument, setting in self.arguments.items():
            if not callable(setting) and setting not in settings:
                raise InputError(
                    f"no setting {setting!r} can supply a method's {argument}: the settings are "
                    f"{', '.join(settings)}."
                )


METHODS: MutableMapping[str, Method] = Registry(
    "method",
    Method,
    made_by=lambda method: method.run,
    beside=MEASURES,
    own=("fear", "shortreg", "zero_cost", "full", "early", "degradation", "degradation_constant"),
    added_by="fearlib.sweeps.own_methods",
    reserved=COMBINED,
)


def regular_macs(epoch_macs: Callable[..., int], arguments: dict, images: int) -> int:
    """Of regular training for `epochs`."""
    return epoch_macs() * arguments["epochs"]


def expand_methods(methods: list[str], settings: Settings) -> list[str]:
    """The trials' method labels: "fear" and "shortreg" become `fear(stage2_epochs=24)`, `shortreg(epochs=4)` and
    so on, as the settings say: a label states what the settings of a sweep may differ in, `LENGTHS`.

    A method may carry arguments of its own, `fear(stage2_epochs=8,threshold=0.5)`.
    Raises InputError if there are none, or for an unknown method or argument.
    """
    mentions = list(methods) if isinstance(methods, Iterable) else [methods]
    if isinstance(methods, str) or not all(isinstance(mention, str) for mention in mentions):
        raise InputError(f"methods={methods!r:.80}: it must be a list of names, as ['fear'].")
    if not mentions:
        raise InputError(f"no methods are given: the methods are {', '.join(METHODS)}.")
    labels = []
    for mention in mentions:
        name, given = parse_method(mention)
        method = METHODS[name]
        stated = {key: getattr(settings, kind) for key, kind in method.arguments.items() if kind in LENGTHS}
        for arguments in method.expand(given, settings):
            arguments = stated | arguments
            ordered = {key: setting_text(arguments[key]) for key in method.arguments if key in arguments}
            labels.append(str(Label(name, ordered)))
    return list(dict.fromkeys(labels))


def parse_method(label: str) -> tuple[str, dict]:
    """`fear(threshold=0.5)` becomes ("fear", {"threshold": 0.5}). Raises InputError if it is malformed."""
    name, given = parse_label(label)
    if name not in METHODS:
        if name in MEASURES:
            raise InputError(
                f"{name} is a measure, not a method: zero_cost takes fifteen in common passes, "
                f"zero_cost(measures={name}) this one."
            )
        raise InputError(
            f"unknown method {label!r}: the methods are {', '.join(METHODS)}, "
            f"with arguments where wanted, as in fear(threshold=0.5); {OTHERS}."
        )
    allowed, arguments = METHODS[name].arguments, {}
    for key, value in given.items():
        if key not in allowed:
            raise InputError(
                f"{name} takes no argument {key!r}: "
                + (f"it takes {', '.join(allowed)}." if allowed else "it takes none.")
            )
        kind = allowed[key]
        arguments[key] = kind(value) if callable(kind) else convert_setting(kind, value, called=f"{name}'s {key}")
    return name, arguments


def most_macs(architecture: Architecture | Genotype, label: str, dataset: Dataset, settings: Settings) -> int:
    """Multiply-accumulates of a trial's training at most, stage 1 of FEAR taking all its epochs.

    Measures at initialisation count as nothing. Raises InputError if the network cannot be trained so.
    """
    method, arguments = with_settings(label, settings)
    if isinstance(architecture, Architecture):  # its edges are all of one size
        architecture = Architecture(sorted(architecture.ops))
    sizes = (architecture, dataset.num_classes, settings.channels, settings.cells, dataset.resolution)

    def epoch_macs(first_free_block: int | None = 0) -> int:
        return _training_macs(*sizes, first_free_block) * len(dataset.train_labels)

    epoch_macs()  # refuses what does not fit, whatever the method
    return method.most_macs(epoch_macs, arguments, len(dataset.train_labels))


@functools.cache
def _training_macs(architecture, num_classes, channels, cells, resolution, first_free_block) -> int:
    from fearlib.randomness import seeded

    with seeded(0):
        network = build(architecture, num_classes, channels, cells)
    if first_free_block is None:
        first_free_block = network.default_first_free_block
    return network.training_macs(resolution, first_free_block)


def with_settings(label: str, settings: Settings) -> tuple[Method, dict]:
    """A label's method, and each of its arguments as the label gives it, else as the settings do."""
    name, given = parse_method(label)
    method = METHODS[name]
    from_settings = {argument: kind for argument, kind in method.arguments.items() if not callable(kind)}
    supplied = {argument: getattr(settings, setting) for argument, setting in from_settings.items()}
    return method, supplied | given
