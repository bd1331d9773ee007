import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fearlib import OPERATIONS, SPACE_SIZE, Architecture, InputError, sample_architectures

architectures = st.builds(Architecture, st.tuples(*[st.sampled_from(OPERATIONS)] * 6))


def test_published_indices():
    published = {
        0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        1: "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
    }
    for index, string in published.items():
        assert str(Architecture.from_index(index)) == string
        assert Architecture.from_string(string).index == index


def test_nats_bench_numbers_its_architectures_the_same_way():
    """The structure nats_bench parses out of our string has our operation on every edge."""
    from nats_bench.genotype_utils import topology_str2structure

    for index in range(0, SPACE_SIZE, 500):
        architecture = Architecture.from_index(index)
        nodes = topology_str2structure(str(architecture)).nodes
        assert tuple(op for node in nodes for op, _ in node) == architecture.ops
        assert [source for node in nodes for _, source in node] == [0, 0, 1, 0, 1, 2]


def test_index_is_a_bijection():
    assert len({Architecture.from_index(index).ops for index in range(SPACE_SIZE)}) == SPACE_SIZE == 15625


def test_naslib_tuples():
    """Against what NASLib's own `convert_op_indices_to_str` gives, and another by hand from its two lists."""
    published = {
        "(4, 0, 3, 1, 4, 3)":
            "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|",
        "[2,0,1,3,4,2]":
            "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|",
    }  # fmt: skip
    for numbers, string in published.items():
        assert str(Architecture.from_string(numbers)) == string


@given(architectures, st.data())
def test_blanks_in_a_string_do_not_count(architecture, data):
    text = str(architecture)
    places = data.draw(st.lists(st.sampled_from([k for k, sign in enumerate(text) if sign in "|~+"]), max_size=3))
    for place in sorted(places, reverse=True):
        text = text[:place] + data.draw(st.sampled_from((" ", "\t", "\n"))) + text[place:]
    assert Architecture.from_string(f" {text} ") == architecture


@given(architectures)
def test_round_trips(architecture):
    assert Architecture.from_string(str(architecture)) == architecture
    assert Architecture.from_index(architecture.index) == architecture


@given(architectures)
def test_neighbours_differ_in_one_edge(architecture):
    neighbours = architecture.neighbours()
    assert len(set(neighbours)) == 24
    for neighbour in neighbours:
        assert sum(a != b for a, b in zip(architecture.ops, neighbour.ops)) == 1
        assert architecture in neighbour.neighbours()


def test_samples_are_without_replacement_and_nested():
    sample = sample_architectures(2000, seed=7)
    assert len(set(sample)) == 2000
    assert sample_architectures(50, seed=7) == sample[:50]
    assert sample_architectures(50, seed=8) != sample[:50]
    assert [each.index for each in sample] != [(sample[0].index + step) % SPACE_SIZE for step in range(2000)]
    for edge, op in itertools.product(range(6), OPERATIONS):
        share = sum(each.ops[edge] == op for each in sample) / 2000
        assert abs(share - 1 / 5) < 4 * math.sqrt(4 / 25 / 2000)


def test_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Architecture.from_index(3).ops = ()


@pytest.mark.parametrize(
    "string",
    ["", "nonsense", None, 5, "|none~0|+|none~0|none~1|+|none~0|none~1|none~1|", "|none~0|+|none~0|none~1|",
     "|none~0|+|none~0|none~1|+|none~0|none~1|none~2||", "(4, 0, 3, 1, 4)",
     "(4, 0, 3, 1, 4, 5)", "4, 0, 3, 1, 4, 3", "|" * 10**6, " " * 10**6],
)  # fmt: skip
def test_malformed_strings(string):
    with pytest.raises(InputError, match="is not an architecture: expected the form"):
        Architecture.from_string(string)


def test_unknown_operation():
    with pytest.raises(InputError, match="unknown operation 'conv_7x7': the operations are none, skip_connect"):
        Architecture.from_string("|conv_7x7~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    with pytest.raises(InputError, match="6 operations, one an edge, but 5"):
        Architecture(["none"] * 5)


@pytest.mark.parametrize("index", [-1, SPACE_SIZE, 1.5, "3", None, True])
def test_index_out_of_range(index):
    with pytest.raises(InputError, match=r"must be an integer in 0\.\.15624"):
        Architecture.from_index(index)


@pytest.mark.parametrize("count", [-1, 2.0, SPACE_SIZE + 1])
def test_sample_too_large(count):
    with pytest.raises(InputError, match="the space has 15625"):
        sample_architectures(count, seed=0)


def test_a_seed_is_an_integer_of_any_kind():
    assert sample_architectures(np.int64(3), np.int64(1)) == sample_architectures(3, 1)
    for seed in (None, 1.5, -1):  # -1 would draw as 1 does
        with pytest.raises(InputError, match="it must be an integer of at least 0"):
            sample_architectures(3, seed)
