"""Named sets of plain values: how large, how long, how strict."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace

from fearlib.data.registry import dataset_name, stands_for
from fearlib.errors import InputError
from fearlib.spaces.registry import find_space
from fearlib.sweeps.labels import Label, parse_label
from fearlib.training.precision import resolve_precision


@dataclass(frozen=True)
class Settings:
    """Everything that a score depends on besides the architecture, the dataset's arrays and the seed."""

    preset: str
    channels: int = 16  # of the first stage
    cells: int = 5  # a stage; of a DARTS network all
    resolution: int = 32  # pixels a side
    train_images: int | None = None  # None: all
    batch_size: int = 256
    threshold: float = 0.6  # training top-1 at which stage 1 of FEAR ends
    stage1_epochs: int = 200  # at most
    schedule_epochs: int = 200  # length of stage 1's cosine
    threshold_checks: int = 1  # times an epoch that stage 1 compares with the threshold
    stage2_epochs: int = 5
    stage2_batch: int = 1024
    first_free_block: int | None = None  # None: the paper's, carried over to the number of cells
    shortreg_epochs: tuple[int, ...] = (10, 20, 30)  # a trial for each
    full_epochs: int = 200
    zero_cost_batch: int = 64  # images
    precision: str = "auto"  # becomes what this machine is fast at


PAPER = {
    "cifar10": Settings("paper", threshold=0.6),
    "cifar100": Settings("paper", threshold=0.3, stage2_batch=512),
    "imagenet16-120": Settings("paper", resolution=16, threshold=0.2, stage2_batch=512, stage2_epochs=10),
    "synthetic": Settings("paper", threshold=0.15),
}
COMPACT = Settings(
    "compact", cells=1, resolution=16, train_images=5_000, stage1_epochs=15, threshold_checks=13,
    stage2_epochs=24, stage2_batch=256, shortreg_epochs=(1, 2, 4),
)  # fmt: skip
COMPACT_THRESHOLDS = {"cifar10": 0.4, "cifar100": 0.15, "imagenet16-120": 0.1, "synthetic": 0.15}
SMOKE = Settings(
    "smoke", channels=4, cells=1, resolution=16, train_images=1000, batch_size=64, threshold=0.15,
    stage1_epochs=4, schedule_epochs=8, stage2_epochs=2, stage2_batch=128, shortreg_epochs=(1, 2),
    full_epochs=4, zero_cost_batch=32,
)  # fmt: skip
# Of a DARTS network the cells are all that there are; at paper scale it is that of NAS-Bench-301's training logs.
DARTS = {
    "smoke": {"channels": 4, "cells": 3},
    "compact": {"channels": 8, "cells": 6},
    "paper": {"channels": 32, "cells": 8},
}
# Settings that a method's label states, fear(stage2_epochs=8): sweeps that differ in them alone share a folder.
LENGTHS = ("stage2_epochs", "shortreg_epochs")
PRESETS = {
    "smoke": "the whole pipeline in seconds, for tests; its scores mean nothing",
    "compact": "a two-core machine in hours",
    "paper": "the published protocol, for a GPU",
}


def plain_preset(name: str, dataset: str, space: str = "nats-tss") -> Settings:
    """The settings of a preset as they are written here, "auto" for the precision. Raises as `preset` does."""
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}: the presets are {', '.join(PRESETS)}.")
    dataset = stands_for(dataset_name(dataset))
    find_space(space)
    settings = {
        "smoke": SMOKE,
        "compact": replace(COMPACT, threshold=COMPACT_THRESHOLDS.get(dataset, COMPACT.threshold)),
        "paper": PAPER.get(dataset, Settings("paper")),
    }[name]
    return replace(settings, **DARTS[name]) if space == "darts" else settings


def preset(name: str, dataset: str, /, space: str = "nats-tss", **overrides) -> Settings:
    """The settings of a preset for a dataset and a search space, some of them replaced.

    A stand-in has those of the dataset for which it stands. Values may be given as text, as on a command line
    ("0.5", "2,4,8", "none"). An overridden preset carries its changes in its name, `compact(threshold=0.55)`, but
    for those that a method's label states. The precision "auto" becomes what this machine is fast at. Raises
    InputError for an unknown preset, dataset, space or setting, or a value of the wrong kind.
    """
    settings = plain_preset(name, dataset, space)
    overrides.setdefault("precision", settings.precision)
    changes = {key: convert_setting(key, value) for key, value in overrides.items()}
    changes = {key: value for key, value in changes.items() if getattr(settings, key) != value}
    unnamed = (*LENGTHS, "precision")
    label = Label(name, {key: setting_text(value) for key, value in sorted(changes.items()) if key not in unnamed})
    return replace(settings, preset=str(label), **changes)


def checked(settings: Settings, dataset: str, space: str) -> Settings:
    """The settings as `preset` makes them for this dataset and space.

    Raises InputError for a value that it would refuse, and for settings that it would call otherwise: those of
    another dataset or space, or changed since.
    """
    if not isinstance(settings, Settings):
        raise InputError(f"the settings are {settings!r:.80}: make them by fearlib.preset.")
    name, values = parse_label(f"{settings.preset}").name, {key: getattr(settings, key) for key in _KINDS}
    made = preset(name, dataset, space, **values)
    if made.preset != settings.preset:
        raise InputError(
            f"the settings called {settings.preset} are not those of {dataset} and {space}, where they are "
            f"{made.preset}: make them by fearlib.preset for these, every change among its arguments."
        )
    return made


def as_dict(settings: Settings) -> dict:
    """Plain values, ready for JSON."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}


_KINDS = {field.name: field.type for field in fields(Settings) if field.name != "preset"}


def check_settings(names: Iterable[str]) -> None:
    """Raises InputError for a name that is no setting."""
    for name in names:
        if name not in _KINDS:
            raise InputError(f"unknown setting {name!r}: the settings are {', '.join(_KINDS)}.")


def convert_setting(key: str, value, called: str | None = None):
    """The value of a setting, which messages may call otherwise, in its own type.

    Raises InputError for an unknown setting or a wrong value.
    """
    check_settings([key])
    kind, called = _KINDS[key], called or f"setting {key}"
    optional = kind == int | None
    try:
        if optional and (value is None or value == "none"):
            return None
        if kind is str:
            converted = str(value)
        elif kind is float:
            if isinstance(value, bool):
                raise ValueError
            converted = float(value) + 0.0  # no negative zero
        elif kind == tuple[int, ...]:
            converted = tuple(map(_integer, value.split(",") if isinstance(value, str) else value))
        else:
            converted = _integer(value)
    except (TypeError, ValueError, OverflowError):
        expected = {str: "text", float: "a number", int: "an integer"}.get(
            kind, "an integer or none" if optional else "integers separated by commas"
        )
        raise InputError(f"{called}={value!r}: it must be {expected}.") from None
    if key == "precision":
        return resolve_precision(converted)
    if key == "threshold":
        if not 0 <= converted <= 1:
            raise InputError(f"{called}={value!r}: it is a share, from 0 to 1.")
    else:
        smallest = 0 if key == "first_free_block" else 1
        values = converted if isinstance(converted, tuple) else (converted,)
        if not values or min(values) < smallest:
            raise InputError(f"{called}={value!r}: it must be at least {smallest}.")
    return converted


def _integer(value) -> int:
    """Raises ValueError for a fraction, or for True and False."""
    converted = int(value)
    if isinstance(value, bool) or converted != float(value):
        raise ValueError
    return converted


def setting_text(value) -> str:
    """A setting's value as `convert_setting` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)
