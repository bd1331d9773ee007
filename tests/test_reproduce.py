"""`make reproduce` makes every committed table and figure: its notebooks, without resampling or drawing."""

import json
import re
import shlex
from pathlib import Path
from unittest.mock import MagicMock

from fearlib.ranking import estimate, figures, tables
from fearlib.ranking import statistics as ranking
from fearlib.report import forest, measuring

ROOT = Path(__file__).parents[1]
FOLDERS = ("tables", "figures")
FEW = {"orders": 2, "ratios": [2.0], "measures": ["params"]}  # of the searches


def analyses():
    """The notebooks of the Makefile's list, each with the folder and the method given to it, if any."""
    listed = re.search(r"^ANALYSES := (.*)$", (ROOT / "Makefile").read_text().replace("\\\n", " "), re.M)[1]
    return [shlex.split(analysis) for analysis in shlex.split(listed)]


def execute(notebook, **parameters):
    namespace = {"display": lambda _: None}
    for cell in json.loads((ROOT / "analysis" / f"{notebook}.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace |= {name: value for name, value in parameters.items() if name in namespace}


def test_every_committed_table_and_figure_is_made_again(tmp_path, monkeypatch):
    def save_figure(_, path):
        path.parent.mkdir(exist_ok=True)
        for suffix in (".png", ".pdf"):
            path.with_suffix(suffix).touch()

    for module in (ranking, estimate):
        monkeypatch.setattr(module, "bootstrap_interval", lambda *_, **__: (0.0, 0.0))
    for module in (ranking, tables):
        monkeypatch.setattr(module, "spearman", lambda *_: 0.0)
    for name, function in vars(figures).copy().items():
        if getattr(function, "__module__", "") == figures.__name__:
            monkeypatch.setattr(figures, name, save_figure if name == "save_figure" else MagicMock())
    monkeypatch.setattr(measuring, "measure_claims", lambda *_: [])
    monkeypatch.setattr(forest, "paper_beside_ours", MagicMock())
    monkeypatch.chdir(ROOT / "analysis")
    for notebook, *given in analyses():
        given = dict(zip(("results", "reference"), given))
        if given:
            given["results"] = f"../results/{given['results']}"
        execute(notebook, output=str(tmp_path), **FEW, **given)
    made, committed = (
        {str(path.relative_to(root)) for folder in FOLDERS for path in (root / folder).iterdir()}
        for root in (tmp_path, ROOT / "results")
    )
    assert made == committed
