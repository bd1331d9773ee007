"""What of the paper has been run here, and what each exhibit costs to run: the tables of docs/reproduce.md."""

import functools
from pathlib import Path

import pandas as pd

from fearlib.errors import InputError
from fearlib.exhibits import EXHIBITS, Sweep, exhibit_sweeps
from fearlib.files.tables import read_csv
from fearlib.ranking.finished import preset_method
from fearlib.ranking.tables import markdown
from fearlib.report.claims import CLAIMS, MAX_CLAIMS_BYTES
from fearlib.scores.registry import FIFTEEN, MOMENTS
from fearlib.sweeps.labels import read_numbers
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.methods import expand_methods, parse_method
from fearlib.sweeps.presets import preset
from fearlib.sweeps.rows import read_rows
from fearlib.sweeps.taken import BY_SCHEDULE

CORE, DARTS_CORE, GPU = ("cifar10_compact", 1), ("darts_cifar10", 1), ("cifar10_paper", 8)
_MEASURED_IN = {"compact": "cifar10_compact", "paper": "zero_cost_cifar10"}
_REGULAR = "shortreg", "full"  # kinds of training
_ALL_IMAGES = 50_000  # for training: CIFAR's, and the synthetic dataset's
_rows = functools.lru_cache(maxsize=8)(read_rows)


def tables(results: str | Path = "results") -> dict[str, str]:
    """The three tables of the page, by the name of their place in it."""
    return {"state": state_table(results), "cost": cost_table(results), "sweeps": sweep_table()}


def state_table(results: str | Path = "results") -> str:
    """What the paper shows, and our state of it by the ledger in `results`, as Markdown.

    The state is the verdict that all measured numbers of an exhibit have, "mixed" if they differ, "not run" if
    there are none; "drawn" for a figure that exists and of which the ledger has no number. Raises InputError if
    there is no ledger.
    """
    results = Path(results)
    if not (results / CLAIMS).exists():
        raise InputError(f"{results} holds no {CLAIMS}: run this in the repository's folder.")
    claims = read_csv(results / CLAIMS, MAX_CLAIMS_BYTES, ("id", "verdict")).astype(str)
    lines = []
    for name, exhibit in EXHIBITS.items():
        verdicts = claims.verdict[claims.id.str.startswith(f"{name}.") | (claims.id == name)]
        made = [f"`{results.name}/{path}`" for path in exhibit.files]
        lines.append(
            {
                "exhibit": name,
                "what the paper shows": exhibit.shows,
                "state": _state(verdicts, any(list(results.glob(path)) for path in exhibit.files)),
                "numbers measured": f"{(verdicts != 'not run').sum()} of {len(verdicts)}" if len(verdicts) else "",
                "made by": f"`analysis/{exhibit.notebook}.ipynb`",
                "tables and figures": ", ".join(made),
            }
        )
    return markdown(pd.DataFrame(lines))


def cost_table(results: str | Path = "results") -> str:
    """The command of every exhibit at `compact` and at the paper's scale, and its hours, as Markdown."""
    core, darts_core, gpu = (macs_a_second(machine, results) for machine in (CORE, DARTS_CORE, GPU))
    lines = []
    for name, exhibit in EXHIBITS.items():
        command = f"fear paper {name} mine/paper"
        compact, paper = (exhibit_sweeps(name, scale) for scale in ("compact", "paper"))
        seconds = sum(
            sweep_macs(sweep, exhibit.dataset, results) / (core if sweep.space == "nats-tss" else darts_core)
            for sweep in compact
        )
        macs = sum(sweep_macs(sweep, exhibit.dataset, results) for sweep in paper)
        lines.append(
            {
                "exhibit": name,
                "dataset": exhibit.dataset,
                "at compact": f"`{command}`",
                "core-hours": _rounded(seconds / 3600),
                "at the paper's scale": f"`{command} --preset paper`",
                "10^15 macs": _rounded(macs / 1e15),
                "GPU-hours": _rounded(macs / gpu / 3600),
                "or core-hours": _rounded(macs / core / 3600),
            }
        )
    rates = f"{core / 1e12:.2g} x 10^12 a core ({darts_core / 1e12:.2g} of DARTS networks)"
    return f"{markdown(pd.DataFrame(lines))}\n\nMacs a second: {rates}, {gpu / 1e12:.2g} x 10^12 an H100."


def sweep_table() -> str:
    """The sweeps that `fear paper` runs, and for which exhibits, as Markdown."""
    needed: dict[tuple, list[str]] = {}
    for name in EXHIBITS:
        for scale in ("compact", "paper"):
            for sweep in exhibit_sweeps(name, scale):
                changes = " ".join(f"{key}={value}" for key, value in sweep.changes.items())
                key = sweep.folder, sweep.preset, sweep.count, f"`{sweep.methods}`", changes
                needed.setdefault(key, []).append(name)
    columns = ("folder", "preset", "architectures", "methods", "settings changed")
    lines = [
        dict(zip(columns, key)) | {"for": ", ".join(dict.fromkeys(names))}
        for key, names in sorted(needed.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    return markdown(pd.DataFrame(lines))


def macs_a_second(machine: tuple[str, int], results: str | Path = "results") -> float:
    """How many multiply-accumulates of training a machine does in a second, from a committed sweep's rows."""
    folder, at_once = machine
    rows = _rows(Path(results) / folder)
    rows = rows[rows.kind.isin(("fear", *_REGULAR))]
    return at_once * rows.macs.sum() / rows.seconds.sum()


def sweep_macs(sweep: Sweep, dataset: str, results: str | Path = "results") -> float:
    """Multiply-accumulates of a whole sweep, its architectures being as large as those in `results`.

    An epoch of training and the measures count as on CIFAR-10; FEAR counts as many epochs of training as its mean
    cost on this dataset at this preset is worth, or on CIFAR-10 where there is none.
    """
    settings = preset(sweep.preset, dataset, space=sweep.space, **sweep.changes)
    trained = "darts_cifar10" if sweep.space == "darts" else f"cifar10_{sweep.preset}"
    image = _macs_of_an_image(Path(results) / trained)
    epoch = image * (settings.train_images or _ALL_IMAGES)
    macs = 0
    for label in expand_methods(sweep.methods.split(), settings):
        name, arguments = parse_method(label)
        epochs = arguments.get("epochs", settings.full_epochs)
        if name == "zero_cost":
            macs += _macs_of_measures(Path(results) / _MEASURED_IN[sweep.preset])
        elif name == "fear":
            macs += epoch * _epochs_of_fear(Path(results), dataset, sweep.preset, image)
        else:
            macs += epoch * epochs
        if name in BY_SCHEDULE.values():
            looks = len(read_numbers(arguments["moments"])) if "moments" in arguments else MOMENTS + epochs
            macs += looks * _macs_of_measures(Path(results) / _MEASURED_IN[sweep.preset])
    return sweep.count * macs


def _state(verdicts: pd.Series, exists: bool) -> str:
    measured = set(verdicts) - {"not run"}
    if verdicts.empty and exists:
        return "drawn"
    return "mixed" if len(measured) > 1 else next(iter(measured), "not run")


def _macs_of_an_image(folder: Path) -> float:
    """In a forward and a backward pass, the mean over one regular training, that of the most architectures."""
    rows, configuration = _rows(folder), read_manifest(folder)["configuration"]
    label = rows.method[rows.kind.isin(_REGULAR)].mode()[0]
    epochs = parse_method(label)[1].get("epochs", configuration["settings"]["full_epochs"])
    return rows.macs[rows.method == label].mean() / epochs / configuration["train_images"]


def _epochs_of_fear(results: Path, dataset: str, scale: str, image: float) -> float:
    own = results / f"{dataset}_{scale}"
    folder = own if own.exists() else results / f"cifar10_{scale}"
    rows = _rows(folder)
    images = rows.macs[rows.method == preset_method(rows)].mean() / image
    return images / read_manifest(folder)["configuration"]["train_images"]


def _macs_of_measures(folder: Path) -> float:
    rows = _rows(folder)
    rows = rows[(rows.seed == rows.seed.min()) & rows.kind.isin(FIFTEEN) & rows.moment.isna()]
    return rows.macs.sum() / rows["index"].nunique()


def _rounded(value: float) -> str:
    value = float(f"{value:.2g}")
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"
