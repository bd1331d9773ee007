"""Damaged, altered and hostile files: every loader reads them rightly or refuses them in one clear sentence."""

import bz2
import copy
import csv
import gzip
import io
import json
import math
import os
import pickle
import re
import subprocess
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from nats_bench import ArchResults, ResultsCount
from pyarrow import parquet
from test_datafiles import IMAGENET_FILES, write_cifar10, write_cifar100, write_imagenet
from test_nasbench301 import FILES, log, write
from test_tinyimagenet import write_arrays, write_official

from fearlib import Architecture, log_times, ranking_table, read_rows, sample_architectures
from fearlib.benchmark.truth import benchmark_accuracy
from fearlib.data import tinyimagenet
from fearlib.data.dataset import ARRAYS
from fearlib.data.official import read_images
from fearlib.data.synthetic import load_synthetic
from fearlib.data.tinyimagenet import read_tinyimagenet
from fearlib.errors import InputError
from fearlib.files import safe_pickle
from fearlib.spaces.registry import SPACES
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.journal import (
    DAMAGED,
    JOURNAL,
    PACKED,
    end_of_journal,
    pack_journal,
    read_journal,
    read_journal_on,
    recover_journal,
)
from fearlib.sweeps.manifest import MANIFEST, open_manifest, read_manifest
from fearlib.sweeps.rows import ROW_COLUMNS, ROW_FORMS, ROWS, write_tables
from fearlib.sweeps.run import _take_up
from fearlib.sweeps.status import sweep_status
from fearlib.sweeps.writer import WRITER

# Malformed inputs of every kind in the slow run; the ordinary one makes a tenth of them.
EXAMPLES = {
    "cifar10": 1000, "cifar100": 1000, "imagenet16": 800, "archive": 1200, "table.csv": 800, "table.csv.gz": 500,
    "table.parquet": 800, "journal": 1200, "manifest": 1000, "rows": 1000, "indices": 800, "logs": 1000,
    "synthetic": 800, "packed journal": 500, "cifar10.tar.gz": 500, "tinyimagenet.npz": 300,
    "tinyimagenet.zip": 300,
}  # fmt: skip
assert sum(EXAMPLES.values()) >= 10_000

STRINGS = [str(Architecture.from_index(index)) for index in range(4)]


# How a file is damaged -----------------------------------------------------------------------------------


def damaged(draw, content):
    """`content` with up to three pieces cut off, overwritten, flipped, taken out, repeated or put elsewhere."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, max(0, len(content) - 1)))
        stop = min(len(content), start + draw(st.sampled_from((1, 2, 4, 16, 300))))
        how = draw(st.sampled_from(("cut", "flip", "overwrite", "delete", "repeat", "move", "number")))
        if how == "cut":
            del content[start:]
        elif how == "flip" and content:
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif how == "overwrite":
            content[start:stop] = draw(st.binary(max_size=8))
        elif how == "delete":
            del content[start:stop]
        elif how == "repeat":
            content[start:start] = content[start:stop] * draw(st.sampled_from((1, 2, 50)))
        elif how == "move":
            content[draw(st.integers(0, len(content))) : 0] = content[start:stop]
        else:  # where a binary format keeps a length or count, or a text one a digit
            content[start:start] = draw(
                st.sampled_from((b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"9" * 30, b"-", b"e9"))
            )
    return bytes(content)


ODD = st.one_of(
    st.sampled_from(
        [None, True, [], {}, [[]], "", "\n", "nan", "\ud800", "é", "failed: \r\n", -1, 0, 2**63, 10**400,
         -(10**30), 0.5, 1e308, -1e-308, math.inf, -math.inf, math.nan, "9" * 5000, {"a": {"b": [None]}}]
    ),
    st.integers(), st.floats(), st.text(max_size=6),
)  # fmt: skip


def altered(draw, value, odd=ODD):
    """A copy of a nested value, in which up to two entries are replaced, removed, renamed or doubled."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        places = [(None, None), *_places(value)]
        parent, key = draw(st.sampled_from(places))
        if parent is None:
            value = copy.deepcopy(draw(odd)) if draw(st.integers(0, 9)) == 0 else value
            continue
        how = draw(st.sampled_from(("replace", "replace", "remove", "rename", "double", "swap")))
        if how == "replace":
            parent[key] = copy.deepcopy(draw(odd))  # the next change must not reach the example itself
        elif how == "remove":
            del parent[key]
        elif how == "rename" and isinstance(parent, dict):
            parent[draw(st.text(max_size=5))] = parent.pop(key)
        elif how == "double" and isinstance(parent, list):
            parent.insert(0, parent[key])
        else:
            other_parent, other = draw(st.sampled_from(places[1:]))
            parent[key] = copy.deepcopy(other_parent[other])
    return value


def _places(value):
    """(container, key) of every entry at any depth."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def altered_table(draw, text):
    """A CSV text with rows or columns dropped, doubled or swapped, or fields replaced."""
    rows = [line.split(",") for line in text.splitlines()]
    for _ in range(draw(st.integers(1, 2))):
        row = draw(st.integers(0, len(rows) - 1))
        column, other = (draw(st.integers(0, max(0, len(rows[0]) - 1))) for _ in range(2))
        how = draw(
            st.sampled_from(("field", "field", "row", "no row", "column", "no column", "swap", "short", "long"))
        )
        if how == "field":
            odd = draw(ODD)
            rows[row] = [
                *rows[row][:column],
                odd if isinstance(odd, str) else json.dumps(odd),
                *rows[row][column + 1 :],
            ]
        elif how == "row":
            rows.insert(draw(st.integers(0, len(rows))), rows[row])
        elif how == "no row" and len(rows) > 1:
            del rows[row]
        elif how == "column":
            rows = [[*line[: column + 1], *line[column:]] for line in rows]
        elif how == "no column" and len(rows[0]) > 1:
            rows = [line[:column] + line[column + 1 :] for line in rows]
        elif how == "swap":
            rows[0] = [
                rows[0][{column: other, other: column}.get(k, k)] if k < len(rows[0]) else ""
                for k in range(len(rows[0]))
            ]
        elif how == "short":
            rows[row] = rows[row][:column]
        else:
            rows[1:] = [[*line, "0"] for line in rows[1:]]
    return "\n".join(map(",".join, rows)) + draw(st.sampled_from(("\n", "", "\r\n", "\n\n")))


def read_or_refused(read, path, said=None):
    """What `read` gives; None if it refuses in one line with what is `said`, by default the file or folder."""
    try:
        return read()
    except InputError as error:
        message = str(error)
        assert message.splitlines() == [message] and message.endswith("."), message
        expected = (path.name, str(path.parent)) if said is None else (said,)
        assert any(text in message for text in expected), message
        assert len(message) < 2000 + len(str(path)), len(message)
        return None


def put(path, content, genuine):
    assume(content != genuine)
    path.write_bytes(content)


def encoded(text):
    return text.encode(errors="surrogatepass")


# A check of every kind: it makes a genuine file in a folder and returns what one example does with it ----


def batch_file(name, write_genuine, spoilt, classes):
    """A batch file with damaged bytes, or with another value of the same kind."""

    def check(folder):
        write_genuine(folder)
        path, original = folder / spoilt, read_images(name, folder)
        genuine = path.read_bytes()
        batch = pickle.loads(genuine)
        (pixels,) = (value for value in batch.values() if isinstance(value, np.ndarray) and value.ndim == 2)
        arrays = [
            pixels[:0],
            pixels[:, 1:],
            pixels.astype(float),
            pixels[0],
            np.repeat(pixels, 2, 0),
            pixels[..., None],
        ]
        odd = (
            ODD
            | st.sampled_from(arrays)
            | st.lists(st.sampled_from((-1, 0, 99, 100, 1001)), min_size=1, max_size=3)
        )

        def attempt(draw):
            changed = None
            if draw(st.booleans()):
                put(path, damaged(draw, genuine), genuine)
            else:
                changed = altered(draw, batch, odd)
                put(path, pickle.dumps(changed, draw(st.integers(0, 5))), genuine)
            read = read_or_refused(lambda: read_images(name, folder), path)
            if read is not None:
                for images, labels in (
                    (read.train_images, read.train_labels),
                    (read.test_images, read.test_labels),
                ):
                    assert images.dtype == np.uint8 and images.shape[1:] == original.train_images.shape[1:]
                    assert labels.dtype == np.int64 and len(labels) == len(images) > 0
                    assert 0 <= labels.min() and labels.max() < classes
                if changed is not None and name != "imagenet16-120":  # of which classes are left out
                    number = len(changed.get(b"data", changed.get("data")))
                    assert len(read.train_labels) == len(original.train_labels) - len(pixels) + number
                np.testing.assert_array_equal(read.test_images, original.test_images)
                np.testing.assert_array_equal(read.test_labels, original.test_labels)

        return attempt

    return check


def packed_batches(folder):
    """CIFAR-10's archive, damaged within or without its packing; its files have no checksums but gzip's."""
    write_cifar10(folder / "made", 1)
    path, content = folder / "cifar-10-python.tar.gz", io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(folder / "made", "cifar-10-batches-py")
    plain, original = content.getvalue(), read_images("cifar10", folder / "made")

    def attempt(draw):
        within = draw(st.booleans())
        genuine = gzip.compress(plain)
        put(path, gzip.compress(damaged(draw, plain)) if within else damaged(draw, genuine), genuine)
        read = read_or_refused(lambda: read_images("cifar10", folder), path)
        if read is not None:
            assert read.train_images.shape == (5, 3, 32, 32) and read.test_images.shape == (1, 3, 32, 32)
            assert read.train_labels.dtype == np.int64 and set(read.train_labels) <= set(range(10))
            assert within or (read.train_images == original.train_images).all()

    return attempt


def stand_in_arrays(folder):
    """Its bytes damaged, which checksums guard, or arrays that do not belong together."""
    write_arrays(folder, 1)
    path, original = folder / tinyimagenet.ARRAYS, read_tinyimagenet(folder)
    genuine = path.read_bytes()
    with np.load(path) as file:
        made = dict(file)
    odd = [change(array) for array in made.values() for change in (np.ravel, lambda array: array[1:])]
    odd += [made["train_images"].astype(float), made["test_labels"] + 1, np.array(7), np.array([None])]

    def attempt(draw):
        damage = draw(st.booleans())
        if damage:
            put(path, damaged(draw, genuine), genuine)
        else:
            np.savez(path, **altered_arrays(draw, made, odd))
        read = read_or_refused(lambda: read_tinyimagenet(folder), path)
        if read is not None:
            assert read.train_images.shape == (120, 3, 16, 16) and read.train_images.dtype == np.uint8
            assert sorted(read.train_labels) == list(range(120))
            assert not damage or (read.train_images == original.train_images).all()

    return attempt


def altered_arrays(draw, made, odd):
    changed = dict(made)
    name, other = (draw(st.sampled_from(sorted(made))) for _ in range(2))
    changed[name] = draw(st.sampled_from([made[other], *odd]))
    if draw(st.booleans()):
        changed.pop(other)
    return changed


def stand_in_pictures(folder):
    """The official archive, or a file in it, damaged; of two classes."""
    write_official(folder / "made" / tinyimagenet.OFFICIAL)
    files = {path.relative_to(folder / "made"): path for path in (folder / "made").rglob("*") if path.is_file()}
    contents = {name.as_posix(): path.read_bytes() for name, path in files.items()}
    path, kept = folder / f"{tinyimagenet.OFFICIAL}.zip", folder / tinyimagenet.ARRAYS
    spoilt = [name for name in contents if name.endswith(("wnids.txt", "annotations.txt", "val_1.JPEG"))]

    def packed(contents):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, each in contents.items():
                archive.writestr(name, each)
        return content.getvalue()

    def read():
        kept.unlink(missing_ok=True)
        with mock.patch.object(tinyimagenet, "CLASSES", 2):
            return read_tinyimagenet(folder)

    genuine = packed(contents)
    path.write_bytes(genuine)
    original = read()

    def attempt(draw):
        within = draw(st.booleans())
        if within:
            name = draw(st.sampled_from(spoilt))
            put(path, packed(contents | {name: damaged(draw, contents[name])}), genuine)
        else:
            put(path, damaged(draw, genuine), genuine)
        found = read_or_refused(read, path)
        if found is not None:
            assert found.train_images.shape[1:] == (3, 16, 16) and set(found.test_labels) == {0, 1}
            assert within or (found.train_images == original.train_images).all()

    return attempt


def archive(folder):
    """NATS-Bench's archive of two architectures with 12 epochs; its list of architectures is cut to four."""

    def training(index):
        results = ArchResults(index, STRINGS[index])
        for seed in (777, 888):
            curve = {epoch: 10.0 * index + epoch for epoch in range(12)}
            config = {"channel": 16, "num_cells": 5, "arch_str": STRINGS[index], "class_num": 10}
            result = ResultsCount("cifar10", None, curve, curve, 0.5, 70.0, config, seed, 12, [0.01])
            result.reset_pseudo_train_times(9.5)
            accuracies = {f"ori-test@{epoch}": value for epoch, value in curve.items()}
            result.update_eval(accuracies, accuracies, dict.fromkeys(accuracies, 1.5))
            results.update("cifar10", seed, result)
        results.clear_params()
        return {"12": results.state_dict()}

    contents = {"meta": {"meta_archs": STRINGS, "total_archs": 4, "arch2infos": None, "evaluated_indexes": set()}}
    contents |= {f"{index:06d}": training(index) for index in (1, 3)}
    for name, content in contents.items():
        (folder / f"{name}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(content, 4)))
    expected = {3: 41.0, 1: 21.0}
    assert benchmark_accuracy(folder, "cifar10", [3, 1], 12).to_dict() == expected

    def attempt(draw):
        name = draw(st.sampled_from(("meta", "000003", "000003")))
        path, content = folder / f"{name}.pickle.pbz2", pickle.dumps(contents[name], 4)
        genuine = bz2.compress(content)
        how = draw(st.sampled_from(("packed", "pickled", "value", "value", "unpacked")))
        if how == "packed":
            put(path, damaged(draw, genuine), genuine)
        elif how == "pickled":
            put(path, bz2.compress(damaged(draw, content)), genuine)
        elif how == "value":
            put(path, bz2.compress(pickle.dumps(altered(draw, contents[name]), 4)), genuine)
        else:
            put(path, draw(st.sampled_from((content, gzip.compress(content), b""))), genuine)
        try:
            read = read_or_refused(lambda: benchmark_accuracy(folder, "cifar10", [3, 1], 12), path)
        finally:
            path.write_bytes(genuine)
        if read is not None:
            assert list(read.index) == [3, 1] and read[1] == expected[1] and 0 <= read[3] <= 100
            assert how in ("pickled", "value") or read[3] == expected[3]

    return attempt


def truth_table(ending):
    """A table of accuracies; what a CSV gives is compared with what Python's own reader finds in it."""

    def check(folder):
        path = folder / f"truth{ending}"
        rows = pd.DataFrame(
            {"index": range(4), "arch": STRINGS, "cifar10": [90.5, 91.25, 10.0, 0.0], "synthetic": 5}
        )
        text = rows.to_csv(index=False)
        rows.to_parquet(folder / "genuine.parquet", index=False)
        genuine = {
            ".csv": text.encode(),
            ".csv.gz": gzip.compress(text.encode()),
            ".parquet": (folder / "genuine.parquet").read_bytes(),
        }[ending]
        other_rows = [
            rows.astype({"cifar10": str}), rows.astype({"index": float}), rows.iloc[::-1],
            rows.assign(cifar10=[[1.0]] * 4), rows.assign(index=[0, 1, 2, None]), rows.drop(columns="arch"),
            pd.concat([rows, rows]),
            rows.assign(arch=b"1"), rows.assign(cifar10=pd.Timestamp(0)), rows.set_index("index"), rows.iloc[:0],
            rows.assign(index=-1), rows.assign(arch=STRINGS[0]), rows.astype("category"),
        ]  # fmt: skip

        def attempt(draw):
            how = draw(st.sampled_from(("bytes", "table")))
            if how == "bytes":
                content = damaged(draw, genuine)
            elif ending == ".parquet":
                content = io.BytesIO()
                compression = draw(st.sampled_from(("snappy", "zstd", None)))
                draw(st.sampled_from(other_rows)).sample(frac=1, random_state=draw(st.integers(0, 99))).to_parquet(
                    content, compression=compression
                )
                content = damaged(draw, content.getvalue()) if draw(st.booleans()) else content.getvalue()
            else:
                content = encoded(altered_table(draw, text))
                content = gzip.compress(content) if ending == ".csv.gz" else content
            put(path, content, genuine)
            read = read_or_refused(lambda: benchmark_accuracy(path, "cifar10", [3, 1]), path)
            if read is not None:
                assert list(read.index) == [3, 1] and read.dtype == float and read.between(0, 100).all()
                plain = gzip.decompress(content) if ending == ".csv.gz" else content
                if ending != ".parquet" and not set(b'"\r\0') & set(plain):
                    lines = list(csv.reader(plain.decode("utf-8-sig").splitlines()))
                    names = [re.sub(r"[\s_-]", "", name).lower() for name in lines[0]]
                    columns = [names.index(name) for name in ("arch", "cifar10")]
                    pairs = [
                        [line[column] for column in columns] for line in lines[1:] if len(line) > max(columns)
                    ]
                    found = {"".join(arch.split()): accuracy for arch, accuracy in pairs}
                    assert read.to_list() == [float(found[STRINGS[3]]), float(found[STRINGS[1]])]

        return attempt

    return check


CONFIGURATION = {
    "space": "nats-tss", "dataset": "cifar10", "dataset_source": "official", "dataset_verified": True,
    "dataset_fingerprint": "0123456789abcdef", "train_images": 100, "test_images": 100,
    "settings": {"preset": "smoke", "channels": 4, "train_images": None, "threshold": 0.1},
}  # fmt: skip
MANIFEST_VALUE = {
    "configuration": CONFIGURATION,
    "sittings": [
        {"started": "2026-01-01T00:00:00Z", "commit": "abc", "packages": {"torch": "2"}, "truth": None,
         "trials": 5, "missing": {"full": 3, "fear(stage2_epochs=2)": 3}},
        {"started": "2026-01-02T00:00:00Z", "commit": "abc", "packages": {"torch": "2"}, "truth": None,
         "trials": 1, "missing": {"full": 2}, "ended": "2026-01-02T01:00:00Z"},
    ],
}  # fmt: skip


def record(number):
    """A trial's line, as a sweep writes it; every fourth failed, and every third is of the second sitting."""
    method = ("full", "fear(stage2_epochs=2)")[number % 2]
    row = {"method": method, "score": 0.1 + number / 7, "seconds": 1.5 + number, "macs": 10**9, "outcome": "ok"}
    epoch = {"stage": 1, "epoch": 1, "loss": 2.0 + number, "train_top1": 0.5, "val_top1": math.nan, "seconds": 1.5,
             "images": 100, "macs": 10**9}  # fmt: skip
    if number % 4 == 3:
        row |= {"score": math.nan, "seconds": math.nan, "macs": math.nan, "outcome": "failed: ValueError: a\nb"}
    made = {"trial": {"index": number, "method": method, "seed": 0}, "sitting": int(number % 3 == 2)}
    made |= {"test_accuracy": 90.0 + number, "after": 2.5 * number, "rows": [row], "curve": [epoch] * (number % 3)}
    return made | {"elapsed": 2.0, "hardware": "2 cores"}


RECORDS = [record(number) for number in range(6)]


def write_sweep(folder):
    (folder / MANIFEST).write_text(json.dumps(MANIFEST_VALUE, indent=1))
    (folder / JOURNAL).write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    write_tables(folder)


def journal(folder):
    """Damage within lines, or across them: every line that it leaves alone is read, and no line is lost."""
    write_sweep(folder)
    path = folder / JOURNAL
    genuine = path.read_bytes()
    lines = genuine.splitlines(keepends=True)

    def attempt(draw):
        changed = list(lines)
        for number in draw(st.sets(st.integers(0, len(lines) - 1), min_size=1, max_size=3)):
            if draw(st.booleans()):
                changed[number] = damaged(draw, lines[number])
            else:
                changed[number] = json.dumps(altered(draw, RECORDS[number])).encode() + b"\n"
        put(path, b"".join(changed), genuine)
        (folder / DAMAGED).unlink(missing_ok=True)
        records = read_or_refused(lambda: read_journal(folder), path)
        if records is None:
            values = map(_json, b"".join(changed).split(b"\n"))  # damage can make two lines of one
            assert any("test_accuracy" not in value for value in values if isinstance(value, dict))
            return
        before = [line for line in path.read_bytes().split(b"\n") if line]
        read, there = [repr(record) for record in records], [repr(_json(line)) for line in before]
        for number, line in enumerate(changed):
            if line == lines[number] and (number == 0 or changed[number - 1].endswith(b"\n")):
                assert read.count(repr(RECORDS[number])) == there.count(repr(RECORDS[number])) >= 1
        status = read_or_refused(lambda: sweep_status(folder), path)
        if status is not None:
            last = {repr(record["trial"]) for record in read_journal_on(folder, curves=False)[0]}
            assert status.total.finished + status.total.failed == len(last)
        rows = read_or_refused(lambda: write_tables(folder), path)
        if rows is not None:
            again = read_or_refused(lambda: read_rows(folder), folder / ROWS)
            assert again is None or again["index"].to_list() == rows["index"].to_list()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            taken_up = read_or_refused(lambda: _take_up(folder, {"sittings": [{}]}, None), folder)
        finished = taken_up[0] if taken_up else ()
        assert {trial.index for trial in finished} <= {record["trial"]["index"] for record in records}
        kept = [path, folder / DAMAGED]
        after = [line for file in kept if file.exists() for line in file.read_bytes().split(b"\n") if line]
        assert sorted(after) == sorted(before)
        assert [repr(record) for record in read_journal(folder)] == read

    return attempt


def packed_journal(folder):
    """Its check sums see to it that no line is read otherwise than it was packed."""
    write_sweep(folder)
    path = folder / PACKED
    pack_journal(folder)
    genuine, whole = path.read_bytes(), {repr(record) for record in RECORDS}

    def attempt(draw):
        (folder / JOURNAL).unlink(missing_ok=True)
        put(path, damaged(draw, genuine), genuine)
        records = read_or_refused(lambda: read_journal(folder), path)
        end = read_or_refused(lambda: end_of_journal(folder), path)
        rows = read_or_refused(lambda: read_rows(folder), path)
        if records is None:
            return
        assert end is not None and rows is not None
        assert {repr(record) for record in records} <= whole
        after = read_or_refused(lambda: read_journal_on(folder, end[1]), path)
        assert after[0] == [] or after[2]
        assert len(list(recover_journal(folder))) == len(records)

    return attempt


def _json(line):
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def manifest(folder):
    """The manifest, or the note of who writes to the folder."""
    write_sweep(folder)
    path = folder / MANIFEST
    genuine = path.read_bytes()
    note = json.dumps({"process": os.getpid(), "machine": "elsewhere", "since": "2026"}).encode()

    def attempt(draw):
        (folder / WRITER).write_bytes(damaged(draw, note))
        if draw(st.booleans()):
            put(path, damaged(draw, genuine), genuine)
        else:
            put(path, json.dumps(altered(draw, MANIFEST_VALUE)).encode(), genuine)
        value = read_or_refused(lambda: read_manifest(folder), path)
        opened = read_or_refused(lambda: open_manifest(folder, CONFIGURATION), path)
        status = read_or_refused(lambda: sweep_status(folder), path)
        rows = read_or_refused(lambda: write_tables(folder), path)
        if value is None:
            assert opened is status is rows is None
        else:
            assert repr(value) == repr(json.loads(path.read_bytes()))
            assert (opened is not None) == (_known(value["configuration"]) == _known(CONFIGURATION))
            assert (status.total.finished, status.total.failed) == (5, 1)
            assert (rows is not None) == (value["configuration"]["space"] in SPACES)
            if rows is not None:
                assert set(rows.preset) == {value["configuration"]["settings"]["preset"]}

    return attempt


def _known(value):
    """Without what is null, which is as good as missing."""
    return (
        {key: _known(each) for key, each in value.items() if each is not None}
        if isinstance(value, dict)
        else value
    )


def rows_table(folder):
    write_sweep(folder)
    (folder / JOURNAL).unlink()  # which would be read where the table no longer holds its last trial
    genuine = gzip.decompress((folder / ROWS).read_bytes())

    def attempt(draw):
        content = damaged(draw, genuine) if draw(st.booleans()) else encoded(altered_table(draw, TABLE))
        (folder / ROWS).unlink(missing_ok=True)
        path = folder / draw(st.sampled_from(ROW_FORMS))
        pack = gzip.compress if path.name == ROWS else bytes
        put(path, pack(content), pack(genuine))
        rows = read_or_refused(lambda: read_rows(folder), path)
        accuracy = read_or_refused(lambda: benchmark_accuracy(folder, "cifar10", [0, 2]), path)
        if rows is None:
            assert accuracy is None
            return
        read_or_refused(lambda: ranking_table(rows, resamples=2), folder, said="there are ")
        if not set(b'"\r\0') & set(content):
            lines = [line for line in csv.reader(content.decode().splitlines()) if line]
            fields = [
                dict(zip(lines[0][::-1], line[: len(lines[0])][::-1]))
                for line in lines[1:]
                if len(line) == len(lines[0])
            ]
            for column in ("index", "seed", "score"):
                read = rows[column].to_numpy()
                assert len(lines) - 1 == len(read)
                if len(fields) == len(read):
                    expected = [_number_or_none(each[column]) for each in fields]
                    assert expected == pytest.approx(read.tolist(), nan_ok=True)

    return attempt


def _number_or_none(text):
    """NaN for nothing in any spelling (other texts are refused) and for an infinite score, which is none."""
    try:
        return float(text) if math.isfinite(float(text)) else math.nan
    except ValueError:
        return math.nan


TABLE = "".join(
    f"{line}\n"
    for line in [
        ",".join(ROW_COLUMNS),
        *(
            f"nats-tss,{k},{STRINGS[k % 4]},cifar10,smoke,{m},0.{k}5,1.5,{10**9},0,9{k}.5,ok"
            for k in range(4)
            for m in ("full", "snip")
        ),
    ]
)


def indices(folder):
    """A text file of indices, or a table's column."""
    plain, table = folder / "indices.txt", folder / "indices.csv"
    genuine = "".join(f"{architecture.index}\n" for architecture in sample_architectures(12, 0)).encode()

    def attempt(draw):
        path = draw(st.sampled_from((plain, table)))
        if path is plain:
            put(path, damaged(draw, genuine), genuine)
        else:
            put(path, encoded(altered_table(draw, TABLE)), TABLE.encode())
        read = read_or_refused(lambda: read_indices(path), path)
        if read is not None and path is plain:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            words = [word for line in lines for word in line.partition("#")[0].split()]
            assert [architecture.index for architecture in read] == [int(word) for word in words]
        assert read is None or len(set(read)) == len(read)

    return attempt


def logs(folder):
    """NAS-Bench-301's logs as a folder or an archive, damaged within or without; a .zip has checksums."""
    genuine_rows = log_times(write(folder / "genuine", FILES)).drop(columns="name").to_dict("records")
    value = log([30.5, 61.0])
    bare = {key: value[key] for key in ("runtime", "test_accuracy", "learning_curves")}

    def attempt(draw):
        ending = draw(st.sampled_from((".zip", ".tar", ".tar.gz", ".tar.xz", "")))
        path = folder / f"logs{ending}"
        if draw(st.booleans()) and ending:
            write(path, FILES)
            whole = path.read_bytes()
            put(path, damaged(draw, whole), whole)
            rows = read_or_refused(lambda: log_times(path), path)
            if rows is not None and ending == ".zip":
                assert all(
                    row in genuine_rows or math.isnan(row["epochs"])
                    for row in rows.drop(columns="name").to_dict("records")
                )
        else:
            text, changed = json.dumps(value), altered(draw, draw(st.sampled_from((value, bare, bare))))
            content = damaged(draw, text.encode()) if draw(st.booleans()) else json.dumps(changed).encode()
            write(path, {"a.json": content.decode("latin1").encode("ascii", "replace").decode()})
            rows = read_or_refused(lambda: log_times(path), path)
        if rows is not None:
            assert len(rows) > 0 and rows.trained_epochs.gt(0).all() and rows.test_accuracy.between(0, 100).all()
            reached = rows.dropna(subset="epochs")
            assert (reached.epochs <= reached.trained_epochs).all()
            assert (reached.seconds <= reached.runtime * (1 + 1e-9)).all()

    return attempt


def synthetic(folder):
    """The cached dataset, damaged or of other tensors."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"{part}_images": torch.randn(count, 3, 4, 4, generator=generator)
        for part, count in (("train", 20), ("test", 10))
    }
    tensors |= {f"{part}_labels": torch.arange(count) % 10 for part, count in (("train", 20), ("test", 10))}
    path = folder / "synthetic-4px-25.pt"
    torch.save(tensors, path)
    genuine = path.read_bytes()
    assert load_synthetic(4, 25, folder).train_labels.tolist() == [*range(10)] * 2
    odd = [
        torch.zeros(20, 3, 4, 4, dtype=torch.float64), torch.zeros(1).expand(20, 3, 4, 4),
        torch.zeros(20, 3, 8, 8), torch.zeros(1).expand(10**12, 3, 4, 4), torch.arange(20),
        torch.zeros(20, dtype=torch.int64) - 1,
        torch.full((20,), 10), torch.zeros(0, 3, 4, 4), torch.zeros(20, 3, 4, 4, requires_grad=True),
        torch.zeros(20, 3, 4, 4).to_sparse(), torch.zeros(20, 3, 4, 4, device="meta"),
        torch.zeros(20, dtype=torch.bool), torch.zeros(()), torch.nn.Parameter(torch.zeros(20, 3, 4, 4)),
    ]  # fmt: skip

    def attempt(draw):
        how = draw(st.sampled_from(("bytes", "flip", "tensors", "older")))
        if how == "bytes":
            put(path, damaged(draw, genuine), genuine)
        elif how == "flip":
            content = bytearray(genuine)
            content[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
            put(path, bytes(content), genuine)
        else:
            content = io.BytesIO()
            value = tensors if how == "older" else altered(draw, tensors, st.sampled_from(odd) | ODD)
            torch.save(value, content, _use_new_zipfile_serialization=how == "tensors")
            put(path, content.getvalue(), genuine)
        read = read_or_refused(lambda: load_synthetic(4, 25, folder), path)
        if read is not None:
            for name in ARRAYS:
                array = getattr(read, name)
                assert how == "tensors" or torch.equal(array, tensors[name])
                assert array.dtype == tensors[name].dtype and array.shape[1:] == tensors[name].shape[1:]
            assert len(read.train_labels) == len(read.train_images) <= 20
            assert len(read.fingerprint) == 16

    return attempt


CHECKS = {
    "cifar10": batch_file("cifar10", lambda folder: write_cifar10(folder, 1), "data_batch_2", 10),
    "cifar100": batch_file("cifar100", write_cifar100, "train", 100),
    "imagenet16": batch_file(
        "imagenet16-120", lambda folder: write_imagenet(folder, {name: [5, 121] for name in IMAGENET_FILES}),
        "train_data_batch_3", 120,
    ),
    "cifar10.tar.gz": packed_batches,
    "tinyimagenet.npz": stand_in_arrays,
    "tinyimagenet.zip": stand_in_pictures,
    "archive": archive,
    "table.csv": truth_table(".csv"),
    "table.csv.gz": truth_table(".csv.gz"),
    "table.parquet": truth_table(".parquet"),
    "journal": journal,
    "packed journal": packed_journal,
    "manifest": manifest,
    "rows": rows_table,
    "indices": indices,
    "logs": logs,
    "synthetic": synthetic,
}  # fmt: skip


def hammer(kind, examples, folder):
    """So many malformed inputs, and no fewer, for the loaders of one kind."""
    attempt, made = CHECKS[kind](folder), []

    @settings(
        max_examples=examples, database=None, suppress_health_check=list(HealthCheck), derandomize=examples < 300
    )
    @given(st.data())
    def attempts(data):
        attempt(data.draw)
        made.append(1)

    attempts()
    assert len(made) >= examples


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_malformed_file_is_read_rightly_or_refused_in_a_sentence(kind, tmp_path):
    hammer(kind, EXAMPLES[kind] // 10, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", EXAMPLES)
def test_ten_thousand_malformed_files(kind, tmp_path):
    hammer(kind, EXAMPLES[kind], tmp_path)


# Files that would take far more memory than they have bytes ----------------------------------------------


NESTED = b"[" * 10**6


def test_a_file_larger_than_its_kind_is_refused_unread(tmp_path):
    """They are holes, 64 GB of them."""
    (tmp_path / MANIFEST).write_text(json.dumps(MANIFEST_VALUE))
    write_cifar10(tmp_path / "cifar10")
    write_official(tmp_path / "pictures")
    for name, read in (
        (PACKED, lambda: read_journal(tmp_path)),
        (JOURNAL, lambda: read_journal(tmp_path)),
        (ROWS, lambda: read_rows(tmp_path)),
        (MANIFEST, lambda: read_manifest(tmp_path)),
        ("indices.txt", lambda: read_indices(tmp_path / "indices.txt")),
        ("truth.csv", lambda: benchmark_accuracy(tmp_path / "truth.csv", "cifar10", [0])),
        ("truth.parquet", lambda: benchmark_accuracy(tmp_path / "truth.parquet", "cifar10", [0])),
        ("synthetic-4px-20.pt", lambda: load_synthetic(4, 20, tmp_path)),
        ("cifar10/test_batch", lambda: read_images("cifar10", tmp_path / "cifar10")),
        (f"arrays/{tinyimagenet.ARRAYS}", lambda: read_tinyimagenet(tmp_path / "arrays")),
        ("archive/tiny-imagenet-200.zip", lambda: read_tinyimagenet(tmp_path / "archive")),
        ("pictures/wnids.txt", lambda: read_tinyimagenet(tmp_path / "pictures")),
        ("logs/a.json", lambda: log_times(tmp_path / "logs")),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 2**36)
        with pytest.raises(InputError, match=f"{Path(name).name}.*68719476736 bytes"):
            read()


def test_a_pipe_is_not_waited_for(tmp_path):
    write_cifar10(tmp_path)
    for name, read in (
        (PACKED, lambda: read_journal(tmp_path)),
        (JOURNAL, lambda: read_journal(tmp_path)),
        (MANIFEST, lambda: read_manifest(tmp_path)),
        ("indices.txt", lambda: read_indices(tmp_path / "indices.txt")),
        ("logs.zip", lambda: log_times(tmp_path / "logs.zip")),
    ):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match=name):
            read()


def test_a_pickle_of_many_operations_is_refused(monkeypatch):
    monkeypatch.setattr(safe_pickle, "MAX_OPERATIONS", 1000)
    assert len(safe_pickle.load(io.BytesIO(b"(" + 990 * b"]" + b"l."), "x")) == 990
    with pytest.raises(InputError, match="more than 1000 operations"):
        safe_pickle.load(io.BytesIO(b"(" + 1000 * b"]" + b"l."), "x")


BOMBS = ("long name of CIFAR", "member", "csv.gz", "parquet", "pickle", "nested", "field", "header", "tensor",
         "packed tensor", "packed arrays", "long name", "packed log", "packed journal",
         "end of packed journal")  # fmt: skip


def bomb(kind, folder):
    """Write one into `folder`; the expression that reads it. Unpacked, each takes 256 MB or more."""
    folder.mkdir(parents=True, exist_ok=True)
    zeros = bytes(2**23)
    if kind == "long name of CIFAR":
        member = tarfile.TarInfo("././@LongLink")
        member.type, member.size = tarfile.GNUTYPE_LONGNAME, 2**32
        packed = gzip.compress(member.tobuf()) + gzip.compress(zeros) * 2**9
        (folder / "cifar-10-python.tar.gz").write_bytes(packed)
        return f"read_images('cifar10', {str(folder)!r})"
    if kind == "member":
        (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(zeros) * 2**9)
        (folder / "000000.pickle.pbz2").write_bytes(b"")
        return f"benchmark_accuracy({str(folder)!r}, 'cifar10', [0])"
    if kind == "csv.gz":
        head = gzip.compress(b"index,arch,cifar10\n")
        (folder / "t.csv.gz").write_bytes(head + gzip.compress(b"1" * 2**23) * 2**9)
        return f"benchmark_accuracy({str(folder / 't.csv.gz')!r}, 'cifar10', [0])"
    if kind.endswith("packed journal"):
        (folder / PACKED).write_bytes(gzip.compress(zeros) * 2**9)
        return f"{'end_of_journal' if kind.startswith('end') else 'read_journal'}({str(folder)!r})"
    if kind == "parquet":
        arch = pyarrow.DictionaryArray.from_arrays(np.zeros(5000, np.int32), ["x" * 2**20])
        rows = pyarrow.table({"index": range(5000), "arch": arch, "cifar10": [50.0] * 5000})
        parquet.write_table(rows, folder / "t.parquet", store_schema=False)
        return f"benchmark_accuracy({str(folder / 't.parquet')!r}, 'cifar10', [0])"
    if kind == "pickle":
        write_cifar10(folder, 1)
        batch = folder / "test_batch"
        small, large = pickle.dumps((1, 3072)), pickle.dumps((2**31 - 1, 3072))
        assert batch.read_bytes().count(small[-8:-2]) == 1
        batch.write_bytes(batch.read_bytes().replace(small[-8:-2], large[-11:-2]))
        return f"read_images('cifar10', {str(folder)!r})"
    if kind == "nested":
        write_sweep(folder)
        (folder / WRITER).write_bytes(NESTED[:4000])
        (folder / JOURNAL).write_bytes((NESTED + b"\n") * 3)
        assert read_journal(folder) == [] and sweep_status(folder).writer is None
        (folder / MANIFEST).write_bytes(NESTED)
        return f"read_manifest({str(folder)!r})"
    if kind in ("field", "header"):
        write_sweep(folder)
        line = gzip.decompress((folder / ROWS).read_bytes()).partition(b"\n")[0]
        content = line + b"\n" + b"1" * 2**25 if kind == "field" else line + b"," * 2**25 + b"\n"
        (folder / ROWS).write_bytes(gzip.compress(content))
        return f"read_rows({str(folder)!r})"
    if kind == "tensor":
        made = {f"{part}_images": torch.zeros(1).expand(10**10, 3, 4, 4) for part in ("train", "test")}
        made |= {f"{part}_labels": torch.zeros(1, dtype=torch.int64).expand(10**10) for part in ("train", "test")}
        torch.save(made, folder / "synthetic-4px-20.pt")
        return f"load_synthetic(4, 20, {str(folder)!r})"
    if kind == "packed tensor":
        content = io.BytesIO()
        torch.save({name: torch.zeros(2**20, 1) for name in ARRAYS}, content)
        with (
            zipfile.ZipFile(content) as old,
            zipfile.ZipFile(folder / "synthetic-4px-20.pt", "w", zipfile.ZIP_BZIP2) as new,
        ):
            for member in old.infolist():
                new.writestr(member.filename, old.read(member))
        return f"load_synthetic(4, 20, {str(folder)!r})"
    if kind == "packed arrays":
        with zipfile.ZipFile(folder / tinyimagenet.ARRAYS, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            with archive.open("train_images.npy", "w") as file:
                for _ in range(2**5):
                    file.write(zeros)
        return f"read_tinyimagenet({str(folder)!r})"
    if kind == "long name":
        member = tarfile.TarInfo("././@LongLink")
        member.type, member.size = tarfile.GNUTYPE_LONGNAME, 2**32
        (folder / "logs.tar.gz").write_bytes(gzip.compress(member.tobuf()) + gzip.compress(zeros) * 2**9)
        return f"log_times({str(folder / 'logs.tar.gz')!r})"
    with zipfile.ZipFile(folder / "logs.zip", "w", zipfile.ZIP_LZMA) as archive:
        with archive.open("a.json", "w") as file:
            for _ in range(2**5):
                file.write(zeros)
        archive.infolist()[0].file_size = 2**24  # as it says of itself
    return f"log_times({str(folder / 'logs.zip')!r})"


def test_no_bomb_takes_more_memory_than_is_stated(tmp_path):
    """One process reads them all, each refused, with 200 MB more than it has when it starts."""
    script = """
import contextlib
import resource
from fearlib import log_times, read_rows
from fearlib.data.official import read_images
from fearlib.data.tinyimagenet import read_tinyimagenet
from fearlib.errors import InputError, require
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.journal import end_of_journal, read_journal
from fearlib.data.synthetic import load_synthetic
from fearlib.benchmark.truth import benchmark_accuracy
require("pyarrow.parquet", "be there"), require("nats_bench", "be there")
def resident(which):
    return int(open("/proc/self/status").read().partition(which + ":")[2].split()[0]) // 1024
@contextlib.contextmanager
def measured(kind):
    open("/proc/self/clear_refs", "w").write("5")  # forgets the most that there was
    before, answer = resident("VmRSS"), "was read"
    try:
        yield
    except InputError as error:
        answer = f"is refused: {error}"
    print(kind, resident("VmHWM") - before, answer, sep="; ")
require("pyarrow.parquet", "be there"), require("nats_bench", "be there")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, used + 2**31))
"""
    for kind in BOMBS:
        expression = bomb(kind, tmp_path / kind.replace(" ", "_"))
        script += f"with measured({kind!r}):\n    {expression}\n"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split("; ")[0] for line in lines] == list(BOMBS)
    assert all("; is refused: " in line for line in lines), lines
    assert all(int(line.split("; ")[1]) < 200 for line in lines), lines
    assert "MemoryError" not in run.stdout
