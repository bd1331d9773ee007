"""Sweeps of the other search space, and what is refused."""

from dataclasses import dataclass

import pandas as pd
import pytest
import torch

from fearlib import (
    Architecture,
    Genotype,
    InputError,
    build_darts_network,
    build_network,
    preset,
    run_sweep,
    sample_genotypes,
)
from fearlib.spaces.registry import SPACES, Space, build, find_space, parse_architecture, space_of
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.rows import read_curves


def test_a_sweep_of_darts_networks(tmp_path):
    genotypes = sample_genotypes(2, seed=1)
    small = {"train_images": 100, "stage1_epochs": 2, "threshold": 0.05, "stage2_epochs": 1, "full_epochs": 1}
    settings = preset("smoke", "synthetic", space="darts", shortreg_epochs=(1,), **small)
    methods = ["full", "fear", "shortreg", "zero_cost"]
    rows = run_sweep(tmp_path, "synthetic", settings, methods, genotypes)
    assert set(rows.space) == {"darts"} and set(rows["index"]) == {genotype.index for genotype in genotypes}
    assert {Genotype.from_string(text) for text in rows.arch} == set(genotypes)
    assert rows.score.notna().all() and rows.test_accuracy.between(0, 100).all()
    read = pd.read_csv(tmp_path / "rows.csv.gz")
    assert (read["index"] == rows["index"]).all()  # beyond what a float could hold
    assert read_indices(tmp_path / "rows.csv.gz", 2, "darts") == sorted(genotypes, key=lambda each: each.index)
    macs = rows[rows.method == "shortreg(epochs=1)"].set_index("index").macs
    for genotype in genotypes:
        network = build_darts_network(genotype, 10, settings.channels, settings.cells)
        images = read_curves(tmp_path).query("method == 'shortreg(epochs=1)'").images.iloc[0]
        assert macs[genotype.index] == images * network.training_macs(settings.resolution)
    of_nats = preset("smoke", "synthetic", shortreg_epochs=(1,), **small)
    with pytest.raises(InputError, match="another configuration .*space was 'darts'"):
        run_sweep(tmp_path, "synthetic", of_nats, ["fear"], [Architecture.from_index(0)])


@pytest.mark.parametrize("name", SPACES)
def test_every_space_builds_what_it_samples(name):
    for architecture in SPACES[name].sample(3, seed=2):
        assert space_of([architecture]) == name
        assert find_space(name).kind.from_index(architecture.index) == architecture
        network = build(architecture, 7, channels=4, cells=3)
        assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 7)


def test_what_is_no_space_is_refused():
    with pytest.raises(InputError, match="the spaces are nats-tss, darts"):
        preset("smoke", "synthetic", space="nasnet")
    with pytest.raises(InputError, match="of one search space"):
        space_of([Architecture.from_index(0), Genotype.from_index(0)])
    with pytest.raises(InputError, match="of one search space"):
        build("|none~0|", 10, 16, 1)


@dataclass(frozen=True)
class Pair:
    """A space of four architectures whose `from_index` takes any number."""

    index: int

    @classmethod
    def from_index(cls, index):
        return cls(index % 4)

    def __str__(self):
        return f"pair-{self.index}"


@pytest.fixture
def pairs(monkeypatch):
    def draw(count, seed):
        return [Pair(index) for index in range(4)][:count]

    monkeypatch.setitem(SPACES, "pairs", Space(Pair, draw, build_network))


def test_fewer_architectures_than_asked_for_are_refused(pairs):
    assert [each.index for each in find_space("pairs").sample(4, 0)] == [0, 1, 2, 3]
    said = "5 architectures were asked for, but the search space of Pair drew 4, 4 of them different."
    with pytest.raises(InputError, match=said):
        find_space("pairs").sample(5, 0)
    twice = Space(Pair, lambda count, seed: [Pair(1), Pair(2), Pair(2)], None)
    with pytest.raises(InputError, match="3 architectures were asked for.* drew 3, 2 of them different"):
        twice.sample(3, 0)


def test_an_index_that_is_of_another_architecture_is_refused(pairs, tmp_path):
    said = "there is no architecture 6: Pair.from_index gives architecture 2 for it."
    for name, text in (("one.txt", "6"), ("one.csv", "index\n6"), ("both.csv", "index,arch\n6,pair-2")):
        (tmp_path / name).write_text(text + "\n")
        with pytest.raises(InputError, match=f"{name}.*: {said}"):
            read_indices(tmp_path / name, space="pairs")
    with pytest.raises(InputError, match=said):
        parse_architecture("6", "pairs")
    with pytest.raises(InputError, match=said):
        run_sweep(tmp_path / "sweep", "synthetic", preset("smoke", "synthetic"), ["zero_cost"], [Pair(6)])
    assert not (tmp_path / "sweep").exists()
