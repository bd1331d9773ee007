"""`make reproduce` makes every committed table and figure: its notebooks, without resampling or drawing.

What does not rest on random orders, halves or resamples has the same values.

The notebooks read each journal once.
"""

import json
import re
import shlex
import subprocess
from pathlib import Path
from unittest.mock import MagicMock, create_autospec

import pandas as pd
import pytest
import yaml

from fearlib import figures
from fearlib.ranking import bootstrap, estimate
from fearlib.ranking.finished import finished_architectures
from fearlib.report import forest, measuring
from fearlib.report.captioned import read_captions
from fearlib.sweeps import journal
from fearlib.sweeps.journal import read_journal

ROOT = Path(__file__).parents[1]
FOLDERS = ("tables", "figures")
# Tables of what was drawn at random, and columns with intervals in them or what follows from these.
RANDOM = ("_search.csv", "t3.csv", "held_out.csv", "carried.csv", "choosing.csv")
OF_INTERVALS = re.compile(r"(^| )low$|(^| )high$|^verdict$|^since$")
FEW = {"orders": 2, "resamples": 2, "halvings": 2, "ratios": [4.0], "measures": ["params"]}  # of searches


def analyses():
    """The notebooks of the Makefile's list, each with the parameters given to it."""
    listed = re.search(r"^ANALYSES := (.*)$", (ROOT / "Makefile").read_text().replace("\\\n", " "), re.M)[1]
    for analysis in shlex.split(listed):
        notebook, *names = shlex.split(analysis)
        yield notebook, comparison(*names) if names else {}


def comparison(name):
    return yaml.safe_load((ROOT / "analysis" / "comparisons" / f"{name}.yaml").read_text())


def execute(notebook, **parameters):
    namespace = {"display": lambda _: None}
    for cell in json.loads((ROOT / "analysis" / f"{notebook}.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace |= {name: value for name, value in parameters.items() if name in namespace}


def takes_what(draws):
    """In place of a figure's function, one that takes the same arguments."""
    return create_autospec(draws, return_value=MagicMock())


def test_every_committed_table_and_figure_is_made_again(tmp_path, monkeypatch):
    def save_figure(_, path):
        path.parent.mkdir(exist_ok=True)
        for suffix in (".png", ".pdf"):
            path.with_suffix(suffix).touch()

    read, known = journal.read_journal_on, {}

    def read_once(folder, position=journal.START, curves=True):
        key = Path(folder).resolve(), position, curves
        if key not in known:
            known[key] = read(folder, position, curves)
        return known[key]

    monkeypatch.setattr(journal, "read_journal_on", read_once)
    for module in (bootstrap, estimate):
        monkeypatch.setattr(module, "bootstrap_interval", lambda *_, **__: (0.0, 0.0))
    for name in figures.__all__:
        draws = save_figure if name == "save_figure" else takes_what(getattr(figures, name))
        monkeypatch.setattr(figures, name, draws)
    monkeypatch.setattr(measuring, "measure_claims", lambda *_: [])
    monkeypatch.setattr(forest, "paper_beside_ours", MagicMock())
    monkeypatch.chdir(ROOT / "analysis")
    for notebook, given in analyses():
        execute(notebook, output=str(tmp_path), **FEW, **given)
    made, committed = (
        {str(path.relative_to(root)) for folder in FOLDERS for path in (root / folder).iterdir()}
        for root in (tmp_path, ROOT / "results")
    )
    assert made == committed
    compared = [path for path in (tmp_path / "tables").glob("*.csv") if not path.name.endswith(RANDOM)]
    assert len(compared) > 50
    for path in compared:
        again, before = (
            without_intervals(folder / path.name) for folder in (path.parent, ROOT / "results/tables")
        )
        pd.testing.assert_frame_equal(again, before, rtol=1e-4, atol=1e-9, obj=path.name)


def without_intervals(path):
    table = pd.read_csv(path)
    table = table[[name for name in table if not OF_INTERVALS.search(name)]]
    return table.replace(r" \([-\w.]+\.\.[-\w.]+\)", "", regex=True)


COMPARISONS = sorted(path.stem for path in (ROOT / "analysis" / "comparisons").iterdir())


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_is_used_under_its_name_and_takes_parameters_that_its_notebooks_have(name):
    given = comparison(name)
    results = given.get("results", given.get("reference"))
    results = results if isinstance(results, str) else results[0]
    assert given.get("name", Path(results).name) == name
    notebooks = [notebook for notebook, parameters in analyses() if parameters == given]
    assert notebooks
    for notebook in notebooks:
        cells = json.loads((ROOT / "analysis" / f"{notebook}.ipynb").read_text())["cells"]
        (source,) = ("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))
        assert given.keys() <= {line.split(" = ")[0] for line in source.splitlines()}


def test_captions_name_the_comparison_by_which_the_makefile_makes_them():
    for (_, name), said in read_captions(ROOT / "results").items():
        found = re.fullmatch(r"-f analysis/comparisons/([\w-]+)\.yaml", said["parameters"])
        assert not found or name.startswith(found[1])
        if said["notebook"].startswith("analysis/"):
            given = comparison(found[1]) if found else {}
            assert (Path(said["notebook"]).stem, given) in list(analyses()), name


def test_committed_comparisons_stay_as_they_are_beside_a_half_run_method(tmp_path):
    """Short training of 30 epochs on three architectures: a comparison that names it has these alone."""
    folder, longer = ROOT / "results" / "cifar10_compact", "shortreg(epochs=30)"
    records = [record | {"curve": []} for record in read_journal(folder)]
    done = [record for record in records if record["trial"]["method"] == "shortreg(epochs=16)"][:3]
    for record in records + [each | {"trial": each["trial"] | {"method": longer}} for each in done]:
        (tmp_path / "journal.jsonl").open("a").write(json.dumps(record) + "\n")
    for name, architectures in (("cifar10_compact", 100), ("cifar10_compact_more_architectures", 164)):
        methods = comparison(name)["methods"]
        finished = finished_architectures(tmp_path, methods)
        assert finished == finished_architectures(folder, methods) and len(finished) == architectures
    assert len(finished_architectures(tmp_path)) == 100
    assert finished_architectures(tmp_path, [*methods, longer]) == [each["trial"]["index"] for each in done]


def test_make_removes_what_it_made_and_nothing_else():
    """The notebooks' own outputs, and the sweeps of docs/commands.md, lie beside it in build/."""
    said = subprocess.run(
        ["make", "-n", "clean", "reproduce"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    removed = " ".join(re.findall(r"rm -rf ([^&\n]*)", said.stdout)).split()
    assert set(removed) == {".venv", "build/reproduce"}
    assert said.stdout.count("-p output ../build/reproduce/") == 1  # in the loop over the three notebooks
