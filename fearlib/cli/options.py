"""Options that several commands take, and what is read of their values."""

import math
import re
from pathlib import Path
from typing import Annotated, Optional

import typer

from fearlib.data.registry import DATASETS
from fearlib.errors import InputError, check_least, check_whole
from fearlib.spaces.registry import SPACES
from fearlib.sweeps.place import Place
from fearlib.sweeps.presets import PRESETS, check_settings

LARGEST_SEED = 2**32 - 1

SEE_LIST = "See `fear list`."


def dataset_option(help: str = SEE_LIST):
    return typer.Option(help=help, autocompletion=lambda: [*DATASETS])


Preset = Annotated[str, typer.Option(help=SEE_LIST, autocompletion=lambda: [*PRESETS])]
Space = Annotated[str, typer.Option(help="Search space, see `fear list`.", autocompletion=lambda: [*SPACES])]
Files = Annotated[Optional[Path], typer.Option(help="Where the dataset's official files are.")]
TrainImages = Annotated[
    Optional[int], typer.Option(help="Of the dataset, how many training images to load or draw; all by default.")
]
Changes = Annotated[
    Optional[list[str]], typer.Option("--set", help="Replace a setting of the preset: NAME=VALUE.")
]
Seeds = Annotated[str, typer.Option(help="Training seeds, separated by commas.")]
Workers = Annotated[int, typer.Option(help="One-thread processes here, or jobs of Slurm.")]
Scheduler = Annotated[Optional[str], typer.Option(help="tcp://HOST:PORT of a dask scheduler that runs, or slurm.")]
PerGpu = Annotated[Optional[int], typer.Option(help="Networks at once on each GPU.")]
Retries = Annotated[int, typer.Option(help="How often to try a failed trial again.")]
TimeBudget = Annotated[Optional[float], typer.Option(help="Minutes in all, after which no trial starts.")]


def how_to_run(
    seeds: str,
    folder: Path | None,
    workers: int,
    scheduler: str | None,
    per_gpu: int | None,
    retries: int,
    time_budget: float | None,
) -> dict:
    """What `run_sweep` takes of these options. Raises InputError for what it would refuse."""
    Place(workers, scheduler, per_gpu)
    check_whole(0, retries=retries)
    check_least(0, time_budget=0 if time_budget is None else time_budget)
    return {
        "seeds": list(dict.fromkeys(_seed(seed) for seed in seeds.split(","))),
        "data_folder": folder,
        "workers": workers,
        "scheduler": scheduler,
        "per_gpu": per_gpu,
        "retries": retries,
        "time_budget": math.inf if time_budget is None else 60 * time_budget,
    }


def _seed(text: str) -> int:
    if not (text.strip().isdecimal() and len(text) < 80 and int(text) <= LARGEST_SEED):
        raise InputError(f"seed {text!r:.80}: seeds are integers from 0 to {LARGEST_SEED}, separated by commas.")
    return int(text)


def settings_of(changes: list[str] | None) -> dict[str, str]:
    """The settings that `--set` replaces, by name. Raises InputError for one that is none, or is given twice."""
    given: dict[str, str] = {}
    for name, value in map(_assignment, changes or []):
        if name in given:
            raise InputError(f"--set gives {name} twice, {given[name]} and {value}: give it once.")
        given[name] = value
    check_settings(given)
    return given


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: it must be NAME=VALUE, as in --set threshold=0.5.")
    return name, value


def split_methods(text: str) -> list[str]:
    """At spaces, but not within brackets."""
    return re.split(r"\s+(?![^(]*\))", text.strip())
