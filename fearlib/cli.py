"""The command line, `fear`."""

import contextlib
import re
import signal
import sys
from pathlib import Path
from typing import Annotated, Optional

from fearlib.errors import InputError, require
from fearlib.plugin import import_plugin

try:
    typer = require("typer", "run the command line")
except ImportError as error:
    sys.exit(f"fear: {error}")
_FAILURES_SHOWN = 10
LARGEST_SEED = 2**32 - 1
app = typer.Typer(
    help="Rank neural architectures reproducibly: FEAR, short training and zero-cost measures on NATS-Bench.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
truth_app = typer.Typer(help="The benchmark's own test accuracies.", no_args_is_help=True)
app.add_typer(truth_app, name="truth")


def main() -> None:
    """Run the command line; an error in what was given is one sentence on standard error and exit code 2."""
    try:
        import_plugin()
        app()
    except (InputError, ImportError) as error:
        print(f"fear: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"fear: {error.filename or 'a file'} cannot be used: {error.strerror or error}.", file=sys.stderr)
        sys.exit(2)


@app.command("list")
def list_choices() -> None:
    """Show the methods, measures, datasets and presets that the other commands take."""
    from dataclasses import fields

    from fearlib.data.registry import DATASETS, shown_name
    from fearlib.scores.measures import MEASURES
    from fearlib.spaces.registry import SPACES
    from fearlib.sweeps.methods import METHODS
    from fearlib.sweeps.presets import PRESETS, Settings, preset

    print("methods")
    for name, method in METHODS.items():
        print(f"  {name:21} {method.what}")
    print("\nmeasures\n  " + ", ".join(MEASURES))
    print("\ndatasets\n  " + ", ".join(map(shown_name, DATASETS)))
    print("\nsearch spaces\n  " + ", ".join(SPACES))
    print("\npresets")
    for name, what in PRESETS.items():
        print(f"  {name:10} {what}")
    columns = [preset(name, "cifar10") for name in PRESETS]
    print("\nsettings on cifar10" + "".join(f"{name:>18}" for name in PRESETS))
    for field in fields(Settings)[1:]:
        print(f"  {field.name:17}" + "".join(f"{_plain(getattr(column, field.name)):>18}" for column in columns))


@app.command()
def rank(
    output: Annotated[Path, typer.Argument(help="Results folder; running again does only what is missing in it.")],
    dataset: Annotated[str, typer.Option(help="See `fear list`.")] = "synthetic",
    preset: Annotated[str, typer.Option(help="See `fear list`.")] = "smoke",
    space: Annotated[str, typer.Option(help="Search space, see `fear list`.")] = "nats-tss",
    methods: Annotated[
        Optional[str], typer.Option(help="Separated by spaces, arguments in brackets; all by default.")
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
    seeds: Annotated[str, typer.Option(help="Training seeds, separated by commas.")] = "0",
    folder: Annotated[Optional[Path], typer.Option(help="Where the dataset's official files are.")] = None,
    truth: Annotated[
        Optional[Path], typer.Option(help="Table or NATS-Bench archive with the test accuracies.")
    ] = None,
    change: Annotated[
        Optional[list[str]], typer.Option("--set", help="Replace a setting of the preset: NAME=VALUE.")
    ] = None,
    workers: Annotated[int, typer.Option(help="One-thread processes here, or jobs of Slurm.")] = 1,
    scheduler: Annotated[
        Optional[str], typer.Option(help="tcp://HOST:PORT of a dask scheduler that runs, or slurm.")
    ] = None,
    per_gpu: Annotated[Optional[int], typer.Option(help="Networks at once on each GPU.")] = None,
    retries: Annotated[int, typer.Option(help="How often to try a failed trial again.")] = 0,
    time_budget: Annotated[Optional[float], typer.Option(help="Minutes after which no trial starts.")] = None,
) -> None:
    """Score architectures with every method, and print how well each ranks them."""
    from fearlib.benchmark.truth import benchmark_accuracy
    from fearlib.data.registry import dataset_name, shown_name
    from fearlib.spaces.registry import find_space
    from fearlib.sweeps.indices import read_indices
    from fearlib.sweeps.presets import as_dict
    from fearlib.sweeps.presets import preset as make_settings
    from fearlib.sweeps.rows import truth_method
    from fearlib.sweeps.run import run_sweep

    dataset = dataset_name(dataset)
    settings = make_settings(preset, dataset, space=space, **dict(_assignment(text) for text in change or []))
    values = ", ".join(f"{key}={_plain(value)}" for key, value in as_dict(settings).items())
    print(f"{settings.preset} on {shown_name(dataset)}: {values}")
    architectures = (
        read_indices(indices, count, space)
        if indices
        else find_space(space).sample(10 if count is None else count, sample_seed)
    )
    accuracy = None
    if truth is not None:
        if space != "nats-tss":
            raise InputError(f"--truth is of nats-tss: for {space} add the method `full`, whose accuracy serves.")
        accuracy = benchmark_accuracy(truth, dataset, [architecture.index for architecture in architectures])
    if methods is None:
        methods = "fear shortreg zero_cost" + (" full" if truth is None and dataset == "synthetic" else "")
    chosen = _split_methods(methods)
    if truth is None and truth_method(chosen) is None:
        print("Without --truth, or the method `full`, there is no accuracy to compare the scores with.")
    with _stoppable(output):
        rows = run_sweep(
            output, dataset, settings, chosen, architectures,
            seeds=_seeds(seeds), data_folder=folder, truth=accuracy, workers=workers, scheduler=scheduler,
            per_gpu=per_gpu, retries=retries,
            time_budget=float("inf") if time_budget is None else 60 * time_budget,
        )  # fmt: skip
    _print_ranking(rows)


@app.command()
def paper(
    exhibit: Annotated[
        Optional[str], typer.Argument(help="T1..T3, F1..F4 or C1..C5; without, say what each needs and costs.")
    ] = None,
    output: Annotated[Optional[Path], typer.Argument(help="Folder for the sweeps' results folders.")] = None,
    dataset: Annotated[Optional[str], typer.Option(help="The exhibit's own by default.")] = None,
    preset: Annotated[str, typer.Option(help="See `fear list`.")] = "compact",
    count: Annotated[Optional[int], typer.Option(help="How many architectures, in every sweep.")] = None,
    indices: Annotated[
        Optional[Path], typer.Option(help="As for `fear rank`; the paper's 1,000 by default.")
    ] = None,
    truth: Annotated[
        Optional[Path], typer.Option(help="As for `fear rank`; of the paper's 1,000 by default.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Training seeds, separated by commas.")] = "0",
    folder: Annotated[Optional[Path], typer.Option(help="Where the dataset's official files are.")] = None,
    change: Annotated[
        Optional[list[str]], typer.Option("--set", help="Replace a setting in every sweep: NAME=VALUE.")
    ] = None,
    workers: Annotated[int, typer.Option(help="One-thread processes here, or jobs of Slurm.")] = 1,
    scheduler: Annotated[
        Optional[str], typer.Option(help="tcp://HOST:PORT of a dask scheduler that runs, or slurm.")
    ] = None,
    per_gpu: Annotated[Optional[int], typer.Option(help="Networks at once on each GPU.")] = None,
    retries: Annotated[int, typer.Option(help="How often to try a failed trial again.")] = 0,
    time_budget: Annotated[
        Optional[float], typer.Option(help="Minutes, of all sweeps together, after which no trial starts.")
    ] = None,
) -> None:
    """Run all sweeps that a table, figure or claim of the paper needs; again, to do only what is missing."""
    from fearlib.exhibits import ARCHITECTURES, exhibit_sweeps, find_exhibit, run_exhibit
    from fearlib.report.reproduction import tables

    if exhibit is None:
        print("\n\n".join(tables().values()))
        return
    if output is None:
        raise InputError(f"fear paper {exhibit} needs a folder to write to, such as results/mine.")
    with _stoppable(output):
        done = run_exhibit(
            exhibit, output, preset, dataset, count, indices or ARCHITECTURES, truth,
            dict(_assignment(text) for text in change or []),
            float("inf") if time_budget is None else 60 * time_budget,
            seeds=_seeds(seeds), data_folder=folder, workers=workers, scheduler=scheduler, per_gpu=per_gpu,
            retries=retries,
        )  # fmt: skip
    for sweep, rows in done.items():
        print(f"\n{sweep}")
        if len(rows):
            _print_ranking(rows)
    _print_what_is_left(output, [sweep.folder for sweep in exhibit_sweeps(exhibit, preset, dataset)])
    print(f"analysis/{find_exhibit(exhibit).notebook}.ipynb makes tables and figures of these folders.")


@app.command()
def score(
    architectures: Annotated[list[str], typer.Argument(help="Indices or architecture strings.")],
    measures: Annotated[Optional[str], typer.Option(help="Separated by spaces; all by default.")] = None,
    dataset: Annotated[str, typer.Option(help="See `fear list`; or noise, which needs no files.")] = "noise",
    folder: Annotated[Optional[Path], typer.Option(help="Where the dataset's official files are.")] = None,
    train_images: Annotated[
        Optional[int], typer.Option(help="Of the dataset, how many to load or draw; all by default.")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the first stage.")] = 16,
    cells: Annotated[int, typer.Option(min=1, help="Cells a stage.")] = 5,
    resolution: Annotated[
        Optional[int], typer.Option(min=4, help="Pixels a side; the dataset's own by default.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images in the minibatch.")] = 64,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Of weights, minibatch and noise.")] = 0,
    csv: Annotated[Optional[Path], typer.Option(help="Write a line an architecture to this file, too.")] = None,
) -> None:
    """Print zero-cost measures of architectures at initialisation, on one minibatch."""
    from fearlib.data.registry import dataset_name, load_dataset
    from fearlib.files.outside import user_path
    from fearlib.scores.measures import score_architectures
    from fearlib.scores.minibatch import first_minibatch, noise_minibatch
    from fearlib.spaces.registry import parse_architecture

    dataset = dataset_name(dataset, ("noise",))
    chosen = [parse_architecture(text) for text in architectures]
    if dataset == "noise":
        images, labels, classes = *noise_minibatch(batch, resolution or 32, seed), 10
    else:
        loaded = load_dataset(dataset, folder, resolution, train_images)
        images, labels, classes = *first_minibatch(loaded, batch, seed), loaded.num_classes
    names = None if measures is None else tuple(measures.split())
    if names == ():
        raise InputError("--measures names none: leave it out for all of them.")
    table, undefined = score_architectures(chosen, images, labels, classes, names, channels, cells, seed)
    require("tabulate", "print tables")
    side = images.shape[-1]
    print(f"{len(labels)} images of {dataset}, {side}x{side} pixels, seed {seed};")
    print(f"networks of {channels} channels and {cells} cells a stage, at initialisation")
    print(table.drop(columns="arch").set_index("index").T.to_markdown(floatfmt=".6g"))
    for reason in undefined:
        print(reason)
    if csv is not None:
        table.to_csv(user_path(csv), index=False)


@app.command("show")
def show_architecture(
    architecture: Annotated[str, typer.Argument(help="Index or architecture string.")],
    space: Annotated[str, typer.Option(help="Search space, see `fear list`.")] = "nats-tss",
    results: Annotated[
        Optional[list[Path]], typer.Option(help="Results folder; again for more. All in results/ by default.")
    ] = None,
    truth: Annotated[
        Optional[Path], typer.Option(help="Table or NATS-Bench archive; else the accuracy that results hold.")
    ] = None,
    dataset: Annotated[str, typer.Option(help="Of --truth, see `fear list`.")] = "cifar10",
) -> None:
    """Print an architecture's cell, parameters, macs, benchmark accuracy and every known score."""
    from fearlib.benchmark.truth import benchmark_accuracy
    from fearlib.data.registry import shown_name
    from fearlib.explorer.known_scores import known_scores, results_folders, sizes_text
    from fearlib.spaces.drawing import cell_text
    from fearlib.spaces.registry import parse_architecture

    found = parse_architecture(architecture, space)
    if truth is not None and space != "nats-tss":
        raise InputError(f"--truth is of nats-tss: of {space} there is no benchmark accuracy.")
    scores = known_scores(found, results or results_folders())
    accuracies = scores.groupby("dataset").test_accuracy.first().dropna()
    if truth is not None:
        accuracy = benchmark_accuracy(truth, dataset, [found.index])
        accuracies[accuracy.attrs["dataset"]] = accuracy.iloc[0]
    print(f"{space} {found.index}\n{found}\n\ncell\n{cell_text(found)}\n\n{sizes_text(found)}\n")
    for name, accuracy in accuracies.items():
        print(f"test accuracy on {shown_name(name)}: {accuracy:.2f}%")
    if accuracies.empty:
        print("test accuracy: not known; --truth gives the benchmark's")
    _print_scores(scores)


@app.command()
def table(folder: Annotated[Path, typer.Argument(help="Results folder of `fear rank`.")]) -> None:
    """Print the ranking table of a results folder."""
    from fearlib.sweeps.rows import read_rows

    _print_ranking(read_rows(folder))


@app.command()
def status(folder: Annotated[Path, typer.Argument(help="Results folder of `fear rank`.")]) -> None:
    """Say how far a sweep has come, while it runs or after."""
    from fearlib.sweeps.status import sweep_status

    found = sweep_status(folder)
    require("tabulate", "print tables")
    print(found.methods.astype(object).to_markdown(floatfmt=".1f"))
    totals = found.methods[["finished", "failed", "remaining"]].sum()
    print("\n" + ", ".join(f"{number} {what}" for what, number in totals.items()) + " of the last command")
    if totals.remaining and found.expected == found.expected:
        print(f"{found.expected / 60:.1f} minutes more at the pace of the last command")
    print(f"{found.writer} writes to it" if found.writer else "no sweep writes to it now")
    for reason in found.failures[:_FAILURES_SHOWN]:
        print(reason)
    if len(found.failures) > _FAILURES_SHOWN:
        print(
            f"and {len(found.failures) - _FAILURES_SHOWN} more failures, in {folder / 'rows.csv'} by their outcome"
        )


@app.command()
def merge(
    output: Annotated[Path, typer.Argument(help="Results folder that receives the trials; made if need be.")],
    sources: Annotated[list[Path], typer.Argument(help="Results folders of the same configuration.")],
    methods: Annotated[
        Optional[str],
        typer.Option(help="These alone, as `fear status` names them; `full` too where it is the truth."),
    ] = None,
) -> None:
    """Join sweeps of one configuration, run on several machines, in one folder."""
    from fearlib.sweeps.merge import merge_sweeps

    chosen = None if methods is None else _split_methods(methods)
    print(f"{merge_sweeps(output, sources, chosen)} trials were added to {output}.")


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="Folder with the ledger, tables, figures and sweeps.")] = Path(
        "results"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Write everything in the results as one page that needs no network."""
    from fearlib.report import write_report

    print(f"wrote {output}, {write_report(results, output) / 1e6:.1f} MB")


@app.command()
def data(
    dataset: Annotated[str, typer.Argument(help="See `fear list`.")],
    folder: Annotated[Optional[Path], typer.Option(help="Where the official files are, or the cache.")] = None,
    resolution: Annotated[Optional[int], typer.Option(help="Pixels a side.")] = None,
    train_images: Annotated[Optional[int], typer.Option(help="How many training images; all by default.")] = None,
) -> None:
    """Load a dataset (downloading or generating it if need be) and say what it holds."""
    from fearlib.data.registry import load_dataset

    loaded = load_dataset(dataset, folder, resolution, train_images)
    side = loaded.resolution
    print(f"{loaded.name}: {loaded.source}")
    print(f"{len(loaded.train_labels)} training and {len(loaded.test_labels)} test images of {side}x{side} pixels")
    print(f"training images a class: {loaded.train_labels.bincount().unique().tolist()}")
    print(f"fingerprint {loaded.fingerprint}")


@truth_app.command()
def show(
    source: Annotated[Path, typer.Argument(help="Table, NATS-Bench archive folder or results folder.")],
    architecture: Annotated[str, typer.Argument(help="Index or architecture string.")],
    dataset: Annotated[str, typer.Option(help="See `fear list`.")] = "cifar10",
    epochs: Annotated[
        Optional[int],
        typer.Option(help="200 by default, 12 for the benchmark's short training; of own training its length."),
    ] = None,
) -> None:
    """Print the benchmark's test accuracy of one architecture."""
    from fearlib.benchmark.truth import benchmark_accuracy
    from fearlib.data.registry import shown_name
    from fearlib.spaces.registry import parse_architecture

    found = parse_architecture(architecture)
    accuracy = benchmark_accuracy(source, dataset, [found.index], epochs)
    length = accuracy.attrs["epochs"]
    length = "" if length is None else f" {length} epochs"
    print(f"{found.index} {found} {shown_name(accuracy.attrs['dataset'])}{length}: {accuracy.iloc[0]:.2f}%")


@truth_app.command()
def export(
    archive: Annotated[Path, typer.Argument(help="The folder NATS-tss-v1_0-3ffb9-simple.")],
    output: Annotated[Path, typer.Argument(help="Table to write: .csv, .csv.gz or .parquet.")],
) -> None:
    """Write the small table of test accuracies from NATS-Bench's archive."""
    from fearlib.benchmark.truth import export_truth

    left_out = export_truth(archive, output)
    print(f"wrote {output}" + (f", without {left_out} architectures that the archive lacks" if left_out else ""))


@contextlib.contextmanager
def _stoppable(output: Path):
    """Ctrl-C and SIGTERM end the sweep in order, with a sentence and exit code 130 or 143; a second at once."""

    def stop(number, frame):
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


def _print_ranking(rows):
    from fearlib.data.registry import stand_in_note
    from fearlib.ranking.tables import format_ranking, ranking_table
    from fearlib.sweeps.rows import full_is_truth

    moments = rows.moment.notna()
    if moments.any():
        print("Measures at moments of training are tabulated by analysis/degradation.ipynb.")
    if rows.empty or not moments.all():
        print(format_ranking(ranking_table(rows[~moments])))
        if full_is_truth(rows):
            print("\nThe accuracy of `full` is the truth here, with which the others are compared.")
        if rows[~moments].groupby("method")["index"].agg(frozenset).nunique() > 1:
            print("\nNot all methods were run on the same architectures: `n + out` says on how many.")
    if note := stand_in_note(rows.dataset):
        print(f"\n{note}")


def _print_what_is_left(output: Path, folders: list[str]):
    from fearlib.sweeps.manifest import MANIFEST
    from fearlib.sweeps.status import sweep_status

    for folder in folders:
        if (output / folder / MANIFEST).exists():
            counts = sweep_status(output / folder).methods[["finished", "failed", "remaining"]].sum()
            print(f"{output / folder}: " + ", ".join(f"{number} {what}" for what, number in counts.items()))
        else:
            print(f"{output / folder}: not begun for lack of time")


def _print_scores(scores):
    from fearlib.sweeps.labels import with_meaning

    require("tabulate", "print tables")
    moments = with_meaning(scores).moment.notna()
    rest, folders = scores[~moments], ", ".join(scores.folder[moments].unique())
    shown = rest[["folder", "preset", "method", "seed"]].assign(
        score=[f"{score:.6g}" if score == score else outcome for score, outcome in zip(rest.score, rest.outcome)],
        rank=[f"{rank:g} of {of}" if rank == rank else "" for rank, of in zip(rest["rank"], rest["of"])],
        seconds=rest.seconds.map("{:.2f}".format),
        gmacs=rest.gmacs.map("{:.2f}".format),
    )
    print("\n" + shown.to_markdown(index=False, disable_numparse=True) if len(rest) else "\nno known score")
    if moments.any():
        print(f"and {moments.sum()} at moments of training, in {folders}: analysis/degradation.ipynb")


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: it must be NAME=VALUE, as in --set threshold=0.5.")
    return name, value


def _split_methods(text: str) -> list[str]:
    """At spaces, but not within brackets."""
    return re.split(r"\s+(?![^(]*\))", text.strip())


def _seeds(text: str) -> list[int]:
    return list(dict.fromkeys(_seed(seed) for seed in text.split(",")))


def _seed(text: str) -> int:
    if not (text.strip().isdecimal() and int(text) <= LARGEST_SEED):
        raise InputError(f"seed {text!r}: seeds are integers from 0 to {LARGEST_SEED}, separated by commas.")
    return int(text)


def _plain(value) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return "default" if value is None else str(value)
