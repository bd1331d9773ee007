"""The repository itself: pinned environments agree, and importing the library needs little."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "results/README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def pins_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [
        *project["dependencies"],
        *(pin for extra in project["optional-dependencies"].values() for pin in extra),
    ]
    return dict(pin.split("==") for pin in listed), project["requires-python"]


def test_conda_and_pip_name_the_same_versions():
    pins, python = pins_of_pyproject()
    text = (ROOT / "environment.yml").read_text()
    conda = dict(re.findall(r"^\s+- ([\w-]+)==?([\w.]+)$", text, re.MULTILINE))
    conda["torch"] = conda.pop("pytorch")
    assert conda == pins
    assert f"- python{python}" in text


def test_constraints_hold_every_pin():
    pins, _ = pins_of_pyproject()
    text = (ROOT / "constraints.txt").read_text()
    frozen = {
        name.lower().replace("-", "_"): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.M)
    }
    assert {name: frozen[name.replace("-", "_")] for name in pins} == pins


def test_import_needs_only_the_four_packages():
    """In an interpreter where nothing else that is third-party can be imported."""
    script = """
import sys
for name in ("nats_bench", "pooch", "pyarrow", "tqdm", "typer", "seaborn", "matplotlib", "tabulate", "papermill",
             "dask", "distributed", "IPython", "hypothesis", "pytest", "jinja2", "PIL", "playwright"):
    sys.modules[name] = None
import fearlib
network = fearlib.build_network(fearlib.Architecture.from_index(0), 10)
print(network.num_parameters)
try:
    fearlib.load_dataset("synthetic", resolution=16, train_images=100)
except ImportError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={"HOME": "/nonexistent"}
    )
    assert run.returncode == 0, run.stderr
    count, message = run.stdout.splitlines()
    assert int(count) > 0
    assert "pooch is needed to" in message and "pip install 'fearlib[suite]'" in message


def test_the_measured_table_is_shown():
    """Character for character what the analysis writes, which is what the rows give."""
    from fearlib import ranking_table, read_rows
    from fearlib.tables import format_ranking

    readme = (ROOT / "results" / "README.md").read_text()
    shown = readme.split("<!-- ranking -->")[1].split("<!-- /ranking -->")[0].strip()
    written = (ROOT / "results" / "tables" / "cifar10_compact.md").read_text().strip()
    assert shown == written
    rows = read_rows(ROOT / "results" / "cifar10_compact")
    assert written == format_ranking(ranking_table(rows)).strip()


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "results").glob("*/rows.csv")), ids=lambda path: path.parent.name
)
def test_committed_results_follow_from_their_journal(folder, tmp_path):
    """Rows and curves are the journal's, and the code that made them was committed."""
    from fearlib.tables import write_tables

    folder = folder.parent
    for name in ("journal.jsonl", "manifest.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_tables(tmp_path)
    for name in ("rows.csv", "curves.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert not any("+changes" in sitting["commit"] for sitting in manifest["sittings"])


def test_readme_opens_with_the_ledger_and_takes_two_screens():
    readme, claims = ((ROOT / path).read_text() for path in ("README.md", "results/claims.md"))
    shown = readme.split("<!-- ledger -->")[1].split("<!-- /ledger -->")[0].strip()
    assert claims.split("\n\n")[2].strip() == shown and len(readme.splitlines()) <= 80


def test_every_module_is_in_the_list():
    listed = re.findall(r"`(\w+)(?:\.py|/)`", (ROOT / "docs" / "code.md").read_text())
    modules = {path.stem for path in (ROOT / "fearlib").glob("*.py")} - {"__init__", "cli", "errors"}
    assert modules <= set(listed)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_named_files_exist(document):
    """Relative links, and the folders and files that results/README.md names in code."""
    text = (ROOT / document).read_text()
    named = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    if document == "results/README.md":
        named += re.findall(r"`((?:tables|figures|published_gap)/[\w./*]+)`", text)
        named += re.findall(r"^\| `(\w+)` \|", text.split("\n## ")[0], re.MULTILINE)
    for name in named:
        assert list((ROOT / document).parent.glob(name)) or ((ROOT / document).parent / name).exists(), name
