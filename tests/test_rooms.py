"""The rooms of the library: what lies where, and that imports run one way only."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "fearlib"
# From the ground up; a module imports what stands before it, or is in its own room.
ORDER = (
    "errors", "randomness", "files", "plugin", "spaces", "data", "training", "scores", "sweeps", "benchmark",
    "ranking", "figures", "search", "funnel", "parameters", "exhibits", "explorer", "report", "cli",
)  # fmt: skip
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"
)


def room_of(module):
    return module.parts[0]


def imported(path):
    """The library's rooms that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fearlib":
            yield from [node.module.split(".")[1]] if "." in node.module else [each.name for each in node.names]
        elif isinstance(node, ast.Import):
            yield from (each.name.split(".")[1] for each in node.names if each.name.startswith("fearlib."))


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_run_one_way(module):
    place = ORDER.index(room_of(module))
    path = ROOT / module.with_suffix(".py")
    assert not [room for room in imported(path) if room != room_of(module) and ORDER.index(room) >= place]


def test_at_most_six_modules_lie_at_the_top():
    assert len(list(ROOT.glob("*.py"))) <= 1 + 6


@pytest.mark.parametrize("room", sorted(path.parent.name for path in ROOT.glob("*/__init__.py")))
def test_a_room_says_what_goes_in_and_out_and_what_it_imports(room):
    said = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text()))
    assert said and all(word in said for word in ("In:", "Out:", "Imports")) and len(said.splitlines()) <= 8
    named = set(re.findall(r"[a-z]+", said.partition("Imports")[2].partition(".")[0])) & set(ORDER)
    rooms = {each for path in (ROOT / room).glob("*.py") for each in imported(path)} - {room}
    if "rooms below it" in said:
        assert named == {max(rooms, key=ORDER.index)}
    elif "every room" not in said:
        assert named - {"errors"} == rooms - {"errors"}
