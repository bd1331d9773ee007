"""The notebooks, executed end to end as a user would."""

import re
from pathlib import Path

import pandas as pd
import pytest

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


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    small = {"train_images": 100, "stage1_epochs": 2, "threshold": 0.05, "full_epochs": 1, "shortreg_epochs": [1]}
    text = execute(
        "notebooks/rank_architectures.ipynb", folder / "rank.ipynb",
        overrides=small, architectures=5, output=str(folder / "results"),
    )  # fmt: skip
    return folder, text


def test_rank_architectures(ranked):
    folder, text = ranked
    rows = pd.read_csv(folder / "results" / "rows.csv")
    assert rows["index"].nunique() == 5 and {"fear(stage2_epochs=2)", "full", "synflow"} <= set(rows.method)
    assert rows.test_accuracy.notna().all()
    assert "spearman" in text and "synflow" in text


def test_correlations_are_regenerated_byte_for_byte(ranked):
    folder, _ = ranked
    outputs = []
    for name in ("once", "again"):
        execute(
            "analysis/correlations.ipynb", folder / f"{name}.ipynb",
            results=str(folder / "results"), output=str(folder / name), reference="fear(stage2_epochs=2)",
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


def test_compact_ablation(ranked):
    folder, _ = ranked
    text = execute(
        "analysis/compact_ablation.ipynb", folder / "ablation.ipynb",
        sweeps=["results"], results=str(folder), output=str(folder / "ablation"),
    )  # fmt: skip
    table = pd.read_csv(folder / "ablation" / "tables" / "compact_ablation.csv")
    rows = pd.read_csv(folder / "results" / "rows.csv")
    fear = rows[rows.method == "fear(stage2_epochs=2)"]
    assert (table.n[0], table.out[0]) == (fear.score.notna().sum(), fear.score.isna().sum())
    assert table.threshold[0] == 0.05 and "gain" in text


def test_every_notebook_says_what_it_makes_and_takes_parameters():
    import nbformat

    for path in [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "analysis").glob("*.ipynb")]:
        notebook = nbformat.read(path, as_version=4)
        assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
        assert any("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
        assert not any(cell.get("outputs") for cell in notebook.cells)
        assert not re.search(r"/(work|tmp|home)/", path.read_text())
