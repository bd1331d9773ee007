"""What a search learns of an architecture: by training or measuring it, or from measured trials."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fearlib.errors import InputError, check_whole
from fearlib.spaces.nats import Architecture
from fearlib.sweeps.labels import kind_of
from fearlib.sweeps.meaning import with_meaning
from fearlib.sweeps.methods import expand_methods
from fearlib.sweeps.presets import Settings

if TYPE_CHECKING:
    from fearlib.data.dataset import Dataset


@dataclass(frozen=True)
class Evaluation:
    """What a search learns of an architecture, and what that cost.

    `score` is NaN for one that was dropped; an infinite one counts as none. `stage1` are the macs of a stage 1
    that reached the threshold, infinite for others and for methods without stages; `macs` and `seconds` are all
    that was spent on it.
    """

    score: float
    stage1: float
    macs: float
    seconds: float


Evaluate = Callable[[int, float], Evaluation]  # from an architecture's index and the limit of its stage 1 in macs


def value_of(evaluation: Evaluation) -> float:
    """Its score, -inf for what was dropped."""
    return evaluation.score if math.isfinite(evaluation.score) else -math.inf


def live(method: str, seed: int, dataset: Dataset, settings: Settings) -> Evaluate:
    """An evaluation by running a trial of `method`, as a sweep would; a limit is for FEAR alone.

    A measure at initialisation is `zero_cost(measures=synflow)`. Raises InputError for a method that stands for
    several trials; the evaluation does for one of several scores.
    """
    from fearlib.sweeps.trial import run_trial  # here, for it imports torch

    labels = expand_methods([method], settings)
    if len(labels) > 1:
        raise InputError(f"{method} stands for {len(labels)} trials: choose one, {' or '.join(labels)}.")

    def evaluate(index: int, limit: float) -> Evaluation:
        trial = run_trial(Architecture.from_index(index), labels[0], seed, dataset, settings, max_macs=limit)
        if len(trial["rows"]) > 1:
            raise InputError(f"{method} gives {len(trial['rows'])} scores: a search needs one.")
        (row,) = trial["rows"]
        reached = any(record["stage"] == 2 for record in trial["curve"])
        stage1 = sum(record["macs"] for record in trial["curve"] if record["stage"] == 1)
        return Evaluation(row["score"], stage1 if reached else math.inf, row["macs"], row["seconds"])

    return evaluate


def replay(rows: pd.DataFrame, curves: pd.DataFrame, method: str, train_images: int, batch_size: int) -> Evaluate:
    """An evaluation by looking up the trials of `method` in a sweep's `rows` and `curves`, of one seed.

    A FEAR trial whose stage 1 is cut off costs what its training had spent at the end of the step in which the
    limit was reached; `train_images` and `batch_size` say where steps end. Macs are exact, seconds until the cut
    are interpolated in the learning curve. Raises InputError unless there is one trial an architecture, all of one
    seed, FEAR's with learning curves; the evaluation does for an architecture without a trial.
    """
    check_whole(1, train_images=train_images, batch_size=batch_size)
    rows = with_meaning(rows)
    of_method = rows[(rows.method == method) & ~rows.failed]
    if of_method.empty:
        raise InputError(f"there are no trials of {method} to replay.")
    if of_method["index"].duplicated().any() or of_method.seed.nunique() > 1:
        raise InputError(f"a replay needs one trial of {method} an architecture, all of one seed.")
    trials = of_method.set_index("index")[["score", "macs", "seconds"]].to_dict("index")
    of_method = curves[(curves.method == method) & curves.seed.isin(of_method.seed) & (curves.stage == 1)]
    staged = kind_of(method) == "fear"
    spent = {index: _spent(curve) for index, curve in of_method.groupby("index")} if staged else {}
    if staged and (lacking := trials.keys() - spent.keys()):
        raise InputError(
            f"{len(lacking)} trials of {method} have no learning curve, that of {min(lacking)} for one: where a "
            "limit cuts them off cannot be told."
        )

    def evaluate(index: int, limit: float) -> Evaluation:
        if index not in trials:
            raise InputError(f"architecture {index} has no trial of {method} to replay.")
        trial = trials[index]
        if index not in spent:
            return Evaluation(trial["score"], math.inf, trial["macs"], trial["seconds"])
        images, macs, seconds = spent[index]
        if macs[-1] < limit:
            stage1 = math.inf if math.isnan(trial["score"]) else macs[-1]
            return Evaluation(trial["score"], stage1, trial["macs"], trial["seconds"])
        macs_per_image = macs[-1] / images[-1]
        cut = _end_of_step(limit / macs_per_image, train_images, batch_size)
        return Evaluation(math.nan, math.inf, cut * macs_per_image, float(np.interp(cut, images, seconds)))

    return evaluate


def _spent(curve: pd.DataFrame) -> np.ndarray:
    """Images trained on, macs and seconds from the start of training to the end of every record."""
    spent = curve.sort_values("epoch")[["images", "macs", "seconds"]].cumsum().to_numpy().T
    return np.pad(spent, ((0, 0), (1, 0)))


def _end_of_step(images: float, train_images: int, batch_size: int) -> int:
    """The number of images trained on at the end of the step in which `images` are reached."""
    epochs = max(math.ceil(images / train_images) - 1, 0)
    steps = math.ceil((images - epochs * train_images) / batch_size)
    return epochs * train_images + min(steps * batch_size, train_images)
