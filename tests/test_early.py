"""Measures after a few steps, against the same moments of a longer training."""

import functools
import math
import re

import pytest
import torch
from datasets import spoiled

from fearlib import Architecture, InputError, build_network, preset
from fearlib.scores.degradation import degradation
from fearlib.scores.early import early
from fearlib.scores.images import first_minibatch
from fearlib.sweeps.labels import parse_label
from fearlib.sweeps.methods import expand_methods, most_macs
from fearlib.sweeps.presets import as_dict
from fearlib.sweeps.taken import refuse_measures_twice
from fearlib.sweeps.trial import run_trial

ARCHITECTURE = Architecture.from_index(12148)
SETTINGS = preset("smoke", "synthetic", zero_cost_batch=16, batch_size=40, precision="float32")


def network():
    torch.manual_seed(3)
    return build_network(ARCHITECTURE, 10, 4, 1)


def test_they_are_those_of_a_training_that_goes_on(colour_dataset):
    """200 images make 10 steps of 20."""
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    how = {"batch_size": 20, "precision": "float32", "seed": 3}
    found = early(network(), colour_dataset, images, labels, [1, 4], ("snip", "synflow"), **how)
    whole = degradation(network(), colour_dataset, images, labels, 2, True, moments=[0.1, 0.4, 1.5], **how)
    for one, other in zip(found, whole):
        assert one.epoch == other.epoch
        for name in ("snip", "synflow"):
            assert one.measures[name].value == other.measures[name].value
    assert [list(moment.measures) for moment in found] == [["snip", "synflow"]] * 2
    start = degradation(network(), colour_dataset, images, labels, 1, moments=[0], **how)[0]
    assert found[0].measures["snip"].value != start.measures["snip"].value


def test_nothing_is_trained_after_the_last_step(colour_dataset):
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    for steps, batch, seen in (([2, 3], 20, [40, 60]), ([5], 48, [200]), ([1], 500, [200])):
        trained = network()
        found = early(trained, colour_dataset, images, labels, steps, batch_size=batch)
        assert [sum(record.images for record in moment.curve) for moment in found] == seen
        assert trained.stem[1].num_batches_tracked == steps[-1]
        assert [moment.macs for moment in found] == [images * trained.training_macs(8) for images in seen]


@pytest.mark.parametrize(
    "steps, batch_size, said",
    [
        ([], 20, "steps '': they must be whole numbers from 1"),
        ([0, 1], 20, "steps '0+1'"),
        ([2, 2], 20, "steps '2+2'"),
        ([1.5], 20, "steps '1.5'"),
        ([math.inf], 20, "steps 'inf'"),
        ([3, 11], 20, "steps=11: an epoch of 200 images has 10 steps of 20, and no more are taken."),
        ([1], 0, "batch_size is 0"),
    ],
)
def test_what_cannot_be_is_refused(steps, batch_size, said, colour_dataset):
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    with pytest.raises(InputError, match=re.escape(said)):
        early(network(), colour_dataset, images, labels, steps, batch_size=batch_size)


def test_what_cannot_be_measured_is_refused_before_training(colour_dataset):
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    for call in (
        lambda net: early(net, colour_dataset, images, labels, [1], ("snipp",)),
        lambda net: early(net, colour_dataset, images, labels - 1, [1]),
        lambda net: degradation(net, colour_dataset, images, labels[1:], 1, moments=[1]),
    ):
        net = network()
        before = [parameter.clone() for parameter in net.parameters()]
        with pytest.raises(InputError):
            call(net)
        assert all(torch.equal(a, b) for a, b in zip(before, net.parameters()))


def test_a_sweep_refuses_more_steps_than_an_epoch_has(colour_dataset):
    """200 images make 5 steps of 40."""
    assert most_macs(ARCHITECTURE, "early(steps=2)", colour_dataset, SETTINGS) == 80 * network().training_macs(8)
    with pytest.raises(InputError, match="steps=40: an epoch of 200 images has 5 steps of 40"):
        most_macs(ARCHITECTURE, *expand_methods(["early"], SETTINGS), colour_dataset, SETTINGS)


def test_a_trial_has_a_row_for_every_measure_and_step(colour_dataset):
    (label,) = expand_methods(["early(measures=synflow+snip,steps=1+3)"], SETTINGS)
    assert label == "early(steps=1+3,measures=snip+synflow,batch_size=40)"
    assert expand_methods(["early"], SETTINGS) == ["early(steps=40,measures=snip,batch_size=40)"]
    result = run_trial(ARCHITECTURE, label, 0, colour_dataset, SETTINGS)
    rows = {row["method"]: row for row in result["rows"]}
    assert list(rows) == [f"{name}(steps={n},batch_size=40)" for n in (1, 3) for name in ("snip", "synflow")]
    assert all(math.isfinite(row["score"]) for row in rows.values())
    assert [record["epoch"] for record in result["curve"]] == [0.2, 0.4, 0.6]  # a record every fifth of an epoch
    spent = [record["macs"] for record in result["curve"]]
    first, last = rows["snip(steps=1,batch_size=40)"], rows["snip(steps=3,batch_size=40)"]
    assert last["macs"] - first["macs"] == sum(spent[1:]) > 0
    (other,) = run_trial(ARCHITECTURE, "early(steps=2,measures=snip,batch_size=50)", 0, colour_dataset, SETTINGS)[
        "rows"
    ]
    assert parse_label(other["method"]).arguments == {"steps": "2", "batch_size": "50"}
    for wrong, said in (("early(steps=1+x)", "not a list of numbers"), ("early(steps=-1)", "steps '-1'"),
                        ("early(measures=mine)", "unknown measure 'mine'")):  # fmt: skip
        with pytest.raises(InputError, match=re.escape(said)):
            expand_methods([wrong], SETTINGS)


def test_a_sweep_takes_a_measure_after_a_step_once():
    refuse = functools.partial(refuse_measures_twice, settings=as_dict(SETTINGS))
    refuse(["early(steps=1+3,measures=snip)", "early(steps=2,measures=snip)", "zero_cost"])
    refuse(["early(steps=1,measures=snip,batch_size=32)", "early(steps=1,measures=snip,batch_size=64)"])
    own = expand_methods(["early(steps=1)", f"early(steps=1,batch_size={SETTINGS.batch_size})"], SETTINGS)
    assert own == [f"early(steps=1,measures=snip,batch_size={SETTINGS.batch_size})"]
    trainings = ["degradation(epochs=8)", "degradation(epochs=8,batch_size=128)"]
    refuse(["degradation(epochs=8)", "degradation(epochs=4)", "degradation_constant(epochs=8)"])
    same = f"degradation_constant(epochs=2,batch_size={SETTINGS.batch_size})"
    refuse(["degradation_constant(epochs=8)", "degradation_constant(epochs=4)", same])
    with pytest.raises(InputError, match=r"batch_size=64\) and degradation_constant\(epochs=4\) train otherwise"):
        refuse(["degradation_constant(epochs=2,batch_size=64)", "degradation_constant(epochs=4)"])
    with pytest.raises(InputError, match="every measure in degradation of 8 epochs is taken by degradation"):
        refuse(trainings)
    with pytest.raises(InputError, match="snip after 1 steps of 64 is taken by early"):
        refuse([f"early(steps=1,measures=snip,batch_size=64{more})" for more in ("", ",precision=half")])
    with pytest.raises(
        InputError, match=r"snip after 3 steps is taken by early\(steps=1\+3,measures=snip\) and by"
    ):
        refuse(["early(steps=1+3,measures=snip)", "early(steps=3,measures=grad_norm+snip)"])


def test_a_training_that_diverges_ends_there_with_a_reason(colour_dataset):
    """All images are NaN, and so is every weight after the first step."""
    images, labels = first_minibatch(colour_dataset, 16, seed=3)
    wrong = torch.full_like(colour_dataset.train_images, math.nan)
    data = spoiled(colour_dataset, train_images=wrong)
    (moment,) = early(network(), data, images, labels, [1, 3], batch_size=20, seed=3)
    assert not math.isfinite(moment.curve[-1].loss) and math.isnan(moment.measures["snip"].value)
    assert "holds NaN" in moment.measures["snip"].undefined
