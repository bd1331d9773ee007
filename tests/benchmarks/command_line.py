"""How soon the command line answers, beside what it does not import, as ratios within one run.

Every line is a process of its own, all in turn, so that a busy machine is busy for each: seconds of the processor
(`cpu`) and on the clock, medians, less those of a Python that does nothing.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SWEEP = Path(__file__).parents[2] / "results" / "cifar10_compact"
FEAR, TURNS = "from fearlib.cli import main; main()", 7
STATEMENTS = {
    "python": ["pass"],
    "import torch": ["import torch"],
    "import fearlib": ["import fearlib"],
    "fear --help": [FEAR, "--help"],
    "fear list": [FEAR, "list"],
    "fear status, 1,000 trials": [FEAR, "status", str(SWEEP)],
    "fear rank, unknown preset": [FEAR, "rank", "nowhere", "--preset", "huge"],
    "fear rank, unknown option": [FEAR, "rank", "nowhere", "--colour", "red"],
}
BOUND = 0.3  # of importing torch


def main() -> None:
    taken = {name: [] for name in STATEMENTS}
    for _ in range(TURNS + 1):
        for name, words in STATEMENTS.items():
            taken[name].append(seconds(words))
    medians = {name: [statistics.median(column) for column in zip(*turns[1:])] for name, turns in taken.items()}
    nothing = medians.pop("python")
    over = {name: [each - least for each, least in zip(found, nothing)] for name, found in medians.items()}
    cpu_of_torch, clock_of_torch = over["import torch"]
    for name, (cpu, clock) in over.items():
        print(
            f"{name:26} {cpu:.2f} s cpu, {clock:.2f} s clock: {cpu / cpu_of_torch:.2f}, "
            f"{clock / clock_of_torch:.2f} of importing torch" + (f" (at most {BOUND})" if "fear" in name else "")
        )


def seconds(words: list[str]) -> tuple[float, float]:
    """Of the processor and on the clock, of a Python with these words after -c."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    clock, after = time.perf_counter() - started, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, clock


if __name__ == "__main__":
    main()
