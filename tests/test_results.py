"""A folder read while it grows must say what the tables of the whole say."""

import json
import shutil
from pathlib import Path

import hypothesis
import pandas as pd
import pytest
from hypothesis import strategies

from fearlib import InputError, preset, read_rows
from fearlib.sweeps.folders import by_name, distinct_names
from fearlib.sweeps.journal import PACKED, append_to_journal, pack_journal, recover_journal
from fearlib.sweeps.meaning import MEANING
from fearlib.sweeps.presets import as_dict
from fearlib.sweeps.reader import Results
from fearlib.sweeps.rows import ROW_COLUMNS, read_curves, write_tables
from fearlib.sweeps.status import sweep_status

COMMITTED = Path(__file__).parents[1] / "results" / "archive" / "former_preset" / "compact_seeds"
CONFIGURATION = {"space": "nats-tss", "dataset": "synthetic", "settings": as_dict(preset("smoke", "synthetic"))}


def trial(index, method="shortreg(epochs=1)", seed=0, score=0.5, failed=False, accuracy=None):
    """A journal's record; of zero_cost two rows, of training a curve of two epochs."""
    names = ["snip", "synflow"] if method == "zero_cost" and not failed else [method]
    number = float("nan") if failed else score
    rows = [
        {
            "method": name,
            "score": number,
            "seconds": 1.5,
            "macs": 10,
            "outcome": "failed: on purpose" if failed else "ok",
        }
        for name in names
    ]
    epoch = {
        "stage": 1,
        "loss": 2.0,
        "train_top1": score,
        "val_top1": score,
        "seconds": 1.0,
        "images": 10,
        "macs": 5,
    }
    curve = [] if failed or method == "zero_cost" else [epoch | {"epoch": 1.0}, epoch | {"epoch": 2.0}]
    return {
        "trial": {"index": index, "method": method, "seed": seed},
        "test_accuracy": float("nan") if accuracy is None else accuracy,
        "rows": rows,
        "curve": curve,
    }


def make(folder, records):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"configuration": CONFIGURATION, "sittings": []}))
    (folder / "journal.jsonl").write_bytes(b"".join((json.dumps(record) + "\n").encode() for record in records))
    return folder


def test_an_accuracy_from_outside_may_equal_that_of_the_own_training(tmp_path):
    """At the level of chance it does. It stays, as the others do."""
    make(tmp_path, [trial(0, "full", score=0.1), trial(1, "full", score=0.4), trial(2)])
    assert write_tables(tmp_path).test_accuracy.dropna().to_list() == [10.0, 40.0]
    given = pd.Series({0: 10.0, 1: 80.0, 2: 90.0})
    for truth in (given, None, None):
        rows = write_tables(tmp_path, truth)
        assert rows.groupby("index").test_accuracy.first().to_dict() == given.to_dict()


def ordered(table):
    keys = [key for key in ("method", "seed", "index", "stage", "epoch") if key in table]
    return table.sort_values(keys, ignore_index=True)


def check_whole(results, tmp_path):
    """The rows and curves are those of the tables that the journal so far gives."""
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(results.folder, copy)
    rows = write_tables(copy)
    pd.testing.assert_frame_equal(ordered(results.rows), ordered(rows), check_dtype=False)
    pd.testing.assert_frame_equal(ordered(results.curves()), read_curves(copy), check_dtype=False)


RECORDS = strategies.lists(
    strategies.builds(
        trial,
        index=strategies.integers(0, 4),
        method=strategies.sampled_from(["zero_cost", "shortreg(epochs=1)", "full"]),
        seed=strategies.integers(0, 1),
        score=strategies.floats(0.1, 0.9),
    ),
    unique_by=lambda record: tuple(record["trial"].values()),
    max_size=12,
)


@hypothesis.settings(max_examples=25, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(RECORDS, strategies.lists(strategies.integers(0, 12), max_size=3), strategies.data())
def test_read_on_in_steps_it_says_what_the_whole_says(tmp_path, records, cuts, data):
    """Some trials fail before they succeed, tables are written now and then, curves are asked for at any time."""
    failing = [trial(**record["trial"], failed=True) for record in data.draw(strategies.lists(
        strategies.sampled_from(records), max_size=4))] if records else []  # fmt: skip
    lines = failing + records
    folder = make(tmp_path / "sweep", lines[: min([*cuts, len(lines)])])
    for name in ("rows.csv.gz", PACKED):
        (folder / name).unlink(missing_ok=True)
    if data.draw(strategies.booleans()):
        write_tables(folder)
    results, read = Results(folder), min([*cuts, len(lines)])
    for cut in sorted(min(cut, len(lines)) for cut in [*cuts, len(lines)]):
        for record in lines[read:cut]:
            append_to_journal(folder, record)
        assert results.refresh() == len({tuple(record["trial"].values()) for record in lines[read:cut]})
        read = cut
        if data.draw(strategies.booleans()):  # as where the sweep has ended, and goes on later
            pack_journal(folder)
        if data.draw(strategies.booleans()):
            check_whole(results, tmp_path)
    check_whole(results, tmp_path)


def test_only_what_is_new_is_read(tmp_path, monkeypatch):
    results = Results(make(tmp_path, [trial(index) for index in range(5)]))
    (tmp_path / "journal.jsonl").open("r+b").write(b"#")  # what was read does not matter any more
    append_to_journal(tmp_path, trial(7))
    assert results.refresh() == 1 and results.refresh() == 0
    assert results.rows["index"].tolist() == [0, 1, 2, 3, 4, 7]


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path):
    results = Results(make(tmp_path, [trial(0)]))
    line = (json.dumps(trial(1)) + "\n").encode()
    for part, new in ((line[:20], 0), (line[20:-1], 0), (line[-1:], 1)):
        with (tmp_path / "journal.jsonl").open("ab") as journal:
            journal.write(part)
        assert results.refresh() == new
    check_whole(results, tmp_path / "whole")


def test_a_journal_whose_damaged_lines_were_set_aside_is_read_again(tmp_path):
    folder = make(tmp_path, [trial(0), trial(1)])
    whole = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(b"damaged\n" + whole)
    results = Results(folder)
    assert len(results.curves()) == 4
    with pytest.warns(UserWarning, match="damaged"):
        list(recover_journal(folder))
    append_to_journal(folder, trial(2))
    assert results.refresh() == 3 and results.rows["index"].tolist() == [0, 1, 2]
    assert len(results.curves()) == 6


def test_tables_that_are_older_than_the_journal_are_not_believed(tmp_path):
    """Whatever the files' dates; the accuracy that only they hold is kept."""
    folder = make(tmp_path, [trial(0), trial(1)])
    write_tables(folder, pd.Series({0: 90.0, 1: 80.0}))
    assert Results(folder).rows.test_accuracy.tolist() == [90, 80]
    append_to_journal(folder, trial(1, seed=1))
    (folder / "rows.csv.gz").touch()
    rows = Results(folder).rows
    assert rows["index"].tolist() == [0, 1, 1] and rows.test_accuracy.tolist() == [90, 80, 80]


def test_committed_results_are_read_from_their_tables_or_their_journal_alike(tmp_path):
    shutil.copytree(COMMITTED, tmp_path / "journal", ignore=shutil.ignore_patterns("*.csv"))
    by_table, by_journal = Results(COMMITTED), Results(tmp_path / "journal")
    columns = [*ROW_COLUMNS, *MEANING]
    pd.testing.assert_frame_equal(by_table.rows[columns], read_rows(COMMITTED), check_dtype=False)
    for part in (lambda results: results.rows, lambda results: results.curves()):
        pd.testing.assert_frame_equal(ordered(part(by_table)), ordered(part(by_journal)), check_dtype=False)


def test_a_sweep_that_has_only_begun_is_empty_and_another_folder_is_refused(tmp_path):
    folder = make(tmp_path / "begun", [])
    assert Results(folder).rows.empty and Results(folder).curves().empty
    (tmp_path / "empty").mkdir()
    make(tmp_path / "more", [])
    for other, message in (
        ("empty", "empty holds neither rows.csv.gz nor journal.jsonl"),
        ("absent", "absent does not exist"),
        ("", "holds the sweeps begun, more: name one, as .*/begun"),
    ):
        for read in (Results, sweep_status) if other != "empty" else (Results,):
            with pytest.raises(InputError, match=message):
                read(tmp_path / other)


def test_a_folder_that_goes_away_leaves_what_was_read(tmp_path):
    folder = make(tmp_path / "sweep", [trial(0), trial(1)])
    results = Results(folder)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="is no longer there"):
        results.refresh()
    assert len(results.rows) == 2


def test_two_folders_of_one_name_are_not_taken_for_one(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b" / "a", tmp_path / "c" / "b" / "a", tmp_path / "b" / "d"]
    names = [f"{tmp_path.name}/a", f"{tmp_path.name}/b/a", "c/b/a", "d"]
    assert distinct_names(folders) == names and distinct_names(folders[:1]) == ["a"]
    assert list(by_name([tmp_path / "a", tmp_path / "b"])) == ["a", "b"]
    with pytest.raises(InputError, match="Two folders are named a"):
        by_name([tmp_path / "a", tmp_path / "b" / "a"])
