"""Zero-cost measures against their definitions written out slowly, in double precision, on tiny networks."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fearlib.architecture import OPERATIONS, Architecture
from fearlib.errors import InputError
from fearlib.measures import MEASURES, zero_cost, zero_cost_macs
from fearlib.network import build_network

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


NETWORKS = {
    "mixed": nats_network,
    "unused layer": lambda: nats_network(UNUSED_LAYER),
    "no convolution": lambda: nats_network(NO_CONVOLUTION),
    "only none": lambda: nats_network(ONLY_NONE),
    "linear only": linear_only,
    "one linear layer": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES)),
    "without batch norm": without_batch_norm,
    "with batch norm": with_batch_norm,
}
every_network = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
every_measure = pytest.mark.parametrize("name", MEASURES)


def drawn(build, seed=0, batch=4, side=8):
    """The network with every parameter drawn from [-1, 1], batch norm's too, and a minibatch, all float64."""
    torch.manual_seed(seed)
    network = build().double()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return network, torch.randn(batch, 3, side, side, dtype=torch.float64), torch.arange(batch) % CLASSES


# The definitions, slowly.


def layers_of(network):
    return [module for module in network.modules() if type(module) in (nn.Conv2d, nn.Linear)]


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


def slow_jacob_cov(network, images):
    """One backward pass for every single output."""
    network, images = copy.deepcopy(network).train(), images.clone().requires_grad_()
    for output in network(images).flatten():
        output.backward(retain_graph=True)
    if images.grad is None:
        return math.nan
    jacobian = images.grad.flatten(1).numpy()
    if np.any(jacobian.std(axis=1) == 0):
        return math.nan
    values = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(jacobian)))
    return -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in values)


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
    network = absolute_network(network, keep_batch_norm)
    network(torch.ones(1, *images.shape[1:], dtype=torch.float64)).sum().backward()
    weights = [layer.weight for layer in layers_of(network) if layer.weight.grad is not None]
    return sum((w * w.grad).abs().sum().item() for w in weights)


def slow_measures(network, images, labels):
    """All but grasp."""
    return {
        **slow_of_gradients(*weight_gradients(network, images, labels)),
        "fisher": slow_fisher(network, images, labels),
        "jacob_cov": slow_jacob_cov(network, images),
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
    assert set(expected) | {"grasp"} == set(MEASURES)
    assert zero_cost(network, images, labels, tuple(expected)) == close(expected)


@settings(max_examples=6, deadline=None)
@given(ops=st.tuples(*[st.sampled_from(OPERATIONS)] * 6), seed=st.integers(0, 2**20), batch=st.integers(3, 4))
def test_measures_of_any_architecture_follow_their_definitions(ops, seed, batch):
    network, images, labels = drawn(lambda: nats_network(ops), seed, batch)
    expected = slow_measures(network, images, labels)
    assert zero_cost(network, images, labels, tuple(expected)) == close(expected)


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
    """Its outputs are the classifier's bias: fisher sees that one activation, the other sums nothing."""
    torch.manual_seed(0)
    network, labels = nats_network(ONLY_NONE).double(), torch.tensor([0, 1, 2])
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    values = zero_cost(network, images, labels)
    assert values.keys() == MEASURES.keys()
    assert math.isnan(values.pop("jacob_cov"))
    assert values["fisher"] > 0 and values.pop("fisher") == close(slow_fisher(network, images, labels))
    assert values == dict.fromkeys(values, 0.0)


def test_single_precision_agrees_with_double():
    network, images, labels = drawn(nats_network)
    double = zero_cost(network, images, labels)
    assert zero_cost(network.float(), images.float(), labels) == pytest.approx(double, rel=1e-2)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ELU])
def test_activations_in_place_change_nothing(activation):
    network, images, labels = drawn(lambda: without_batch_norm(activation))
    in_place, _, _ = drawn(lambda: without_batch_norm(activation, inplace=True))
    assert zero_cost(in_place, images, labels) == close(zero_cost(network, images, labels))


def test_a_batch_of_one_image_correlates_with_itself():
    values = zero_cost(*drawn(with_batch_norm, batch=1), ("jacob_cov",))
    assert values == close({"jacob_cov": -(math.log(1 + 1e-5) + 1 / (1 + 1e-5))})


def test_synflow_does_not_run_batch_norm():
    network, images, labels = drawn(nats_network, side=4)  # one position in the last stage, too few to normalise
    expected = slow_synflow(network, images, keep_batch_norm=False)
    assert zero_cost(network, images, labels, ("synflow",)) == close({"synflow": expected})


# Calls.


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
    zero_cost(network, images, labels)
    assert picture(network, images, labels) == before


@every_measure
@pytest.mark.parametrize("place", [1, 3, -1])
def test_a_module_that_fails_leaves_the_network_as_it_was(name, place):
    network, images, labels = drawn(with_batch_norm)
    network = nn.Sequential(*network)
    network.insert(place, Fails())
    before = picture(in_mixed_state(network), images, labels)
    with pytest.raises(RuntimeError, match="on purpose"):
        zero_cost(network, images, labels, (name,))
    assert picture(network, images, labels) == before


@pytest.mark.parametrize("name", ["plain", "fisher", "grasp"])
def test_a_label_out_of_range_leaves_the_network_as_it_was(name):
    network, images, labels = drawn(nats_network)
    before = picture(in_mixed_state(network), images, labels)
    with pytest.raises(IndexError):
        zero_cost(network, images, labels + CLASSES, (name,))
    assert picture(network, images, labels) == before


# Cost.


@pytest.mark.parametrize("name", sorted(set(MEASURES) - {"jacob_cov"}))  # torch counts no gradient of the images
def test_macs_are_those_that_torch_counts(name):
    """Or a little more: the first layer's input has no gradient."""
    network, images, labels = drawn(nats_network, batch=3)
    with FlopCounterMode(display=False) as counter:
        zero_cost(network, images, labels, (name,))
    macs = zero_cost_macs(name, network.macs(resolution=8), len(images))
    assert 0.8 * macs < counter.get_total_flops() / 2 <= macs


def test_macs_of_jacob_cov_are_those_of_one_backward_pass():
    assert zero_cost_macs("jacob_cov", 1000, 64) == zero_cost_macs("plain", 1000, 64) == 3 * 1000 * 64
