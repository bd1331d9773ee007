"""Sweeps are run: `fear rank`, `fear paper`."""

import contextlib
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Optional

import typer

from fearlib.cli.options import (
    Changes,
    Files,
    PerGpu,
    Preset,
    Retries,
    Scheduler,
    Seeds,
    Space,
    TimeBudget,
    Workers,
    dataset_option,
    how_to_run,
    settings_of,
    split_methods,
)
from fearlib.cli.results import print_ranking
from fearlib.data.registry import dataset_name, shown_name
from fearlib.errors import InputError
from fearlib.exhibits import ARCHITECTURES, exhibit_sweeps, find_exhibit, run_exhibit
from fearlib.files.outside import existing_path, user_path
from fearlib.spaces.registry import find_space
from fearlib.sweeps.labels import truth_method
from fearlib.sweeps.manifest import MANIFEST
from fearlib.sweeps.methods import expand_methods, parse_method
from fearlib.sweeps.presets import LENGTHS, Settings, convert_setting, plain_preset, setting_text
from fearlib.sweeps.presets import preset as make_settings
from fearlib.sweeps.status import sweep_status


def rank(
    output: Annotated[Path, typer.Argument(help="Results folder; running again does only what is missing in it.")],
    dataset: Annotated[str, dataset_option()] = "synthetic",
    preset: Preset = "smoke",
    space: Space = "nats-tss",
    methods: Annotated[
        Optional[str],
        typer.Option(
            help="Separated by spaces, arguments in brackets: fear shortreg zero_cost by default, and full on the "
            "synthetic dataset without --truth."
        ),
    ] = None,
    count: Annotated[
        Optional[int],
        typer.Option(help="How many architectures to draw from the whole space, 10 by default; or to take."),
    ] = None,
    sample_seed: Annotated[int, typer.Option(help="Seed of that draw.")] = 0,
    indices: Annotated[
        Optional[Path],
        typer.Option(
            help="File of indices or architecture strings, one a line; a table of them; or a results folder. "
            "All are taken, or the first COUNT."
        ),
    ] = None,
    seeds: Seeds = "0",
    folder: Files = None,
    truth: Annotated[
        Optional[Path],
        typer.Option(help="Results folder, table or NATS-Bench archive with the test accuracies."),
    ] = None,
    change: Changes = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    per_gpu: PerGpu = None,
    retries: Retries = 0,
    time_budget: TimeBudget = None,
) -> None:
    """Score architectures with every method, and print how well each ranks them."""
    dataset, changes = dataset_name(dataset), settings_of(change)
    plain_preset(preset, dataset, space)
    how = how_to_run(seeds, folder, workers, scheduler, per_gpu, retries, time_budget)
    if truth is not None and space != "nats-tss":
        raise InputError(f"--truth is of nats-tss: for {space} add the method `full`, whose accuracy serves.")
    if methods is None:
        methods = "fear shortreg zero_cost" + (" full" if truth is None and dataset == "synthetic" else "")
    chosen = split_methods(methods)
    for method in chosen:
        parse_method(method)
    architectures = architectures_of(indices, count, space, sample_seed)
    settings = make_settings(preset, dataset, space=space, **changes)
    _refuse_lengths_stated_twice(changes, chosen, settings)
    accuracy = accuracy_of(truth, dataset, architectures)
    from fearlib.sweeps.run import run_sweep

    values = ", ".join(f"{key}={setting_text(value)}" for key, value in vars(settings).items())
    print(f"{settings.preset} on {shown_name(dataset)}: {values}")
    if truth is None and truth_method(chosen) is None:
        print("Without --truth, or the method `full`, there is no accuracy to compare the scores with.")
    with stoppable(output):
        rows = run_sweep(output, dataset, settings, chosen, architectures, truth=accuracy, **how)
    if len(rows):
        print_ranking(rows)
    print()
    _print_what_is_left([user_path(output)])


def _refuse_lengths_stated_twice(changes: dict[str, str], methods: list[str], settings: Settings) -> None:
    """Raises InputError for a change that every method which would take it overrides by its own arguments."""
    names = [parse_method(method)[0] for method in methods]
    for name in set(LENGTHS) & set(changes):
        other = replace(settings, **{name: convert_setting(name, "123456789")})
        takes, would_take = (
            expand_methods(each, settings) != expand_methods(each, other) for each in (methods, names)
        )
        if would_take and not takes:
            raise InputError(
                f"--set {name}={changes[name]} changes nothing, as the methods say how long: give one."
            )


def architectures_of(indices: Path | None, count: int | None, space: str, sample_seed: int) -> list:
    """Those that `--indices` names, or drawn ones."""
    if indices is None:
        return find_space(space).sample(10 if count is None else count, sample_seed)
    if sample_seed:
        raise InputError("--sample-seed is of drawn architectures: leave it out beside --indices.")
    existing_path(indices)
    from fearlib.sweeps.indices import read_indices

    return read_indices(indices, count, space)


def accuracy_of(truth: Path | None, dataset: str, architectures: list):
    """Test accuracies of the architectures by index, as `--truth` says; None without it."""
    if truth is None:
        return None
    from fearlib.benchmark.truth import benchmark_accuracy

    return benchmark_accuracy(existing_path(truth), dataset, [each.index for each in architectures])


def paper(
    context: typer.Context,
    exhibit: Annotated[
        Optional[str], typer.Argument(help="T1..T3, F1..F4 or C1..C5; without, say what each needs and costs.")
    ] = None,
    output: Annotated[Optional[Path], typer.Argument(help="Folder for the sweeps' results folders.")] = None,
    dataset: Annotated[Optional[str], dataset_option("The exhibit's own by default.")] = None,
    preset: Preset = "compact",
    count: Annotated[Optional[int], typer.Option(help="How many architectures, in every sweep.")] = None,
    indices: Annotated[
        Optional[Path], typer.Option(help="As for `fear rank`; the paper's 1,000 by default.")
    ] = None,
    truth: Annotated[
        Optional[Path], typer.Option(help="As for `fear rank`; of the paper's 1,000 by default.")
    ] = None,
    seeds: Seeds = "0",
    folder: Files = None,
    change: Changes = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    per_gpu: PerGpu = None,
    retries: Retries = 0,
    time_budget: TimeBudget = None,
) -> None:
    """Run all sweeps that a table, figure or claim of the paper needs; again, to do only what is missing."""
    if exhibit is None:
        if any(context.get_parameter_source(name).name == "COMMANDLINE" for name in context.params):
            raise InputError("without an exhibit there is nothing to run: name one first, as in fear paper T1.")
        from fearlib.report.reproduction import tables

        print("\n\n".join(tables().values()))
        return
    folders = [sweep.folder for sweep in exhibit_sweeps(exhibit, preset, dataset)]
    if output is None:
        raise InputError(f"fear paper {exhibit} needs a folder to write to, such as mine/paper.")
    how, output = how_to_run(seeds, folder, workers, scheduler, per_gpu, retries, time_budget), user_path(output)
    with stoppable(output):
        done = run_exhibit(
            exhibit, output, preset, dataset, count, indices or ARCHITECTURES, truth, settings_of(change), **how
        )
    for sweep, rows in done.items():
        print(f"\n{sweep}")
        if len(rows):
            print_ranking(rows)
    _print_what_is_left([output / folder for folder in folders])
    print(f"analysis/{find_exhibit(exhibit).notebook}.ipynb makes tables and figures of these folders.")


@contextlib.contextmanager
def stoppable(output: Path):
    """Ctrl-C and SIGTERM end the sweep in order, with a sentence and exit code 130 or 143; a second at once."""

    def stop(number, frame):
        logging.disable()  # of workers that are told to end
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit:
        print(f"fear: stopped; what was finished is in {output}, and the same command goes on.", file=sys.stderr)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_what_is_left(folders: list[Path]) -> None:
    for folder in folders:
        if (folder / MANIFEST).exists():
            found = sweep_status(folder).total
            more = "; the same command goes on" if found.remaining else ""
            print(f"{folder}: {found.finished} finished, {found.failed} failed, {found.remaining} remaining{more}")
        else:
            print(f"{folder}: not begun for lack of time; the same command goes on")
