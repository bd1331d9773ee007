"""The benchmark's own test accuracies: `fear truth show`, `fear truth export`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from fearlib.cli.options import dataset_option
from fearlib.data.registry import shown_name
from fearlib.files.outside import existing_path
from fearlib.spaces.registry import parse_architecture


def show(
    source: Annotated[Path, typer.Argument(help="Table, NATS-Bench archive folder or results folder.")],
    architecture: Annotated[str, typer.Argument(help="Index or architecture string.")],
    dataset: Annotated[str, dataset_option()] = "cifar10",
    epochs: Annotated[
        Optional[int],
        typer.Option(help="200 by default, 12 for the benchmark's short training; of own training its length."),
    ] = None,
) -> None:
    """Print the benchmark's test accuracy of one architecture."""
    found = parse_architecture(architecture)
    existing_path(source)
    from fearlib.benchmark.truth import benchmark_accuracy

    accuracy = benchmark_accuracy(source, dataset, [found.index], epochs)
    length = accuracy.attrs["epochs"]
    length = "" if length is None else f" {length} epochs"
    print(f"{found.index} {found} {shown_name(accuracy.attrs['dataset'])}{length}: {accuracy.iloc[0]:.2f}%")


def export(
    archive: Annotated[Path, typer.Argument(help="The folder NATS-tss-v1_0-3ffb9-simple.")],
    output: Annotated[Path, typer.Argument(help="Table to write: .csv, .csv.gz or .parquet.")],
) -> None:
    """Write the small table of test accuracies from NATS-Bench's archive."""
    existing_path(archive)
    from fearlib.benchmark.truth import export_truth

    left_out = export_truth(archive, output)
    print(f"wrote {output}" + (f", without {left_out} architectures that the archive lacks" if left_out else ""))
