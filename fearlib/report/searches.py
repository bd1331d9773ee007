"""Random searches replayed from a sweep's trials: the paper's T3 and claim C3, as numbers and as texts to read."""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from fearlib.data.registry import shown_name, stands_for
from fearlib.errors import InputError
from fearlib.ranking.estimate import Estimate
from fearlib.ranking.finished import finished_architectures, finished_rows, methods_of, preset_method
from fearlib.ranking.tables import beside_paper
from fearlib.ranking.zero_cost import measures_beside
from fearlib.search.evaluations import Evaluate, replay
from fearlib.search.random_orders import funnel_searches, random_search_table, random_searches
from fearlib.sweeps.labels import kind_of, read_label
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.methods import parse_method
from fearlib.sweeps.rows import read_curves, read_rows

RATIO, EPOCHS = 4.0, 50  # of the paper's searches: FEAR's limit, and the length of short training
_TRAINED = ("fear", "shortreg")
_FUNNEL = "funnel"


def searched_pair(rows: pd.DataFrame) -> tuple[str, str] | None:
    """FEAR of the preset, and the short training that it is compared with: of `EPOCHS`, else the longest there is.

    None where the rows lack one of the two.
    """
    lengths = {label: read_label(label).number("epochs") for label in methods_of(rows, "shortreg")}
    if not lengths or not methods_of(rows, "fear"):
        return None
    other = min(lengths, key=lambda label: (lengths[label] != EPOCHS, -lengths[label], len(label)))
    return preset_method(rows), other


def searched_rows(folder: str | Path) -> pd.DataFrame:
    """The rows from which searches are replayed, of one seed: every method has the same architectures.

    These are the architectures that are finished with the `searched_pair`, but where a training failed. With it
    come the other trainings that are finished on all of them, and the zero-cost measures of `measures_beside`.
    Empty where there is no pair.
    """
    rows = read_rows(folder)
    if (pair := searched_pair(rows)) is None:
        return rows.iloc[:0]
    architectures = set(finished_architectures(folder, pair))
    trained = [
        label
        for label in methods_of(rows, *_TRAINED)
        if architectures <= set(finished_architectures(folder, [label]))
    ]
    rows = finished_rows(folder, trained)
    rows = rows[rows.seed == rows.seed.min()]
    rows = rows[~rows["index"].isin(rows["index"][rows.failed])]
    return pd.concat([rows, measures_beside(folder, rows["index"])])


def search_table(
    folder: str | Path,
    rows: pd.DataFrame,
    ratios: Iterable[float],
    measures: Iterable[str] = (),
    length: int | None = None,
    screen: Iterable[str] = (),
    keep: Iterable[int] = (),
    **how,
) -> pd.DataFrame:
    """`random_search_table` of methods in `rows`, those of `searched_rows` or a part of them.

    Every training, and each of the `measures` that the rows have, is searched without a limit, and every FEAR with
    the `ratios` too. Funnels screen by the measures `screen`, where the rows have all of these, and train the best
    `keep` with FEAR and with short training, those of `searched_pair`: `funnel(train=fear,keep=10)`. The reference
    is the short training. A search sees `length` architectures, by default half of them. `how` goes to
    `random_search_table`. Raises InputError as that does, and for rows without FEAR or short training.
    """
    pair, known, screen = searched_pair(rows), set(rows.method), list(screen)
    if pair is None:
        raise InputError("a table of searches needs rows of FEAR and of short training.")
    trained = methods_of(rows, *_TRAINED)
    ones = [(method, math.inf) for method in (*trained, *measures) if method in known]
    ones += [(method, ratio) for method in methods_of(rows, "fear") for ratio in ratios]
    evaluations = dict(_evaluations(folder, rows, {*dict(ones), *screen} & known))
    searches = {(name, ratio): partial(random_searches, evaluations[name], ratio=ratio) for name, ratio in ones}
    for label in pair if screen and set(screen) <= known else ():
        screens, train = {name: evaluations[name] for name in screen}, kind_of(label)
        for kept in keep:
            searches[f"{_FUNNEL}(train={train},keep={kept})", math.inf] = partial(
                funnel_searches, screens, evaluations[label], keep=kept
            )
    accuracy = rows.groupby("index").test_accuracy.first()
    table = random_search_table(
        searches, accuracy, len(accuracy) // 2 if length is None else length, reference=(pair[1], math.inf), **how
    )
    return table.sort_values(["method", "ratio"], ignore_index=True)


def _evaluations(folder: str | Path, rows: pd.DataFrame, methods: Iterable[str]) -> Iterable[tuple[str, Evaluate]]:
    """With the batch size, a label's own or that of the settings, the replay knows where training steps end."""
    curves, configuration = read_curves(folder), read_manifest(folder)["configuration"]
    for method in methods:
        own = parse_method(method)[1] if kind_of(method) in _TRAINED else {}
        batch_size = own.get("batch_size", configuration["settings"]["batch_size"])
        yield method, replay(rows, curves, method, configuration["train_images"], batch_size)


def shown_searches(table: pd.DataFrame) -> pd.DataFrame:
    """`search_table` as texts to read."""
    lines = []
    for line in table.to_dict("records"):
        trained = kind_of(line["method"]) in (*_TRAINED, _FUNNEL)
        compared = {name: Estimate.of(line, name, f"{name} ") for name in ("found", "difference", "speedup")}
        lines.append(
            {
                "method": line["method"],
                "ratio": "none" if math.isinf(line["ratio"]) else f"{line['ratio']:g}",
                "found (%)": f"{line['found']:.2f} ± {line['found sd']:.2f}",
                "found (95%)": str(compared["found"]),
                "less the reference (95%)": str(compared["difference"]),
                "10^12 macs": f"{line['macs'] / 1e12:.2f} ± {line['macs sd'] / 1e12:.2f}",
                "of these screening": f"{line['screening macs'] / 1e12:.2f}" if line["screening macs"] else "",
                "speedup (95%)": str(compared["speedup"]) if trained else "",
                "seconds": f"{line['seconds']:.0f}",
                "dropped": f"{line['dropped']:.1f}",
                "lost": line["lost"],
            }
        )
    return pd.DataFrame(lines)


def papers_t3(
    tables: Mapping[str, pd.DataFrame], rows: Mapping[str, pd.DataFrame], published: Mapping[str, float]
) -> pd.DataFrame:
    """T3 as the paper has it, a line a sweep: FEAR at `RATIO` beside the short training of `searched_pair`.

    `tables` are `search_table` by sweep, of its `rows`, `published` the paper's values by the rest of their ids,
    such as `cifar10.fear.accuracy`. Columns: `sweep`, `dataset`, `n` and `length`; `FEAR` and `short
    training`, the labels; of each, after `fear` or `shortreg`, `found` with its deviation over orders `found sd`,
    `macs` with `macs sd`, and the paper's accuracy (`paper found`) and `paper seconds`; of FEAR beside it
    `difference` and `speedup` with their intervals, and the paper's. Raises InputError if FEAR was not searched at
    that ratio.
    """
    lines = []
    for sweep, table in tables.items():
        dataset = rows[sweep].dataset.iloc[0]
        pair, paper = searched_pair(rows[sweep]), f"{stands_for(dataset)}.{{}}.{{}}"
        each = table.set_index(["method", "ratio"])
        if (pair[0], RATIO) not in each.index:
            raise InputError(f"T3 is FEAR at {RATIO:g} times the fastest: add {RATIO:g} to the ratios.")
        fear, other = each.loc[(pair[0], RATIO)], each.loc[(pair[1], math.inf)]
        line = {"sweep": sweep, "dataset": dataset, "n": int(fear.n), "length": int(fear.length)}
        line |= {"FEAR": pair[0], "short training": pair[1]}
        for name, ours in (("fear", fear), ("shortreg", other)):
            line |= {f"{name} {column}": ours[column] for column in ("found", "found sd", "macs", "macs sd")}
            line[f"{name} paper found"] = published.get(paper.format(name, "accuracy"), math.nan)
            line[f"{name} paper seconds"] = published.get(paper.format(name, "seconds"), math.nan)
        for name in ("difference", "speedup"):
            line |= Estimate.of(fear, name, f"{name} ").columns(name, f"{name} ")
        line["paper difference"] = line["fear paper found"] - line["shortreg paper found"]
        line["paper speedup"] = line["shortreg paper seconds"] / line["fear paper seconds"]
        lines.append(line)
    return pd.DataFrame(lines)


def shown_t3(table: pd.DataFrame) -> pd.DataFrame:
    """`papers_t3` as texts to read: in every cell the paper's value, and ours."""
    lines = []
    for line in table.to_dict("records"):
        shown = {"sweep": line["sweep"], "dataset": shown_name(line["dataset"]), "n": line["n"]}
        for name, title in (("fear", "FEAR"), ("shortreg", "short training")):
            found = f"{line[f'{name} found']:.2f} ± {line[f'{name} found sd']:.2f}"
            shown[f"{title}: found (%)"] = beside_paper(line[f"{name} paper found"], found, ".2f")
            spent = f"{line[f'{name} macs'] / 1e12:.1f} ± {line[f'{name} macs sd'] / 1e12:.1f}"
            shown[f"{title}: cost"] = beside_paper(line[f"{name} paper seconds"], spent, ",.0f")
        for name in ("difference", "speedup"):
            ours = Estimate.of(line, name, f"{name} ")
            shown[f"{name} (95%)"] = beside_paper(line[f"paper {name}"], str(ours), ".2f")
        lines.append(shown | {"which": line["short training"]})
    return pd.DataFrame(lines)
