"""Combinations of scores against their definitions, written out for one architecture and one pair at a time."""

import math

import numpy as np
import pandas as pd
import pytest

from fearlib.errors import InputError
from fearlib.ranking.combinations import VOTERS, az_nas, rank_mean, rank_product, vote

NAN, INF = math.nan, math.inf


def slow_ranks(values):
    """Of every value: those that it exceeds, missing ones too, and half of those that it equals."""
    missing = [not math.isfinite(value) for value in values]
    below = [sum(other < value or gone for other, gone in zip(values, missing)) for value in values]
    equal = [sum(other == value for other in values) for value in values]
    return [1 if gone else under + (same + 1) / 2 for gone, under, same in zip(missing, below, equal)]


def slow_vote(rows):
    def value(score):
        return score if math.isfinite(score) else -INF

    def points(one, other):
        wins = sum(value(a) > value(b) for a, b in zip(one, other))
        losses = sum(value(a) < value(b) for a, b in zip(one, other))
        return 1 if wins >= 2 else 0 if losses >= 2 else 0.5

    return [sum(points(one, other) for j, other in enumerate(rows) if j != i) for i, one in enumerate(rows)]


def tables(columns):
    """Random tables in which ties and missing scores abound, in an order of their own."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 5, 17, 40):
        table = pd.DataFrame(rng.integers(0, 6, (size, len(columns))).astype(float), columns=list(columns))
        table = table.mask(rng.random(table.shape) < 0.2).mask(rng.random(table.shape) < 0.05, -INF)
        yield table.set_index(rng.permutation(10 * size)[:size])


def test_rank_combinations_are_their_definitions():
    for table in tables("abcd"):
        columns = [slow_ranks(table[name].tolist()) for name in table]
        size = len(table)
        product = [sum(math.log(rank / size) for rank in each) for each in zip(*columns)]
        mean = [sum(rank / size for rank in each) / len(each) for each in zip(*columns)]
        pd.testing.assert_series_equal(rank_product(table), pd.Series(product, index=table.index))
        pd.testing.assert_series_equal(rank_mean(table), pd.Series(mean, index=table.index))


def test_worked_by_hand():
    table = pd.DataFrame({"a": [1.0, 2.0, 2.0, NAN], "b": [30.0, 10.0, INF, 20.0]}, index=[7, 3, 5, 1])
    # a: 2, 3.5, 3.5 and, missing, 1; b: 4, 2, missing 1, 3.
    expected = [math.log(2 * 4 / 16), math.log(3.5 * 2 / 16), math.log(3.5 / 16), math.log(3 / 16)]
    assert rank_product(table).to_dict() == pytest.approx(dict(zip(table.index, expected)))
    assert rank_mean(table).tolist() == [6 / 8, 5.5 / 8, 4.5 / 8, 4 / 8]


def test_equal_products_are_ties():
    """2 x 6 = 3 x 4 = 6 x 2, though the sums of their logarithms differ in the last bit."""
    table = pd.DataFrame({"a": [1, 2, 3, 4, 5, 6, 7], "b": [1, 6, 4, 3, 5, 2, 7]})
    product = rank_product(table)
    assert product[1] == product[2] == product[3] == product[5] and product.nunique() == 4


def test_only_order_matters_and_more_architectures_change_it():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(30, 3)))
    for combine in (rank_product, rank_mean):
        assert (combine(np.exp(table)) == combine(table)).all()
        assert (combine(table[[2, 0, 1]]) == combine(table)).all()
        half = combine(table.iloc[:15])
        assert (half != combine(table).iloc[:15]).any()


def test_one_column_alone_keeps_its_order():
    column = pd.DataFrame({"a": [3.0, NAN, 1.0, 2.0]})
    assert rank_product(column).rank().tolist() == rank_mean(column).rank().tolist() == [4, 1, 2, 3]


def test_vote_is_its_definition():
    for table in tables([*VOTERS, "other"]):
        expected = slow_vote(table[list(VOTERS)].to_numpy().tolist())
        assert vote(table).tolist() == expected and (vote(table).index == table.index).all()
        assert vote(table).sum() == len(table) * (len(table) - 1) / 2


def test_az_nas_multiplies_the_ranks_of_its_four_parts():
    """Ranks of three architectures by each part: 1 2 3, 3 1 2, 1 (undefined) 3 2, and 1.5 1.5 3 (equal)."""
    table = pd.DataFrame(
        {
            "az_expressivity": [0.1, 0.2, 0.3], "other": [9, 9, 1], "macs": [5, 5, 7],
            "az_progressivity": [7.0, -1.0, 2.0], "az_trainability": [NAN, 3.0, 2.0],
        }
    )  # fmt: skip
    products = [1 * 3 * 1 * 1.5, 2 * 1 * 3 * 1.5, 3 * 2 * 2 * 3]
    assert az_nas(table).tolist() == pytest.approx([math.log(product / 3**4) for product in products])


def test_what_cannot_be_combined_is_refused():
    with pytest.raises(InputError, match="no columns"):
        rank_product(pd.DataFrame(index=[1, 2]))
    with pytest.raises(InputError, match="must hold numbers"):
        rank_mean(pd.DataFrame({"a": ["good", "bad"]}))
    with pytest.raises(InputError, match="lacks jacob_cov, snip: it has synflow"):
        vote(pd.DataFrame({"synflow": [1.0]}))
    with pytest.raises(InputError, match="lacks az_expressivity"):
        az_nas(pd.DataFrame({"macs": [1.0]}))
