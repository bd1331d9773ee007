import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fearlib import InputError
from fearlib.files.write import replace_file
from fearlib.sweeps.journal import (
    DAMAGED,
    FORMS,
    JOURNAL,
    PACKED,
    Position,
    append_to_journal,
    end_of_journal,
    pack_journal,
    read_journal,
    read_journal_on,
    recover_journal,
)


def record(number):
    row = {"method": "full", "score": number / 3, "seconds": 1.5, "macs": 10**9, "outcome": "ok"}
    trial = {"index": number, "method": "full", "seed": 0}
    return {"trial": trial, "test_accuracy": 90.5, "rows": [row], "curve": []}


def test_what_is_appended_is_read_back(tmp_path):
    assert read_journal(tmp_path) == []
    for number in range(5):
        append_to_journal(tmp_path, record(number))
        assert read_journal(tmp_path) == [record(n) for n in range(number + 1)]


def test_a_trial_is_on_the_disk_when_it_counts(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    for number in range(3):
        append_to_journal(tmp_path, record(number))
        assert synced[-1] == (tmp_path / JOURNAL).stat().st_size


@pytest.mark.parametrize("kept", [1, 10, -1])
def test_a_last_line_that_was_cut_off(tmp_path, kept):
    for number in range(3):
        append_to_journal(tmp_path, record(number))
    path = tmp_path / JOURNAL
    last = path.read_bytes().splitlines(keepends=True)[-1]
    path.write_bytes(path.read_bytes()[: -len(last)] + last[:kept])
    before = path.read_bytes()
    assert read_journal(tmp_path) == [record(0), record(1)] and path.read_bytes() == before
    with pytest.warns(UserWarning, match="1 damaged line.*their trials run again"):
        assert list(recover_journal(tmp_path)) == read_journal(tmp_path)
    assert read_journal(tmp_path) == [record(0), record(1)]
    append_to_journal(tmp_path, record(2))
    assert read_journal(tmp_path) == [record(n) for n in range(3)]
    assert (tmp_path / DAMAGED).read_bytes() == last[:kept] + b"\n"


@pytest.mark.parametrize("garbage", [b"\xff\xfe\n", b"{}\n", b"[1, 2]\n", b'{"trial": 1\n', b"\n"])
def test_a_damaged_line_in_the_middle(tmp_path, garbage):
    for number in range(3):
        append_to_journal(tmp_path, record(number))
    path = tmp_path / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + garbage + lines[2])
    with pytest.warns(UserWarning, match="1 damaged line"):
        assert list(recover_journal(tmp_path)) == read_journal(tmp_path)
    assert read_journal(tmp_path) == [record(0), record(2)]
    assert (tmp_path / DAMAGED).read_bytes() == garbage


def test_a_journal_of_another_version_is_refused_and_stays(tmp_path):
    append_to_journal(tmp_path, {"trial": {"index": 1}, "rows": [], "curve": []})
    before = (tmp_path / JOURNAL).read_bytes()
    for read in (lambda folder: list(recover_journal(folder)), read_journal):
        with pytest.raises(InputError, match="another version of fearlib"):
            read(tmp_path)
    assert (tmp_path / JOURNAL).read_bytes() == before


def test_a_full_disk(tmp_path):
    """The system refuses to let the file grow; what was written stays whole and the sentence says so."""
    script = f"""
import resource, signal
from fearlib.errors import InputError
from fearlib.sweeps.journal import append_to_journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
record = {{"trial": {{"index": 1}}, "test_accuracy": None, "rows": ["x" * 300], "curve": []}}
for number in range(5):
    try:
        append_to_journal({str(tmp_path)!r}, record)
    except InputError as error:
        print(number, error)
        break
"""
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.startswith("2 ") and "every trial before this one is safe" in output
    content = (tmp_path / JOURNAL).read_text()
    assert content.endswith("\n") and len(content.splitlines()) == 2
    assert all(json.loads(line)["rows"] == ["x" * 300] for line in content.splitlines())


def journal_of(folder, count):
    for number in range(count):
        append_to_journal(folder, record(number))
    return (folder / JOURNAL).read_bytes()


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_packed_journal_says_the_same(tmp_path, count):
    content, end = journal_of(tmp_path, count), end_of_journal(tmp_path)
    pack_journal(tmp_path)
    assert names(tmp_path) == {PACKED}
    assert gzip.decompress((tmp_path / PACKED).read_bytes()) == content
    assert read_journal(tmp_path) == [record(n) for n in range(count)] and end_of_journal(tmp_path) == end
    assert read_journal_on(tmp_path, end[1]) == ([], end[1], False)
    assert read_journal_on(tmp_path, Position(3, b"x\n")) == (read_journal(tmp_path), end[1], True)
    packed = (tmp_path / PACKED).read_bytes()
    assert list(recover_journal(tmp_path)) == read_journal(tmp_path)
    pack_journal(tmp_path)
    assert names(tmp_path) == {PACKED} and (tmp_path / PACKED).read_bytes() == packed  # nothing was to be done
    append_to_journal(tmp_path, record(count))
    assert names(tmp_path) == {JOURNAL} and read_journal(tmp_path) == [record(n) for n in range(count + 1)]


def test_a_reader_goes_on_in_either_form(tmp_path):
    journal_of(tmp_path, 2)
    _, end, _ = read_journal_on(tmp_path)
    append_to_journal(tmp_path, record(2))
    pack_journal(tmp_path)
    new, end, other = read_journal_on(tmp_path, end)
    assert new == [record(2)] and not other
    append_to_journal(tmp_path, record(3))
    assert read_journal_on(tmp_path, end)[::2] == ([record(3)], False)


def test_equal_journals_are_packed_into_equal_bytes(tmp_path, monkeypatch):
    packed = []
    for name, now in (("one", 10.0**9), ("other", 2.0 * 10**9)):
        (tmp_path / name).mkdir()
        monkeypatch.setattr("time.time", lambda now=now: now)
        journal_of(tmp_path / name, 3)
        pack_journal(tmp_path / name)
        packed.append((tmp_path / name / PACKED).read_bytes())
    assert packed[0] == packed[1]


def test_the_end_of_a_packed_journal_is_read_without_the_rest(tmp_path, monkeypatch):
    journal_of(tmp_path, 50)
    last, end = end_of_journal(tmp_path)
    pack_journal(tmp_path)
    monkeypatch.setattr("fearlib.sweeps.journal.read_packed_lines", lambda *_: pytest.fail("unpacked"))
    assert end_of_journal(tmp_path) == (last, end) and read_journal_on(tmp_path, end) == ([], end, False)


@pytest.mark.parametrize("pack", [gzip.compress, lambda content: gzip.compress(content) + gzip.compress(b"")])
def test_a_journal_that_another_tool_packed(tmp_path, pack):
    content, end = journal_of(tmp_path, 3), end_of_journal(tmp_path)
    (tmp_path / PACKED).write_bytes(pack(content))
    (tmp_path / JOURNAL).unlink()
    assert end_of_journal(tmp_path) == end and len(read_journal(tmp_path)) == 3
    (tmp_path / PACKED).write_bytes(gzip.compress(content + b'{"torn'))
    assert end_of_journal(tmp_path) == end and len(read_journal_on(tmp_path)[0]) == 3
    with pytest.warns(UserWarning, match="1 damaged line"):
        assert len(list(recover_journal(tmp_path))) == 3
    assert names(tmp_path) == {JOURNAL, DAMAGED} and (tmp_path / JOURNAL).read_bytes() == content


def test_processes_of_any_machine_write_a_file_by_different_names(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("os.replace", lambda partial, path: written.append(partial.name))
    for machine, process in (("here", 12), ("here", 34), ("there", 34)):
        monkeypatch.setattr("platform.node", lambda machine=machine: machine)
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        replace_file(tmp_path / "rows", b"")
    for folder in (tmp_path, "."):
        with pytest.raises(InputError, match="cannot be written: it is a folder"):
            replace_file(folder, b"")
    with pytest.raises(InputError, match="/dev/null cannot be written: it is no plain file"):
        replace_file("/dev/null", b"")
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        replace_file(tmp_path / ("a" * 300), b"")
    assert written == ["rows.here.12.part", "rows.here.34.part", "rows.there.34.part"]


def crash(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["replace_file", "Path.unlink"])
@pytest.mark.parametrize("do", [pack_journal, lambda folder: append_to_journal(folder, record(3))])
def test_a_crash_between_the_steps_loses_nothing(tmp_path, monkeypatch, step, do):
    """While it is packed, or unpacked to go on: every trial is read then, and the next sweep leaves one form."""
    journal_of(tmp_path, 3)
    if do is not pack_journal:
        pack_journal(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(f"fearlib.sweeps.journal.{step}", crash)
        do(tmp_path)
    assert len(names(tmp_path)) == (1 if step == "replace_file" else 2)
    assert read_journal(tmp_path) == list(recover_journal(tmp_path)) == [record(n) for n in range(3)]
    assert len(names(tmp_path)) == 1
    append_to_journal(tmp_path, record(3))
    pack_journal(tmp_path)
    assert read_journal(tmp_path) == [record(n) for n in range(4)] and names(tmp_path) == {PACKED}


def test_two_journals_of_different_trials_are_refused_and_stay(tmp_path):
    """As an older version leaves them, which does not see the packed one."""
    journal_of(tmp_path, 3)
    pack_journal(tmp_path)
    (tmp_path / "older").mkdir()
    (tmp_path / JOURNAL).write_bytes(journal_of(tmp_path / "older", 2))
    before = [(tmp_path / name).read_bytes() for name in FORMS]
    writes = [pack_journal, lambda folder: list(recover_journal(folder))]
    for write in (*writes, lambda folder: append_to_journal(folder, record(4))):
        with pytest.raises(InputError, match="hold different trials"):
            write(tmp_path)
    assert [(tmp_path / name).read_bytes() for name in FORMS] == before


def test_a_packed_journal_that_is_damaged_is_refused(tmp_path):
    journal_of(tmp_path, 3)
    pack_journal(tmp_path)
    whole = (tmp_path / PACKED).read_bytes()
    for damaged in (b"", whole[:20], whole[:60] + b"x" + whole[61:], b"no gzip", whole + b"x"):
        (tmp_path / PACKED).write_bytes(damaged)
        for read in (read_journal, lambda folder: append_to_journal(folder, record(3))):
            with pytest.raises(InputError, match=f"{PACKED} cannot be read"):
                read(tmp_path)
        assert (tmp_path / PACKED).read_bytes() == damaged


def test_a_writer_that_changes_the_form_meanwhile(tmp_path, monkeypatch):
    """Between the look for one form and that for the other."""
    journal_of(tmp_path, 3)
    pack_journal(tmp_path)
    exists = Path.exists

    def then_unpacked(path):
        found = exists(path)
        if path.name == JOURNAL and not found:
            (tmp_path / JOURNAL).write_bytes(gzip.decompress((tmp_path / PACKED).read_bytes()))
            (tmp_path / PACKED).unlink()
        return found

    monkeypatch.setattr(Path, "exists", then_unpacked)
    assert len(read_journal(tmp_path)) == 3


def test_a_line_that_is_too_long_to_be_read_is_not_packed(tmp_path, monkeypatch):
    for module in ("journal", "record"):
        monkeypatch.setattr(f"fearlib.sweeps.{module}.MAX_LINE", 1000)
    append_to_journal(tmp_path, record(0) | {"more": "x" * 1000})
    append_to_journal(tmp_path, record(1))
    pack_journal(tmp_path)
    assert names(tmp_path) == {JOURNAL} and read_journal(tmp_path) == [record(1)]
