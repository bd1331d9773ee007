"""The library's own methods: what each runs, what it costs at most, and its rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from fearlib.scores.registry import measure_names, zero_cost_macs
from fearlib.sweeps.labels import UNDEFINED, Label, numbers_text, read_numbers
from fearlib.sweeps.methods import METHODS, Given, Method, regular_macs
from fearlib.sweeps.presets import Settings
from fearlib.sweeps.taken import measures_named

if TYPE_CHECKING:  # what imports torch is imported by the functions that run a trial
    import torch

    from fearlib.scores.degradation import Moment
    from fearlib.scores.measures import Measurement
    from fearlib.scores.trained import Score
    from fearlib.training.loop import Epoch

_DEGRADATION_EPOCHS = 8
_TRUTH_SEEDS = 1_000_000


def _run_fear(given: Given, **arguments) -> Score:
    from fearlib.scores.trained import fear

    return fear(given.network, given.dataset, seed=given.seed, max_macs=given.max_macs, **arguments)


def _fear_macs(epoch_macs: Callable[..., int], arguments: dict, images: int) -> int:
    """Stage 1 taking all its epochs."""
    from fearlib.training.loop import check_schedule

    check_schedule(arguments["stage1_epochs"], arguments["schedule_epochs"])
    first = epoch_macs() * arguments["stage1_epochs"]
    return first + epoch_macs(arguments["first_free_block"]) * arguments["stage2_epochs"]


def _run_regular(given: Given, score: str, **arguments) -> Score:
    from fearlib.scores import trained

    return getattr(trained, score)(given.network, given.dataset, seed=given.seed, **arguments)


def _expand_shortreg(arguments: dict, settings: Settings) -> list[dict]:
    if "epochs" in arguments:
        return [arguments]
    return [{"epochs": epochs, **arguments} for epochs in settings.shortreg_epochs]


def _run_zero_cost(given: Given, measures: str | None = None) -> tuple[list[dict], tuple]:
    from fearlib.scores.measures import measure_network

    images, labels = _minibatch(given)
    results = measure_network(given.network, images, labels, measures_named(measures), given.seed)
    return _measure_rows(results, given.network.macs(images.shape[-1]), len(labels)), ()


def _measures_text(text: str) -> str:
    """`swap+meco` becomes `meco+swap`: the same measures are the same trial."""
    return "+".join(sorted(set(measure_names(tuple(text.split("+"))))))


def _moments_macs(epoch_macs: Callable[..., int], arguments: dict, images: int) -> int:
    """Of all its epochs. Raises InputError for two moments within one step."""
    if "moments" in arguments:
        from fearlib.scores.degradation import steps_of

        moments, steps = read_numbers(arguments["moments"]), -(-images // arguments["batch_size"])
        steps_of(moments, arguments["epochs"], steps)
    return regular_macs(epoch_macs, arguments, images)


def _run_degradation(
    given: Given, schedule: str, moments: str | None = None, measures: str | None = None, **arguments
) -> tuple[list[dict], tuple[Epoch, ...]]:
    from fearlib.scores.degradation import degradation

    images, labels = _minibatch(given)
    found = degradation(
        given.network, given.dataset, images, labels,
        constant_rate=schedule == "constant", seed=given.seed, moments=moments and read_numbers(moments),
        measures=measures_named(measures), **arguments,
    )  # fmt: skip
    form = {"epochs": arguments["epochs"], "schedule": schedule}
    trained = ("train_top1",) if moments is None else ("train_top1", "train_loss")
    macs, rows = given.network.macs(images.shape[-1]), []
    for moment in found:
        measured = _measure_rows(moment.measures, macs, len(labels))
        rows += _rows_of_moment(measured, moment, form, trained)
    return rows, found[-1].curve


def _run_early(given: Given, steps: str, measures: str, **arguments) -> tuple[list[dict], tuple[Epoch, ...]]:
    from fearlib.scores.early import early

    images, labels = _minibatch(given)
    counts = [int(step) for step in read_numbers(steps)]
    found = early(
        given.network,
        given.dataset,
        images,
        labels,
        counts,
        measures_named(measures),
        seed=given.seed,
        **arguments,
    )
    macs, rows = given.network.macs(images.shape[-1]), []
    for step, moment in zip(counts, found):
        form = {"steps": f"{step}", "batch_size": f"{arguments['batch_size']}"}
        measured = _with_training(_measure_rows(moment.measures, macs, len(labels)), moment)
        rows += [row | {"method": str(Label(row["method"], form))} for row in measured]
    return rows, found[-1].curve


def _early_macs(epoch_macs: Callable[..., int], arguments: dict, images: int) -> int:
    """Up to the last step."""
    from fearlib.scores.early import check_within_epoch

    steps, batch_size = read_numbers(arguments["steps"]), arguments["batch_size"]
    check_within_epoch(steps, images, batch_size)
    return epoch_macs() // images * min(int(steps[-1]) * batch_size, images)


def _steps_text(text: str) -> str:
    from fearlib.scores.early import check_steps

    steps = read_numbers(text)
    check_steps(steps)
    return numbers_text(steps)


def _expand_degradation(arguments: dict, settings: Settings) -> list[dict]:
    arguments = {"epochs": _DEGRADATION_EPOCHS, **arguments}
    if "moments" in arguments:
        from fearlib.scores.degradation import check_moments

        check_moments(read_numbers(arguments["moments"]), arguments["epochs"])
    return [arguments]


_TRAINING = {"batch_size": "batch_size", "precision": "precision"}
_REGULAR = {"epochs": "full_epochs"} | _TRAINING
_IN_TRAINING = _REGULAR | {
    "moments": lambda text: numbers_text(read_numbers(text)),
    "measures": _measures_text,
}
_FEAR = (
    "threshold", "threshold_checks", "stage1_epochs", "schedule_epochs", "stage2_epochs", "stage2_batch",
    "first_free_block",
)  # fmt: skip


def _minibatch(given: Given) -> tuple[torch.Tensor, torch.Tensor]:
    from fearlib.scores.images import first_minibatch

    return first_minibatch(given.dataset, given.settings.zero_cost_batch, given.seed)


def _rows_of_moment(measured: list[dict], moment: Moment, form: dict, trained: tuple[str, ...]) -> list[dict]:
    """`snip(epoch=0.2,epochs=8,schedule=cosine)` and so on, and `trained` of the training's last record.

    Each with the training's cost.
    """
    rows = _with_training(measured, moment)
    if moment.curve:
        last = {"train_top1": moment.curve[-1].train_top1, "train_loss": moment.curve[-1].loss}
        cost = {"seconds": moment.seconds, "macs": moment.macs, "outcome": "ok"}
        rows += [{"method": name, "score": last[name]} | cost for name in trained]
    return [row | {"method": str(Label(row["method"], {"epoch": f"{moment.epoch:g}"} | form))} for row in rows]


def _with_training(rows: list[dict], moment: Moment) -> list[dict]:
    """The rows with the cost of the training until then added to theirs."""
    return [row | {"seconds": row["seconds"] + moment.seconds, "macs": row["macs"] + moment.macs} for row in rows]


def _measure_rows(results: dict[str, Measurement], macs_per_image: int, batch_size: int) -> list[dict]:
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


METHODS.update({
    "fear": Method(
        "train to a threshold, freeze, train the last blocks (Dey et al. 2021)",
        _run_fear, {name: name for name in _FEAR} | _TRAINING, most_macs=_fear_macs,
    ),
    "shortreg": Method(
        "short regular training, once for every length the preset names",
        functools.partial(_run_regular, score="shortreg"), _REGULAR, _expand_shortreg, regular_macs,
    ),
    "zero_cost": Method(
        "fifteen measures at initialisation, or those named, measures=meco+swap",
        _run_zero_cost, {"measures": _measures_text},
    ),
    "full": Method(
        "full training; its test accuracy serves as the truth",
        functools.partial(_run_regular, score="full"), _REGULAR, most_macs=regular_macs, seed_shift=_TRUTH_SEEDS,
    ),
    "early": Method(
        "zero-cost measures after a few steps of training at a constant rate, steps=10+40, measures=snip",
        _run_early,
        {"steps": _steps_text, "measures": _measures_text} | _TRAINING,
        lambda arguments, settings: [
            {"steps": "40", "measures": "snip", "batch_size": settings.batch_size} | arguments
        ],
        most_macs=_early_macs,
    ),
    "degradation": Method(
        "fifteen measures, or those named, again and again while the network trains, on one cosine",
        functools.partial(_run_degradation, schedule="cosine"), _IN_TRAINING, _expand_degradation, _moments_macs,
    ),
    "degradation_constant": Method(
        "the same at a constant rate, with a fresh optimizer every epoch",
        functools.partial(_run_degradation, schedule="constant"), _IN_TRAINING, _expand_degradation, _moments_macs,
    ),
})  # fmt: skip
