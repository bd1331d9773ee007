"""On a GPU: `make test-cuda`. The same arithmetic as on the processor, up to rounding."""

import copy
import math
import os

import pytest
import torch

from fearlib import Architecture, build_network, fear, preset, shortreg
from fearlib.scores.images import first_minibatch, noise_minibatch
from fearlib.scores.measures import MEASURES, measure_network
from fearlib.scores.registry import FIFTEEN
from fearlib.spaces.registry import build, find_space
from fearlib.sweeps.run import _remembered, run_sweep
from fearlib.training.loop import train, training_step

pytestmark = pytest.mark.skipif("FEARLIB_TEST_CUDA" not in os.environ, reason="FEARLIB_TEST_CUDA is not set")
ARCHITECTURE = Architecture.from_string(
    "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
)


@pytest.fixture(autouse=True)
def a_gpu_whose_float32_is_float32():
    assert torch.cuda.is_available(), "FEARLIB_TEST_CUDA is set, but PyTorch finds no GPU"
    torch.backends.cudnn.allow_tf32 = False


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network(ARCHITECTURE, 10, channels=4, cells=1)


@pytest.mark.parametrize("space", ["nats-tss", "darts"])
def test_gradients_at_full_width(space):
    """Float32 on both, so that only the order of sums differs; every operation of the space occurs."""
    torch.manual_seed(0)
    architectures = [ARCHITECTURE] if space == "nats-tss" else find_space(space).sample(2, 0)
    for architecture in architectures:
        here = build(architecture, 10, channels=16, cells=5).double()
        there = copy.deepcopy(here).float().cuda().to(memory_format=torch.channels_last)
        images, labels = noise_minibatch(32, 32, seed=0)
        for network, device, kind in ((here, "cpu", torch.float64), (there, "cuda", torch.float32)):
            training_step(network.train(), images.to(device, kind), labels.to(device), 0, "float32")
        for cpu, gpu in zip(here.parameters(), there.parameters(), strict=True):
            largest = max(float(cpu.grad.norm()), 1e-4)
            assert float((gpu.grad.cpu() - cpu.grad).norm()) < 0.01 * largest


def test_recorded_steps_train_as_the_processor_does(network, colour_dataset):
    """200 images in batches of 24: eight replayable steps an epoch and a smaller one, under a falling rate."""
    other = copy.deepcopy(network).cuda()
    arguments = {"epochs": 3, "batch_size": 24, "precision": "float32"}
    here, there = train(network, colour_dataset, **arguments), train(other, colour_dataset, **arguments)
    for cpu, gpu in zip(here, there, strict=True):
        assert gpu.loss == pytest.approx(cpu.loss, rel=0.01)
        assert gpu.train_top1 == pytest.approx(cpu.train_top1, abs=0.02)
        assert (gpu.images, gpu.macs, gpu.epoch) == (cpu.images, cpu.macs, cpu.epoch)
    for cpu, gpu in zip(network.parameters(), other.parameters(), strict=True):
        assert (gpu.cpu() - cpu).norm() <= 0.05 * cpu.norm() + 1e-3


def test_the_recorded_rate_follows_the_schedule(network, colour_dataset):
    """After a cosine's last epoch the rate is nearly 0: an epoch at its end moves the weights far less."""
    network.cuda()
    moved, before = [], [p.detach().clone() for p in network.parameters()]

    def look(record):
        now = [p.detach().clone() for p in network.parameters()]
        moved.append(sum(float((a - b).norm()) for a, b in zip(now, before)))
        before[:] = now

    train(network, colour_dataset, 8, batch_size=20, after_record=look)
    assert moved[-1] < 0.02 * moved[1]


def test_frozen_parameters_stay_as_they_are(network, colour_dataset):
    network.cuda()
    frozen = {id(p) for p in network.parameters()} - {id(p) for p in network.free_parameters(2)}
    before = {id(p): p.detach().clone() for p in network.parameters()}
    train(network, colour_dataset, 2, batch_size=20, first_free_block=2)
    for parameter in network.parameters():
        assert torch.equal(parameter, before[id(parameter)]) == (id(parameter) in frozen)


@pytest.mark.parametrize(
    "method",
    [
        lambda *a: fear(*a, threshold=0.3, batch_size=24, stage2_batch=24),
        lambda *a: shortreg(*a, epochs=6, batch_size=24),
    ],
)
def test_scores_learn_what_is_easy(network, colour_dataset, method):
    result = method(network.cuda(), colour_dataset)
    assert result.outcome == "ok" and result.value > 0.5 and result.curve[-1].val_top1 > 0.3


def test_measures_as_on_the_processor(network, colour_dataset):
    images, labels = first_minibatch(colour_dataset, 32, seed=0)
    here = measure_network(network.double(), images.double(), labels)
    there = measure_network(copy.deepcopy(network).cuda(), images.double().cuda(), labels.cuda())
    noise = {"zen"} | set(MEASURES) - set(FIFTEEN)  # draw weights and images of their own, on the device
    for name in set(here) - noise:
        assert there[name].value == pytest.approx(here[name].value, rel=1e-4, abs=1e-9), name
    assert all(math.isfinite(there[name].value) for name in noise)


def test_a_sweep_with_two_workers(tmp_path):
    settings = preset("smoke", "synthetic", train_images=200, threshold=0.1)
    architectures = find_space("nats-tss").sample(3, 0)
    _remembered.cache_clear()
    rows = run_sweep(tmp_path, "synthetic", settings, ["fear", "shortreg", "zero_cost"], architectures, workers=2)
    failed = rows[rows.outcome.str.startswith("failed")]
    assert failed.empty, failed.outcome.iloc[0]
    assert rows[rows.method.str.startswith("shortreg")].score.between(0, 1).all()
