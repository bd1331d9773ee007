import math
import platform
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fearlib import Architecture, Dataset, InputError, Network, build_network, fear, full, preset, shortreg, train
from fearlib.scores.degradation import degradation
from fearlib.scores.images import first_minibatch
from fearlib.training import loop
from fearlib.training.loop import check_trainable, latest_top1, top1
from fearlib.training.precision import resolve_precision

CELL = Architecture(
    ["nor_conv_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1"]
)


def network(seed=0, channels=4):
    torch.manual_seed(seed)
    return build_network(CELL, 10, channels=channels, cells=1)


def reference_training(net, dataset, epochs, batch_size, schedule_epochs, seed):
    """SGD with Nesterov momentum, weight decay, clipping and a cosine, written out in float32."""
    generator = torch.Generator().manual_seed(seed)
    velocity = [torch.zeros_like(parameter) for parameter in net.parameters()]
    step, steps, losses, scales = 0, math.ceil(len(dataset.train_labels) / batch_size), [], []
    net.train()
    for _ in range(epochs):
        total = 0.0
        for images, labels in dataset.training_batches(batch_size, generator):
            loss = F.cross_entropy(net(images), labels)
            gradients = torch.autograd.grad(loss, list(net.parameters()))
            norm = math.sqrt(sum(float(gradient.pow(2).sum()) for gradient in gradients))
            scale = min(1.0, 5.0 / (norm + 1e-6))
            scales.append(scale)
            rate = 0.1 * (1 + math.cos(math.pi * step / (schedule_epochs * steps))) / 2
            with torch.no_grad():
                for parameter, gradient, v in zip(net.parameters(), gradients, velocity):
                    gradient = gradient * scale + 5e-4 * parameter
                    v.mul_(0.9).add_(gradient)
                    parameter.sub_(rate * (gradient + 0.9 * v))
            total += loss.item() * len(labels)
            step += 1
        losses.append(total / len(dataset.train_labels))
    return losses, scales


def losses(trained, dataset, **how):
    return [record.loss for record in train(trained, dataset, 3, 100, **how)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_callers_autocast_plays_no_part(colour_dataset, precision):
    alone = losses(network(), colour_dataset, precision=precision)
    with torch.autocast("cpu", torch.bfloat16):
        assert losses(network(), colour_dataset, precision=precision) == alone


def test_gradients_that_a_network_holds_play_no_part(colour_dataset):
    used, fixed = network(), network()
    F.cross_entropy(used.eval()(colour_dataset.test_images), colour_dataset.test_labels).backward()
    assert losses(used, colour_dataset) == losses(network(), colour_dataset)
    weight = fixed.stem[0].weight.requires_grad_(False)
    weight.grad, before = torch.ones_like(weight), weight.clone()
    train(fixed, colour_dataset, 1)
    assert torch.equal(weight, before)


def test_a_parameter_that_two_blocks_share_is_trained_once(colour_dataset):
    torch.manual_seed(0)
    block, stem = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    shared = Network(stem, [block, block], head, 1)
    assert len(shared.free_parameters()) == len(list(shared.parameters())) == 6
    expected = network_of_loss(shared, colour_dataset)
    train(shared, colour_dataset, 1, len(colour_dataset.train_labels), precision="float32")
    for parameter, value in zip(shared.parameters(), expected):
        torch.testing.assert_close(parameter.detach(), value, rtol=1e-4, atol=1e-6)


def network_of_loss(net, dataset):
    """Its parameters after one step on all images: Nesterov's first is 1.9 times the decayed gradient."""
    parameters = list(net.parameters())
    gradients = torch.autograd.grad(F.cross_entropy(net(dataset.train_images), dataset.train_labels), parameters)
    norm = math.sqrt(sum(float(gradient.pow(2).sum()) for gradient in gradients))
    scale = min(1.0, 5.0 / (norm + 1e-6))
    return [
        (value - 0.1 * 1.9 * (gradient * scale + 5e-4 * value)).detach()
        for value, gradient in zip(parameters, gradients)
    ]


class Views(nn.Module):
    def forward(self, features):
        return features.view(features.size(0), -1)


def test_a_network_that_needs_contiguous_memory_is_told_so_and_left_alone(colour_dataset):
    head = nn.Sequential(Views(), nn.Linear(4 * 64, 10))
    viewing = Network(nn.Conv2d(3, 4, 3, padding=1), [], head, 0).train()
    with pytest.raises(InputError, match="calls view where .* channels-last memory: use flatten or reshape"):
        train(viewing, colour_dataset, 1)
    viewing(colour_dataset.test_images)  # as before
    assert viewing.training
    refused = network().train()
    with pytest.raises(InputError, match="first_free_block is 99"):
        fear(refused, colour_dataset, 0.1, first_free_block=99)
    assert refused.training


@pytest.mark.parametrize("of_head", [1, 20])
def test_against_the_optimizer_written_out(colour_dataset, monkeypatch, of_head):
    """In double precision, where rounding cannot hide a difference; with large weights gradients are clipped."""
    monkeypatch.setattr("fearlib.Dataset.normalise", lambda _, images: images.double())
    ours, theirs = network().double(), network().double()
    for net in (ours, theirs):
        net.head[-1].weight.data *= of_head
    records = train(ours, colour_dataset, 3, 50, schedule_epochs=4, precision="float32", seed=5)
    losses, scales = reference_training(theirs, colour_dataset, 3, 50, 4, seed=5)
    assert (min(scales) < 0.9) == (of_head > 1)
    np.testing.assert_allclose([record.loss for record in records], losses, rtol=1e-6)
    for a, b in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_learns_what_is_easy(colour_dataset, precision):
    net = network(channels=8)
    records = train(net, colour_dataset, 8, 20, precision=precision)
    assert records[-1].train_top1 > 0.8 > records[0].train_top1
    assert top1(net, colour_dataset, precision) > 0.8


def test_seconds_are_those_of_the_training_alone(colour_dataset, monkeypatch):
    """Of a clock on which a step takes a second, a validation 100 and what is called after a record 1000."""
    now, step = [0], loop.training_step

    def tick(seconds):
        now[0] += seconds

    monkeypatch.setattr("fearlib.training.loop.time.perf_counter", lambda: now[0])
    monkeypatch.setattr(loop, "training_step", lambda *given: tick(1) or step(*given))
    monkeypatch.setattr(loop, "top1", lambda *given: tick(100) or 0.5)
    records = train(network(), colour_dataset, 2, 50, validate=True, after_record=lambda _: tick(1000))
    assert [record.seconds for record in records] == [4, 4] and records[0].val_top1 == 0.5


def test_same_seed_same_result(colour_dataset):
    def losses(net_seed, seed):
        return [record.loss for record in train(network(net_seed), colour_dataset, 2, 64, seed=seed)]

    assert losses(0, 1) == losses(0, 1) == losses(0, np.int64(1))
    assert losses(0, 1) != losses(0, 2)
    assert losses(0, 1) != losses(1, 1)


def test_records_account_for_what_was_done(colour_dataset):
    net = network()
    records = train(net, colour_dataset, 3, 64, validate=True)
    assert [record.epoch for record in records] == [1, 2, 3]
    for record in records:
        assert record.images == 200
        assert record.macs == 200 * 3 * net.macs(8)
        assert record.seconds > 0 and 0 <= record.train_top1 <= 1 and 0 <= record.val_top1 <= 1
    assert records[-1].val_top1 == top1(net, colour_dataset)
    assert math.isnan(train(net, colour_dataset, 1, 64)[0].val_top1)


def test_a_test_accuracy_is_taken_after_whole_epochs_alone(colour_dataset):
    records = train(network(), colour_dataset, 2, 20, records_per_epoch=5, validate=True)
    assert [not math.isnan(record.val_top1) for record in records] == [False, False, False, False, True] * 2


def test_the_first_minibatch_is_that_of_training(monkeypatch):
    """Of images that are shifted and mirrored, and not those of the test."""
    images = torch.randint(0, 256, (2, 60, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor([100.0, 110.0, 120.0])
    labels = torch.arange(60) % 10
    dataset = Dataset("made", "here", True, images[0], labels, images[1], labels, mean, mean / 2, padding=2)
    seen, step = [], loop.training_step
    monkeypatch.setattr(loop, "training_step", lambda *given: seen.append(given[1:3]) or step(*given))
    train(network(), dataset, 1, 16, seed=3)
    for found, expected in zip(first_minibatch(dataset, 16, 3), seen[0]):
        assert torch.equal(found, expected)
    assert not torch.equal(first_minibatch(dataset, 16, 4)[0], seen[0][0])


def test_top1_counts_images(colour_dataset):
    net = network()
    net.eval()
    right = sum(
        int(net(image[None]).argmax() == label)
        for image, label in zip(colour_dataset.test_images, colour_dataset.test_labels)
    )
    assert top1(net, colour_dataset, "float32", batch_size=7) == right / 50


def test_stops_after_the_epoch_that_reaches_the_threshold(colour_dataset):
    records = train(network(channels=8), colour_dataset, 20, 20, schedule_epochs=20, stop_at=0.5)
    assert records[-1].train_top1 >= 0.5
    assert all(record.train_top1 < 0.5 for record in records[:-1])
    assert len(records) < 20


def test_records_within_an_epoch_add_up_to_it(colour_dataset):
    whole = train(network(), colour_dataset, 2, 16, precision="float32")
    parts = train(network(), colour_dataset, 2, 16, precision="float32", records_per_epoch=4)
    assert [part.images for part in parts] == [64, 48, 48, 40] * 2  # 13 steps of 16, 16, ..., 8 images
    assert [part.epoch for part in parts] == pytest.approx(
        [4 / 13, 7 / 13, 10 / 13, 1, 17 / 13, 20 / 13, 23 / 13, 2]
    )
    for epoch, four in zip(whole, (parts[:4], parts[4:])):
        assert sum(part.macs for part in four) == epoch.macs
        for name in ("loss", "train_top1"):
            mean = sum(getattr(part, name) * part.images for part in four) / 200
            assert mean == pytest.approx(getattr(epoch, name))


def test_stops_within_an_epoch_once_the_latest_epoch_of_images_reaches_the_threshold(colour_dataset):
    arguments = {"schedule_epochs": 20, "records_per_epoch": 10, "precision": "float32"}
    everything = train(network(channels=8), colour_dataset, 6, 20, **arguments)
    correct = [round(part.train_top1 * part.images) for part in everything]
    latest = [sum(correct[end - 10 : end]) / 200 if end >= 10 else 0 for end in range(61)]
    reached = max(end for end in range(11, 61) if end % 10 and latest[end] > max(latest[:end]))
    stopped = train(network(channels=8), colour_dataset, 20, 20, stop_at=latest[reached] - 1e-9, **arguments)
    assert [part.loss for part in stopped] == [part.loss for part in everything[:reached]]
    assert latest_top1(stopped, 200) == pytest.approx(latest[reached])


def test_stops_when_time_is_up(colour_dataset):
    records = train(network(), colour_dataset, 20, 8, max_seconds=0.0)
    assert len(records) == 1 and records[0].images == 8
    assert records[0].macs == 8 * 3 * network().macs(8)


@pytest.mark.parametrize("first_free", [2, 4, 5])
def test_frozen_training_changes_no_frozen_parameter(colour_dataset, first_free):
    net = network()
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    statistics = net.stem[1].running_mean.clone()
    records = train(net, colour_dataset, 1, 64, first_free_block=first_free)
    free = {id(parameter) for parameter in net.free_parameters(first_free)}
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name]) == (id(parameter) not in free), name
    assert not torch.equal(net.stem[1].running_mean, statistics)  # batch norm stays in training mode
    assert records[0].macs == 200 * net.training_macs(8, first_free)


def test_frozen_training_does_no_backward_work_below(colour_dataset):
    """Backward hooks fire on every free convolution and on no frozen one."""
    net, fired = network(), set()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_full_backward_hook(lambda layer, *_: fired.add(id(layer)))
    train(net, colour_dataset, 1, 200, first_free_block=4, precision="float32")
    expected = {id(layer) for layer in net.blocks[4].modules() if isinstance(layer, nn.Conv2d)}
    assert fired == expected


def test_a_network_whose_output_ignores_its_input_trains(colour_dataset):
    net = build_network(Architecture(["none"] * 6), 10, channels=2, cells=1)
    (bias,) = (value.clone() for name, value in net.named_parameters() if name == "head.4.bias")
    records = train(net, colour_dataset, 1, 64)
    assert 0 < records[0].train_top1 <= 0.3 and not net.head[4].bias.equal(bias)


def test_training_ends_with_a_step(colour_dataset):
    """With what it had learned until then, as if the rest had never been asked for."""
    whole, part = (
        train(network(), colour_dataset, 3, 50, seed=2, recorded_steps=[6], max_steps=steps) for steps in (12, 6)
    )
    assert [record.images for record in part] == [200, 100]
    assert [replace(record, seconds=0) for record in part] == [replace(record, seconds=0) for record in whole[:2]]
    assert len(whole) == 4


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epochs": 1, "max_steps": "6"}, "max_steps is '6': it must be a number"),
        ({"epochs": 1, "precision": "int8"}, "unknown precision 'int8': float32, bfloat16 or auto"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 1, "batch_size": 0}, "batch_size is 0"),
        ({"epochs": 2, "batch_size": 100, "recorded_steps": [2, 5]}, r"recorded_steps=\[2, 5\]: .* from 1 to 4"),
        ({"epochs": 1, "seed": 1.5}, "seed is 1.5: it must be an integer"),
        ({"epochs": 1, "first_free_block": 9}, r"first_free_block is 9: it must be an integer in 0\.\.5"),
    ],
)
def test_wrong_requests(colour_dataset, arguments, message):
    with pytest.raises(InputError, match=message):
        train(network(), colour_dataset, **arguments)


def noise_dataset(count, side):
    images = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(count) % 10
    return Dataset("noise", "made for a test", True, images, labels, images[:20], labels[:20])


@pytest.mark.parametrize(
    "score, alone",
    [
        (lambda *given: train(*given, 1, batch_size=40), 40),
        (lambda *given: shortreg(*given, 1, batch_size=1), 1),
        (lambda *given: full(*given, 1, batch_size=40), 40),
        (lambda *given: fear(*given, 0.1, batch_size=20, stage2_batch=39), 20),
        (lambda *given: fear(*given, 0.1, batch_size=39, stage2_batch=8), 8),
        (lambda *given: degradation(*given, *next(given[1].test_batches(8)), 1, batch_size=40), 40),
    ],
)
def test_one_value_to_normalise_is_refused_before_any_training(score, alone):
    dataset, net = noise_dataset(41, side=4), network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    told = f"in batches of {alone} the 41 training images end in one of 1, .* that leaves no image alone"
    with pytest.raises(InputError, match=told):
        score(net, dataset)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_one_image_alone_is_trained_on_where_it_has_several_values():
    assert train(network(), noise_dataset(41, side=8), 1, batch_size=40)[0].images == 41
    assert train(network(), noise_dataset(42, side=4), 1, batch_size=40)[0].images == 42


def test_no_batch_is_large_enough_for_instance_norm_of_one_pixel():
    head = nn.Sequential(nn.InstanceNorm2d(4), nn.Flatten(), nn.Linear(4, 10))
    net = Network(nn.Conv2d(3, 4, 3), [nn.AdaptiveAvgPool2d(1)], head, 0)
    with pytest.raises(InputError, match="one value a channel at 8x8 pixels: choose images of which"):
        train(net, noise_dataset(40, side=8), 1, batch_size=20)


def test_images_that_a_network_does_not_take_are_refused():
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    net = Network(nn.Conv2d(3, 4, 5), [nn.ReLU()], head, 0)
    with pytest.raises(InputError, match=r"does not take images of the shape \(2, 3, 4, 4\)"):
        train(net, noise_dataset(40, side=4), 1)


def test_looking_before_training_draws_nothing_and_changes_nothing(colour_dataset):
    net = Network(
        nn.Conv2d(3, 4, 3), [nn.BatchNorm2d(4), nn.Dropout()], nn.Sequential(nn.Flatten(), nn.Linear(144, 10)), 0
    )
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(5)
    check_trainable(net, colour_dataset, 20)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="Linux says what a processor can do")
def test_auto_precision_is_bfloat16_where_the_processor_has_instructions_for_it():
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    native = flags is not None and {"avx512_bf16", "amx_bf16"} & set(flags[1].split())
    assert resolve_precision("auto") == ("bfloat16" if native else "float32")
    assert preset("compact", "cifar10").precision == resolve_precision("auto")
    assert preset("compact", "cifar10", precision="bfloat16").precision == "bfloat16"


def test_auto_precision_asks_the_device_of_the_network(monkeypatch):
    """A GPU beside it plays no part."""
    on_cpu = resolve_precision("auto", "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for native in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert resolve_precision("auto", "cpu") == on_cpu
        assert resolve_precision("auto") == resolve_precision("auto", "cuda") == ("float32", "bfloat16")[native]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept():
    """Tensors made again and again cost page faults by default, and none once the process keeps its memory."""
    script = """
import resource, torch
from fearlib.training.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        [torch.ones(4_000_000) for _ in range(10)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

default = faults()
assert keep_freed_memory()
faults()
print(default, faults())
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    default, kept = map(int, run.stdout.split())
    assert kept < default / 10
