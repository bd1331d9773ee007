"""What a sweep can run: a method's name, its arguments, and one trial of it."""

import re
from dataclasses import asdict

import torch

from fearlib import score
from fearlib.architecture import Architecture
from fearlib.data import Dataset
from fearlib.errors import InputError
from fearlib.measures import MEASURES, measure_network, zero_cost_macs
from fearlib.network import build_network
from fearlib.presets import Settings, convert_setting

METHODS = {
    "fear": "train to a threshold, freeze, train the last blocks (Dey et al. 2021)",
    "shortreg": "short regular training, once for every length the preset names",
    "zero_cost": f"measures at initialisation: {', '.join(MEASURES)}",
    "full": "full training; its test accuracy serves as the truth",
}
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
        else:
            several = [arguments]
        labels.extend(_label(name, arguments) for arguments in several)
    return list(dict.fromkeys(labels))


def parse_method(label: str) -> tuple[str, dict]:
    """`fear(threshold=0.5)` becomes ("fear", {"threshold": 0.5}). Raises InputError if it is malformed."""
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", label.replace(" ", ""))
    if match is None or match[1] not in METHODS:
        raise InputError(
            f"unknown method {label!r}: the methods are {', '.join(METHODS)}, "
            "with arguments where wanted, as in fear(threshold=0.5)."
        )
    name, allowed = match[1], _ARGUMENTS[match[1]]
    arguments = {}
    for item in filter(None, (match[2] or "").split(",")):
        key, _, value = item.partition("=")
        if key not in allowed:
            raise InputError(
                f"{name} takes no argument {key!r}: "
                + (f"it takes {', '.join(allowed)}." if allowed else "it takes none.")
            )
        arguments[key] = convert_setting(allowed[key], value)
    return name, arguments


def run_trial(architecture: Architecture, label: str, seed: int, dataset: Dataset, settings: Settings) -> dict:
    """One method on one architecture: `rows` (method, score, seconds, macs, outcome) and the learning `curve`.

    Zero-cost measures give a row each, with the seconds of computing it alone. The seed decides the initial weights,
    the order of the images and their augmentation, the same for every method but `full`: the truth shares no chance
    with the scores that it judges. On a CPU one thread is used, so that a score does not depend on how many workers
    share the machine; on a GPU float32 is float32, not TF32.
    """
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    name, arguments = parse_method(label)
    if name == "full":
        seed += _TRUTH_SEEDS
    torch.manual_seed(seed)
    network = build_network(architecture, dataset.num_classes, settings.channels, settings.cells)
    network.to(dataset.train_images.device)
    if name == "zero_cost":
        return {"rows": _zero_cost_rows(network, dataset, settings, seed), "curve": []}
    for argument, setting in _ARGUMENTS[name].items():
        if argument not in arguments:
            arguments[argument] = getattr(settings, setting)
    result = getattr(score, name)(network, dataset, seed=seed, **arguments)
    row = {"method": label, "score": result.value, "seconds": result.seconds, "macs": result.macs}
    return {"rows": [row | {"outcome": result.outcome}], "curve": [asdict(epoch) for epoch in result.curve]}


def _zero_cost_rows(network, dataset: Dataset, settings: Settings, seed: int) -> list[dict]:
    generator = torch.Generator().manual_seed(seed)
    images, labels = next(dataset.training_batches(settings.zero_cost_batch, generator))
    results = measure_network(network, images, labels, seed=seed)
    macs_per_image = int(results["macs"].value)
    return [
        {
            "method": name,
            "score": result.value,
            "seconds": result.seconds,
            "macs": zero_cost_macs(name, macs_per_image, len(labels)),
            "outcome": f"undefined: {result.undefined}" if result.undefined else "ok",
        }
        for name, result in results.items()
    ]


def _label(name: str, arguments: dict) -> str:
    inner = ",".join(f"{key}={value}" for key, value in arguments.items())
    return f"{name}({inner})" if inner else name
