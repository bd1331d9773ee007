"""Zero-cost measures against their definitions written out slowly, in double precision, on tiny networks."""

import copy
import math
import re
import types
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fearlib.errors import InputError
from fearlib.scores.kaiming import PATTERN_IMAGES
from fearlib.scores.measures import measure_network, zero_cost
from fearlib.scores.minibatch import Minibatch
from fearlib.scores.registry import MEASURES, Measure, zero_cost_macs
from fearlib.scores.second_order import cheap_second_derivatives
from fearlib.spaces.nats import OPERATIONS, Architecture, sample_architectures
from fearlib.spaces.nats_network import build_network

CLASSES = 4
MIXED = ("nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none", "avg_pool_3x3", "nor_conv_1x1")
UNUSED_LAYER = ("nor_conv_3x3", "skip_connect", "none", "none", "none", "avg_pool_3x3")  # node 1 leads nowhere
NO_CONVOLUTION = ("skip_connect", "avg_pool_3x3", "none", "skip_connect", "avg_pool_3x3", "none")
ONE_CONVOLUTION = ("none", "none", "none", "nor_conv_1x1", "none", "none")
ONLY_NONE = ("none",) * 6


def nats_network(ops=MIXED, channels=2):
    return build_network(Architecture(ops), CLASSES, channels=channels, cells=1)


def linear_only():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU(), nn.Linear(5, CLASSES, bias=False))


def without_batch_norm(activation=nn.ReLU, inplace=False):
    """Convolutions with bias, one of them grouped and strided."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), activation(inplace=inplace),
        nn.Conv2d(4, 6, 3, stride=2, groups=2), activation(inplace=inplace),
        nn.Flatten(), nn.Linear(24, 3), activation(inplace=inplace), nn.Linear(3, CLASSES),
    )  # fmt: skip


def with_batch_norm():
    return nn.Sequential(
        nn.Conv2d(3, 2, 3, stride=3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, CLASSES)
    )


def linear_with_batch_norm():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(192, 5), nn.BatchNorm1d(5, affine=False), nn.ReLU(), nn.Linear(5, CLASSES)
    )


class BasicBlock(nn.Module):
    """As in torchvision's ResNet: one ReLU module used twice, in place, and an addition in place."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or channels_in != channels:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def residual():
    return nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(inplace=True),
        BasicBlock(3, 3, 1), BasicBlock(3, 4, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES),
    )  # fmt: skip


class Functional(nn.Module):
    """ReLU, pooling and a softplus as functions, which no module shows; one layer that is never used."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding="same", padding_mode="reflect")
        self.unused = nn.Linear(7, 7)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, images):
        return self.head(F.softplus(F.relu(self.conv(images)).mean((2, 3))))


class StandardisedConv(nn.Conv2d):
    """Padded and with standardised weights in its own forward pass."""

    def forward(self, images):
        deviation, mean = torch.std_mean(self.weight, (1, 2, 3), keepdim=True)
        return F.conv2d(F.pad(images, (1, 1, 1, 1)), (self.weight - mean) / deviation, self.bias, self.stride)


class BatchNormAndElu(nn.BatchNorm2d):
    def forward(self, features):
        return F.elu(super().forward(features))


def own_forward_passes():
    """Layers of classes, and one of an instance, that do more than torch's."""
    network = nn.Sequential(
        StandardisedConv(3, 2, 3, stride=2), BatchNormAndElu(2), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.Flatten(),
        nn.Linear(8, CLASSES),
    )  # fmt: skip
    network[3].forward = types.MethodType(twice, network[3])
    return network


def twice(conv, images):
    return 2 * F.conv2d(images, conv.weight, conv.bias)


NETWORKS = {
    "mixed": nats_network,
    "unused layer": lambda: nats_network(UNUSED_LAYER),
    "no convolution": lambda: nats_network(NO_CONVOLUTION),
    "only none": lambda: nats_network(ONLY_NONE),
    "linear only": linear_only,
    "one linear layer": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES)),
    "without batch norm": without_batch_norm,
    "with batch norm": with_batch_norm,
    "residual": residual,
    "functional": Functional,
    "linear with batch norm": linear_with_batch_norm,
    "own forward passes": own_forward_passes,
}
every_network = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
AZ = ("az_expressivity", "az_progressivity", "az_trainability")  # of networks of a stem and blocks alone
KAIMING = ("meco", "swap", "swap_reg", *AZ)  # tests/test_kaiming_measures.py
OF_ANY_MODULE = tuple(name for name in MEASURES if name not in AZ)


def drawn(build, seed=0, batch=6, side=8):
    """The network with every parameter drawn from [-1, 1], batch norm's too, and a minibatch, all float64."""
    torch.manual_seed(seed)
    network = build().double()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return network, torch.randn(batch, 3, side, side, dtype=torch.float64), torch.arange(batch) % CLASSES


# The definitions, slowly.


def layers_of(network):
    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def weight_gradients(network, images, labels):
    """Weights and dL/dW after an ordinary backward pass of a copy in training mode."""
    network = copy.deepcopy(network).train()
    F.cross_entropy(network(images), labels).backward()
    weights = [layer.weight for layer in layers_of(network)]
    return [w.detach() for w in weights], [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]


def slow_of_gradients(weights, gradients):
    """The measures of W and dL/dW alone."""
    pairs = [list(zip(w.flatten().tolist(), g.flatten().tolist())) for w, g in zip(weights, gradients)]
    return {
        "plain": sum(w * g for layer in pairs for w, g in layer),
        "snip": sum(abs(w * g) for layer in pairs for w, g in layer),
        "grad_norm": sum(math.sqrt(sum(g * g for _, g in layer)) for layer in pairs),
    }


def slow_fisher(network, images, labels):
    network, outputs = copy.deepcopy(network).train(), {}

    def keep(layer, _, output):
        output.retain_grad()
        outputs[layer] = output

    for layer in layers_of(network):
        layer.register_forward_hook(keep)
    F.cross_entropy(network(images), labels).backward()
    total = 0.0
    for layer, output in outputs.items():
        if output.grad is None:
            continue
        for channel, weights in enumerate(layer.weight):
            squares = 0.0
            for a, gradient in zip(output[:, channel], output.grad[:, channel]):
                positions = zip(a.flatten().tolist(), gradient.flatten().tolist())
                squares += sum(a * gradient for a, gradient in positions) ** 2
            for _ in weights.flatten():
                total += squares / len(images) / 2
    return total


def slow_jacobian(network, images):
    """One backward pass for every single output; None if an image's part is constant."""
    network, images = copy.deepcopy(network).train(), images.clone().requires_grad_()
    for output in network(images).flatten():
        output.backward(retain_graph=True)
    if images.grad is None:
        return None
    jacobian = images.grad.flatten(1).numpy()
    return None if np.any(jacobian.std(axis=1) == 0) else jacobian


def slow_jacob_cov(jacobian):
    if jacobian is None:
        return math.nan
    values = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(jacobian)))
    return -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in values)


def slow_epe_nas(jacobian, labels, classes):
    if jacobian is None:
        return math.nan
    scores = {}
    for label in sorted(set(labels.tolist())):
        images = [row for row, of_class in zip(jacobian, labels.tolist()) if of_class == label]
        pairs = [np.corrcoef(one, other)[0, 1] for one in images for other in images]
        scores[label] = sum(math.log(abs(r) + 1e-5) for r in pairs)
        if classes > 100:
            scores[label] /= len(images)
    if classes <= 100:
        return sum(abs(score) for score in scores.values())
    return sum(abs(one - other) for one in scores.values() for other in scores.values()) / len(scores)


def slow_zico(network, images, labels):
    half = (len(images) + 1) // 2
    _, first = weight_gradients(network, images[:half], labels[:half])
    _, second = weight_gradients(network, images[half:], labels[half:])
    total = 0.0
    for layer in zip(first, second):
        ratios = []
        for pair in zip(*(gradients.flatten().tolist() for gradients in layer)):
            deviation = np.std(pair)
            if deviation > 0.01 * np.mean(np.abs(pair)):
                ratios.append(np.mean(np.abs(pair)) / deviation)
        if sum(ratios) > 0:
            total += math.log(sum(ratios))
    return total


def slow_nwot(network, images):
    """Every ReLU of every pair of images, one by one."""
    network, states = copy.deepcopy(network).train(), []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(
                lambda _, inputs, output: states.append((inputs[0] > 0).flatten(1).tolist())
            )
    network(images)
    if not states:
        return math.nan
    kernel = np.zeros((len(images), len(images)))
    for layer in states:
        for i, one in enumerate(layer):
            for j, other in enumerate(layer):
                kernel[i, j] += sum(a == b for a, b in zip(one, other))
    if np.linalg.matrix_rank(kernel) < len(kernel):
        return math.nan
    return math.log(abs(np.linalg.det(kernel)))


def slow_macs(network, images):
    network, counts = copy.deepcopy(network).train(), []

    def count(layer, _, output):
        positions = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
        counts.append(positions * layer.weight.numel())

    for layer in layers_of(network):
        layer.register_forward_hook(count)
    network(images)
    return sum(counts)


def absolute_network(network, keep_batch_norm):
    """A copy with absolute parameters."""
    network = copy.deepcopy(network).double().train()
    for parameter in network.parameters():
        parameter.data = parameter.data.abs()
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)) and not keep_batch_norm:
                setattr(parent, name, nn.Identity())
    return network


def slow_synflow(network, images, keep_batch_norm):
    if keep_batch_norm and any(isinstance(module, nn.BatchNorm1d) for module in network.modules()):
        return math.nan  # one image has one value a channel
    if not keep_batch_norm and any(isinstance(module, BatchNormAndElu) for module in network.modules()):
        return math.nan  # what is to be removed does more
    network = absolute_network(network, keep_batch_norm)
    network(torch.ones(1, *images.shape[1:], dtype=torch.float64)).sum().backward()
    weights = [layer.weight for layer in layers_of(network) if layer.weight.grad is not None]
    return sum((w * w.grad).abs().sum().item() for w in weights)


def slow_effective_rank(matrix):
    values = [value for value in np.linalg.svd(np.array(matrix))[1] if value > 0]
    return math.exp(-sum(p * math.log(p) for p in np.array(values) / sum(values))) if values else 0.0


def slow_near(network, images, seed=0):
    """As many positions as there are channels, from the first pixel of a random line of a random image."""
    network, generator, ranks = copy.deepcopy(network).train(), torch.Generator().manual_seed(seed), []

    def look(module, _, output):
        maps = output[..., None, None] if output.dim() == 2 else output
        count, channels, height, width = maps.shape
        lines = [maps[i, :, y, x].tolist() for i in range(count) for y in range(height) for x in range(width)]
        last = max(0, len(lines) - channels) // width
        first = torch.randint(last + 1, (), generator=generator).item() * width
        ranks.append(slow_effective_rank(lines[first : first + channels]))

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.ReLU)):
            module.register_forward_hook(look)
    network(images)
    return sum(ranks)


def slow_measures(network, images, labels):
    """All but grasp, zen and those of `KAIMING`, which have tests of their own."""
    jacobian = slow_jacobian(network, images)
    return {
        **slow_of_gradients(*weight_gradients(network, images, labels)),
        "fisher": slow_fisher(network, images, labels),
        "jacob_cov": slow_jacob_cov(jacobian),
        "epe_nas": slow_epe_nas(jacobian, labels, CLASSES),
        "nwot": slow_nwot(network, images),
        "near": slow_near(network, images),
        "zico": slow_zico(network, images, labels),
        "params": sum(len(parameter.flatten().tolist()) for parameter in network.parameters()),
        "macs": slow_macs(network, images),
        "l2_norm": sum(
            math.sqrt(sum(w * w for w in layer.weight.flatten().tolist())) for layer in layers_of(network)
        ),
        "synflow": slow_synflow(network, images, keep_batch_norm=False),
        "synflow_bn": slow_synflow(network, images, keep_batch_norm=True),
    }


def finite_difference_products(network, images, labels, step):
    """Hg: how dL/dW changes along g."""
    _, gradients = weight_gradients(network, images, labels)
    ahead, behind = copy.deepcopy(network), copy.deepcopy(network)
    for moved, sign in ((ahead, 1), (behind, -1)):
        for layer, gradient in zip(layers_of(moved), gradients):
            layer.weight.data += sign * step * gradient
    sides = weight_gradients(ahead, images, labels)[1], weight_gradients(behind, images, labels)[1]
    return [(after - before) / (2 * step) for after, before in zip(*sides)]


def full_hessian_grasp(network, images, labels):
    """Every row of H."""
    network = copy.deepcopy(network).train()
    weights = [layer.weight for layer in layers_of(network)]
    loss = F.cross_entropy(network(images), labels)
    g = torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights, create_graph=True)])
    rows = [torch.autograd.grad(entry, weights, retain_graph=True) for entry in g]
    hessian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
    return -(torch.cat([weight.flatten() for weight in weights]) @ hessian @ g).item()


def close(expected):
    return pytest.approx(expected, rel=1e-6, abs=1e-12, nan_ok=True)


# Values.


@every_network
def test_measures_follow_their_definitions(build):
    network, images, labels = drawn(build)
    expected = slow_measures(network, images, labels)
    assert set(expected) | {"grasp", "zen", *KAIMING} == set(MEASURES)
    assert zero_cost(network, images, labels, tuple(expected)) == close(expected)


@settings(max_examples=6, deadline=None)
@given(ops=st.tuples(*[st.sampled_from(OPERATIONS)] * 6), seed=st.integers(0, 2**20), batch=st.integers(3, 4))
def test_measures_of_any_architecture_follow_their_definitions(ops, seed, batch):
    network, images, labels = drawn(lambda: nats_network(ops), seed, batch)
    expected = slow_measures(network, images, labels)
    values = zero_cost(network, images, labels, tuple(expected))
    assert values.pop("zico") == pytest.approx(expected.pop("zico"), rel=1e-3)  # quotients of tiny gradients
    assert values == close(expected)


def test_the_effective_rank_of_what_is_known():
    """Of directions that count alike it is their number; of one alone it is 1."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 12, bias=False), nn.ReLU())
    network[1].weight.data = torch.eye(12)
    units, labels = torch.eye(12).view(12, 3, 2, 2), torch.arange(12)
    assert zero_cost(network, units, labels, ("near",)) == {"near": pytest.approx(24)}
    assert zero_cost(network, -units, labels, ("near",)) == {"near": pytest.approx(12)}  # its ReLUs are off
    assert zero_cost(network, units[:5], labels[:5], ("near",)) == {"near": pytest.approx(10)}
    assert zero_cost(network, units[:1].repeat(12, 1, 1, 1), labels, ("near",)) == {"near": pytest.approx(2)}


class OnEveryPosition(nn.Module):
    """A linear layer on every position, as transformers have it."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, features):
        return self.layer(features.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, features.shape[2:])


def test_a_linear_layer_on_every_position_counts_as_a_convolution_of_one_pixel():
    torch.manual_seed(0)
    parts = [
        nn.Conv2d(3, 4, 1),
        nn.ReLU(),
        nn.Conv2d(4, 5, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 4),
    ]
    of_convolutions = nn.Sequential(*parts).double()
    layer = nn.Linear(4, 5).double()
    layer.weight.data, layer.bias.data = parts[2].weight.data[:, :, 0, 0].clone(), parts[2].bias.data.clone()
    on_positions = nn.Sequential(*parts[:2], OnEveryPosition(layer), *parts[3:]).double()
    images, labels = torch.randn(1, 3, 2, 2, dtype=torch.float64), torch.tensor([2])
    names = ("fisher", "near", "grad_norm", "snip", "macs", "synflow")  # fewer positions than channels: all count
    assert zero_cost(on_positions, images, labels, names) == close(
        zero_cost(of_convolutions, images, labels, names)
    )


def test_gradient_measures_follow_finite_differences_of_the_loss():
    network, images, labels = drawn(lambda: nats_network(ONE_CONVOLUTION, channels=1), batch=3)
    moved, gradients, step = copy.deepcopy(network).train(), [], 1e-6
    with torch.no_grad():
        for layer in layers_of(moved):
            weights, slopes = layer.weight.view(-1), []
            for i, weight in enumerate(weights.tolist()):
                losses = []
                for value in (weight + step, weight - step):
                    weights[i] = value
                    losses.append(F.cross_entropy(moved(images), labels).item())
                weights[i] = weight
                slopes.append((losses[0] - losses[1]) / (2 * step))
            gradients.append(torch.tensor(slopes))
    expected = slow_of_gradients([layer.weight.detach() for layer in layers_of(network)], gradients)
    assert zero_cost(network, images, labels, tuple(expected)) == pytest.approx(expected, rel=1e-5)


def test_synflow_is_what_the_output_loses_without_each_weight():
    """Outputs are linear in any single absolute weight, so W * dR/dW is R less R without the weight."""
    network, images, labels = drawn(lambda: nats_network(ONE_CONVOLUTION, channels=1))
    absolute, ones = absolute_network(network, keep_batch_norm=False), torch.ones(1, 3, 8, 8, dtype=torch.float64)
    expected = 0.0
    with torch.no_grad():
        flow = absolute(ones).sum().item()
        for layer in layers_of(absolute):
            weights = layer.weight.view(-1)
            for i, weight in enumerate(weights.tolist()):
                weights[i] = 0
                expected += flow - absolute(ones).sum().item()
                weights[i] = weight
    assert zero_cost(network, images, labels, ("synflow",)) == close({"synflow": expected})


@every_network
def test_grasp_follows_finite_differences_of_the_gradient(build):
    network, images, labels = drawn(build)
    products = finite_difference_products(network, images, labels, step=1e-6)
    terms = torch.cat([(layer.weight * hg).flatten() for layer, hg in zip(layers_of(network), products)])
    expected, tolerance = -terms.sum().item(), 1e-6 * terms.abs().sum().item() + 1e-12
    assert zero_cost(network, images, labels, ("grasp",))["grasp"] == pytest.approx(expected, abs=tolerance)


def test_grasp_follows_the_full_hessian():
    network, images, labels = drawn(with_batch_norm)
    expected = full_hessian_grasp(network, images, labels)
    assert zero_cost(network, images, labels, ("grasp",)) == close({"grasp": expected})


def test_an_initial_network_of_none_sees_no_image():
    """Its outputs are the classifier's bias: fisher sees that one activation, the other sums nothing.

    meco and near see the stem, and all ReLUs are off.
    """
    torch.manual_seed(0)
    network, labels = nats_network(ONLY_NONE).double(), torch.tensor([0, 1, 2])
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    with pytest.warns(UserWarning) as warned:
        values = zero_cost(network, images, labels)
    assert values.keys() == MEASURES.keys()
    undefined = ("jacob_cov", "epe_nas", "nwot", "zen", *AZ)
    assert all(math.isnan(values.pop(name)) for name in undefined)
    assert sorted(str(warning.message).split()[0] for warning in warned) == sorted(undefined)
    sizes = {name: values.pop(name) for name in ("params", "macs", "l2_norm")}
    assert sizes["params"] == network.num_parameters and sizes["macs"] == network.macs(resolution=8)
    assert values.pop("swap") == 1 > values.pop("swap_reg") > 0 and values.pop("meco") > 0
    assert values.pop("near") == close(slow_near(network, images))
    assert values["fisher"] > 0 and values.pop("fisher") == close(slow_fisher(network, images, labels))
    assert values == dict.fromkeys(values, 0.0)


@pytest.mark.parametrize("architecture", sample_architectures(10, 1), ids=lambda a: a.index)
def test_single_precision_agrees_with_double(architecture):
    """To 1e-3; `plain`, which nearly cancels, to 1e-3 of `snip`."""
    torch.manual_seed(0)
    network = build_network(architecture, 10, cells=1)
    images, labels = torch.randn(16, 3, 16, 16), torch.randint(0, 10, (16,))
    single = zero_cost(network, images, labels)
    double = zero_cost(network.double(), images.double(), labels)
    jacobian = Minibatch(network.train(), images.double(), labels).image_gradients
    assert torch.linalg.eigvalsh(torch.corrcoef(jacobian.flatten(1)))[0] > 0.1  # else jacob_cov is ill-conditioned
    assert single.pop("plain") == pytest.approx(double.pop("plain"), abs=1e-3 * double["snip"])
    assert single == pytest.approx(double, rel=1e-3, nan_ok=True)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ELU])
def test_activations_in_place_change_nothing(activation):
    network, images, labels = drawn(lambda: without_batch_norm(activation))
    in_place, _, _ = drawn(lambda: without_batch_norm(activation, inplace=True))
    assert zero_cost(in_place, images, labels) == close(zero_cost(network, images, labels))


def test_a_batch_of_one_image_correlates_with_itself():
    values = zero_cost(*drawn(with_batch_norm, batch=1), ("jacob_cov",))
    assert values == close({"jacob_cov": -(math.log(1 + 1e-5) + 1 / (1 + 1e-5))})


def half_log_of_mean_variance(features):
    variances = [np.var(features[:, channel]) for channel in range(features.shape[1])]
    return math.log(np.mean(variances)) / 2 if features.any() else 0.0


@every_network
def test_zen_follows_its_definition(build):
    network, images, labels = drawn(build)
    generator = torch.Generator().manual_seed(7)

    def noise(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    slow = copy.deepcopy(network).train()
    for layer in layers_of(slow):
        layer.weight.data = noise(layer.weight.shape)
        if layer.bias is not None:
            layer.bias.data.zero_()
    logs, features = [], []
    for module in slow.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            if module.affine:
                module.weight.data.fill_(1)
                module.bias.data.zero_()
            module.register_forward_hook(
                lambda _, inputs, output: logs.append(half_log_of_mean_variance(inputs[0].detach().numpy()))
            )
    readers = [m for m in slow.modules() if isinstance(m, nn.AdaptiveAvgPool2d)] or layers_of(slow)
    readers[-1].register_forward_hook(lambda _, inputs, output: features.append(inputs[0].detach()))
    one = noise(images.shape)
    other = one + 0.01 * noise(images.shape)
    slow(one)
    of_batch_norm = sum(logs)
    slow(other)
    changes = [float(((a - b) ** 2).sum().sqrt()) for a, b in zip(*features)]
    expected = math.log(np.mean(changes)) + of_batch_norm if any(changes) else math.nan
    assert zero_cost(network, images, labels, ("zen",), seed=7) == close({"zen": expected})


@pytest.mark.parametrize("classes", [3, 101])
def test_epe_nas_for_few_and_for_many_classes(classes):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, classes)).double()
    images, labels = torch.randn(8, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 0, 1, 0])
    expected = slow_epe_nas(slow_jacobian(network, images), labels, classes)
    assert zero_cost(network, images, labels, ("epe_nas",)) == close({"epe_nas": expected})


def test_synflow_does_not_run_batch_norm():
    network, images, labels = drawn(nats_network, side=4)  # one position in the last stage, too few to normalise
    expected = slow_synflow(network, images, keep_batch_norm=False)
    assert zero_cost(network, images, labels, ("synflow",)) == close({"synflow": expected})


@pytest.mark.parametrize("shape", [(64, 16, 32, 32), (64, 16)])
def test_batch_norm_is_exact_in_single_precision(shape):
    """Forward, backward and double backward, in channels-last memory, against torch's own in double precision."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(16) if len(shape) == 4 else nn.BatchNorm1d(16)
    nn.init.uniform_(norm.weight, 0.5, 2)
    features, gradient, cotangent = (torch.randn(shape) + shift for shift in (0.3, 0, 0))
    slow = copy.deepcopy(norm).double()
    x, g = (tensor.double().requires_grad_() for tensor in (features, gradient))
    outputs = slow(x)
    (first,) = torch.autograd.grad(outputs, x, g, create_graph=True)
    expected = [outputs, first, *torch.autograd.grad(first, (x, g), cotangent.double())]
    memory = {"memory_format": torch.channels_last} if len(shape) == 4 else {}
    x, g = (tensor.contiguous(**memory).requires_grad_() for tensor in (features, gradient))
    with cheap_second_derivatives(norm):
        outputs = norm(x)
    (first,) = torch.autograd.grad(outputs, x, g, create_graph=True)
    for ours, theirs in zip((outputs, first, *torch.autograd.grad(first, (x, g), cotangent)), expected):
        assert (ours - theirs).abs().max() < 2e-6 * theirs.abs().max()


# Calls.


def test_layers_keep_forward_passes_of_their_own():
    network, images, labels = drawn(own_forward_passes)
    before = network(images)
    with pytest.warns(UserWarning, match="synflow has no value.*BatchNormAndElu cannot be removed"):
        zero_cost(network, images, labels)
    assert "forward" in vars(network[3]) and network(images).equal(before)


def test_batch_norm_that_is_synchronised_is_removed_as_any():
    network, images, labels = drawn(with_batch_norm)
    expected = zero_cost(network, images, labels, ("synflow",))
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert any(isinstance(module, nn.SyncBatchNorm) for module in synchronised.modules())
    assert zero_cost(synchronised, images, labels, ("synflow",)) == expected


def test_a_measure_that_does_not_apply_says_why():
    network, images, labels = drawn(Functional)
    with pytest.warns(UserWarning, match="nwot has no value for this network: it has no ReLU module"):
        assert math.isnan(zero_cost(network, images, labels, ("snip", "nwot"))["nwot"])
    with pytest.warns(UserWarning, match="zico has no value for this network: one image has no halves"):
        assert math.isnan(zero_cost(network, images[:1], labels[:1], ("zico",))["zico"])


def test_a_subset_and_a_second_call_give_the_same_values():
    network, images, labels = drawn(nats_network)
    values = zero_cost(network, images, labels)
    assert list(values) == list(MEASURES) and all(map(math.isfinite, values.values()))
    assert zero_cost(network, images, labels) == values
    for names in [(name,) for name in MEASURES] + [("plain", "synflow_bn", "grasp"), ()]:
        assert zero_cost(network, images, labels, names) == {name: values[name] for name in names}


def test_frozen_parameters_evaluation_mode_and_no_grad_change_nothing():
    network, images, labels = drawn(nats_network)
    values = zero_cost(network, images, labels)
    network.eval().requires_grad_(False)
    with torch.no_grad():
        assert zero_cost(network, images, labels) == values


def test_an_unknown_measure_is_an_input_error_that_names_the_measures():
    with pytest.raises(InputError, match="unknown measure 'snap'") as error:
        zero_cost(*drawn(nats_network), ("snip", "snap"))
    assert all(name in str(error.value) for name in MEASURES)


def test_measures_are_names_in_any_iterable_and_not_one_text():
    assert list(zero_cost(*drawn(nats_network), (name for name in ("snip", "macs")))) == ["snip", "macs"]
    with pytest.raises(InputError, match=r"measures='snip': it must be a tuple of names, as \('snip',\)"):
        zero_cost(*drawn(nats_network), "snip")


# What is not a number.

WITHOUT_IMAGES = ("params", "macs", "l2_norm", "synflow", "synflow_bn", "zen", "meco")


def reasons(network, images, labels, names=None):
    """The values that are finite, and the reason where there is none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = zero_cost(network, images, labels, names)
    told = dict(str(warning.message).rstrip(".").split(" has no value for this network: ") for warning in caught)
    assert all(math.isfinite(value) != (name in told) for name, value in values.items())
    return {name: value for name, value in values.items() if math.isfinite(value)}, told


@pytest.mark.parametrize("build", [nats_network, without_batch_norm], ids=["batch norm", "none"])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_an_image_that_is_not_finite_leaves_the_measures_that_look_at_no_image(build, wrong):
    network, images, labels = drawn(build)
    expected = zero_cost(network, images, labels, WITHOUT_IMAGES)
    images[2, 1, 3, 3] = wrong
    values, told = reasons(network, images, labels, OF_ANY_MODULE)
    assert values == expected
    assert set(told.values()) == {"NaN or an infinity is in 1 of its 6 images"}


def test_an_image_after_those_that_swap_looks_at_may_be_anything():
    network, images, labels = drawn(nats_network)
    images, labels = images.repeat(6, 1, 1, 1)[: PATTERN_IMAGES + 1], labels.repeat(6)[: PATTERN_IMAGES + 1]
    expected = zero_cost(network, images, labels, ("swap",))
    images[-1] = math.nan
    values, told = reasons(network, images, labels, ("swap", "snip"))
    assert values == expected and told.keys() == {"snip"}


def test_a_weight_that_is_not_finite_is_named():
    network, images, labels = drawn(with_batch_norm)
    network[0].weight.data[0, 0, 0, 0] = math.nan
    values, told = reasons(network, images, labels, OF_ANY_MODULE)
    of_other_weights = {"zen", "meco", "swap", "swap_reg"}
    assert values.keys() == {"params", "macs"} | of_other_weights
    assert set(told.values()) == {"the network's 0.weight holds NaN or an infinity"}


class Gradient(nn.Module):
    """Hands its input on; its gradient is not finite."""

    def forward(self, features):
        return features + 0 * (features - features.detach()).abs().sqrt()


def test_gradients_that_are_not_finite_give_no_value():
    network, images, labels = drawn(without_batch_norm)
    network.insert(1, Gradient())
    values, told = reasons(network, images, labels, OF_ANY_MODULE)
    of_gradients = {"grad_norm", "snip", "grasp", "fisher", "jacob_cov", "plain", "epe_nas", "zico"}
    assert of_gradients <= told.keys() and not told.keys() & {"nwot", "params", "macs", "l2_norm", "zen"}
    assert set(told.values()) == {"a number on the way to it is NaN or infinite"}


def test_numbers_too_large_for_their_kind_give_no_value():
    """Deep networks without batch norm: single precision overflows, then double, where `synflow` needs it."""
    network, images, labels = drawn(lambda: nn.Sequential(*(nn.Linear(8, 8) for _ in range(9)), nn.ReLU()), side=8)
    labels = labels % 4
    network = nn.Sequential(nn.AdaptiveAvgPool2d((1, 8)), nn.Flatten(), nn.Linear(24, 8), *network).float()
    for layer in layers_of(network):
        layer.weight.data.fill_(1e37)
    values, told = reasons(network, images.float(), labels)
    assert (
        values.keys() == {"params", "macs", "zen", "meco", "swap", "swap_reg"}
        and {"nwot", "synflow", "zico"} <= told.keys()
    )


def test_finite_numbers_whose_sum_is_none_are_finite():
    network, images, labels = drawn(without_batch_norm)
    network, images = network.float(), images.float()
    for layer in layers_of(network):
        layer.bias = None
    small = zero_cost(network, images, labels, ("nwot",))
    assert zero_cost(network, images * 2.0**121, labels, ("nwot",)) == small
    with torch.no_grad():
        rectified = network[:2](images * 2.0**121)
    assert rectified.isfinite().all() and not rectified.sum().isfinite()


def test_a_measure_of_ones_own_that_is_infinite_has_no_value(monkeypatch):
    monkeypatch.setitem(MEASURES, "mine", Measure(lambda batch: math.inf, passes=0))
    assert reasons(*drawn(with_batch_norm), ("mine",))[1] == {
        "mine": "a number on the way to it is NaN or infinite"
    }


@pytest.mark.parametrize("names", [None, ("synflow", "params"), ("macs",), ("grasp",)])
def test_batch_norm_with_one_value_leaves_the_measures_that_need_none(names):
    network, images, labels = drawn(nats_network, batch=1, side=4)
    values, told = reasons(network, images, labels, names)
    alone = {"synflow": zero_cost(network, images, labels, ("synflow",))["synflow"]}
    alone |= zero_cost(network, images, labels, ("meco", *AZ))  # of several noise images
    alone |= {"params": network.num_parameters, "macs": network.macs(4)}
    alone |= {"l2_norm": sum(layer.weight.norm().item() for layer in layers_of(network))}
    asked = set(names or MEASURES)
    assert values == close({name: value for name, value in alone.items() if name in asked})
    assert told.pop("zico", "one image has no halves") == "one image has no halves"
    assert set(told.values()) <= {"its batch norm has one value a channel to normalise"}
    assert told.keys() == asked - alone.keys() - {"zico"}


def test_a_network_without_weights_has_the_measures_that_need_none():
    network = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    _, images, labels = drawn(with_batch_norm)
    values, told = reasons(network, images, labels, OF_ANY_MODULE)
    assert values.keys() == {
        "params",
        "macs",
        "jacob_cov",
        "nwot",
        "zen",
        "epe_nas",
        "meco",
        "swap",
        "swap_reg",
        "near",
    }
    assert (values["params"], values["macs"]) == (0, 0)
    assert set(told.values()) == {"it has no convolution or linear layer"}


# What is refused, and what plays no part.


class Several(nn.Module):
    """Features beside the logits, as other code bases' networks return them."""

    def __init__(self):
        super().__init__()
        self.network = with_batch_norm().double()

    def forward(self, images):
        return images, self.network(images)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda n, i, k: (lambda images: images, i, k), "the network is a function: it must be a torch.nn.Module"),
        (lambda n, i, k: (Several(), i, k), r"returns a tuple: it must return logits \(batch, classes\) alone"),
        (lambda n, i, k: (n[:-2], i, k), r"returns the shape \(6, 2, 2, 2\) for 6 images"),
        (lambda n, i, k: (n, i[:0], k[:0]), r"images have the shape \(0, 3, 8, 8\)"),
        (lambda n, i, k: (n, i[0], k), r"images have the shape \(3, 8, 8\)"),
        (lambda n, i, k: (n, i.numpy(), k), "images are a numpy.ndarray: a torch.Tensor is needed, as"),
        (lambda n, i, k: (n, i.byte(), k), "images are uint8: measures need float32 or float64"),
        (lambda n, i, k: (n.half(), i.half(), k), "images are float16"),
        (lambda n, i, k: (n.bfloat16(), i.float(), k), "the network's 0.weight is bfloat16"),
        (lambda n, i, k: (n, i.float(), k), "images are float32 on cpu, but the network's 0.weight is float64"),
        (lambda n, i, k: (n, i, k[:4]), r"labels have the shape \(4,\) for 6 images"),
        (lambda n, i, k: (n, i, F.one_hot(k)), r"labels have the shape \(6, 4\) for 6 images"),
        (lambda n, i, k: (n, i, k.double()), "labels are float64: they must be class numbers"),
        (lambda n, i, k: (n, i, k.tolist()), "labels are a list: a torch.Tensor is needed"),
        (lambda n, i, k: (n, i, k * 0 - 100), "labels hold -100: classes are numbered from 0"),
        (lambda n, i, k: (n, i, k + 1), "labels go up to 4, but the network has 4 classes"),
    ],
)
def test_another_kind_of_network_or_minibatch_is_refused_in_one_sentence(change, message):
    with pytest.raises(InputError, match=message):
        zero_cost(*change(*drawn(with_batch_norm)))


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.int16])
def test_labels_of_any_integer_kind_are_the_same_labels(kind):
    network, images, labels = drawn(nats_network)
    assert zero_cost(network, images, labels.to(kind)) == zero_cost(network, images, labels)


def test_inference_mode_and_autocast_change_nothing():
    network, images, labels = drawn(nats_network)
    network, images = network.float(), images.float()
    values = zero_cost(network, images, labels)
    with torch.inference_mode():
        assert zero_cost(network, images, labels) == values
        assert zero_cost(copy.deepcopy(network), images.clone(), labels.clone()) == values
    with torch.autocast("cpu", torch.bfloat16):
        assert zero_cost(network, images, labels) == values


# The network is left as it was.


class Fails(nn.Module):
    def forward(self, features):
        raise RuntimeError("on purpose")


def in_mixed_state(network):
    """Some modules training, some parameters frozen, some with a gradient."""
    for i, module in enumerate(network.modules()):
        module.training = i % 3 == 0
    for i, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(i % 4 != 0)
        parameter.grad = torch.randn_like(parameter) if i % 2 else None
    return network


def picture(network, *tensors):
    """Every attribute of every module, in order, and the tensors, as plain values."""

    def known(value):
        if isinstance(value, torch.Tensor):
            return id(value), value.data_ptr(), value.tolist(), value.requires_grad, known(value.grad)
        if isinstance(value, dict):  # parameters, buffers, submodules, hooks
            return [(key, known(entry)) for key, entry in value.items()]
        return id(value) if isinstance(value, nn.Module) else value

    return [known(tensor) for tensor in tensors] + [known(vars(module)) for module in network.modules()]


def test_the_network_is_left_as_it_was():
    network, images, labels = drawn(nats_network)
    before = picture(in_mixed_state(network), images, labels)
    assert any(module.training for module in network.modules())
    state = torch.get_rng_state()
    zero_cost(network, images, labels)
    assert picture(network, images, labels) == before and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", sorted(set(MEASURES) - {"params", "l2_norm"}))  # these run nothing
@pytest.mark.parametrize("place", [1, 3, -1])
def test_a_module_that_fails_leaves_the_network_as_it_was(name, place):
    network, images, labels = drawn(nats_network if name in AZ else with_batch_norm)
    parts = network.blocks if name in AZ else (network := nn.Sequential(*network))
    parts.insert(place % len(parts), Fails())
    before = picture(in_mixed_state(network), images, labels)
    with pytest.raises(RuntimeError, match="on purpose"):
        zero_cost(network, images, labels, (name,))
    assert picture(network, images, labels) == before


@pytest.mark.parametrize("name", sorted(set(OF_ANY_MODULE) - {"params", "l2_norm"}))
@pytest.mark.parametrize("shape", [(4, 1, 8, 8), (4, 3, 2, 2)])
def test_images_that_a_network_does_not_take_are_refused_in_one_sentence(name, shape):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    before = picture(in_mixed_state(network))
    of_images = re.escape(str(shape[1:])[1:])
    # synflow looks at one image, meco at two, zico at halves of the minibatch
    with pytest.raises(InputError, match=rf"the network does not take images of the shape \([124], {of_images}"):
        zero_cost(network, torch.randn(shape), torch.arange(4), (name,))
    assert picture(network) == before


@pytest.mark.parametrize("name", ["plain", "fisher", "grasp"])
def test_a_label_out_of_range_leaves_the_network_as_it_was(name):
    network, images, labels = drawn(nats_network)
    before = picture(in_mixed_state(network), images, labels)
    with pytest.raises(InputError, match="labels go up to 7, but the network has 4 classes, numbered from 0"):
        zero_cost(network, images, labels + CLASSES, (name,))
    assert picture(network, images, labels) == before


# Cost.


@pytest.mark.parametrize(
    "name", ["grad_norm", "snip", "fisher", "plain", "zico", "grasp", "synflow", "synflow_bn", "zen"]
)
def test_macs_are_those_that_torch_counts(name):
    """Or a little more: the first layer's input has no gradient. (torch counts no gradient of the images.)"""
    network, images, labels = drawn(nats_network, batch=3)
    with FlopCounterMode(display=False) as counter:
        zero_cost(network, images, labels, (name,))
    macs = zero_cost_macs(name, network.macs(resolution=8), len(images))
    assert 0.8 * macs < counter.get_total_flops() / 2 <= macs


FORWARDS = {
    **dict.fromkeys(OF_ANY_MODULE, 1), "params": 0, "l2_norm": 0, "zen": 2, "zico": 2,
}  # fmt: skip


@pytest.mark.parametrize("fails", [False, True])
def test_a_measure_is_charged_for_its_passes_whoever_made_them_and_whether_it_has_a_value(monkeypatch, fails):
    """By a clock that ticks once a forward pass."""
    forward, ticks = Minibatch.run, []
    monkeypatch.setattr(Minibatch, "run", lambda *args: ticks.append(1) or forward(*args))
    monkeypatch.setattr(Minibatch, "clock", lambda batch: float(len(ticks)))
    network, images, labels = drawn(without_batch_norm)
    if fails:
        network.insert(1, Gradient())
    expected = FORWARDS | ({"zico": 1} if fails else {})  # its second half is not looked at
    together = measure_network(network, images, labels, OF_ANY_MODULE)
    assert {name: each.seconds for name, each in together.items()} == expected
    for name in OF_ANY_MODULE:
        assert measure_network(network, images, labels, (name,))[name].seconds == expected[name]


def test_macs_of_jacob_cov_are_those_of_one_backward_pass():
    for name in ("jacob_cov", "epe_nas"):
        assert zero_cost_macs(name, 1000, 64) == zero_cost_macs("plain", 1000, 64) == 3 * 1000 * 64


class Shared(nn.Module):
    """One convolution under two names, and one weight in two linear layers."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.stem = self.features[0]
        self.pool, self.first, self.second = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, images):
        return self.second(self.first(self.pool(self.features(images)).flatten(1)))


def test_shared_modules_and_weights_are_left_as_they_were():
    network, images, labels = drawn(Shared)
    labels = labels % 4
    before = picture(network, images, labels)
    scores = zero_cost(network, images, labels)
    assert picture(network, images, labels) == before
    shared, stem = network.first.weight, network.stem.weight
    loss = F.cross_entropy(network.train()(images), labels)
    of_shared, of_stem = torch.autograd.grad(loss, (shared, stem))
    expected = 2 * (shared * of_shared).abs().sum() + (stem * of_stem).abs().sum()  # the layers are three
    assert scores["snip"] == pytest.approx(expected.item(), rel=1e-4)


def test_dropout_gives_the_same_scores_again():
    network, images, labels = drawn(lambda: nn.Sequential(*with_batch_norm(), nn.Dropout(0.5)))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = zero_cost(network, images, labels, ("snip", "zico"), seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert zero_cost(network, images, labels, ("snip", "zico"), seed=3) == one
    assert zero_cost(network, images, labels, ("snip",), seed=4)["snip"] != one["snip"]


class UnusedHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.auxiliary = nn.Conv2d(3, CLASSES, 3), nn.Linear(CLASSES, CLASSES)

    def forward(self, images):
        return self.features(images).mean((2, 3))


def test_measures_say_what_they_lack_in_unusual_networks():
    def fully_convolutional():
        return nn.Sequential(nn.Conv2d(3, CLASSES, 3), nn.ReLU(), nn.AvgPool2d(6), nn.Flatten())

    def reparametrised():
        network = with_batch_norm()
        nn.utils.parametrizations.weight_norm(network[0])
        return network

    for build, measure, reason in (
        (fully_convolutional, "zen", "neither an adaptive pooling nor a linear layer"),
        (UnusedHead, "zen", "runs 0 times a pass, not once"),
        (reparametrised, "snip", "is computed from other parameters"),
    ):
        network, images, labels = drawn(build)
        with pytest.warns(UserWarning, match=f"{measure} has no value for this network: .*{reason}"):
            assert math.isnan(zero_cost(network, images, labels, (measure,))[measure])
