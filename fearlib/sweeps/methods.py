"""What a sweep can run: a method's name, its arguments, and one trial of it."""

import contextlib
import functools
import math
from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral

import torch

from fearlib.data.dataset import Dataset
from fearlib.errors import InputError
from fearlib.plugin import OTHERS, Registry
from fearlib.scores import trained
from fearlib.scores.degradation import Moment, degradation
from fearlib.scores.measures import MEASURES, Measurement, measure_network, zero_cost_macs
from fearlib.scores.minibatch import first_minibatch
from fearlib.scores.trained import Score
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.network import Network
from fearlib.spaces.registry import build
from fearlib.sweeps.labels import UNDEFINED, Label, parse_label
from fearlib.sweeps.presets import Settings, convert_setting, setting_text
from fearlib.training.loop import Epoch, has_diverged

_DEGRADATION_EPOCHS = 8
_TRUTH_SEEDS = 1_000_000


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
    and whose kind of value it has. `expand(arguments, settings)` gives the arguments of each trial that a mention
    stands for. `most_macs(epoch_macs, arguments)` says how many multiply-accumulates its training takes at most;
    `epoch_macs(first_free_block=0)` are those of an epoch. `seed_shift` is added to the seed of its trials. Raises
    InputError if there is no such setting.
    """

    what: str
    run: Callable[..., Score | tuple[list[dict], tuple[Epoch, ...]]]
    arguments: dict[str, str] = field(default_factory=dict)
    expand: Callable[[dict, Settings], list[dict]] = lambda arguments, settings: [arguments]
    most_macs: Callable[[Callable[..., int], dict], int] = lambda epoch_macs, arguments: 0
    seed_shift: int = 0

    def __post_init__(self):
        settings = [setting.name for setting in fields(Settings) if setting.name != "preset"]
        for argument, setting in self.arguments.items():
            if setting not in settings:
                raise InputError(
                    f"no setting {setting!r} can supply a method's {argument}: the settings are "
                    f"{', '.join(settings)}."
                )


def regular_macs(epoch_macs: Callable[..., int], arguments: dict) -> int:
    """Of regular training for `epochs`."""
    return epoch_macs() * arguments["epochs"]


def _run_fear(given: Given, **arguments) -> Score:
    return trained.fear(given.network, given.dataset, seed=given.seed, max_macs=given.max_macs, **arguments)


def _fear_macs(epoch_macs: Callable[..., int], arguments: dict) -> int:
    """Stage 1 taking all its epochs."""
    first = epoch_macs() * arguments["stage1_epochs"]
    return first + epoch_macs(arguments["first_free_block"]) * arguments["stage2_epochs"]


def _run_shortreg(given: Given, **arguments) -> Score:
    return trained.shortreg(given.network, given.dataset, seed=given.seed, **arguments)


def _expand_shortreg(arguments: dict, settings: Settings) -> list[dict]:
    if "epochs" in arguments:
        return [arguments]
    return [{"epochs": epochs, **arguments} for epochs in settings.shortreg_epochs]


def _run_full(given: Given, **arguments) -> Score:
    return trained.full(given.network, given.dataset, seed=given.seed, **arguments)


def _run_zero_cost(given: Given) -> tuple[list[dict], tuple]:
    images, labels = _minibatch(given)
    return _measure_rows(measure_network(given.network, images, labels, seed=given.seed), len(labels)), ()


def _run_degradation(given: Given, schedule: str, **arguments) -> tuple[list[dict], tuple[Epoch, ...]]:
    images, labels = _minibatch(given)
    moments = degradation(
        given.network, given.dataset, images, labels,
        constant_rate=schedule == "constant", seed=given.seed, **arguments,
    )  # fmt: skip
    form = {"epochs": arguments["epochs"], "schedule": schedule}
    return [row for moment in moments for row in _rows_of_moment(moment, form, len(labels))], moments[-1].curve


def _expand_degradation(arguments: dict, settings: Settings) -> list[dict]:
    return [{"epochs": _DEGRADATION_EPOCHS, **arguments}]


_TRAINING = {"batch_size": "batch_size", "precision": "precision"}
_REGULAR = {"epochs": "full_epochs"} | _TRAINING
_FEAR = (
    "threshold", "threshold_checks", "stage1_epochs", "schedule_epochs", "stage2_epochs", "stage2_batch",
    "first_free_block",
)  # fmt: skip
METHODS: MutableMapping[str, Method] = Registry(
    "method", Method, made_by=lambda method: method.run, beside=MEASURES
)
METHODS.update({
    "fear": Method(
        "train to a threshold, freeze, train the last blocks (Dey et al. 2021)",
        _run_fear,
        {name: name for name in _FEAR} | _TRAINING,
        lambda arguments, settings: [{"stage2_epochs": settings.stage2_epochs, **arguments}],
        _fear_macs,
    ),
    "shortreg": Method(
        "short regular training, once for every length the preset names",
        _run_shortreg, _REGULAR, _expand_shortreg, regular_macs,
    ),
    "zero_cost": Method("all measures at initialisation", _run_zero_cost),
    "full": Method(
        "full training; its test accuracy serves as the truth",
        _run_full, _REGULAR, most_macs=regular_macs, seed_shift=_TRUTH_SEEDS,
    ),
    "degradation": Method(
        "the zero-cost measures again and again while the network trains, on one cosine",
        functools.partial(_run_degradation, schedule="cosine"), _REGULAR, _expand_degradation, regular_macs,
    ),
    "degradation_constant": Method(
        "the same at a constant rate, with a fresh optimizer every epoch",
        functools.partial(_run_degradation, schedule="constant"), _REGULAR, _expand_degradation, regular_macs,
    ),
})  # fmt: skip


def expand_methods(methods: list[str], settings: Settings) -> list[str]:
    """The trials' method labels: "fear" and "shortreg" become `fear(stage2_epochs=24)`, `shortreg(epochs=4)` and
    so on, as the settings say.

    A method may carry arguments of its own, `fear(stage2_epochs=8,threshold=0.5)`.
    Raises InputError if there are none, or for an unknown method or argument.
    """
    if not methods:
        raise InputError(f"no methods are given: the methods are {', '.join(METHODS)}.")
    labels = []
    for mention in methods:
        name, given = parse_method(mention)
        method = METHODS[name]
        for arguments in method.expand(given, settings):
            ordered = {key: setting_text(arguments[key]) for key in method.arguments if key in arguments}
            labels.append(str(Label(name, ordered)))
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
            f"with arguments where wanted, as in fear(threshold=0.5); {OTHERS}."
        )
    allowed, arguments = METHODS[name].arguments, {}
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
    shares no chance with the scores that it judges. `max_macs` is a limit for stage 1 of FEAR. It runs with
    `plain_arithmetic`.
    """
    method, arguments = _with_settings(label, settings)
    seed += method.seed_shift
    with plain_arithmetic():
        torch.manual_seed(seed)
        network = build(architecture, dataset.num_classes, settings.channels, settings.cells)
        network.to(dataset.train_images.device)
        found = method.run(Given(network, dataset, settings, seed, max_macs), **arguments)
    if isinstance(found, Score):
        row = {"method": label, "score": float(found.value), "seconds": found.seconds, "macs": found.macs}
        found = [row | {"outcome": found.outcome}], found.curve
    rows, curve = found
    if not rows:
        raise ValueError(f"{label} gave neither a Score nor a row")
    return {"rows": [_plain(row) for row in rows], "curve": [asdict(epoch) for epoch in curve]}


def _plain(row: dict) -> dict:
    """A row of a trial in the types that a journal holds."""
    macs = row["macs"]
    return {
        "method": str(row["method"]),
        "score": float(row["score"]),
        "seconds": float(row["seconds"]),
        "macs": int(macs) if isinstance(macs, Integral) else float(macs),
        "outcome": " ".join(str(row["outcome"]).split()) or "ok",
    }


@contextlib.contextmanager
def plain_arithmetic():
    """Within, a CPU computes with one thread, so that a score does not depend on how many workers share the
    machine, and on a GPU float32 is float32, not TF32. Afterwards both are as they were."""
    threads, allowed = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = allowed


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

    Measures at initialisation count as nothing. Raises InputError if the network cannot be trained so.
    """
    method, arguments = _with_settings(label, settings)
    if isinstance(architecture, Architecture):  # its edges are all of one size
        architecture = Architecture(sorted(architecture.ops))
    sizes = (architecture, dataset.num_classes, settings.channels, settings.cells, dataset.resolution)

    def epoch_macs(first_free_block: int | None = 0) -> int:
        return _training_macs(*sizes, first_free_block) * len(dataset.train_labels)

    epoch_macs()  # refuses what does not fit, whatever the method
    return method.most_macs(epoch_macs, arguments)


@functools.cache
def _training_macs(architecture, num_classes, channels, cells, resolution, first_free_block) -> int:
    network = build(architecture, num_classes, channels, cells)
    if first_free_block is None:
        first_free_block = network.default_first_free_block
    return network.training_macs(resolution, first_free_block)


def _with_settings(label: str, settings: Settings) -> tuple[Method, dict]:
    """A label's method, and each of its arguments as the label gives it, else as the settings do."""
    name, given = parse_method(label)
    method = METHODS[name]
    supplied = {argument: getattr(settings, setting) for argument, setting in method.arguments.items()}
    return method, supplied | given


def _minibatch(given: Given) -> tuple[torch.Tensor, torch.Tensor]:
    return first_minibatch(given.dataset, given.settings.zero_cost_batch, given.seed)


def _rows_of_moment(moment: Moment, form: dict, batch_size: int) -> list[dict]:
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


def _measure_rows(results: dict[str, Measurement], batch_size: int) -> list[dict]:
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
