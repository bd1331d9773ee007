"""One trial: a method on an architecture, with one seed."""

import contextlib
import math
from dataclasses import asdict
from numbers import Integral

import torch

from fearlib.data.dataset import Dataset
from fearlib.files.stays_text import stays_a_text
from fearlib.randomness import seeded
from fearlib.scores.registry import MEASURES
from fearlib.scores.trained import Score
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import build
from fearlib.sweeps.labels import kind_of
from fearlib.sweeps.methods import METHODS, Given, with_settings
from fearlib.sweeps.presets import Settings
from fearlib.sweeps.taken import MEASURING
from fearlib.training.loop import has_diverged


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
    method, arguments = with_settings(label, settings)
    seed += method.seed_shift
    device = dataset.train_images.device
    with plain_arithmetic(), seeded(seed, device):
        network = build(architecture, dataset.num_classes, settings.channels, settings.cells)
        network.to(device)
        found = method.run(Given(network, dataset, settings, seed, max_macs), **arguments)
    if isinstance(found, Score):
        row = {"method": label, "score": float(found.value), "seconds": found.seconds, "macs": found.macs}
        found = [row | {"outcome": found.outcome}], found.curve
    rows, curve = found
    if not rows:
        raise ValueError(f"{label} gave neither a Score nor a row")
    rows = [_plain(row) for row in rows]
    if len({row["method"] for row in rows}) < len(rows):
        raise ValueError(f"{label} gave two rows of one name")
    _refuse_names_of_others(rows, kind_of(label))
    curve = [{key: _number(value) for key, value in asdict(epoch).items()} for epoch in curve]
    return {"rows": rows, "curve": curve}


def _plain(row: dict) -> dict:
    """A row of a trial in the types that a journal holds, and with texts that a table gives back."""
    plain = {
        "method": str(row["method"]),
        "score": float(row["score"]),
        "seconds": float(row["seconds"]),
        "macs": _number(row["macs"]),
        "outcome": " ".join(str(row["outcome"]).split()) or "ok",
    }
    for key in ("seconds", "macs"):
        if plain[key] < 0 or math.isinf(plain[key]):
            raise ValueError(f"a row has {plain[key]} {key}, which no trial takes")
    for key in ("method", "outcome"):
        if not stays_a_text(plain[key]):
            raise ValueError(f"a row has the {key} {plain[key]!r}, which tables read as a number or as missing")
    return plain


def _number(value) -> int | float:
    return int(value) if isinstance(value, Integral) else float(value)


def _refuse_names_of_others(rows: list[dict], method: str) -> None:
    """Raises ValueError if a row would count as one of a measure or of another method."""
    for kind in {kind_of(row["method"]) for row in rows} - {method}:
        if kind in METHODS or kind in MEASURES and method not in MEASURING:
            raise ValueError(f"{method} gave a row named {kind}, which is not its own: rows need other names")


@contextlib.contextmanager
def plain_arithmetic():
    """Within, a CPU computes with one thread, so that a score does not depend on how many workers share the
    machine, and on a GPU float32 is float32, not TF32. Afterwards both are as they were."""
    threads, on_gpu = torch.get_num_threads(), torch.cuda.is_available()
    allowed = on_gpu and torch.backends.cudnn.allow_tf32
    try:
        torch.set_num_threads(1)
        if on_gpu:
            torch.backends.cudnn.allow_tf32 = False
        yield
    finally:
        torch.set_num_threads(threads)
        if on_gpu:
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
