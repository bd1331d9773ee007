"""Every score that results folders hold of one architecture."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fearlib.files.progress import progress
from fearlib.ranking.tables import method_order
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import space_of
from fearlib.sweeps.folders import distinct_names
from fearlib.sweeps.reader import Results

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
