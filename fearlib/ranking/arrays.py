"""What statistics are given, as arrays: checked, and without what is not known."""

import math
from fractions import Fraction
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from fearlib.errors import InputError


def vectors(*arrays: ArrayLike) -> tuple[np.ndarray, ...]:
    """The arrays as numbers. Raises InputError unless they are of one dimension and one length."""
    try:
        if any(map(_holds_texts, arrays)):
            raise ValueError
        checked = tuple(np.asarray(array, dtype=float) for array in arrays)
    except (TypeError, ValueError) as error:
        raise InputError("expected 1-d arrays of numbers, but one is ragged or holds something else.") from error
    shapes = {vector.shape for vector in checked}
    if len(shapes) != 1 or checked[0].ndim != 1:
        given = ", ".join(str(vector.shape) for vector in checked) or "none"
        raise InputError(f"expected 1-d arrays of one length, but the shapes given are: {given}.")
    return checked


def _holds_texts(array: ArrayLike) -> bool:
    """Or complex numbers: what numpy would make numbers of."""
    array = np.asarray(array)
    each = array.ravel() if array.dtype == object else ()
    return array.dtype.kind in "USc" or any(isinstance(one, str | bytes | complex) for one in each)


def finite_or_nan(*arrays: ArrayLike) -> list[np.ndarray]:
    """The arrays with NaN for what is infinite: neither a score nor an accuracy."""
    return [np.where(np.isfinite(vector), vector, math.nan) for vector in vectors(*arrays)]


def without_nan(*arrays: ArrayLike) -> list[np.ndarray]:
    """The arrays without the positions at which any of them is NaN."""
    checked = vectors(*arrays)
    known = ~np.isnan(checked).any(axis=0)
    return [vector[known] for vector in checked]


def exact_percent(percent: Real) -> Fraction:
    """The decimal number as written. Raises InputError unless it lies in 0..100."""
    try:
        exact = Fraction(str(percent)) if isinstance(percent, Real) else None
    except (ValueError, ZeroDivisionError):
        exact = None
    if exact is None or not 0 <= exact <= 100:
        raise InputError(f"percent {percent!r}: it must be a number in 0..100.")
    return exact
