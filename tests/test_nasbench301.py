"""NAS-Bench-301's training logs, made up in the form in which they were published."""

import io
import json
import math
import re
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pytest

from fearlib import Genotype, InputError, log_times, sample_genotypes

PREFIX = "NetworkSelectorDatasetInfo:darts:"


def configuration(genotype):
    """As NAS-Bench-301 writes a genotype: every possible edge of a cell has a number, a node's in turn."""
    config = {f"{PREFIX}init_channels": 32, f"{PREFIX}layers": 8, "OptimizerSelector:sgd:momentum": 0.9}
    for cell, edges in (("normal", genotype.normal), ("reduce", genotype.reduce)):
        numbers = iter(range(14))
        possible = {(node, source): next(numbers) for node in range(4) for source in range(2 + node)}
        for position, (op, source) in enumerate(edges):
            config[f"{PREFIX}edge_{cell}_{possible[position // 2, source]}"] = op
        for node in range(1, 4):
            sources = "_".join(str(source) for _, source in edges[2 * node : 2 * node + 2])
            config[f"{PREFIX}inputs_node_{cell}_{node + 2}"] = sources
    return config


def log(accuracies=(30.5, 59.99, 60, 58.0, 75.25), runtime=5000, test_accuracy=91.5, genotype=None, **more):
    """One log; `more` replaces or adds entries."""
    return {
        "final_metric_score": -90.1,
        "optimized_hyperparamater_config": configuration(genotype or sample_genotypes(1, 0)[0]),
        "budget": len(accuracies),
        "info": [{"train_accuracy": accuracies[-1], "val_accuracy": 90.1, "model_parameters": 1340746}],
        "test_accuracy": test_accuracy,
        "runtime": runtime,
        "learning_curves": {
            "Train/train_loss": [2.0] * len(accuracies),
            "Train/train_accuracy": list(accuracies),
            "Train/val_accuracy": [50.0] * len(accuracies),
        },
    } | more


GENOTYPES = sample_genotypes(3, 1)
FILES = {
    "logs/rs/results_1.json": log(genotype=GENOTYPES[0]),
    "logs/rs/results_0_ti.json": log([10.0, 20.0, 59.0], 999.5, 80, GENOTYPES[1]),
    "logs/darts/results_0.json": log([61.0, 10.0], 300, 93.25, GENOTYPES[2]),
    "logs/README.txt": "not a log",
    "logs/rs/._results_1.json": "what another system leaves beside a file",
}
TABLE = pd.DataFrame(
    [
        ("logs/darts/results_0.json", str(GENOTYPES[2]), 1, 2, 150.0, 300.0, 93.25),
        ("logs/rs/results_0_ti.json", str(GENOTYPES[1]), math.nan, 3, math.nan, 999.5, 80.0),
        ("logs/rs/results_1.json", str(GENOTYPES[0]), 3, 5, 3000.0, 5000.0, 91.5),
    ],
    columns=["name", "genotype", "epochs", "trained_epochs", "seconds", "runtime",
             "test_accuracy"],
)  # fmt: skip


def write(path, files):
    """A folder, .zip or tar archive of `files`, by the ending of `path`."""
    contents = {
        name: value.encode() if isinstance(value, str) else json.dumps(value).encode()
        for name, value in files.items()
    }
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("logs")
            for name, content in contents.items():
                archive.writestr(name, content)
    elif ".tar" in path.suffixes:
        with tarfile.open(path, f"w:{path.suffix[1:].replace('tar', '')}") as archive:
            for name, content in contents.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    else:
        for name, content in contents.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("source", ["folder", "logs.zip", "logs.tar", "logs.tar.gz", "logs.tar.xz"])
def test_folder_and_archives_give_the_same_table(tmp_path, source):
    table = log_times(write(tmp_path / source, FILES))
    pd.testing.assert_frame_equal(table, TABLE)


@pytest.mark.parametrize("percent", [7, 14, 28, 55, 56, 60])
def test_an_accuracy_at_the_threshold_has_reached_it(tmp_path, percent):
    """100 * 0.55 is more than 55."""
    folder = write(tmp_path, {"a.json": log(accuracies=(percent - 0.01, percent, 99))})
    assert list(log_times(folder, percent / 100)["epochs"]) == [2]


def test_threshold(tmp_path):
    folder = write(tmp_path, FILES)
    assert list(log_times(folder, 0.59)["epochs"]) == [1, 3, 2]
    assert np.isnan(log_times(folder, 1)["epochs"]).all()
    for wrong in (60, 0, 1.01, math.nan):  # a percentage instead of a share, above all
        with pytest.raises(InputError, match=f"threshold is {wrong}: it is a share"):
            log_times(folder, wrong)


def test_the_configuration_of_the_published_example(tmp_path):
    """Edges and sources of results_fidelity_0/results_0.json in NAS-Bench-301's repository."""
    normal = {0: "skip_connect", 1: "sep_conv_3x3", 10: "sep_conv_3x3", 11: "skip_connect", 2: "sep_conv_3x3",
              3: "skip_connect", 5: "dil_conv_3x3", 7: "dil_conv_5x5"}  # fmt: skip
    reduce = {0: "max_pool_3x3", 1: "avg_pool_3x3", 11: "sep_conv_3x3", 12: "dil_conv_3x3", 2: "skip_connect",
              3: "dil_conv_5x5", 6: "sep_conv_3x3", 7: "sep_conv_5x5"}  # fmt: skip
    sources = {"normal_3": "0_1", "normal_4": "0_2", "normal_5": "1_2",
               "reduce_3": "0_1", "reduce_4": "1_2", "reduce_5": "2_3"}  # fmt: skip
    config = {f"{PREFIX}inputs_node_{node}": pair for node, pair in sources.items()}
    config |= {f"{PREFIX}edge_normal_{number}": op for number, op in normal.items()}
    config |= {f"{PREFIX}edge_reduce_{number}": op for number, op in reduce.items()}
    folder = write(tmp_path, {"results_0.json": log(optimized_hyperparamater_config=config)})
    (string,) = log_times(folder)["genotype"]
    assert Genotype.from_string(string) == Genotype(
        normal=[("skip_connect", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 1),
                ("dil_conv_3x3", 0), ("dil_conv_5x5", 2), ("sep_conv_3x3", 1), ("skip_connect", 2)],
        reduce=[("max_pool_3x3", 0), ("avg_pool_3x3", 1), ("skip_connect", 0), ("dil_conv_5x5", 1),
                ("sep_conv_3x3", 1), ("sep_conv_5x5", 2), ("sep_conv_3x3", 2), ("dil_conv_3x3", 3)],
    )  # fmt: skip


def test_a_log_need_not_tell_its_genotype(tmp_path):
    short = {key: log()[key] for key in ("learning_curves", "test_accuracy", "runtime")}
    table = log_times(write(tmp_path, {"a.json": short}))
    assert table["genotype"].isna().all() and list(table["epochs"]) == [3]


def without(key):
    return {name: value for name, value in log().items() if name != key}


def configured(**changes):
    config = log()["optimized_hyperparamater_config"]
    return log(optimized_hyperparamater_config=config | {PREFIX + key: value for key, value in changes.items()})


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "is not readable JSON: Expecting property name"),
        ("[" * 100_000, "is not readable JSON: maximum recursion depth"),
        ("\udcff".encode("utf-8", "surrogatepass").decode("latin-1"), "is not readable JSON"),
        ("[]", "is not a training log of NAS-Bench-301: it lacks 'learning_curves'"),
        (without("learning_curves"), "it lacks 'learning_curves'"),
        (log(learning_curves={}), "it lacks 'Train/train_accuracy'"),
        (log(learning_curves={"Train/train_accuracy": []}), "must be a list of one number an epoch"),
        (log(learning_curves={"Train/train_accuracy": 3}), "must be a list of one number an epoch"),
        (log([50.0, None]), "'Train/train_accuracy' has the value None, but must be a number in 0..100"),
        (log([50.0, math.nan]), "has the value nan"),
        (log([50.0, 101]), "has the value 101.0"),
        (without("runtime"), "it lacks 'runtime'"),
        (log(runtime="long"), "'runtime' has the value 'long', but must be 0 or a positive number"),
        (log(runtime=-1), "'runtime' has the value -1.0"),
        (log(runtime=10**400), "'runtime' has the value inf"),
        (without("test_accuracy"), "it lacks 'test_accuracy'"),
        (log(test_accuracy=True), "'test_accuracy' has the value True, but must be a number in 0..100"),
        (log(optimized_hyperparamater_config={}), f"it lacks '{PREFIX}edge_normal_0'"),
        (configured(edge_normal_0="none"), "unknown operation 'none' in normal"),
        (configured(edge_normal_0=7), "'edge_normal_0' has the value 7.0, but must be a string"),
        (configured(inputs_node_reduce_4="0"), "the sources of a node are '0', but must be two numbers in 0..4"),
    ],
)
def test_malformed_logs(tmp_path, content, message):
    source = write(tmp_path / "some.zip", {"logs/a.json": log(), "logs/b.json": content})
    with pytest.raises(InputError, match=re.escape(message)) as refusal:
        log_times(source)
    assert str(refusal.value).startswith(f"logs/b.json in {source}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("source", ["folder", "logs.zip", "logs.tar"])
def test_sizes_are_bounded(tmp_path, monkeypatch, source):
    monkeypatch.setattr("fearlib.benchmark.nasbench301.MAX_BYTES", 50_000)
    large = write(tmp_path / source, {"a.json": log(), "b.json": " " * 50_001})
    with pytest.raises(InputError, match=r"b\.json in .* has 50001 bytes, but a .* no more than 50000"):
        log_times(large)


def test_what_is_no_source(tmp_path):
    with pytest.raises(InputError, match="holds no training log: there is no .json file in it"):
        log_times(write(tmp_path / "folder", {"README.txt": "nothing"}))
    with pytest.raises(InputError, match=r"README\.txt is neither a folder nor a \.zip or \.tar archive"):
        log_times(tmp_path / "folder" / "README.txt")
    with pytest.raises(InputError, match="missing cannot be read: .*No such file"):
        log_times(tmp_path / "missing")


@pytest.mark.parametrize("name", ["logs.zip", "logs.tar", "logs.tar.gz", "logs.tar.xz"])
def test_damaged_archives(tmp_path, name):
    """Cut short, or with bytes overwritten in the middle: the table or one sentence, nothing else."""
    whole = write(tmp_path / name, {f"{number}.json": log() for number in range(20)}).read_bytes()
    damaged = tmp_path / f"damaged_{name}"
    middle = len(whole) // 2
    for content in (whole[:middle], whole[: middle - 700], whole[:middle] + 600 * b"\xff" + whole[middle + 600 :]):
        damaged.write_bytes(content)
        with pytest.raises(InputError, match=re.escape(name)):
            log_times(damaged)


def test_a_log_that_an_archive_holds_twice(tmp_path):
    """As appending to a .tar leaves it."""
    source = tmp_path / "logs.zip"
    with zipfile.ZipFile(source, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for _ in range(2):
            archive.writestr("a.json", json.dumps(log()))
    with pytest.raises(InputError, match="holds 'a.json' twice: pack it anew"):
        log_times(source)


def test_a_log_packed_unusually(tmp_path):
    """It would be unpacked without bound; beside the logs it does not matter."""
    source = write(tmp_path / "logs.zip", {"a.json": log()})
    with zipfile.ZipFile(source, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("readme.txt", "")
    assert list(log_times(source)["name"]) == ["a.json"]
    with zipfile.ZipFile(source, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("b.json", json.dumps(log()))
    with pytest.raises(InputError, match=r"logs\.zip .*stored and deflated"):
        log_times(source)


@pytest.mark.parametrize("name", ["logs.zip", "logs.tar"])
def test_memory_holds_rows_alone(tmp_path, name):
    """What a log adds to the peak is a small part of its length, and the peak is a small part of all of them."""

    def peak(count):
        source = write(tmp_path / name, dict.fromkeys((f"results_{number}.json" for number in range(count)), text))
        tracemalloc.start()
        assert len(log_times(source)) == count
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    text = json.dumps(log([50.0 + epoch / 7 for epoch in range(98)], padding=10_000 * "x"))
    peak(1)  # imports
    few, many = peak(200), peak(1200)
    assert (many - few) / 1000 < 0.1 * len(text) and many < 0.1 * 1200 * len(text)
