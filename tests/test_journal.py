import json
import subprocess
import sys

import pytest

from fearlib import InputError
from fearlib.sweeps.journal import DAMAGED, JOURNAL, append_to_journal, read_journal, recover_journal


def record(number):
    row = {"method": "full", "score": number / 3, "seconds": 1.5, "macs": 10**9, "outcome": "ok"}
    trial = {"index": number, "method": "full", "seed": 0}
    return {"trial": trial, "test_accuracy": 90.5, "rows": [row], "curve": []}


def test_what_is_appended_is_read_back(tmp_path):
    assert read_journal(tmp_path) == []
    for number in range(5):
        append_to_journal(tmp_path, record(number))
        assert read_journal(tmp_path) == [record(n) for n in range(number + 1)]


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
    assert (tmp_path / DAMAGED).read_bytes() == last[:kept]


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
