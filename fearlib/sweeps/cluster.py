"""Where the trials of a sweep run, when that is not this process: dask workers here, on Slurm or anywhere."""

import asyncio
import collections
import contextlib
import functools
import importlib.util
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker

import torch

from fearlib.errors import InputError, one_line, require

_PAUSE = 1.0  # seconds after which a driver that waits looks for new workers
_TIMEOUT = 10  # seconds in which a scheduler must answer


@contextlib.contextmanager
def cluster(workers: int, scheduler: str | None = None, per_gpu: int | None = None):
    """Yields `run_on(run, items, deadline)`, as `run_on_workers` with the workers that were asked for.

    They end with the context, unless the scheduler is a given one. `scheduler` is the address of one that runs
    already, `tcp://host:port`; or "slurm", for `workers` jobs as the `jobqueue.slurm` part of dask's configuration
    describes them; or None, for one-thread processes on this machine: `workers` of them, or `per_gpu` for each of
    its GPUs. Raises InputError if the scheduler does not answer, the workers cannot be started, or there is no GPU
    to share.
    """
    distributed = require("distributed", "run more than one worker")
    config = {
        # A worker trains in a thread; glibc would give that memory of its own, which goes back to the system.
        "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "MALLOC_ARENA_MAX": 1},
        "distributed.worker.profile.enabled": False,  # it would hold the interpreter every 10 ms
        # Looking after themselves every 20 to 500 ms, as by default, takes a twentieth of two cores.
        **dict.fromkeys(("distributed.admin.tick.interval", "distributed.worker.memory.monitor-interval"), "1s"),
        "distributed.admin.system-monitor.interval": "5s",
        # A worker keeps the memory it has used: one that dask pauses would wait for ever. At 95% it is killed.
        **dict.fromkeys((f"distributed.worker.memory.{what}" for what in ("pause", "spill", "target")), False),
    }
    with require("dask", "run more than one worker").config.set(config), contextlib.ExitStack() as opened:
        try:
            if scheduler is None:
                loop = opened.enter_context(_loop_deaf_to_ctrl_c(distributed))
                address = opened.enter_context(_local_cluster(distributed, workers, per_gpu, loop))
            elif scheduler == "slurm":
                address = opened.enter_context(require("dask_jobqueue", "run on Slurm").SLURMCluster())
                address.scale(jobs=workers)
            else:
                address = scheduler
            client = opened.enter_context(distributed.Client(address, timeout=_TIMEOUT))
        except InputError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            if scheduler is None:
                raise InputError(
                    f"the workers could not be started ({one_line(error)}): if a script asked for them, it must "
                    'do so under `if __name__ == "__main__":`, for every worker imports it.'
                ) from None  # dask's tracebacks say no more
            if scheduler == "slurm":
                raise InputError(f"the workers could not be started: {one_line(error)}.") from error
            raise InputError(f"no dask scheduler answers at {scheduler!r}: expected tcp://HOST:PORT.") from error
        if scheduler not in (None, "slurm") or importlib.util.find_spec("bokeh"):  # without it there is no page
            print(f"The dashboard of the workers is at {client.dashboard_link}")
        yield functools.partial(run_on_workers, client, per_gpu=per_gpu)


@contextlib.contextmanager
def _loop_deaf_to_ctrl_c(distributed):
    """An event loop whose thread, and so every process that it starts, leaves Ctrl-C to the driver."""
    resource_tracker.ensure_running()  # its first start would let the signal through again
    runner = distributed.utils.LoopRunner()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        runner.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield runner.loop
    finally:
        runner.stop()


def _local_cluster(distributed, workers: int, per_gpu: int | None, loop):
    dashboard = {"dashboard_address": ":0"}
    if per_gpu is None:
        return distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, loop=loop, **dashboard
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else list(map(str, range(torch.cuda.device_count())))
    if not torch.cuda.device_count():
        raise InputError(f"per_gpu is {per_gpu}, but this machine has no GPU: ask for workers instead.")
    shares = {
        f"gpu{gpu}-{share}": {
            "cls": distributed.Nanny,
            "options": {
                "nthreads": 1,
                "env": {"CUDA_VISIBLE_DEVICES": gpu},
                "resources": {"GPU": 1 / per_gpu},
                "memory_limit": 1 / (len(gpus) * per_gpu),  # of the machine's; else it would be a core's share
            },
        }
        for gpu in gpus
        for share in range(per_gpu)
    }
    return distributed.SpecCluster(shares, {"cls": distributed.Scheduler, "options": dashboard}, loop=loop)


def run_on_workers(
    client, run: Callable, items: list, deadline: float = float("inf"), per_gpu: int | None = None
) -> Iterator[tuple]:
    """`run(item)` for every item, in order, on the client's workers; yields (item, result) as they finish.

    Each worker, of one thread, runs one at a time; with `per_gpu` only those that offer `1 / per_gpu` of a GPU as
    their resource. They may come and go meanwhile. None is handed out after the `deadline` (time.monotonic). An
    exception in place of a result is one that was raised around `run`, or dask's KilledWorker when workers died of
    the item too often. Raises InputError if the scheduler is lost or a worker has several threads.
    """
    try:
        yield from _as_they_finish(client, run, items, deadline, per_gpu)
    except (Exception, asyncio.CancelledError) as error:
        if client.status == "running" and not isinstance(error, OSError):
            raise
        raise InputError(
            "the dask scheduler is gone: start it, or another, and run the same again; what was finished is safe."
        ) from error


def _as_they_finish(client, run, items, deadline, per_gpu) -> Iterator[tuple]:
    needs = {} if per_gpu is None else {"resources": {"GPU": 1 / per_gpu}}
    waiting, running, done = collections.deque(items), {}, queue.SimpleQueue()
    slots, looked, told = 0, -float("inf"), False
    while (running and (slots or time.monotonic() < deadline)) or (waiting and time.monotonic() < deadline):
        if time.monotonic() - looked >= _PAUSE:
            slots, looked = _slots(client, per_gpu), time.monotonic()
            if not slots and not told:
                print("Waiting for a worker" + ("" if per_gpu is None else f" with 1/{per_gpu} of a resource GPU"))
            told = not slots
        while waiting and len(running) < slots and time.monotonic() < deadline:
            item = waiting.popleft()
            future = client.submit(run, item, pure=False, **needs)
            running[future] = item
            future.add_done_callback(done.put)
        try:
            future = done.get(timeout=_PAUSE)
        except queue.Empty:
            continue
        if future.cancelled():
            raise OSError("dask took an item back")
        yield running.pop(future), future.exception() or future.result()


def _slots(client, per_gpu: int | None) -> int:
    """How many items the workers that are there now can run at once. Raises InputError if one has several threads.

    Trials that share a process would share the random numbers of their initial weights. The scheduler itself is
    asked: what `client.scheduler_info` returns the client overwrites now and then with one that lists no workers.
    """
    workers = client.sync(client.scheduler.identity)["workers"]
    for address, worker in workers.items():
        if worker["nthreads"] != 1:
            raise InputError(
                f"the worker at {address} has {worker['nthreads']} threads: start it with --nthreads 1."
            )
    offers = (1 if per_gpu is None else worker["resources"].get("GPU", 0) * per_gpu for worker in workers.values())
    return sum(offer > 0.99 for offer in offers)
