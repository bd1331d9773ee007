"""Networks unlike ours: attention, parametrisations, frozen norms, shared blocks, work in place, lazy layers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from fearlib import Architecture, InputError, Network, fear, shortreg, train, zero_cost
from fearlib.scores.degradation import degradation
from fearlib.scores.measures import measure_network
from fearlib.sweeps.methods import most_macs
from fearlib.sweeps.presets import SMOKE

CLASSES = 10


@pytest.fixture
def minibatch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 3, 8, 8, generator=generator), torch.arange(8) % CLASSES


def head(channels=4):
    return nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def plain(*blocks):
    return Network(nn.Conv2d(3, 4, 3, padding=1), blocks, head(), min(1, len(blocks)))


def cell():
    return nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


class Attention(nn.Module):
    """Positions look at each other, without a layer."""

    def forward(self, features):
        tokens = features.flatten(2).transpose(1, 2).contiguous()[:, None]
        mixed = F.scaled_dot_product_attention(tokens, tokens, tokens)[:, 0]
        return features + mixed.transpose(1, 2).reshape(features.shape)


class SlowAttention(Attention):
    def forward(self, features):
        tokens = features.flatten(2).transpose(1, 2)
        weights = torch.softmax(tokens @ tokens.transpose(1, 2) / tokens.shape[-1] ** 0.5, dim=-1)
        return features + (weights @ tokens).transpose(1, 2).reshape(features.shape)


def test_attention_has_every_measure(minibatch):
    torch.manual_seed(0)
    network = plain(cell(), Attention(), cell())
    slow = plain(cell(), SlowAttention(), cell())
    slow.load_state_dict(network.state_dict())
    names = ("grasp", "snip", "jacob_cov", "zico", "synflow")
    images, labels = minibatch[0].double(), minibatch[1]
    found = zero_cost(network.double(), images, labels, names)
    assert found == pytest.approx(zero_cost(slow.double(), images, labels, names), rel=1e-6)


class Distances(nn.Module):
    """Of its channels from each other; torch has no second derivative of these."""

    def forward(self, features):
        maps = features.flatten(2)
        return features * torch.cdist(maps, maps).mean((1, 2))[:, None, None, None]


class Singles(nn.Module):
    """A kernel that knows float32 alone, as those of many code bases."""

    def forward(self, features):
        return F.conv2d(features, torch.ones(4, 4, 1, 1))


@pytest.mark.parametrize(
    ("module", "measure", "reason"),
    [
        (Distances(), "grasp", "has no second derivative"),
        (Singles(), "synflow", "not compute in double precision"),
    ],
)
def test_what_a_network_cannot_do_costs_that_measure_alone(minibatch, module, measure, reason):
    torch.manual_seed(0)
    found = measure_network(plain(cell(), module), *minibatch, (measure, "snip", "nwot"))
    assert reason in found[measure].undefined
    assert not found["snip"].undefined and not found["nwot"].undefined


def test_measures_that_do_not_rest_on_a_weight_as_a_parameter_keep_their_value(minibatch):
    torch.manual_seed(0)
    network, normed = plain(cell()), plain(cell())
    normed.load_state_dict(network.state_dict())
    parametrizations.weight_norm(normed.blocks[0][1])
    names = ("macs", "nwot", "jacob_cov", "epe_nas", "near", "snip", "meco")
    images, labels = minibatch[0].double(), minibatch[1]
    expected, found = (measure_network(each.double(), images, labels, names) for each in (network, normed))
    for name in names[:5]:
        assert found[name].value == pytest.approx(expected[name].value, rel=1e-6), name
    for name in names[5:]:
        assert "is computed from other parameters" in found[name].undefined


class Frozen(nn.BatchNorm2d):
    """Stays in evaluation mode, as those of a pretrained network do."""

    def train(self, mode=True):
        return super().train(False)


def test_batch_norm_that_stays_in_evaluation_mode_is_measured_so(minibatch):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Frozen(4), nn.ReLU(), *head())
    network[1].running_mean.fill_(0.3), network[1].running_var.fill_(2.0)
    images, labels = minibatch
    loss = F.cross_entropy(network.eval()(images), labels)
    gradients = torch.autograd.grad(loss, [network[0].weight, network[-1].weight])
    expected = sum(float(gradient.norm()) for gradient in gradients)
    found = zero_cost(network.train(), images, labels, ("grad_norm",))["grad_norm"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_block_used_three_times_is_three_blocks(minibatch):
    torch.manual_seed(0)
    shared, apart = plain(*[cell()] * 3), plain(cell(), cell(), cell())
    names = ("az_expressivity", "az_progressivity", "az_trainability")
    with torch.no_grad():
        one = zero_cost(shared, *minibatch, names)
    assert len(one) == 3 and one == pytest.approx(of_a_tied_copy(shared, apart, minibatch, names), rel=1e-4)


def of_a_tied_copy(shared, apart, minibatch, names):
    """Three blocks with the parameters of one, which are drawn once."""
    for block in apart.blocks:
        for mine, yours in zip(block.modules(), shared.blocks[0].modules()):
            for name, parameter in yours.named_parameters(recurse=False):
                setattr(mine, name, parameter)
    apart.stem.load_state_dict(shared.stem.state_dict())
    apart.head.load_state_dict(shared.head.state_dict())
    return zero_cost(apart, *minibatch, names)


class Folded(nn.Module):
    """A 1x1 convolution as a linear layer over all positions of all images."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, features):
        images, channels, high, wide = features.shape
        rows = self.layer(features.movedim(1, -1).reshape(-1, channels))
        return rows.view(images, high, wide, -1).movedim(-1, 1)


def test_positions_folded_into_the_batch_count(minibatch):
    torch.manual_seed(0)
    convolution = plain(nn.Conv2d(4, 4, 1))
    folded = plain(Folded(nn.Linear(4, 4)))
    assert folded.macs(8) == convolution.macs(8) and folded.training_macs(8) == convolution.training_macs(8)
    found = measure_network(folded, *minibatch, ("macs", "fisher"))
    assert found["macs"].value == zero_cost(convolution, *minibatch, ("macs",))["macs"]
    assert "other rows than one an image" in found["fisher"].undefined
    switched = plain(Folded(nn.Sequential(nn.Linear(4, 4), nn.ReLU())))
    found = measure_network(switched, *minibatch, ("nwot", "swap", "macs"))
    assert all("other rows than one an image" in found[name].undefined for name in ("nwot", "swap"))
    assert found["macs"].value == folded.macs(8)


class Checkpointed(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, features):
        return checkpoint(self.block, features, use_reentrant=False)


def test_checkpoints_are_refused_in_a_sentence(minibatch):
    network = plain(Checkpointed(cell()))
    before = state_of(network)
    with pytest.raises(InputError, match=r"\(torch.utils.checkpoint\), which measures cannot follow: switch"):
        zero_cost(network, *minibatch, ("snip",))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class InPlace(nn.Module):
    def forward(self, images):
        return images.mul_(2)


def test_a_network_may_change_its_input(minibatch, colour_dataset):
    images, labels = (each.clone() for each in minibatch)
    images = images.contiguous(memory_format=torch.channels_last)
    before = images.clone()
    torch.manual_seed(0)
    network = Network(nn.Sequential(InPlace(), nn.Conv2d(3, 4, 3, padding=1)), [cell()], head(), 0)
    found = zero_cost(network, images, labels)
    assert torch.equal(images, before) and all(value == value for value in found.values())
    kept = {name: getattr(colour_dataset, name).clone() for name in ("train_images", "test_images")}
    shortreg(network, colour_dataset, 1)
    assert all(torch.equal(getattr(colour_dataset, name), value) for name, value in kept.items())


class Remembers(nn.Module):
    """Keeps its last output, with its graph."""

    def forward(self, features):
        self.last = 1.0 * features
        return self.last


@pytest.mark.parametrize("module", [Remembers(), nn.utils.weight_norm(nn.Conv2d(4, 4, 1))])
def test_a_network_that_cannot_be_copied_goes_through_both_stages(colour_dataset, module):
    torch.manual_seed(0)
    network = plain(cell(), module)
    score = fear(network, colour_dataset, 0.0, stage2_epochs=1, stage1_epochs=1, schedule_epochs=1)
    assert score.outcome == "ok" and {record.stage for record in score.curve} == {1, 2}


def test_a_refused_network_keeps_its_parameters_and_buffers(colour_dataset):
    torch.manual_seed(0)
    block = cell()
    network = plain(block, block)
    network.head = nn.Sequential(*head()[:-1], nn.Linear(4, 3))
    before, parameters = state_of(network), list(network.parameters())
    with pytest.raises(InputError, match="has 3 classes"):
        train(network, colour_dataset, 1)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(one is other for one, other in zip(network.parameters(), parameters, strict=True))


def test_a_seed_decides_dropout_and_the_callers_generator_stays(colour_dataset):
    def losses():
        torch.manual_seed(0)
        network = plain(cell(), nn.Dropout(0.5))
        torch.manual_seed(torch.seed())
        before = torch.get_rng_state()
        curve = shortreg(network, colour_dataset, 2, precision="float32", seed=3).curve
        assert torch.equal(torch.get_rng_state(), before)
        return [record.loss for record in curve]

    assert losses() == losses()


def test_what_a_trial_costs_is_found_without_the_callers_generator(colour_dataset):
    before = torch.get_rng_state()
    most_macs(Architecture.from_index(4321), "shortreg(epochs=3)", colour_dataset, SMOKE)
    assert torch.equal(torch.get_rng_state(), before)


class OwnConvolution(nn.Module):
    """Not one of the modules whose macs are counted."""

    def __init__(self, channels_in, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels_in, 1, 1))

    def forward(self, features):
        return F.conv2d(features, self.weight)


class OwnHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, 4))

    def forward(self, features):
        return features.mean((2, 3)) @ self.weight.T


@pytest.mark.parametrize("constant_rate", [True, False])
def test_a_network_without_counted_macs_is_followed_to_the_last_moment(minibatch, colour_dataset, constant_rate):
    torch.manual_seed(0)
    network = Network(OwnConvolution(3, 4), [], OwnHead(), 0)
    found = degradation(
        network,
        colour_dataset,
        *minibatch,
        2,
        constant_rate,
        batch_size=100,
        moments=(0, 1, 2),
        measures=("nwot",),
    )
    assert [moment.epoch for moment in found] == [0, 1, 2]


def test_layers_that_no_image_went_through_are_refused_in_a_sentence(minibatch, colour_dataset):
    network = Network(nn.LazyConv2d(4, 3, padding=1), [], head(), 0)
    for run in (lambda: zero_cost(network, *minibatch), lambda: train(network, colour_dataset, 1)):
        with pytest.raises(InputError, match="stem.weight is not initialised yet: run an image through"):
            run()


def test_a_network_without_parameters_takes_no_macs():
    assert Network(nn.Identity(), [], nn.Identity(), 0).macs(8) == 0
