"""Scores side by side, where there is no accuracy to compare with; which methods gave none, and which failed."""

from collections.abc import Iterator

import pandas as pd

from fearlib.ranking.tables import method_order


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """A line an architecture, `index`, `arch` and a column a method, the highest by the first method first.

    `rows` as `fearlib.read_rows` gives them; scores are means over seeds, NaN where there is none.
    """
    methods = sorted(rows.method.unique(), key=method_order)
    architectures = rows.groupby("index")[["arch"]].first()
    scores = rows.pivot_table("score", "index", "method").reindex(columns=methods)
    table = architectures.join(scores).sort_values(methods, ascending=False, kind="stable")
    return table.reset_index().rename_axis(columns=None)


def without_a_score(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for every method that gave no architecture a score, with its commonest reason."""
    for method, each in rows.groupby("method", sort=False):
        if each.score.isna().all():
            (reason, count), *_ = each.outcome.value_counts().items()
            times = f" ({count} times)" if count < len(each) else ""
            yield f"{method} gave none of {each['index'].nunique()} a score: {reason}{times}."


def failed_trials(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for every method of which trials failed: each left a row of the method's own name."""
    for method, each in rows.groupby("method", sort=False):
        if count := each.failed.sum():
            trials = f"{count} of {len(each)} trials" if count < len(each) else f"{count} trial(s)"
            again = "the sweep's command tries them again, and `fear status` lists them"
            yield f"{trials} of `{method}` failed: {again}."
