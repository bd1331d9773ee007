"""A trial of every method, against the functions that it stands for; and methods of one's own."""

from dataclasses import asdict

import pytest
import torch

from fearlib import (
    METHODS,
    Architecture,
    InputError,
    Score,
    build_network,
    fear,
    full,
    preset,
    run_sweep,
    shortreg,
    train,
)
from fearlib.scores.degradation import degradation
from fearlib.scores.images import first_minibatch
from fearlib.scores.measures import measure_network
from fearlib.scores.registry import FIFTEEN
from fearlib.sweeps import trial
from fearlib.sweeps.methods import Method, expand_methods, most_macs, regular_macs
from fearlib.sweeps.trial import run_trial

ARCHITECTURE = Architecture.from_index(12148)
SETTINGS = preset(
    "smoke", "synthetic", batch_size=40, threshold=0.01, stage1_epochs=1, zero_cost_batch=16, full_epochs=2,
    precision="float32",
)  # fmt: skip
ONE = {"batch_size": 40, "precision": "float32"}


def network(seed):
    torch.manual_seed(seed)
    return build_network(ARCHITECTURE, 10, SETTINGS.channels, SETTINGS.cells)


def without_seconds(lines):
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def as_result(label, score):
    row = {"method": label, "score": score.value, "macs": score.macs, "outcome": score.outcome}
    return [row], without_seconds(map(asdict, score.curve))


@pytest.mark.parametrize(
    "label, seed, direct",
    [
        (
            "fear(threshold_checks=2,stage2_epochs=2,first_free_block=1)", 3,
            lambda network, data: fear(
                network, data, 0.01, stage2_epochs=2, stage2_batch=128, first_free_block=1, stage1_epochs=1,
                schedule_epochs=8, threshold_checks=2, seed=3, **ONE,
            ),
        ),
        ("shortreg(epochs=1)", 3, lambda network, data: shortreg(network, data, 1, seed=3, **ONE)),
        ("full", 1_000_003, lambda network, data: full(network, data, 2, seed=1_000_003, **ONE)),
    ],
)  # fmt: skip
def test_a_trained_score_is_that_of_its_function(label, seed, direct, colour_dataset):
    found = run_trial(ARCHITECTURE, label, 3, colour_dataset, SETTINGS)
    expected = as_result(label, direct(network(seed), colour_dataset))
    found = without_seconds(found["rows"]), without_seconds(found["curve"])
    assert repr(found) == repr(expected)  # in which NaN equals NaN


def test_measures_are_those_of_the_networks(colour_dataset):
    images, labels = first_minibatch(colour_dataset, 16, 3)
    expected = measure_network(network(3), images, labels, FIFTEEN, seed=3)
    found = run_trial(ARCHITECTURE, "zero_cost", 3, colour_dataset, SETTINGS)
    assert {row["method"]: row["score"] for row in found["rows"]} == {k: v.value for k, v in expected.items()}
    assert found["curve"] == []
    for schedule, constant in (("cosine", False), ("constant", True)):
        name = "degradation_constant" if constant else "degradation"
        found = run_trial(ARCHITECTURE, f"{name}(epochs=1)", 3, colour_dataset, SETTINGS)
        moments = degradation(network(3), colour_dataset, images, labels, 1, constant, seed=3, **ONE)
        snips = {
            f"snip(epoch={m.epoch:g},epochs=1,schedule={schedule})": m.measures["snip"].value for m in moments
        }
        of_rows = {row["method"]: row["score"] for row in found["rows"]}
        assert len(snips) == 6 and snips.items() <= of_rows.items()


def test_what_a_trial_costs_at_most_is_what_it_costs_if_nothing_ends_it(colour_dataset):
    """One epoch of stage 1 reaches the threshold of 0.01, and is all that there may be."""
    for label in (
        "fear(stage2_epochs=2)",
        "fear(stage2_epochs=1,first_free_block=0)",
        "shortreg(epochs=2)",
        "full",
    ):
        (row,) = run_trial(ARCHITECTURE, label, 3, colour_dataset, SETTINGS)["rows"]
        assert row["macs"] == most_macs(ARCHITECTURE, label, colour_dataset, SETTINGS) > 0
    assert most_macs(ARCHITECTURE, "zero_cost", colour_dataset, SETTINGS) == 0
    with pytest.raises(InputError, match="first_free_block is 99"):
        most_macs(ARCHITECTURE, "fear(first_free_block=99)", colour_dataset, SETTINGS)


def last_loss(given, epochs, batch_size):
    curve = train(given.network, given.dataset, epochs, batch_size, seed=given.seed)
    return Score(torch.tensor(-curve[-1].loss), "ok", tuple(curve))


LAST_LOSS = Method(
    "minus the last loss", last_loss, {"epochs": "full_epochs", "batch_size": "batch_size"},
    lambda arguments, settings: [{"epochs": epochs, **arguments} for epochs in (1, 2)], regular_macs,
)  # fmt: skip


def test_a_method_of_ones_own(tmp_path, tiny_settings, monkeypatch):
    with pytest.raises(InputError, match="unknown method 'last_loss'.*named by FEARLIB_PLUGIN"):
        expand_methods(["last_loss"], tiny_settings)
    monkeypatch.setitem(METHODS, "last_loss", LAST_LOSS)
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["last_loss(batch_size=50)"], [ARCHITECTURE])
    assert rows.method.tolist() == ["last_loss(epochs=1,batch_size=50)", "last_loss(epochs=2,batch_size=50)"]
    assert set(rows.kind) == {"last_loss"} and set(rows.outcome) == {"ok"} and (rows.score < 0).all()
    assert rows.macs[1] == 2 * rows.macs[0] > 0
    with pytest.raises(InputError, match="last_loss takes no argument 'threshold': it takes epochs, batch_size"):
        expand_methods(["last_loss(threshold=0.5)"], tiny_settings)
    with pytest.raises(InputError, match="no setting 'shortreg_epochs' can supply a method's lengths"):
        Method("several numbers, which no label can hold", print, {"lengths": "shortreg_epochs"})
    with pytest.raises(InputError, match="no setting 'length' can supply a method's epochs: the settings are"):
        Method("wrong", last_loss, {"epochs": "length"})


def test_the_callers_arithmetic_is_as_it_was(colour_dataset, tmp_path, tiny_settings, monkeypatch):
    def seen(*given):
        within.append((torch.get_num_threads(), torch.backends.cudnn.allow_tf32))
        return build(*given)

    within, build = [], trial.build
    monkeypatch.setattr(trial, "build", seen)
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, True
    torch.set_num_threads(2)
    try:
        run_trial(ARCHITECTURE, "zero_cost", 0, colour_dataset, SETTINGS)
        run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost"], [ARCHITECTURE])
        with pytest.raises(InputError, match="first_free_block is 99"):
            run_sweep(tmp_path, "synthetic", tiny_settings, ["fear(first_free_block=99)"], [ARCHITECTURE])
        assert torch.get_num_threads() == 2 and torch.backends.cudnn.allow_tf32
        assert within and set(within) == {(1, not torch.cuda.is_available())}  # the flag is a GPU's
    finally:
        torch.set_num_threads(1)
        torch.backends.cudnn.allow_tf32 = before
