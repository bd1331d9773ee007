"""How well each method ranks while its sweep still runs: less than `ranking_table`, and fast."""

import math

import numpy as np
import pandas as pd

from fearlib.ranking.estimate import estimate
from fearlib.ranking.statistics import spearman
from fearlib.ranking.tables import method_order
from fearlib.sweeps.meaning import with_meaning
from fearlib.sweeps.rows import own_truth, with_finite_scores

RESAMPLES = 200  # of an interval that is looked at once


def spearman_so_far(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a method: `n` architectures with a score and an accuracy so far, and the `spearman` of these.

    That is a text, with its 95% bootstrap interval from 200 resamples, `–` where undefined. Also the mean
    `seconds` an architecture. Seeds are averaged first; failed trials and measures at moments of training take no
    part. The full training whose accuracy is the truth is not ranked against itself.
    """
    truth, rows = own_truth(rows), with_meaning(rows)
    rows = with_finite_scores(rows[~rows.failed & rows.moment.isna()])
    lines = []
    for method, of_method in rows.groupby("method", sort=False):
        each = of_method.groupby("index")[["score", "seconds", "test_accuracy"]].mean().astype(float)
        score = each.score if method != truth else np.full(len(each), math.nan)
        found = estimate(spearman, score, each.test_accuracy, resamples=RESAMPLES)
        lines.append({"method": method, "n": found.n, "spearman": str(found), "seconds": each.seconds.mean()})
    columns = ("method", "n", "spearman", "seconds")
    return pd.DataFrame(sorted(lines, key=lambda line: method_order(line["method"])), columns=columns)
