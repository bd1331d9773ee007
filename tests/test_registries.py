"""What may be added to the library's measures, methods, datasets and search spaces, and what may not."""

import importlib.util
import sys

import pytest

from fearlib import DATASETS, MEASURES, METHODS, InputError, Score
from fearlib.scores.measures import Measure, measure
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


def test_measures_and_methods_share_their_column_and_so_their_names():
    with pytest.raises(InputError, match="there is a method 'full' already"):
        MEASURES["full"] = Measure(mine, 1)
    with pytest.raises(InputError, match="there is a measure 'snip' already"):
        METHODS["snip"] = ENTRIES["a method"][1]
    with pytest.raises(InputError, match="a measure cannot be called '<lambda>'"):
        measure(passes=1)(lambda batch: 1.0)


def test_a_file_that_runs_again_replaces_what_it_added(tmp_path, monkeypatch):
    """As a script that is its own plugin, or that a worker imports: under another name."""
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS))

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
