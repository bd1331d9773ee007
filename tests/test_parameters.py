"""Every notebook's parameters are checked in the cell that follows them."""

import ast
import json
from pathlib import Path

import pytest

from fearlib import InputError
from fearlib.data.registry import DATASETS
from fearlib.exhibits import run_exhibit
from fearlib.parameters import KINDS, check_parameters

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("notebooks", "analysis")
    for path in ROOT.glob(f"{folder}/*.ipynb")
)
WRONG = {
    "preset": "huge",
    "overrides": ["threshold=0.5"],
    "dataset": "mnist",
    "data_folder": "absent",
    "truth": "absent.csv",
    "measures": ["synflow", "magic"],
    "schedules": [],
    "seed": -1,
    "workers": 0,
    "count": True,
    "architectures": "12",
    "ratio": 0.5,
    "ratios": 2.0,
    "time_budget_minutes": float("nan"),
    "darts_threshold": 60,
    "output": "",
    "neighbours": [0],
    "results": None,
}


def cells_of(notebook):
    """The source of the cell of parameters and of the next."""
    cells = json.loads((ROOT / notebook).read_text())["cells"]
    (place,) = [n for n, cell in enumerate(cells) if "parameters" in cell["metadata"].get("tags", [])]
    return ["".join(cell["source"]) for cell in cells[place : place + 2]]


def names_of(source):
    return [target.id for line in ast.parse(source).body for target in line.targets]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_parameters_of_every_notebook(notebook, monkeypatch):
    """As they are they pass; a wrong value and a wrong name are one sentence that says what is allowed."""
    monkeypatch.chdir((ROOT / notebook).parent)
    parameters, check = cells_of(notebook)
    as_they_are = {}
    exec(parameters, as_they_are)
    as_they_are |= dict.fromkeys({"measured", "rows"} & as_they_are.keys(), ".")  # made by other notebooks
    exec(check, dict(as_they_are))
    for name in names_of(parameters):
        given = as_they_are | {name: WRONG.get(name, object())}
        with pytest.raises(InputError, match=f"parameter {name}=.*: it must be "):
            exec(check, given)
    with pytest.raises(InputError, match="unknown parameter 'presett': the parameters are .*(output|results)"):
        exec(check, as_they_are | {"presett": "compact"})


def test_what_may_be_a_list_says_so():
    folders = {"results": ["a", "b"]}
    check_parameters(dict(folders), "results", lists="results")
    with pytest.raises(InputError, match=r"results=\['a', 'b'\]: it must be text\."):
        check_parameters(dict(folders), "results")
    with pytest.raises(InputError, match=r"it must be text or a list, each text\."):
        check_parameters({"results": []}, "results", lists="results")


def test_a_refusal_names_what_a_users_module_added(monkeypatch):
    monkeypatch.setitem(DATASETS._entries, "stripes", object())
    with pytest.raises(InputError, match="'strpes': it must be one of synthetic, .*, stripes"):
        check_parameters({"dataset": "strpes"}, "dataset")


def test_a_dataset_gets_the_name_under_which_it_is_known():
    namespace = {"dataset": "ImageNet16-120", "preset": "smoke"}
    check_parameters(namespace, "dataset preset")
    assert namespace["dataset"] == "imagenet16-120"


def test_a_seed_of_drawn_architectures_beside_a_list_of_them(tmp_path):
    for given in ({"indices_file": None, "sample_seed": 3}, {"indices_file": str(tmp_path), "sample_seed": 0}):
        check_parameters(given, "indices_file sample_seed")
    with pytest.raises(
        InputError, match="sample_seed is of drawn architectures: leave it out beside indices_file"
    ):
        check_parameters({"indices_file": str(tmp_path), "sample_seed": 3}, "indices_file sample_seed")


def test_overrides_are_settings():
    check_parameters({"overrides": {"threshold": 0.3}}, "overrides")
    with pytest.raises(InputError, match="unknown setting 'space'"):
        check_parameters({"overrides": {"space": "darts"}}, "overrides")
    with pytest.raises(InputError, match="unknown setting 'space'"):
        run_exhibit("T1", "unused", changes={"space": "darts"})


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_papermill_finds_every_parameter(notebook, caplog):
    """It reads one equals sign a line; a parameter that it overlooks it sets with a warning that it is unknown."""
    inspection = pytest.importorskip("papermill.inspection")
    assert list(inspection.inspect_notebook(str(ROOT / notebook))) == names_of(cells_of(notebook)[0])
    assert not caplog.messages


def test_every_kind_is_a_notebooks():
    used = {name for notebook in NOTEBOOKS for name in names_of(cells_of(notebook)[0])}
    assert used == KINDS.keys() and WRONG.keys() <= used
