"""Architectures are scored or looked up: `fear score`, `fear show`."""

import io
from pathlib import Path
from typing import Annotated, Optional

import typer

from fearlib.cli.options import LARGEST_SEED, Files, Space, TrainImages, dataset_option
from fearlib.data.registry import NUM_CLASSES, dataset_name, load_dataset, shown_name
from fearlib.errors import InputError, require
from fearlib.files.outside import existing_path
from fearlib.files.write import check_place, replace_file
from fearlib.scores.registry import measure_names
from fearlib.spaces.registry import build, parse_architecture, space_of
from fearlib.sweeps.presets import preset

DRAWN = (".png", ".pdf", ".svg")


def score(
    architectures: Annotated[list[str], typer.Argument(help="Indices or architecture strings.")],
    measures: Annotated[Optional[str], typer.Option(help="Separated by spaces; all by default.")] = None,
    dataset: Annotated[str, dataset_option("See `fear list`; or noise, which needs no files.")] = "noise",
    folder: Files = None,
    train_images: TrainImages = None,
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
    dataset = dataset_name(dataset, ("noise",))
    chosen = [parse_architecture(text) for text in architectures]
    names = None if measures is None else tuple(measures.split())
    if names == ():
        raise InputError("--measures names none: leave it out for all of them.")
    if measures is not None and "," in measures:
        raise InputError(f"--measures {measures}: the names are separated by spaces.")
    measure_names(names)
    if dataset == "noise" and (folder is not None or train_images is not None):
        raise InputError("--folder and --train-images are of a dataset's images: name a --dataset with them.")
    if csv is not None:
        check_place(csv)
        if csv.suffix.lower() != ".csv":
            raise InputError(f"--csv {csv}: the file's name must end in .csv.")
    from fearlib.scores.images import first_minibatch, noise_minibatch
    from fearlib.scores.measures import score_architectures

    if dataset == "noise":
        images, labels, classes = *noise_minibatch(batch, resolution or 32, seed), 10
    else:
        loaded = load_dataset(dataset, folder, resolution, train_images)
        images, labels, classes = *first_minibatch(loaded, batch, seed), loaded.num_classes
    table, undefined = score_architectures(chosen, images, labels, classes, names, channels, cells, seed)
    require("tabulate", "print tables")
    side = images.shape[-1]
    print(f"{len(labels)} images of {shown_name(dataset)}, {side}x{side} pixels, seed {seed};")
    print(f"networks of {channels} channels and {cells} cells a stage, at initialisation")
    print(table.drop(columns="arch").set_index("index").T.to_markdown(floatfmt=".6g"))
    for reason in undefined:
        print(reason)
    if csv is not None:
        replace_file(csv, table.to_csv(index=False).encode())


def show(
    architecture: Annotated[str, typer.Argument(help="Index or architecture string.")],
    space: Space = "nats-tss",
    results: Annotated[
        Optional[list[Path]],
        typer.Option(help="Results folder, or one of such; again for more. results/ by default."),
    ] = None,
    truth: Annotated[
        Optional[Path],
        typer.Option(help="Results folder, table or NATS-Bench archive; else what results say."),
    ] = None,
    dataset: Annotated[str, dataset_option("Of --truth and of the networks' sizes.")] = "cifar10",
    draw: Annotated[Optional[Path], typer.Option(help="Draw the cell into this file, PNG, PDF or SVG.")] = None,
) -> None:
    """Print an architecture's cell, parameters, macs, benchmark accuracy and every known score."""
    found, dataset = parse_architecture(architecture, space), dataset_name(dataset)
    if truth is not None and space != "nats-tss":
        raise InputError(f"--truth is of nats-tss: of {space} there is no benchmark accuracy.")
    if draw is not None and draw.suffix.lower() not in DRAWN:
        raise InputError(f"--draw {draw}: the file's name must end in {', '.join(DRAWN)}.")
    if draw is not None:
        check_place(draw)
    for path in (*(results or ()), *([] if truth is None else [truth])):
        existing_path(path)
    from fearlib.benchmark.truth import benchmark_accuracy
    from fearlib.ranking.known_scores import known_scores
    from fearlib.spaces.drawing import cell_text, draw_cell, has_cell
    from fearlib.sweeps.folders import results_folders

    if draw is not None and not has_cell(found):
        raise InputError(f"--draw: architectures of {space} have no cell that can be drawn.")
    folders = (
        [each for path in results for each in results_folders(path) or [path]] if results else results_folders()
    )
    scores = known_scores(found, folders)
    accuracies = {}  # by dataset, what each accuracy is said by
    for each in scores.dropna(subset="test_accuracy").itertuples():
        said = accuracies.setdefault(each.dataset, {}).setdefault(f"{each.test_accuracy:.2f}%", [])
        said += [each.folder] * (each.folder not in said)
    if truth is not None:
        accuracy = benchmark_accuracy(truth, dataset, [found.index])
        accuracies[accuracy.attrs["dataset"]] = {f"{accuracy.iloc[0]:.2f}%": [str(truth)]}
    cell = f"cell\n{cell_text(found)}\n\n" if has_cell(found) else ""
    print(f"{space} {found.index}\n{found}\n\n{cell}{_sizes_text(found, dataset)}\n")
    for name, values in accuracies.items():
        for value, said in values.items():
            print(f"test accuracy on {shown_name(name)}: {value}{f', {said[0]}' if len(values) > 1 else ''}")
    if not accuracies:
        print("test accuracy: not known; --truth gives the benchmark's")
    if folders:
        _print_scores(scores)
    else:
        print("\nno known score: there is no folder results with sweeps here; --results names others")
    if draw is not None:
        draw_cell(found).figure.savefig(picture := io.BytesIO(), format=draw.suffix[1:].lower())
        replace_file(draw, picture.getvalue())
        print(f"\nthe cell is drawn in {draw}")


def _sizes_text(architecture, dataset: str) -> str:
    """Parameters and macs of an architecture's networks for a dataset, a line a preset.

    One of the user's own is taken to have CIFAR-10's number of classes.
    """
    space, classes, lines = space_of([architecture]), NUM_CLASSES.get(dataset, NUM_CLASSES["cifar10"]), []
    for name in ("compact", "paper"):
        settings = preset(name, dataset, space=space)
        network = build(architecture, classes, settings.channels, settings.cells)
        cells = f"{settings.cells} cells" + " a stage" * (space == "nats-tss")
        lines.append(
            f"{name}: {network.num_parameters:,} parameters, {network.macs(settings.resolution):,} macs an image "
            f"({settings.channels} channels, {cells}, {settings.resolution}x{settings.resolution} pixels, "
            f"{classes} classes)"
        )
    return "\n".join(lines)


def _print_scores(scores) -> None:
    from fearlib.sweeps.meaning import with_meaning

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
