"""What a comparison may rest on, of a sweep that is under way or was cut short."""

import itertools
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fearlib import InputError, preset
from fearlib.ranking import finished
from fearlib.ranking.finished import (
    comparable_methods,
    finished_architectures,
    finished_rows,
    methods_of,
    preset_method,
)
from fearlib.sweeps.journal import append_to_journal
from fearlib.sweeps.presets import as_dict
from fearlib.sweeps.rows import write_tables

ROWS = pd.DataFrame(
    {
        "index": [4, 4, 2, 9],
        "method": ["fear(threshold=0.3,stage2_epochs=2)", "fear(stage2_epochs=2)", "snip", "full"],
    }
)
FEAR, SHORT, LONG = "fear(stage2_epochs=24)", "shortreg(epochs=16)", "shortreg(epochs=50)"


def record(index, method, seed=0, outcome="ok"):
    """Of a trial that has finished; `zero_cost` has a row a measure."""
    names = ["snip", "synflow"] if method == "zero_cost" else [method]
    rows = [{"method": name, "score": 0.5, "seconds": 1.0, "macs": 1, "outcome": outcome} for name in names]
    trial = {"index": index, "method": method, "seed": seed}
    return {"trial": trial, "test_accuracy": 1, "rows": rows, "curve": []}


@pytest.fixture
def sweep(tmp_path):
    """A sweep's folder from pairs of an architecture and a method, in the order in which they finished."""

    def made(trials):
        settings = as_dict(preset("smoke", "synthetic"))
        configuration = {"space": "nats-tss", "dataset": "synthetic", "settings": settings}
        manifest = {"configuration": configuration, "sittings": []}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        for index, method in trials:
            append_to_journal(tmp_path, record(index, method))
        write_tables(tmp_path)
        return tmp_path

    return made


def test_finished_architectures_end_before_the_first_that_is_not(sweep):
    folder = sweep([(5, "a"), (3, "a"), (5, "b"), (9, "a"), (9, "b"), (3, "c"), (5, "c"), (9, "c")])
    assert finished_architectures(folder, "abc") == [5] and finished_architectures(folder, "ac") == [5, 3, 9]
    assert set(finished_rows(folder, "abc")["index"]) == {5}


def test_one_seed_finishes_an_architecture_and_so_does_a_failure(sweep):
    folder = sweep([(5, "a"), (3, "a")])
    for index, seed, outcome in ((7, 0, "failed: no memory"), (5, 1, "ok")):
        append_to_journal(folder, record(index, "a", seed, outcome))
    assert finished_architectures(folder, "a") == [5, 3, 7]


def test_a_row_of_any_name_is_of_no_known_kind():
    rows = pd.DataFrame({"index": 4, "method": ["depth(raw)", "fear", "fear(stage2_epochs=2)"]})
    assert methods_of(rows, "fear") == ["fear", "fear(stage2_epochs=2)"] and methods_of(rows, "depth") == []


def test_a_method_is_a_label_or_else_all_settings_of_a_name(sweep):
    """An architecture is not passed over that only a half-run method has reached: it may be a slow one."""
    folder = sweep([(5, "a(x=1)"), (5, "b"), (5, "c"), (3, "b"), (3, "a(x=1)"), (9, "c"), (5, "c(x=1)")])
    expected = {("a(x=1)", "b"): [5, 3], ("a",): [5, 3], ("b",): [5, 3], ("c",): [5], ("b", "c"): [5]}
    assert {methods: finished_architectures(folder, methods) for methods in expected} == expected
    assert set(finished_rows(folder, ["c"]).method) == {"c"}  # not c(x=1), which has a label of its own
    append_to_journal(folder, record(7, "a(x=2)"))
    assert finished_architectures(folder, ["a"]) == [] and finished_architectures(folder, ["a(x=1)"]) == [5, 3]
    with pytest.raises(InputError, match=r"no trials of 'fear': the methods of its journal are a\(x=1\), a\(x"):
        finished_rows(folder, ["a", "fear"])


def test_a_half_run_method_shortens_those_comparisons_alone_that_name_it(sweep):
    """Short training of 50 epochs on three of twenty architectures."""
    whole = list(itertools.product(range(20), (FEAR, SHORT, "zero_cost")))
    folder = sweep([*whole, *((index, LONG) for index in range(3))])
    for methods in (None, [FEAR, SHORT], [FEAR, "zero_cost"], ["fear"]):
        assert set(finished_rows(folder, methods)["index"]) == set(range(20))
    assert set(finished_rows(folder).method) == {FEAR, SHORT, "snip", "synflow"}
    assert set(finished_rows(folder, ["zero_cost"]).method) == {"snip", "synflow"}
    for methods in ([FEAR, LONG], ["shortreg"]):
        assert set(finished_rows(folder, methods)["index"]) == {0, 1, 2}


def test_comparable_methods_have_a_fear_among_them(sweep):
    folder = sweep([*((index, SHORT) for index in range(9)), (0, FEAR), (1, FEAR), (0, "fear(threshold=0.3)")])
    assert comparable_methods(folder) == [FEAR, SHORT] and comparable_methods(folder, "shortreg") == [SHORT]
    assert comparable_methods(folder, "full") == [] and set(finished_rows(folder)["index"]) == {0, 1}


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcd")), min_size=1, max_size=20))
def test_no_other_methods_make_a_larger_comparison(trials):
    """Against all sets of methods; without FEAR, whose place is held above."""
    records = [record(*trial) for trial in trials]
    methods = {method for _, method in trials}

    def size(chosen):
        done = itertools.takewhile(lambda index: all((index, method) in trials for method in chosen), dict(trials))
        return len(chosen) * len(list(done))

    sets = (chosen for k in range(1, 5) for chosen in itertools.combinations(sorted(methods), k))
    assert size(finished._comparable(records)) == max(map(size, sets))


def test_rows_without_a_journal_are_refused(sweep):
    folder = sweep([(5, "b")])
    for path in folder.glob("journal*"):
        path.unlink()
    with pytest.raises(InputError, match="has rows.csv.gz but no journal"):
        finished_rows(folder)


def test_methods_are_told_apart_by_their_names():
    assert methods_of(ROWS, "fear") == ["fear(stage2_epochs=2)", "fear(threshold=0.3,stage2_epochs=2)"]
    assert methods_of(ROWS.assign(method="fearless(epochs=2)"), "fear") == []
    assert methods_of(ROWS, "full", "snip") == ["full", "snip"]


def test_the_preset_has_the_shortest_label():
    assert preset_method(ROWS) == "fear(stage2_epochs=2)"
    assert preset_method(ROWS, "full") == "full"
    with pytest.raises(InputError, match="no rows of fear: the methods are full, snip"):
        preset_method(ROWS[2:])


def test_of_several_lengths_the_presets_own_is_its_method():
    labels = ["fear(stage2_epochs=6)", "fear(stage2_epochs=24)", "fear(stage2_epochs=24,threshold=0.3)"]
    rows = pd.DataFrame({"method": labels, "preset": "compact(train_images=10000)", "dataset": "cifar10"})
    assert preset_method(rows) == "fear(stage2_epochs=24)"
    assert preset_method(rows.assign(preset="of another kind")) == labels[0]  # the shortest
    assert preset_method(rows[rows.method != labels[1]]) == labels[2]
