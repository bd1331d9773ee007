import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fearlib import InputError
from fearlib.ranking.noise import noise_of_seeds


def measured(seeds, noise=0.5, architectures=4000):
    """True values of deviation 1, and what `seeds` measurements of each give."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=architectures)
    values = true[:, None] + noise * rng.normal(size=(architectures, seeds))
    table = pd.DataFrame(values).stack().rename("value").rename_axis(["index", "seed"]).reset_index()
    return true, table


@pytest.mark.parametrize("seeds", [2, 5])
def test_the_ceiling_is_what_the_true_values_correlate_with_the_means(seeds):
    true, table = measured(seeds)
    found = noise_of_seeds(table)
    means = table.groupby("index").value.mean()
    assert found["noise"] == pytest.approx(0.5, abs=0.02)
    assert found["ceiling"] == pytest.approx(np.corrcoef(true, means)[0, 1], abs=0.01)
    assert found["rank_ceiling"] == pytest.approx(stats.spearmanr(true, means).statistic, abs=0.01)
    assert found["reliability"] == pytest.approx(1 / (1 + 0.25 / seeds), abs=0.02)


def test_repeating_some_tells_the_noise_of_all():
    true, table = measured(3)
    some = table[(table.seed == 0) | (table["index"] < 1000)]
    found = noise_of_seeds(some)
    assert (found["architectures"], found["repeated"]) == (4000, 1000)
    assert found["noise"] == pytest.approx(0.5, abs=0.02)
    assert found["ceiling"] == pytest.approx(np.corrcoef(true, some.groupby("index").value.mean())[0, 1], abs=0.01)


def test_without_noise_the_ceiling_is_one_and_noise_alone_has_none():
    _, table = measured(2, noise=0)
    found = noise_of_seeds(table)
    assert found["ceiling"] == 1 and found["rank_ceiling"] == pytest.approx(1)
    rng = np.random.default_rng(1)
    chance = table.assign(value=rng.normal(size=len(table)))
    found = noise_of_seeds(chance)
    assert found["ceiling"] < 0.25 and found["rank_ceiling"] < 0.25


def test_too_little_to_tell():
    _, table = measured(2)
    with pytest.raises(InputError, match="4000 architectures have a value and 0 of them two seeds"):
        noise_of_seeds(table[table.seed == 0])
    with pytest.raises(InputError, match="noise needs three"):
        noise_of_seeds(table[table["index"] < 2])


def test_an_infinite_value_is_none():
    _, table = measured(2, architectures=20)
    infinite = pd.concat([table, pd.DataFrame({"index": [0, 20], "seed": [2, 0], "value": [np.inf, -np.inf]})])
    assert noise_of_seeds(infinite) == noise_of_seeds(table)
