"""A funnel over a whole space, from its rows: how its screens rank, what it found, at what cost."""

import math

import pandas as pd

from fearlib.errors import InputError
from fearlib.ranking.candidates import FEWEST, Comparison, combined, comparison
from fearlib.ranking.combination_tables import combinations_table
from fearlib.ranking.estimate import estimate
from fearlib.ranking.every_score import score_name, scores_of
from fearlib.ranking.statistics import spearman
from fearlib.scores.registry import MEASURES

SEEN = 500  # architectures of the paper's random search


def screening(rows: pd.DataFrame, listed: pd.DataFrame) -> Comparison:
    """The measures that a sweep's `rows` hold of every architecture, and the combinations of the list.

    `rows` as `fearlib.read_rows` gives them, of one dataset; the lowest seed counts. Raises InputError if there is
    no such measure, or fewer than `FEWEST` architectures.
    """
    rows = rows[rows.kind.isin(MEASURES)]
    rows = rows[rows.seed == rows.seed.min()]
    rows = rows.assign(name=[score_name(*label) for label in zip(rows.preset, rows.method)])
    place = pd.Series(range(rows["index"].nunique()), sorted(rows["index"].unique()))
    of_all = [name for name, each in rows.groupby("name") if len(each) == len(place)]
    if not of_all:
        raise InputError("no measure was taken of every architecture: the screening is not finished.")
    if len(place) < FEWEST:
        raise InputError(f"{len(place)} architectures are too few to compare screens: at least {FEWEST}.")
    return comparison(scores_of(rows, rows.dataset.iloc[0]), of_all, place, listed)


def screens_table(of: Comparison, keep: int) -> pd.DataFrame:
    """`combinations_table`, and what each candidate keeps of all architectures, the best `keep` by it.

    Columns beside: the test accuracy (%) of the one that it ranks best, `found`, of equal ones the mean; and of
    the kept their mean, `mean kept`, and their best, `best kept`.
    """
    table, values = combinations_table(of), combined(of.scores, of.candidates)
    lines = []
    for name in table.candidate:
        score = values[name]
        kept = of.accuracy[best(score, keep)]
        found = of.accuracy[score == score.max()].mean()
        lines.append({"found": found, "mean kept": kept.mean(), "best kept": kept.max()})
    return table.join(pd.DataFrame(lines))


def untrained(of: Comparison, trained: pd.DataFrame, screen: str, keep: int) -> int:
    """How many trainings are missing: each of the best `keep` by the candidate `screen`, with each seed of others.

    `trained` are the rows of one method.
    """
    kept = best(combined(of.scores, of.candidates)[screen], keep)
    done = trained[trained["index"].isin(kept) & ~trained.failed].drop_duplicates(["index", "seed"])
    return len(kept) * max(1, trained.seed.nunique()) - len(done)


def best(score: pd.Series, keep: int) -> pd.Index:
    """The architectures that a funnel keeps: the `keep` of the highest score, of equals the earlier."""
    return score.sort_values(ascending=False, kind="stable").index[:keep]


def funnel_table(of: Comparison, trained: pd.DataFrame, screen: str, keep: int) -> pd.DataFrame:
    """What a funnel found that kept the best `keep` by the candidate `screen`, and trained them.

    `trained` are the rows of the one method that did. A line a choice: by the screen alone, by the trained score
    alone, by both, which is the funnel's. Columns: `chosen by`; how many were `screened` and `trained`, with how
    many `seeds`, over which the trained score is averaged; the `index` chosen, its test accuracy `found` (%) and
    `regret`, how much better the best of all is; `spearman` among the kept, with its interval `low` and `high`;
    `screening gmacs` and `training gmacs`, in 1e9 multiply-accumulates, and their `share` of what the paper's
    search of `SEEN` architectures would cost, at the mean cost of a training here. Raises InputError if a training
    is missing, as `untrained` counts, or `trained` is of several methods.
    """
    if (methods := trained.method.unique()).size > 1:
        raise InputError(f"the rows of training are of {', '.join(methods)}: give those of one.")
    if missing := untrained(of, trained, screen, keep):
        raise InputError(f"{missing} trainings of the {keep} architectures that {screen} keeps are missing.")
    values = combined(of.scores, of.candidates)[screen]
    kept = best(values, keep)
    trained = trained[trained["index"].isin(kept)]
    score = trained.groupby("index").score.mean().reindex(kept)
    costs = {"screening": of.candidates.gmacs[screen] * len(of.scores), "training": trained.macs.sum() / 1e9}
    search = SEEN * trained.macs.mean() / 1e9
    parts = pd.DataFrame(
        {"how": [of.candidates.how[screen]], "scores": [("trained", *of.candidates.scores[screen])]},
        index=["both"],
    )
    both = combined(of.scores.loc[kept].assign(trained=score), parts)["both"]
    lines = []
    for chosen_by, each, spent in (
        ("the screen", values[kept], ["screening"]),
        ("the training", score, ["screening", "training"]),
        ("both", both.where(score.notna(), -math.inf), ["screening", "training"]),
    ):
        index = each.idxmax()
        found = of.accuracy[index]
        line = {"chosen by": chosen_by, "screened": len(of.scores), "trained": len(kept) * (len(spent) - 1)}
        line |= {"seeds": trained.seed.nunique(), "index": index, "found": found}
        line |= {"regret": of.accuracy.max() - found}
        line |= estimate(spearman, each, of.accuracy[kept]).columns("spearman")
        line |= {f"{name} gmacs": costs[name] if name in spent else 0.0 for name in costs}
        lines.append(line | {"share": sum(costs[name] for name in spent) / search})
    return pd.DataFrame(lines)
