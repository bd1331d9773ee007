"""Every score that results folders hold of one architecture."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fearlib.data.registry import NUM_CLASSES
from fearlib.files.outside import user_path
from fearlib.files.progress import progress
from fearlib.ranking.tables import method_order
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import build, space_of
from fearlib.sweeps.journal import FORMS
from fearlib.sweeps.presets import preset
from fearlib.sweeps.reader import Results, distinct_names
from fearlib.sweeps.rows import ROW_FORMS

_COLUMNS = (
    "folder", "preset", "dataset", "method", "seed", "score", "rank", "of", "seconds", "gmacs", "outcome",
    "test_accuracy",
)  # fmt: skip


def known_scores(architecture: Architecture | Genotype, folders: Sequence[str | Path]) -> pd.DataFrame:
    """A line a folder, preset, method and seed that scored the architecture; sweeps may still be running.

    Columns: `folder` by its `distinct_names`, `preset`, `dataset`, `method`, `seed`, `score`, `rank` of `of`
    architectures with a score by this method and seed there (1 is the highest, equal scores share their average
    rank, NaN: no score), `seconds`, `gmacs` (1e9 multiply-accumulates), `outcome` and `test_accuracy` in %. Raises
    InputError if a folder holds no sweep.
    """
    space, found = space_of([architecture]), []
    names = distinct_names(folders)
    for folder, name in zip(progress(folders, "reading results", "sweep"), names):
        rows = Results(folder).rows
        rows = rows[rows.space == space]
        peers = rows.groupby(["method", "seed"]).score
        rows = rows.assign(rank=peers.rank(ascending=False), of=peers.transform("count"))
        rows = rows.assign(folder=name, gmacs=rows.macs / 1e9)
        rows = rows[rows["index"] == architecture.index]
        found += sorted(rows.to_dict("records"), key=lambda row: (method_order(row["method"]), row["seed"]))
    return pd.DataFrame(found, columns=_COLUMNS)


def results_folders(parent: str | Path = "results") -> list[Path]:
    """The folders in `parent`, or in a folder there, that hold a sweep; none if there is no such folder.

    Those in the archive lie deeper.
    """
    places = [f"{within}/{name}" for within in ("*", "*/*") for name in (*ROW_FORMS, *FORMS)]
    return sorted({path.parent for place in places for path in user_path(parent).glob(place)})


def sizes_text(architecture: Architecture | Genotype, dataset: str = "cifar10") -> str:
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
