"""From the names of scores to the sweeps that measure them."""

from collections.abc import Iterable
from typing import NamedTuple

from fearlib.errors import InputError
from fearlib.ranking.candidates import DERIVED
from fearlib.ranking.every_score import score_name
from fearlib.scores.registry import MEASURES, MOMENTS
from fearlib.sweeps.labels import Label, parse_label, read_label
from fearlib.sweeps.methods import METHODS, expand_methods, parse_method
from fearlib.sweeps.presets import Settings, check_settings, preset
from fearlib.sweeps.taken import BY_SCHEDULE, MEASURING, measures_of

_NAMES = "it is a preset, a slash and a method or measure, such as compact/fear or paper/synflow"


class Part(NamedTuple):
    """A score by its full name: the `measures` of which it is made, or the `method` that trains for it."""

    name: str
    settings: Settings
    method: str
    measures: tuple[str, ...] = ()

    @property
    def is_free(self) -> bool:
        return bool(self.measures)


class Sweep(NamedTuple):
    """What measures scores: one method at one preset. `names` are those of the scores that its rows have."""

    settings: Settings
    method: str
    names: list[str]
    is_free: bool

    @property
    def folder(self) -> str:
        """`compact`, or `compact_train_images_10000`, after the dataset."""
        label = parse_label(self.settings.preset)
        return "_".join([label.name, *(word for item in label.arguments.items() for word in item)])


def read_parts(names: Iterable[str], dataset: str, precision: str) -> list[Part]:
    """The scores by their names, each once, in full: `compact/fear` becomes `compact/fear(stage2_epochs=24)`.

    Raises InputError if there is none, or one is no score's name.
    """
    parts = list({part.name: part for part in (_part(name, dataset, precision) for name in names)}.values())
    if not parts:
        raise InputError("a funnel needs at least one score, such as paper/synflow.")
    return parts


def sweeps_of(parts: list[Part]) -> list[Sweep]:
    """Those that measure the scores, of measures at initialisation first: one a preset."""
    free: dict[Settings, set[str]] = {}
    trained: dict[tuple[Settings, str], list[str]] = {}
    for part in parts:
        if part.is_free:
            free.setdefault(part.settings, set()).update(part.measures)
        else:
            trained.setdefault((part.settings, part.method), []).append(part.name)
    screens = []
    for settings, measures in free.items():
        names = [f"{settings.preset}/{each}" for each in sorted(measures)]
        screens.append(Sweep(settings, _taking(measures), names, True))
    return screens + [Sweep(*key, names, False) for key, names in trained.items()]


def methods_for(sweep: Sweep, taken: Iterable[str]) -> list[str]:
    """The methods that measure the sweep's scores in a folder where trials of those `taken` have finished.

    A measure stays with the method that takes it there: of the others one takes the rest.
    """
    if not sweep.is_free:
        return [sweep.method]
    wanted = set(measures_of(read_label(sweep.method)))
    found = [method for method in sorted(set(taken)) if wanted & set(measures_of(read_label(method)))]
    rest = wanted.difference(*(measures_of(read_label(method)) for method in found))
    return [*found, _taking(rest)] if rest else found


def refuse_other_moments(sweep: Sweep, images: int) -> None:
    """Raises InputError for a measure at a moment at which its training on so many images has none."""
    method = read_label(sweep.method).name
    if method not in BY_SCHEDULE.values():
        return
    steps, form = -(-images // sweep.settings.batch_size), ".1g" if method == BY_SCHEDULE["constant"] else "g"
    fifths = dict.fromkeys(f"{-(-steps * part // MOMENTS) / steps:{form}}" for part in range(1, MOMENTS))
    for name in sweep.names:
        label = parse_label(name.partition("/")[2])
        if 0 < label.number("epoch") < 1 and label.arguments["epoch"] not in fifths:
            raise InputError(
                f"{name}: {method} measures at whole epochs, and in the first at {', '.join(fifths)} of it."
            )


def _taking(measures: Iterable[str]) -> str:
    return f"zero_cost(measures={'+'.join(sorted(measures))})"


def _part(name: str, dataset: str, precision: str) -> Part:
    place, slash, text = name.partition("/")
    if not slash:
        raise InputError(f"{name!r:.200} is no score's name: {_NAMES}.")
    place, label = parse_label(place), parse_label(text)
    check_settings(place.arguments)
    if "precision" in place.arguments:
        raise InputError(f"{name!r:.200}: the precision is one for the whole funnel, and in no score's name.")
    settings = preset(place.name, dataset, **place.arguments, precision=precision)
    name = f"{settings.preset}/{label}"
    if not label.arguments and (label.name in DERIVED or label.name in MEASURES):
        return Part(name, settings, "", DERIVED[label.name][0] if label.name in DERIVED else (label.name,))
    in_training = label.arguments.get("schedule") in BY_SCHEDULE and "epoch" in label.arguments
    if in_training and label.name in (*MEASURES, "train_top1"):
        return _in_training(name, label, settings)
    if "steps" in label.arguments and label.name in MEASURES:
        return _after_steps(name, label, settings)
    if label.name not in METHODS or label.name in MEASURING:
        raise InputError(f"{name!r:.200} is no score's name: {_NAMES}.")
    labels = expand_methods([text], settings)
    if len(labels) != 1:
        raise InputError(f"{name} stands for {', '.join(labels)}: name one of them.")
    return Part(f"{settings.preset}/{labels[0]}", settings, labels[0])


def _in_training(name: str, label: Label, settings: Settings) -> Part:
    """A measure at a moment of training, as in `snip(epoch=0.2,schedule=constant)`."""
    epoch, schedule = label.number("epoch"), label.arguments["schedule"]
    _refuse_others(name, label, ("epoch", "epochs", "schedule"))
    (method,) = expand_methods([f"{BY_SCHEDULE[schedule]}(epochs={label.arguments.get('epochs', 1)})"], settings)
    epochs = parse_method(method)[1]["epochs"]
    by_tenths = 0 < epoch < 1 and (schedule != "constant" or f"{round(epoch, 1):g}" == label.arguments["epoch"])
    if not (by_tenths or epoch.is_integer()):
        raise InputError(f"{name}: moments are whole epochs, and of the first its fifths, as epoch=0.2.")
    if not 0 <= epoch <= epochs:
        raise InputError(f"{name}: a moment lies from 0 to the {epochs} epochs of the training.")
    row = Label(label.name, {"epoch": f"{epoch:g}", "epochs": f"{epochs}", "schedule": schedule})
    return Part(score_name(settings.preset, str(row)), settings, method)


def _after_steps(name: str, label: Label, settings: Settings) -> Part:
    """A measure after some steps of training, as in `snip(steps=80,batch_size=64)`."""
    _refuse_others(name, label, ("steps", "batch_size"))
    if "+" in label.arguments["steps"]:
        raise InputError(f"{name} stands for several scores: name the steps of one.")
    form = {"batch_size": f"{settings.batch_size}"} | label.arguments | {"measures": label.name}
    (method,) = expand_methods([str(Label("early", form))], settings)
    form = {key: f"{parse_method(method)[1][key]}" for key in ("steps", "batch_size")}
    return Part(f"{settings.preset}/{Label(label.name, form)}", settings, method)


def _refuse_others(name: str, label: Label, allowed: tuple[str, ...]) -> None:
    if others := label.arguments.keys() - set(allowed):
        raise InputError(f"{name} states {', '.join(sorted(others))}: it may state {', '.join(allowed)}.")
