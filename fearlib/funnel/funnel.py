"""A funnel of sweeps: screen every architecture for little, train the best few, rank these by all scores."""

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fearlib.data.registry import dataset_name
from fearlib.errors import InputError, check_least, check_whole
from fearlib.funnel.plan import Part, Sweep, methods_for, read_parts, refuse_other_moments, sweeps_of
from fearlib.ranking.candidates import HOW, combined, with_derived
from fearlib.ranking.every_score import score_name
from fearlib.ranking.whole_space import best
from fearlib.spaces.registry import space_of
from fearlib.sweeps import run
from fearlib.sweeps.given import checked_truth, distinct
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.labels import has_failed


class Funnel(NamedTuple):
    """What a funnel found, and what it cost.

    `ranking` has a line an architecture that was kept, the best first: `index`, `arch`, each of the scores by its
    name and `combined`, all of them together; last come those without a trained score. It is None where time did
    not suffice: run the same again. `best` is the first one's index, None if not one has every trained score.
    `costs` has a line a sweep: `folder`, `method`, more than one where the folder had some of the measures before,
    how many `architectures`, and the `macs` and `seconds` of the scores that were asked for, each as computed
    alone.
    """

    ranking: pd.DataFrame | None
    costs: pd.DataFrame
    best: int | None = None


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
    others of the `keep` that these rank best together, all by default, and averaged over those of the `seeds` that
    gave a score. `how` ranks are combined is `product` or `mean`. Each preset's sweep lies in a folder of its own
    in `output`, and the same call goes on where it was; one of other scores takes what the folders have. `truth`,
    `time_budget` and `how_to_run` are what `run_sweep` takes. Raises InputError, before anything runs, for a score
    that no sweep measures, for another `how`, for `keep` without a measure to choose by or a score that trains, or
    of more architectures than there are, and as `check_sweep` does; for a trial that failed, which the same call
    tries again, and as `run_sweep` does.
    """
    check_least(0, time_budget=time_budget)
    ends, dataset = time.monotonic() + time_budget, dataset_name(dataset)
    parts = read_parts(scores, dataset, precision)
    free = [part for part in parts if part.is_free]
    _check(keep, how, free, parts)
    architectures, seeds = distinct(architectures, seeds)
    if keep is not None and keep > len(architectures):
        raise InputError(f"keep is {keep} of {len(architectures)} architectures: leave it out to train all.")
    if (space := space_of(architectures)) != "nats-tss":
        raise InputError(f"a funnel takes architectures of nats-tss, not of {space}.")
    table, costs = pd.DataFrame(index=[architecture.index for architecture in architectures]), []
    known = pd.Series(dtype=float) if truth is None else checked_truth(truth, list(table.index))
    known = known.rename_axis("index")  # whatever their numbers
    sweeps = [(sweep, Path(output) / f"{dataset}_{sweep.folder}") for sweep in sweeps_of(parts)]
    _check_sweeps(sweeps, dataset, architectures, how_to_run.get("data_folder"))
    for sweep, folder in sweeps:
        if not sweep.is_free and keep is not None:
            kept = set(best(_combined(table, free, how), keep))
            architectures = [each for each in architectures if each.index in kept]
        of_seeds, methods = seeds[:1] if sweep.is_free else seeds, methods_for(sweep, _finished(folder))
        indices = [each.index for each in architectures]
        of_these = known[known.index.isin(indices)]
        rows = run.run_sweep(
            folder, dataset, sweep.settings, methods, architectures, of_seeds,
            truth=of_these if len(of_these) else None, time_budget=max(0.0, ends - time.monotonic()), **how_to_run,
        )  # fmt: skip
        scored = _scores(rows[rows["index"].isin(indices) & rows.seed.isin(of_seeds)], sweep)
        spent = {"macs": scored.macs.sum(), "seconds": scored.seconds.sum()}
        costs.append({"folder": str(folder), "method": " ".join(methods), "architectures": len(indices)} | spent)
        if len(scored) < len(sweep.names) * len(indices) * len(of_seeds):
            if time.monotonic() < ends:
                raise InputError(
                    f"{folder} lacks scores of {', '.join(sweep.names)}, though its trials ran: they failed, as "
                    "fear status says, and the same command tries them again."
                )
            return Funnel(None, pd.DataFrame(costs))
        table = table.join(scored.groupby(["index", "name"]).score.mean().unstack())
    ranking = _ranking(table, parts, how, architectures)
    trained = [part.name for part in parts if not part.is_free]
    best_is_whole = ranking[trained].iloc[0].notna().all()
    return Funnel(ranking, pd.DataFrame(costs), int(ranking["index"].iloc[0]) if best_is_whole else None)


def _check(keep: int | None, how: str, free: list[Part], parts: list[Part]) -> None:
    if how not in HOW:
        raise InputError(f"ranks are combined by {' or '.join(HOW)}, not by {how!r}.")
    if keep is not None:
        check_whole(1, keep=keep)
        if not free:
            raise InputError("there is no measure to choose by: leave keep out, or add a measure to the scores.")
        if len(free) == len(parts):
            raise InputError("keep says how many are trained, but no score trains: leave keep out.")


def _check_sweeps(
    sweeps: list[tuple[Sweep, Path]], dataset: str, architectures: list, data_folder: str | None
) -> None:
    """Raises InputError if one of them cannot be run, or would not measure what is asked of it."""
    for sweep, folder in reversed(sweeps):  # so that the first finds its images loaded
        what = dataset, sweep.settings, methods_for(sweep, _finished(folder)), architectures, data_folder
        refuse_other_moments(sweep, run.check_sweep(folder, *what)["train_images"])


def _finished(folder: Path) -> set[str]:
    """The methods of which a folder, which may be new, has trials that have not failed."""
    records = read_journal(folder, curves=False)
    return {record["trial"]["method"] for record in records if not has_failed(record)}


def _scores(rows: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """The rows of the scores for which the sweep ran, with each one's `name`, without failed ones; each once.

    A longer training at a constant rate has the moments of a shorter one, too.
    """
    rows = rows.assign(name=[score_name(sweep.settings.preset, method) for method in rows.method])
    return rows[rows.name.isin(sweep.names) & ~rows.failed].drop_duplicates(["index", "seed", "name"])


def _ranking(table: pd.DataFrame, parts: list[Part], how: str, architectures: list) -> pd.DataFrame:
    found = pd.DataFrame({"index": [each.index for each in architectures], "arch": list(map(str, architectures))})
    table = table.loc[found["index"]]
    names = [part.name for part in parts]
    found = found.join(with_derived(table, names)[names].reset_index(drop=True))
    found["combined"] = _combined(table, parts, how).to_numpy()
    whole = table[[part.name for part in parts if not part.is_free]].notna().all(axis=1).to_numpy()
    order = found.assign(whole=whole).sort_values(["whole", "combined"], ascending=False, kind="stable").index
    return found.loc[order].reset_index(drop=True)


def _combined(table: pd.DataFrame, parts: list[Part], how: str) -> pd.Series:
    names = tuple(part.name for part in parts)
    return combined(table, pd.DataFrame({"how": [how], "scores": [names]}, index=["combined"]))["combined"]
