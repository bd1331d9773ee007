"""What cannot be honoured is refused in one sentence, before anything is computed."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import fearlib
from fearlib import Architecture, InputError, benchmark_accuracy, build_network, preset, ranking_table, read_rows
from fearlib.exhibits import find_exhibit
from fearlib.figures import save_figure, scatter
from fearlib.files.outside import existing_path, read_file
from fearlib.files.write import replace_file
from fearlib.ranking.bootstrap import bootstrap_interval
from fearlib.ranking.noise import noise_of_seeds
from fearlib.ranking.statistics import spearman
from fearlib.ranking.tables import common_table, top_table
from fearlib.scores.degradation import check_moments, degradation
from fearlib.scores.early import check_steps
from fearlib.scores.images import first_minibatch
from fearlib.scores.measures import measure_network, score_architectures
from fearlib.scores.registry import MEASURES, Measure, measure, measure_names
from fearlib.search.evaluations import live, replay
from fearlib.search.searches import funnel_search
from fearlib.spaces.darts_network import build_darts_network
from fearlib.spaces.registry import SPACES, Space
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.rows import read_curves

RESULTS = Path(__file__).parents[1] / "results"
SOME = [Architecture.from_index(index) for index in (5, 7)]


def sweep(folder, settings, **how):
    given = {"methods": ["zero_cost(measures=params)"], "architectures": SOME} | how
    return fearlib.run_sweep(
        folder, "synthetic", settings, given.pop("methods"), given.pop("architectures"), **given
    )


@pytest.mark.parametrize(
    "how, said",
    [
        ({"architectures": []}, "at least one architecture and one seed"),
        ({"seeds": []}, "at least one architecture and one seed"),
        ({"seeds": 3}, "seeds is 3: it must be a list"),
        ({"seeds": [True]}, "seed is True"),
        ({"architectures": 7}, "architectures is 7: it must be a list"),
        ({"methods": "fear"}, "methods='fear': it must be a list of names"),
        ({"methods": [5]}, r"methods=\[5\]: it must be a list of names"),
        ({"scheduler": 5}, "scheduler is 5: it must be tcp://HOST:PORT, or slurm"),
        ({"workers": "2"}, "workers is '2': it must be an integer"),
        ({"retries": "1"}, "retries is '1': it must be an integer"),
        ({"workers": 1.5}, "workers is 1.5: it must be an integer"),
        ({"methods": ["degradation(epochs=1,moments=0.6+0.7)"]}, "0.6 and 0.7 are both reached with step 2"),
    ],
)
def test_a_sweep_of_nothing_or_of_something_else(tmp_path, tiny_settings, how, said):
    with pytest.raises(InputError, match=said):
        sweep(tmp_path / "sweep", tiny_settings, **how)
    assert not (tmp_path / "sweep").exists()


@dataclass(frozen=True)
class Numbered:
    """An architecture of a search space as docs/extending.md asks for it, and no more."""

    index: int
    string: str = "number"

    @classmethod
    def from_index(cls, index):
        return cls(index)

    def __str__(self):
        return self.string


@pytest.fixture
def numbered(monkeypatch):
    space = Space(Numbered, None, lambda architecture, *sizes: build_network(SOME[0], *sizes))
    monkeypatch.setitem(SPACES, "numbered", space)


def test_architectures_that_could_not_be_read_again(tmp_path, tiny_settings, numbered):
    for architecture, said in (
        (Numbered(2**63), "number has the index 9223372036854775808: it must be an integer from 0 to"),
        (Numbered(1.5), "number has the index 1.5"),
        (Numbered(5, "0005"), "architecture 5 is the string '0005', which tables read as a number"),
        (Numbered(5, "n/a"), "architecture 5 is the string 'n/a'"),
    ):
        with pytest.raises(InputError, match=said):
            sweep(tmp_path / "sweep", tiny_settings, architectures=[architecture])
    assert not (tmp_path / "sweep").exists()
    rows = sweep(tmp_path / "sweep", tiny_settings, architectures=[Numbered(np.int64(5))])
    assert rows["index"].tolist() == [5] and rows.outcome.tolist() == ["ok"]


def test_a_space_without_strings_is_listed_by_index(tmp_path, numbered):
    path = tmp_path / "list.csv"
    path.write_text("index\n3\n5\n")
    assert read_indices(path, space="numbered") == [Numbered(3), Numbered(5)]
    for content, said in (
        ("arch\nnumber\n", "'number' names no architecture: numbered knows them by their index alone"),
        ("index,arch\n3,other\n", "architecture 3 is number, but is given there as other; the two must agree"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=said):
            read_indices(path, space="numbered")


def test_what_is_given_twice_runs_once(tmp_path, tiny_settings):
    methods = (each for each in ["zero_cost(measures=params)"] * 2)
    architectures = (each for each in [*SOME, SOME[0]])
    rows = sweep(tmp_path, tiny_settings, methods=methods, architectures=architectures, seeds=[0, 0])
    assert list(rows["index"]) == [5, 7]
    assert sum(sitting["trials"] for sitting in read_manifest(tmp_path)["sittings"]) == 2


def test_settings_that_no_preset_made(tmp_path, tiny_settings):
    """They are brought into a preset's form, or refused before a trial runs that would have another's name."""
    numpy_made = replace(tiny_settings, channels=np.int64(4), precision="auto")
    sweep(tmp_path / "own", numpy_made)
    kept = read_manifest(tmp_path / "own")["configuration"]["settings"]
    assert kept["channels"] == 4 and kept["precision"] != "auto"
    for settings, said in (
        (replace(tiny_settings, preset="32px"), "unknown preset '32px'"),
        (
            replace(tiny_settings, preset="smoke"),
            "the settings called smoke are not those of synthetic and nats-tss, where they are smoke.full",
        ),
        (
            replace(tiny_settings, cells=2),
            r"are smoke\(cells=2,full_epochs=1,.*: make them by fearlib.preset",
        ),
        (preset("compact", "cifar10"), r"where they are compact\(threshold=0.4\)"),
        (preset("smoke", "synthetic", space="darts"), "not those of synthetic and nats-tss"),
        (replace(tiny_settings, preset=None), "unknown preset 'None'"),
        (replace(tiny_settings, channels=0), "at least 1"),
        ("compact", "make them by"),
    ):
        with pytest.raises(InputError, match=said):
            sweep(tmp_path / "other", settings)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"shortreg_epochs": (1.9, 2)}, "integers separated by commas"),
        ({"shortreg_epochs": (True,)}, "integers separated by commas"),
        ({"channels": math.inf}, "an integer"),
        ({"channels": True}, "an integer"),
        ({"threshold": 10**400}, "a number"),
    ],
)
def test_settings_that_are_no_numbers(change, said):
    with pytest.raises(InputError, match=f"it must be {said}"):
        preset("smoke", "synthetic", **change)


def test_a_negative_zero_is_the_same_setting():
    assert preset("smoke", "synthetic", threshold=-0.0) == preset("smoke", "synthetic", threshold=0.0)


def test_rows_of_two_kinds_have_no_common_rank():
    two = pd.concat([read_rows(RESULTS / f"zero_cost_{name}") for name in ("cifar10", "cifar100")])
    for table in (ranking_table, top_table):
        with pytest.raises(
            InputError, match=r"two rows of \w+ with seed 0 on architecture \d+: rank each dataset, preset"
        ):
            table(two)
    with pytest.raises(InputError, match="the rows lack index, method, seed"):
        ranking_table(pd.DataFrame())


def row(index, arch, accuracy, space="nats-tss", seed=0):
    return {
        "space": space, "index": index, "arch": arch, "dataset": "cifar10", "preset": "smoke", "method": "fear",
        "score": 0.5, "seconds": 1.0, "macs": 1, "seed": seed, "test_accuracy": accuracy, "outcome": "ok",
    }  # fmt: skip


@pytest.mark.parametrize(
    "other, said",
    [
        (row(21, str(Architecture.from_index(22)), 90.0), "architecture 21 is .*; the two must agree"),
        (row(21, "1-2-3", 90.0, space="depths"), "holds architectures of depths, not of nats-tss"),
        (row(5, str(SOME[0]), 10.0, seed=1), "two test accuracies of architecture 5"),
    ],
)
def test_a_results_folder_that_contradicts_itself_is_no_truth(tmp_path, other, said):
    pd.DataFrame([row(5, str(SOME[0]), 92.2), other]).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match=said):
        benchmark_accuracy(tmp_path, "cifar10", [5])


def test_a_search_by_what_is_no_single_score(colour_dataset):
    settings = preset("smoke", "synthetic", zero_cost_batch=8)
    with pytest.raises(InputError, match=r"shortreg stands for 2 trials: choose one, shortreg\(epochs=1\) or"):
        live("shortreg", 0, colour_dataset, settings)
    with pytest.raises(InputError, match="zero_cost gives 15 scores: a search needs one"):
        live("zero_cost", 0, colour_dataset, settings)(5, math.inf)
    with pytest.raises(InputError, match="not called 'evaluated'"):
        funnel_search({"evaluated": None}, None, [5], 1)


def test_a_measure_is_charged_for_the_images_that_it_sees(colour_dataset):
    """8 pixels a side, whatever the settings say."""
    settings = preset("smoke", "synthetic", zero_cost_batch=8, resolution=32)
    found = live("zero_cost(measures=snip)", 0, colour_dataset, settings)(5, math.inf)
    network = build_network(SOME[0], colour_dataset.num_classes, settings.channels, settings.cells)
    assert colour_dataset.resolution == 8 and found.macs == 3 * 8 * network.macs(8)


def test_a_replay_of_fear_needs_its_curves():
    folder, method = RESULTS / "cifar10_paper", "fear(stage2_epochs=5)"
    rows, curves = read_rows(folder), read_curves(folder)
    index = rows[rows.method == method]["index"].iloc[0]
    replay(rows, curves, method, 50_000, 256)
    with pytest.raises(InputError, match=f"1 trials of .* have no learning curve, that of {index} for one"):
        replay(rows, curves[curves["index"] != index], method, 50_000, 256)


IMAGES, LABELS = torch.zeros(4, 3, 8, 8), torch.arange(4)


@pytest.mark.parametrize(
    "images, more, said",
    [
        (IMAGES.byte(), {}, "the training images are uint8: they need a mean and std"),
        (IMAGES[:, :1], {}, r"the shape \(4, 1, 8, 8\)"),
        (IMAGES * torch.tensor([1.0, math.nan]).repeat(4), {}, "the training images hold NaN or an infinity"),
        (IMAGES.to(torch.complex64), {}, "the training images are complex64"),
        (IMAGES.long(), {}, "the training images are int64"),
        (IMAGES[..., :4], {}, r"the shape \(4, 3, 8, 4\): it must be \(count, 3, side, side\)"),
        (IMAGES, {"mean": torch.zeros(3)}, "both a mean and a std, or neither"),
        (IMAGES, {"padding": -1}, "padding is -1"),
        (IMAGES, {"padding": 1.5}, "padding is 1.5"),
        (IMAGES.numpy(), {}, "training images are a numpy.ndarray: a torch.Tensor is needed, as torch.from_numpy"),
        (IMAGES[:3], {}, r"own's training labels have the shape \(4,\) for 3 images"),
        (IMAGES.byte(), {"mean": (1.0, 2.0, 3.0), "std": (1.0, 1.0, 1.0)}, "the mean and std are a tuple"),
        (IMAGES.byte(), {"mean": torch.tensor(1.0), "std": torch.ones(3)}, "the mean is 1.0: it must be three"),
        (IMAGES, {"mean": torch.zeros(3), "std": torch.zeros(3)}, "three numbers above 0, one a channel"),
    ],
)
def test_a_dataset_that_cannot_be_trained_on(images, more, said):
    with pytest.raises(InputError, match=said):
        fearlib.Dataset("own", "drawn", True, images, LABELS, images, LABELS, **more)


def test_training_and_test_images_are_alike():
    with pytest.raises(InputError, match="training images have 8 pixels a side and the test images 16: they must"):
        fearlib.Dataset("own", "drawn", True, IMAGES, LABELS, torch.zeros(4, 3, 16, 16), LABELS)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: build_network(9930, 10), "9930 is no Architecture: Architecture.from_index"),
        (lambda: build_darts_network(SOME[0], 10), "is no Genotype: Genotype.from_index"),
        (lambda: build_network(SOME[0], True), "num_classes is True"),
        (lambda: Architecture(3), "ops is 3: it must be six names"),
        (lambda: fearlib.sample_architectures(True, 0), "cannot sample True architectures"),
        (lambda: bootstrap_interval(spearman, [1, 2, 3], [1, 2, 3], confidence="0.95"), "confidence '0.95'"),
        (lambda: bootstrap_interval(spearman, [1, 2, 3], [1, 2, 3], resamples=True), "resamples is True"),
        (lambda: fearlib.nearest_pareto([1, 2], [1, 2], None), "target cost None"),
        (lambda: spearman(["1", "2", "10"], [1, 2, 3]), "1-d arrays of numbers"),
        (lambda: spearman([1j, 2, 3], [1, 2, 3]), "1-d arrays of numbers"),
        (lambda: fearlib.top_indices([1, 2, 3], "1/2"), "percent '1/2'"),
        (lambda: measure_names(5), "measures=5: it must be a tuple of names"),
        (lambda: measure_names([["snip"]]), r"unknown measure \['snip'\]"),
        (lambda: measure(lambda batch: 0), r"write @measure\(passes=3\)"),
        (lambda: measure(passes=3, own_images=0), "own_images is 0: it must be an integer of at least 1"),
        (lambda: measure(passes=3, at_most="64"), "at_most is '64'"),
        (lambda: preset("smoke", "cifar10", space=["x"]), r"unknown search space \['x'\]"),
        (lambda: benchmark_accuracy("x.csv", "cifar10", [1], split=["test"]), r"unknown split \['test'\]"),
        (lambda: benchmark_accuracy("x.csv", "cifar10", 27), "indices=27: give a list of architecture indices"),
        (lambda: read_indices("x.txt", count=1.0), "count is 1.0: it must be an integer"),
        (lambda: find_exhibit([]), r"unknown exhibit \[\]"),
        (
            lambda: fearlib.run_sweep("a\0b", "synthetic", preset("smoke", "synthetic"), ["fear"], SOME),
            "null byte",
        ),
        (lambda: existing_path("a" * 300), "cannot be read: File name too long"),
        (lambda: read_file("a" * 300, 10), "cannot be read: File name too long"),
        (lambda: replace_file("a\0b", b""), "cannot be written: embedded null byte"),
        (lambda: score_architectures(SOME, IMAGES, LABELS, 4, seed="a"), "seed is 'a'"),
        (
            lambda: scatter(read_rows(RESULTS / "cifar10_paper"), ["fear"]),
            "methods=.*it must be a list out of fear",
        ),
        (lambda: scatter(read_rows(RESULTS / "cifar10_paper"), []), "methods=.*it must be a list out of"),
        (lambda: scatter(read_rows(RESULTS / "cifar10_paper"), "fear"), "methods='fear': it must be a list"),
        (lambda: spearman(pd.Series(["1", "2", "10"]), [1, 2, 3]), "1-d arrays of numbers"),
    ],
)
def test_arguments_of_another_kind(call, said):
    with pytest.raises(InputError, match=said):
        call()


def test_noise_is_not_taken_from_one_seed():
    values = pd.DataFrame({"index": [1, 1, 2, 3], "seed": 0, "value": [0.5, 0.5, 0.6, 0.7]})
    with pytest.raises(InputError, match="two values of one seed"):
        noise_of_seeds(values)


@pytest.mark.parametrize(
    "how",
    [{"recorded_steps": (2.5,)}, {"recorded_steps": 3}, {"recorded_steps": [1, "a"]}, {"max_seconds": None},
     {"max_macs": "1"}],
)  # fmt: skip
def test_training_limits_that_nothing_reaches(colour_dataset, how):
    network = build_network(SOME[0], colour_dataset.num_classes, 4, 1)
    with pytest.raises(InputError, match=next(iter(how))):
        fearlib.train(network, colour_dataset, 1, 40, **how)


@pytest.mark.parametrize(
    "how, said",
    [
        ({"constant_rate": True, "seed": 2**63 - 1}, "seed is 9223372036854775808"),
        ({"seed": None}, "seed is None"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
        ({"moments": ["0.5"]}, r"moments \['0.5'\]: they must be numbers of epochs"),
        ({"moments": 1}, "moments 1: they must be"),
    ],
)
def test_degradation_refuses_before_it_measures(colour_dataset, monkeypatch, how, said):
    network = build_network(SOME[0], colour_dataset.num_classes, 4, 1)
    images, labels = first_minibatch(colour_dataset, 8, 0)
    monkeypatch.setattr("fearlib.scores.degradation.measure_network", None)  # nothing is measured
    with pytest.raises(InputError, match=said):
        degradation(network, colour_dataset, images, labels, 2, **how)


def test_steps_and_moments_may_be_an_array():
    check_steps(np.array([1, 2]))
    check_moments(np.linspace(0, 1, 3), 2)
    for wrong in ([True, 2], "12", 5, {1, 2}):
        with pytest.raises(InputError, match="steps .*: they must be whole numbers from 1"):
            check_steps(wrong)


@pytest.mark.parametrize("given", [None, "1", [1.0], torch.ones(2), torch.tensor(1j), True])
def test_what_is_no_number_is_a_reason_and_the_other_measures_stay(colour_dataset, monkeypatch, given):
    monkeypatch.setitem(MEASURES._entries, "strange", Measure(lambda batch: given, 1))
    network = build_network(SOME[0], colour_dataset.num_classes, 4, 1)
    found = measure_network(network, *first_minibatch(colour_dataset, 8, 0), ("strange", "snip"))
    assert found["strange"].undefined == f"its function gave a {type(given).__name__}, not one number"
    assert math.isfinite(found["snip"].value)


def test_methods_that_score_nothing_alike():
    rows = read_rows(RESULTS / "cifar10_paper")
    fear, other = (rows[rows.method == method] for method in ("fear(stage2_epochs=5)", "shortreg(epochs=8)"))
    known = set(fear.dropna(subset="score")["index"])
    apart = pd.concat([fear, other[~other["index"].isin(known)]])
    with pytest.raises(
        InputError, match=r"no architecture has a score of each of fear\(stage2_epochs=5\), shortreg"
    ):
        common_table(apart)
    assert len(common_table(fear.assign(score=math.nan))) == 1  # nothing to share


def test_fear_refuses_a_seed_that_stage_2_could_not_have(colour_dataset, monkeypatch):
    network = build_network(SOME[0], colour_dataset.num_classes, 4, 1)
    monkeypatch.setattr("fearlib.scores.trained.train", None)  # nothing is trained
    with pytest.raises(InputError, match="seed is 9223372036854775808"):
        fearlib.fear(network, colour_dataset, 0.1, seed=2**63 - 1)


def test_a_figure_keeps_the_dots_of_its_name(tmp_path):
    from fearlib.figures.frame import pyplot

    figure = pyplot().figure()
    for name in ("threshold_0.5", "threshold_0.6.png"):
        save_figure(figure, tmp_path / name)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"threshold_0.{digit}.{kind}" for digit in (5, 6) for kind in ("png", "pdf")}
