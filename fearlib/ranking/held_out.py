"""Which score or combination ranks best: chosen on one half of the architectures, reported on the other."""

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy

from fearlib.files.progress import progress
from fearlib.ranking.candidates import FEAR, FEWEST, SHORTREG, Comparison, combined
from fearlib.ranking.estimate import Estimate
from fearlib.ranking.statistics import common, ndcg, spearman, top_indices, top_spearman
from fearlib.ranking.tables import BETTER_HALF

KEYS = ("dataset", "set", "positions")
TOP = 10  # percent
ALONE = ("FEAR", "FEAR alone")
# The most that a score may cost an architecture: as much as a score, how many times.
BUDGETS = {
    "none": (FEAR, 0),
    "a forward pass": ("paper/nwot", 1),
    "an epoch": (SHORTREG, 1 / 16),
    "FEAR": (FEAR, 1.05),
    "ten times FEAR": (FEAR, 10),
}


def quality(values: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """By what a candidate is chosen: the mean of its Spearman over all and in the better half, of every column.

    A correlation with a constant counts as 0.
    """
    half = top_indices(accuracy, BETTER_HALF)
    return (_spearman_of_columns(values, accuracy) + _spearman_of_columns(values[half], accuracy[half])) / 2


def _spearman_of_columns(values: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    x, y = scipy.stats.rankdata(values, axis=0), scipy.stats.rankdata(accuracy)
    x, y = x - x.mean(axis=0), y - y.mean()
    norm = np.sqrt((x * x).sum(axis=0) * (y @ y))
    return np.divide(y @ x, norm, out=np.zeros(len(norm)), where=norm > 0).round(12)  # so that equals are equal


def held_out(
    chosen_on: Comparison,
    reported_on: Comparison,
    rules: dict[tuple[str, str], Iterable[str]],
    halvings: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """What a choice is worth: the best candidate on a random half of the architectures, on the other half.

    `rules` are the candidates among which is chosen, by the rule's name. The two comparisons, which may be one,
    have the same architectures and candidates; the other half is of the second. A line a halving and rule:
    `chosen`, and on the other half, ranked within it, `spearman`, `top 50%`, `common 10%`, `ndcg 10%` and the
    choice's `gmacs`.
    """
    rng, lines = np.random.default_rng(seed), []
    names = chosen_on.candidates.index
    allowed = {rule: names.isin(list(among)) for rule, among in rules.items()}
    for halving in progress(range(halvings), "choosing on halves", "half"):
        order = rng.permutation(len(chosen_on.scores))
        first, other = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        values = combined(chosen_on.scores.iloc[first], chosen_on.candidates).to_numpy()
        worth = quality(values, chosen_on.accuracy.to_numpy()[first])
        best = {rule: names[np.where(among, worth, -math.inf).argmax()] for rule, among in allowed.items()}
        picked = reported_on.candidates.loc[list(dict.fromkeys(best.values()))]
        scores, accuracy = combined(reported_on.scores.iloc[other], picked), reported_on.accuracy.to_numpy()[other]
        worth = {name: _worth(scores[name].to_numpy(), accuracy) for name in picked.index}
        for rule, name in best.items():
            line = {"halving": halving, "rule": rule, "chosen": name, "gmacs": picked.gmacs[name]}
            lines.append(line | worth[name])
    return pd.DataFrame(lines)


def _worth(score: np.ndarray, accuracy: np.ndarray) -> dict[str, float]:
    return {
        "spearman": spearman(score, accuracy),
        "top 50%": top_spearman(score, accuracy, BETTER_HALF),
        "common 10%": common(score, accuracy, TOP),
        "ndcg 10%": ndcg(score, accuracy, TOP),
    }


def budgets(of: Comparison, others: Iterable[Comparison] = ()) -> dict[str, float]:
    """`BUDGETS` in 1e9 multiply-accumulates; those that allow nothing more than the one before are left out.

    Costs are means over the comparison's architectures, or else over those of the first of the others that knows.
    """
    costs = pd.concat([each.candidates.gmacs for each in (of, *others)])
    costs, known, allowed = costs[~costs.index.duplicated()], {}, 0
    for name, (score, times) in BUDGETS.items():
        most = times * costs.get(score, math.nan) if times else 0.0
        within = int((of.candidates.gmacs <= most).sum())
        if within > allowed:
            known[name], allowed = most, within
    return known


def choices(
    chosen_on: Comparison, reported_on: Comparison, most: dict[str, float], halvings: int = 100
) -> pd.DataFrame:
    """`held_out` within every budget of `most`, among single scores and among combinations too; and FEAR itself.

    A budget that allows nothing is left out. Columns: `budget`, in 1e9 multiply-accumulates `at most`, `among`,
    how many `candidates`, `n` architectures; the mean over halvings of `spearman`, `top 50%`, `common 10%`,
    `ndcg 10%` and `gmacs`, the first two with the range of 95% of the halvings; `ahead of FEAR`, the Spearman less
    FEAR's on the same half, with such a range, where FEAR was measured; the candidate `chosen` most often, the
    `share` of halvings in which it was; and that which is best `on all` architectures, with its `on all gmacs`.
    """
    of_all = chosen_on.candidates
    worth = quality(combined(chosen_on.scores, of_all).to_numpy(), chosen_on.accuracy.to_numpy())
    worth = pd.Series(worth, of_all.index)
    rules = {}
    for budget, gmacs in most.items():
        within = of_all[of_all.gmacs <= gmacs]
        if len(within):
            rules[budget, "single scores"] = within.index[within.scores.map(len) == 1]
            rules[budget, "combinations too"] = within.index
    if FEAR in of_all.index:
        rules[ALONE] = [FEAR]
    halves = held_out(chosen_on, reported_on, rules, halvings).set_index("halving")
    lines = []
    for rule, names in rules.items():
        each, often = halves[halves.rule == rule], halves[halves.rule == rule].chosen.value_counts()
        line = dict(zip(("budget", "among"), rule)) | {"at most": most.get(rule[0], math.nan)}
        line |= {"candidates": len(names), "n": len(chosen_on.scores)}
        line |= _with_range("spearman", each.spearman) | _with_range("top 50%", each["top 50%"], "top 50% ")
        line |= {column: each[column].mean() for column in ("common 10%", "ndcg 10%", "gmacs")}
        if ALONE in rules:
            ahead = each.spearman - halves[halves.rule == ALONE].spearman
            line |= _with_range("ahead of FEAR", ahead, "ahead of FEAR ")
        line |= {"chosen": often.index[0], "share": often.iloc[0] / len(each)}
        best = worth[names].idxmax()
        line |= {"on all": best, "on all gmacs": of_all.gmacs[best]}
        lines.append(line)
    return pd.DataFrame(lines)


def shared(one: Comparison, other: Comparison) -> tuple[Comparison, Comparison] | None:
    """Both on the architectures and candidates that both have; None if these are fewer than `FEWEST`."""
    architectures = one.scores.index.intersection(other.scores.index)
    names = one.candidates.index.intersection(other.candidates.index)
    if len(architectures) < FEWEST:
        return None
    return one.restricted(architectures, names), other.restricted(architectures, names)


def every_choice(found: dict[tuple[str, str, str], Comparison], halvings: int = 100) -> pd.DataFrame:
    """`choices` of every comparison, whose key stands before in `dataset`, `set` and `positions`."""
    tables = {}
    for key, of in found.items():
        tables[key] = choices(of, of, budgets(of, _of_dataset_first(key[0], found)), halvings)
    return joined(tables, KEYS)


def _of_dataset_first(dataset: str, found: dict[tuple[str, str, str], Comparison]) -> list[Comparison]:
    return [found[key] for key in sorted(found, key=lambda key: key[0] != dataset)]


def carried_over(found: dict[tuple[str, str, str], Comparison], halvings: int = 100) -> pd.DataFrame:
    """`choices` made on one `dataset` and reported `on` another, in every `set` that both have.

    Budgets are in the costs of the first, `gmacs` in those of the second, which may be above them. Empty where no
    two datasets share architectures enough.
    """
    tables = {}
    for one, other in itertools.permutations([key for key in found if key[2] == "all"], 2):
        both = shared(found[one], found[other]) if one[1] == other[1] else None
        if both:
            most = budgets(both[0], [found[one], *_of_dataset_first(one[0], found)])
            tables[one[0], other[0], one[1]] = choices(*both, most, halvings)
    return joined(tables, ("dataset", "on", "set"))


def joined(tables: dict[tuple[str, ...], pd.DataFrame], names: Iterable[str]) -> pd.DataFrame:
    """One table, with columns before its own that say by these `names` of what each part is; empty without any."""
    if not tables:
        return pd.DataFrame()
    return pd.concat(tables, names=names).reset_index(names).reset_index(drop=True)


def _with_range(name: str, values: pd.Series, prefix: str = "") -> dict[str, float]:
    low, high = np.nanquantile(values, [0.025, 0.975]) if values.notna().any() else (math.nan, math.nan)
    return Estimate(values.mean(), low, high, len(values)).columns(name, prefix)
