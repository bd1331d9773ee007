"""Sweeps of the other search space, and what is refused."""

import pandas as pd
import pytest
import torch

from fearlib import Architecture, Genotype, InputError, build_darts_network, preset, run_sweep, sample_genotypes
from fearlib.spaces.registry import SPACES, build, find_space, space_of
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
