"""Scores and combinations beside each other, as tables of numbers and of texts to read."""

from functools import partial

import numpy as np
import pandas as pd

from fearlib.files.progress import progress
from fearlib.ranking.candidates import FEAR, SHORTREG, Comparison, combined, missing
from fearlib.ranking.estimate import estimate, texts
from fearlib.ranking.held_out import KEYS, TOP, joined, quality
from fearlib.ranking.statistics import (
    common,
    ndcg,
    spearman,
    spearman_difference,
    top_spearman,
    top_spearman_difference,
)
from fearlib.ranking.tables import BETTER_HALF

# Of full-size networks: `snip` at initialisation and after 80 steps, and what ranks best untrained on CIFAR-10.
SNIP, SNIP_80 = "paper/snip", "paper/snip(steps=80,batch_size=64)"
UNTRAINED = "paper/meco * paper/swap * paper/az_nas"
_SHOWN = 8  # candidates of a set in the table to read


def every_combination(found: dict[tuple[str, str, str], Comparison]) -> pd.DataFrame:
    """`combinations_table` of every comparison, whose key stands before in `dataset`, `set` and `positions`."""
    return joined({key: combinations_table(of) for key, of in found.items()}, KEYS)


def combinations_table(of: Comparison) -> pd.DataFrame:
    """How every candidate ranks all architectures of a comparison: a line each, the best by `quality` first.

    Columns: `candidate`; `n`; `out`, without one of its scores, which ranks them lowest; `spearman` with its
    bootstrap 95% interval `low` and `high`; `top 50%`, Spearman in the better half, with `top 50% low` and
    `top 50% high`; `common 10%`; `ndcg 10%`; `gmacs`.
    """
    values, accuracy = combined(of.scores, of.candidates), of.accuracy.to_numpy()
    out, in_half, lines = missing(of), partial(top_spearman, percent=BETTER_HALF), []
    best_first = np.argsort(-quality(values.to_numpy(), accuracy), kind="stable")
    for place in progress(best_first, "intervals", "candidate"):
        name, score = values.columns[place], values.iloc[:, place].to_numpy()
        line = {"candidate": name, "n": len(score), "out": out[name]}
        line |= estimate(spearman, score, accuracy).columns("spearman")
        line |= estimate(in_half, score, accuracy).columns("top 50%", "top 50% ")
        line |= {"common 10%": common(score, accuracy, TOP), "ndcg 10%": ndcg(score, accuracy, TOP)}
        lines.append(line | {"gmacs": of.candidates.gmacs[name]})
    return pd.DataFrame(lines)


def few_steps_table(found: dict[tuple[str, str, str], Comparison]) -> pd.DataFrame:
    """What a few steps of training do for `snip`: paired differences on the comparisons' set "a few steps".

    A line a `dataset`, `score` and what it is compared with, `than`: `snip` after steps, at any preset, with
    `SNIP`, `SNIP_80` and FEAR; its product with the scores of `UNTRAINED` with these alone. What was not measured
    is left out. `n` architectures; Spearman of the score less that of the other (`difference`, `low`, `high`), and
    within the better half (`top 50%`, `top 50% low`, `top 50% high`).
    """
    in_half, lines = partial(top_spearman_difference, percent=BETTER_HALF), []
    few = {key[0]: of for key, of in found.items() if key[1:] == ("a few steps", "all")}
    for dataset, of in few.items():
        values, accuracy = combined(of.scores, of.candidates), of.accuracy
        for score, candidate in of.candidates.iterrows():
            for than in _compared_with(candidate):
                if than == score or than not in values:
                    continue
                difference = estimate(spearman_difference, values[score], values[than], accuracy)
                half = estimate(in_half, values[score], values[than], accuracy)
                line = {"dataset": dataset, "score": score, "than": than, "n": len(values)}
                lines.append(line | difference.columns("difference") | half.columns("top 50%", "top 50% "))
    return pd.DataFrame(lines)


def _compared_with(candidate: pd.Series) -> tuple[str, ...]:
    first, *others = candidate.scores
    if "/snip(steps=" not in first:
        return ()
    if not others:
        return SNIP, SNIP_80, FEAR
    return (UNTRAINED,) if candidate.how == "product" and " * ".join(others) == UNTRAINED else ()


def shown_few_steps(table: pd.DataFrame) -> pd.DataFrame:
    """The differences over all of `few_steps_table` as texts to read: a line a score, a column what it is less."""
    wide = table.assign(text=texts(table, "difference", form="+.2f"))
    wide = wide.pivot(index=["dataset", "score", "n"], columns="than", values="text")
    order = pd.MultiIndex.from_frame(table[["dataset", "score", "n"]].drop_duplicates())
    wide = wide.reindex(order, columns=[SNIP, SNIP_80, FEAR, UNTRAINED], fill_value="").fillna("")
    return wide.rename(columns="less `{}`".format).rename_axis(columns=None).reset_index()


def shown_combinations(table: pd.DataFrame) -> pd.DataFrame:
    """`combinations_table` of each `dataset` and `set` as texts: the best of each, and FEAR and short training.

    Those on later positions alone are left to the CSV.
    """
    whole = table[table.positions == "all"].reset_index(drop=True)
    place = whole.groupby(["dataset", "set"], sort=False).cumcount()
    shown = whole[(place < _SHOWN) | whole.candidate.isin((FEAR, SHORTREG))]
    return pd.DataFrame(
        {
            "dataset": shown.dataset, "set": shown.set, "score or combination": shown.candidate, "n": shown.n,
            "Spearman (95%)": texts(shown, "spearman"),
            "top 50% (95%)": texts(shown, "top 50%", "top 50% "),
            "common 10%": shown["common 10%"].map("{:.2f}".format),
            "nDCG 10%": shown["ndcg 10%"].map("{:.2f}".format),
            "10^9 macs": shown.gmacs.map("{:.1f}".format),
        }
    )  # fmt: skip


def shown_choices(table: pd.DataFrame) -> pd.DataFrame:
    """`choices` as texts to read, after the columns that say of which comparison they are."""
    ahead = pd.Series("", table.index)
    if "ahead of FEAR" in table:
        ahead = pd.Series(texts(table, "ahead of FEAR", "ahead of FEAR ", "+.2f"), table.index).replace("–", "")
    table = table.assign(**{"at most": table["at most"].map("{:.3g}".format)})
    return pd.DataFrame(
        {name: table[name] for name in table.columns[: table.columns.get_loc("n") + 1]}
        | {
            "Spearman (95%)": texts(table, "spearman"),
            "top 50% (95%)": texts(table, "top 50%", "top 50% "),
            "ahead of FEAR (95%)": ahead,
            "10^9 macs": table.gmacs.map("{:.1f}".format),
            "chosen most often": table.chosen,
            "share": table.share.map("{:.2f}".format),
        }
    )
