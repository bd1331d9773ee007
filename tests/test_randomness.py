"""What draws from a seed leaves the user's own generators as they were."""

import pytest
import torch

from fearlib import Architecture, InputError
from fearlib.data.synthetic import generate_synthetic
from fearlib.randomness import seeded
from fearlib.scores.measures import score_architectures
from fearlib.search.evaluations import live

SOME = [Architecture.from_index(index) for index in (5, 7)]


def test_within_it_begins_at_the_seed_and_afterwards_all_is_as_before():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    with seeded(1):
        assert torch.equal(torch.rand(3), expected)
    assert torch.equal(torch.get_rng_state(), before)
    for wrong in ("a", 1.5, 2**63):
        with pytest.raises(InputError, match="seed is"), seeded(wrong):
            pass


def measured(dataset, settings):
    score_architectures(SOME, dataset.train_images[:8], dataset.train_labels[:8], 10, ("snip", "zen"))


def searched(dataset, settings):
    for method in ("zero_cost(measures=swap)", "shortreg(epochs=1)"):
        live(method, 3, dataset, settings)(5, float("inf"))


def drawn(dataset, settings):
    generate_synthetic(4, 20)


@pytest.mark.parametrize("draw", [measured, searched, drawn])
def test_no_generator_of_the_users_changes(draw, colour_dataset, tiny_settings, monkeypatch):
    """Those of a GPU neither: torch.manual_seed would seed them all."""

    def seeds_all(seed):
        raise AssertionError("every device was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds_all)
    before = torch.get_rng_state()
    draw(colour_dataset, tiny_settings)
    assert torch.equal(torch.get_rng_state(), before)
