import itertools
import math

import pytest
import torch

from fearlib import Architecture, InputError, build_network, fear, full, shortreg, train
from fearlib.training import latest_top1, top1

CELL = Architecture(
    ["nor_conv_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1"]
)


def network(channels=8):
    torch.manual_seed(0)
    return build_network(CELL, 10, channels=channels, cells=1)


def test_fear_is_its_two_stages(colour_dataset):
    """Stage 1 to the threshold, then stage 2 of the same network with the rest frozen, done by hand."""
    result = fear(
        network(), colour_dataset, 0.4, stage2_epochs=3, stage2_batch=50, batch_size=20, stage1_epochs=20
    )
    net = network()
    first = train(net, colour_dataset, 20, 20, schedule_epochs=200, stop_at=0.4)
    second = train(net, colour_dataset, 3, 50, first_free_block=4, seed=1, stage=2)
    assert [(e.stage, e.loss, e.train_top1) for e in result.curve] == [
        (e.stage, e.loss, e.train_top1) for e in first + second
    ]
    assert result.value == second[-1].train_top1 and result.outcome == "ok"
    assert result.macs == 200 * (len(first) * net.training_macs(8) + 3 * net.training_macs(8, 4))
    assert result.seconds == pytest.approx(sum(e.seconds for e in result.curve))


def test_stage_two_leaves_the_frozen_blocks_as_stage_one_left_them(colour_dataset):
    net, alone = network(), network()
    fear(net, colour_dataset, 0.2, batch_size=20, stage1_epochs=20)
    train(alone, colour_dataset, 20, 20, schedule_epochs=200, stop_at=0.2)
    free = {id(parameter) for parameter in net.free_parameters(4)}
    for ours, theirs in zip(net.parameters(), alone.parameters()):
        assert torch.equal(ours, theirs) == (id(ours) not in free)


def test_below_threshold(colour_dataset):
    result = fear(network(), colour_dataset, 1.01, stage1_epochs=2)
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
        monkeypatch.setattr("fearlib.training.time.perf_counter", lambda: float(next(ticks)))
        steps = -(-len(colour_dataset.train_labels) // 8)
        torch.manual_seed(0)
        return fear(network(), colour_dataset, threshold, batch_size=8, stage1_epochs=2, max_seconds=steps + 4)

    first, part = run(1.01).curve
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


def test_shortreg_takes_the_best_epoch(colour_dataset):
    result = shortreg(network(2), colour_dataset, 4, 50)
    assert len(result.curve) == 4
    assert result.value == max(e.train_top1 for e in result.curve)
    assert [e.loss for e in result.curve] == [e.loss for e in train(network(2), colour_dataset, 4, 50)]


def test_full_takes_the_last_test_accuracy(colour_dataset):
    result = full(network(2), colour_dataset, 3, 50)
    assert result.value == result.curve[-1].val_top1


@pytest.mark.parametrize(
    "method", [lambda *a: fear(*a, threshold=0.0, stage2_epochs=2), lambda *a: shortreg(*a, epochs=2)]
)
def test_only_the_last_record_carries_the_test_accuracy_of_the_network_as_it_ends(colour_dataset, method):
    net = network()
    curve = method(net, colour_dataset).curve
    assert curve[-1].val_top1 == top1(net, colour_dataset)
    assert all(math.isnan(epoch.val_top1) for epoch in curve[:-1])
