"""A module of the user's own, named once for every process: what it registers is known like the library's."""

import importlib
import os

from fearlib.errors import InputError, one_line

PLUGIN = "FEARLIB_PLUGIN"
OTHERS = f"a module that adds others is named by {PLUGIN}"


def import_plugin(name: str | None = None) -> None:
    """Import the module `name`, by default that which the environment variable FEARLIB_PLUGIN names, if any.

    The command line, the notebooks' check of their parameters and the workers of a sweep do so before they look up
    a dataset, a measure or a search space. Raises InputError if it cannot be imported.
    """
    name = name or os.environ.get(PLUGIN)
    if not name:
        return
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever the module raises
        raise InputError(
            f"{PLUGIN}={name} cannot be imported ({one_line(error)}): it must name a module on Python's path, "
            "for which PYTHONPATH can name its folder."
        ) from error
