"""Wherever it runs: home folders, machines without locks or room to write, a module of the user's own."""

import contextlib
import errno
import fcntl
import gzip
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import fearlib
from fearlib import Architecture, InputError, load_dataset, read_rows, run_sweep
from fearlib.benchmark.archive import archive_times
from fearlib.benchmark.truth import benchmark_accuracy, export_truth
from fearlib.cli import main
from fearlib.cli.commands import app
from fearlib.figures import save_figure
from fearlib.files.outside import read_json, user_path
from fearlib.parameters import check_parameters
from fearlib.ranking.finished import finished_architectures, finished_rows
from fearlib.ranking.known_scores import known_scores
from fearlib.ranking.tables import save_table
from fearlib.report.page import write_report
from fearlib.sweeps.folders import results_folders
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.journal import JOURNAL, PACKED, append_to_journal, read_journal
from fearlib.sweeps.manifest import MANIFEST, read_manifest
from fearlib.sweeps.merge import merge_sweeps
from fearlib.sweeps.reader import Results
from fearlib.sweeps.rows import ROWS, read_curves
from fearlib.sweeps.run import Trial, _identity, _run
from fearlib.sweeps.status import sweep_status
from fearlib.sweeps.writer import SOFT_LOCK, WRITER, only_writer, writer

ARCHITECTURES = [Architecture.from_index(index) for index in (12148, 1291, 7)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_settings):
    folder = tmp_path_factory.mktemp("machines") / "sweep"
    run_sweep(folder, "synthetic", tiny_settings, ["shortreg", "full"], ARCHITECTURES)
    return folder


@pytest.fixture
def home(finished, tmp_path, monkeypatch):
    """A home folder with a sweep, a file of indices and a table in it, seen from elsewhere."""
    folder = tmp_path / "home"
    shutil.copytree(finished, folder / "sweep")
    (folder / "indices.txt").write_text("7\n1291\n")
    truth = pd.DataFrame({"index": [7], "arch": [str(ARCHITECTURES[2])], "cifar10": [91.5]})
    truth.to_csv(folder / "truth.csv", index=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(folder))
    yield folder
    assert not list((tmp_path / "elsewhere").iterdir())


READ = {
    "read_rows": read_rows,
    "read_curves": read_curves,
    "Results": lambda folder: Results(folder).rows,
    "read_indices of a folder": read_indices,
    "read_indices of a file": lambda folder: read_indices(f"{folder}/../indices.txt"),
    "finished_architectures": finished_architectures,
    "finished_rows": finished_rows,
    "sweep_status": lambda folder: sweep_status(folder).methods,
    "read_manifest": read_manifest,
    "read_journal": read_journal,
    "known_scores": lambda folder: known_scores(ARCHITECTURES[0], [folder]),
    "results_folders": lambda folder: results_folders(f"{folder}/.."),
    "truth of a folder": lambda folder: benchmark_accuracy(folder, "synthetic", [7]),
    "truth of a table": lambda folder: benchmark_accuracy(f"{folder}/../truth.csv", "cifar10", [7]),
    "data": lambda folder: load_dataset("synthetic", f"{folder}/data", 16, 100).fingerprint,
    "fear table": lambda folder: CliRunner().invoke(app, ["table", str(folder)]).output,
    "fear status": lambda folder: CliRunner().invoke(app, ["status", str(folder)]).output,
    "fear data": lambda folder: CliRunner().invoke(
        app, ["data", "synthetic", "--folder", f"{folder}/data", "--resolution", "16", "--train-images", "100"]
    ).output,
}  # fmt: skip


@pytest.mark.parametrize("what", READ)
def test_a_home_folder_is_read(home, what):
    found, expected = READ[what]("~/sweep"), READ[what](home / "sweep")
    if isinstance(expected, (pd.DataFrame, pd.Series)):
        assert found.equals(expected) and len(expected)
    else:
        assert found == expected and expected


def draw(path):
    save_figure(pytest.importorskip("matplotlib.figure").Figure(), path)


def score(path):
    words = ["score", "3", "--measures", "params", "--channels", "2", "--cells", "1", "--csv", path]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output


WRITTEN = {
    "out.png": lambda path: draw(path.removesuffix(".png")),
    "tables/out.csv": lambda path: save_table(pd.DataFrame({"a": [1]}), path.removesuffix(".csv")),
    "merged/rows.csv.gz": lambda path: merge_sweeps(path.removesuffix("/rows.csv.gz"), ["~/sweep"]),
    "score.csv": score,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_home_folder_is_written(home, name):
    WRITTEN[name](f"~/{name}")
    assert (home / name).is_file()


@pytest.mark.parametrize(
    "refused",
    [
        lambda path: fearlib.log_times(path),
        lambda path: archive_times(path, "cifar10", 0.5),
        lambda path: export_truth(path, "~/out.csv"),
        lambda path: write_report(path, "~/report.html"),
        lambda path: load_dataset("cifar10", path),
        lambda path: read_json(path, 9, 9),
    ],
)
def test_a_home_folder_in_what_is_refused(home, refused):
    with pytest.raises(InputError, match=f"{home}/absent"):
        refused("~/absent")


def test_a_sweep_in_a_home_folder(home, tiny_settings, monkeypatch):
    run_sweep("~/new", "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES[:1], data_folder="~/given")
    assert (home / "new" / ROWS).is_file() and len(list((home / "given").iterdir())) == 1
    monkeypatch.setenv("FEARLIB_DATA", "~/named")
    load_dataset("synthetic", None, 16, 100)
    assert len(list((home / "named").iterdir())) == 1


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", 7, None])
def test_what_is_no_path(path):
    for read in (user_path, read_rows, read_indices, Results):
        with pytest.raises(InputError, match="is not a path that can be used"):
            read(path)


def test_home_folders_in_the_parameters_of_notebooks(home):
    given = {"output": "~/out", "data_folder": "~/sweep", "results": ["~/a", "b"]}
    given["sweeps"] = {"~/a": "~/b", "c": None}
    check_parameters(given, "output data_folder results sweeps", lists="results")
    del given["_parameters_are_checked"]
    assert given == {
        "output": f"{home}/out",
        "data_folder": f"{home}/sweep",
        "results": [f"{home}/a", "b"],
        "sweeps": {f"{home}/a": f"{home}/b", "c": None},
    }


# A folder while its sweep runs, or after its driver was killed


def test_a_folder_without_tables_has_those_of_its_journal(finished, tmp_path):
    folder, other = tmp_path / "sweep", tmp_path / "other"
    shutil.copytree(finished, folder)
    expected, curves = read_rows(folder), read_curves(folder)
    (folder / ROWS).unlink()
    (folder / JOURNAL).write_bytes(gzip.decompress((folder / PACKED).read_bytes()))
    with (folder / JOURNAL).open("ab") as journal:
        journal.write(b'{"trial": {"index": 5')  # as it is being written
    for found, whole in ((read_rows(folder), expected), (read_curves(folder), curves)):
        pd.testing.assert_frame_equal(found, whole, check_dtype=False)
    given = benchmark_accuracy(folder, "synthetic", [7, 1291])
    trained = expected[expected.method == "full"].set_index("index").score
    assert given.to_dict() == (100 * trained)[[7, 1291]].to_dict()
    printed = [CliRunner().invoke(app, ["table", str(each)]).output for each in (folder, finished)]
    assert printed[0] == printed[1] and "shortreg(epochs=1)" in printed[0]
    other.mkdir()
    shutil.copy(finished / MANIFEST, other)
    assert read_rows(other).empty and read_curves(other).empty
    result = CliRunner().invoke(app, ["table", str(other)])
    assert isinstance(result.exception, InputError) and "no trial has finished" in str(result.exception)
    with pytest.raises(InputError, match="holds no test accuracy on synthetic"):
        benchmark_accuracy(other, "synthetic", [7])


def test_tables_of_an_earlier_sitting_are_not_all(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    new = read_journal(finished)[0]
    new["trial"]["index"] = 3
    append_to_journal(tmp_path, new)
    assert set(read_rows(tmp_path)["index"]) == {3, 7, 1291, 12148} == set(read_curves(tmp_path)["index"])


# A module of the user's own

OWN = """
import torch
import fearlib
from fearlib.data.registry import DATASETS
from fearlib.scores.registry import measure


@measure(passes=1)
def largest(batch):
    return max(weight.abs().max() for weight in batch.weights)


def load(folder, resolution, train_images):
    labels = torch.arange(40) % 4
    images = torch.randn((40, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    return fearlib.Dataset("own", "drawn", True, images, labels, images, labels)


DATASETS["own"] = load
"""


# As `fear rank` does it twice: begun, then resumed.
TWICE = """
import sys
import fearlib.cli

workers = sys.argv[1]
if __name__ == "__main__":
    for count in "12":
        sys.argv = ["fear", "rank", "out", "--dataset", "own", "--count", count, "--workers", workers]
        sys.argv += ["--methods", "zero_cost zero_cost(measures=largest)", "--set", "zero_cost_batch=8"]
        sys.argv += ["--set", "resolution=8"]
        try:
            fearlib.cli.main()
        except SystemExit as end:
            assert not end.code
"""


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_module_of_ones_own_is_named_once(tmp_path, workers):
    """The driver and its workers import it; who looks at the folder later needs it no more."""
    (tmp_path / "my_own.py").write_text(OWN)
    paths = {"FEARLIB_PLUGIN": "my_own", "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    (tmp_path / "twice.py").write_text(TWICE)
    command = [sys.executable, tmp_path / "twice.py", workers]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | paths)
    assert run.returncode == 0, run.stderr
    folder = tmp_path / "out"
    rows = read_rows(folder)
    assert rows.dataset.unique() == ["own"] and (rows[rows.method == "largest"].outcome == "ok").all()
    assert "largest" not in fearlib.MEASURES
    finished = {name: found.finished for name, found in sweep_status(folder).methods.items()}
    assert finished == {"zero_cost": 2, "zero_cost(measures=largest)": 2}
    assert merge_sweeps(tmp_path / "whole", [folder]) == 4
    pd.testing.assert_frame_equal(read_rows(tmp_path / "whole"), rows)
    (folder / ROWS).unlink()
    assert "largest" in CliRunner().invoke(app, ["table", str(folder)]).output
    with pytest.raises(InputError, match="unknown dataset 'own'.*; a module that adds others is named by"):
        fearlib.preset("smoke", "own")


def test_a_module_that_cannot_be_imported(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "script.py").write_text("import sys; sys.exit(0)")
    monkeypatch.syspath_prepend(tmp_path)
    for name, why in (
        ("absent_module", "ModuleNotFoundError"),
        ("broken", "ZeroDivisionError"),
        ("script", "SystemExit"),
    ):
        monkeypatch.setenv("FEARLIB_PLUGIN", name)
        monkeypatch.setattr(sys, "argv", ["fear", "list"])
        with pytest.raises(SystemExit):
            main()
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"fear: FEARLIB_PLUGIN={name} cannot be imported ({why}")
        with pytest.raises(InputError, match="cannot be imported"):
            check_parameters({}, "")


def test_a_worker_that_lacks_a_measure(tiny_settings, colour_dataset, tmp_path, monkeypatch):
    shared = "nats-tss", lambda: colour_dataset, _identity(colour_dataset), tiny_settings
    (row,) = _run(Trial(7, "zero_cost(measures=mine)", 0), *shared)["rows"]
    assert row["outcome"].startswith("failed: InputError: unknown measure 'mine'")
    (tmp_path / "imported_there.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    result = _run(Trial(7, "zero_cost", 0), *shared, plugin="imported_there")
    assert len(result["rows"]) == 15 and "imported_there" in sys.modules


def test_a_space_that_is_not_registered(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    manifest["configuration"]["space"] = "depths"
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    assert sweep_status(tmp_path).total.finished == 6
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="unknown search space 'depths'"):
        merge_sweeps(tmp_path / "whole", [tmp_path])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / ROWS).unlink()
    with pytest.raises(InputError, match="unknown search space 'depths'"):
        read_rows(tmp_path)


# Machines


@contextlib.contextmanager
def a_folder_that_nobody_may_write():
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders are closed to others
    folder.chmod(0o555)
    try:
        if os.geteuid() == 0:
            os.seteuid(65534)
        yield folder
    finally:
        os.seteuid(os.getuid())
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.filterwarnings("ignore:the rarest")
def test_a_data_folder_that_cannot_be_written():
    expected = load_dataset("synthetic", None, 16, 100)
    with a_folder_that_nobody_may_write() as folder:
        for place in (folder, folder / "new" / "one"):
            with pytest.warns(UserWarning, match=f"{place}/.* cannot be written, so .* drawn again by every"):
                found = load_dataset("synthetic", place, 16, 100)
            assert found.fingerprint == expected.fingerprint and not found.train_images.is_inference()
        assert not list(folder.iterdir())


DIES_WITH_THE_LOCK = """
import errno, fcntl, os, sys
from fearlib.sweeps.writer import only_writer

def refuse(*_):
    raise OSError(errno.ENOLCK, "no locks")

fcntl.flock = refuse
with only_writer(sys.argv[1]):
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        with pytest.warns(UserWarning, match=rf"has no locks \({os.strerror(number)}\): {SOFT_LOCK} in it keeps"):
            with only_writer(tmp_path):
                with pytest.raises(InputError, match=f"another sweep .*process {os.getpid()} on .*died"):
                    with only_writer(tmp_path):
                        pass
    assert not (tmp_path / SOFT_LOCK).exists()
    if number != errno.ENOLCK:
        return
    subprocess.run([sys.executable, "-W", "ignore", "-c", DIES_WITH_THE_LOCK, str(tmp_path)])
    assert (tmp_path / SOFT_LOCK).exists()
    with pytest.warns(UserWarning, match="has no locks"), only_writer(tmp_path):  # its process is known to be dead
        pass


def test_windows_is_refused_and_nobody_is_interrupted(tmp_path, monkeypatch):
    there = {"process": os.getpid(), "machine": platform.node(), "since": "2026-01-01T00:00:00Z"}
    (tmp_path / WRITER).write_text(json.dumps(there))
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        with pytest.raises(InputError, match="sweeps run on Linux and macOS: on Windows, run fearlib in WSL"):
            run_sweep(tmp_path, "synthetic", None, [], [])
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("interrupted"))
    monkeypatch.setattr("fearlib.sweeps.writer.user_path", lambda path, known=tmp_path: known)
    monkeypatch.setattr("fearlib.sweeps.writer.read_file", lambda *_: json.dumps(there).encode())
    monkeypatch.setattr(os, "name", "nt")
    assert writer(tmp_path).startswith(f"process {os.getpid()} on ")


def test_a_worker_that_imports_the_script_ends_at_once(monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit):
        run_sweep("never", "synthetic", None, [], [])


@pytest.mark.slow
def test_a_script_without_its_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import fearlib\n"
        "settings = fearlib.preset('smoke', 'synthetic', train_images=100)\n"
        "some = fearlib.sample_architectures(2, 0)\n"
        "fearlib.run_sweep('out', 'synthetic', settings, ['zero_cost'], some, workers=2)\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    lines = run.stderr.splitlines()
    assert run.returncode == 1 and len(lines) < 25, run.stderr
    assert 'under `if __name__ == "__main__":`' in lines[-1]


def test_a_writer_removes_what_one_that_was_killed_had_begun(tmp_path):
    (tmp_path / f"rows.csv.gz.{platform.node()}.12.part").write_bytes(b"half")
    (tmp_path / "rows.csv.gz").write_bytes(b"whole")
    with only_writer(tmp_path):
        pass
    assert not list(tmp_path.glob("*.part")) and (tmp_path / "rows.csv.gz").read_bytes() == b"whole"
