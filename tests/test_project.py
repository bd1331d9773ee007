"""The repository itself: pinned environments agree, and importing the library needs little."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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
    assert {name: frozen[name] for name in pins} == pins


def test_import_needs_only_the_four_packages():
    """In an interpreter where nothing else that is third-party can be imported."""
    script = """
import sys
for name in ("nats_bench", "pooch", "pyarrow", "tqdm", "typer", "seaborn", "matplotlib", "tabulate", "papermill",
             "dask", "distributed", "IPython", "hypothesis", "pytest"):
    sys.modules[name] = None
import fearlib
network = fearlib.build_network(fearlib.Architecture.from_index(0), 10)
print(network.num_parameters)
try:
    fearlib.load_dataset("synthetic", resolution=16, train_images=10)
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


@pytest.mark.parametrize("name", ["fearlib", "notebooks", "analysis", "results", "tests"])
def test_top_level_folders(name):
    assert (ROOT / name).is_dir()
