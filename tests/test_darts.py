"""The DARTS space: genotypes, and their networks against the operations' definitions written out."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fearlib import Genotype, InputError, build_darts_network, fear, sample_genotypes, train, zero_cost
from fearlib.spaces.darts import OPERATIONS, SPACE_SIZE, freeze_point
from fearlib.spaces.darts_network import DartsCell

DARTS_V2 = """
Genotype(
  normal=[
    ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),
    ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],
  normal_concat=range(2, 6),
  reduce=[
    ('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1),
    ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],
  reduce_concat=range(2, 6))
"""
EVERY_OPERATION = Genotype(
    normal=list(zip((*OPERATIONS, "skip_connect"), (0, 1, 1, 2, 0, 3, 1, 4))),
    reduce=list(zip((*OPERATIONS[::-1], "skip_connect"), (0, 1, 0, 1, 2, 1, 0, 4))),
)


@st.composite
def cells(draw):
    """Edges of a cell, in either order within a node."""
    nodes = [draw(st.lists(st.integers(0, 1 + node), min_size=2, max_size=2, unique=True)) for node in range(4)]
    return [(draw(st.sampled_from(OPERATIONS)), source) for source in itertools.chain.from_iterable(nodes)]


genotypes = st.builds(Genotype, cells(), cells())


def test_darts_v2_has_the_published_parameters():
    network = build_darts_network(Genotype.from_string(DARTS_V2), 10)
    assert network.num_parameters == 3_349_342
    assert len(network.blocks) == 20 and network.default_first_free_block == 15


# Genotypes ----------------------------------------------------------------------------------------------


@given(cells(), cells())
def test_round_trips(normal, reduce):
    genotype = Genotype(normal, reduce)
    published = (
        f"Genotype(normal={normal}, normal_concat=range(2, 6), reduce={reduce}, reduce_concat=[2, 3, 4, 5])"
    )
    assert Genotype.from_string(str(genotype)) == genotype == Genotype.from_string(published)
    assert Genotype.from_index(genotype.index) == genotype
    assert sorted(normal[:2], key=lambda edge: edge[1]) == list(genotype.normal[:2])


@given(st.integers(0, SPACE_SIZE - 1))
def test_every_index_has_its_own_genotype(index):
    assert Genotype.from_index(index).index == index


def test_the_space_has_the_size_of_its_choices():
    sources = [math.comb(2 + node, 2) for node in range(4)]
    assert (math.prod(sources) * 7**8) ** 2 == SPACE_SIZE < 2**63
    first, last = Genotype.from_index(0), Genotype.from_index(SPACE_SIZE - 1)
    assert first == Genotype([("max_pool_3x3", 0), ("max_pool_3x3", 1)] * 4, first.normal)
    assert last.normal == last.reduce
    assert last.normal[-2:] == (("dil_conv_5x5", 3), ("dil_conv_5x5", 4))


def test_the_order_within_a_node_does_not_matter():
    genotype = Genotype.from_string(DARTS_V2)
    assert genotype.reduce[2:4] == (("max_pool_3x3", 1), ("skip_connect", 2))
    assert genotype == Genotype(genotype.normal, [genotype.reduce[edge ^ 1] for edge in range(8)])


@given(genotypes)
@settings(max_examples=20)
def test_neighbours_differ_in_one_operation_or_one_source(genotype):
    neighbours = genotype.neighbours()
    assert len(set(neighbours)) == 120
    for neighbour in neighbours:
        pairs = zip(genotype.normal + genotype.reduce, neighbour.normal + neighbour.reduce)
        changed = [set(ours) ^ set(theirs) for ours, theirs in pairs if ours != theirs]
        # A source may move past the other edge's, which then swaps places with it.
        assert len(changed) in (1, 2)
    for neighbour in neighbours[::30]:
        assert genotype in neighbour.neighbours()


def test_neighbours_are_all_there():
    """Out of all genotypes with another last node: 12 with one other operation, 6 with one other source."""
    genotype, found = EVERY_OPERATION, []
    edges = genotype.reduce[6:]
    for sources in itertools.combinations(range(5), 2):
        for ops in itertools.product(OPERATIONS, repeat=2):
            node = tuple(zip(ops, sources))
            kept = set(node) & set(edges)
            if len(kept) == 1:
                (ours,), (theirs,) = set(edges) - kept, set(node) - kept
                if ours[0] == theirs[0] or ours[1] == theirs[1]:
                    found.append(Genotype(genotype.normal, genotype.reduce[:6] + node))
    assert len(found) == 18
    with_other_last_node = [other for other in genotype.neighbours() if other.reduce[6:] != edges]
    assert set(found) == set(with_other_last_node)


def test_samples_are_without_replacement_nested_and_uniform():
    sample = sample_genotypes(2000, seed=7)
    assert len(set(sample)) == 2000
    assert sample_genotypes(50, seed=7) == sample[:50] != sample_genotypes(50, seed=8)
    for edge in range(8):
        for op in OPERATIONS:
            share = sum(genotype.reduce[edge][0] == op for genotype in sample) / 2000
            assert abs(share - 1 / 7) < 4 * math.sqrt(6 / 49 / 2000)
    with pytest.raises(InputError, match="cannot sample -1 genotypes"):
        sample_genotypes(-1, seed=0)


GOOD = [("skip_connect", 0), ("skip_connect", 1)] * 4


@pytest.mark.parametrize(
    "cell, message",
    [
        (GOOD[:6], "a cell has 8 edges, two for each of four nodes, but reduce has 6"),
        (5, r"reduce is 5: a cell is 8 pairs \(operation, source\)"),
        (["skip_connect"] * 8, "a cell is 8 pairs"),
        ([("none", 0), *GOOD[1:]], "unknown operation 'none' in reduce: the operations are max_pool_3x3"),
        ([("skip_connect", 2), *GOOD[1:]], r"source 2 of edge 0 in reduce: it must be an integer in 0\.\.1"),
        ([*GOOD[:7], ("skip_connect", 5)], r"source 5 of edge 7 in reduce: it must be an integer in 0\.\.4"),
        ([*GOOD[:7], ("skip_connect", True)], "source True of edge 7"),
        ([*GOOD[:7], ("skip_connect", 0)], "both edges of node 3 in reduce have source 0: they must differ"),
    ],
)
def test_bad_cells(cell, message):
    with pytest.raises(InputError, match=message):
        Genotype(GOOD, cell)


@pytest.mark.parametrize("index", [-1, SPACE_SIZE, 1.5, "3", None, True])
def test_index_out_of_range(index):
    with pytest.raises(InputError, match=rf"must be an integer in 0\.\.{SPACE_SIZE - 1}"):
        Genotype.from_index(index)


@pytest.mark.parametrize(
    "string",
    ["", "nonsense", None, str(EVERY_OPERATION) + "|", str(EVERY_OPERATION).replace("~4", "~44"), "Genotype()",
     DARTS_V2.replace("range(2, 6)", "range(3, 6)"), DARTS_V2.replace("range(2, 6)", "print(2)"),
     DARTS_V2.replace("Genotype", "Network"), DARTS_V2.replace("normal=[", "normal=[print(1)] + ["),
     DARTS_V2.replace("Genotype(", "Genotype(1, "), DARTS_V2.replace("Genotype(", "Genotype(normal=[], "),
     DARTS_V2 + ")", "(" * 10_000, "\0"],
)  # fmt: skip
def test_malformed_strings(string, capsys):
    with pytest.raises(InputError, match="is not a genotype: expected the form"):
        Genotype.from_string(string)
    assert not capsys.readouterr().out


# Networks -----------------------------------------------------------------------------------------------


def batch_norm(x):
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (variance + 1e-5).sqrt()


def windows(x, kernel, stride, dilation=1, fill=0.0):
    """The input under every position of a kernel, (batch, channels, height, width, kernel * kernel)."""
    pad = dilation * (kernel // 2)
    height, width = x.shape[2:]
    padded = F.pad(x, [pad] * 4, value=fill)
    return torch.stack(
        [
            padded[:, :, row : row + height : stride, column : column + width : stride]
            for row in range(0, dilation * kernel, dilation)
            for column in range(0, dilation * kernel, dilation)
        ],
        dim=-1,
    )


def pointwise(x, weight):
    return torch.einsum("oi,bihw->bohw", weight[:, :, 0, 0], x)


def factorized(x, module):
    even, odd = (layer.weight for layer in module.modules() if isinstance(layer, nn.Conv2d))
    x = x.clamp(min=0)
    parts = [pointwise(x[:, :, ::2, ::2], even), pointwise(x[:, :, 1::2, 1::2], odd)]
    return batch_norm(torch.cat(parts, dim=1))


def operation(op, module, x, stride):
    if op == "skip_connect":
        return x if stride == 1 else factorized(x, module)
    if op == "max_pool_3x3":
        return windows(x, 3, stride, fill=-torch.inf).amax(-1)
    if op == "avg_pool_3x3":
        return windows(x, 3, stride, fill=torch.nan).nanmean(-1)
    weights = [layer.weight for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    kernel, dilation = int(op[-1]), 2 if op.startswith("dil") else 1
    assert len(weights) == (2 if dilation == 2 else 4)
    for depth, point in zip(weights[::2], weights[1::2]):
        x = (windows(x.clamp(min=0), kernel, stride, dilation) * depth.flatten(1)[:, None, None]).sum(-1)
        x, stride = batch_norm(pointwise(x, point)), 1
    return x


@settings(max_examples=15)
@given(genotypes, st.booleans(), st.booleans())
def test_cell_by_its_definition(genotype, reduction, after_reduction):
    torch.manual_seed(0)
    cell = DartsCell(genotype, 3, 5, 4, reduction, after_reduction).double()
    last = torch.randn(2, 5, 6, 6, dtype=torch.float64)
    last_but_one = torch.randn(2, 3, *[12 if after_reduction else 6] * 2, dtype=torch.float64)

    first, second = cell.preprocess
    nodes = [batch_norm(pointwise(last.clamp(min=0), second[1].weight))]
    if after_reduction:
        nodes.insert(0, factorized(last_but_one, first))
    else:
        nodes.insert(0, batch_norm(pointwise(last_but_one.clamp(min=0), first[1].weight)))
    edges = genotype.reduce if reduction else genotype.normal
    for node in range(4):
        nodes.append(
            sum(
                operation(op, cell.edges[2 * node + side], nodes[source], 2 if reduction and source < 2 else 1)
                for side, (op, source) in enumerate(edges[2 * node : 2 * node + 2])
            )
        )
    handed_on, output = cell((last_but_one, last))
    assert handed_on is last
    torch.testing.assert_close(output, torch.cat(nodes[2:], 1))


def counts_by_hand(genotype, classes, channels, cells, side):
    """Parameters and multiply-accumulates."""
    parameters, macs = (27 + 2) * 3 * channels, 27 * 3 * channels * side**2
    before = last = 3 * channels
    for number in range(cells):
        reduction = number in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduction else 1
        parameters += (before + last) * channels + 4 * channels
        macs += (before + last) * channels * side**2  # a factorized reduction's output has this side, too
        within = side // 2 if reduction else side
        for op, source in genotype.reduce if reduction else genotype.normal:
            if "conv" in op:
                weights = int(op[-1]) ** 2 * channels + channels**2
                times = 2 if "sep" in op else 1
            else:
                weights = channels**2
                times = 1 if op == "skip_connect" and reduction and source < 2 else 0
            parameters += times * (weights + 2 * channels)
            macs += times * weights * within**2
        before, last, side = last, 4 * channels, within
    return parameters + last * classes + classes, macs + last * classes


@settings(max_examples=5)
@given(genotypes, st.integers(1, 3), st.integers(3, 6), st.sampled_from([2, 10]))
def test_counts_by_hand(genotype, channels, cells, classes):
    network = build_darts_network(genotype, classes, channels, cells)
    assert (network.num_parameters, network.macs(16)) == counts_by_hand(genotype, classes, channels, cells, 16)


def test_resolution_and_channels_of_every_block():
    network = build_darts_network(EVERY_OPERATION, 7, channels=3, cells=8)
    shapes = []
    for block in network.blocks:
        block.register_forward_hook(lambda _, __, output: shapes.append(tuple(output[1].shape[1:])))
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 7)
    assert shapes == [(12, 16, 16)] * 2 + [(24, 8, 8)] * 3 + [(48, 4, 4)] * 3


def test_the_images_reach_the_logits_through_both_inputs():
    """The network is its parts, each cell given the outputs of the two before."""
    torch.manual_seed(0)
    network = build_darts_network(EVERY_OPERATION, 10, channels=2, cells=4)
    images = torch.randn(4, 3, 16, 16)
    outputs = [nn.Sequential(*network.stem)(images)] * 2
    for block in network.blocks:
        outputs.append(block((outputs[-2], outputs[-1]))[1])
    assert torch.equal(network(images), network.head[-1](outputs[-1].mean((2, 3))))


@pytest.mark.parametrize("cells, first_free", [(3, 2), (4, 3), (5, 4), (6, 5), (8, 6), (14, 11), (20, 15)])
def test_freeze_point(cells, first_free):
    """4/5 of the cells after the second reduction are free, and at least one cell."""
    assert freeze_point(cells) == first_free


@pytest.mark.parametrize("first_free", range(5))
def test_frozen_parts_get_no_gradient(first_free):
    network = build_darts_network(EVERY_OPERATION, 10, channels=2, cells=4)
    network(torch.randn(4, 3, 8, 8), first_free).sum().backward()
    parts = [network.stem, *network.blocks, network.head]
    free = parts if first_free == 0 else parts[first_free + 1 :]
    with_gradient = {id(parameter) for parameter in network.parameters() if parameter.grad is not None}
    assert with_gradient == {id(parameter) for part in free for parameter in part.parameters()}
    assert with_gradient == {id(parameter) for parameter in network.free_parameters(first_free)}


def tiny():
    torch.manual_seed(0)
    return build_darts_network(EVERY_OPERATION, 10, channels=2, cells=3)


def test_fear_trains_the_last_cells_alone_in_stage_two(colour_dataset):
    network, alone = tiny(), tiny()
    result = fear(network, colour_dataset, 0.1, 2, 50, stage1_epochs=3, batch_size=50, precision="float32")
    first = train(alone, colour_dataset, 3, 50, 200, stop_at=0.1, precision="float32")
    assert result.outcome == "ok" and [epoch.stage for epoch in result.curve] == [1] * len(first) + [2] * 2
    assert result.macs == 200 * (len(first) * alone.training_macs(8) + 2 * alone.training_macs(8, 2))
    free = {id(parameter) for parameter in network.free_parameters(2)}
    for ours, theirs in zip(network.parameters(), alone.parameters()):
        assert torch.equal(ours, theirs) == (id(ours) not in free)


def test_zero_cost_measures_are_all_defined():
    network = tiny()
    images, labels = torch.randn(8, 3, 16, 16), torch.arange(8)
    values = zero_cost(network, images, labels)
    assert all(math.isfinite(value) for value in values.values())
    assert (values["params"], values["macs"]) == (network.num_parameters, network.macs(16))
    assert not any(module.inplace for module in network.modules() if isinstance(module, nn.ReLU))


def test_wrong_sizes():
    with pytest.raises(InputError, match="cells is 2: it must be at least 3"):
        build_darts_network(EVERY_OPERATION, 10, cells=2)
    with pytest.raises(InputError, match="channels is 0: it must be an integer of at least 1"):
        build_darts_network(EVERY_OPERATION, 10, channels=0)
    with pytest.raises(InputError, match=r"first_free_block is 4: it must be an integer in 0\.\.3"):
        tiny().free_parameters(4)
