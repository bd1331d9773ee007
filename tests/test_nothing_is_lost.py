"""What lies in a folder stays there: a user's own files, trials that a file has lost, links and permissions."""

import gzip
import os

import pandas as pd
import pytest

from fearlib import Architecture, InputError, read_rows, run_sweep
from fearlib.files.write import replace_file
from fearlib.sweeps import methods
from fearlib.sweeps.journal import PACKED, append_to_journal
from fearlib.sweeps.merge import merge_sweeps
from fearlib.sweeps.methods import Method
from fearlib.sweeps.rows import CURVE_COLUMNS, ROWS

ARCHITECTURES = [Architecture.from_index(index) for index in (5, 7)]
METHODS = ["zero_cost(measures=params)", "full"]


@pytest.fixture
def sweep(tmp_path, tiny_settings):
    """Two architectures measured and trained, in a folder of their own."""
    run_sweep(tmp_path / "sweep", "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    return tmp_path / "sweep"


def test_a_users_own_files_stay(sweep, tiny_settings, tmp_path):
    """But not what a sweep that was killed has left half written."""
    folder = tmp_path / "mine"
    folder.mkdir()
    own = {"film.mkv.part": b"half", "manifest.json.part": b""}
    own["curves.csv"] = ",".join(CURVE_COLUMNS).encode()  # as of version 0.1
    for name, content in own.items():
        (folder / name).write_bytes(content)
    (folder / "folder.part").mkdir()
    names = ("manifest.json", ROWS, PACKED, "journal.jsonl", ".writer")
    left = [folder / f"{name}.another-machine.123.part" for name in names]
    for path in left:
        path.touch()
    run_sweep(folder, "synthetic", tiny_settings, METHODS[:1], ARCHITECTURES)
    assert not any(path.exists() for path in left)
    merge_sweeps(folder, [sweep])
    assert {name: (folder / name).read_bytes() for name in own} == own and (folder / "folder.part").is_dir()


@pytest.mark.parametrize("kept", [0, 1])
def test_a_journal_that_has_lost_trials_is_refused(sweep, tiny_settings, kept):
    """Rows made from it would lose them too."""
    lines = gzip.decompress((sweep / PACKED).read_bytes()).splitlines(keepends=True)
    (sweep / PACKED).unlink()
    (sweep / "journal.jsonl").write_bytes(b"".join(lines[:kept]))
    before = (sweep / ROWS).read_bytes()
    for again in (
        lambda: run_sweep(sweep, "synthetic", tiny_settings, METHODS, ARCHITECTURES, time_budget=0),
        lambda: merge_sweeps(sweep, [sweep.with_name("other")]),
    ):
        run_sweep(sweep.with_name("other"), "synthetic", tiny_settings, METHODS, ARCHITECTURES)
        with pytest.raises(InputError, match=f"journal lacks {4 - kept} trials that its manifest.json counted"):
            again()
    assert (sweep / ROWS).read_bytes() == before


def test_a_sweep_whose_workers_cannot_be_started_writes_nothing(tmp_path, tiny_settings):
    with pytest.raises(InputError, match="no dask scheduler answers"):
        run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES, scheduler="tcp://127.0.0.1:1")
    assert set(os.listdir(tmp_path)) <= {".lock"}


def test_a_merge_that_was_stopped_goes_on(sweep, tmp_path, monkeypatch):
    appended = []

    def fails_at_the_second(folder, record):
        if appended:
            raise KeyboardInterrupt
        appended.append(record)
        append_to_journal(folder, record)

    monkeypatch.setattr("fearlib.sweeps.merge.append_to_journal", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        merge_sweeps(tmp_path / "whole", [sweep])
    monkeypatch.undo()
    assert merge_sweeps(tmp_path / "whole", [sweep]) == 3
    pd.testing.assert_frame_equal(read_rows(tmp_path / "whole"), read_rows(sweep))


def test_a_damaged_line_that_was_counted_runs_again(sweep, tiny_settings):
    """And the folder is good from then on."""
    lines = gzip.decompress((sweep / PACKED).read_bytes()).splitlines(keepends=True)
    (sweep / PACKED).unlink()
    (sweep / "journal.jsonl").write_bytes(b"".join([lines[0][:20] + b"\n", *lines[1:]]))
    with pytest.warns(UserWarning, match="1 damaged line"):
        rows = run_sweep(sweep, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    assert len(rows) == 4 and not rows.failed.any()
    assert len(run_sweep(sweep, "synthetic", tiny_settings, METHODS, ARCHITECTURES)) == 4
    lines = gzip.decompress((sweep / PACKED).read_bytes()).splitlines(keepends=True)
    (sweep / PACKED).unlink()
    (sweep / "journal.jsonl").write_bytes(b"".join(lines[:-1]))  # the line set aside then excuses none now
    with pytest.raises(InputError, match="journal lacks 1 trials"):
        run_sweep(sweep, "synthetic", tiny_settings, METHODS, ARCHITECTURES)


def test_a_line_that_was_counted_and_cut_runs_again(sweep, tiny_settings):
    lines = gzip.decompress((sweep / PACKED).read_bytes())
    (sweep / PACKED).unlink()
    (sweep / "journal.jsonl").write_bytes(lines[:-20])
    with pytest.warns(UserWarning, match="1 damaged line"):
        assert len(run_sweep(sweep, "synthetic", tiny_settings, METHODS, ARCHITECTURES)) == 4


def test_a_source_that_has_lost_trials_is_refused(sweep, tmp_path):
    lines = gzip.decompress((sweep / PACKED).read_bytes()).splitlines(keepends=True)
    (sweep / PACKED).unlink()
    (sweep / "journal.jsonl").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(InputError, match="journal lacks 1 trials"):
        merge_sweeps(tmp_path / "merged", [sweep])
    assert not (tmp_path / "merged").exists()
    (sweep / "journal.jsonl").write_bytes(b"".join([*lines[:-1], lines[-1][:20] + b"\n"]))  # damaged, not lost
    assert merge_sweeps(tmp_path / "merged", [sweep]) == 3


def test_two_methods_do_not_give_rows_of_one_name(tmp_path, tiny_settings, monkeypatch):
    """The rest of the sweep stays usable, and the same sweep run again says the same."""
    row = {"score": 1.0, "seconds": 0.0, "macs": 0, "outcome": "ok", "method": "final"}
    monkeypatch.setitem(
        methods.METHODS, "mine", Method("mine", lambda given, epochs: ([row], []), {"epochs": "full_epochs"})
    )
    asked = ["mine(epochs=1)", "mine(epochs=2)", *METHODS]
    for _ in range(2):
        rows = run_sweep(tmp_path, "synthetic", tiny_settings, asked, ARCHITECTURES)
        failed = rows[rows.failed]
        assert set(failed.method) == {"mine(epochs=2)"} and len(failed) == 2 and len(rows) == 8
        said = "failed: ValueError: mine(epochs=1) has given rows named final, too: rows need other names"
        assert (failed.outcome == said).all()


@pytest.mark.parametrize("cost", [{"seconds": -1.0}, {"macs": float("inf")}])
def test_a_trial_takes_a_time_and_macs_that_can_be(tmp_path, tiny_settings, monkeypatch, cost):
    row = {"score": 1.0, "seconds": 0.0, "macs": 0, "outcome": "ok", "method": "mine"} | cost
    monkeypatch.setitem(methods.METHODS, "mine", Method("mine", lambda given: ([row], [])))
    for _ in range(2):
        rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["mine"], ARCHITECTURES[:1])
        assert rows.outcome[0].startswith("failed: ValueError: a row has ") and len(read_rows(tmp_path)) == 1


def test_a_trial_does_not_give_two_rows_of_one_name(tmp_path, tiny_settings, monkeypatch):
    row = {"score": 1.0, "seconds": 0.0, "macs": 0, "outcome": "ok", "method": "mine"}
    monkeypatch.setitem(methods.METHODS, "mine", Method("mine", lambda given: ([row, row], [])))
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["mine"], ARCHITECTURES[:1])
    assert rows.outcome.tolist() == ["failed: ValueError: mine gave two rows of one name"]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"test_accuracy": [10, 20, 30, 40]}, "has two test accuracies of architecture 5"),
        ({"test_accuracy": 101}, r"every test_accuracy in 0\.\.100"),
        ({"test_accuracy": -1}, r"every test_accuracy in 0\.\.100"),
        ({"index": -1}, "every index must be at least 0"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(sweep, change, said):
    for path in sweep.glob("journal*"):
        path.unlink()
    rows = pd.read_csv(sweep / ROWS)
    rows.assign(**change).to_csv(sweep / ROWS, index=False)
    with pytest.raises(InputError, match=said):
        read_rows(sweep)


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    os.chmod(tmp_path / "file", 0o600)
    (tmp_path / "link").symlink_to("file")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]
