"""Where the trials of a sweep run: in this process, or on the workers of a cluster."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fearlib.errors import InputError, check_whole


@dataclass(frozen=True)
class Place:
    """Where trials run: in this process, or on workers as `cluster` says. Raises InputError if it cannot be."""

    workers: int = 1
    scheduler: str | None = None
    per_gpu: int | None = None

    def __post_init__(self):
        check_whole(1, workers=self.workers, per_gpu=1 if self.per_gpu is None else self.per_gpu)
        if not isinstance(self.scheduler, str | None):
            raise InputError(f"scheduler is {self.scheduler!r:.80}: it must be tcp://HOST:PORT, or slurm.")
        if self.workers > 1 and self.scheduler != "slurm" and (self.per_gpu or self.scheduler):
            raise InputError(
                "workers are those that the scheduler has, or per_gpu for each GPU: leave workers out."
            )
        object.__setattr__(self, "workers", int(self.workers))  # perhaps numpy's
        object.__setattr__(self, "per_gpu", self.per_gpu and int(self.per_gpu))

    @property
    def is_here(self) -> bool:
        return self == Place()

    def opened(self, trials: list):
        """A context that yields `run_on(run, items, deadline)`; without trials no worker starts."""
        if self.is_here or not trials:
            return contextlib.nullcontext(run_here)
        from fearlib.sweeps.cluster import cluster  # here, for it imports torch and asyncio

        return cluster(self.workers, self.scheduler, self.per_gpu)


def run_here(run: Callable, items: list, deadline: float = float("inf")) -> Iterator[tuple]:
    """`run(item)` for every item in this process; yields (item, result), one by one until the `deadline`."""
    for item in items:
        if time.monotonic() >= deadline:
            return
        yield item, run(item)
