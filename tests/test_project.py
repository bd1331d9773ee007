"""The repository itself: its environments agree, it installs elsewhere, and importing it needs little."""

import gzip
import importlib
import json
import re
import shutil
import site
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fearlib

ROOT = Path(__file__).parents[1]
FINDINGS = sorted(f"results/findings/{path.name}" for path in (ROOT / "results" / "findings").glob("*.md"))
DOCUMENTS = [
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "results/README.md", *FINDINGS,
    *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]  # fmt: skip
LONGEST = {"README.md": 600, "results/README.md": 1500} | dict.fromkeys(FINDINGS, 500)  # words outside tables


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements():
    extras = project()["optional-dependencies"].values()
    listed = map(Requirement, [*project()["dependencies"], *(text for extra in extras for text in extra)])
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in listed}


def constraints():
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def test_the_constraints_lie_in_the_projects_ranges():
    """A range has a lower end, and no exact version; what fearlib itself imports has an upper end, too."""
    pins = constraints()
    for name, specifier in requirements().items():
        operators = {part.operator for part in specifier}
        assert operators == ({">=", "<"} if name in ("torch", "numpy", "pandas", "scipy") else {">="}), name
        assert specifier.contains(pins[name]), name


def test_conda_has_the_versions_of_the_constraints():
    text = (ROOT / "environment.yml").read_text()
    conda = dict(re.findall(r"^\s+- ([\w-]+)==?([\w.]+)$", text, re.MULTILINE))
    conda["torch"] = conda.pop("pytorch")
    pins = constraints()
    assert {canonicalize_name(name): pin for name, pin in conda.items()} == {
        name: pins[name] for name in requirements()
    }
    assert f"- python{project()['requires-python']}" in text


def test_one_version():
    """The citation and the changelog name the version of the code, which is the wheel's (below)."""
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == fearlib.__version__
    assert re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == fearlib.__version__


IMPORT_ALL = """
import importlib, importlib.metadata, pkgutil
import fearlib
names = ["fearlib", *(module.name for module in pkgutil.walk_packages(fearlib.__path__, "fearlib."))]
for name in names:
    print(importlib.import_module(name).__file__)
assert importlib.metadata.version("fearlib") == fearlib.__version__
print(fearlib.__version__)
"""


def test_the_wheel_works_elsewhere(tmp_path):
    """Built from a copy, installed in a new environment that sees the other packages: nothing is lacking."""
    source, environment = tmp_path / "source", tmp_path / "environment"
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fearlib", source / "fearlib", ignore=caches)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], check=True, cwd=source, stdout=subprocess.DEVNULL)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(environment)
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", environment / "bin/python"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))  # their own .pth files are not read

    installed = packages / "fearlib"
    written = {path.relative_to(source / "fearlib") for path in (source / "fearlib").rglob("*") if path.is_file()}
    assert written <= {path.relative_to(installed) for path in installed.rglob("*")}
    python = [environment / "bin/python", "-I", "-c", IMPORT_ALL]  # -I: not the checkout, whatever PYTHONPATH says
    run = subprocess.run(python, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    *files, version = run.stdout.splitlines()
    modules = {installed / path for path in written if path.suffix == ".py"}
    assert set(map(Path, files)) == modules and version == fearlib.__version__
    assert (environment / "bin/fear").exists()


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


def test_names_are_imported_when_they_are_asked_for():
    """What `import fearlib` promises is there, is shown by dir, and is what its module holds."""
    script = """
import sys
import fearlib
assert not {"torch", "numpy", "pandas", "scipy"} & sys.modules.keys()
assert set(fearlib.__all__) <= set(dir(fearlib)) and not hasattr(fearlib, "torch")
assert fearlib.spearman([1, 2, 3], [4, 5, 7]) > 0.99 and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    stub = (ROOT / "fearlib" / "__init__.pyi").read_text()
    promised = re.findall(r"^from (\S+) import (\w+) as (\w+)$", stub, re.M)
    assert sorted(fearlib.__all__) == sorted(name for *_, name in promised) and "zero_cost" in fearlib.__all__
    for module, there, name in promised:
        assert there == name and getattr(fearlib, name) is getattr(importlib.import_module(module), name)
    exec("from fearlib import *", everything := {})
    assert everything.keys() >= set(fearlib.__all__)


def test_the_measured_table_is_shown():
    """Character for character what the analysis writes, which is what the rows of its comparison give."""
    from fearlib import ranking_table
    from fearlib.ranking.finished import finished_rows
    from fearlib.ranking.tables import format_ranking

    page = (ROOT / "results" / "findings" / "c1.md").read_text()
    shown = page.split("<!-- ranking -->")[1].split("<!-- /ranking -->")[0].strip()
    written = (ROOT / "results" / "tables" / "cifar10_compact.md").read_text().strip()
    assert shown == written
    methods = yaml.safe_load((ROOT / "analysis" / "comparisons" / "cifar10_compact.yaml").read_text())["methods"]
    rows = finished_rows(ROOT / "results" / "cifar10_compact", methods)
    assert written == format_ranking(ranking_table(rows)).strip()


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "results").glob("**/rows.csv.gz")), ids=lambda path: path.parent.name
)
def test_committed_results_follow_from_their_journal(folder, tmp_path):
    """Rows are the journal's, which is all that lies beside them, and the code that made them was committed."""
    from fearlib.sweeps.rows import write_tables

    folder = folder.parent
    names = {"journal.jsonl.gz", "manifest.json"}
    for name in names:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_tables(tmp_path)
    made, committed = (gzip.decompress((each / "rows.csv.gz").read_bytes()) for each in (tmp_path, folder))
    assert made == committed
    beside = {path.name for path in folder.iterdir()} - {"accuracies.csv", ".lock"}  # which a merge leaves
    assert beside == names | {"rows.csv.gz"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert not any("+changes" in sitting["commit"] for sitting in manifest["sittings"])


def test_readme_opens_with_the_figure_and_takes_two_screens():
    """Of prose no line holds more than two numbers; a linked one is one, with its interval."""
    readme = re.sub(r"^\[[^\]]+\]: <.+>\n", "", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert "results/figures/paper_beside_ours.png" in readme.split("\n## ")[0] and len(readme.splitlines()) <= 75
    prose = re.sub(r"```.*?```|^\|.*?$|\]\(.*?\)", "", readme, flags=re.DOTALL | re.MULTILINE)
    for line in re.sub(r"\[\d.*?\]\[.*?\]", "0", prose).splitlines():
        assert len(re.findall(r"(?<![\w-])\d[\d.,x]*", line)) <= 2, line


def test_every_page_of_documentation_is_in_the_list():
    listed = (ROOT / "docs" / "README.md").read_text()
    assert all(f"]({path.name})" in listed for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")


@pytest.mark.parametrize("document", LONGEST)
def test_texts_are_short(document):
    """Tables and the definitions of links aside; and no line of a finding has more than three numbers."""
    prose = re.sub(r"^(?:\|.*\||\[[^\]]+\]: <.+>)$", "", (ROOT / document).read_text(), flags=re.MULTILINE)
    assert len(prose.split()) <= LONGEST[document]
    if document in FINDINGS:
        assert not [line for line in prose.splitlines() if len(re.findall(r"\[[+-]?\d[^]]*\]\[", line)) > 3]


def test_every_finding_is_in_the_index_and_beside_its_command():
    """The page of an exhibit of the paper names it in its title; the others are ours."""
    index, reproduce = ((ROOT / path).read_text() for path in ("results/README.md", "docs/reproduce.md"))
    for document in FINDINGS:
        title = (ROOT / document).read_text().partition("\n")[0]
        named = re.findall(r"\b[TFC]\d\b", title)
        assert Path(document).stem.upper() in named if named else "(ours, not the paper's)" in title, title
        assert f"({document.removeprefix('results/')})" in index and f"(../{document})" in reproduce, document


def test_every_room_and_module_beside_them_is_in_the_list():
    text = (ROOT / "docs" / "code.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)/` ", text, re.M)) | set(re.findall(r"`(\w+)\.py`", text))
    rooms = {path.parent.name for path in (ROOT / "fearlib").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "fearlib").glob("*.py")} - {"__init__"}
    assert rooms | modules <= listed


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_named_files_exist(document):
    """Relative links, and the folders and files that results/README.md names in code."""
    text = (ROOT / document).read_text()
    named = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    if document == "CONTRIBUTING.md":
        named += re.findall(r"pytest (\S+\.py)", text)
    if document == "results/README.md":
        named += re.findall(r"`((?:tables|figures|published_gap)/[\w./*]+)`", text)
        named += re.findall(r"^\| `(\w+)` \|", text.split("\n## ")[0], re.MULTILINE)
    for name in named:
        assert list((ROOT / document).parent.glob(name)) or ((ROOT / document).parent / name).exists(), name
