"""Pickles are read as data: genuine ones load in every protocol, hostile and broken ones are refused."""

import collections
import contextlib
import importlib
import io
import itertools
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fearlib.errors import InputError
from fearlib.files.safe_pickle import load

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def read(data):
    return load(io.BytesIO(data), "x.pkl")


def refusal(data):
    """The message that `data` is refused with, once it is found to be a sentence about the file."""
    with pytest.raises(InputError) as error:
        read(data)
    message = str(error.value)
    assert message.startswith("x.pkl ") and message.endswith(".") and "\n" not in message
    return message


# Hostile pickles ----------------------------------------------------------------------------------------


class Calls:
    """Pickles as a call, which plain unpickling carries out."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call

    def __call__(self):
        """Here only because pickle asks that what it writes as a function be callable."""


def attacks(marker):
    """Pickles that make the folder `marker` when they are let."""
    os_module = Calls(importlib.import_module, "os")
    return {
        "os.system": Calls(os.system, f"mkdir {marker}"),
        "eval": Calls(eval, f"__import__('os').mkdir({str(marker)!r})"),
        "exec": Calls(exec, f"import os; os.mkdir({str(marker)!r})"),
        "os.mkdir": Calls(os.mkdir, str(marker)),
        "nested getattr": Calls(Calls(getattr, os_module, "mkdir"), str(marker)),
        "deep in data": {"a": [1, (np.arange(3), collections.OrderedDict(b=Calls(os.mkdir, str(marker))))]},
        "as array bytes": Calls(np.frombuffer, Calls(os.mkdir, str(marker)), "u1"),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("attack", attacks(""))
def test_code_in_a_pickle_does_not_run(attack, protocol, tmp_path):
    marker = tmp_path / "ran"
    data = pickle.dumps(attacks(marker)[attack], protocol)
    assert "which is refused" in refusal(data)
    assert not marker.exists()
    with contextlib.suppress(TypeError):  # frombuffer has no use for None
        pickle.loads(data)
    assert marker.exists(), "the attack is a real one"


REFUSED = """posix.system os.system builtins.eval __builtin__.eval builtins.getattr builtins.__import__
    subprocess.Popen importlib.import_module operator.attrgetter functools.partial copyreg._reconstructor
    numpy.load numpy.fromfile
    numpy.core.multiarray.fromfile numpy._core.multiarray.fromfile numpy.memmap torch.load pandas.read_pickle
    fearlib.files.safe_pickle.load collections.namedtuple builtins.object builtins.bytes""".split()


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_global_is_refused_by_name(name):
    module, attribute = name.rsplit(".", 1)
    assert repr(name) in refusal(f"c{module}\n{attribute}\n.".encode())


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("collections", "OrderedDict.__init__"),
        ("collections", "OrderedDict.__class__.__base__.__subclasses__"),
        ("numpy", "ndarray.tofile"),
        ("numpy.core.multiarray", "_reconstruct.__self__"),
        ("_codecs", "encode.__self__.lookup"),
    ],
)
def test_attributes_of_what_is_admitted_are_refused(module, name):
    text = [b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name)]
    assert f"{module}.{name}" in refusal(b"\x80\x04" + text[0] + text[1] + b"\x93.")


class Build:
    """Pickles as `function(*arguments)` with `state` handed to the result."""

    def __init__(self, function, arguments, state):
        self.parts = function, arguments, state

    def __reduce__(self):
        return self.parts


RECONSTRUCT = np.array(0).__reduce__()[0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bytes_cannot_be_passed_off_as_object_pointers(protocol):
    fields = {"a": (np.dtype(object), 0)}
    forged = Build(np.dtype, ("V8", False, True), (3, "|", None, ("a",), fields, 8, 1, 0))
    array = Build(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (1,), forged, False, b"\1\2\3\4\5\6\7\0"))
    data = pickle.dumps(array, protocol)
    assert pickle.loads(data).dtype["a"] == object, "the attack is a real one"
    assert "numbers or strings" in refusal(data)


@pytest.mark.parametrize("code", ["i8", "S8", "U2", "f8", "?"])
def test_a_plain_type_cannot_be_given_fields(code):
    fields = {"a": (np.dtype("i4"), 0)}
    forged = Build(np.dtype, (code, False, True), (3, "|", None, ("a",), fields, 8, 1, 0))
    refusal(pickle.dumps(forged))
    part = Build(np.dtype, (code, False, True), (3, "|", (np.dtype("i4"), (2,)), None, None, 8, 1, 0))
    refusal(pickle.dumps(part))


def test_an_array_cannot_look_into_another_arrays_memory():
    array = np.arange(4.0)
    frombuffer = np.arange(2).__reduce_ex__(5)[0]
    refusal(pickle.dumps(Calls(frombuffer, array, np.dtype("f8"), (4,), "C"), 4))


@pytest.mark.parametrize("code", ["O", "i4,f4", "V3", "M8[D]"])
def test_arrays_of_objects_and_structures_are_refused(code):
    for protocol in PROTOCOLS:
        assert "numbers or strings" in refusal(pickle.dumps(np.zeros(2, code), protocol))


@pytest.mark.parametrize(
    "name",
    ["numpy\ndtype", "numpy\nndarray", "numpy.core.multiarray\nscalar", "numpy.core.numeric\n_frombuffer"],
)
def test_a_pickle_cannot_change_how_the_next_one_is_read(name):
    array = np.arange(6, dtype="<i2").reshape(2, 3)
    for attribute in ("__defaults__", "__call__", "__new__", "__init__", "dtype", "__setstate__"):
        for value in (")", f"c{name}\n"):
            # c GLOBAL, ( MARK, N NONE, } EMPTY_DICT, V UNICODE, ) EMPTY_TUPLE, s SETITEM, t TUPLE, b BUILD
            with contextlib.suppress(InputError):
                read(f"c{name}\n(N}}V{attribute}\n{value}stb.".encode())
            for protocol in PROTOCOLS:
                loaded = read(pickle.dumps([array, array[1, 2]], protocol))
                assert np.array_equal(loaded[0], array) and loaded[0].dtype == array.dtype and loaded[1] == 5


def test_bytes_may_only_be_written_as_latin1():
    assert read(b"c_codecs\nencode\n(V\xe9\nVlatin1\ntR.") == b"\xe9"
    assert "latin-1" in refusal(b"c_codecs\nencode\n(Vab\nVrot13\ntR.")
    refusal(b"c_codecs\nencode\n(Vab\ntR.")


# Genuine pickles ----------------------------------------------------------------------------------------


PLAIN_TYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    hnp.byte_string_dtypes(min_len=1, max_len=4),
    hnp.unicode_string_dtypes(min_len=1, max_len=4),
)
ARRAYS = hnp.arrays(PLAIN_TYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


@settings(max_examples=150, deadline=None)
@given(ARRAYS, st.sampled_from(["C", "F", "reversed"]), st.sampled_from(PROTOCOLS), st.booleans())
def test_arrays_load_as_plain_unpickling_loads_them(array, layout, protocol, old_names):
    if layout == "F":
        array = np.asfortranarray(array)
    elif layout == "reversed" and array.ndim:
        array = array[::-1]
    data = pickle.dumps({"data": array, "one": array.flat[0] if array.size else None}, protocol)
    expected = pickle.loads(data)
    if old_names and protocol < 4:  # where a name is a line of text, of any length
        assert b"numpy._core" in data
        data = data.replace(b"numpy._core", b"numpy.core")
    loaded = read(data)
    assert isinstance(loaded["data"], np.ndarray) and loaded["data"].shape == expected["data"].shape
    assert loaded["data"].dtype == expected["data"].dtype
    assert loaded["data"].tobytes() == expected["data"].tobytes()
    assert np.array(loaded["one"]).tobytes() == np.array(expected["one"]).tobytes() or not array.size
    assert type(loaded["one"]) is type(expected["one"])


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_arrays_with_axes_in_any_order_load(axes):
    array = np.arange(24).reshape(2, 3, 4).transpose(axes)
    for protocol in PROTOCOLS:
        assert read(pickle.dumps(array, protocol)).tolist() == array.tolist()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.tuples(st.text(), st.integers()), inner)
        | st.dictionaries(st.integers(), inner).map(collections.OrderedDict)
    ),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(VALUES, st.sampled_from(PROTOCOLS))
def test_containers_load_unchanged(value, protocol):
    loaded = read(pickle.dumps(value, protocol))
    assert loaded == value and repr(loaded) == repr(value)


@pytest.mark.parametrize("protocol", [4, 5])
def test_sets_load_in_the_protocols_that_know_them(protocol):
    assert read(pickle.dumps([{1, 2}, frozenset("ab")], protocol)) == [{1, 2}, {"a", "b"}]


def test_python2_strings_become_text_and_array_contents():
    def text(string):
        return b"U" + bytes([len(string)]) + string

    pixels = bytes([0, 127, 128, 255, 10, 13])
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN"
    dtype += 2 * (b"J" + struct.pack("<i", -1)) + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    array += b"(K\x01K\x02K\x03\x86" + dtype + b"\x89" + text(pixels) + b"tb"
    labels = b"](K\x01K\x02e"
    entries = text(b"data") + array + text(b"labels") + labels + text(b"name") + text(b"\xe9")
    batch = read(b"\x80\x02}(" + entries + b"u.")
    assert batch["data"].dtype == np.uint8 and batch["data"].tolist() == [[0, 127, 128], [255, 10, 13]]
    assert batch["labels"] == [1, 2] and batch["name"] == "é"


# Broken pickles -----------------------------------------------------------------------------------------


GENUINE = [
    pickle.dumps({"a": [1, 2.5, ("x", None)], "b": np.arange(5), "c": np.float32(2), "d": b"\0\1"}, protocol)
    for protocol in PROTOCOLS
]


@pytest.mark.parametrize("data", GENUINE)
def test_every_truncation_is_refused(data):
    read(data)
    for length in range(len(data)):
        refusal(data[:length])


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_garbled_pickles_give_a_value_or_an_input_error(draw):
    data = bytearray(draw.draw(st.sampled_from(GENUINE) | st.binary(max_size=40)))
    for _ in range(draw.draw(st.integers(0, 4))):
        place = draw.draw(st.integers(0, len(data)))
        data[place : place + draw.draw(st.integers(0, 3))] = draw.draw(st.binary(max_size=4))
    try:
        read(bytes(data))
    except InputError as error:
        assert str(error).endswith(".") and "\n" not in str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"Nr\x00\x00\x00\x01.",  # LONG_BINPUT: an entry numbered 2**24
        b"Np16777216\n.",  # PUT
        b"\x8e" + struct.pack("<Q", 1 << 62) + b"abc.",  # BINBYTES8
        b"\x96" + struct.pack("<Q", 1 << 62) + b"abc.",  # BYTEARRAY8
        b"B" + struct.pack("<I", 0xFFFFFFFF) + b"abc.",  # BINBYTES
        b"\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"abc.",  # LONG4
        b"h\x05.",  # BINGET of an entry that is not there
        b"(" * 100_000 + b".",
        b"]" * 3 + b"\x85" * 100_000,
        b"",
    ],
)
def test_absurd_lengths_are_refused(data):
    refusal(data)


def test_a_file_that_cannot_be_read_is_an_input_error():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise EOFError("the compressed file ended early")

    with pytest.raises(InputError, match="x.pkl .*ended early"):
        load(Broken(), "x.pkl")
