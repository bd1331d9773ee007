"""The measures that methods take: in one sweep none may be taken twice."""

from collections.abc import Iterable, Mapping

from fearlib.errors import InputError
from fearlib.scores.registry import FIFTEEN
from fearlib.sweeps.labels import Label, read_label

BY_SCHEDULE = {"constant": "degradation_constant", "cosine": "degradation"}  # methods by that of the learning rate
MEASURING = ("zero_cost", "early", *BY_SCHEDULE.values())  # whose rows are those of measures


def measures_named(measures: str | None) -> tuple[str, ...]:
    """Those that a label names, as in `meco+swap`; the fifteen where it names none."""
    return FIFTEEN if measures is None else tuple(measures.split("+"))


def refuse_measures_twice(methods: Iterable[str], settings: Mapping) -> None:
    """Raises InputError if two methods of one sweep give rows the same label, so that they would count as one.

    At a constant rate a longer training begins with a shorter one, unless they train otherwise. What a label does
    not state the sweep's `settings` say, as a manifest has them.
    """
    taken: dict[str, str] = {}
    constant: dict[tuple, str] = {}
    for method in dict.fromkeys(methods):
        label = read_label(method)
        if label.name == "degradation_constant":
            how = tuple(label.arguments.get(key, f"{settings.get(key)}") for key in ("batch_size", "precision"))
            constant.setdefault(how, method)
        if len(constant) > 1:
            raise InputError(
                f"{' and '.join(constant.values())} train otherwise, and their moments would count as one "
                "training's: choose another folder for one of them."
            )
        for measure in measures_of(label):
            if taken.setdefault(measure, method) != method:
                raise InputError(
                    f"{measure} is taken by {taken[measure]} and by {method}: leave it out of one, or choose "
                    "another folder."
                )


def measures_of(label: Label) -> Iterable[str]:
    """The measures that a trial takes, after how many steps, in words."""
    measures = measures_named(label.arguments.get("measures"))
    if label.name == "zero_cost":
        return measures
    if label.name in BY_SCHEDULE.values():  # a row's label has these two alone
        return [f"every measure in {label.name} of {label.arguments.get('epochs')} epochs"]
    if label.name != "early":
        return ()
    batch = f" of {label.arguments['batch_size']}" if "batch_size" in label.arguments else ""
    steps = label.arguments["steps"].split("+")
    return [f"{measure} after {step} steps{batch}" for measure in measures for step in steps]
