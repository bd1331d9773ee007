"""Reproducible ranking of neural architectures: FEAR, short training and zero-cost measures.

What it offers, and where, is in `__init__.pyi`. A name is imported when it is first asked for: `import fearlib`
alone imports nothing else.
"""

import ast
import importlib
from pathlib import Path

__version__ = "0.2.0"

_MODULES = {
    name.name: line.module
    for line in ast.parse(Path(__file__).with_suffix(".pyi").read_text()).body
    if isinstance(line, ast.ImportFrom)
    for name in line.names
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module 'fearlib' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
