"""What a sweep costs beside its trials: several workers, the journal, the driver's memory.

Run on an idle machine of two cores. Trials that do nothing, or sleep, stand for those of a real sweep where the
engine alone is measured.
"""

import itertools
import logging
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import dask
import distributed

from fearlib import Architecture, preset, run_sweep
from fearlib.sweeps.cluster import run_on_workers
from fearlib.sweeps.journal import append_to_journal, read_journal
from fearlib.sweeps.run import Trial

EQUAL, TURNS, NOTHINGS, WORKERS = 40, 3, 500, 64
MANY_ARCHITECTURES, MANY_SEEDS = 1000, 100


def main() -> None:
    logging.getLogger("distributed").setLevel(logging.WARNING)
    for measure in (simulated_cluster, overhead, many_results, efficiency):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))


def simulated_cluster(folder: Path) -> None:
    """All in one process, which they need not watch each; a trial sleeps for two to six seconds, longest first.

    So long does one epoch of an architecture take at the `compact` preset.
    """
    trials = [Trial(index, "shortreg(epochs=1)", 0) for index in range(10 * WORKERS)]
    trials.sort(key=nap, reverse=True)
    with dask.config.set(
        {"distributed.admin.system-monitor.interval": "1h", "distributed.worker.profile.enabled": 0}
    ):
        wall = time_on_workers(folder, slept, trials, WORKERS, processes=False)
    busy = sum(map(nap, trials)) / (WORKERS * wall)
    print(f"{len(trials)} sleeping trials on {WORKERS} simulated workers: {busy:.2f} of them busy (at least 0.9)")


def overhead(folder: Path) -> None:
    """Of trials that do nothing, and are journalled: in this process, and on one worker process."""
    trials = [Trial(index, "shortreg(epochs=1)", 0) for index in range(NOTHINGS)]
    here = [Architecture.from_index(trial.index) for trial in trials]
    with mock.patch("fearlib.sweeps.run.run_trial", lambda _, method, seed, *__: nothing(Trial(0, method, seed))):
        started = time.monotonic()
        run_sweep(folder / "here", "synthetic", settings(), ["shortreg(epochs=1)"], here)
        each = (time.monotonic() - started) / NOTHINGS
    print(f"overhead of a trial: {1000 * each:.1f} ms in the driver's process, tables included (at most 20)")
    each = time_on_workers(folder, nothing, trials, 1, processes=True) / NOTHINGS
    print(f"overhead of a trial: {1000 * each:.1f} ms on a worker process (at most 20)")


def many_results(folder: Path) -> None:
    """A driver of its own streams the results of a hundred thousand trials of nothing; another resumes."""
    for turn in ("stream", "resume"):
        subprocess.run([sys.executable, __file__, turn, folder], check=True)


def stream_or_resume(turn: str, folder: Path) -> None:
    """Streams all results; or resumes with one architecture more, whose first trial tells when it has."""
    count = MANY_ARCHITECTURES + (turn == "resume")
    architectures = [Architecture.from_index(index) for index in range(count)]
    peaks, starts = [], []

    def run_trial(architecture, method, seed, *_):
        peaks.append(peak_memory())
        starts.append(time.monotonic())
        return nothing(Trial(0, method, seed))

    many, started = MANY_ARCHITECTURES * MANY_SEEDS, time.monotonic()
    with mock.patch("fearlib.sweeps.run.run_trial", run_trial):
        run_sweep(folder, "synthetic", settings(), ["shortreg(epochs=1)"], architectures, range(MANY_SEEDS))
    if turn == "stream":
        print(
            f"driver of {many} results: {max(peaks):.0f} MB while they stream (at most 500), "
            f"{peak_memory():.0f} MB with the tables that follow; "
            f"{1000 * (time.monotonic() - started) / many:.2f} ms a result"
        )
    else:
        print(f"resume of a journal of {many} rows: {starts[0] - started:.1f} s until a trial starts (at most 3)")


def efficiency(folder: Path) -> None:
    """Equal trials, one worker and two, in turn; the clock starts once each worker has, on average, finished two.

    Of a network that is busy with arithmetic, with which cores scale; and of one that waits for memory, which the
    cores share, so that two processes slow each other down whoever starts them.
    """
    architecture = Architecture(["nor_conv_3x3"] * 6)
    wide = preset("smoke", "synthetic", train_images=200, channels=32, batch_size=16)
    for name, each, bound in (("arithmetic", wide, " (at least 0.93)"), ("memory", settings(), "")):
        rates = {1: [], 2: []}
        for turn, workers in itertools.product(range(TURNS), rates):
            results = folder / f"{name}-{turn}-{workers}"
            run_sweep(
                results, "synthetic", each, ["shortreg(epochs=1)"], [architecture], range(EQUAL), workers=workers
            )
            after = sorted(record["after"] for record in read_journal(results))
            warm = 2 * workers
            rates[workers].append((len(after) - warm) / (after[-1] - after[warm - 1]))
        one, two = (statistics.median(rates[workers]) for workers in rates)
        print(f"{one:.2f} trials/s on one worker, {two:.2f} on two, on networks bound by {name}: ", end="")
        print(f"efficiency {two / one / 2:.2f}{bound}")


def settings():
    return preset("smoke", "synthetic", train_images=1000, channels=8)


def time_on_workers(folder: Path, run, trials: list[Trial], workers: int, processes: bool) -> float:
    """Seconds until all trials have run on a cluster that is up, and are journalled."""
    kind = distributed.Nanny if processes else distributed.Worker
    spec = {name: {"cls": kind, "options": {"nthreads": 1, "memory_limit": 0}} for name in range(workers)}
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard_address": ":0"}}
    with distributed.SpecCluster(spec, scheduler) as cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(workers)
        client.submit(run, trials[0], pure=False).result()
        started = time.monotonic()
        for trial, result in run_on_workers(client, run, trials):
            append_to_journal(folder, {"trial": vars(trial), "test_accuracy": 0.0, **result})
        return time.monotonic() - started


def nap(trial: Trial) -> float:
    return 2 + trial.index % 11 * 0.4


def slept(trial: Trial) -> dict:
    time.sleep(nap(trial))
    return nothing(trial)


def nothing(trial: Trial) -> dict:
    row = {"method": trial.method, "score": 0.5, "seconds": 1.0, "macs": 10**9, "outcome": "ok"}
    epoch = {"stage": 1, "epoch": 1.0, "loss": 2.0, "train_top1": 0.5, "val_top1": 0.5}
    return {"rows": [row], "curve": [epoch | {"seconds": 1.0, "images": 1000, "macs": 10**9}]}


def peak_memory() -> float:
    """Of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) > 1:
        stream_or_resume(sys.argv[1], Path(sys.argv[2]))
    else:
        import sweeps  # so that workers import what they run, as they do in a sweep

        sweeps.main()
