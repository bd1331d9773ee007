"""What befalls a sweep: killed drivers, workers and schedulers, signals, memory, permissions, clocks."""

import collections
import contextlib
import dataclasses
import functools
import itertools
import json
import math
import multiprocessing
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import dask
import distributed
import pandas as pd
import pytest
from test_results import make, trial

from fearlib import Architecture, InputError, run_sweep
from fearlib.cli import main
from fearlib.sweeps.cluster import _local_cluster, _slots, cluster, run_on_workers
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.rows import read_curves, read_rows
from fearlib.sweeps.run import Trial, _identity, _run, _with_retries
from fearlib.sweeps.status import sweep_status
from fearlib.sweeps.writer import WRITER

INDICES = (12148, 13226, 1291, 7)
ARCHITECTURES = [Architecture.from_index(index) for index in INDICES]
METHODS = ["fear", "shortreg"]
SETTINGS = (
    "--set train_images=100 --set stage1_epochs=2 --set threshold=0.1 --set full_epochs=1 --set shortreg_epochs=1 "
    "--set zero_cost_batch=8"
).split()
PATIENCE = 240  # seconds, on a loaded machine
DASK = [sys.executable, "-m", "dask"]
NO_PAGE = {"dashboard_address": ":0"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_settings):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_sweep(folder, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    return folder


def start(folder, *words):
    """The undisturbed sweep by the command line, in a process group of its own.

    It is forked and need not import anything, but for one with other `words`: dask's threads outlive no fork.
    """
    folder.mkdir(exist_ok=True)
    indices = folder.parent / f"{folder.name}.txt"
    indices.write_text("\n".join(map(str, INDICES)))
    command = ["rank", folder, "--indices", indices, "--methods", " ".join(METHODS), *SETTINGS, *words]
    context = multiprocessing.get_context("spawn" if words else "fork")
    run = context.Process(target=command_line, args=(list(map(str, command)), folder))
    run.start()
    return run


def command_line(words, folder):
    """`fear` of these words, with its output and errors in files beside the folder."""
    os.setsid()
    for stream in ("stdout", "stderr"):
        setattr(sys, stream, open(folder.with_suffix(f".{stream}"), "w", buffering=1))
    sys.argv = ["fear", *words]
    main()


def finish(folder, *words):
    run = start(folder, *words)
    assert end_of(run) == 0, said(folder)


def end_of(run):
    """The exit status of a process that ends by itself."""
    run.join(PATIENCE)
    return run.exitcode


def said(folder, stream="stderr"):
    return folder.with_suffix(f".{stream}").read_text()


def assert_as_undisturbed(folder, undisturbed):
    """Every trial exactly once, and its rows and curves bit for bit."""
    succeeded = [json.dumps(record["trial"]) for record in read_journal(folder)]
    assert len(succeeded) == len(set(succeeded)) == len(METHODS) * len(INDICES)
    for read in (read_rows, read_curves):
        ours, theirs = (read(each).drop(columns="seconds") for each in (folder, undisturbed))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def wait_for_lines(folder, number, run):
    """Until the journal has so many lines; False if the run was over before."""
    while run.is_alive():
        if len(read_journal(folder, curves=False)) >= number:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("repetition", range(20))
def test_a_killed_driver(undisturbed, tmp_path, repetition):
    moment, workers = random.Random(repetition), ("--workers", 2) if repetition % 2 else ()
    folder, kills = tmp_path / "sweep", 0
    for _ in range(4):
        run = start(folder, *workers)
        wait_for_lines(folder, len(read_journal(folder)) + moment.randint(1, 2), run)
        time.sleep(moment.random() * 0.3)
        kills += run.is_alive()
        run.kill()
        run.join()
    assert kills
    finish(folder, *workers)
    assert_as_undisturbed(folder, undisturbed)


def hangs_the_first_time(folder, item):
    """Says in which process it has started, and comes back only when that is not the first time."""
    started = folder / item
    again = started.exists()
    with started.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if not again:
        time.sleep(PATIENCE)
    return item


def kill_at_work(folder, items):
    for item in items:
        while not (folder / item).exists() or not (folder / item).read_text().endswith("\n"):
            time.sleep(0.05)
        os.kill(int((folder / item).read_text().split()[0]), signal.SIGKILL)


@pytest.mark.slow
def test_workers_killed_in_mid_trial(tmp_path):
    items = ["one", "other"]
    killer = threading.Thread(target=kill_at_work, args=(tmp_path, items), daemon=True)
    with cluster(2) as run_on:
        killer.start()
        results = list(run_on(functools.partial(hangs_the_first_time, tmp_path), items))
    assert sorted(results) == [(item, item) for item in items]
    for item in items:
        first, second = (tmp_path / item).read_text().split()
        assert first != second


@contextlib.contextmanager
def scheduler_and_worker(folder):
    """A scheduler and a worker of one thread, each started by itself; yields the scheduler and its address."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    scheduler = subprocess.Popen(
        [*DASK, "scheduler", "--port", "0", "--dashboard-address", ":0", "--scheduler-file", file], **quiet
    )
    worker = subprocess.Popen([*DASK, "worker", "--scheduler-file", file, "--nthreads", "1"], **quiet)
    try:
        yield scheduler, address_in(file, scheduler)
    finally:
        for process in (worker, scheduler):
            process.terminate()
            process.wait(PATIENCE)


def address_in(file, scheduler):
    """What the scheduler writes to its file, once it has."""
    while scheduler.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(file.read_text())["address"]
        time.sleep(0.05)
    pytest.fail("the scheduler did not start")


@pytest.mark.slow
def test_a_killed_scheduler(undisturbed, tmp_path):
    folder = tmp_path / "sweep"
    with scheduler_and_worker(tmp_path) as (scheduler, address):
        run = start(folder, "--scheduler", address)
        assert wait_for_lines(folder, 1, run)
        scheduler.kill()
        assert end_of(run) == 2 and "the dask scheduler is gone" in said(folder)
    assert "dashboard of the workers is at http://" in said(folder, "stdout")
    with scheduler_and_worker(tmp_path) as (_, address):
        finish(folder, "--scheduler", address)
    assert_as_undisturbed(folder, undisturbed)


@pytest.mark.slow
def test_a_scheduler_that_is_not_there(tmp_path):
    folder = tmp_path / "sweep"
    assert end_of(start(folder, "--scheduler", "tcp://127.0.0.1:1")) == 2
    assert "no dask scheduler answers at 'tcp://127.0.0.1:1'" in said(folder)


@pytest.mark.parametrize(
    ["number", "to_all", "workers"],
    [
        (signal.SIGINT, True, 1),
        pytest.param(signal.SIGINT, True, 2, marks=pytest.mark.slow),
        (signal.SIGTERM, False, 1),
        pytest.param(signal.SIGTERM, False, 2, marks=pytest.mark.slow),
    ],
)
def test_signals(undisturbed, tiny_settings, tmp_path, number, to_all, workers):
    """Ctrl-C goes to every process of the terminal, SIGTERM to the driver."""
    folder = tmp_path / "sweep"
    run = start(folder, *(("--workers", workers) if workers > 1 else ()))
    assert wait_for_lines(folder, 2, run)
    (os.killpg if to_all else os.kill)(run.pid, number)
    assert end_of(run) == 128 + number
    stopped = f"fear: stopped; what was finished is in {folder}, and the same command goes on."
    assert stopped in said(folder).splitlines() and "Traceback" not in said(folder)
    assert len(read_rows(folder)) == len(read_journal(folder)) >= 2
    assert not (folder / WRITER).exists()
    run_sweep(folder, "synthetic", tiny_settings, METHODS, ARCHITECTURES, workers=workers)
    assert_as_undisturbed(folder, undisturbed)


def test_retries(tiny_settings, tmp_path, monkeypatch):
    """Two of three tries fail, each in its own way; all are in the journal, the last one counts."""
    from fearlib.sweeps.run import run_trial

    tries = []

    def fails_twice(architecture, *arguments):
        tries.append(architecture.index)
        result = run_trial(architecture, *arguments)
        if tries.count(architecture.index) == 1:
            raise MemoryError("no room")
        if tries.count(architecture.index) == 2:
            result["curve"][0]["loss"] = float("nan")
        return result

    monkeypatch.setattr("fearlib.sweeps.run.run_trial", fails_twice)
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES[:2], retries=1)
    assert set(rows.outcome) == {"failed: FloatingPointError: the training loss became NaN"}
    assert tries == [*INDICES[:2], *INDICES[:2]]
    status = sweep_status(tmp_path)
    assert status.methods["shortreg(epochs=1)"][:3] == (0, 2, 0)  # none counts twice
    assert status.failures[0] == "12148 failed: FloatingPointError: the training loss became NaN"
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES[:2], retries=1)
    assert set(rows.outcome) == {"ok"} and len(tries) == 6
    outcomes = [record["rows"][0]["outcome"][:19] for record in read_journal(tmp_path)]
    assert outcomes == ["failed: MemoryError"] * 2 + ["failed: FloatingPoi"] * 2 + ["ok"] * 2


def test_the_reason_of_a_failure_can_be_written(tiny_settings, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no such file: \udcff")

    monkeypatch.setattr("fearlib.sweeps.run.run_trial", fails)
    run_sweep(tmp_path, "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES[:1])
    assert read_rows(tmp_path).outcome[0] == "failed: OSError: no such file: \\udcff"
    assert len(read_journal(tmp_path)) == 1 and sweep_status(tmp_path).total[:3] == (0, 1, 0)


def test_a_score_that_is_not_a_number(tiny_settings, tmp_path, monkeypatch):
    row = {"method": "shortreg(epochs=1)", "score": float("nan"), "seconds": 1.0, "macs": 1, "outcome": "ok"}
    monkeypatch.setattr("fearlib.sweeps.run.run_trial", lambda *_: {"rows": [row], "curve": []})
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES[:1])
    assert list(rows.outcome) == ["failed: FloatingPointError: the score of shortreg(epochs=1) is NaN"]


def test_other_data_at_a_worker(tiny_settings, colour_dataset):
    trial = Trial(7, "shortreg(epochs=1)", 0)
    result = _run(trial, "nats-tss", lambda: colour_dataset, "another", tiny_settings)
    (row,) = result["rows"]
    assert row["outcome"] == (
        f"failed: ValueError: the worker found other data ({_identity(colour_dataset)}) than the driver (another)"
    )
    shifted = _identity(dataclasses.replace(colour_dataset, padding=3))  # the same images, another augmentation
    (row,) = _run(trial, "nats-tss", lambda: colour_dataset, shifted, tiny_settings)["rows"]
    assert row["outcome"].startswith("failed: ValueError: the worker found other data")


def test_a_worker_over_its_memory_limit():
    """Its trial is given up, with the reason, and the others are done."""
    Item = collections.namedtuple("Item", "index method")  # which a worker need not import torch for

    def eats_memory(item):
        held = []
        while item.method == "greedy":
            held.append(b"x" * 20_000_000)
            time.sleep(0.02)
        return {"rows": [{"outcome": "ok"}], "curve": []}

    memory = dict.fromkeys((f"distributed.worker.memory.{what}" for what in ("pause", "spill", "target")), False)
    config = {"distributed.scheduler.allowed-failures": 0} | memory
    items = [Item(0, "greedy"), Item(1, "modest"), Item(2, "modest")]
    with (
        dask.config.set(config),
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, memory_limit="500MB", **NO_PAGE) as cluster,
        distributed.Client(cluster) as client,
    ):
        results = dict(_with_retries(functools.partial(run_on_workers, client), eats_memory, items, math.inf, 0))
    outcomes = {item.index: result["rows"][0]["outcome"] for item, result in results.items()}
    assert outcomes.pop(0).startswith("failed: KilledWorker: ")
    assert outcomes == {1: "ok", 2: "ok"}


@contextlib.contextmanager
def unprivileged():
    """As the user nobody where this is root, to whom every folder is open."""
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


@pytest.mark.parametrize("existing", [True, False])
def test_a_folder_that_one_may_not_write(undisturbed, tiny_settings, existing, request):
    tmp_path = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders are closed to others
    request.addfinalizer(lambda: shutil.rmtree(tmp_path))
    folder = tmp_path / "sweep"
    if existing:
        shutil.copytree(undisturbed, folder)
        folder.chmod(0o555)
    tmp_path.chmod(0o555)
    before = {path.name: path.read_bytes() for path in folder.glob("*")}
    with unprivileged(), pytest.raises(InputError, match="cannot be used as a results folder: Permission denied"):
        run_sweep(folder, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    folder.chmod(0o755) if existing else None
    tmp_path.chmod(0o755)
    assert {path.name: path.read_bytes() for path in folder.glob("*")} == before


def test_a_clock_set_back(undisturbed, tiny_settings, tmp_path, monkeypatch):
    clock = itertools.count(2_000_000_000, -3600)
    real = time.gmtime
    monkeypatch.setattr("time.gmtime", lambda *given: real(*given or (next(clock),)))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES[:2])
    run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES, time_budget=3600)
    monkeypatch.undo()
    first, second = json.loads((tmp_path / "manifest.json").read_text())["sittings"]
    assert first["started"] > first["ended"] > second["started"]
    assert_as_undisturbed(tmp_path, undisturbed)
    assert sweep_status(tmp_path).expected == 0


def test_the_second_driver_names_the_first(undisturbed, tiny_settings, tmp_path):
    folder = tmp_path / "sweep"
    first = start(folder)
    assert wait_for_lines(folder, 1, first)
    os.kill(first.pid, signal.SIGSTOP)  # so that it is still there when the second one comes
    try:
        with pytest.raises(InputError) as refused:
            run_sweep(folder, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
        known = sweep_status(folder).writer
    finally:
        os.kill(first.pid, signal.SIGCONT)
    reason = f"another sweep is writing to {folder} (process {first.pid} on {platform.node()} since 2"
    assert str(refused.value).startswith(reason)
    assert known.startswith(f"process {first.pid} on ")
    assert end_of(first) == 0, said(folder)
    assert sweep_status(folder).writer is None
    assert_as_undisturbed(folder, undisturbed)


def test_a_writer_on_another_machine_cannot_be_asked(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    there = {"process": os.getpid(), "machine": "elsewhere", "since": "2026-01-01T00:00:00Z"}
    (tmp_path / WRITER).write_text(json.dumps(there))
    assert sweep_status(tmp_path).writer.endswith(
        "on elsewhere since 2026-01-01T00:00:00Z, unless it has died there"
    )
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / WRITER).write_text(json.dumps(there | {"process": gone.pid, "machine": platform.node()}))
    assert sweep_status(tmp_path).writer is None


def test_status_while_a_sweep_runs(tiny_settings, tmp_path):
    """Counted from the journal at every trial's end; the expected time is that of what remains."""
    seen = []
    run_sweep(
        tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES,
        after_trial=lambda _: seen.append(sweep_status(tmp_path)),
    )  # fmt: skip
    for number, status in enumerate(seen, 1):
        assert status.total[:3] == (number, 0, 8 - number)
        assert status.writer
    last_but_one = seen[-2]
    (remaining,) = (found.seconds for found in last_but_one.methods.values() if found.remaining)
    assert 0.9 * remaining < last_but_one.expected < math.inf
    assert seen[-1].expected == 0 and sweep_status(tmp_path).writer is None


def test_a_worker_that_is_there_is_seen():
    """However often dask's client notes what it knows of the scheduler, which is without the workers."""
    local = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with (
        dask.config.set({"distributed.client.scheduler-info-interval": "1ms"}),
        distributed.LocalCluster(**local) as workers,
        distributed.Client(workers) as client,
    ):
        assert {_slots(client, None) for _ in range(200)} == {1}


def test_the_time_that_is_left_is_that_of_the_rest_at_the_pace_so_far(tmp_path):
    """Three trials in six seconds, four seconds of work each; two remain."""
    records = [trial(index) | {"sitting": 0, "elapsed": 4.0, "after": 2.0 * (index + 1)} for index in range(3)]
    folder = make(tmp_path / "sweep", records)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sittings"] = [{"missing": {"shortreg(epochs=1)": 5}}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    status = sweep_status(folder)
    assert (status.total.remaining, status.rate, status.expected) == (2, 0.5, 4.0)


def test_status_before_the_first_trial(tiny_settings, tmp_path):
    run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES, time_budget=0)
    status = sweep_status(tmp_path)
    assert status.total.remaining == 8 and math.isnan(status.expected)


def test_cheap_methods_first_unless_the_time_is_limited(tiny_settings, tmp_path, monkeypatch):
    """And architectures in their order either way, so that a sweep that is cut short has measured no selection."""
    orders = []

    @contextlib.contextmanager
    def pretended(workers, scheduler, per_gpu):
        def run_on(run, trials, deadline):
            orders.append([(trial.index, trial.method) for trial in trials])
            yield from ()

        yield run_on

    monkeypatch.setattr("fearlib.sweeps.cluster.cluster", pretended)
    methods = ["shortreg", "zero_cost"]
    for number, budget in enumerate((float("inf"), 60)):
        run_sweep(
            tmp_path / str(number), "synthetic", tiny_settings, methods, ARCHITECTURES, workers=2,
            time_budget=budget,
        )  # fmt: skip
    ordered, in_order = orders
    assert ordered == [(index, method) for method in ("zero_cost", "shortreg(epochs=1)") for index in INDICES]
    assert in_order == [(index, method) for index in INDICES for method in ("shortreg(epochs=1)", "zero_cost")]


def workers_that_offer(offers, **options):
    """A cluster in this process, of a worker for each name and the resources that it offers."""
    spec = {
        name: {"cls": distributed.Worker, "options": {"nthreads": 1, "resources": offer} | options}
        for name, offer in offers.items()
    }
    return distributed.SpecCluster(spec, {"cls": distributed.Scheduler, "options": {"dashboard_address": ":0"}})


def test_a_gpu_runs_as_many_networks_at_once_as_asked_for():
    """Two GPUs in three shares each, and a worker that offers none: six trials at once, and nothing elsewhere."""
    shares = [f"gpu{gpu}-{share}" for gpu in range(2) for share in range(3)]
    offers = dict.fromkeys(shares, {"GPU": 1 / 3}) | {"none": {}}
    with workers_that_offer(offers) as cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(7)
        done = [result for _, result in run_on_workers(client, sleep_at_worker, list(range(60)), per_gpu=3)]
    assert len(done) == 60
    assert {name: most_at_once(done, name) for name in offers} == dict.fromkeys(shares, 1) | {"none": 0}


def test_a_worker_of_several_threads_is_refused():
    """Its trials would share the random numbers of their initial weights."""
    with workers_that_offer({"wide": {}}, nthreads=2) as cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(1)
        with pytest.raises(InputError, match="has 2 threads: start it with --nthreads 1"):
            list(run_on_workers(client, sleep_at_worker, [0]))


def test_workers_that_do_not_come(capsys):
    with workers_that_offer({"none": {}}) as cluster, distributed.Client(cluster) as client:
        assert not list(run_on_workers(client, sleep_at_worker, [0], time.monotonic() + 1, per_gpu=2))
    assert "Waiting for a worker with 1/2 of a resource GPU" in capsys.readouterr().out


def sleep_at_worker(_):
    started = time.monotonic()
    time.sleep(0.1)
    return distributed.get_worker().name, started, time.monotonic()


def most_at_once(done, name):
    of_worker = [(started, ended) for worker, started, ended in done if worker == name]
    return max((sum(a <= moment < b for a, b in of_worker) for moment, _ in of_worker), default=0)


@pytest.mark.slow
def test_workers_of_every_gpu_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5f")
    with cluster(1, per_gpu=2) as run_on:
        seen = [gpu for _, gpu in run_on(lambda _: visible_gpu(), list(range(8)))]
    assert set(seen) == {"3", "GPU-5f"}


def test_a_worker_of_a_gpu_has_its_share_of_the_memory(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    dask = SimpleNamespace(Nanny=None, Scheduler=None, SpecCluster=lambda shares, *_, **__: shares)
    shares = _local_cluster(dask, 1, 4, None).values()
    assert [each["options"]["memory_limit"] for each in shares] == [1 / 8] * 8


def visible_gpu():
    time.sleep(0.2)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_a_machine_without_a_gpu():
    with pytest.raises(InputError, match="this machine has no GPU"):
        with cluster(1, per_gpu=2):
            pass


def own_process(_):
    time.sleep(0.5)
    return os.getpid()


def test_as_many_workers_as_were_asked_for():
    """Whatever number of cores there is: each takes one of as many items."""
    with cluster(3) as run_on:
        pids = {pid for _, pid in run_on(own_process, list(range(3)))}
    assert len(pids) == 3


def test_workers_that_come_later(tmp_path):
    """Trials wait for the first worker, and go to those that come while others run."""
    with distributed.LocalCluster(n_workers=0, threads_per_worker=1, processes=False, **NO_PAGE) as late:
        with distributed.Client(late) as client:
            timer = threading.Timer(0.5, late.scale, (1,))
            more = threading.Timer(2.5, late.scale, (2,))
            timer.start()
            more.start()
            done = [result for _, result in run_on_workers(client, sleep_at_worker, list(range(60)))]
    assert len(done) == 60 and len({name for name, _, _ in done}) == 2


def test_slurm_that_is_not_described(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path))
    with pytest.raises(InputError, match="the workers could not be started: .*cores"):
        with cluster(2, "slurm"):
            pass


@pytest.mark.slow
def test_slurm(undisturbed, tmp_path, monkeypatch):
    """dask-jobqueue's own jobs, handed to a pretended `sbatch` that starts them on this machine."""
    tools = tmp_path / "bin"
    tools.mkdir()
    pids = tmp_path / "pids"
    (tools / "sbatch").write_text(
        f"""#!/bin/sh
cp "$1" "$1.job"  # dask-jobqueue removes its own at once
setsid sh "$1.job" > /dev/null 2>&1 &
echo $! >> {pids}
echo "Submitted batch job $!"
"""
    )
    (tools / "scancel").write_text("#!/bin/sh\nfor job; do kill -- -$job 2> /dev/null; done; true\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    for name, value in {"CORES": "1", "MEMORY": "2GB", "WALLTIME": "00:10:00"}.items():
        monkeypatch.setenv(f"DASK_JOBQUEUE__SLURM__{name}", value)
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__PYTHON", sys.executable)
    try:
        finish(tmp_path / "sweep", "--scheduler", "slurm", "--workers", 2)
    finally:
        for pid in pids.read_text().split() if pids.exists() else []:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGKILL)
    assert len(pids.read_text().split()) == 2
    assert_as_undisturbed(tmp_path / "sweep", undisturbed)
