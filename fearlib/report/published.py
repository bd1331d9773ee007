"""The paper's numbers, and the claims of the ledger that they make."""

from collections.abc import Iterator

import pandas as pd

from fearlib.ranking.against_shortreg import SECONDS, TOPS
from fearlib.report.rule import NO_WORSE

_NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}


def ledger_claims(values: pd.DataFrame) -> pd.DataFrame:
    """A line for every claim of the ledger: `id`, `source`, `claim`, `paper`, its `unit`, and what is `beyond`.

    `values` has the paper's numbers by `id`, with `source`, `claim` and `paper`. What can never be had again gives
    way to what can: seconds on the paper's hardware to the ratio of two methods' costs, and the accuracies that
    two searches found among 500 architectures to their difference. From T1 comes FEAR's lead in Spearman, too.
    What is so by definition, `common` over all, makes no claim, nor do numbers of other papers, source `later`.
    """
    values = values[(values.source != "later") & ~values.id.str.fullmatch(r"T1\.(fear|shortreg)\.common\.100")]
    replaced = values.id.str.contains("seconds") | values.id.str.fullmatch(r"T3\..*\.accuracy")
    no_worse = values.id.str.startswith("C3.")
    kept = values.assign(unit=no_worse.map({True: "points", False: "correlation"}))[~replaced]
    paper = values.set_index("id").paper
    made = pd.DataFrame([*_of_t1(paper), *_of_t3(paper)], columns=kept.columns)
    kept, made = kept.assign(beyond=no_worse[~replaced] * -NO_WORSE), made.assign(beyond=0.0)
    place = {source: place for place, source in enumerate(values.source.unique())}
    return pd.concat([kept, made]).sort_values(
        "source", key=lambda source: source.map(place), kind="stable", ignore_index=True
    )


def published_values(values: pd.DataFrame, beginning: str) -> dict[str, float]:
    """The paper's values of the claims whose id begins so, by the rest: `snip` of `ZC.cifar10.snip`."""
    of_them = values[values.id.str.startswith(f"{beginning}.")]
    return dict(zip(of_them.id.str.removeprefix(f"{beginning}."), of_them.paper.tolist()))


def _of_t1(paper: pd.Series) -> Iterator[tuple]:
    for top in TOPS:
        where = "over all" if top == 100 else f"in the top {top}%"
        for value, seconds in SECONDS.items():
            ratio = paper[f"T1.fear.{seconds}.{top}"] / paper[f"T1.shortreg.{seconds}.{top}"]
            said = f"CIFAR-100: cost of FEAR over that of short training, in seconds beside {value}, {where}"
            yield f"T1.ratio.{value}.{top}", "T1", said, ratio, "ratio"
        lead = paper[f"T1.fear.spearman.{top}"] - paper[f"T1.shortreg.spearman.{top}"]
        said = f"CIFAR-100: Spearman of FEAR less that of short training, {where}"
        yield f"T1.lead.{top}", "T1", said, lead, "correlation"


def _of_t3(paper: pd.Series) -> Iterator[tuple]:
    for dataset, name in _NAMES.items():
        fear, other = (paper[f"T3.{dataset}.{method}.accuracy"] for method in ("fear", "shortreg"))
        said = f"{name}: accuracy found by random search with FEAR less that with short training ({fear}, {other})"
        yield f"T3.{dataset}.difference", "T3", said, fear - other, "points"
        speedup = paper[f"T3.{dataset}.shortreg.seconds"] / paper[f"T3.{dataset}.fear.seconds"]
        said = f"{name}: cost of random search with short training over that with FEAR"
        yield f"T3.{dataset}.speedup", "T3", said, speedup, "ratio"
