import itertools
import math
import random
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fearlib import read_rows
from fearlib.errors import InputError
from fearlib.report import measuring
from fearlib.report.claims import COLUMNS, VERDICTS, count_verdicts, ledger, ledger_page, published_values, verdict
from fearlib.report.measuring import MISSING as LACKS
from fearlib.report.measuring import measure_claims
from fearlib.sweeps.journal import append_to_journal, read_journal
from fearlib.sweeps.rows import write_tables

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "paper, ours, low, high, paper_scale, expected",
    [
        (0.58, 0.55, 0.5, 0.6, True, "reproduced"),  # inside the interval
        (0.74, 0.80, 0.77, 0.82, True, "reproduced"),  # outside it, within the tolerance
        (0.36, 0.59, 0.55, 0.64, True, "direction holds"),
        (0.74, 0.80, 0.77, 0.82, False, "direction holds"),  # the same at a reduced scale
        (0.55, -0.3, -0.5, -0.1, True, "direction fails"),
        (0.55, 0.1, -0.1, 0.3, False, "inconclusive"),
        (-0.41, -0.3, -0.4, -0.2, False, "direction holds"),
        (-0.41, 0.3, 0.2, 0.4, False, "direction fails"),
        (-0.02, 0.05, -0.15, 0.19, False, "direction holds"),  # small, as the paper's
        (-0.02, 0.7, 0.6, 0.8, False, "direction fails"),
        (-0.02, 0.1, -0.1, 0.3, False, "inconclusive"),
        (0.1, 0.5, 0.4, 0.6, False, "direction fails"),
        (math.inf, 0.2, 0.1, 0.3, True, "direction holds"),
        (-math.inf, 0.2, 0.1, 0.3, True, "direction fails"),
        (0.55, math.nan, math.nan, math.nan, False, "not run"),
    ],
)
def test_verdict(paper, ours, low, high, paper_scale, expected):
    assert verdict(paper, ours, low, high, paper_scale) == expected


def test_a_mirrored_claim_gets_the_same_verdict():
    random_ = random.Random(0)
    seen = set()
    for paper_scale, _ in itertools.product((True, False), range(500)):
        paper, *ours = (random_.uniform(-1, 1) for _ in range(4))
        low, estimate, high = sorted(ours)
        found = verdict(paper, estimate, low, high, paper_scale)
        assert found == verdict(-paper, -estimate, -high, -low, paper_scale)
        assert paper_scale or found != "reproduced"
        seen.add(found)
    assert seen == set(VERDICTS) - {"not run"}


def test_verdict_is_on_what_is_beyond_chance():
    claims = pd.DataFrame({"id": ["T1.a", "T1.b"], "source": "T1", "claim": "share", "paper": [0.9, 0.9]})
    line = {"ours": 0.5, "low": 0.3, "high": 0.6, "paper_scale": False, "n": 9, "seeds": "0", "preset": "compact",
            "data": "", "command": ""}  # fmt: skip
    book = ledger(claims, [line | {"id": "T1.a"}, line | {"id": "T1.b", "chance": 0.4}], {})
    assert list(book.verdict) == ["direction holds", "inconclusive"]


def test_verdict_refuses_what_is_no_interval():
    with pytest.raises(InputError, match="not within its interval"):
        verdict(0.5, 0.9, 0.1, 0.2, True)
    with pytest.raises(InputError, match="paper's value"):
        verdict(math.nan, 0.1, 0.0, 0.2, True)


CLAIMS = pd.DataFrame(
    {"id": ["T2.fear", "T2.snip", "C3"], "source": "x", "claim": "y", "paper": [0.55, -0.31, math.inf]}
)
MISSING = {"T2": "the synthetic dataset", "C3": "a search", "T2.snip": "snip", "T2.sn": "no part of an id"}


def test_ledger_has_a_line_for_every_claim():
    measured = [{"id": "T2.fear", "ours": 0.5, "low": 0.4, "high": 0.6, "paper_scale": False, "n": 60}]
    lines = ledger(CLAIMS, measured, MISSING).set_index("id")
    assert list(ledger(CLAIMS, measured, MISSING).columns) == list(COLUMNS)
    assert list(lines.verdict) == ["direction holds", "not run", "not run"]
    assert lines.n["T2.fear"] == 60 and pd.isna(lines.missing["T2.fear"])
    assert list(lines.missing[1:]) == ["snip", "a search"]  # the longest part decides


def test_ledger_refuses_what_it_cannot_place():
    line = {"id": "T2.fear", "ours": 0.5, "low": 0.4, "high": 0.6, "paper_scale": False}
    with pytest.raises(InputError, match="no claim: T9"):
        ledger(CLAIMS, [line | {"id": "T9"}], MISSING)
    with pytest.raises(InputError, match="twice"):
        ledger(CLAIMS, [line, line], MISSING)
    with pytest.raises(InputError, match="C3 was not measured"):
        ledger(CLAIMS, [line], {"T2": "the synthetic dataset"})


def test_published_values_by_what_their_ids_end_with():
    assert published_values(CLAIMS, "T2") == {"fear": 0.55, "snip": -0.31}
    assert published_values(CLAIMS, "T") == {}


def test_a_page_of_the_ledger():
    measured = {"id": "T2.fear", "ours": 0.5, "low": 0.4, "high": 0.6, "paper_scale": False, "n": 60}
    measured |= {"seeds": "0", "preset": "compact", "data": "noise", "command": "fear"}
    book = ledger(CLAIMS, [measured], MISSING)
    counts = count_verdicts(book).set_index("verdict").claims
    assert counts["direction holds"] == 1 and counts["not run"] == 2 and counts.sum() == 3
    page = ledger_page(book)
    assert "| T2.fear | y       | 0.55    | 0.50 (0.40..0.60) | direction holds | 60" in page
    assert "| above 0 |" in page and "| a search " in page and "Data: noise." in page


def test_claims_without_results(tmp_path):
    claims = pd.read_csv(ROOT / "analysis" / "paper_values.csv")
    made = ledger(claims, measure_claims(claims.id, tmp_path), LACKS)
    assert set(made.verdict) == {"not run"} and made.missing.notna().all() and made.id.is_unique


def test_claims_whose_rows_a_sweep_lacks_are_not_run_and_the_others_are(tmp_path, monkeypatch):
    """Sweeps without the cosine, a measure or short training."""
    lacking = {
        "degradation_cifar10": "schedule=cosine", "zero_cost_cifar10": "snip", "synthetic_compact": "synflow",
        "cifar100_paper": "shortreg",
    }  # fmt: skip

    def without(read, folder, *methods):
        rows = read(folder, *methods)
        return rows[~rows.method.str.contains(lacking[folder.name], regex=False)]

    for name in lacking:
        shutil.copytree(ROOT / "results" / name.replace("100_paper", "10_paper"), tmp_path / name)
    for reader in ("read_rows", "finished_rows"):
        monkeypatch.setattr(measuring, reader, partial(without, getattr(measuring, reader)))
    claims = pd.read_csv(ROOT / "analysis" / "paper_values.csv")
    ran = {line["id"] for line in measure_claims(claims.id, tmp_path)}
    assert ran == {
        *(f"ZC.cifar10.{name}" for name in ("grad_norm", "grasp", "fisher", "synflow", "jacob_cov")),
        *(f"T2.{name}" for name in ("fear", "jacob_cov", "snip", "fisher", "grasp")),
        "C1.cifar100", "C5",
    }  # fmt: skip


def test_a_half_run_method_changes_no_claim(tmp_path):
    """Short training of 50 epochs on three architectures, beside the sweeps behind C1 and C2."""
    for name in ("cifar10_paper", "zero_cost_cifar10"):
        shutil.copytree(ROOT / "results" / name, tmp_path / name)
    folder = tmp_path / "cifar10_paper"
    longer = "shortreg(epochs=50)"
    done = [record for record in read_journal(folder) if record["trial"]["method"] == "shortreg(epochs=8)"]
    for record in done[:3]:
        rows = [row | {"method": longer} for row in record["rows"]]
        append_to_journal(folder, record | {"trial": record["trial"] | {"method": longer}, "rows": rows})
    write_tables(folder)
    claims = ("C1.cifar10", "C2.cifar10")
    measured = pd.DataFrame(measure_claims(pd.Series(claims), tmp_path)).set_index("id")
    committed = pd.read_csv(ROOT / "results" / "claims.csv").set_index("id")
    assert longer in set(read_rows(folder).method)
    for claim in claims:
        for column in ("ours", "low", "high", "n"):
            assert measured[column][claim] == pytest.approx(committed[column][claim], rel=1e-4)
        assert measured.command[claim] == committed.command[claim]


def test_claims_on_another_dataset_are_measured_where_its_sweeps_are(tmp_path):
    """The sweeps of CIFAR-10 under CIFAR-100's name: the same numbers, T1's as the table of another notebook."""
    for kind in ("{}_paper", "zero_cost_{}"):
        shutil.copytree(ROOT / "results" / kind.format("cifar10"), tmp_path / kind.format("cifar100"))
        for name in ("rows.csv", "manifest.json"):
            path = tmp_path / kind.format("cifar100") / name
            path.write_text(re.sub(r'([,"])cifar10([,"])', r"\1cifar100\2", path.read_text()))
    claims = pd.read_csv(ROOT / "analysis" / "paper_values.csv")
    made = ledger(claims, measure_claims(claims.id, tmp_path), LACKS).set_index("id")
    committed = pd.read_csv(ROOT / "results" / "claims.csv").set_index("id")
    same = committed[committed.source.isin(("claim in words", "zero-cost")) & (committed.verdict != "not run")]
    same = same[same.index.str.contains(".cifar10", regex=False)]
    assert len(same) == 8
    for claim, line in same.iterrows():
        other = made.loc[claim.replace("cifar10", "cifar100")]
        numbers = ["ours", "low", "high", "n"]
        assert list(other[numbers]) == pytest.approx(list(line[numbers]), rel=1e-4)
        assert "--dataset cifar100" in other.command
    t1 = pd.read_csv(ROOT / "results" / "tables" / "cifar10_paper_nearest.csv")
    t1 = t1[(t1.over == "the paper's form")].set_index(["value", "top"])
    asked = made[(made.source == "T1") & ~made.index.str.contains("seconds")]
    compared = 0
    for claim, line in asked.iterrows():
        _, whose, value, top = claim.split(".")
        if (value, int(top)) in t1.index:
            expected = t1.loc[(value, int(top)), "ours" if whose == "fear" else "theirs"]
            if np.isnan(expected):  # a top of too few
                continue
            assert "INDICES" not in line.command and "shortreg(epochs=8)" in line.command
            assert line.ours == pytest.approx(expected, rel=1e-4)
            assert line.low - 1e-9 <= line.ours <= line.high + 1e-9
            compared += 1
    assert compared >= 20 and (asked.verdict == "not run").sum() == len(asked) - compared
