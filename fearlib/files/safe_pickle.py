"""Pickles from outside, read as data: nothing in them can run code or reach into memory."""

import collections
import io
import pickle
import pickletools
from typing import BinaryIO

import numpy as np

from fearlib.errors import InputError, one_line
from fearlib.files.outside import read_at_most

MAX_BYTES = 2**28  # the largest file of the datasets, CIFAR-100's for training, has 156 MB
MAX_OPERATIONS = 2**22  # each makes one object, mostly; the same file has 200,000
_PLAIN_KINDS = "biufcSU"  # booleans, numbers, byte and text strings


def load(file: BinaryIO, what: str, most: int = MAX_BYTES):
    """The value pickled in `file`, an open binary file that is read to its end; `what` names it in errors.

    Built-in containers, numbers, strings, `OrderedDict` and numpy arrays and scalars of numbers or strings are
    admitted, in every pickle protocol; arrays come back as a plain subclass of `numpy.ndarray`. Strings written
    by Python 2 come back as `str`, byte for byte (latin-1).

    Raises InputError if the pickle is truncated or garbled, asks for anything else, or has more than `most` bytes
    or 4 million operations.
    """
    try:
        data = read_at_most(file, most, what)
        _check_operations(data)
        return _Unpickler(io.BytesIO(data), what).load()
    except InputError:
        raise
    except Exception as error:  # a garbled stream makes the unpickler raise nearly every kind there is
        raise InputError(f"{what} is not a readable pickle of plain data: {one_line(error)}.") from error


def _check_operations(data: bytes):
    """Refuse a pickle that would take far more memory than its own length.

    The unpickler allocates up to the largest memo index, 64 GB at most, and up to 200 times an operation's byte.
    """
    for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if opcode.name in ("PUT", "LONG_BINPUT") and argument > len(data):
            raise ValueError("it numbers an entry beyond what it can hold")
        if number >= MAX_OPERATIONS:
            raise ValueError(f"it has more than {MAX_OPERATIONS} operations")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, what: str):
        super().__init__(file, encoding="latin1")
        self.what = what

    def find_class(self, module: str, name: str):
        admitted = _ADMITTED.get((module.replace("numpy._core.", "numpy.core."), name))
        if admitted is None:
            raise InputError(
                f"{self.what} asks for {f'{module}.{name}'[:200]!r}, which is refused: "
                "it may hold only containers, numbers, strings and numpy arrays of these."
            )
        return lambda *arguments: admitted(*arguments)  # a pickle may set attributes on what it gets


class _Dtype:
    """Stands for `numpy.dtype`, whose own `__setstate__` lets a pickle pass raw bytes off as object pointers."""

    def __init__(self, code: str, *_):
        dtype = np.dtype(code) if isinstance(code, str) else None
        if dtype is None or dtype.kind not in _PLAIN_KINDS:
            raise ValueError("it has an array of something other than numbers or strings")
        self.dtype = dtype

    def __setstate__(self, state: tuple):
        _, byte_order, subarray, names, fields, *_ = state
        if any(part is not None for part in (subarray, names, fields)):
            raise ValueError("it has an array of structures")
        self.dtype = self.dtype.newbyteorder(byte_order)


class _Array(np.ndarray):
    """An array which takes its type from a `_Dtype` alone."""

    __slots__ = ()

    def __new__(cls, *_):
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple):
        version, shape, dtype, column_major, data = state
        if not _plain(dtype).itemsize:  # then any number of entries fits into no bytes
            raise ValueError("it has an array of entries without a size")
        super().__setstate__((version, shape, _plain(dtype), column_major, data))


def _plain(dtype: _Dtype) -> np.dtype:
    if not isinstance(dtype, _Dtype):
        raise ValueError("it has an array without a type")
    return dtype.dtype


def _frombuffer(data: bytes, dtype: _Dtype, shape: tuple, order: str, axes: tuple | None = None) -> np.ndarray:
    array = np.frombuffer(_contents(data), _plain(dtype))
    if order == "K":
        return array.reshape(shape).transpose(axes)
    return array.reshape(shape, order=order)


def _scalar(dtype: _Dtype, data: bytes) -> np.generic:
    return np.ndarray((), _plain(dtype), _contents(data))[()]


def _contents(data) -> bytes | bytearray:
    """`data` if it is a buffer that cannot move while an array looks at it (another array's can)."""
    if isinstance(data, str):
        return data.encode("latin1")
    if not isinstance(data, (bytes, bytearray)):
        raise ValueError("it has an array whose contents are not bytes")
    return data


def _encode(text: str, encoding: str) -> bytes:
    """How protocols 0 to 2 write bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("it has bytes that are not written as latin-1")
    return text.encode("latin1")


_ADMITTED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): lambda: b"",  # how protocols 0 to 2 write empty bytes
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
}
