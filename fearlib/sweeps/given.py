"""What a sweep is given: architectures, seeds and accuracies, each once and such that they can be read again."""

import warnings
from collections.abc import Iterable

import pandas as pd

from fearlib.errors import InputError, check_seed, is_integer
from fearlib.files.stays_text import stays_a_text
from fearlib.files.tables import percentages
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture
from fearlib.spaces.registry import SPACES, space_of


def distinct(architectures: Iterable, seeds: Iterable[int]) -> tuple[list, list[int]]:
    """Both as lists, each architecture and seed once.

    Raises InputError if there are none, they cannot be lists, the architectures are not of one search space,
    the index or string of one could not be read again, or its index is of another.
    """
    for name, given in (("architectures", architectures), ("seeds", seeds)):
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise InputError(f"{name} is {given!r:.80}: it must be a list.")
    architectures, seeds = list(architectures), list(dict.fromkeys(map(check_seed, seeds)))
    if not architectures or not seeds:
        raise InputError("a sweep needs at least one architecture and one seed.")
    space = SPACES[space_of(architectures)]
    for each in architectures:
        _check_names(each)
        space.from_index(each.index)
    return list({each.index: each for each in architectures}.values()), seeds


def _check_names(architecture: Architecture | Genotype) -> None:
    """Raises InputError for an index that a journal, or a string that a table would not give back."""
    index, string = architecture.index, str(architecture)
    if not is_integer(index) or not 0 <= index < 2**63:
        raise InputError(f"{string} has the index {index!r:.80}: it must be an integer from 0 to 2**63 - 1.")
    if not stays_a_text(string):
        raise InputError(
            f"architecture {index} is the string {string!r}, which tables read as a number or as missing: its "
            "str() must give another, such as one that begins with a letter."
        )


def checked_truth(truth: pd.Series | dict[int, float], indices: list[int], stacklevel: int = 3) -> pd.Series:
    """The accuracies (%) as numbers by architecture, once some of `indices` are known to have one.

    A warning says of how many that is not so, in the line so many calls above.
    """
    if not isinstance(truth, pd.Series | dict):
        raise InputError(
            f"truth is a {type(truth).__name__}: it must be a Series or a dict of test accuracies in % by "
            "architecture index."
        )
    given = truth if isinstance(truth, pd.Series) else pd.Series(truth, dtype=object)
    numbered_by_pandas = given is truth and given.index.equals(pd.RangeIndex(len(given))) and not given.index.name
    if len(given) and numbered_by_pandas and list(given.index) != indices:
        raise InputError(
            f"truth is numbered 0 to {len(given) - 1} by pandas, which may be places in a list: if they are "
            "architecture indices, say so by truth.rename_axis('index'), or give a dict."
        )
    if not pd.api.types.is_integer_dtype(given.index):
        raise InputError(
            f"truth is numbered {', '.join(map(str, given.index[:3]))}, ..., which are not architecture indices: "
            "give a Series with these as its index, or a dict."
        )
    if given.index.has_duplicates:
        raise InputError(f"truth has architecture {given.index[given.index.duplicated()][0]} twice.")
    accuracies = percentages(given.dropna(), "truth")
    accuracies.attrs = given.attrs
    lacking = [index for index in indices if index not in accuracies.index]
    if lacking:
        message = (
            f"truth has no test accuracy of {len(lacking)} of {len(indices)} architectures, {lacking[0]} for one"
        )
        if len(lacking) == len(indices):
            raise InputError(f"{message}: give the accuracies of these, or leave truth out.")
        warnings.warn(f"{message}: their scores are not ranked.", stacklevel=stacklevel)
    return accuracies
