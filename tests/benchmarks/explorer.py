"""How long the explorer takes to open 100,000 rows, in seconds of the processor, without the imports.

Of a finished sweep, from its tables, and of one that is still being written, from its journal: with the methods of
`fear rank` by default, of which zero_cost gives fifteen rows a trial, and with one row a trial.
"""

import itertools
import json
import tempfile
import time
from pathlib import Path

import matplotlib.backends.backend_agg  # noqa: F401
import numpy as np
import plotly.graph_objects
import scipy.stats  # noqa: F401

from fearlib import preset
from fearlib.explorer.widgets import Explorer
from fearlib.scores.registry import FIFTEEN
from fearlib.sweeps.journal import pack_journal
from fearlib.sweeps.presets import as_dict
from fearlib.sweeps.reader import Results
from fearlib.sweeps.rows import write_tables

ARCHITECTURES, EPOCHS = 1000, 4
DEFAULT = ["fear", *(f"shortreg(epochs={n})" for n in (1, 2, 4)), "zero_cost"]
SWEEPS = {"of all methods": (DEFAULT, 6), "of short training, one row a trial": (DEFAULT[1:2], 100)}


def main() -> None:
    plotly.graph_objects.FigureWidget()  # imports more
    for name, (methods, seeds) in SWEEPS.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            rows = write_journal(folder, methods, seeds)
            print(f"{rows} rows of a sweep {name}, that runs: {opened(folder):.1f} s (at most 3)")
            write_tables(folder)
            pack_journal(folder)
            print(f"{rows} rows of a sweep {name}, finished: {opened(folder):.1f} s (at most 3)")


def opened(folder: Path) -> float:
    started = time.process_time()
    Explorer(Results(folder))._repr_mimebundle_()
    return time.process_time() - started


def write_journal(folder: Path, methods: list[str], seeds: int) -> int:
    configuration = {"space": "nats-tss", "dataset": "synthetic"}
    configuration["settings"] = as_dict(preset("smoke", "synthetic"))
    (folder / "manifest.json").write_text(json.dumps({"configuration": configuration, "sittings": []}))
    random, rows = np.random.default_rng(0), 0
    with (folder / "journal.jsonl").open("w") as journal:
        for seed, method in itertools.product(range(seeds), methods):
            names = list(FIFTEEN) if method == "zero_cost" else [method]
            for index, score in enumerate(random.uniform(size=ARCHITECTURES)):
                row = {"score": score, "seconds": 1.0, "macs": 10**9, "outcome": "ok"}
                epoch = {"stage": 1, "loss": 2.0, "train_top1": score, "val_top1": score, "seconds": 1.0}
                curve = [epoch | {"epoch": n + 1.0, "images": 1000, "macs": 10**8} for n in range(EPOCHS)]
                record = {"trial": {"index": index, "method": method, "seed": seed}}
                record |= {"test_accuracy": 60 + index / 30, "rows": [{"method": name} | row for name in names]}
                record |= {"curve": [] if method == "zero_cost" else curve}
                journal.write(json.dumps(record) + "\n")
                rows += len(names)
    return rows


if __name__ == "__main__":
    main()
