"""The paper's exhibits: their sweeps run, and what docs/reproduce.md says of them follows from the results."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from fearlib import InputError, preset, read_rows
from fearlib.exhibits import EXHIBITS, Sweep, exhibit_sweeps, run_exhibit
from fearlib.report.reproduction import GPU, macs_a_second, state_table, sweep_macs
from fearlib.sweeps.journal import PACKED, read_journal
from fearlib.sweeps.methods import expand_methods

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
TINY = {
    "channels": 1, "train_images": 100, "stage1_epochs": 1, "threshold": 0.01, "full_epochs": 1,
    "zero_cost_batch": 8,
}  # fmt: skip


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_every_exhibit_of_the_paper_is_there():
    assert set(EXHIBITS) == {"T1", "T2", "T3", "F1", "F2", "F3", "F4", "C1", "C2", "C3", "C4", "C5"}
    claims = pd.read_csv(ROOT / "analysis" / "paper_values.csv")
    assert set(claims.id.str.split(".").str[0]) - {"ZC", "LATER"} <= set(EXHIBITS)


@pytest.mark.parametrize("scale", ["smoke", "compact", "paper"])
@pytest.mark.parametrize("name", EXHIBITS)
def test_sweeps_name_what_there_is(name, scale):
    """Methods and settings that exist; in one output, a folder is always the same sweep."""
    dataset = "synthetic" if scale == "smoke" else EXHIBITS[name].dataset
    for sweep in exhibit_sweeps(name, scale, dataset):
        settings = preset(sweep.preset, dataset, space=sweep.space, **sweep.changes)
        labels = expand_methods(sweep.methods.split(), settings)
        assert labels and 0 < sweep.count <= 1000 and "{" not in sweep.folder + sweep.methods
        assert dataset != "synthetic" or any(label.startswith("full") for label in labels)
        others = [each for other in EXHIBITS for each in exhibit_sweeps(other, scale)]
        assert scale == "smoke" or all(each == sweep for each in others if each.folder == sweep.folder)
    exhibit = EXHIBITS[name]
    assert (ROOT / "analysis" / f"{exhibit.notebook}.ipynb").exists()
    assert all(list(RESULTS.glob(path)) for path in exhibit.files)


def test_the_protocol_at_the_papers_scale():
    """What the paper says of its searches, its short training and its ground truth."""
    (t3,) = exhibit_sweeps("T3", "paper", "ImageNet16-120")
    (stand_in,) = exhibit_sweeps("T3", "paper", "TinyImageNet16-120")
    assert (t3.folder, stand_in.folder) == ("imagenet16-120_paper_search", "tinyimagenet16-120_paper_search")
    assert stand_in.methods == t3.methods
    assert "shortreg(epochs=50,batch_size=512)" in t3.methods
    assert "fear(stage2_epochs=10,stage2_batch=1024)" in t3.methods
    (t3,) = exhibit_sweeps("T3", "paper")
    assert "shortreg(epochs=50,batch_size=1024)" in t3.methods
    measures, t1 = exhibit_sweeps("T1", "paper")
    assert t1.folder == "cifar100_paper" and t1.count == measures.count == 1000
    labels = expand_methods(t1.methods.split(), preset("paper", "cifar100"))
    assert labels == ["fear(stage2_epochs=5)", *(f"shortreg(epochs={epochs})" for epochs in (10, 20, 30))]
    (t2,) = exhibit_sweeps("T2", "paper")
    assert "full" in t2.methods.split() and preset("paper", "synthetic").full_epochs == 200


def test_a_second_run_does_only_what_is_missing(tmp_path):
    """F2 has two sweeps: without time the first is begun alone; then both are made; then nothing is left to do."""
    arguments = {"dataset": "synthetic", "changes": TINY, "count": 1}
    assert list(run_exhibit("F2", tmp_path, "smoke", time_budget=0, **arguments)) == [
        tmp_path / "zero_cost_synthetic"
    ]
    done = run_exhibit("F2", tmp_path, "smoke", **arguments)
    assert [folder.name for folder in done] == ["zero_cost_synthetic", "synthetic_smoke"]
    rows = done[tmp_path / "synthetic_smoke"]
    assert {"fear(stage2_epochs=2)", "shortreg(epochs=16)", "snip", "full"} <= set(rows.method)
    assert list(rows["index"].unique()) == [6983]  # the first of the paper's
    journals = [(folder / PACKED).read_bytes() for folder in done]
    run_exhibit("F2", tmp_path, "smoke", **arguments)
    assert [(folder / PACKED).read_bytes() for folder in done] == journals
    more = run_exhibit("F4", tmp_path, "smoke", **arguments | {"count": 2})  # shares one of the sweeps
    (folder,) = more
    manifest = json.loads((folder / "manifest.json").read_text())
    assert list(manifest["sittings"][-1]["missing"].values()) == [1] * len(manifest["sittings"][-1]["missing"])
    assert len(read_journal(folder)) == 2 * len({row["trial"]["method"] for row in read_journal(folder)})


def test_accuracies_come_from_the_table_of_the_papers_architectures(tmp_path, monkeypatch):
    """Those of the dataset asked for, in the order of the paper's architectures; none of DARTS networks."""
    asked = []
    monkeypatch.setattr("fearlib.sweeps.run.run_sweep", lambda *words, **named: asked.append((words, named)))
    monkeypatch.setattr("fearlib.sweeps.run.check_sweep", lambda *_: None)  # which loads images
    run_exhibit("T1", tmp_path, "compact", workers=2)
    (words, named), known = asked.pop(), pd.read_csv(RESULTS / "zero_cost_cifar10" / "accuracies.csv")
    folder, dataset, settings, _, architectures = words
    assert (folder.name, dataset, settings.preset) == ("cifar100_compact", "cifar100", "compact")
    committed = [record["trial"]["index"] for record in read_journal(RESULTS / "zero_cost_cifar100")]
    indices = [architecture.index for architecture in architectures]
    assert indices == list(dict.fromkeys(committed))[:240] and named["workers"] == 2
    assert named["truth"].equals(known.set_index("index").cifar100[indices].rename("test_accuracy"))
    run_exhibit("F3", tmp_path, "compact")
    darts, ranking = asked
    assert darts[1]["truth"] is None and ranking[1]["truth"].max() > 90
    committed = set(read_rows(RESULTS / "darts_cifar10")["index"])
    assert {architecture.index for architecture in darts[0][4]} == committed


@pytest.mark.parametrize(
    "words, message",
    [
        ({"name": "T4"}, "unknown exhibit 'T4': the exhibits are T1, T2"),
        ({"name": "T2", "dataset": "cifar10"}, "T2 is about the synthetic dataset, not cifar10"),
        ({"name": "T1", "dataset": "synthetic"}, "T1 is not about the synthetic dataset"),
        ({"name": "T1", "scale": "huge"}, "unknown preset 'huge'"),
        ({"name": "T1", "dataset": "mnist"}, "unknown dataset 'mnist'"),
        ({"name": "T2", "truth": "table.csv"}, "leave truth out"),
        ({"name": "T1", "indices": "absent"}, "absent does not exist: run this in the repository's folder"),
        ({"name": "T1", "count": 1001}, "has 1000 architectures, but 1001 were asked for"),
        ({"name": "F3", "count": 1001}, "has 1000 architectures, but 1001 were asked for"),  # before DARTS trains
        (  # of F2's second sweep, before the first measures
            {"name": "F2", "scale": "smoke", "dataset": "synthetic", "changes": TINY | {"first_free_block": 99}},
            "first_free_block is 99",
        ),
        ({"name": "F3", "truth": "absent.csv"}, "absent.csv is neither a table of accuracies nor"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path, words, message):
    with pytest.raises(InputError, match=message):
        run_exhibit(output=tmp_path / "out", **words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "folder, methods, share",
    [
        ("cifar10_compact", "fear shortreg(epochs=16) zero_cost", 0.01),
        ("cifar100_compact", "fear shortreg(epochs=8) shortreg(epochs=16)", 0.05),
        ("cifar10_paper", "fear shortreg(epochs=2) shortreg(epochs=8)", 0.05),
        ("synthetic_compact", "fear(stage2_epochs=12) zero_cost full", 0.1),
        ("darts_cifar10", "full", 0.01),
    ],
)
def test_costs_are_those_of_the_sweeps_that_were_run(folder, methods, share):
    """The estimate of a sweep beside the macs in its rows."""
    rows = read_rows(RESULTS / folder)
    configuration = json.loads((RESULTS / folder / "manifest.json").read_text())["configuration"]
    name, dataset = configuration["settings"]["preset"], configuration["dataset"]
    changes = {key: configuration["settings"][key] for key in ("train_images", "full_epochs", "cells")}
    scale, space = name.partition("(")[0], configuration["space"]
    labels = expand_methods(methods.split(), preset(scale, dataset))
    rows = rows[(rows.seed == 0) & (rows.method.isin(labels) | ~rows.method.str.contains(r"fear|shortreg|full"))]
    measured = rows.groupby("method").macs.mean().sum()
    estimate = sweep_macs(Sweep(folder, scale, methods, 1, changes, space), dataset, RESULTS)
    assert estimate == pytest.approx(measured, rel=share)


def test_the_cost_of_degradation_is_its_training_and_its_measures():
    """On 100 architectures; the estimate is of those behind it, which are larger."""
    rows = read_rows(RESULTS / "degradation_cifar10")
    cosine = rows[rows.method.str.contains("schedule=cosine")]
    training = cosine[cosine.method.str.startswith("train_top1(epoch=8")].macs.mean()
    start = cosine[cosine.method.str.contains("(epoch=0,", regex=False)].groupby("index").macs.sum().mean()
    sweep = Sweep("", "compact", "degradation(epochs=8)", 1, {"train_images": 10_000})
    all_sizes = read_rows(RESULTS / "cifar10_compact").query("method == 'macs'").set_index("index").score
    larger = all_sizes.mean() / all_sizes[cosine["index"].unique()].mean()
    assert sweep_macs(sweep, "cifar10", RESULTS) == pytest.approx(larger * (training + 13 * start), rel=0.01)


def test_the_hours_of_t1_are_those_of_the_paper_scale_page():
    """By docs/scale.md 3.1 hours of FEAR and 17.1 of 10, 20 and 30 epochs, and the measures take next to none."""
    macs = sum(sweep_macs(sweep, "cifar100", RESULTS) for sweep in exhibit_sweeps("T1", "paper"))
    assert math.isclose(macs / macs_a_second(GPU, RESULTS) / 3600, 3.1 + 17.1, rel_tol=0.01)


def test_a_state_is_a_verdict_of_the_ledger(tmp_path):
    claims = pd.DataFrame(
        {
            "id": ["C1.cifar10", "C1.cifar100", "C3", "T2.snip", "T2.fear"],
            "verdict": ["reproduced", "not run", "not run", "inconclusive", "direction holds"],
        }
    )
    claims.to_csv(tmp_path / "claims.csv", index=False)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "x_late_bloomers.png").touch()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in state_table(tmp_path).splitlines()[2:]]
    states = {line[0]: (line[2], line[3]) for line in lines}
    assert states["C1"] == ("reproduced", "1 of 2") and states["C3"] == ("not run", "0 of 1")
    assert states["T2"] == ("mixed", "2 of 2")
    assert states["F3"] == ("drawn", "") and states["F4"] == ("not run", "")
    with pytest.raises(InputError, match="holds no claims.csv"):
        state_table(tmp_path / "figures")
