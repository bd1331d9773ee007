"""What can be added to, and a module of the user's own, named once for every process, that adds to it."""

import functools
import importlib
import os
import re
import sys
from collections.abc import Callable, Container, Iterable, Iterator, MutableMapping
from typing import NamedTuple

from fearlib.errors import InputError, one_line
from fearlib.files.stays_text import stays_a_text

PLUGIN = "FEARLIB_PLUGIN"
OTHERS = f"a module that adds others is named by {PLUGIN}"


class Registry(MutableMapping):
    """Entries by name, in the order in which they were added; a name that is taken is refused.

    `what` an entry is in words, its `kind`, and the function or class that it is `made_by`: if that is the same
    again, as when a notebook's cell runs twice, a user's entry replaces itself; two closures of one function, or
    instances of one class, count as the same. The entries of `beside` stand in one column with these, so they
    share the names; those `reserved` stand for something else. The library's `own` names are known from the start;
    the module that they are `added_by` is imported when one of these entries is first asked for. Adding raises
    InputError if the name is taken or cannot be one, or the entry is of another kind.
    """

    def __init__(
        self,
        what: str,
        kind: type,
        made_by: Callable = lambda entry: entry,
        beside: "Registry | None" = None,
        own: Iterable[str] = (),
        added_by: str = "",
        reserved: Container[str] = (),
    ):
        self.what, self._kind, self._made_by, self._beside = what, kind, made_by, beside
        self._reserved = reserved
        self._entries, self._added_by = dict.fromkeys(own), added_by
        if beside is not None:
            beside._beside = self

    def __setitem__(self, name: str, entry) -> None:
        if not is_name(name):
            raise InputError(
                f"a {self.what} cannot be called {name!r:.80}: a letter, then letters, digits and . - _ make a "
                "name that no table reads as a number or as missing."
            )
        if not isinstance(entry, self._kind):
            raise InputError(f"a {self.what} must be a {self._kind.__name__}: {name!r} was given {entry!r:.80}.")
        if name in self._reserved:
            raise InputError(f"{name!r} has a meaning of its own already: choose another name.")
        if self._beside is not None and name in self._beside:
            raise InputError(f"there is a {self._beside.what} {name!r} already: choose another name.")
        if name in self and not self._is_the_same(self._entries[name], entry):
            raise InputError(f"there is a {self.what} {name!r} already: choose another name.")
        self._entries[name] = entry

    def _is_the_same(self, old, new) -> bool:
        new_origin = _origin(self._made_by(new))
        if old is None:  # one of the library's own, whose module adds it now
            return new_origin.module == self._added_by
        old_origin = _origin(self._made_by(old))
        return old == new or old_origin == new_origin and not old_origin.module.startswith("fearlib.")

    def __getitem__(self, name: str):
        if self._entries[name] is None:
            importlib.import_module(self._added_by)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:  # without asking for the entry
        return name in self._entries

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return repr(dict(self))


def is_name(name: object) -> bool:
    """Whether it is a text of a letter, then letters, digits and . - _, that no table reads as something else."""
    return isinstance(name, str) and bool(re.fullmatch(r"[^\W\d][\w.-]*", name)) and stays_a_text(name)


class _Origin(NamedTuple):
    """Where a function or class is written: its file or else its module, its name there, and what else tells."""

    module: str
    name: str
    details: tuple


def _origin(made_by) -> _Origin:
    """A script that is imported again, by a worker or as FEARLIB_PLUGIN, is another module of the same file."""
    details = ()
    if isinstance(made_by, functools.partial):
        details, made_by = (made_by.args, tuple(made_by.keywords.items())), made_by.func
    made_by = made_by if hasattr(made_by, "__qualname__") else type(made_by)
    module = made_by.__module__
    if made_by.__qualname__.endswith("<lambda>"):  # all of a module have one name
        details += (made_by.__code__.co_firstlineno,)
    if not module.startswith("fearlib."):
        module = getattr(sys.modules.get(module), "__file__", None) or module
    return _Origin(module, made_by.__qualname__, details)


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
    except (Exception, SystemExit) as error:  # whatever the module raises
        raise InputError(
            f"{PLUGIN}={name} cannot be imported ({one_line(error)}): it must name a module on Python's path, "
            "for which PYTHONPATH can name its folder."
        ) from error
