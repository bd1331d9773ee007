"""Reading the official dataset files, on tiny files in their genuine formats."""

import dataclasses
import functools
import hashlib
import http.server
import io
import pickle
import struct
import tarfile
import tempfile
import threading
from pathlib import Path

import numpy as np
import pooch
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fearlib.data import official as datafiles
from fearlib.data.official import DATASETS, read_images
from fearlib.data.registry import load_dataset
from fearlib.data.tensors import MEAN_AND_STD
from fearlib.errors import InputError

CIFAR10_FILES = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
IMAGENET_FILES = [f"train_data_batch_{k}" for k in range(1, 11)] + ["val_data"]


# Tiny datasets, written as their makers write them ------------------------------------------------------


def pixel_rows(count, pixels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, pixels), dtype=np.uint8)


def python2_pickle(data, key, labels):
    """The bytes Python 2's cPickle gives for {'data': array, key: labels} at protocol 2, spelled out.

    Strings are the opcodes U (short) and T (long), which hold bytes; integers below 256 are K.
    """

    def text(string):
        return b"U" + bytes([len(string)]) + string

    def integer(number):
        return b"K" + bytes([number]) if number < 256 else b"M" + struct.pack("<H", number)

    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    array += integer(0) + b"\x85" + text(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + integer(0) + integer(1) + b"\x87R"
    dtype += b"(" + integer(3) + text(b"|") + b"NNN" + 2 * (b"J" + struct.pack("<i", -1)) + integer(0) + b"tb"
    shape = integer(data.shape[0]) + integer(data.shape[1]) + b"\x86"
    raw = b"T" + struct.pack("<i", data.size) + data.tobytes()
    array += b"(" + integer(1) + shape + dtype + b"\x89" + raw + b"tb"
    numbers = b"](" + b"".join(map(integer, labels)) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(key.encode()) + numbers + b"u."


def python3_pickle(data, key, labels, protocol=4, as_bytes=True, **more):
    batch = {"data": data, key: labels, **more}
    if as_bytes:
        batch = {name.encode(): value for name, value in batch.items()}
    return pickle.dumps(batch, protocol=protocol)


def write_cifar10(folder, rows_each=2, write=python3_pickle):
    """Six files, `rows_each` images in each; returns all rows and labels in the files' order."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, labels = [], []
    for seed, file in enumerate(CIFAR10_FILES):
        rows.append(pixel_rows(rows_each, 3072, seed))
        labels.append([(seed + 3 * i) % 10 for i in range(rows_each)])
        (folder / file).write_bytes(write(rows[-1], "labels", labels[-1]))
    return np.concatenate(rows), np.concatenate(labels)


def write_cifar100(folder, write=python3_pickle):
    folder.mkdir(parents=True, exist_ok=True)
    train, test = pixel_rows(3, 3072, 1), pixel_rows(2, 3072, 2)
    (folder / "train").write_bytes(write(train, "fine_labels", [99, 0, 50]))
    (folder / "test").write_bytes(write(test, "fine_labels", [7, 98]))
    return train, test


def write_imagenet(folder, labels_of):
    """Eleven files with labels `labels_of[file]`; returns the rows of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for seed, file in enumerate(IMAGENET_FILES):
        rows[file] = pixel_rows(len(labels_of[file]), 768, seed)
        more = {"mean": np.zeros(768)} if file.startswith("train") else {}
        content = python3_pickle(rows[file], "labels", labels_of[file], protocol=3, as_bytes=False, **more)
        (folder / file).write_bytes(content)
    return rows


def publish(monkeypatch, name, folder, **changes):
    """Declare the files in `folder` the official ones."""
    facts = DATASETS[name]

    def sums(files):
        return {file: hashlib.md5((folder / file).read_bytes()).hexdigest() for file in files}

    facts = dataclasses.replace(facts, train=sums(facts.train), test=sums(facts.test), **changes)
    monkeypatch.setitem(datafiles.DATASETS, name, facts)


def refusal(name="cifar10", folder=None):
    """The one sentence with which reading is refused."""
    with pytest.raises(InputError) as caught:
        read_images(name, folder)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


# What is read ---------------------------------------------------------------------------------------------


def test_pixels_are_normalised_as_nats_bench_does(tmp_path):
    """The numbers of its code."""
    write_cifar10(tmp_path)
    made = load_dataset("cifar10", tmp_path)
    assert made.mean.tolist() == pytest.approx([125.3, 123.0, 113.9])
    assert made.std.tolist() == pytest.approx([63.0, 62.1, 66.7]) and made.padding == 4
    assert MEAN_AND_STD["cifar100"] == ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4))
    assert MEAN_AND_STD["imagenet16-120"] == ((122.68, 116.66, 104.01), (63.22, 61.26, 65.09))


def test_imagenet_pixels_are_red_green_blue_planes_row_by_row(tmp_path):
    rows = write_imagenet(tmp_path, {file: [1] for file in IMAGENET_FILES})
    (image,) = read_images("imagenet16-120", tmp_path).test_images
    for channel in range(3):
        for line in range(16):
            for column in range(16):
                assert image[channel, line, column] == rows["val_data"][0, 256 * channel + 16 * line + column]


def test_cifar10_batches_follow_one_another(tmp_path):
    rows, labels = write_cifar10(tmp_path, rows_each=3)
    read = read_images("cifar10", tmp_path)
    assert read.train_images.shape == (15, 3, 32, 32) and read.test_images.shape == (3, 3, 32, 32)
    assert type(read.train_images) is type(read.test_images) is np.ndarray
    assert read.train_images.dtype == read.test_images.dtype == np.uint8
    assert read.train_labels.dtype == read.test_labels.dtype == np.int64
    np.testing.assert_array_equal(read.train_images.reshape(15, -1), rows[:15])
    np.testing.assert_array_equal(read.test_images.reshape(3, -1), rows[15:])
    np.testing.assert_array_equal(read.train_labels, labels[:15])
    np.testing.assert_array_equal(read.test_labels, labels[15:])


WRITERS = {"Python 2": python2_pickle}
WRITERS |= {
    f"protocol {protocol}, {'bytes' if as_bytes else 'str'} keys": functools.partial(
        python3_pickle, protocol=protocol, as_bytes=as_bytes
    )
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    for as_bytes in (True, False)
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_pickle_protocol_is_read(tmp_path, write):
    train, test = write_cifar100(tmp_path, write)
    read = read_images("cifar100", tmp_path)
    np.testing.assert_array_equal(read.train_images.reshape(3, -1), train)
    np.testing.assert_array_equal(read.test_images.reshape(2, -1), test)
    assert read.train_labels.tolist() == [99, 0, 50] and read.test_labels.tolist() == [7, 98]


def test_cifar100_takes_the_fine_labels(tmp_path):
    def write(rows, key, labels):
        return python3_pickle(rows, key, labels, coarse_labels=[1] * len(labels))

    write_cifar100(tmp_path, write)
    assert read_images("cifar100", tmp_path).train_labels.tolist() == [99, 0, 50]


def test_column_major_array_is_read_by_position(tmp_path):
    write_cifar100(tmp_path, lambda rows, key, labels: python3_pickle(np.asfortranarray(rows), key, labels))
    np.testing.assert_array_equal(
        read_images("cifar100", tmp_path).train_images.reshape(3, -1), pixel_rows(3, 3072, 1)
    )


IMAGENET_LABELS = st.lists(st.integers(1, 1000) | st.integers(119, 122), max_size=4)


@settings(max_examples=25, deadline=None)
@given(st.lists(IMAGENET_LABELS, min_size=11, max_size=11))
def test_imagenet_keeps_the_first_120_classes(labels):
    labels_of = dict(zip(IMAGENET_FILES, labels, strict=True))
    labels_of["train_data_batch_4"] = [*labels_of["train_data_batch_4"], 120]
    labels_of["val_data"] = [1, *labels_of["val_data"]]
    with tempfile.TemporaryDirectory() as folder:
        rows = write_imagenet(Path(folder), labels_of)
        read = read_images("imagenet16-120", folder)
    for files, images, got in (
        (IMAGENET_FILES[:10], read.train_images, read.train_labels),
        (IMAGENET_FILES[10:], read.test_images, read.test_labels),
    ):
        expected = [
            (label - 1, row.reshape(3, 16, 16).tolist())
            for file in files
            for label, row in zip(labels_of[file], rows[file], strict=True)
            if label <= 120
        ]
        assert list(zip(got.tolist(), images.tolist(), strict=True)) == expected


# Where it is read from ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, inner, write",
    [("cifar10", "cifar-10-batches-py", write_cifar10), ("cifar100", "cifar-100-python", write_cifar100)],
)
def test_folder_is_the_official_one_or_holds_it(tmp_path, name, inner, write):
    write(tmp_path / inner)
    outside, inside = read_images(name, tmp_path), read_images(name, str(tmp_path / inner))
    assert len(outside.train_labels) > 0
    np.testing.assert_array_equal(outside.train_images, inside.train_images)


def test_environment_variable_names_the_folder_and_the_argument_wins(tmp_path, monkeypatch):
    write_cifar10(tmp_path / "one", rows_each=1)
    write_cifar10(tmp_path / "two", rows_each=2)
    monkeypatch.setenv("FEARLIB_DATA", str(tmp_path / "one"))
    assert len(read_images("cifar10").test_labels) == 1
    assert len(read_images("cifar10", tmp_path / "two").test_labels) == 2


def test_published_checksums_are_verified(tmp_path, monkeypatch):
    write_cifar10(tmp_path)
    read = read_images("cifar10", tmp_path)
    assert read.verified is False
    assert read.source == "unverified copy of CIFAR-10 (checksums differ from the official ones)"
    publish(monkeypatch, "cifar10", tmp_path)
    read = read_images("cifar10", tmp_path)
    assert read.verified is True and read.source == "official CIFAR-10 files"


@pytest.mark.parametrize("file", CIFAR10_FILES)
def test_one_changed_file_makes_a_copy_unverified(tmp_path, monkeypatch, file):
    write_cifar10(tmp_path)
    publish(monkeypatch, "cifar10", tmp_path)
    (tmp_path / file).write_bytes(python3_pickle(pixel_rows(1, 3072, 99), "labels", [5]))
    assert read_images("cifar10", tmp_path).verified is False


# What is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "CIFAR10", "", None, ["cifar10"]])
def test_unknown_dataset(name):
    message = refusal(name)
    assert repr(name) in message and "cifar10, cifar100, imagenet16-120" in message


def test_missing_folder_names_every_file(tmp_path):
    message = refusal("cifar10", tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in message and ", ".join(CIFAR10_FILES) in message


def test_missing_files_are_named_and_no_others(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "data_batch_3").unlink()
    (tmp_path / "test_batch").unlink()
    assert "data_batch_3, test_batch of CIFAR-10" in refusal("cifar10", tmp_path)


def test_every_truncation_is_refused(tmp_path):
    write_cifar100(tmp_path)
    content = (tmp_path / "test").read_bytes()
    for length in [0, 1, 2, 3, *range(4, len(content), 211), len(content) - 1]:
        (tmp_path / "test").write_bytes(content[:length])
        assert str(tmp_path / "test") in refusal("cifar100", tmp_path)


def test_swapped_datasets(tmp_path):
    write_cifar10(tmp_path / "ten")
    write_cifar100(tmp_path / "hundred")
    of_ten, of_hundred = (tmp_path / "ten" / "data_batch_2", tmp_path / "hundred" / "train")
    ten, hundred = of_ten.read_bytes(), of_hundred.read_bytes()
    of_ten.write_bytes(hundred)
    message = refusal("cifar10", tmp_path / "ten")
    assert str(of_ten) in message and "'data' and 'labels'" in message
    of_hundred.write_bytes(ten)
    message = refusal("cifar100", tmp_path / "hundred")
    assert str(of_hundred) in message and "'data' and 'fine_labels'" in message


def cifar10_with(folder, content):
    write_cifar10(folder)
    (folder / "test_batch").write_bytes(content)
    message = refusal("cifar10", folder)
    assert str(folder / "test_batch") in message
    return message


@pytest.mark.parametrize(
    "data",
    [
        pixel_rows(2, 3072).astype(np.float32),
        pixel_rows(2, 3072).astype(np.int8),
        pixel_rows(2, 768),
        pixel_rows(2, 3072).reshape(2, 3, 32, 32),
        pixel_rows(2, 3072).reshape(-1),
        pixel_rows(2, 3072).tolist(),
        np.array(7, dtype=np.uint8),
    ],
    ids=["float", "signed", "16x16", "four axes", "one axis", "list", "no axis"],
)
def test_wrong_dtype_or_shape(tmp_path, data):
    assert "uint8 with one row of 3072 pixels" in cifar10_with(tmp_path, python3_pickle(data, "labels", [1, 2]))


@pytest.mark.parametrize(
    "labels",
    [
        *([0, 10], [-1, 0], [0, 10**5000], [0, 1.0], ["0", "1"], [True, False], [[0], [1, 2]]),
        *("01", 7, (0, 1), np.array(7), np.array([[0, 1]]), np.array([0.0, 1.0]), np.array([True, False])),
        *(np.array([0, 10]), np.array([0, 2**64 - 1], np.uint64)),
        *([np.int64(0), np.int64(-1)], [np.bool_(True), 0]),
    ],
    ids=[
        "10",
        "-1",
        "huge",
        "float",
        "str",
        "bool",
        "ragged",
        "string",
        "number",
        "tuple",
        "no axis",
        "two axes",
        "floats",
        "booleans",
        "10 in an array",
        "huge in an array",
        "-1 of numpy",
        "boolean of numpy",
    ],
)
def test_labels_that_are_no_list_of_classes(tmp_path, labels):
    message = cifar10_with(tmp_path, python3_pickle(pixel_rows(2, 3072), "labels", labels))
    assert "integers in 0..9" in message


@pytest.mark.parametrize(
    "kind", [np.array, lambda labels: np.array(labels, np.uint8), lambda labels: list(np.array(labels))],
    ids=["array", "bytes", "numpy integers"],
)  # fmt: skip
def test_labels_may_be_numpys(tmp_path, kind):
    write_cifar100(tmp_path, lambda rows, key, labels: python3_pickle(rows, key, kind(labels)))
    read = read_images("cifar100", tmp_path)
    assert read.train_labels.tolist() == [99, 0, 50] and read.train_labels.dtype == np.int64
    assert type(read.train_labels) is np.ndarray


@pytest.mark.parametrize("label", [0, 1001])
def test_imagenet_labels_out_of_range(tmp_path, label):
    write_imagenet(tmp_path, {file: [1] for file in IMAGENET_FILES[:10]} | {"val_data": [1, label]})
    assert "integers in 1..1000" in refusal("imagenet16-120", tmp_path)


def test_lengths_that_differ(tmp_path):
    message = cifar10_with(tmp_path, python3_pickle(pixel_rows(2, 3072), "labels", [1, 2, 3]))
    assert "2 images but 3 labels" in message


def test_no_image(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "test_batch").write_bytes(python3_pickle(pixel_rows(0, 3072), "labels", []))
    assert "test_batch" in (message := refusal("cifar10", tmp_path)) and "no image" in message


def test_no_image_of_the_first_120_classes(tmp_path):
    write_imagenet(tmp_path, {file: [121] for file in IMAGENET_FILES})
    assert "no image of ImageNet16-120" in refusal("imagenet16-120", tmp_path)


SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ALMOST = st.fixed_dictionaries(
    {b"data": SCRAPS | st.just(pixel_rows(1, 3072))},
    optional={key: SCRAPS | st.lists(st.integers(0, 10), max_size=2) for key in (b"labels", "labels")},
)


@settings(max_examples=60, deadline=None)
@example({b"data": pixel_rows(1, 3072), b"labels": [3]})
@given(SCRAPS | ALMOST)
def test_whatever_is_pickled_is_read_or_refused_in_a_sentence(content):
    with tempfile.TemporaryDirectory() as folder:
        write_cifar10(Path(folder), rows_each=1)
        (Path(folder) / "data_batch_1").write_bytes(pickle.dumps(content))
        try:
            read = read_images("cifar10", folder)
        except InputError as error:
            assert "data_batch_1" in str(error)
        else:
            label = content.get("labels", content.get(b"labels"))
            assert len(label) == 1 and read.train_labels[0] == label[0]
            np.testing.assert_array_equal(read.train_images[0].reshape(-1), pixel_rows(1, 3072)[0])


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickle_that_runs_code_is_not_run(tmp_path):
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(RunsCode(trace)))
    assert trace.exists()  # the attack works on an ordinary reader
    trace.unlink()
    cifar10_with(tmp_path, python3_pickle(pixel_rows(1, 3072), "labels", [0], extra=RunsCode(trace)))
    assert not trace.exists()


# Archives, which are not unpacked -------------------------------------------------------------------------


def tar_of(folder, prefix, *others):
    """A .tar.gz of the files in `folder` under `prefix`, and of `others`, pairs of member and content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, f"{prefix}/{path.name}")
        for member, content in others:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def link(name, target):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def test_an_archive_is_read_as_it_is(tmp_path, monkeypatch):
    """Like its files, in the order of their names in the dataset; nothing is written beside it."""
    made, folder = tmp_path / "made", tmp_path / "given"
    write_cifar10(made, rows_each=3)
    folder.mkdir()
    extra = [(tarfile.TarInfo("cifar-10-batches-py/readme.html"), b"x"), (tarfile.TarInfo("../evil"), b"evil")]
    (folder / "cifar-10-python.tar.gz").write_bytes(tar_of(made, "./cifar-10-batches-py", *extra))
    for verified in (False, True):
        read, expected = read_images("cifar10", folder), read_images("cifar10", made)
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            np.testing.assert_array_equal(getattr(read, name), getattr(expected, name))
        assert read.verified is verified and read.source == expected.source
        publish(monkeypatch, "cifar10", made)
    assert {*tmp_path.rglob("*")} == {made, folder, *made.iterdir(), folder / "cifar-10-python.tar.gz"}
    write_cifar10(folder / "cifar-10-batches-py", rows_each=1)
    assert len(read_images("cifar10", folder).train_labels) == 5, "unpacked files go first"


def test_a_wrong_archive_is_refused(tmp_path, monkeypatch):
    made, archive = tmp_path / "made", tmp_path / "cifar-10-python.tar.gz"
    write_cifar10(made)
    whole = tar_of(made, "cifar-10-batches-py")
    for content in (b"", b"no archive", whole[:100], whole[: len(whole) // 2]):
        archive.write_bytes(content)
        assert "cifar-10-python.tar.gz" in refusal("cifar10", tmp_path)
    archive.write_bytes(tar_of(made, "elsewhere"))
    assert "it lacks data_batch_1" in refusal("cifar10", tmp_path)
    archive.write_bytes(tar_of(made, "cifar-10-batches-py", (link("cifar-10-batches-py/x", "/etc/hosts"), b"")))
    assert len(read_images("cifar10", tmp_path).train_labels) == 10
    (made / "test_batch").unlink()
    linked = link("cifar-10-batches-py/test_batch", "/etc/hosts")
    archive.write_bytes(tar_of(made, "cifar-10-batches-py", (linked, b"")))
    assert "it lacks test_batch" in refusal("cifar10", tmp_path)
    write_cifar10(made)
    again = tarfile.TarInfo("cifar-10-batches-py/data_batch_5")
    archive.write_bytes(tar_of(made, "cifar-10-batches-py", (again, b"other")))
    assert "more than one file cifar-10-batches-py/data_batch_5" in refusal("cifar10", tmp_path)
    archive.write_bytes(whole)
    for bound, least in (("MAX_MEMBERS", 5), ("MAX_ARCHIVE_BYTES", 6 * 3072), ("MAX_PADDING", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(datafiles, bound, least)
            message = refusal("cifar10", tmp_path)
            assert "not the archive of CIFAR-10" in message or "more than 100 bytes" in message


# What is downloaded ---------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of our own, and no folder named elsewhere."""
    monkeypatch.delenv("FEARLIB_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "fearlib"


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine: `served` holds its files, `asked` what was asked of it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served, asked = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = served.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        web.served, web.asked, web.url = served, asked, f"http://127.0.0.1:{web.server_port}"
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield web
        web.shutdown()
        thread.join()


def serve_cifar10(server, monkeypatch, folder, *others, md5=None):
    write_cifar10(folder)
    archive = tar_of(folder, "cifar-10-batches-py", *others)
    server.served["/cifar.tar.gz"] = archive
    origin, md5 = f"{server.url}/cifar.tar.gz", md5 or hashlib.md5(archive).hexdigest()
    publish(monkeypatch, "cifar10", folder, origin=origin, archive_md5=md5)


def test_cifar_is_downloaded_once(tmp_path, monkeypatch, cache, server):
    serve_cifar10(server, monkeypatch, tmp_path / "made")
    monkeypatch.setenv("FEARLIB_DATA", "")
    first, second = read_images("cifar10"), read_images("cifar10")
    assert server.asked == ["/cifar.tar.gz"]
    assert first.verified and second.verified
    np.testing.assert_array_equal(first.train_images, read_images("cifar10", tmp_path / "made").train_images)
    assert [path.name for path in cache.iterdir()] == ["cifar.tar.gz"]


@pytest.mark.parametrize("watched", [True, False])
def test_a_download_has_a_bar_where_somebody_looks(tmp_path, monkeypatch, cache, server, capsys, watched):
    serve_cifar10(server, monkeypatch, tmp_path / "made")
    monkeypatch.setattr(datafiles, "is_watched", lambda: watched)
    assert read_images("cifar10").verified
    assert ("100%|" in capsys.readouterr().err) == watched


def test_unpacked_files_in_the_cache_need_no_archive(tmp_path, monkeypatch, cache, server):
    """As former versions left them there; once one is lost, the archive is downloaded."""
    serve_cifar10(server, monkeypatch, tmp_path / "made")
    write_cifar10(cache / "cifar-10-batches-py")
    assert read_images("cifar10").verified and server.asked == []
    (cache / "cifar-10-batches-py" / "data_batch_2").unlink()
    assert read_images("cifar10").verified and server.asked == ["/cifar.tar.gz"]


def test_a_damaged_archive_in_the_cache_is_downloaded_again(tmp_path, monkeypatch, cache, server):
    serve_cifar10(server, monkeypatch, tmp_path / "made")
    cache.mkdir(parents=True)
    (cache / "cifar.tar.gz").write_bytes(b"damaged")
    assert read_images("cifar10").verified and server.asked == ["/cifar.tar.gz"]


def test_nothing_is_downloaded_when_a_folder_is_named(tmp_path, monkeypatch, cache, server):
    serve_cifar10(server, monkeypatch, tmp_path / "made")
    (tmp_path / "empty").mkdir()
    refusal("cifar10", tmp_path / "empty")
    monkeypatch.setenv("FEARLIB_DATA", str(tmp_path / "empty"))
    refusal("cifar10")
    assert server.asked == []


def test_archive_with_another_checksum(tmp_path, monkeypatch, cache, server):
    serve_cifar10(server, monkeypatch, tmp_path / "made", md5="0" * 32)
    message = refusal()
    assert DATASETS["cifar10"].origin in message and "0" * 32 in message and "FEARLIB_DATA" in message
    assert list(cache.iterdir()) == []


def test_archive_not_on_the_server(tmp_path, monkeypatch, cache, server):
    serve_cifar10(server, monkeypatch, tmp_path / "made")
    server.served.clear()
    message = refusal()
    assert DATASETS["cifar10"].origin in message and "FEARLIB_DATA" in message and "`folder`" in message


def test_no_network(tmp_path, monkeypatch, cache, server):
    serve_cifar10(server, monkeypatch, tmp_path / "made")
    server.shutdown()
    server.server_close()
    message = refusal()
    assert DATASETS["cifar10"].origin in message and "FEARLIB_DATA" in message and "`folder`" in message
    assert server.asked == []


def test_imagenet_is_not_downloaded(cache):
    message = refusal("imagenet16-120")
    assert ", ".join(IMAGENET_FILES) in message and str(cache / "ImageNet16") in message
    assert "image-net.org (downsampled ImageNet 16x16, Chrabaszcz et al. 2017)" in message


def test_imagenet_is_read_from_the_cache(cache):
    write_imagenet(cache / "ImageNet16", {file: [5] for file in IMAGENET_FILES})
    assert read_images("imagenet16-120").train_labels.tolist() == [4] * 10
