"""The notebooks, executed end to end: one in a kernel of its own as a user would, the others in this process."""

import json
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cells import run_notebook
from test_results import make, trial

from fearlib import InputError, benchmark_accuracy, load_dataset, preset, run_sweep, spearman
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.journal import append_to_journal, read_journal
from fearlib.sweeps.rows import read_curves, write_tables

papermill = pytest.importorskip("papermill")
ROOT = Path(__file__).parents[1]


def execute(notebook, executed_as, **parameters):
    executed = papermill.execute_notebook(
        str(ROOT / notebook), str(executed_as), parameters, cwd=str((ROOT / notebook).parent), progress_bar=False
    )
    return "\n".join(
        "".join(part.get("text", "") or part.get("data", {}).get("text/html", ""))
        for cell in executed.cells
        if cell.cell_type == "code"
        for part in cell.outputs
    )


SMALL = {
    "train_images": 100, "stage1_epochs": 2, "threshold": 0.05, "full_epochs": 1, "shortreg_epochs": [1],
    "zero_cost_batch": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    text = run_notebook(
        "notebooks/rank_architectures.ipynb", overrides=SMALL, architectures=5, output=str(folder / "results")
    )
    return folder, text


@pytest.fixture(scope="module")
def few(ranked):
    """The results folder with few of the measures, which is faster to analyse."""
    folder, _ = ranked
    shutil.copytree(folder / "results", folder / "few" / "results", ignore=shutil.ignore_patterns("journal*"))
    wanted = "fear|shortreg|full|synflow|snip|params"
    for record in read_journal(folder / "results"):
        record["rows"] = [row for row in record["rows"] if re.search(wanted, row["method"])]
        append_to_journal(folder / "few" / "results", record)
    write_tables(folder / "few" / "results")
    return folder / "few" / "results"


def test_rank_architectures(ranked):
    folder, text = ranked
    rows = pd.read_csv(folder / "results" / "rows.csv.gz")
    assert rows["index"].nunique() == 5 and {"fear(stage2_epochs=2)", "full", "synflow"} <= set(rows.method)
    assert rows.test_accuracy.notna().all()
    assert "spearman" in text and "synflow" in text


WATCHED = """
import time
from fearlib.explorer.live import shown_while_it_runs
from test_results import trial
from fearlib.sweeps.journal import append_to_journal

with shown_while_it_runs(folder, every=0) as after_trial:
    for count in range(3, 8):
        append_to_journal(folder, trial(count, score=count / 10, accuracy=50 + count))
        after_trial(None)
        time.sleep(0.6)  # more than papermill's pause here
        print(open(written).read().count("<t" + "d>"))
"""


def test_papermill_writes_the_table_while_the_cell_runs(tmp_path):
    """One output, replaced: the file that it writes has the table long before the cell ends, once."""
    import nbformat

    folder = make(tmp_path / "sweep", [trial(index, score=index / 10, accuracy=50 + index) for index in range(3)])
    given = f"from pathlib import Path\nfolder, written = Path({str(folder)!r}), {str(tmp_path / 'out.ipynb')!r}"
    cells = [nbformat.v4.new_code_cell(given), nbformat.v4.new_code_cell(WATCHED)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "in.ipynb")
    executed = papermill.execute_notebook(
        str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), cwd=str(ROOT / "tests"), progress_bar=False,
        autosave_cell_every=0.5,
    )  # fmt: skip
    outputs = executed.cells[-1].outputs
    tables = [output for output in outputs if output.output_type == "display_data"]
    assert len(tables) == 1 and "<td>8</td>" in tables[0]["data"]["text/html"]
    seen = [int(count) for output in outputs if output.output_type == "stream" for count in output.text.split()]
    assert seen[-1] == tables[0]["data"]["text/html"].count("<td>") == 3


def test_correlations_are_regenerated_byte_for_byte(ranked, few):
    folder, _ = ranked
    outputs = []
    for name in ("once", "again"):
        run_notebook(
            "analysis/correlations.ipynb",
            results=str(few), output=str(folder / name),
        )  # fmt: skip
        files = sorted(path for path in (folder / name).rglob("*") if path.is_file())
        outputs.append({path.relative_to(folder / name): path.read_bytes() for path in files})
    assert outputs[0] == outputs[1]
    names = {str(path) for path in outputs[0]}
    assert {
        "tables/results.csv",
        "tables/results.md",
        "figures/results_scatter.png",
        "figures/results_cost.pdf",
    } <= names


def test_correlations_of_the_methods_that_are_named(few, tmp_path):
    text = run_notebook(
        "analysis/correlations.ipynb", results=str(few), output=str(tmp_path),
        methods=["shortreg", "zero_cost"], name="without_fear", reference="synflow",
    )  # fmt: skip
    table, than = (pd.read_csv(tmp_path / "tables" / f"without_fear{part}.csv") for part in ("", "_differences"))
    assert set(table.method) == {"shortreg(epochs=1)", "synflow", "synflow_bn", "snip", "params"}
    assert set(than.than) == set(table.method) - {"synflow"} and "compared here, on 5 architectures" in text


def test_search(ranked):
    folder, _ = ranked
    text = run_notebook(
        "analysis/search.ipynb",
        results=str(folder / "results"), output=str(folder / "search"), measures=["synflow"], orders=20, length=3,
        resamples=5,
    )  # fmt: skip
    table = pd.read_csv(folder / "search" / "tables" / "results_search.csv")
    rows = pd.read_csv(folder / "results" / "rows.csv.gz")
    mean_cost = rows[rows.method == "synflow"].macs.mean()
    synflow = table[table.method == "synflow"].iloc[0]
    assert abs(synflow.macs - 3 * mean_cost) < 5 * synflow["macs sd"] / 20**0.5 + 1
    assert len(table) == 3 + 4 + 4 and "times the cheapest" in text
    t3 = pd.read_csv(folder / "search" / "tables" / "t3.csv").iloc[0]
    assert (t3.dataset, t3.n, t3.length, t3["short training"]) == ("synthetic", 5, 3, "shortreg(epochs=1)")
    limited = table[(table.method == "fear(stage2_epochs=2)") & (table.ratio == 4)].iloc[0]
    assert [t3["fear found"], t3.speedup] == pytest.approx([limited.found, limited.speedup], rel=1e-4)
    assert (folder / "search" / "figures" / "results_search.pdf").exists()


def test_compact_ablation(ranked):
    folder, _ = ranked
    text = run_notebook(
        "analysis/compact_ablation.ipynb",
        sweeps=["results"], compared={}, results=str(folder), output=str(folder / "ablation"),
    )  # fmt: skip
    table = pd.read_csv(folder / "ablation" / "tables" / "compact_ablation.csv")
    rows = pd.read_csv(folder / "results" / "rows.csv.gz")
    fear = rows[rows.method == "fear(stage2_epochs=2)"]
    assert (table.n[0], table.out[0]) == (fear.score.notna().sum(), fear.score.isna().sum())
    assert table.threshold[0] == 0.05 and "gain" in text


def test_fear_ablation_analysis(ranked):
    """The tables against the sweeps' rows, with another threshold and two more seeds on made-up scores."""
    folder, _ = ranked
    rows = pd.read_csv(folder / "results" / "rows.csv.gz")
    fear = rows[rows.method == "fear(stage2_epochs=2)"]
    fear = fear.assign(score=fear["index"] % 7 + 1.0, test_accuracy=fear["index"] % 11 + 50.0)
    reference, settings, seeds = (folder / name for name in ("reference", "settings", "seeds"))
    for copy in (reference, settings, seeds):
        shutil.copytree(folder / "results", copy, ignore=shutil.ignore_patterns("journal*"))
        read_curves(folder / "results").to_csv(copy / "curves.csv", index=False)
    fear.to_csv(reference / "rows.csv.gz", index=False)
    lower = fear.assign(method="fear(threshold=0.01,stage2_epochs=2)", score=-fear.score)
    lower.iloc[:-1].to_csv(settings / "rows.csv.gz", index=False)
    others = [fear.assign(seed=seed, score=fear.score + 0.01 * (fear["index"] % 2)) for seed in (1, 2)]
    pd.concat(others).to_csv(seeds / "rows.csv.gz", index=False)
    run_notebook(
        "analysis/fear_ablation.ipynb",
        reference=str(reference), sweeps=[str(settings), str(seeds)], output=str(folder / "fear_ablation"),
    )  # fmt: skip
    table = pd.read_csv(folder / "fear_ablation" / "tables" / "fear_ablation.csv").set_index(["changed", "value"])
    shared = fear.iloc[:-1]
    usual = spearman(shared.score, shared.test_accuracy)
    assert table.loc[("nothing", 0), "spearman"] == pytest.approx(usual, abs=1e-5)
    assert table.loc[("threshold", 0.01), "difference"] == pytest.approx(-2 * usual, abs=1e-5)
    assert set(table.loc["seed"].index) == {1, 2} and (table.n == len(shared)).all()
    noise = pd.read_csv(folder / "fear_ablation" / "tables" / "fear_ablation_seeds.csv").iloc[0]
    odd = shared["index"] % 2
    assert noise.seeds == 3 and noise.noise == pytest.approx(0.01 * np.sqrt(odd.mean() / 3), rel=1e-4)
    assert (folder / "fear_ablation" / "figures" / "fear_ablation.pdf").exists()
    with pytest.raises(InputError, match="Two of the sweeps hold fear.* with seed 1"):
        run_notebook(
            "analysis/fear_ablation.ipynb",
            reference=str(reference), sweeps=[str(seeds), str(seeds)], output=str(folder / "fear_ablation"),
        )  # fmt: skip


def test_live_search(ranked):
    folder, _ = ranked
    run_notebook(
        "notebooks/live_search.ipynb", overrides=SMALL, measured=str(folder / "results"),
        length=4, ratio=1.01, output=str(folder / "live"),
    )  # fmt: skip
    record = json.loads((folder / "live" / "search.json").read_text())
    assert record["agree"] and record["live"]["index"] == record["replayed"]["index"]
    trace = pd.read_csv(folder / "live" / "trace.csv")
    with pytest.raises(InputError, match="another configuration.*threshold"):
        run_notebook(
            "notebooks/live_search.ipynb", overrides=SMALL | {"threshold": 0.9},
            measured=str(folder / "results"), output=str(folder / "live"),
        )  # fmt: skip
    with pytest.raises(InputError, match=r"length is 6: .* has 5 trials of fear\(stage2_epochs=2\), and no more"):
        run_notebook(
            "notebooks/live_search.ipynb", overrides=SMALL, measured=str(folder / "results"), length=6,
            output=str(folder / "live"),
        )  # fmt: skip
    assert record["live"]["macs"] == trace.macs.sum() and record["live"]["dropped"] == trace.score.isna().sum()


def test_a_live_search_leaves_out_trials_that_failed(ranked, tmp_path):
    folder, _ = ranked
    shutil.copytree(folder / "results", tmp_path / "results")
    append_to_journal(tmp_path / "results", trial(0, "fear(stage2_epochs=2)", failed=True))
    write_tables(tmp_path / "results")
    run_notebook(
        "notebooks/live_search.ipynb", overrides=SMALL, measured=str(tmp_path / "results"), length=None,
        output=str(tmp_path / "live"),
    )  # fmt: skip
    record = json.loads((tmp_path / "live" / "search.json").read_text())
    assert record["agree"] and record["live"]["seen"] == 5


def test_late_bloomers(ranked):
    folder, _ = ranked
    shutil.copytree(folder / "results", folder / "alike")  # two sweeps of the same settings stay two
    text = run_notebook(
        "analysis/late_bloomers.ipynb",
        results=[str(folder / "results"), str(folder / "alike")], darts=str(folder / "none"),
        output=str(folder / "late"),
    )  # fmt: skip
    table = pd.read_csv(folder / "late" / "tables" / "results_late_bloomers.csv")
    assert set(table.cost) == {"epochs", "seconds", "gmacs"} and (table.reached + table.never == 5).all()
    assert list(table.source.str.split(":").str[0]) == ["results"] * 3 + ["alike"] * 3
    assert (folder / "late" / "figures" / "results_late_bloomers.pdf").exists() and "of the never" in text


def test_fear_against_shortreg(ranked, few):
    folder, _ = ranked
    text = run_notebook("analysis/fear_against_shortreg.ipynb", results=str(few), output=str(folder / "t1"))
    table = pd.read_csv(folder / "t1" / "tables" / "results_nearest.csv")
    scores = pd.read_csv(folder / "t1" / "tables" / "results_training_or_test_accuracy.csv")
    curves = read_curves(folder / "results")
    assert set(scores.n[scores.top == 100]) == {curves.val_top1[curves.method.str.startswith("fear")].count()}
    assert ("common", 100) in set(zip(table.value, table.top)) and set(table.setting) == {"shortreg(epochs=1)"}
    t1, lead = (pd.read_csv(folder / "t1" / "tables" / f"results_{part}.csv") for part in ("t1", "lead"))
    assert list(t1.top) == list(lead.top) == [10, 20, 30, 40, 50, 100] and t1["fear spearman paper"].isna().all()
    assert set(lead.architectures) == {"all"} and set(lead.than) == {"shortreg(epochs=1)"}
    assert (folder / "t1" / "figures" / "results_top.png").exists()
    assert (folder / "t1" / "figures" / "results_pareto_common.pdf").exists() and "on 5 architectures" in text


def test_a_synthetic_sweep_without_full_training_is_refused(few, tmp_path):
    with pytest.raises(InputError, match="the method `full`, the truth, is not finished on what is compared"):
        run_notebook(
            "analysis/synthetic.ipynb", results=str(few), methods=["zero_cost"], output=str(tmp_path / "made")
        )
    assert not (tmp_path / "made").exists()


def test_synthetic(few, tmp_path):
    shutil.copytree(few, tmp_path / "results")
    settings = preset("smoke", "synthetic", **SMALL)
    run_sweep(
        tmp_path / "results",
        "synthetic",
        settings,
        ["full"],
        read_indices(tmp_path / "results" / "rows.csv.gz"),
        [1],
    )
    run_notebook("analysis/synthetic.ipynb", results=str(tmp_path / "results"), output=str(tmp_path))
    ceiling = pd.read_csv(tmp_path / "tables" / "results_ceiling.csv").iloc[0]
    full = (
        pd.read_csv(tmp_path / "results" / "rows.csv.gz")
        .query("method == 'full'")
        .pivot(index="index", columns="seed")
    )
    assert ceiling.repeated == 5
    assert ceiling.noise == pytest.approx((full.score[0] - full.score[1]).pow(2).mean() ** 0.5 / 2**0.5, rel=1e-4)
    scores = pd.read_csv(tmp_path / "tables" / "results_scores.csv").set_index("method")
    assert (
        scores.paper["fear(stage2_epochs=2)"] == 0.55 and scores.n["synflow"] == 5 and "full" not in scores.index
    )
    header, _, cells = (tmp_path / "tables" / "results_t2.md").read_text().splitlines()[-3:]
    t2 = dict(zip(*([cell.strip() for cell in line.strip("|").split("|")] for line in (header, cells))))
    assert (
        t2["fear"].startswith("0.55 / ") and t2["synflow"].split(" / ")[1] == f"{scores.spearman['synflow']:.2f}"
    )


def test_fear_ablation(ranked):
    folder, _ = ranked
    small = {"train_images": 100, "stage1_epochs": 2, "threshold": 0.05, "stage2_epochs": 1}
    sweeps = {
        "other_threshold": {"methods": ["fear(threshold=0.08)"], "overrides": small},
        "seeds": {"overrides": small, "seeds": [1, 2], "better_half_of": str(folder / "results")},
    }
    text = run_notebook(
        "notebooks/fear_ablation.ipynb", preset="smoke", dataset="synthetic", count=2, workers=1,
        indices_file=str(folder / "results" / "rows.csv.gz"), output=str(folder / "sweeps"), sweeps=sweeps,
    )  # fmt: skip
    other = pd.read_csv(folder / "sweeps" / "other_threshold" / "rows.csv.gz")
    assert list(other.method.unique()) == ["fear(threshold=0.08,stage2_epochs=1)"] and len(other) == 2
    seeds = pd.read_csv(folder / "sweeps" / "seeds" / "rows.csv.gz")
    rows = pd.read_csv(folder / "results" / "rows.csv.gz")
    scored = rows[(rows.method == "fear(stage2_epochs=2)") & rows.score.notna()]
    best = scored.nlargest(len(scored) // 2, "test_accuracy")
    assert set(seeds["index"]) == set(best["index"]) and set(seeds.seed) == {1, 2}
    assert "other_threshold" in text


def test_fear_ablation_refuses_what_it_cannot_run(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("index,arch\n5,x\n")
    for given, said in (
        ({"sweeps": ["a"]}, "sweeps must be a dictionary of dictionaries"),
        ({"sweeps": {"a": 3}}, "sweeps must be a dictionary of dictionaries"),
        ({"indices_file": str(path)}, r"rows.csv lacks the column\(s\) dataset, test_accuracy"),
    ):
        with pytest.raises(InputError, match=said):
            run_notebook("notebooks/fear_ablation.ipynb", output=str(tmp_path / "out"), **given)


def test_zero_cost(ranked, few):
    folder, _ = ranked
    shutil.copytree(few, folder / "measured")
    rows = pd.read_csv(folder / "measured" / "rows.csv.gz")
    rows = rows.assign(test_accuracy=rows["index"] % 89 + 1.0, dataset="cifar10")  # whose values are published
    rows.to_csv(folder / "measured" / "rows.csv.gz", index=False)
    truth = rows.groupby("index")[["arch", "test_accuracy"]].first().reset_index()
    truth = truth.rename(columns={"test_accuracy": "cifar10"})
    shorter = ("cifar10_12ep", "cifar100_12ep", "imagenet16_120_12ep")
    for place, column in enumerate(("cifar100", "imagenet16_120", *shorter)):
        truth[column] = truth["index"] * (place + 2) % 97 + 1.0
    truth.to_csv(folder / "truth.csv", index=False)
    validated = truth[["arch"]].assign(cifar10_valid_val=truth["index"] * 9 % 97 + 1.0)
    validated.to_csv(folder / "validation.csv", index=False)
    run_notebook(
        "analysis/zero_cost.ipynb",
        results=str(folder / "measured"), output=str(folder / "zero_cost"), truth=str(folder / "truth.csv"),
        validation=str(folder / "validation.csv"),
    )  # fmt: skip
    tables = folder / "zero_cost" / "tables"
    comparison = pd.read_csv(tables / "measured_published.csv").set_index("measure")
    for measure in ("snip", "synflow"):
        each = rows[rows.method == measure]
        assert comparison.spearman[measure] == pytest.approx(
            each.score.corr(each.test_accuracy, "spearman"), abs=1e-5
        )
    assert comparison.published["snip"] == 0.58
    beside = pd.read_csv(tables / "measured_validation.csv").set_index("measure")
    synflow = rows[rows.method == "synflow"].set_index("index").score
    accuracy = truth[["index"]].join(validated).set_index("index").cifar10_valid_val
    assert beside.validation["synflow"] == pytest.approx(synflow.corr(accuracy, "spearman"), abs=1e-5)
    tops = pd.read_csv(tables / "measured_top.csv")
    assert sorted(tops.top.unique()) == list(range(10, 101, 10))
    assert (folder / "zero_cost" / "figures" / "measured_top.png").exists()
    kept = benchmark_accuracy(folder / "measured" / "accuracies.csv", "cifar100", truth["index"])
    assert (kept.to_numpy() == truth.cifar100).all()  # what the notebook keeps is a truth table itself


def test_degradation(tmp_path):
    small = {"train_images": 100, "full_epochs": 1, "zero_cost_batch": 8}
    results = tmp_path / "results"
    run_notebook(
        "notebooks/degradation.ipynb", overrides=small, architectures=3, epochs=2,
        output=str(results),
    )  # fmt: skip
    run_notebook("analysis/degradation.ipynb", results=str(results), output=str(tmp_path))
    table = pd.read_csv(tmp_path / "tables" / "results.csv")
    assert set(table.schedule) == {"cosine, 2 epochs", "constant"} and {"snip", "train_top1"} <= set(table.measure)
    assert (tmp_path / "figures" / "results.png").exists()
    assert (tmp_path / "tables" / "results_change.md").read_text().count("grasp") == 6  # at three moments each


def test_claims_follow_from_the_committed_results(tmp_path):
    run_notebook("analysis/claims.ipynb", output=str(tmp_path))
    made, committed = (pd.read_csv(folder / "claims.csv") for folder in (tmp_path, ROOT / "results"))
    pd.testing.assert_frame_equal(made, committed, rtol=1e-4)
    assert len((tmp_path / "claims.md").read_text().splitlines()) > len(made)


def test_published_gap(ranked):
    folder, _ = ranked
    text = run_notebook(
        "notebooks/published_gap.ipynb", rows=str(folder / "results"), architectures=4,
        dataset="synthetic", train_images=100, resolution=16, channels=4, cells=1, batch=8,
        output=str(folder / "gap"),
    )  # fmt: skip
    scores = pd.read_csv(folder / "gap" / "scores.csv").set_index(["form", "index"])
    assert set(scores.index.levels[0]) == {"plain", "biases", "blurred", "noise"}
    biases, plain = scores.loc["biases"], scores.loc["plain"]
    assert biases.grad_norm.to_numpy() == pytest.approx(plain.grad_norm.to_numpy(), rel=1e-4)
    assert (biases.fisher != plain.fisher).any()
    assert (scores.loc["noise"].grad_norm != plain.grad_norm).any()
    assert "| grasp " in text
    assert (folder / "gap" / "manifest.json").exists()


def test_explore(ranked):
    """Where no page shows its widgets, and where none are wanted."""
    folder, _ = ranked
    given = {"results": str(folder / "results"), "widgets": True}
    for text in (
        execute("analysis/explore.ipynb", folder / "explore.ipynb", **given),
        run_notebook("analysis/explore.ipynb", **given | {"widgets": False}),
    ):
        assert "5 architectures" in text and "Spearman" in text and "data:image/png;base64," in text


NOTEBOOKS = sorted(path for folder in ("notebooks", "analysis") for path in (ROOT / folder).glob("*.ipynb"))
LONGEST = dict.fromkeys(("claims", "compact_ablation", "zero_cost", "fear_against_shortreg"), 80)
EXHIBIT = r"(table T|figure F|claim C)\d"
TITLE = rf"# (ours, not the paper's: |{EXHIBIT}( and {EXHIBIT})? of the paper(: |,))"


def test_every_notebook_says_what_it_makes_and_takes_parameters():
    import nbformat

    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        assert notebook.cells[0].cell_type == "markdown"
        assert re.match(TITLE, notebook.cells[0].source, re.IGNORECASE), path
        assert any("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
        assert not any(cell.get("outputs") for cell in notebook.cells)
        assert not re.search(r"/(work|tmp|home)/", path.read_text())


def test_a_notebook_that_writes_over_committed_tables_says_how_not_to():
    """In its first cell, by a command with parameters that it has."""
    for path in NOTEBOOKS:
        cells = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
        parameters = re.findall(r"^(\w+) = ", cells[1], re.MULTILINE)
        given = re.findall(r" -p (\w+) \.\./mine/", cells[0])
        assert ('output = "../results"' in cells[1]) == ("unless `output` is another folder" in cells[0]), path
        assert set(given) <= set(parameters) and ("output" in given) == (
            f" analysis/{path.name} mine/" in cells[0]
        )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_notebooks_are_thin(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    lines = sum(len("".join(cell["source"]).splitlines()) for cell in cells)
    assert lines <= (LONGEST.get(path.stem, 100) if path.parent.name == "analysis" else 100)


def test_local_search(tmp_path, monkeypatch):
    monkeypatch.setattr("fearlib.preset", partial(preset, train_images=100, zero_cost_batch=8))
    few_steps = 208  # the seed of two starts that have 3x3 convolutions on three and on four edges already
    run_notebook(
        "notebooks/local_search.ipynb", measures=["params"], searches=2, seed=few_steps, output=str(tmp_path)
    )
    searches = pd.read_csv(tmp_path / "searches.csv")
    local, random = (searches[searches.search == kind] for kind in ("local", "random"))
    assert (local.seen.to_numpy() == random.seen.to_numpy()).all() and (local.score >= 0).all()
    assert local["index"].nunique() == 1  # parameters alone have one top: six 3x3 convolutions
    assert (local.score.to_numpy() >= random.score.to_numpy()).all()


def test_synthetic_dataset(tmp_path):
    run_notebook("notebooks/synthetic_dataset.ipynb", train_images=200, output=str(tmp_path))
    text = (tmp_path / "facts.md").read_text()
    classes, accuracies = ([line.split("|") for line in part.splitlines()] for part in text.split("\n\n")[1:])
    dataset = load_dataset("synthetic", resolution=16, train_images=200)
    kept = torch.cat([dataset.train_labels, dataset.test_labels]).bincount(minlength=10)
    assert "share of the first 4000 drawn" in text  # which are all: of a class that is not full all are kept
    drawn = [round(4000 * float(cells[2])) for cells in classes[2:]]
    assert [min(24, count) for count in drawn] == kept.tolist() and sum(drawn) == 4000
    assert [int(cells[3]) for cells in classes[2:]] == dataset.train_labels.bincount(minlength=10).tolist()
    nearest = torch.cdist(dataset.test_images.flatten(1), dataset.train_images.flatten(1)).argmin(1)
    expected = (dataset.train_labels[nearest] == dataset.test_labels).float().mean()
    (one,) = (cells for cells in accuracies if "| 1 nearest neighbours" in "|".join(cells))
    assert float(one[3]) == pytest.approx(float(expected), abs=1e-3)
