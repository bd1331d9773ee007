"""Where a number comes from: the code's commit, the packages and the machine."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
import time
import uuid
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from fearlib.plugin import PLUGIN

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = ("torch", "numpy", "pandas", "scipy")


def sitting(truth: pd.Series | None = None) -> dict:
    """One run, here and in this process: when, with what code, plugin, packages and truth, on what hardware."""
    attrs = {} if truth is None else truth.attrs
    return {
        "id": uuid.uuid4().hex,
        "started": utc_now(),
        "commit": code_commit(),
        "plugin": os.environ.get(PLUGIN) or None,
        "python": sys.version.split()[0],
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "hardware": hardware(),
        "workers": 1,
        "truth": None if truth is None else str(attrs.get("source", "given as numbers")),
        "truth_epochs": attrs.get("epochs") and int(attrs["epochs"]),
        "trials": 0,
    }


def utc_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@functools.cache
def code_commit() -> str:
    """The commit of the library's checkout, "+changes" if the code differs from it, or the installed version."""
    import fearlib

    root = Path(fearlib.__file__).resolve().parents[1]

    def git(*arguments):
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True).stdout

    try:
        if not (root / ".git").exists():  # installed somewhere, perhaps inside another project's checkout
            raise FileNotFoundError
        commit = git("rev-parse", "--short=12", "HEAD").strip()
        return commit + ("+changes" if git("status", "--porcelain", "--", "fearlib").strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return f"fearlib {fearlib.__version__}"


def hardware() -> str:
    """The GPU's name, or the processor's with the number of its cores."""
    import torch  # here, for a journal needs the clock alone

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    capabilities = torch.cpu.get_capabilities()
    return f"{capabilities['num_logical_cores']} cores, {capabilities.get('cpu_name', platform.processor())}"
