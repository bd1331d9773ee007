"""Measures followed through training, against the same training without anyone looking."""

import math
import re
from dataclasses import asdict

import pytest
import torch
from datasets import spoiled

from fearlib import Architecture, InputError, Network, build_network, preset, train, zero_cost
from fearlib.scores.degradation import MOMENTS, degradation
from fearlib.scores.images import first_minibatch
from fearlib.scores.registry import FIFTEEN
from fearlib.sweeps.labels import parse_label
from fearlib.sweeps.methods import expand_methods
from fearlib.sweeps.trial import run_trial

EPOCHS = 2


def network():
    torch.manual_seed(3)
    return build_network(Architecture.from_index(5), 10, channels=4, cells=1)


def without_seconds(curve):
    return [asdict(record) | {"seconds": 0, "val_top1": 0} for record in curve]


@pytest.mark.parametrize("constant_rate", [False, True])
def test_looking_changes_neither_the_training_nor_the_measures(colour_dataset, constant_rate):
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    moments = degradation(network(), colour_dataset, images, labels, EPOCHS, constant_rate, batch_size=20, seed=3)
    assert [moment.epoch for moment in moments] == [0, 0.2, 0.4, 0.6, 0.8, 1, 2]
    at_first, at_last = moments[0], moments[-1]
    alone = network()
    assert values(at_first) == close(expected(alone, images, labels))
    common = {"batch_size": 20, "records_per_epoch": MOMENTS}
    if constant_rate:
        curve = train(alone, colour_dataset, 1, schedule_epochs=10**9, seed=3, **common)
        second = train(alone, colour_dataset, 1, schedule_epochs=10**9, seed=4, **common)
        assert [record.train_top1 for record in curve + second] == [r.train_top1 for r in at_last.curve]
    else:
        curve = train(alone, colour_dataset, EPOCHS, seed=3, **common)
        assert without_seconds(curve) == without_seconds(at_last.curve)
    assert values(at_last) == close(expected(alone, images, labels))
    assert values(at_last)["snip"] != pytest.approx(values(at_first)["snip"], rel=0.01)


@pytest.mark.parametrize("constant_rate", [False, True])
def test_moments_asked_for_are_those_of_the_same_training(colour_dataset, constant_rate):
    """Ten steps an epoch; 1.3 and 2.35 are in no default list, 2.35 is reached with step 24."""
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    common = {"constant_rate": constant_rate, "batch_size": 20, "seed": 3}
    usual = degradation(network(), colour_dataset, images, labels, 3, **common)
    asked = degradation(network(), colour_dataset, images, labels, 3, moments=[0.2, 1.3, 2.35], **common)
    assert [moment.epoch for moment in asked] == [0.2, 1.3, 2.4]
    assert repr(values(asked[0])) == repr(values(usual[1])) and values(asked[1])["snip"] > 0
    assert values(asked[1])["snip"] != values(asked[2])["snip"] != values(usual[-1])["snip"]
    total = [sum(r.loss * r.images for r in moments[-1].curve) for moments in (usual, asked)]
    rest = sum(r.loss * r.images for r in usual[-1].curve if r.epoch > 2.4)
    assert total[1] == pytest.approx(total[0] - rest)
    assert [r.epoch for r in asked[-1].curve if 1 < r.epoch < 2] == [1.2, 1.3, 1.4, 1.6, 1.8]
    start = degradation(network(), colour_dataset, images, labels, 3, moments=[0], **common)
    assert [moment.epoch for moment in start] == [0] and start[0].curve == ()


@pytest.mark.parametrize("constant_rate", [False, True])
@pytest.mark.parametrize("last, steps", [(0.2, 2), (1, 10), (2.35, 24), (3, 30)])
def test_nothing_is_trained_after_the_last_moment(colour_dataset, constant_rate, last, steps):
    """Batch norm counts the batches that it has seen in training."""
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    trained = network()
    degradation(trained, colour_dataset, images, labels, 3, constant_rate, 20, seed=3, moments=[0.1, last])
    assert trained.stem[1].num_batches_tracked == steps


@pytest.mark.parametrize(
    "moments, said",
    [
        ([0, 1, 4], "moments '0+1+4': they must be numbers of epochs from 0 to 3, in rising order, each once"),
        ([-1, 2], "from 0 to 3"),
        ([0, 2, 1], "in rising order"),
        ([0, 1, 1], "each once"),
        ([0, math.nan], "numbers of epochs"),
        ([math.inf], "numbers of epochs"),
        ([], "moments ''"),
        ([0.21, 0.22], "moments 0.21 and 0.22 are both reached with step 3: an epoch has 10 steps."),
    ],
)
def test_wrong_moments_are_refused(colour_dataset, moments, said):
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    with pytest.raises(InputError, match=re.escape(said)):
        degradation(network(), colour_dataset, images, labels, 3, batch_size=20, moments=moments)


def values(moment):
    return {name: result.value for name, result in moment.measures.items()}


def close(values):
    return pytest.approx(values, rel=1e-6, nan_ok=True)


def expected(alone, images, labels):
    return zero_cost(alone, images, labels, FIFTEEN, seed=3)


@pytest.mark.parametrize("constant_rate", [False, True])
def test_a_training_that_diverges_ends_there_with_reasons(colour_dataset, constant_rate):
    """One image is NaN: every weight is after its batch, which seed 3 draws within the first epoch."""
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    wrong = torch.where(torch.arange(200)[:, None, None, None] == 7, math.nan, colour_dataset.train_images)
    data = spoiled(colour_dataset, train_images=wrong)
    moments = degradation(network(), data, images, labels, 3, constant_rate, batch_size=20, seed=3)
    assert moments[-1].epoch <= 1
    assert [math.isfinite(record.loss) for record in moments[-1].curve] == [True] * (len(moments) - 2) + [False]
    last = moments[-1].measures
    assert math.isnan(moments[-1].curve[-1].train_top1) and math.isnan(last["snip"].value)
    assert last["snip"].undefined == "the network's stem.0.weight holds NaN or an infinity"
    assert last["macs"].value == network().macs(8)


def test_nothing_is_trained_after_the_last_moment_without_macs(colour_dataset):
    """A network that has neither convolutions nor linear layers."""

    class Scale(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, features):
            return self.weight * features

    head = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d((2, 5)), torch.nn.Flatten(), torch.nn.AvgPool1d(3))
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    alone = Network(Scale(), [Scale()], head, 0)
    assert alone.macs(8) == 0
    moments = degradation(
        alone, colour_dataset, images, labels, 3, batch_size=20, moments=[0.2], measures=("params",)
    )
    assert sum(record.images for record in moments[-1].curve) == 2 * 20  # of the ten steps of an epoch


def test_a_trial_gives_a_row_for_every_measure_and_moment(colour_dataset):
    settings = preset("smoke", "synthetic", zero_cost_batch=16, batch_size=40)
    (label,) = expand_methods(["degradation(epochs=2)"], settings)
    assert expand_methods(["degradation"], settings) == ["degradation(epochs=8)"]
    result = run_trial(Architecture.from_index(5), label, 0, colour_dataset, settings)
    rows = {row["method"]: row for row in result["rows"]}
    moments = ("0", "0.2", "0.4", "0.6", "0.8", "1", "2")
    assert [f"snip(epoch={epoch},epochs=2,schedule=cosine)" in rows for epoch in moments] == [True] * 7
    assert "train_top1(epoch=0,epochs=2,schedule=cosine)" not in rows
    top1 = [rows[f"train_top1(epoch={epoch},epochs=2,schedule=cosine)"]["score"] for epoch in moments[1:]]
    of_curve = {record["epoch"]: record["train_top1"] for record in result["curve"]}
    assert top1 == [of_curve[float(epoch)] for epoch in moments[1:]]
    spent = sum(record["macs"] for record in result["curve"])
    last = rows["snip(epoch=2,epochs=2,schedule=cosine)"]
    assert last["macs"] == spent + rows["snip(epoch=0,epochs=2,schedule=cosine)"]["macs"]
    assert all(row["outcome"] == "ok" or math.isnan(row["score"]) for row in rows.values())


def test_a_label_states_its_moments(colour_dataset):
    settings = preset("smoke", "synthetic", zero_cost_batch=16, batch_size=40)
    (label,) = expand_methods(["degradation_constant(moments=0+0.20+2,epochs=2)"], settings)
    assert label == "degradation_constant(epochs=2,moments=0+0.2+2)"
    result = run_trial(Architecture.from_index(5), label, 0, colour_dataset, settings)
    scores = {row["method"]: row["score"] for row in result["rows"]}
    epochs = {parse_label(method).arguments["epoch"] for method in scores}
    assert epochs == {"0", "0.2", "2"}
    of_curve = {record["epoch"]: record for record in result["curve"]}
    assert scores["train_loss(epoch=2,epochs=2,schedule=constant)"] == of_curve[2]["loss"]
    assert scores["train_top1(epoch=0.2,epochs=2,schedule=constant)"] == of_curve[0.2]["train_top1"]
    for wrong, said in (
        ("degradation(epochs=2,moments=0+3)", "from 0 to 2"),
        ("degradation(moments=0+9)", "from 0 to 8"),
        ("degradation(moments=0+1+x)", "'0+1+x' is not a list of numbers joined by +"),
        ("degradation(moments=)", "'' is not a list"),
        ("degradation(moments=nan)", "'nan'"),
        ("shortreg(moments=1)", "shortreg takes no argument 'moments'"),
    ):
        with pytest.raises(InputError, match=re.escape(said)):
            expand_methods([wrong], settings)


def test_a_label_names_its_measures(colour_dataset):
    """Those named have the values that they have among the fifteen, and no others have rows."""
    settings = preset("smoke", "synthetic", zero_cost_batch=16, batch_size=40)
    (label,) = expand_methods(["degradation(moments=0+1,measures=snip+meco+grad_norm,epochs=2)"], settings)
    assert label == "degradation(epochs=2,moments=0+1,measures=grad_norm+meco+snip)"

    def scores(label):
        rows = run_trial(Architecture.from_index(5), label, 0, colour_dataset, settings)["rows"]
        return {(at.name, at.arguments["epoch"]): row for row in rows for at in [parse_label(row["method"])]}

    named, usual = scores(label), scores("degradation(epochs=2,moments=0+1)")
    assert {name for name, _ in named} == {"snip", "meco", "grad_norm", "train_top1", "train_loss"}
    for key in set(named) & set(usual):
        assert [named[key][column] for column in ("score", "macs")] == [
            usual[key][column] for column in ("score", "macs")
        ]
    assert ("snip", "1") in usual and named["snip", "1"]["macs"] > named["snip", "0"]["macs"]
    with pytest.raises(InputError, match="unknown measure 'snipp'"):
        expand_methods(["degradation(measures=snipp)"], settings)


def test_at_a_constant_rate_a_longer_training_begins_with_a_shorter_one(colour_dataset):
    settings = preset("smoke", "synthetic", zero_cost_batch=16, batch_size=40)

    def until_one(epochs):
        label = f"degradation_constant(epochs={epochs})"
        result = run_trial(Architecture.from_index(5), label, 0, colour_dataset, settings)
        scores = [(parse_label(row["method"]), repr(row["score"])) for row in result["rows"]]
        return {(at.name, at.arguments["epoch"]): score for at, score in scores if at.number("epoch") <= 1}

    shorter = until_one(1)
    assert until_one(2) == shorter and len(shorter) == 6 * 15 + 5
