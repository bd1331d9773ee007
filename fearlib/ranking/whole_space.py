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
    no such measure, no test accuracy, or fewer than `FEWEST` architectures.
    """
    rows = rows[rows.kind.isin(MEASURES)]
    rows = rows[rows.seed == rows.seed.min()]
    rows = rows.assign(name=[score_name(*label) for label in zip(rows.preset, rows.method)])
    place = pd.Series(range(rows["index"].nunique()), sorted(rows["index"].unique()))
    of_all = [name for name, each in rows.groupby("name") if len(each) == len(place)]
    if not of_all:
        raise InputError("no measure was taken of every architecture: the screening is not finished.")
    if rows.test_accuracy.isna().all():
        raise InputError("there is no test accuracy to compare with: run the funnel with a truth.")
    if len(place) < FEWEST:
        raise InputError(f"{len(place)} architectures are too few to compare screens: at least {FEWEST}.")
    return comparison(scores_of(rows, rows.dataset.iloc[0]), of_all, place, listed)


def screens_table(of: Comparison, keep: int) -> pd.DataFrame:
    """`combinations_table`, and what each candidate keeps of all architectures, the best `keep` by it.

    Columns beside: the test accuracy (%) of the one that it ranks best, `found`, of equal ones the mean; and of
    the kept their mean, `mean kept`, where all that equal the last one share its place and those after it; and
    their best, `best kept`.
    """
    table, values = combinations_table(of), combined(of.scores, of.candidates)
    lines = []
    for name in table.candidate:
        score = values[name]
        kept = of.accuracy[best(score, keep)]
        found = of.accuracy[score == score.max()].mean()
        lines.append({"found": found, "mean kept": _mean_kept(score, of.accuracy, keep), "best kept": kept.max()})
    return table.join(pd.DataFrame(lines))


def _mean_kept(score: pd.Series, accuracy: pd.Series, keep: int) -> float:
    last = score[best(score, keep)].min()
    above, equal = accuracy[score > last], accuracy[score == last]
    return (above.sum() + (min(keep, len(score)) - len(above)) * equal.mean()) / min(keep, len(score))


def best(score: pd.Series, keep: int) -> pd.Index:
    """The architectures that a funnel keeps: the `keep` of the highest score, of equals the earlier."""
    return score.sort_values(ascending=False, kind="stable").index[:keep]


def funnel_table(
    of: Comparison, trained: pd.DataFrame, screen: str, keep: int, unselected: pd.DataFrame
) -> pd.DataFrame:
    """What a funnel found that kept the best `keep` by the candidate `screen`, and trained them.

    `trained` are the rows of the one method that did. A line a choice: by the screen alone, by the trained score
    alone, by both, which is the funnel's; then by both with each seed alone, if there are several. Columns:
    `chosen by`; how many were `screened` and `trained`, with how many `seeds`, over which the trained score is
    averaged; the `index` chosen, missing where training gave no score, its test accuracy `found` (%) and `regret`,
    how much better the best of all is;
    `spearman` among the kept, with its interval `low` and `high`; `screening gmacs` and `training gmacs`, in 1e9
    multiply-accumulates, and their `share` of what the paper's search of `SEEN` architectures would cost, at the
    mean cost of the same method in the rows `unselected`, of architectures that no screen chose. Raises InputError
    if a training of the kept is missing with one of the seeds, `trained` is of several methods, or `unselected`
    has none.
    """
    if (methods := trained.method.unique()).size > 1:
        raise InputError(f"the rows of training are of {', '.join(methods)}: give those of one.")
    values = combined(of.scores, of.candidates)[screen]
    kept = best(values, keep)
    done = trained[trained["index"].isin(kept) & ~trained.failed].drop_duplicates(["index", "seed"])
    if missing := len(kept) * max(1, trained.seed.nunique()) - len(done):
        raise InputError(f"{missing} trainings of the {keep} architectures that {screen} keeps are missing.")
    same = ["dataset", "preset", "method"]
    unselected = unselected.merge(trained[same].drop_duplicates(), on=same)
    if unselected.empty:
        raise InputError(f"no architecture beside the funnel's has its {methods[0]}: the mean cost is not known.")
    trained = trained[trained["index"].isin(kept)]
    score, both = _score_and_both(of, trained, screen, kept)
    choices = [("the screen", values[kept], trained[:0]), ("the training", score, trained)]
    choices.append(("both", both, trained))
    for seed, each in trained.groupby("seed") if trained.seed.nunique() > 1 else ():
        choices.append((f"both, seed {seed}", _score_and_both(of, each, screen, kept)[1], each))
    lines, screening_gmacs = [], of.candidates.gmacs[screen] * len(of.scores)
    for chosen_by, each, used in choices:
        index, gmacs = each.idxmax() if each.max() > -math.inf else math.nan, used.macs.sum() / 1e9
        found = of.accuracy.get(index, math.nan)
        line = {"chosen by": chosen_by, "screened": len(of.scores), "trained": used["index"].nunique()}
        line |= {"seeds": used.seed.nunique(), "index": index, "found": found}
        line |= {"regret": of.accuracy.max() - found}
        line |= estimate(spearman, each, of.accuracy[kept]).columns("spearman")
        line |= {"screening gmacs": screening_gmacs, "training gmacs": gmacs}
        lines.append(line | {"share": (screening_gmacs + gmacs) / (SEEN * unselected.macs.mean() / 1e9)})
    return pd.DataFrame(lines).astype({"index": "Int64"})  # which may be missing


def _score_and_both(
    of: Comparison, trained: pd.DataFrame, screen: str, kept: pd.Index
) -> tuple[pd.Series, pd.Series]:
    """The mean of the scores in `trained` of each of the `kept`, and its combination with the screen's."""
    score = trained.groupby("index").score.mean().reindex(kept)
    parts = pd.DataFrame(
        {"how": [of.candidates.how[screen]], "scores": [("trained", *of.candidates.scores[screen])]},
        index=["both"],
    )
    both = combined(of.scores.loc[kept].assign(trained=score), parts)["both"]
    return score, both.where(score.notna(), -math.inf)
