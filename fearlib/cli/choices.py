"""What there is to choose from: `fear list`, `fear data`."""

import sys
from dataclasses import fields
from typing import Annotated, Optional

import typer

from fearlib.cli.options import SEE_LIST, Files, TrainImages, dataset_option
from fearlib.data.registry import DATASETS, dataset_name, load_dataset, shown_name
from fearlib.scores.registry import COMBINED, MEASURES
from fearlib.spaces.registry import SPACES
from fearlib.sweeps.methods import METHODS
from fearlib.sweeps.presets import PRESETS, Settings, plain_preset, setting_text


def list_choices(
    dataset: Annotated[str, dataset_option("Whose settings to show.")] = "cifar10",
) -> None:
    """Show the methods, measures, datasets and presets that the other commands take."""
    dataset = dataset_name(dataset)
    print("methods")
    for name, method in METHODS.items():
        print(f"  {name:21} {method.what}")
    print("\nmeasures\n  " + ", ".join(MEASURES))
    print("\ncombinations of measures, for `fear funnel`")
    for name, parts in COMBINED.items():
        print(f"  {name:21} " + ", ".join(parts))
    print("\ndatasets\n  " + ", ".join(map(shown_name, DATASETS)))
    print("\nsearch spaces\n  " + ", ".join(SPACES))
    print("\npresets")
    for name, what in PRESETS.items():
        print(f"  {name:10} {what}")
    columns = [vars(plain_preset(name, dataset)) for name in PRESETS]
    print(f"\nsettings on {shown_name(dataset)}\n{'':19}" + "".join(f"{name:>18}" for name in PRESETS))
    for field in fields(Settings)[1:]:
        print(f"  {field.name:17}" + "".join(f"{setting_text(column[field.name]):>18}" for column in columns))


def data(
    dataset: Annotated[str, typer.Argument(help=SEE_LIST, autocompletion=lambda: [*DATASETS])],
    folder: Files = None,
    resolution: Annotated[Optional[int], typer.Option(help="Pixels a side.")] = None,
    train_images: TrainImages = None,
) -> None:
    """Load a dataset (downloading or generating it if need be) and say what it holds."""
    print(f"loading {(dataset := dataset_name(dataset))} ...", file=sys.stderr)
    loaded = load_dataset(dataset, folder, resolution, train_images)
    side = loaded.resolution
    print(f"{loaded.name}: {loaded.source}")
    print(f"{len(loaded.train_labels)} training and {len(loaded.test_labels)} test images of {side}x{side} pixels")
    print(f"training images a class: {loaded.train_labels.bincount().unique().tolist()}")
    print(f"fingerprint {loaded.fingerprint}")
