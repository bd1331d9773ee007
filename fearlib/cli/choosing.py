"""What to rank by, and ranking so: `fear choose`, `fear funnel`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from fearlib.cli.options import (
    Files,
    PerGpu,
    Retries,
    Scheduler,
    Seeds,
    TimeBudget,
    Workers,
    dataset_option,
    how_to_run,
    split_methods,
)
from fearlib.cli.sweeps import accuracy_of, architectures_of, stoppable
from fearlib.data.registry import dataset_name
from fearlib.errors import InputError, check_least, require
from fearlib.files.outside import existing_path, read_file, user_path
from fearlib.files.write import replace_file

MAX_GUIDE_BYTES = 2**20
_SHOWN = 10  # architectures of a ranking
_COMBINED = {
    "product": "the mean logarithm of the ranks by the scores, each as a share of the architectures",
    "mean": "the mean of the ranks by the scores, each as a share of the architectures",
}


def choose(
    budget: Annotated[
        Optional[float], typer.Option(help="Multiply-accumulates an architecture, 1e12; the guide's by default.")
    ] = None,
    dataset: Annotated[Optional[str], dataset_option("All that were measured by default.")] = None,
    indices: Annotated[Optional[Path], typer.Option(help="Your architectures, for the command to copy.")] = None,
    results: Annotated[Path, typer.Option(help="Folder with the sweeps.")] = Path("results"),
) -> None:
    """Say what ranks architectures best for a budget, from the committed rows, with the command to run it."""
    results = user_path(results)
    if budget is None:
        if dataset is not None or indices is not None:
            raise InputError("--dataset and --indices go with a --budget: the guide is of all that was measured.")
        guide = results / "tables" / "choosing.md"
        if not guide.exists():
            raise InputError(f"{results} holds no tables/choosing.md: run this in the repository's folder.")
        print(read_file(guide, MAX_GUIDE_BYTES).decode(errors="replace"), end="")
        return
    check_least(0, budget=budget)
    dataset = None if dataset is None else dataset_name(dataset)
    if indices is not None:
        existing_path(indices)
    from fearlib.report.choosing import answers

    print(answers(budget, dataset, results, indices))
    print("\nThe command looks for images where --folder or FEARLIB_DATA says: docs/commands.md.")


def funnel(
    output: Annotated[Path, typer.Argument(help="Folder for the sweeps' results folders; running again goes on.")],
    scores: Annotated[
        str, typer.Option(help="Preset and method or measure, separated by spaces: compact/fear paper/synflow.")
    ],
    dataset: Annotated[str, dataset_option()] = "synthetic",
    keep: Annotated[
        Optional[int], typer.Option(help="How many to train, those that the measures rank best; all by default.")
    ] = None,
    how: Annotated[str, typer.Option(help="Ranks are combined by their product or their mean.")] = "product",
    indices: Annotated[Optional[Path], typer.Option(help="As for `fear rank`.")] = None,
    count: Annotated[
        Optional[int], typer.Option(help="How many to draw, 10 by default, 15625 for the whole space; or to take.")
    ] = None,
    sample_seed: Annotated[int, typer.Option(help="Seed of that draw.")] = 0,
    seeds: Seeds = "0",
    folder: Files = None,
    truth: Annotated[Optional[Path], typer.Option(help="As for `fear rank`.")] = None,
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16, or auto: what this machine is fast at.")
    ] = "auto",
    workers: Workers = 1,
    scheduler: Scheduler = None,
    per_gpu: PerGpu = None,
    retries: Retries = 0,
    time_budget: TimeBudget = None,
) -> None:
    """Rank architectures by several scores together; those that train, of the best by the measures alone."""
    dataset = dataset_name(dataset)
    options = how_to_run(seeds, folder, workers, scheduler, per_gpu, retries, time_budget)
    architectures = architectures_of(indices, count, "nats-tss", sample_seed)
    accuracy = accuracy_of(truth, dataset, architectures)
    from fearlib.funnel.funnel import run_funnel

    with stoppable(output):
        found = run_funnel(
            output, dataset, split_methods(scores), architectures, keep, how, truth=accuracy, precision=precision,
            **options,
        )  # fmt: skip
    require("tabulate", "print tables")
    costs = found.costs.assign(**{"10^12 macs": found.costs.macs / 1e12}).drop(columns="macs")
    print(costs.to_markdown(index=False, floatfmt=".3f"))
    if found.ranking is None:
        print("\nThe time was too short for all of it: the same command goes on.")
        return
    ranking = found.ranking
    if accuracy is not None:
        ranking = ranking.assign(test_accuracy=ranking["index"].map(accuracy))
    best = ranking[:_SHOWN]
    if found.best is None:
        print("\nnone has every score that trains: these are ranked by the others")
    elif accuracy is not None:
        print(f"\nfound {accuracy[found.best]:.2f}%; the best of all has {accuracy.max():.2f}%")
    print("\n" + best.to_markdown(index=False, floatfmt=".4g"))
    print(f"\ncombined: {_COMBINED[how]}; the highest is best")
    table = output / f"ranking_{dataset}.csv"
    replace_file(table, ranking.to_csv(index=False).encode())
    print(f"all {len(ranking)} are in {table}")
