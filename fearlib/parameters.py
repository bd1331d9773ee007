"""The parameters of the notebooks, checked by name before anything runs."""

import math
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import NamedTuple

from fearlib.data.registry import DATASETS, dataset_name
from fearlib.errors import InputError
from fearlib.files.outside import user_path
from fearlib.files.spelling import spelt
from fearlib.plugin import import_plugin
from fearlib.scores.registry import MEASURES
from fearlib.sweeps.presets import PRESETS, check_settings

_OF_THE_NOTEBOOK, _CHECKED = ("In", "Out"), "_parameters_are_checked"


class _Kind(NamedTuple):
    words: str | Callable[[], str]
    fits: Callable[[object], bool]

    @property
    def allowed(self) -> str:
        return self.words if isinstance(self.words, str) else self.words()


def _choice(names) -> _Kind:
    """Of names, to which a user's module may add."""
    return _Kind(lambda: f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names)


def _whole(least: int) -> _Kind:
    return _Kind(f"an integer of at least {least}", lambda value: type(value) is int and value >= least)


def _number(least: float, most: float = math.inf) -> _Kind:
    allowed = f"a number of at least {least:g}" if most == math.inf else f"a number from {least:g} to {most:g}"
    return _Kind(allowed, lambda value: type(value) in (int, float) and least <= value <= most)


def _list_of(kind: _Kind) -> _Kind:
    return _Kind(
        lambda: f"a list, each {kind.allowed}",
        lambda value: isinstance(value, (list, tuple)) and len(value) > 0 and all(map(kind.fits, value)),
    )


def _or(*kinds: _Kind) -> _Kind:
    return _Kind(
        lambda: " or ".join(kind.allowed for kind in kinds),
        lambda value: any(kind.fits(value) for kind in kinds),
    )


_NONE = _Kind("None", lambda value: value is None)
_TEXT = _Kind("text", lambda value: isinstance(value, str) and value != "")
_NAMED = _Kind("a dictionary by name", lambda value: isinstance(value, dict) and all(map(_TEXT.fits, value)))
_DATASET = _Kind(_choice(DATASETS).words, lambda value: len(spelt(value, DATASETS)) == 1)
_EITHER = _Kind("True or False", lambda value: isinstance(value, bool))
_EXISTING = _Kind("a file or folder that exists", lambda value: _TEXT.fits(value) and Path(value).exists())
_SEED, _COUNT, _SHARE = _whole(0), _whole(1), _number(0, 1)
KINDS = {
    "preset": _choice(PRESETS),
    **dict.fromkeys(("overrides", "compared"), _NAMED),
    **dict.fromkeys(("dataset", "archive_dataset"), _DATASET),
    **dict.fromkeys(
        ("data_folder", "indices_file", "truth", "validation", "archive", "logs", "naslib"),
        _or(_EXISTING, _NONE),
    ),
    **dict.fromkeys(("measured", "rows", "benchmark", "listed"), _EXISTING),
    **dict.fromkeys(("results", "output", "method", "reference", "chosen_on", "chosen_by"), _TEXT),
    "widgets": _EITHER,
    "sweeps": _or(_NAMED, _list_of(_TEXT)),
    **dict.fromkeys(("references", "drawn"), _list_of(_TEXT)),
    "methods": _or(_list_of(_TEXT), _NONE),
    **dict.fromkeys(("name", "darts"), _or(_TEXT, _NONE)),
    **dict.fromkeys(("measures", "screen"), _list_of(_choice(MEASURES))),
    "schedules": _list_of(_choice(("cosine", "constant"))),
    **dict.fromkeys(("seed", "sample_seed", "order_seed"), _SEED),
    **dict.fromkeys(("architectures", "count", "searches", "orders", "halvings", "resamples"), _COUNT),
    **dict.fromkeys(("epochs", "workers", "kept"), _COUNT),
    **dict.fromkeys(("channels", "cells", "batch"), _COUNT),
    **dict.fromkeys(("length", "train_images"), _or(_COUNT, _NONE)),
    **dict.fromkeys(("neighbours", "keep"), _list_of(_COUNT)),
    "resolution": _or(_whole(4), _NONE),
    "ratio": _number(1),
    "ratios": _list_of(_number(1)),
    **dict.fromkeys(("darts_threshold", "archive_threshold", "logs_threshold"), _SHARE),
    "time_budget_minutes": _or(_number(0), _NONE),
}


def check_parameters(namespace: MutableMapping[str, object], names: str, lists: str = "") -> None:
    """A notebook's parameters, in its own `globals()`: those called `names`, separated by spaces, and no others.

    Those called `lists`, too, may be lists of what their names allow.
    A dataset is given the name under which it is known.
    `~` at the start of a text becomes the home folder, in the namespace itself; no text but a path starts so.
    Others are looked for once: when the cell runs again, the notebook's own names are there. The user's own module
    is imported, if there is one (`fearlib.plugin`). Raises InputError if one has a value that its name does not
    allow, `overrides` names what is no setting, two exclude each other, or one of another name was set.
    """
    import_plugin()
    names = names.split()
    for name in names:
        namespace[name] = _with_home(namespace[name])
        kind = _or(KINDS[name], _list_of(KINDS[name])) if name in lists.split() else KINDS[name]
        if not kind.fits(namespace[name]):
            raise InputError(f"parameter {name}={namespace[name]!r:.200}: it must be {kind.allowed}.")
        if KINDS[name] is _DATASET:
            namespace[name] = dataset_name(namespace[name])
    if "overrides" in names:
        check_settings(namespace["overrides"])
    if "indices_file" in names and namespace["indices_file"] and namespace.get("sample_seed"):
        raise InputError("parameter sample_seed is of drawn architectures: leave it out beside indices_file.")
    for name, value in [] if namespace.get(_CHECKED) else list(namespace.items()):
        plain = value is None or isinstance(value, (str, int, float, list, tuple, dict))
        if plain and not (name in names or name.startswith("_") or name in _OF_THE_NOTEBOOK):
            raise InputError(f"unknown parameter {name!r}: the parameters are {', '.join(names)}.")
    namespace[_CHECKED] = True


def _with_home(value):
    """The value with the home folder for `~` in every path, in lists and dictionaries too."""
    if isinstance(value, str):
        return str(user_path(value)) if value.startswith("~") else value
    if isinstance(value, (list, tuple)):
        return type(value)(map(_with_home, value))
    if isinstance(value, dict):
        return {_with_home(key): _with_home(each) for key, each in value.items()}
    return value
