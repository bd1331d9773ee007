import itertools
import math
from dataclasses import replace

import pytest
import torch
from datasets import spoiled
from torch import nn

from fearlib import Architecture, InputError, Network, build_network, fear, full, shortreg, train
from fearlib.sweeps.run import Trial, _identity, _run
from fearlib.sweeps.trial import refuse_nan
from fearlib.training.loop import latest_top1, top1

CELL = Architecture(
    ["nor_conv_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1"]
)


def network(channels=8):
    torch.manual_seed(0)
    return build_network(CELL, 10, channels=channels, cells=1)


@pytest.mark.parametrize("checks, seed", [(1, 4), (4, 0)])
def test_fear_is_its_two_stages(colour_dataset, checks, seed):
    """Stage 1 to the threshold, then stage 2 of the same network with the rest frozen, done by hand."""
    result = fear(
        network(), colour_dataset, 0.4, stage2_epochs=3, stage2_batch=50, batch_size=20, stage1_epochs=20,
        threshold_checks=checks, seed=seed,
    )  # fmt: skip
    net = network()
    first = train(
        net, colour_dataset, 20, 20, schedule_epochs=200, stop_at=0.4, records_per_epoch=checks, seed=seed
    )
    second = train(net, colour_dataset, 3, 50, first_free_block=4, seed=seed + 1, stage=2)
    assert checks == 1 or sum(epoch.images for epoch in first) % 200  # it ends within an epoch
    assert [(e.stage, e.loss, e.train_top1) for e in result.curve] == [
        (e.stage, e.loss, e.train_top1) for e in first + second
    ]
    assert result.value == second[-1].train_top1 and result.outcome == "ok"
    images = sum(epoch.images for epoch in first)
    assert result.macs == images * net.training_macs(8) + 600 * net.training_macs(8, 4)
    assert result.seconds == pytest.approx(sum(e.seconds for e in result.curve))


def test_stage_two_leaves_the_frozen_blocks_as_stage_one_left_them(colour_dataset):
    net, alone = network(), network()
    fear(net, colour_dataset, 0.2, batch_size=20, stage1_epochs=20)
    train(alone, colour_dataset, 20, 20, schedule_epochs=200, stop_at=0.2)
    free = {id(parameter) for parameter in net.free_parameters(4)}
    for ours, theirs in zip(net.parameters(), alone.parameters()):
        assert torch.equal(ours, theirs) == (id(ours) not in free)


def test_below_threshold(colour_dataset):
    result = fear(network(), colour_dataset, 1.0, stage1_epochs=2)
    assert math.isnan(result.value) and result.outcome == "below threshold"
    assert [e.stage for e in result.curve] == [1, 1] and result.macs > 0


def test_out_of_time_even_if_the_part_of_an_epoch_was_good(colour_dataset):
    result = fear(network(), colour_dataset, 0.0, batch_size=8, max_seconds=0.0)
    assert math.isnan(result.value) and result.outcome == "out of time"
    assert result.macs == 8 * 3 * network().macs(8)


def test_out_of_time_although_the_latest_images_went_well(colour_dataset, monkeypatch):
    """A clock that ticks a second at every look: time is up within the second epoch."""

    def run(threshold):
        ticks = itertools.count()
        monkeypatch.setattr("fearlib.training.loop.time.perf_counter", lambda: float(next(ticks)))
        steps = -(-len(colour_dataset.train_labels) // 8)
        torch.manual_seed(0)
        return fear(network(), colour_dataset, threshold, batch_size=8, stage1_epochs=2, max_seconds=steps + 4)

    first, part = run(1.0).curve
    latest = latest_top1([first, part], len(colour_dataset.train_labels))
    assert part.images < first.images and latest > first.train_top1
    result = run(latest)  # the first epoch alone does not reach it
    assert math.isnan(result.value) and result.outcome == "out of time"


def test_a_wrong_block_is_refused_before_training(colour_dataset):
    net = network()
    before = [parameter.clone() for parameter in net.parameters()]
    with pytest.raises(InputError, match="first_free_block is 6"):
        fear(net, colour_dataset, 0.5, first_free_block=6)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters()))


def test_blocks_in_which_nothing_can_be_trained_are_refused_before_training(colour_dataset):
    net = network()
    net.head.requires_grad_(False)
    with pytest.raises(InputError, match="no parameter from block 5 on asks for gradients"):
        fear(net, colour_dataset, 0.0, first_free_block=5)
    with pytest.raises(InputError, match="no parameter from block 5 on"):
        train(net, colour_dataset, 1, first_free_block=5)
    assert fear(net, colour_dataset, 0.0, batch_size=50, first_free_block=4).outcome == "ok"


def test_shortreg_takes_the_best_epoch(colour_dataset):
    results = [shortreg(network(2), colour_dataset, 4, 50, seed=seed) for seed in range(8)]
    for seed, result in enumerate(results):
        assert result.value == max(e.train_top1 for e in result.curve)
        curve = train(network(2), colour_dataset, 4, 50, seed=seed)
        assert [e.loss for e in result.curve] == [e.loss for e in curve]
    assert any(result.value > result.curve[-1].train_top1 for result in results)


def test_full_takes_the_last_test_accuracy(colour_dataset):
    result, alone = full(network(2), colour_dataset, 3, 50, seed=2), network(2)
    curve = train(alone, colour_dataset, 3, 50, seed=2)
    assert [epoch.loss for epoch in result.curve] == [epoch.loss for epoch in curve]
    assert result.value == result.curve[-1].val_top1 == top1(alone, colour_dataset)


def test_stage_1_ends_with_its_multiply_accumulates(colour_dataset):
    """A step of 50 images is the least."""
    result = fear(network(), colour_dataset, 1.0, batch_size=50, max_macs=1)
    assert result.outcome == "out of macs" and result.macs == 50 * 3 * network().macs(8)


@pytest.mark.parametrize(
    "method", [lambda *a: fear(*a, threshold=0.0, stage2_epochs=2), lambda *a: shortreg(*a, epochs=2)]
)
def test_only_the_last_record_carries_the_test_accuracy_of_the_network_as_it_ends(colour_dataset, method):
    net = network()
    curve = method(net, colour_dataset).curve
    assert curve[-1].val_top1 == top1(net, colour_dataset)
    assert all(math.isnan(epoch.val_top1) for epoch in curve[:-1])


# Training that diverges.

TRAININGS = {
    "shortreg": lambda net, data: shortreg(net, data, 3, 50),
    "full": lambda net, data: full(net, data, 3, 50),
    "fear": lambda net, data: fear(net, data, 0.0, stage1_epochs=3, stage2_epochs=3),
}
every_training = pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)


def without_numbers(images):
    return torch.where(torch.arange(len(images))[:, None, None, None] == 7, math.nan, images)


@every_training
def test_a_training_that_diverges_ends_and_has_no_score(colour_dataset, training):
    """One image is NaN, and with it every weight after the first epoch."""
    data = spoiled(colour_dataset, train_images=without_numbers(colour_dataset.train_images))
    result = training(network(2), data)
    assert math.isnan(result.value) and result.outcome == "diverged"
    (epoch,) = result.curve
    assert all(map(math.isnan, (epoch.loss, epoch.train_top1, epoch.val_top1)))
    assert epoch.images == 200 and result.macs == 200 * 3 * network(2).macs(8)


@every_training
def test_a_network_whose_outputs_are_not_finite_at_the_end_has_no_score(colour_dataset, training):
    data = spoiled(colour_dataset, test_images=without_numbers(colour_dataset.test_images))
    result = training(network(2), data)
    assert math.isnan(result.value) and result.outcome == "diverged"
    assert all(math.isfinite(epoch.loss) for epoch in result.curve) and math.isnan(result.curve[-1].val_top1)


def test_fear_that_diverges_in_stage_two_has_no_score(colour_dataset, monkeypatch):
    def with_a_loss_in_stage_two(*arguments, stage=1, **common):
        curve = train(*arguments, stage=stage, **common)
        return curve if stage == 1 else [*curve[:-1], replace(curve[-1], loss=math.inf)]

    monkeypatch.setattr("fearlib.scores.trained.train", with_a_loss_in_stage_two)
    result = fear(network(2), colour_dataset, 0.0, stage1_epochs=1, stage2_epochs=2)
    assert math.isnan(result.value) and result.outcome == "diverged" and len(result.curve) == 3


@pytest.mark.parametrize("label", ["shortreg(epochs=2)", "full(epochs=2)", "fear", "degradation(epochs=2)"])
def test_a_sweep_records_a_training_that_diverges_as_failed(colour_dataset, tiny_settings, label):
    """`_run` is what a sweep calls for every trial."""
    data = spoiled(colour_dataset, train_images=without_numbers(colour_dataset.train_images))
    trial = Trial(CELL.index, label, 0)
    result = _run(trial, "nats-tss", lambda: data, _identity(data), tiny_settings)
    (row,) = result["rows"]
    assert row["outcome"] == "failed: FloatingPointError: the training loss became NaN"


@pytest.mark.parametrize("score, called", [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite")])
@pytest.mark.parametrize("outcome", ["ok", "diverged"])
def test_a_score_that_is_not_finite_is_not_recorded_as_one(score, called, outcome):
    row = {"method": "full", "score": score, "outcome": outcome}
    with pytest.raises(FloatingPointError, match=f"the score of full is {called}"):
        refuse_nan({"rows": [row], "curve": []})
    refuse_nan({"rows": [row | {"score": math.nan, "outcome": "below threshold"}], "curve": []})


# Networks and datasets of another kind.


@every_training
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda n, d: (nn.Linear(2, 2), d), "the network is a Linear: training needs a fearlib.Network"),
        (lambda n, d: (n.half(), d), "images are torch.float32 and the network's parameters torch.float16"),
        (lambda n, d: (n.requires_grad_(False), d), "no parameter that asks for gradients"),
        (lambda n, d: (built_in_inference_mode(), d), "the network was built in torch.inference_mode"),
        (lambda n, d: (Network(n.stem, n.blocks, Pair(n.head), 0), d), "the network returns a tuple"),
        (lambda n, d: (n, replace(d, train_labels=d.train_labels + 3)), "labels go up to 12, but the network has"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training(colour_dataset, training, change, message):
    net, data = change(network(2), colour_dataset)
    before = [parameter.clone() for parameter in net.parameters()]
    with pytest.raises(InputError, match=message):
        training(net, data)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters()))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: {"test_labels": d.test_labels - 1}, "synthetic's test labels hold -1"),
        (lambda d: {"train_labels": d.train_labels / 2}, "training labels are float32"),
        (lambda d: {"train_labels": d.train_labels[:9]}, r"training labels have the shape \(9,\)"),
        (lambda d: {"test_images": d.test_images[:0], "test_labels": d.test_labels[:0]}, "0 images"),
    ],
)
def test_no_dataset_has_labels_that_cannot_be_trained_on(colour_dataset, change, message):
    with pytest.raises(InputError, match=message):
        replace(colour_dataset, **change(colour_dataset))


class Pair(nn.Sequential):
    def forward(self, features):
        return features, super().forward(features)


def built_in_inference_mode():
    with torch.inference_mode():
        return network(2)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"threshold": math.nan}, "threshold=nan: it must be a share, from 0 to 1"),
        ({"threshold": 60}, "threshold=60: it must be a share"),
        ({"threshold": "0.6"}, "threshold='0.6'"),
        (
            {"threshold": 0.0, "stage1_epochs": 3, "schedule_epochs": 2},
            "schedule_epochs=2: it must be at least the 3",
        ),
        ({"threshold": 0.0, "stage2_epochs": 0}, "stage2_epochs is 0: it must be an integer of at least 1"),
        ({"threshold": 0.0, "stage2_batch": 1.5}, "stage2_batch is 1.5"),
        ({"threshold": 0.0, "schedule_epochs": 0}, "schedule_epochs is 0"),
        ({"threshold": 0.0, "max_seconds": math.nan}, "max_seconds is nan"),
    ],
)
def test_a_request_that_cannot_be_honoured_is_refused_before_training(colour_dataset, arguments, message):
    net = network(2)
    before = [parameter.clone() for parameter in net.parameters()]
    with pytest.raises(InputError, match=message):
        fear(net, colour_dataset, **arguments)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters()))


@every_training
def test_labels_of_another_integer_kind_and_inference_mode_change_nothing(colour_dataset, training):
    expected = training(network(2), colour_dataset)
    labels = {name: getattr(colour_dataset, name).int() for name in ("train_labels", "test_labels")}
    data = replace(colour_dataset, **labels)
    with_others, net = training(network(2), data), network(2)
    with torch.inference_mode():
        inside = training(net, colour_dataset)
    assert with_others.value == inside.value == expected.value
    assert [epoch.loss for epoch in inside.curve] == [epoch.loss for epoch in expected.curve]
