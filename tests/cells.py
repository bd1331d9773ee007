"""The cells of a notebook in this process, which has imported what they need; a kernel takes five seconds to."""

import ast
import contextlib
import io
import json
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]


def run_notebook(name: str, /, **parameters) -> str:
    """Run a notebook in its folder with these parameters; what its cells print and show, as text and HTML."""
    path, namespace = ROOT / name, {"display": show}
    with contextlib.chdir(path.parent), contextlib.redirect_stdout(io.StringIO()) as said:
        with mock.patch("IPython.display.display", show):
            for cell in json.loads(path.read_text())["cells"]:
                if cell["cell_type"] == "code":
                    run_cell("".join(cell["source"]), namespace)
                if "parameters" in cell["metadata"].get("tags", []):
                    assert parameters.keys() <= namespace.keys()
                    namespace |= parameters
    plt.close("all")
    return said.getvalue()


def run_cell(source: str, namespace: dict) -> None:
    """Run a cell and show the value of its last line, if it has one."""
    cell = ast.parse(source)
    last = cell.body.pop() if isinstance(cell.body[-1], ast.Expr) else None
    exec(compile(cell, "<cell>", "exec"), namespace)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)
        if value is not None:
            show(value)


def show(value, **_) -> SimpleNamespace:
    """Print a value; what takes its place later is printed below it."""
    print(value._repr_html_() if hasattr(value, "_repr_html_") else value)
    return SimpleNamespace(update=show)
