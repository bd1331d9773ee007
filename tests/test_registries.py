"""What may be added to the library's measures, methods, datasets and search spaces, and what may not."""

import functools
import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fearlib import DATASETS, MEASURES, METHODS, InputError, Score
from fearlib.plugin import Registry
from fearlib.scores.registry import FIFTEEN, LATER, Measure, measure
from fearlib.spaces.registry import SPACES, Space
from fearlib.sweeps.methods import Method


def mine(*_):
    return 1.0


ENTRIES = {
    "a measure": (MEASURES, Measure(mine, 1), "snip"),
    "a method": (METHODS, Method("mine", lambda given: Score(1.0, "ok", ())), "full"),
    "a dataset": (DATASETS, mine, "cifar10"),
    "a search space": (SPACES, Space(list, mine, mine), "darts"),
}


@pytest.mark.parametrize("what", ENTRIES)
def test_a_name_that_is_taken_is_refused(what, monkeypatch):
    registry, entry, taken = ENTRIES[what]
    before = dict(registry)
    for add in (registry.__setitem__, lambda name, entry: registry.update({name: entry})):
        with pytest.raises(InputError, match=f"^there is {what} '{taken}' already: choose another name.$"):
            add(taken, entry)
    for wrong in ("", "a(b)", "a,b", "a b", None):
        with pytest.raises(InputError, match=f"^{what} cannot be called"):
            registry[wrong] = entry
    with pytest.raises(InputError, match=f"^{what} must be a "):
        registry["new"] = 3
    assert dict(registry) == before
    monkeypatch.setitem(registry, "new", entry)
    registry["new"] = entry
    assert list(registry) == [*before, "new"]


def test_a_librarys_own_measures_are_known_before_they_are_imported():
    """In the order in which their module adds them; a user's may not take their place."""
    script = """
import sys
from fearlib.errors import InputError
from fearlib.scores.registry import MEASURES, Measure
names = list(MEASURES)
try:
    MEASURES["snip"] = Measure(len, 1)
except InputError as error:
    print(error)
MEASURES["mine"] = Measure(len, 1)
assert "torch" not in sys.modules
assert MEASURES["snip"].function.__name__ == "snip" and "torch" in sys.modules
assert list(MEASURES) == [*names, "mine"]
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0 and "there is a measure 'snip' already" in run.stdout, run.stderr
    written = (Path(__file__).parents[1] / "fearlib" / "scores" / "measures.py").read_text()
    assert tuple(re.findall(r"^@measure\(.*\)\ndef (\w+)", written, re.M)) == FIFTEEN + LATER == tuple(MEASURES)


def test_measures_and_methods_share_their_column_and_so_their_names():
    with pytest.raises(InputError, match="there is a method 'full' already"):
        MEASURES["full"] = Measure(mine, 1)
    with pytest.raises(InputError, match="there is a measure 'snip' already"):
        METHODS["snip"] = ENTRIES["a method"][1]
    with pytest.raises(InputError, match="a measure cannot be called '<lambda>'"):
        measure(passes=1)(lambda batch: 1.0)


def test_a_file_that_runs_again_replaces_what_it_added(tmp_path, registries, monkeypatch):
    """As a script that is its own plugin, or that a worker imports: under another name."""

    def run(path, module):
        spec = importlib.util.spec_from_file_location(module, path)
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, module, loaded)
        spec.loader.exec_module(loaded)
        return loaded.load

    for name in ("one", "other"):
        (tmp_path / f"{name}.py").write_text(
            "from fearlib import DATASETS\ndef load(*sizes): pass\nDATASETS['stripes'] = load\n"
        )
    for module in ("script", "plugin"):
        load = run(tmp_path / "one.py", module)
        assert DATASETS["stripes"] is load
    with pytest.raises(InputError, match="there is a dataset 'stripes' already"):
        run(tmp_path / "other.py", "another")


def test_the_library_s_own_entries_cannot_be_replaced():
    for registry, name, entry in (
        (METHODS, "degradation", METHODS["degradation_constant"]),
        (METHODS, "full", replace(METHODS["full"], seed_shift=0)),
        (SPACES, "nats-tss", replace(SPACES["nats-tss"], build=len)),
        (DATASETS, "cifar10", DATASETS["cifar100"]),
    ):
        before = registry[name]
        with pytest.raises(InputError, match="already"):
            registry[name] = entry
        registry[name] = before  # itself again is nothing new
        assert registry[name] is before


@pytest.mark.parametrize("name", ["vote", "az_nas"])
@pytest.mark.parametrize("registry, entry", [(MEASURES, MEASURES["snip"]), (METHODS, METHODS["fear"])])
def test_the_names_of_combinations_are_taken(registry, entry, name):
    """Or the funnel would take the combination in the place of a user's measure."""
    with pytest.raises(InputError, match=f"'{name}' has a meaning of its own already"):
        registry[name] = entry


def test_different_lambdas_and_partials_are_different_entries():
    registry = Registry("thing", object)
    registry["one"] = lambda: 1
    with pytest.raises(InputError, match="already"):
        registry["one"] = lambda: 2
    registry["two"] = functools.partial(int, base=2)
    registry["two"] = functools.partial(int, base=2)
    with pytest.raises(InputError, match="already"):
        registry["two"] = functools.partial(int, base=3)


@pytest.mark.parametrize("name", ["42", "null", "NaN", "none", "1e5", "true", "", "a b", "a,b", None])
def test_a_name_that_a_table_would_not_give_back_is_refused(name):
    with pytest.raises(InputError, match="cannot be called"):
        Registry("thing", object)[name] = 1
