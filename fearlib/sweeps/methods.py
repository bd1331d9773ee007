"""What a sweep can run: a method's name, its arguments, and one trial of it."""

import functools
import math
from dataclasses import asdict

import torch

from fearlib.data.dataset import Dataset
from fearlib.errors import InputError
from fearlib.scores import trained as score
from fearlib.scores.degradation import Moment, degradation
from fearlib.scores.measures import MEASURES, Measured, measure_network, zero_cost_macs
from fearlib.scores.minibatch import first_minibatch
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import build
from fearlib.sweeps.labels import UNDEFINED, Label, parse_label
from fearlib.sweeps.presets import Settings, convert_setting
from fearlib.training.loop import has_diverged

METHODS = {
    "fear": "train to a threshold, freeze, train the last blocks (Dey et al. 2021)",
    "shortreg": "short regular training, once for every length the preset names",
    "zero_cost": "all measures at initialisation",
    "full": "full training; its test accuracy serves as the truth",
    "degradation": "the zero-cost measures again and again while the network trains, on one cosine",
    "degradation_constant": "the same at a constant rate, with a fresh optimizer every epoch",
}
_DEGRADATION_EPOCHS = 8
_TRUTH_SEEDS = 1_000_000
# The arguments that each method takes, and the setting that supplies one which is not given.
_TRAINING = {"batch_size": "batch_size", "precision": "precision"}
_FEAR = (
    "threshold", "threshold_checks", "stage1_epochs", "schedule_epochs", "stage2_epochs", "stage2_batch",
    "first_free_block",
)  # fmt: skip
_ARGUMENTS = {
    "fear": {name: name for name in _FEAR} | _TRAINING,
    "shortreg": {"epochs": "full_epochs"} | _TRAINING,
    "full": {"epochs": "full_epochs"} | _TRAINING,
    "zero_cost": {},
    "degradation": {"epochs": "full_epochs"} | _TRAINING,
    "degradation_constant": {"epochs": "full_epochs"} | _TRAINING,
}


def expand_methods(methods: list[str], settings: Settings) -> list[str]:
    """The trials' method labels: "fear" and "shortreg" become `fear(stage2_epochs=24)`, `shortreg(epochs=4)` and
    so on, as the settings say.

    A method may carry arguments of its own, `fear(stage2_epochs=8,threshold=0.5)`.
    Raises InputError for an unknown method or argument.
    """
    labels = []
    for method in methods:
        name, arguments = parse_method(method)
        if name == "fear":
            several = [{"stage2_epochs": settings.stage2_epochs, **arguments}]
        elif name == "shortreg" and "epochs" not in arguments:
            several = [{"epochs": epochs, **arguments} for epochs in settings.shortreg_epochs]
        elif name.startswith("degradation"):
            several = [{"epochs": _DEGRADATION_EPOCHS, **arguments}]
        else:
            several = [arguments]
        labels.extend(_label(name, arguments) for arguments in several)
    return list(dict.fromkeys(labels))


def parse_method(label: str) -> tuple[str, dict]:
    """`fear(threshold=0.5)` becomes ("fear", {"threshold": 0.5}). Raises InputError if it is malformed."""
    name, given = parse_label(label)
    if name not in METHODS:
        if name in MEASURES:
            raise InputError(
                f"{name} is a measure, not a method: zero_cost takes all measures in common passes; "
                f"`fear score ARCHITECTURES --measures {name}` takes it alone."
            )
        raise InputError(
            f"unknown method {label!r}: the methods are {', '.join(METHODS)}, "
            "with arguments where wanted, as in fear(threshold=0.5)."
        )
    allowed, arguments = _ARGUMENTS[name], {}
    for key, value in given.items():
        if key not in allowed:
            raise InputError(
                f"{name} takes no argument {key!r}: "
                + (f"it takes {', '.join(allowed)}." if allowed else "it takes none.")
            )
        arguments[key] = convert_setting(allowed[key], value, called=f"{name}'s {key}")
    return name, arguments


def run_trial(
    architecture: Architecture | Genotype,
    label: str,
    seed: int,
    dataset: Dataset,
    settings: Settings,
    max_macs: float = math.inf,
) -> dict:
    """One method on one architecture: `rows` (method, score, seconds, macs, outcome) and the learning `curve`.

    Zero-cost measures give a row each, with the seconds of computing it alone. The seed decides the initial
    weights, the order of the images and their augmentation, the same for every method but `full`: the truth
    shares no chance with the scores that it judges. `max_macs` is a limit for stage 1 of FEAR. On a CPU one thread
    is used, so that a score does not depend on how many workers share the machine; on a GPU float32 is float32,
    not TF32.
    """
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    name, arguments = parse_method(label)
    if name == "full":
        seed += _TRUTH_SEEDS
    torch.manual_seed(seed)
    network = build(architecture, dataset.num_classes, settings.channels, settings.cells)
    network.to(dataset.train_images.device)
    if name == "zero_cost":
        images, labels = first_minibatch(dataset, settings.zero_cost_batch, seed)
        return {
            "rows": _measure_rows(measure_network(network, images, labels, seed=seed), len(labels)),
            "curve": [],
        }
    arguments = {argument: _argument(name, arguments, settings, argument) for argument in _ARGUMENTS[name]}
    if name.startswith("degradation"):
        constant = name == "degradation_constant"
        minibatch = first_minibatch(dataset, settings.zero_cost_batch, seed)
        moments = degradation(network, dataset, *minibatch, constant_rate=constant, seed=seed, **arguments)
        form = {"epochs": arguments["epochs"], "schedule": "constant" if constant else "cosine"}
        rows = [row for moment in moments for row in _rows_of_moment(moment, form, len(minibatch[1]))]
        return {"rows": rows, "curve": [asdict(epoch) for epoch in moments[-1].curve]}
    if name == "fear":
        arguments["max_macs"] = max_macs
    result = getattr(score, name)(network, dataset, seed=seed, **arguments)
    row = {"method": label, "score": result.value, "seconds": result.seconds, "macs": result.macs}
    return {"rows": [row | {"outcome": result.outcome}], "curve": [asdict(epoch) for epoch in result.curve]}


def refuse_nan(result: dict) -> None:
    """Raises FloatingPointError if a trial's training diverged or a score is not finite without a reason."""
    for record in result["curve"]:
        if has_diverged([record["loss"]]):
            raise FloatingPointError(f"the training loss became {_called(record['loss'])}")
    for row in result["rows"]:
        if row["outcome"] in ("ok", "diverged") and not math.isfinite(row["score"]):
            raise FloatingPointError(f"the score of {row['method']} is {_called(row['score'])}")


def _called(number: float) -> str:
    return "NaN" if math.isnan(number) else "infinite"


def most_macs(architecture: Architecture | Genotype, label: str, dataset: Dataset, settings: Settings) -> int:
    """Multiply-accumulates of a trial's training at most, stage 1 of FEAR taking all its epochs.

    Measures at initialisation count as nothing.
    """
    name, arguments = parse_method(label)
    if isinstance(architecture, Architecture):  # its edges are all of one size
        architecture = Architecture(sorted(architecture.ops))
    sizes = (architecture, dataset.num_classes, settings.channels, settings.cells, dataset.resolution)
    whole = _training_macs(*sizes, 0)
    if name == "zero_cost":
        return 0
    given = functools.partial(_argument, name, arguments, settings)
    if name != "fear":
        return whole * given("epochs") * len(dataset.train_labels)
    of_stages = _training_macs(*sizes, 0) * given("stage1_epochs") + _training_macs(
        *sizes, given("first_free_block")
    ) * given("stage2_epochs")
    return of_stages * len(dataset.train_labels)


@functools.cache
def _training_macs(architecture, num_classes, channels, cells, resolution, first_free_block) -> int:
    network = build(architecture, num_classes, channels, cells)
    if first_free_block is None:
        first_free_block = network.default_first_free_block
    return network.training_macs(resolution, first_free_block)


def _rows_of_moment(moment: Moment, form: dict[str, str], batch_size: int) -> list[dict]:
    """`snip(epoch=0.2,epochs=8,schedule=cosine)` and so on, and training top-1, each with the training's cost."""
    seconds = sum(record.seconds for record in moment.curve)
    macs = sum(record.macs for record in moment.curve)
    rows = _measure_rows(moment.measures, batch_size)
    for row in rows:
        row["seconds"], row["macs"] = row["seconds"] + seconds, row["macs"] + macs
    if moment.curve:
        top1 = moment.curve[-1].train_top1
        rows.append({"method": "train_top1", "score": top1, "seconds": seconds, "macs": macs, "outcome": "ok"})
    return [row | {"method": str(Label(row["method"], {"epoch": f"{moment.epoch:g}"} | form))} for row in rows]


def _measure_rows(results: dict[str, Measured], batch_size: int) -> list[dict]:
    macs_per_image = int(results["macs"].value)
    return [
        {
            "method": name,
            "score": result.value,
            "seconds": result.seconds,
            "macs": zero_cost_macs(name, macs_per_image, batch_size),
            "outcome": f"{UNDEFINED}{result.undefined}" if result.undefined else "ok",
        }
        for name, result in results.items()
    ]


def _argument(name: str, arguments: dict, settings: Settings, argument: str):
    """A method's argument as its label gives it, else as the settings do."""
    return arguments[argument] if argument in arguments else getattr(settings, _ARGUMENTS[name][argument])


def _label(name: str, arguments: dict) -> str:
    return str(Label(name, {key: arguments[key] for key in _ARGUMENTS[name] if key in arguments}))
