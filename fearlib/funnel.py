"""A funnel of sweeps: screen every architecture for little, train the best few, rank these by all scores."""

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fearlib.errors import InputError
from fearlib.ranking.candidates import DERIVED, HOW, combined, with_derived
from fearlib.ranking.every_score import score_name
from fearlib.ranking.whole_space import best
from fearlib.scores.registry import MEASURES
from fearlib.sweeps import run
from fearlib.sweeps.given import checked_truth, distinct
from fearlib.sweeps.labels import Label, parse_label
from fearlib.sweeps.methods import METHODS, expand_methods
from fearlib.sweeps.presets import Settings, check_settings, preset
from fearlib.training.loop import check_counts

_IN_TRAINING = {"constant": "degradation_constant", "cosine": "degradation"}  # by the form of the learning rate
_NAMES = "it is a preset, a slash and a method or measure, such as compact/fear or paper/synflow"


class Funnel(NamedTuple):
    """What a funnel found, and what it cost.

    `ranking` has a line an architecture that was kept, the best first: `index`, `arch`, each of the scores by its
    name and `combined`, all of them together; last come those without a trained score. It is None where time did
    not suffice: run the same again. `costs` has a line a sweep: `folder`, `method`, how many `architectures`, and
    the `macs` and `seconds` of the scores that were asked for, each as computed alone.
    """

    ranking: pd.DataFrame | None
    costs: pd.DataFrame


class _Part(NamedTuple):
    """A score by its full name: the `measures` of which it is made, or the `method` that trains for it."""

    name: str
    settings: Settings
    method: str
    measures: tuple[str, ...] = ()

    @property
    def is_free(self) -> bool:
        return bool(self.measures)


class _Sweep(NamedTuple):
    settings: Settings
    method: str
    names: list[str]  # of the scores that its rows have
    is_free: bool

    @property
    def folder(self) -> str:
        """`compact`, or `compact_train_images_10000`, after the dataset."""
        label = parse_label(self.settings.preset)
        return "_".join([label.name, *(word for item in label.arguments.items() for word in item)])


def run_funnel(
    output: str | Path,
    dataset: str,
    scores: Iterable[str],
    architectures: list,
    keep: int | None = None,
    how: str = "product",
    seeds: list[int] = (0,),
    truth: pd.Series | dict[int, float] | None = None,
    precision: str = "auto",
    time_budget: float = math.inf,
    **how_to_run,
) -> Funnel:
    """Rank NATS-Bench architectures by several scores, the costly ones of the best `keep` alone.

    `scores` are named by preset and label, as `fearlib.ranking.every_score` says: `paper/synflow`,
    `compact/fear(stage2_epochs=24)`. Zero-cost measures are taken of every architecture, with the first seed; the
    others of the `keep` that these rank best together, all by default, and averaged over the `seeds`. `how` ranks
    are combined is `product` or `mean`. Each preset's sweep lies in a folder of its own in `output`, and the same
    call goes on where it was. `truth`, `time_budget` and `how_to_run` are what `run_sweep` takes. Raises
    InputError for a score that no sweep measures, for another `how`, for `keep` without a measure to choose by,
    for a trial that failed, which the same call tries again, and as `run_sweep` does.
    """
    ends = time.monotonic() + time_budget
    parts = list(dict.fromkeys(_part(name, dataset, precision) for name in scores))
    free = [part for part in parts if part.is_free]
    if not parts:
        raise InputError("a funnel needs at least one score, such as paper/synflow.")
    if how not in HOW:
        raise InputError(f"ranks are combined by {' or '.join(HOW)}, not by {how!r}.")
    if keep is not None:
        check_counts(keep=keep)
        if not free:
            raise InputError("there is no measure to choose by: leave keep out, or add a measure to the scores.")
    architectures, seeds = distinct(architectures, seeds)
    table, costs = pd.DataFrame(index=[architecture.index for architecture in architectures]), []
    known = pd.Series(dtype=float) if truth is None else checked_truth(truth, list(table.index))
    known = known.rename_axis("index")  # whatever their numbers
    for sweep in _sweeps(parts):
        if not sweep.is_free and free and keep is not None and len(architectures) > keep:
            kept = set(best(_combined(table, free, how), keep))
            architectures = [each for each in architectures if each.index in kept]
        folder, indices = Path(output) / f"{dataset}_{sweep.folder}", [each.index for each in architectures]
        of_seeds, of_these = seeds[:1] if sweep.is_free else seeds, known[known.index.isin(indices)]
        rows = run.run_sweep(
            folder, dataset, sweep.settings, [sweep.method], architectures, of_seeds,
            truth=of_these if len(of_these) else None, time_budget=max(0.0, ends - time.monotonic()), **how_to_run,
        )  # fmt: skip
        ran = rows.assign(name=[score_name(sweep.settings.preset, method) for method in rows.method])
        ran = ran[ran["index"].isin(indices) & ran.seed.isin(of_seeds)]
        each = ran[ran.name.isin(sweep.names) & ~ran.failed]
        spent = {"macs": each.macs.sum(), "seconds": each.seconds.sum()}
        costs.append({"folder": str(folder), "method": sweep.method, "architectures": len(indices)} | spent)
        trials = len(indices) * len(of_seeds)
        if len(each) < len(sweep.names) * trials:
            if time.monotonic() < ends and len(ran[["index", "seed"]].drop_duplicates()) == trials:
                raise InputError(
                    f"{folder} lacks scores of {', '.join(sweep.names)}, though its trials ran: they failed, as "
                    "fear status says, or the sweep has no such score."
                )
            return Funnel(None, pd.DataFrame(costs))
        table = table.join(each.groupby(["index", "name"]).score.mean().unstack())
    return Funnel(_ranking(table, parts, how, architectures), pd.DataFrame(costs))


def _ranking(table: pd.DataFrame, parts: list[_Part], how: str, architectures: list) -> pd.DataFrame:
    found = pd.DataFrame({"index": [each.index for each in architectures], "arch": list(map(str, architectures))})
    table = table.loc[found["index"]]
    names = [part.name for part in parts]
    found = found.join(with_derived(table, names)[names].reset_index(drop=True))
    found["combined"] = _combined(table, parts, how).to_numpy()
    whole = table[[part.name for part in parts if not part.is_free]].notna().all(axis=1).to_numpy()
    order = found.assign(whole=whole).sort_values(["whole", "combined"], ascending=False, kind="stable").index
    return found.loc[order].reset_index(drop=True)


def _combined(table: pd.DataFrame, parts: list[_Part], how: str) -> pd.Series:
    names = tuple(part.name for part in parts)
    return combined(table, pd.DataFrame({"how": [how], "scores": [names]}, index=["combined"]))["combined"]


def _sweeps(parts: list[_Part]) -> list[_Sweep]:
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
        method = f"zero_cost(measures={'+'.join(sorted(measures))})"
        screens.append(_Sweep(settings, method, [f"{settings.preset}/{each}" for each in sorted(measures)], True))
    return screens + [_Sweep(*key, names, False) for key, names in trained.items()]


def _part(name: str, dataset: str, precision: str) -> _Part:
    """A score by its name, in full: `compact/fear` becomes `compact/fear(stage2_epochs=24)`."""
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
        return _Part(name, settings, "", DERIVED[label.name][0] if label.name in DERIVED else (label.name,))
    in_training = label.arguments.get("schedule") in _IN_TRAINING and "epoch" in label.arguments
    if in_training and label.name in (*MEASURES, "train_top1"):
        epochs, schedule = label.arguments.get("epochs", "1"), label.arguments["schedule"]
        _refuse_others(name, label, ("epoch", "epochs", "schedule"))
        epoch = label.number("epoch")
        by_tenths = 0 < epoch < 1 and f"{round(epoch, 1):g}" == label.arguments["epoch"]
        if schedule == "constant" and not (by_tenths or epoch.is_integer()):
            raise InputError(f"{name}: moments are whole epochs, and of the first its tenths, as epoch=0.2.")
        row = Label(label.name, {"epoch": label.arguments["epoch"], "epochs": epochs, "schedule": schedule})
        return _Part(score_name(settings.preset, str(row)), settings, f"{_IN_TRAINING[schedule]}(epochs={epochs})")
    if "steps" in label.arguments and label.name in MEASURES:
        form = {"steps": label.arguments["steps"]} | {
            "batch_size": label.arguments.get("batch_size", f"{settings.batch_size}")
        }
        _refuse_others(name, label, ("steps", "batch_size"))
        if "+" in form["steps"]:
            raise InputError(f"{name} stands for several scores: name the steps of one.")
        method = Label("early", form | {"measures": label.name})
        return _Part(f"{settings.preset}/{Label(label.name, form)}", settings, str(method))
    if label.name not in METHODS or label.name in ("zero_cost", "early", *_IN_TRAINING.values()):
        raise InputError(f"{name!r:.200} is no score's name: {_NAMES}.")
    labels = expand_methods([text], settings)
    if len(labels) != 1:
        raise InputError(f"{name} stands for {', '.join(labels)}: name one of them.")
    return _Part(f"{settings.preset}/{labels[0]}", settings, labels[0])


def _refuse_others(name: str, label: Label, allowed: tuple[str, ...]) -> None:
    if others := label.arguments.keys() - set(allowed):
        raise InputError(f"{name} states {', '.join(sorted(others))}: it may state {', '.join(allowed)}.")
