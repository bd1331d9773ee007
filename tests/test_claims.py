import gzip
import math
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fearlib import read_rows
from fearlib.errors import InputError
from fearlib.ranking.estimate import Estimate
from fearlib.report import measuring
from fearlib.report.claims import COLUMNS, count_verdicts, ledger, ledger_page, read_failures
from fearlib.report.measuring import MISSING as LACKS
from fearlib.report.measuring import measure_claims
from fearlib.report.published import ledger_claims, published_values
from fearlib.report.rule import verdict
from fearlib.sweeps.journal import append_to_journal, read_journal
from fearlib.sweeps.rows import write_tables

ROOT = Path(__file__).parents[1]


CLAIMED = ledger_claims(pd.read_csv(ROOT / "analysis" / "paper_values.csv"))
CLAIMS = pd.DataFrame(
    {"id": ["T2.fear", "T2.snip", "C3"], "source": "x", "claim": "y", "paper": [0.55, -0.31, math.inf]}
)
MISSING = {"T2": "the synthetic dataset", "C3": "a search", "T2.snip": "snip", "T2.sn": "no part of an id"}
LINE = {
    "id": "T2.fear", "ours": 0.5, "low": 0.4, "high": 0.6, "paper_scale": False, "n": 95, "architectures": 100,
    "seeds": "0", "preset": "compact", "dataset": "synthetic", "data": "noise, 1234", "command": "fear",
}  # fmt: skip


def test_ledger_has_a_line_for_every_claim():
    book = ledger(CLAIMS, [LINE], MISSING)
    lines = book.set_index("id")
    assert list(book.columns) == list(COLUMNS)
    assert list(lines.verdict) == ["direction holds", "not run", "not run"]
    assert lines.n["T2.fear"] == 95 and pd.isna(lines.missing["T2.fear"])
    assert list(lines.missing[1:]) == ["snip", "a search"]  # the longest part decides


def test_ledger_judges_one_sample_and_shows_a_smaller_one_at_a_larger_scale():
    larger = LINE | {"ours": 0.7, "low": 0.3, "high": 0.9, "paper_scale": True, "preset": "paper", "n": 28}
    larger |= {"architectures": 31, "beside": "its own note"}
    smaller = LINE | {"beside": "test accuracy: 0.6"}
    for both in ([smaller, larger], [larger, smaller]):
        line = ledger(CLAIMS, both, MISSING).iloc[0]
        assert (line.ours, line.preset, line.verdict) == (0.5, "compact", "direction holds")
        assert line.beside == "paper, n=28: 0.70 (0.30..0.90); test accuracy: 0.6"
    line = ledger(CLAIMS, [LINE, larger | {"n": 120, "architectures": 130}], MISSING).iloc[0]
    assert (line.ours, line.preset, line.verdict, line.beside) == (0.7, "paper", "reproduced", "its own note")


@pytest.mark.parametrize("paper, ours, low, high", [(0.75, 0.75, 0.7, 0.8), (0.0, 0.0, -0.1, 0.1)])
def test_what_a_stand_in_measures_is_never_reproduced(paper, ours, low, high):
    """Not even the paper's own value, at the paper's scale; and the claim says what measured it."""
    claims = pd.DataFrame({"id": ["T1.a", "T1.b"], "source": "T1", "claim": "FEAR ranks well", "paper": paper})
    line = LINE | {"ours": ours, "low": low, "high": high, "paper_scale": True}
    book = ledger(claims, [line | {"id": "T1.a"}, line | {"id": "T1.b", "stand_in": True}], {})
    assert book.claim.tolist() == ["FEAR ranks well", "FEAR ranks well [on a stand-in]"]
    assert book.verdict[0] == "reproduced" and book.verdict[1] == verdict(paper, ours, low, high, False)


def rename_dataset(folder, dataset):
    """A sweep on CIFAR-10 becomes one on another dataset."""
    for name, unpack, pack in (
        ("rows.csv.gz", gzip.decompress, gzip.compress), ("manifest.json", bytes, bytes),
    ):  # fmt: skip
        text = unpack((folder / name).read_bytes()).decode()
        text = re.sub(r'([,"])cifar10([,"])', rf"\1{dataset}\2", text)
        (folder / name).write_bytes(pack(text.encode()))


def test_claims_are_measured_on_a_stand_in_where_the_dataset_has_not_been_run(tmp_path):
    """The measures of CIFAR-10 under other names: on the dataset's own, some are reproduced."""
    claims = CLAIMED
    asked = claims[claims.id.str.startswith("ZC.imagenet16-120.")]
    for dataset in ("tinyimagenet16-120", "imagenet16-120"):
        folder = tmp_path / f"zero_cost_{dataset}"
        shutil.copytree(ROOT / "results" / "zero_cost_cifar10", folder)
        rename_dataset(folder, dataset)
        book = ledger(asked, measure_claims(asked.id, tmp_path), LACKS)
        assert len(book) == 6 and book.command.str.contains(f"--dataset {dataset} ", regex=False).all()
        stand_in = dataset.startswith("tiny")
        assert book.claim.str.endswith("[on a stand-in]").tolist() == [stand_in] * 6
        assert ("reproduced" in set(book.verdict)) != stand_in


def test_ledger_says_what_would_decide_and_what_was_looked_into():
    claims = CLAIMS.assign(unit=["correlation", "correlation", "points"])
    measured = [
        LINE | {"ours": 0.1, "low": -0.1, "high": 0.3, "n": 50, "top": 50},
        LINE | {"id": "T2.snip", "ours": 0.3, "low": 0.2, "high": 0.4},
        LINE | {"id": "C3", "ours": 0.2, "low": -0.9, "high": 0.9, "beyond": -1.0},
    ]
    found = {"T2": "findings/t2.md#all", "T2.snip": "findings/t2.md#snip", "C3": "findings/t3.md"}
    book = ledger(claims, measured, MISSING, found).set_index("id")
    assert list(book.verdict) == ["inconclusive", "direction fails", "direction holds"]
    assert list(book.unit) == ["correlation", "correlation", "points"]
    assert book.to_decide["T2.fear"] == pytest.approx(50 * (0.2 / 0.1) ** 2 / 0.5)
    assert book.to_decide[1:].isna().all()
    assert book.looked_into["T2.snip"] == "findings/t2.md#snip" and book.looked_into.notna().sum() == 1
    page = ledger_page(book.reset_index())
    assert "| about 400 architectures would decide |" in " ".join(page.split()) and "| above -1 " in page
    assert "[looked into](findings/t2.md#snip)" in page
    endless = LINE | {"ours": 0.0, "low": -0.1, "high": 0.1}
    assert "more than 15,625 architectures would decide" in ledger_page(ledger(CLAIMS, [endless], MISSING))


def test_ledger_refuses_what_it_cannot_place():
    with pytest.raises(InputError, match="no claim: T9"):
        ledger(CLAIMS, [LINE | {"id": "T9"}], MISSING)
    with pytest.raises(InputError, match="T2.fear is measured twice at one scale"):
        ledger(CLAIMS, [LINE, LINE], MISSING)
    with pytest.raises(InputError, match="C3 was not measured"):
        ledger(CLAIMS, [LINE], {"T2": "the synthetic dataset"})


def test_published_values_by_what_their_ids_end_with():
    assert published_values(CLAIMS, "T2") == {"fear": 0.55, "snip": -0.31}
    assert published_values(CLAIMS, "T") == {}


def test_seconds_of_the_papers_hardware_become_ratios_and_accuracies_found_a_difference():
    """What the paper's tables give, to the digits in which they are quoted."""
    values = pd.read_csv(ROOT / "analysis" / "paper_values.csv")
    claims = ledger_claims(values)
    assert claims.source.value_counts().to_dict() == {
        "claim in words": 18, "T1": 24 - 2 + 12 + 6, "T2": 7, "T3": 6, "F1": 4, "zero-cost": 18,
    }  # fmt: skip
    assert [*claims.source.unique(), "later"] == list(values.source.unique()) and claims.id.is_unique
    assert not claims.id.str.contains("seconds|accuracy").any() and claims.paper.notna().all()
    t1, t3 = (published_values(claims, name) for name in ("T1", "T3"))
    leads = [round(t1[f"lead.{top}"], 2) for top in (10, 20, 30, 40, 50, 100)]
    assert leads == [0.19, 0.26, 0.51, 0.43, 0.5, 0.03]
    assert [t1[f"ratio.spearman.{top}"] for top in (10, 100)] == pytest.approx([0.80, 0.95], abs=0.006)
    assert t1["ratio.common.50"] == pytest.approx(201.65 / 239.41)
    datasets = ("cifar10", "cifar100", "imagenet16-120")
    assert [round(t3[f"{dataset}.speedup"], 2) for dataset in datasets] == [3.84, 2.44, 2.46]
    assert [round(t3[f"{dataset}.difference"], 2) for dataset in datasets] == [-0.13, -0.04, 0.33]
    beyond, unit = (claims.set_index("id")[column] for column in ("beyond", "unit"))
    assert (beyond[beyond.index.str.startswith("C3.")] == -1).all() and (beyond != 0).sum() == 3
    assert unit["T3.cifar10.difference"] == unit["C3.cifar100"] == "points"
    assert not {"T1.fear.common.100", "T1.shortreg.common.100"} & set(claims.id)  # 1 by definition
    assert {"T1.fear.common.50", "T1.ratio.common.100"} <= set(claims.id)
    assert unit["T1.ratio.common.10"] == unit["T3.cifar100.speedup"] == "ratio"


def test_a_page_of_the_ledger():
    book = ledger(CLAIMS, [LINE], MISSING)
    counts = count_verdicts(book).set_index("verdict").claims
    assert count_verdicts(book).set_index("verdict").of["direction holds"] == "1 T2"
    assert counts["direction holds"] == 1 and counts["not run"] == 2 and counts.sum() == 3
    page = ledger_page(book)
    assert "0 of the 1 values that the paper gives lie outside our interval" in page
    assert "0 of the 0 values" in ledger_page(ledger(CLAIMS, [], MISSING))
    outside = ledger(CLAIMS, [LINE | {"low": 0.45, "high": 0.54}], MISSING)
    assert "1 of the 1 values" in ledger_page(outside)
    assert "| T2.fear | y       | 0.55    | 0.50 (0.40..0.60) | direction holds | 95" in page
    assert "| above 0 |" in page and "| a search " in page and "- noise: 1234" in page


def test_what_was_looked_into_stands_under_a_heading_with_the_claims(tmp_path):
    assert read_failures(tmp_path) == {}
    page = tmp_path / "findings" / "fails.md"
    page.parent.mkdir()
    page.write_text("# Title `T9`\n\n## `C4.snip.last`, `C4.grad_norm`: they rise\n\n`T1`\n\n## Nothing\n")
    place = "findings/fails.md#c4sniplast-c4grad_norm-they-rise"
    assert read_failures(tmp_path) == {"C4.snip.last": place, "C4.grad_norm": place}


def test_every_direction_that_fails_was_looked_into():
    book = pd.read_csv(ROOT / "results" / "claims.csv")
    fails = book[book.verdict == "direction fails"]
    known = set(read_failures(ROOT / "results").values())
    assert len(fails) and set(fails.looked_into) <= known


def test_claims_without_results(tmp_path):
    made = ledger(CLAIMED, measure_claims(CLAIMED.id, tmp_path), LACKS)
    assert set(made.verdict) == {"not run"} and made.missing.notna().all() and made.id.is_unique


def test_claims_whose_rows_a_sweep_lacks_are_not_run_and_the_others_are(tmp_path, monkeypatch):
    """Sweeps without the start of training, a measure or short training."""
    lacking = {
        "degradation_cifar10": "(epoch=0,", "zero_cost_cifar10": "snip", "synthetic_compact": "synflow",
        "cifar100_paper": "shortreg",
    }  # fmt: skip

    def without(read, folder, *methods):
        rows = read(folder, *methods)
        return rows[~rows.method.str.contains(lacking[folder.name], regex=False)]

    for name in lacking:
        shutil.copytree(ROOT / "results" / name.replace("100_paper", "10_paper"), tmp_path / name)
    for reader in ("read_rows", "finished_rows"):
        monkeypatch.setattr(measuring, reader, partial(without, getattr(measuring, reader)))
    measured = measure_claims(CLAIMED.id, tmp_path)
    assert {line["id"] for line in measured} == {
        *(f"ZC.cifar10.{name}" for name in ("grad_norm", "grasp", "fisher", "synflow", "jacob_cov")),
        *(f"T2.{name}" for name in ("fear", "jacob_cov", "snip", "fisher", "grasp")),
        "F1.jacob_cov.1", "F1.grasp.1", "C1.cifar100", "C2.cifar100", "C5",
    }  # fmt: skip
    (collapsed,) = (line for line in measured if line["id"] == "F1.jacob_cov.1")
    assert (
        collapsed["n"] == 95 and "degradation(epochs=8)" in collapsed["command"]
    )  # not the 30 at a constant rate


def test_a_sweep_whose_fear_reached_nothing_makes_no_claim_and_the_others_are_made(tmp_path, monkeypatch):
    for name in ("synthetic_compact", "cifar10_compact", "zero_cost_cifar10"):
        (tmp_path / name).symlink_to(ROOT / "results" / name)

    def without(read, folder, *methods):
        rows = read(folder, *methods)
        return rows.assign(score=rows.score.mask((rows.kind == "fear") & (folder.name == "synthetic_compact")))

    monkeypatch.setattr(measuring, "finished_rows", partial(without, measuring.finished_rows))
    measured = {line["id"] for line in measure_claims(pd.Series(["C5", "T2.fear", "C2.cifar10"]), tmp_path)}
    assert measured == {"C2.cifar10"}


def copy_without(source, folder, is_left_out):
    """A sweep without the trials of some methods, and without `zico`, which is of 2023."""
    folder.mkdir()
    shutil.copy(source / "manifest.json", folder)
    for record in read_journal(source):
        if not is_left_out(record["trial"]["method"]):
            rows = [row for row in record["rows"] if row["method"] != "zico"]
            append_to_journal(folder, record | {"curve": [], "rows": rows})
    write_tables(folder, read_rows(source).groupby("index").test_accuracy.first())


def test_c5_counts_later_measures_and_stands_beside_the_same_without_them(tmp_path):
    source = ROOT / "results" / "synthetic_compact"
    (line,) = measure_claims(pd.Series(["C5"]), source.parent)
    copy_without(source, tmp_path / source.name, lambda method: method.startswith("zero_cost("))
    (then,) = measure_claims(pd.Series(["C5"]), tmp_path)
    assert "the best other is `az_progressivity`; " in line["beside"] and line["ours"] < then["ours"]
    assert line["beside"].endswith(f"without later measures {Estimate.of(then, 'ours')}")


def test_c2_is_beside_the_measures_of_full_size_networks_with_and_without_the_later(tmp_path):
    """Though the sweep has measures of its own, and at every dataset."""
    for name in ("cifar10_compact", "zero_cost_cifar10"):
        (tmp_path / name).symlink_to(ROOT / "results" / name)
    (line,) = measure_claims(pd.Series(["C2.cifar10"]), tmp_path)
    assert "--preset paper" in line["command"] and "near" in line["command"]
    then = tmp_path / "then"
    then.mkdir()
    (then / "cifar10_compact").symlink_to(ROOT / "results" / "cifar10_compact")
    full_size = ROOT / "results" / "zero_cost_cifar10"
    copy_without(full_size, then / "zero_cost_cifar10", lambda method: method.startswith("zero_cost("))
    (of_then,) = measure_claims(pd.Series(["C2.cifar10"]), then)
    assert f"; without later measures {Estimate.of(of_then, 'ours')}; " in line["beside"]
    assert "without later" not in of_then["beside"] and "--preset paper" in of_then["command"]


def test_a_line_says_on_how_many_of_its_architectures_the_preset_was_chosen():
    lines = {line["id"]: line for line in measure_claims(CLAIMED.id, ROOT / "results") if not line["paper_scale"]}
    said = {name: re.search("`compact` was chosen with (.*) of these", lines[name]["beside"]) for name in lines}
    assert lines["C1.cifar10"]["architectures"] == 164 and said["C1.cifar10"][1] == "100"
    assert said["C2.cifar10"][1] == said["C3.cifar10"][1] == "all"
    assert {name for name in said if said[name]} == {
        "C1.cifar10", "C2.cifar10", "C3.cifar10", "T3.cifar10.difference", "T3.cifar10.speedup",
    }  # fmt: skip
    assert lines["T1.ratio.common.50"]["beside"].endswith(", the same costs as beside Spearman")
    assert lines["C4.snip.last"]["beside"] == "cosine, 8 epochs, after 8"


@pytest.mark.parametrize("changed, is_papers", [("stage1_epochs=40", True), ("resolution=16", False)])
def test_smaller_networks_are_not_of_the_papers_scale(changed, is_papers, tmp_path):
    shutil.copytree(ROOT / "results" / "zero_cost_cifar10", tmp_path / "zero_cost_cifar10")
    manifest = tmp_path / "zero_cost_cifar10" / "manifest.json"
    text = manifest.read_text()
    assert text.count('"preset": "paper"') == 1
    manifest.write_text(text.replace('"preset": "paper"', f'"preset": "paper({changed})"'))
    (line,) = measure_claims(pd.Series(["ZC.cifar10.snip"]), tmp_path)
    assert line["paper_scale"] == is_papers


def longer(record, label="shortreg(epochs=50)"):
    """A trial's record under another label."""
    rows = [row | {"method": label} for row in record["rows"]]
    return record | {"trial": record["trial"] | {"method": label}, "rows": rows}


def test_a_half_run_method_changes_no_claim(tmp_path):
    """Short training of 50 epochs on three architectures, beside the sweeps behind C1 and C2."""
    for name in ("cifar10_paper", "zero_cost_cifar10"):
        shutil.copytree(ROOT / "results" / name, tmp_path / name)
    folder, claims = tmp_path / "cifar10_paper", pd.Series(["C1.cifar10", "C2.cifar10"])
    before = measure_claims(claims, tmp_path)
    done = [record for record in read_journal(folder) if record["trial"]["method"] == "shortreg(epochs=8)"]
    for record in done[:3]:
        append_to_journal(folder, longer(record))
    write_tables(folder)
    assert "shortreg(epochs=50)" in set(read_rows(folder).method)
    assert measure_claims(claims, tmp_path) == before and [line["n"] for line in before] == [28, 13]


def test_searches_are_judged_beside_short_training_as_long_as_the_papers_alone(tmp_path):
    """FEAR and the fifty epochs of a committed sweep alone: the numbers of the table of searches."""
    source, folder = ROOT / "results" / "cifar10_compact", tmp_path / "cifar10_compact"
    folder.mkdir()
    shutil.copy(source / "manifest.json", folder)
    for record in read_journal(source):
        if record["trial"]["method"] in ("fear(stage2_epochs=24)", "shortreg(epochs=50)"):
            append_to_journal(folder, record)
    write_tables(folder, read_rows(source).groupby("index").test_accuracy.first())
    measured = pd.DataFrame(measure_claims(CLAIMED.id, tmp_path)).set_index("id")
    t3 = pd.read_csv(ROOT / "results" / "tables" / "t3.csv").set_index("dataset").loc["cifar10"]
    assert set(measured.index) == {"C1.cifar10", "C3.cifar10", "T3.cifar10.difference", "T3.cifar10.speedup"}
    for claim in ("T3.cifar10.speedup", "T3.cifar10.difference", "C3.cifar10"):
        line, name = measured.loc[claim], claim.removeprefix("T3.cifar10.").replace("C3.cifar10", "difference")
        expected = t3[[name, f"{name} low", f"{name} high"]]
        assert [line.ours, line.low, line.high] == pytest.approx(list(expected), rel=1e-4)
        assert line.n == t3.n == 100 and "shortreg(epochs=50)" in line.command
    assert measured.beyond["C3.cifar10"] == -1 and measured.beyond["T3.cifar10.difference"] == 0


def test_claims_on_another_dataset_are_measured_where_its_sweeps_are(tmp_path):
    """The sweeps of CIFAR-10 under CIFAR-100's name: the same numbers, T1's as the tables of another notebook."""
    for kind in ("{}_paper", "zero_cost_{}"):
        for dataset in ("cifar10", "cifar100"):
            shutil.copytree(ROOT / "results" / kind.format("cifar10"), tmp_path / kind.format(dataset))
        rename_dataset(tmp_path / kind.format("cifar100"), "cifar100")
    made = pd.DataFrame(measure_claims(CLAIMED.id, tmp_path)).set_index("id")
    same = [claim for claim in made.index if ".cifar10" in claim and ".cifar100" not in claim]
    assert len(same) == 8
    for claim in same:
        line, other = made.loc[claim], made.loc[claim.replace("cifar10", "cifar100")]
        assert "--dataset cifar100" in other.command and other.n == line.n
        if claim.startswith("ZC."):  # of CIFAR-10 the published values rest on validation accuracies
            assert line.beside == f"with test accuracy: {Estimate.of(other, 'ours')}" and line.ours != other.ours
        else:
            assert list(other[["ours", "low", "high"]]) == list(line[["ours", "low", "high"]])
    tables = ROOT / "results" / "tables"
    t1 = pd.read_csv(tables / "cifar10_paper_t1.csv").set_index("top")
    lead = pd.read_csv(tables / "cifar10_paper_lead.csv").set_index("top")
    asked = made[made.index.str.startswith("T1.")]
    assert len(asked) == 40
    for claim, line in asked.iterrows():
        _, whose, *value, top = claim.split(".")
        of_t1 = whose in ("fear", "shortreg")
        expected = t1[f"{whose} {value[0]}"][int(top)] if of_t1 else lead[whose][int(top)]
        assert line.ours == pytest.approx(expected, rel=1e-4, nan_ok=True)
        assert np.isnan(expected) or line.low - 1e-9 <= line.ours <= line.high + 1e-9
        assert "INDICES" not in line.command and "shortreg(epochs=8)" in line.command and line.top == int(top)
    folder = tmp_path / "cifar100_paper"
    done = [record for record in read_journal(folder) if record["trial"]["method"] == "shortreg(epochs=8)"]
    for record in done[:25]:  # of 31: a comparison with it would have more trials, and fewer architectures
        append_to_journal(folder, longer(record))
    (line,) = measure_claims(pd.Series(["T1.lead.100"]), tmp_path)
    assert (line["n"], line["ours"]) == (made.n["T1.lead.100"], made.ours["T1.lead.100"])
