"""The benchmark's accuracies of a sweep's architectures, kept beside its rows for those who have no archive."""

from pathlib import Path

import pandas as pd

from fearlib.benchmark.splits import COLUMNS, VALIDATION
from fearlib.benchmark.truth import benchmark_accuracy
from fearlib.errors import InputError
from fearlib.files.write import replace_file
from fearlib.scores.registry import MEASURES
from fearlib.spaces.nats import Architecture


def keep_accuracies(
    rows: pd.DataFrame, path: str | Path, truth: str | Path | None, validation: str | Path | None = None
) -> None:
    """Write the scores in the rows of one seed with the benchmark's accuracies, which so serve as a truth.

    A line an architecture: `index`, its string `arch`, a column a measure, the test accuracies on the `COLUMNS`
    out of `truth` (a table or an archive) after the full training and after 12 epochs (`cifar10_12ep`), and out of
    `validation` that of `cifar10-valid`, `VALIDATION`. Raises InputError without a truth, and as
    `benchmark_accuracy` does.
    """
    if truth is None:
        raise InputError("validation accuracies are kept beside test accuracies: give a truth, too.")
    if rows.seed.nunique() > 1:
        raise InputError("the rows are of several seeds: give those of one.")
    wide = rows.pivot(index="index", columns="method", values="score")
    wide = wide[[measure for measure in MEASURES if measure in wide]]
    wide.insert(0, "arch", [str(Architecture.from_index(index)) for index in wide.index])
    for ending, epochs in (("", None), ("_12ep", 12)):
        for column, dataset in COLUMNS.items():
            wide[f"{column}{ending}"] = benchmark_accuracy(truth, dataset, list(wide.index), epochs=epochs)
    if validation is not None:
        wide[VALIDATION] = benchmark_accuracy(validation, "cifar10-valid", wide.index, split="validation")
    replace_file(Path(path), wide.to_csv(float_format="%.8g", lineterminator="\n").encode())
