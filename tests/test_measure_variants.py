"""Forms of snip and grad_norm against plain autograd on a network's own parameters."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import fearlib


def weights_and_gradients(network, images, labels, training):
    network.train(training)
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    weights = [layer.weight for layer in layers]
    gradients = torch.autograd.grad(cross_entropy(network(images), labels), weights)
    return [(weight.detach(), gradient) for weight, gradient in zip(weights, gradients)]


def test_variants_against_plain_autograd(measure_variants):
    torch.manual_seed(0)
    network = fearlib.build_network(fearlib.Architecture.from_index(9999), 10, 8, 1).double()
    images, labels = torch.randn(80, 3, 8, 8).double(), torch.randint(10, (80,))
    network.train()(3 + 2 * images)  # running statistics that are not the minibatch's
    measured = fearlib.zero_cost(network, images, labels, (*measure_variants, "snip", "grad_norm", "plain"))
    alone = {
        size: fearlib.zero_cost(network, images[:size], labels[:size], ("snip", "grad_norm")) for size in (64, 80)
    }
    assert network.training
    state = {name: value.clone() for name, value in network.state_dict().items()}
    trained = weights_and_gradients(network, images, labels, True)
    network.load_state_dict(state)  # the pass moved the running statistics
    evaluated = weights_and_gradients(network, images, labels, False)
    expected = {
        "snip_64": alone[64]["snip"],
        "grad_norm_64": alone[64]["grad_norm"],
        "snip_evaluation": sum(float((w * g).abs().sum()) for w, g in evaluated),
        "grad_norm_evaluation": sum(float((g**2).sum()) ** 0.5 for _, g in evaluated),
        "snip_mean": sum(float((w * g).abs().sum()) / w.numel() for w, g in trained),
        "grad_norm_mean": sum((float((g**2).sum()) / g.numel()) ** 0.5 for _, g in trained),
        "grad_norm_whole": float(torch.cat([g.flatten() for _, g in trained]).norm()),
        "plain_absolute": abs(sum(float((w * g).sum()) for w, g in trained)),
    }
    assert set(expected) == set(measure_variants)
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, rel=1e-9), name
    assert measured["snip"] == alone[80]["snip"] != measured["snip_64"]
    for form, usual in (("snip_evaluation", "snip"), ("grad_norm_evaluation", "grad_norm")):
        assert abs(measured[form] / measured[usual] - 1) > 0.01
