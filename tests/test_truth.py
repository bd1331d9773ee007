"""The benchmark's accuracies: from tables, and from an archive in NATS-Bench's own format."""

import bz2
import collections
import gzip
import json
import math
import os
import pickle
import statistics
from pathlib import Path

import nats_bench
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats_bench import ArchResults, ResultsCount
from typer.testing import CliRunner

from fearlib.benchmark import archive as archive_module
from fearlib.benchmark.archive import archive_times
from fearlib.benchmark.truth import benchmark_accuracy, export_truth
from fearlib.cli.commands import app
from fearlib.errors import InputError
from fearlib.spaces.nats import SPACE_SIZE, Architecture
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.rows import read_rows

STRINGS = [str(Architecture.from_index(index)) for index in range(15625)]
INDICES = [0, 3, 77, 15624]
SEEDS = {"12": [111, 777], "200": [777, 888, 999]}
SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("ori-test", "x-valid", "x-test"),
    "ImageNet16-120": ("ori-test", "x-valid", "x-test"),
}
NAMES = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"}
VALIDATED = NAMES | {"cifar10-valid": "cifar10-valid"}
COLUMNS = [
    "cifar10", "cifar100", "imagenet16_120", "cifar10_12ep", "cifar100_12ep", "imagenet16_120_12ep",
    "cifar10_valid_val", "cifar100_val", "imagenet16_120_val",
]  # fmt: skip


# A tiny archive, written as NATS-Bench writes it --------------------------------------------------------


def trial(index, dataset, seed, epochs, curves):
    """One training, whose accuracies on all sets go to `curves` by (index, data set, set, seed, epochs).

    Trainings of 12 epochs are evaluated after each, those of 200 after the last: the archive has both kinds.
    """
    random = np.random.default_rng([index, len(dataset), seed, epochs])

    def curve():
        return {epoch: float(random.uniform(5, 95)) for epoch in range(epochs)}

    arch_config = {"channel": 16, "num_cells": 5, "arch_str": STRINGS[index], "class_num": 10}
    training = curves[index, dataset, "train", seed, epochs] = curve()
    result = ResultsCount(dataset, None, training, curve(), 0.5, 70.0, arch_config, seed, epochs, [0.01])
    result.reset_pseudo_train_times(9.5)
    for name in SETS[dataset]:
        accuracies, losses = curve(), curve()
        if epochs == 12:
            accuracies, losses = ({f"{name}@{k}": v for k, v in values.items()} for values in (accuracies, losses))
            result.update_eval(accuracies, losses, dict.fromkeys(accuracies, 1.5))
            curves[index, dataset, name, seed, epochs] = accuracies[f"{name}@11"]
        else:
            last = epochs - 1
            result.update_OLD_eval(name, {last: accuracies[last]}, {last: losses[last]})
            curves[index, dataset, name, seed, epochs] = accuracies[last]
    return result


def state(index, curves):
    """The contents of one architecture's file."""
    trainings = collections.OrderedDict()
    for epochs, seeds in SEEDS.items():
        results = ArchResults(index, STRINGS[index])
        for dataset in SETS:
            for seed in seeds if index in (3, 77) else seeds[:1]:
                results.update(dataset, seed, trial(index, dataset, seed, int(epochs), curves))
        results.clear_params()
        trainings[epochs] = results.state_dict()
    return trainings


def pack(value):
    """As `nats_bench.pickle_save` writes it, but compressed so that the long list of names unpacks faster."""
    return bz2.compress(pickle.dumps(value, 4), 1)


META = {"meta_archs": STRINGS, "total_archs": 15625, "arch2infos": None, "evaluated_indexes": set()}


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """The folder, and the accuracies in it by (index, data set, set, seed, epochs)."""
    folder = tmp_path_factory.mktemp("archive") / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    curves = {}
    (folder / "meta.pickle.pbz2").write_bytes(pack(META))
    for index in INDICES:
        nats_bench.pickle_save(state(index, curves), str(folder / f"{index:06d}.pickle"))
    return folder, curves


@pytest.fixture
def archive(genuine, tmp_path):
    """A copy of the archive to spoil."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for path in genuine[0].iterdir():
        os.link(path, folder / path.name)
    return folder


def mean(curves, index, dataset, epochs, split=None):
    key = index, VALIDATED[dataset], split or ("ori-test" if dataset == "cifar10" else "x-test")
    found = [curves[key + (seed, epochs)] for seed in SEEDS[str(epochs)] if key + (seed, epochs) in curves]
    return statistics.fmean(found)


def respoil(path, change):
    """Change the contents of a file of the archive."""
    value = pickle.loads(bz2.decompress(path.read_bytes()))
    change(value)
    path.unlink()
    path.write_bytes(pack(value))


def refusal(source, dataset="cifar10", indices=(0,), epochs=200):
    with pytest.raises(InputError) as error:
        benchmark_accuracy(source, dataset, indices, epochs)
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message
    return message


def table(**columns):
    rows = pd.DataFrame({"index": INDICES, "arch": [STRINGS[index] for index in INDICES]})
    return rows.assign(**columns)


def test_an_archive_becomes_a_table_by_command(archive, tmp_path):
    """Which says how many of all 15,625 it lacks."""
    result = CliRunner().invoke(app, ["truth", "export", str(archive), str(tmp_path / "truth.csv")])
    assert result.exit_code == 0, result.output
    assert f"without {SPACE_SIZE - len(INDICES)} architectures that the archive lacks" in result.output
    assert sorted(pd.read_csv(tmp_path / "truth.csv")["index"]) == sorted(INDICES)


# Reading the archive ------------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [12, 200])
@pytest.mark.parametrize("dataset", NAMES)
def test_an_archive_gives_the_mean_over_its_seeds_after_the_last_epoch(genuine, dataset, epochs):
    folder, curves = genuine
    order = [77, 15624, 0, 3]
    accuracies = benchmark_accuracy(folder, dataset, order, epochs)
    assert accuracies.name == "test_accuracy" and list(accuracies.index) == order
    assert list(accuracies) == pytest.approx([mean(curves, index, dataset, epochs) for index in order])


def test_a_stand_in_has_the_accuracies_of_the_dataset_it_stands_for(genuine, tmp_path):
    """Of the archive and of a sweep's benchmark; but a sweep's own full training is of the images it had."""
    folder, curves = genuine
    found = benchmark_accuracy(folder, "tinyimagenet16-120", INDICES, 12)
    assert list(found) == pytest.approx([mean(curves, index, "imagenet16-120", 12) for index in INDICES])
    rows = pd.DataFrame({"index": [5], "arch": STRINGS[5], "dataset": "imagenet16-120", "method": "fear"})
    rows = rows.assign(space="nats-tss", preset="smoke", score=0.3, seconds=1.0, macs=1, seed=0, outcome="ok")
    rows.assign(test_accuracy=44.0).to_csv(tmp_path / "rows.csv", index=False)
    found = benchmark_accuracy(tmp_path, "tinyimagenet16-120", [5])
    assert found.to_dict() == {5: 44.0} and found.attrs["epochs"] == 200
    rows.assign(test_accuracy=30.0, method="full").to_csv(tmp_path / "rows.csv", index=False)
    assert "it holds rows on imagenet16-120" in refusal(tmp_path, "tinyimagenet16-120", [5], None)


def test_the_test_half_is_read_not_the_whole_nor_the_validation_half(genuine):
    folder, curves = genuine
    value = benchmark_accuracy(folder, "cifar100", [15624])[15624]
    assert value == curves[15624, "cifar100", "x-test", 777, 200]
    assert value not in (curves[15624, "cifar100", name, 777, 200] for name in ("x-valid", "ori-test"))
    value = benchmark_accuracy(folder, "cifar10", [15624])[15624]
    assert value == curves[15624, "cifar10", "ori-test", 777, 200]
    assert value != curves[15624, "cifar10-valid", "ori-test", 777, 200]


def test_reading_an_archive_shows_how_far_it_is(genuine, tmp_path, monkeypatch):
    """Whatever is made of it; of all asked for, each once."""
    shown = []
    monkeypatch.setattr(archive_module, "progress", lambda items, *words: shown.append(list(items)) or items)
    benchmark_accuracy(genuine[0], "cifar10", [INDICES[1], INDICES[0], INDICES[1]])
    archive_times(genuine[0], "cifar10", 0.5)
    export_truth(genuine[0], tmp_path / "truth.csv")
    assert shown == [[INDICES[1], INDICES[0]], sorted(INDICES), sorted(INDICES)]


@pytest.mark.parametrize("dataset", ["cifar10-valid", "cifar100", "imagenet16-120"])
def test_an_archive_gives_the_validation_half_where_it_is_asked_for(genuine, dataset):
    folder, curves = genuine
    accuracies = benchmark_accuracy(folder, dataset, INDICES, split="validation")
    assert accuracies.name == "validation_accuracy" and accuracies.attrs["split"] == "validation"
    assert list(accuracies) == pytest.approx([mean(curves, index, dataset, 200, "x-valid") for index in INDICES])


def test_validation_accuracies_are_refused_where_there_are_none(genuine, tmp_path):
    """Networks trained on the whole of CIFAR-10's training images were not validated."""
    with pytest.raises(InputError, match="cifar10-valid, cifar100, imagenet16-120 alone, not for cifar10"):
        benchmark_accuracy(genuine[0], "cifar10", [0], split="validation")
    path = write(table(cifar100=1.0, cifar10_valid_val=[1.0, 2.0, 3.0, 4.0]), tmp_path / "t.csv")
    assert list(benchmark_accuracy(path, "cifar10-valid", [3, 0], split="validation")) == [2, 1]
    with pytest.raises(InputError, match="no column cifar100_val"):
        benchmark_accuracy(path, "cifar100", [0], split="validation")
    with pytest.raises(InputError, match="unknown split 'train': the splits are test, validation"):
        benchmark_accuracy(path, "cifar100", [0], split="train")


def test_indices_may_be_numpy_integers_repeated_or_none_at_all(genuine):
    folder, curves = genuine
    accuracies = benchmark_accuracy(str(folder), "cifar10", np.array([3, 0, 3]))
    assert list(accuracies) == pytest.approx([mean(curves, index, "cifar10", 200) for index in (3, 0, 3)])
    assert len(benchmark_accuracy(folder, "cifar10", [])) == 0


def test_nats_bench_is_left_as_it_was(genuine, archive):
    before = nats_bench.api_utils.pickle_load, nats_bench.api_topology.pickle_load
    benchmark_accuracy(genuine[0], "cifar10", [0])
    refusal(archive, epochs=90)
    assert (nats_bench.api_utils.pickle_load, nats_bench.api_topology.pickle_load) == before


# Exporting ----------------------------------------------------------------------------------------------


def test_an_export_reads_back_as_the_archive_does(genuine, tmp_path):
    folder, curves = genuine
    names = ["truth.csv.gz", "truth.csv", "truth.parquet"]
    for name in names:
        assert export_truth(folder, tmp_path / name) == 15625 - len(INDICES)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for dataset in NAMES:
        for epochs in (12, 200):
            direct = benchmark_accuracy(folder, dataset, INDICES, epochs)
            for name in names:
                exported = benchmark_accuracy(tmp_path / name, dataset, INDICES, epochs)
                pd.testing.assert_series_equal(exported, direct, check_exact=True)


def test_an_export_is_the_documented_table_with_the_same_bytes_each_time(genuine, tmp_path):
    folder, curves = genuine
    export_truth(folder, tmp_path / "a.csv.gz")
    export_truth(folder, tmp_path / "b.csv.gz")
    content = (tmp_path / "a.csv.gz").read_bytes()
    assert content == (tmp_path / "b.csv.gz").read_bytes()
    assert content[4:8] == bytes(4), "gzip's header has no time of writing"
    lines = gzip.decompress(content).decode().splitlines()
    assert lines[0].split(",") == ["index", "arch", *COLUMNS]
    for line, index in zip(lines[1:], INDICES, strict=True):
        first, arch, *accuracies = line.split(",")
        assert int(first) == index and arch == STRINGS[index]
        expected = [mean(curves, index, dataset, epochs) for epochs in (200, 12) for dataset in NAMES]
        validated = ("cifar10-valid", "cifar100", "imagenet16-120")
        expected += [mean(curves, index, dataset, 200, "x-valid") for dataset in validated]
        assert [float(accuracy) for accuracy in accuracies] == pytest.approx(expected)


def test_an_export_keeps_no_architecture_in_memory(genuine, tmp_path, monkeypatch):
    held, reload = [], nats_bench.NATStopology.reload

    def counting(self, *arguments):
        reload(self, *arguments)
        held.append(len(self.arch2infos_dict))

    monkeypatch.setattr(nats_bench.NATStopology, "reload", counting)
    export_truth(genuine[0], tmp_path / "truth.csv")
    assert held == [1] * len(INDICES)


def test_a_failed_export_leaves_the_old_table(archive, tmp_path):
    output = tmp_path / "truth.csv"
    output.write_text("old")
    (archive / "000077.pickle.pbz2").unlink()
    (archive / "000077.pickle.pbz2").write_bytes(b"BZh9")
    with pytest.raises(InputError, match="000077"):
        export_truth(archive, output)
    assert output.read_text() == "old"


def test_an_export_needs_an_archive_and_a_table_name(genuine, tmp_path):
    for source, output, reason in [
        (genuine[0], tmp_path / "truth.xlsx", "must end in .csv, .csv.gz or .parquet"),
        (genuine[0], tmp_path / "nowhere" / "truth.csv", "nowhere does not exist"),
        (tmp_path, tmp_path / "truth.csv", "no meta.pickle.pbz2"),
    ]:
        with pytest.raises(InputError, match=reason):
            export_truth(source, output)
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(InputError, match="taken.csv cannot be written"):
        export_truth(genuine[0], tmp_path / "taken.csv")


# What is wrong with an archive --------------------------------------------------------------------------


def test_code_in_an_archive_does_not_run(archive, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    for name in ("000000.pickle.pbz2", "meta.pickle.pbz2"):
        path = archive / name
        path.unlink()
        path.write_bytes(pack({"meta_archs": Attack()}))
        message = refusal(archive)
        assert name in message and "mkdir" in message and "refused" in message
        assert not (tmp_path / "ran").exists()
    pickle.loads(bz2.decompress(path.read_bytes()))
    assert (tmp_path / "ran").exists(), "the attack is a real one"


def test_times_to_a_training_accuracy_are_those_of_the_mean_curve(genuine):
    folder, curves = genuine
    table = archive_times(folder, "cifar100", 0.8).set_index("index")
    assert sorted(table.index) == sorted(INDICES)
    for index in INDICES:
        seeds = [seed for seed in SEEDS["200"] if (index, "cifar100", "train", seed, 200) in curves]
        means = [
            statistics.fmean(curves[index, "cifar100", "train", seed, 200][epoch] for seed in seeds)
            for epoch in range(200)
        ]
        first = next((epoch for epoch, value in enumerate(means, 1) if value >= 80), math.nan)
        line = table.loc[index]
        assert line.epochs == pytest.approx(first, nan_ok=True)
        assert line.seconds == pytest.approx(9.5 * first, nan_ok=True)  # the pseudo time of an epoch
        assert line.test_accuracy == pytest.approx(mean(curves, index, "cifar100", 200))
    assert archive_times(folder, "cifar100", 1.0).epochs.isna().all()
    with pytest.raises(InputError, match="not for synthetic"):
        archive_times(folder, "synthetic", 0.5)


@pytest.mark.parametrize(
    "accuracy, seconds, said",
    [
        (math.nan, 1.0, "nan% after 1.0 seconds"),
        (101.0, 1.0, "101.0%"),
        (50.0, -1.0, "50.0% after -1.0 seconds"),
        (50.0, math.inf, "50.0% after inf seconds"),
    ],
)
def test_times_that_are_no_numbers(genuine, monkeypatch, accuracy, seconds, said):
    given = {"accuracy": accuracy, "all_time": seconds}
    monkeypatch.setattr(nats_bench.api_utils.ArchResults, "get_metrics", lambda *where, **what: given)
    with pytest.raises(InputError, match=f"architecture .* has a training accuracy of {said}"):
        archive_times(genuine[0], "cifar100", 0.8)


@pytest.mark.parametrize("name", ["000000.pickle.pbz2", "meta.pickle.pbz2"])
def test_truncated_archive_files_are_named(archive, name):
    content = (archive / name).read_bytes()
    (archive / name).unlink()
    for length in (0, 3, 40, len(content) - 1):
        (archive / name).write_bytes(content[:length])
        assert name in refusal(archive)


@pytest.mark.parametrize("name", ["000000.pickle.pbz2", "meta.pickle.pbz2"])
def test_archive_files_with_other_contents_are_named(archive, name):
    (archive / name).unlink()
    for content in (None, 5, [], {}, {"12": 1}, {"200": {}}, {"200": "/etc/hosts"}, {"meta_archs": 3}):
        (archive / name).write_bytes(pack(content))
        assert name in refusal(archive)


def test_a_folder_that_is_no_archive_is_refused(tmp_path):
    assert "meta.pickle.pbz2" in refusal(tmp_path)
    (tmp_path / "meta.pickle.pbz2").write_bytes(pack(META))
    assert "holds no architecture" in refusal(tmp_path)


def test_an_archive_says_what_it_lacks(archive):
    message = refusal(archive, indices=[0, 5, 6, 7, 8, 9, 10, 5])
    assert "lacks 6 of" in message and "5, 6, 7, 8, 9, ..." in message and "holds 4" in message
    assert "holds 12, 200" in refusal(archive, epochs=90)
    assert "read for cifar10, cifar100, imagenet16-120 alone" in refusal(archive, dataset="synthetic")
    assert "not for cifar10-valid" in refusal(archive, dataset="cifar10-valid")
    respoil(archive / "000000.pickle.pbz2", lambda value: value["200"]["dataset_seed"].pop("cifar100"))
    message = refusal(archive, dataset="cifar100")
    assert "no cifar100 after 200 epochs" in message and "cifar10-valid, cifar10, ImageNet16-120" in message


def test_an_archive_in_another_order_is_refused(archive):
    respoil(archive / "000000.pickle.pbz2", lambda value: value["200"].update(arch_str=STRINGS[1]))
    assert STRINGS[0] in (message := refusal(archive)) and STRINGS[1] in message and "000000" in message
    respoil(archive / "meta.pickle.pbz2", lambda value: value["meta_archs"].reverse())
    assert STRINGS[0] in (message := refusal(archive)) and STRINGS[-1] in message and "meta" in message


@pytest.mark.parametrize("accuracy", [-1.0, 100.5, float("nan"), "high", None, [50.0]])
def test_an_archives_accuracies_must_be_percentages(archive, tmp_path, accuracy):
    def change(value):
        value["200"]["all_results"]["cifar10", 777]["eval_acc1es"]["ori-test@199"] = accuracy

    respoil(archive / "000000.pickle.pbz2", change)
    assert str(archive) in refusal(archive)
    with pytest.raises(InputError):
        export_truth(archive, tmp_path / "truth.csv")


def test_an_archive_without_a_test_accuracy_is_refused(archive):
    def change(value):
        del value["200"]["all_results"]["cifar10", 777]["eval_acc1es"]["ori-test@199"]

    respoil(archive / "000000.pickle.pbz2", change)
    assert "000000" in refusal(archive)


# Reading tables -----------------------------------------------------------------------------------------


def write(rows, path):
    if path.suffix == ".parquet":
        rows.to_parquet(path, index=False)
    else:
        rows.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.floats(0, 100), min_size=4, max_size=4),
    st.permutations(INDICES).flatmap(lambda order: st.integers(0, 4).map(lambda count: order[:count])),
)
def test_a_table_gives_its_values_exactly_in_the_order_asked(tmp_path, name, values, order):
    path = write(table(imagenet16_120_12ep=values, synthetic=50).iloc[::-1], tmp_path / name)
    accuracies = benchmark_accuracy(path, "imagenet16-120", order, 12)
    assert list(accuracies.index) == order and accuracies.name == "test_accuracy" and accuracies.dtype == float
    assert list(accuracies) == [values[INDICES.index(index)] for index in order]
    assert list(benchmark_accuracy(path, "synthetic", order)) == [50] * len(order)


def test_a_table_may_be_blank_for_architectures_not_asked_for(tmp_path):
    path = write(table(synthetic=[None, 20.5, None, 0]), tmp_path / "t.csv")
    assert list(benchmark_accuracy(path, "synthetic", [3, 15624])) == [20.5, 0]
    assert "architecture 77" in refusal(path, "synthetic", [3, 77, 0])


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("value", [-0.1, 100.1, float("nan"), float("inf"), "high", "", None])
def test_a_tables_accuracies_must_be_percentages(tmp_path, name, value):
    kind = str if isinstance(value, str) else float
    path = write(table(cifar10=pd.Series([value] * 4, dtype=kind)), tmp_path / name)
    assert "architecture 3" in (message := refusal(path, indices=[3])) and "0..100" in message


def test_a_table_says_which_columns_it_has(tmp_path):
    path = write(table(cifar100=50.0), tmp_path / "t.csv")
    assert "no column cifar10: it has index, arch, cifar100." in refusal(path)
    assert "no column cifar100_12ep: it has index, arch, cifar100." in refusal(path, "cifar100", epochs=12)
    path = write(table(cifar100=50.0).drop(columns="arch"), tmp_path / "t.csv")
    assert "no column arch" in refusal(path, "cifar100")


def test_a_tables_rows_must_be_the_architectures_they_say(tmp_path):
    path = tmp_path / "t.csv"
    rows = table(cifar10=50.0)
    write(pd.concat([rows, rows.iloc[1:2]]), path)
    assert "more than one row of architecture 3" in refusal(path)
    write(rows.assign(arch=rows["arch"].to_numpy()[::-1]), path)
    assert STRINGS[0] in (message := refusal(path)) and STRINGS[15624] in message
    write(rows.assign(arch=None), path)
    assert STRINGS[0] in refusal(path)
    for wrong in (rows["index"] + 0.5, rows["index"].astype(str) + "a", [0, 3, None, 77]):
        write(rows.assign(index=wrong), path)
        assert "integers" in refusal(path)
    unknown = write(rows.assign(index=pd.array([0, 3, None, 77], dtype="Int64")), tmp_path / "t.parquet")
    assert "integers" in refusal(unknown)
    write(rows.assign(index=[0, 3, 77, 15625]), path)
    assert "15625" in (message := refusal(path)) and "0..15624" in message


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_a_table_without_index_is_read_by_its_strings(tmp_path, name):
    """As NASLib's numbers, with blanks, as they are; with an index too, these are compared with it."""
    arch = ["(4, 3, 3, 0, 0, 0)", f" {STRINGS[3]} ", STRINGS[77].replace("+", " + "), STRINGS[15624]]
    rows = table(arch=arch, cifar10=[1, 2, 3, 4])
    for held in (rows, rows.drop(columns="index")):
        path = write(held, tmp_path / name)
        assert benchmark_accuracy(path, "cifar10", [77, 0, 15624, 3]).to_list() == [3, 1, 4, 2]
    write(pd.concat([rows, rows.iloc[:1].assign(arch=STRINGS[0])]).drop(columns="index"), path)
    assert "more than one row of architecture 0" in refusal(path)
    write(rows.assign(arch=["(4, 3, 3, 0, 0, 1)", *arch[1:]]), path)
    assert "architecture 0 is" in refusal(path)
    write(rows.assign(arch="nonsense").drop(columns="index"), path)
    assert "'nonsense' is not an architecture" in refusal(path)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_datasets_may_be_spelt_as_the_field_does(tmp_path, name):
    columns = {"ImageNet16-120": 11, "cifar10-valid": 12, "CIFAR10": 13, "CIFAR-100": 14}
    columns["ImageNet16-120_12ep"] = 15
    path = write(table(**columns).rename(columns={"index": "Index", "arch": "Arch"}), tmp_path / name)
    for spelling, value in columns.items():
        for dataset in (spelling, spelling.lower(), spelling.upper(), spelling.replace("-", "_")):
            if not spelling.endswith("ep"):
                assert benchmark_accuracy(path, dataset, [77])[77] == value
    assert benchmark_accuracy(path, "ImageNet16-120", [77], epochs=12)[77] == 15
    assert benchmark_accuracy(path, "ImageNet16-120", [77]).attrs["dataset"] == "imagenet16-120"
    assert benchmark_accuracy(path, "TinyImageNet16-120", [77], epochs=12)[77] == 15, "a stand-in's are those"
    assert benchmark_accuracy(path, "tinyimagenet16-120", [77]).attrs["dataset"] == "tinyimagenet16-120"
    write(table(cifar10=1, CIFAR10=2), path)
    assert benchmark_accuracy(path, "CIFAR10", [77])[77] == 1, "the name to the letter goes first"
    write(table(**{"CIFAR-10": 1, "CIFAR10": 2}), path)
    assert "more than one column cifar10: CIFAR-10, CIFAR10" in refusal(path)
    assert "no column cifar10_valid" in refusal(path, "cifar10-valid")
    assert "no column cifar10_valid" in refusal(path, "CIFAR10-valid")


def test_a_csv_may_have_semicolons_a_mark_and_blanks(tmp_path):
    """Values and columns are those of the plain file."""
    rows, path = table(cifar10=[1.5, 2.5, 3.5, 4.5]), tmp_path / "t.csv"
    for separator, mark in ((";", "\ufeff"), ("\t", ""), (" , ", "\ufeff"), ("; ", "")):
        lines = [separator.join(map(str, line)) for line in [rows.columns, *rows.to_numpy()]]
        path.write_text(mark + "\n".join(lines) + "\n", encoding="utf-8")
        assert benchmark_accuracy(path, "cifar10", INDICES).to_list() == [1.5, 2.5, 3.5, 4.5]
    path.write_text(f"index,arch,cifar10,cifar10\n3,{STRINGS[3]},1,2\n")
    assert "more than one column cifar10" in refusal(path)


def test_a_table_says_how_many_architectures_it_lacks(tmp_path):
    path = write(table(cifar10=50.0), tmp_path / "t.csv")
    message = refusal(path, indices=[0, 1, 2])
    assert "lacks 2 of" in message and "1, 2)" in message and "holds 4" in message


def test_damaged_tables_are_refused(tmp_path):
    for name in ("t.csv.gz", "t.parquet"):
        path = write(table(cifar10=np.linspace(1, 99, 4)), tmp_path / name)
        content = path.read_bytes()
        for damaged in (b"", content[:5], content[: len(content) // 2], content[:-1], b"no table", content[::-1]):
            path.write_bytes(damaged)
            assert "not a readable table" in refusal(path)
    path = tmp_path / "t.csv"
    for damaged in (b"", b"\xff\xfe\x00", b"a,b\n1,2,3\n1,2,3,4,5\n"):
        path.write_bytes(damaged)
        refusal(path)


def test_what_is_neither_table_nor_archive_is_refused(tmp_path):
    assert "neither a table" in refusal(tmp_path / "nothing.csv")
    (tmp_path / "t.txt").write_text("index")
    assert "must end in .csv, .csv.gz or .parquet" in refusal(tmp_path / "t.txt")
    assert "mnist" in (message := refusal(tmp_path / "t.csv", "mnist")) and "imagenet16-120" in message
    for index in (-1, 15625, 1.5, "0", None):
        assert "0..15624" in refusal(tmp_path / "t.csv", indices=[index])


def test_a_results_folder_serves_as_the_truth(tmp_path):
    """With the accuracies in its rows, whatever the method."""
    rows = pd.DataFrame(
        {
            "space": "nats-tss", "index": [5, 5, 7, 5, 9], "arch": "", "preset": "smoke",
            "dataset": ["synthetic"] * 3 + ["cifar10"] * 2, "method": ["full"] * 3 + ["fear"] * 2,
            "score": [0.3, 0.5, 0.25, 0.9, 0.8],
            "seconds": 1.0, "macs": 1, "seed": [0, 1, 0, 0, 0], "test_accuracy": [40, 40, 25, 91.5, float("nan")],
            "outcome": "ok",
        }
    )  # fmt: skip
    rows.to_csv(tmp_path / "rows.csv", index=False)
    accuracy = benchmark_accuracy(tmp_path, "synthetic", [7, 5])
    assert accuracy.to_dict() == {7: 25.0, 5: 40.0} and list(accuracy.index) == [7, 5]
    assert benchmark_accuracy(tmp_path, "cifar10", [5]).to_dict() == {5: 91.5}
    with pytest.raises(InputError, match="no test accuracy on cifar100: it holds rows on cifar10, synthetic"):
        benchmark_accuracy(tmp_path, "cifar100", [5])
    for dataset, index in (("synthetic", 6), ("cifar10", 9)):
        with pytest.raises(InputError, match="lacks 1 of the architectures"):
            benchmark_accuracy(tmp_path, dataset, [index])
    rows.assign(test_accuracy=140.0).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match=r"in 0\.\.100"):
        benchmark_accuracy(tmp_path, "synthetic", [5])


def test_a_results_folder_answers_for_the_epochs_it_knows(tmp_path):
    """The benchmark's after 200 from its rows, after 12 from its accuracies.csv; no others."""
    folder = Path(__file__).parents[1] / "results" / "zero_cost_cifar10"
    lines = (line.split(",") for line in (folder / "accuracies.csv").read_text().splitlines())
    names = next(lines)
    line = dict(zip(names, next(line for line in lines if line[0] == "21")))
    for epochs, column in ((12, "cifar10_12ep"), (200, "cifar10"), (None, "cifar10")):
        found = benchmark_accuracy(folder, "cifar10", [21], epochs)
        assert found[21] == pytest.approx(float(line[column]), abs=1e-3)
        assert found.attrs["epochs"] == (epochs or 200)
    assert benchmark_accuracy(folder, "cifar100", [21], 12)[21] == float(line["cifar100_12ep"])
    for epochs in (90, 0, -1, True, 12.5):
        assert "it holds those after 12 or 200" in refusal(folder, indices=[21], epochs=epochs)
    rows = pd.read_csv(folder / "rows.csv.gz")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert "after 12 epochs: it holds those after 200." in refusal(tmp_path, indices=[21], epochs=12)
    (tmp_path / "accuracies.csv").write_text("index,cifar10_12ep\n21,84\n21,85\n")
    assert "more than one row of architecture 21" in refusal(tmp_path, indices=[21], epochs=12)


def test_a_folder_of_its_own_full_training_knows_how_long_that_was(tmp_path):
    folder = Path(__file__).parents[1] / "results" / "synthetic_compact"
    length = json.loads((folder / "manifest.json").read_text())["configuration"]["settings"]["full_epochs"]
    rows = pd.read_csv(folder / "rows.csv.gz").query("method == 'full'")
    index = rows["index"].iloc[0]
    expected = 100 * rows.score[rows["index"] == index].mean()
    for epochs in (None, length):
        found = benchmark_accuracy(folder, "synthetic", [index], epochs)
        assert found[index] == pytest.approx(expected) and found.attrs["epochs"] == length
    assert f"it holds those after {length}." in refusal(folder, "synthetic", [index], 200)
    for wrong in ([10], "10", None):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["configuration"]["settings"]["full_epochs"] = wrong
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        (tmp_path / "rows.csv.gz").write_bytes((folder / "rows.csv.gz").read_bytes())
        assert benchmark_accuracy(tmp_path, "synthetic", [index]).attrs["epochs"] is None
        assert "after a number that it does not say" in refusal(tmp_path, "synthetic", [index], 10)


def test_accuracies_given_as_numbers_are_not_said_to_be_after_200_epochs(tmp_path):
    """Where no sitting says anything, as in old folders, those of a benchmark's dataset are."""
    folder = Path(__file__).parents[1] / "results" / "zero_cost_cifar100"
    manifest = json.loads((folder / "manifest.json").read_text())
    (tmp_path / "rows.csv.gz").write_bytes((folder / "rows.csv.gz").read_bytes())
    for said, epochs in (
        ({"truth": "given as numbers", "truth_epochs": None}, None),
        ({"truth": None, "truth_epochs": None}, 200),
        ({"truth": "a table"}, 200),
        ({"truth": "a table", "truth_epochs": 12}, 12),
    ):
        sittings = [
            {key: value for key, value in each.items() if key != "truth_epochs"} | said
            for each in manifest["sittings"]
        ]
        (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"sittings": sittings}))
        assert benchmark_accuracy(tmp_path, "cifar100", [21]).attrs["epochs"] == epochs


def test_a_results_folder_gives_the_accuracies_of_its_journal_to_the_bit():
    """So that a sweep which is continued with it finds no other truth."""
    results = Path(__file__).parents[1] / "results"
    journal = read_journal(results / "cifar10_paper")
    recorded = {record["trial"]["index"]: record["test_accuracy"] for record in journal}
    for folder in ("cifar10_paper", "zero_cost_cifar10"):
        assert benchmark_accuracy(results / folder, "cifar10", recorded).to_dict() == recorded


@pytest.mark.parametrize("folder", ["zero_cost_cifar10", "cifar100_compact"])
def test_committed_accuracies_are_the_truth_of_committed_sweeps(folder):
    """The table beside the paper's 1,000 goes on with sweeps whose truth was the benchmark's table."""
    results = Path(__file__).parents[1] / "results"
    rows = read_rows(results / folder).drop_duplicates("index").set_index("index")
    found = benchmark_accuracy(results / "zero_cost_cifar10" / "accuracies.csv", rows.dataset.iloc[0], rows.index)
    assert (found == rows.test_accuracy).all()
