import pytest

from fearlib import DATASETS, METHODS, PRESETS, InputError, load_dataset, preset
from fearlib.sweeps.methods import Method, expand_methods, parse_method
from fearlib.sweeps.place import Place
from fearlib.sweeps.run import cached_dataset


def test_paper_preset_is_the_protocol():
    published = {
        "cifar10": (0.6, 1024, 5, 32),
        "cifar100": (0.3, 512, 5, 32),
        "imagenet16-120": (0.2, 512, 10, 16),
        "tinyimagenet16-120": (0.2, 512, 10, 16),
        "synthetic": (0.15, 1024, 5, 32),
    }
    for dataset, values in published.items():
        settings = preset("paper", dataset)
        assert (settings.threshold, settings.stage2_batch, settings.stage2_epochs, settings.resolution) == values
        assert (settings.channels, settings.cells, settings.batch_size, settings.full_epochs) == (16, 5, 256, 200)


def test_overrides_show_in_the_name():
    settings = preset("paper", "cifar10", threshold="0.55", shortreg_epochs="3,5", first_free_block="none")
    assert settings.threshold == 0.55 and settings.shortreg_epochs == (3, 5) and settings.first_free_block is None
    assert settings.preset == "paper(threshold=0.55)"  # a method's label states its length
    unchanged = preset("compact", "cifar10")
    assert preset("compact", "cifar10", threshold=unchanged.threshold) == unchanged


def test_every_preset_freezes_where_the_paper_does():
    for name in PRESETS:
        assert preset(name, "cifar10").first_free_block is None
    assert preset("compact", "cifar10", first_free_block=2).preset == "compact(first_free_block=2)"


def test_every_preset_serves_every_dataset():
    for name in PRESETS:
        for dataset in DATASETS:
            assert preset(name, dataset).preset == name


@pytest.mark.parametrize(
    "name, dataset, overrides, message",
    [
        ("tiny", "cifar10", {}, "unknown preset 'tiny': the presets are smoke, compact, paper"),
        ("smoke", "mnist", {}, "unknown dataset 'mnist': the datasets are synthetic"),
        ("smoke", "cifar10", {"depth": 3}, "unknown setting 'depth': the settings are channels, cells"),
        ("smoke", "cifar10", {"preset": "x"}, "unknown setting 'preset'"),
        ("smoke", "cifar10", {"dataset": "x"}, "unknown setting 'dataset'"),
        ("smoke", "cifar10", {"name": "x"}, "unknown setting 'name'"),
        ("smoke", "cifar10", {"channels": "many"}, "channels='many': it must be an integer"),
        ("smoke", "cifar10", {"channels": 2.5}, "channels=2.5: it must be an integer"),
        ("smoke", "cifar10", {"channels": 0}, "channels=0: it must be at least 1"),
        ("smoke", "cifar10", {"threshold": "nan"}, "threshold='nan': it is a share, from 0 to 1"),
        ("smoke", "cifar10", {"threshold": 60}, "threshold=60: it is a share, from 0 to 1"),
        ("smoke", "cifar10", {"shortreg_epochs": "1,x"}, "integers separated by commas"),
        ("smoke", "cifar10", {"shortreg_epochs": ()}, "must be at least 1"),
        ("smoke", "cifar10", {"precision": "int8"}, "precision 'int8': float32, bfloat16 or auto"),
    ],
)
def test_wrong_presets(name, dataset, overrides, message):
    with pytest.raises(InputError, match=message):
        preset(name, dataset, **overrides)


def test_the_order_of_arguments_makes_no_other_method():
    either = ["fear(threshold=0.5,first_free_block=1)", "fear(first_free_block=1,threshold=0.5)"]
    assert len(expand_methods(either, preset("smoke", "cifar10"))) == 1
    named = ["zero_cost(measures=zen+snip)", "zero_cost(measures=snip+zen+snip)"]
    assert expand_methods(named, preset("smoke", "cifar10")) == ["zero_cost(measures=snip+zen)"]


def test_methods_expand_to_trials():
    settings = preset("smoke", "cifar10", shortreg_epochs="4,8")
    assert expand_methods(["fear", "shortreg", "fear"], settings) == [
        "fear(stage2_epochs=2)", "shortreg(epochs=4)", "shortreg(epochs=8)",
    ]  # fmt: skip
    assert expand_methods(["shortreg(batch_size=512)"], settings) == [
        "shortreg(epochs=4,batch_size=512)", "shortreg(epochs=8,batch_size=512)",
    ]  # fmt: skip
    assert parse_method("fear(threshold=0.5, stage2_epochs=3)") == ("fear", {"threshold": 0.5, "stage2_epochs": 3})


@pytest.mark.parametrize(
    "method, message",
    [
        ("darts", "unknown method 'darts': the methods are fear, shortreg, zero_cost, full"),
        ("fear(", "'fear\\(' is not a name with arguments in brackets"),
        (
            "fear,shortreg",
            "'fear,shortreg' is not a name with .*: blanks separate names, and",
        ),
        ("zero_cost(measures=meco,swap)", r"as in zero_cost\(measures=meco\+swap\)"),
        ("synflow", r"synflow is a measure.*: zero_cost takes fifteen.*zero_cost\(measures=synflow\) this one"),
        ("fear(epochs=3)", "fear takes no argument 'epochs': it takes threshold"),
        ("zero_cost(batch=3)", "zero_cost takes no argument 'batch': it takes measures"),
        ("zero_cost(measures=snip+snap)", "unknown measure 'snap': the measures are .*named by FEARLIB_PLUGIN"),
        ("zero_cost(measures=)", "unknown measure ''"),
        ("shortreg(epochs=many)", "shortreg's epochs='many': it must be an integer"),
        ("fear(threshold=0.5,threshold=0.6)", "gives threshold twice"),
        ("shortreg(epochs=0)", "it must be at least 1"),
        ("fear(precision=int8)", "precision 'int8': float32, bfloat16 or auto"),
    ],
)
def test_wrong_methods(method, message):
    with pytest.raises(InputError, match=message):
        expand_methods([method], preset("smoke", "cifar10"))


def test_a_method_of_ones_own_states_the_lengths_that_sweeps_may_differ_in(registries):
    METHODS["mine"] = Method("mine", lambda given, epochs, batch_size: None, {"epochs": "stage2_epochs"})
    settings = preset("smoke", "synthetic", stage2_epochs=7)
    assert expand_methods(["mine", "mine(epochs=3)"], settings) == ["mine(epochs=7)", "mine(epochs=3)"]


def test_slurms_jobs_may_share_gpus_and_other_workers_not():
    assert not Place(64, "slurm", 8).is_here
    for wrong in ((2, None, 2), (2, "tcp://here:8786", None), (2, "tcp://here:8786", 2)):
        with pytest.raises(InputError, match="leave workers out"):
            Place(*wrong)


def test_a_dataset_that_ignores_its_sizes_is_refused(colour_dataset, monkeypatch):
    monkeypatch.setitem(DATASETS, "mine", lambda *sizes: colour_dataset)
    assert load_dataset("mine", None, 8, 250) is load_dataset("mine") is colour_dataset
    with pytest.raises(InputError, match="mine has images of 8 pixels a side, but 16 were asked for"):
        load_dataset("mine", None, 16)
    with pytest.raises(InputError, match="mine gave 200 training images: at most 100 were asked for"):
        load_dataset("mine", None, 8, 100)


def test_a_dataset_is_loaded_anew_where_another_is_meant(colour_dataset, tmp_path, registries, monkeypatch):
    """By another function of that name, as after a notebook's cell has run again, or from files elsewhere."""
    loaded = []

    def load(*sizes):
        loaded.append(sizes)
        return colour_dataset

    DATASETS["mine"] = load
    for _ in range(2):
        cached_dataset("mine", None, 8, None)
    assert len(loaded) == 1
    monkeypatch.setenv("FEARLIB_DATA", str(tmp_path))
    cached_dataset("mine", None, 8, None)
    assert len(loaded) == 2
    del DATASETS["mine"]
    DATASETS["mine"] = lambda *sizes: load(*sizes)
    cached_dataset("mine", None, 8, None)
    assert len(loaded) == 3
