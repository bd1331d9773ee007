"""How long the explorer takes to open 100,000 rows, in seconds of the processor, without the imports.

Of a finished sweep, from its tables, and of one that is still being written, from its journal.
"""

import json
import tempfile
import time
from pathlib import Path

import matplotlib.figure  # noqa: F401
import numpy as np
import plotly.graph_objects

from fearlib import preset
from fearlib.explorer import Explorer
from fearlib.presets import as_dict
from fearlib.results import Results
from fearlib.tables import write_tables

ARCHITECTURES, SEEDS, EPOCHS = 1000, 100, 4


def main() -> None:
    plotly.graph_objects.FigureWidget()  # imports more
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_journal(folder)
        print(f"{ARCHITECTURES * SEEDS} rows of a sweep that runs: {opened(folder):.1f} s (at most 3)")
        write_tables(folder)
        print(f"{ARCHITECTURES * SEEDS} rows of a finished sweep: {opened(folder):.1f} s (at most 3)")


def opened(folder: Path) -> float:
    started = time.process_time()
    Explorer(Results(folder))._repr_mimebundle_()
    return time.process_time() - started


def write_journal(folder: Path) -> None:
    configuration = {"space": "nats-tss", "dataset": "synthetic"}
    configuration["settings"] = as_dict(preset("smoke", "synthetic"))
    (folder / "manifest.json").write_text(json.dumps({"configuration": configuration, "sittings": []}))
    random = np.random.default_rng(0)
    with (folder / "journal.jsonl").open("w") as journal:
        for seed in range(SEEDS):
            for index, score in enumerate(random.uniform(size=ARCHITECTURES)):
                method = f"shortreg(epochs={EPOCHS})"
                row = {"method": method, "score": score, "seconds": 1.0, "macs": 10**9, "outcome": "ok"}
                epoch = {"stage": 1, "loss": 2.0, "train_top1": score, "val_top1": score, "seconds": 1.0}
                curve = [epoch | {"epoch": n + 1.0, "images": 1000, "macs": 10**8} for n in range(EPOCHS)]
                trial = {"index": index, "method": method, "seed": seed}
                record = {"trial": trial, "test_accuracy": 60 + index / 30, "rows": [row], "curve": curve}
                journal.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
