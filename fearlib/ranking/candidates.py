"""What can be compared on the same architectures: every single score, and the combinations of a list."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.files.tables import read_csv
from fearlib.ranking.combinations import AZ_NAS, DIGITS, VOTERS, az_nas, ranks, vote
from fearlib.ranking.every_score import Scores, scores_of

FEAR = "compact/fear(stage2_epochs=24)"
SHORTREG = "compact/shortreg(epochs=16)"
_MEASURES = ("paper/synflow", "compact/synflow")  # of all measures: they are taken together
# By name, the scores that an architecture of a comparison has, of alternatives the first that the dataset has.
# What else was measured on all of these takes part.
SETS = {
    "free measures": ("paper/synflow",),
    "later measures": ("paper/meco",),
    "FEAR": (FEAR, SHORTREG, _MEASURES),
    "a few steps": ("paper/snip(steps=40,batch_size=64)", FEAR, SHORTREG, _MEASURES),
    "a little training": ("paper/snip(epoch=0.2,schedule=constant)", FEAR, SHORTREG, _MEASURES),
    "short training": ("compact/shortreg(epochs=4)", FEAR, SHORTREG, _MEASURES),
}
FEWEST = 20  # architectures of a comparison
CHOSEN_WITH = 100  # architectures of the paper's list from which the preset `compact` was chosen
DERIVED = {"vote": (VOTERS, vote), "az_nas": (AZ_NAS, az_nas)}  # combinations with a name of their own
HOW = ("product", "mean")
MAX_LIST_BYTES = 2**20


class Comparison(NamedTuple):
    """Scores measured on the same architectures, and what can be made of them.

    `scores` has a row an architecture, in the paper's order, and a column a score, -inf where there is none;
    `accuracy` is in %. `candidates` are single scores and combinations, by their names: `how` the ranks of their
    `scores` are combined, and the mean cost of an architecture, `gmacs` (1e9 multiply-accumulates). Passes that
    scores could share count for each of them.
    """

    scores: pd.DataFrame
    accuracy: pd.Series
    candidates: pd.DataFrame

    def restricted(self, architectures: Iterable[int], names: Iterable[str]) -> "Comparison":
        """The same on some of its architectures and candidates."""
        kept = self.scores.index[self.scores.index.isin(list(architectures))]
        candidates = self.candidates[self.candidates.index.isin(list(names))]
        return Comparison(self.scores.loc[kept], self.accuracy[kept], candidates)


def read_combinations(path: str | Path) -> pd.DataFrame:
    """A list of combinations: `how` ranks are combined, and the names of the `scores`, separated by blanks.

    Raises InputError if it cannot be read, or combines otherwise than by `product` or `mean`.
    """
    listed = read_csv(path, MAX_LIST_BYTES, ("how", "scores"))[["how", "scores"]].astype(str)
    for how in listed.how:
        if how not in HOW:
            raise InputError(f"{path} combines by {how!r:.80}: it must be {' or '.join(HOW)}.")
    return listed.assign(scores=[tuple(text.split()) for text in listed.scores])


def comparisons(
    rows: pd.DataFrame, place: pd.Series, listed: pd.DataFrame
) -> dict[tuple[str, str, str], Comparison]:
    """Everything that `rows` of `read_scores` allow to compare, by dataset, name of the set, and positions.

    The positions are "all" and, where a score of `compact` is needed, those after the architectures from which
    that preset was chosen. A set with the same architectures and scores as one before is left out.
    """
    found = {}
    for dataset in rows.dataset.unique():
        scores = scores_of(rows, dataset)
        for positions, places in (("all", place), (f"{CHOSEN_WITH + 1} and up", place[place > CHOSEN_WITH])):
            for name, needed in SETS.items():
                each = comparison(scores, needed, places, listed)
                before = [other.scores for key, other in found.items() if key[::2] == (dataset, positions)]
                is_new = each and not any(each.scores.equals(other) for other in before)
                if is_new and (positions == "all" or FEAR in needed):
                    found[dataset, name, positions] = each
    return found


def comparison(scores: Scores, needed: Iterable[str], place: pd.Series, listed: pd.DataFrame) -> Comparison | None:
    """What was measured on every architecture with the scores `needed`, and combinations of the list.

    Of alternatives, a tuple, the first that was measured on `FEWEST` architectures is needed. `place` has the
    architectures that take part by index, in whose order they come. None if these are fewer than `FEWEST`, or a
    score that is needed was never measured.
    """
    counts = scores.scores.count()
    alternatives = [(each,) if isinstance(each, str) else each for each in needed]
    needed = [next((name for name in names if counts.get(name, 0) >= FEWEST), names[0]) for names in alternatives]
    if not set(needed) <= set(scores.scores):
        return None
    measured = scores.scores.reindex(place.sort_values().index).dropna(subset=needed).dropna(axis=1)
    if len(measured) < FEWEST:
        return None
    macs = scores.macs.loc[measured.index, measured.columns].mean()
    return Comparison(measured, scores.accuracy[measured.index], candidates(macs, listed))


def candidates(macs: pd.Series, listed: pd.DataFrame) -> pd.DataFrame:
    """What can be made of scores that cost so many `macs` each, as `Comparison` has it."""
    costs = macs.to_dict() | {
        name: sum(macs[each] for each in parts) for name, parts in derived(macs.index).items()
    }
    singles = pd.DataFrame({"how": "product", "scores": [(name,) for name in costs]})
    every = pd.concat([singles, listed], ignore_index=True)
    every = every[[set(scores) <= set(costs) for scores in every.scores]]
    names = [_called(how, scores) for how, scores in zip(every.how, every.scores)]
    every = every.assign(gmacs=[sum(costs[name] for name in scores) / 1e9 for scores in every.scores])
    every = every.set_index(pd.Index(names, name="candidate"))
    return every[~every.index.duplicated()]  # what is listed twice, or is a score alone


def _called(how: str, scores: tuple[str, ...]) -> str:
    return " * ".join(scores) if how == "product" else f"{how} of {', '.join(scores)}"


def combined(scores: pd.DataFrame, candidates: pd.DataFrame) -> pd.DataFrame:
    """Every candidate's score of each architecture, ranked among those of the table: a column a candidate.

    In the order that `rank_product` and `rank_mean` give one at a time.
    """
    names = sorted({name for each in candidates.scores for name in each})
    shares = ranks(with_derived(scores, names)[names]).to_numpy() / len(scores)
    logarithms, place = np.log(shares), {name: column for column, name in enumerate(names)}
    values = np.empty((len(scores), len(candidates)))
    for column, (how, parts) in enumerate(zip(candidates.how, candidates.scores)):
        of_parts = [place[name] for name in parts]
        values[:, column] = {"product": logarithms, "mean": shares}[how][:, of_parts].mean(axis=1)
    return pd.DataFrame(values.round(DIGITS), scores.index, candidates.index)


def with_derived(scores: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The scores with those of `names` that are combinations of measures of one preset, such as `paper/vote`."""
    parts = derived(scores.columns)
    for name in sorted(set(names) & set(parts)):
        measures, combine = DERIVED[name.partition("/")[2]]
        scores = scores.assign(**{name: combine(scores[parts[name]].set_axis(list(measures), axis=1))})
    return scores


def derived(names: Iterable[str]) -> dict[str, list[str]]:
    """The combinations with a name of their own that these scores allow, with the scores that each is made of."""
    names, found = set(names), {}
    for preset in sorted({name.partition("/")[0] for name in names}):
        for called, (measures, _) in DERIVED.items():
            parts = [f"{preset}/{measure}" for measure in measures]
            if set(parts) <= names:
                found[f"{preset}/{called}"] = parts
    return found


def missing(of: Comparison) -> pd.Series:
    """How many architectures lack one of a candidate's scores, by its name."""
    gone, parts, found = of.scores == -math.inf, derived(of.scores.columns), {}
    for name, scores in of.candidates.scores.items():
        single = [each for score in scores for each in parts.get(score, [score])]
        found[name] = int(gone[single].any(axis=1).sum())
    return pd.Series(found)
