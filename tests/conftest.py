import importlib
import os
import sys
from pathlib import Path

if "FEARLIB_TEST_CUDA" not in os.environ:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # rows are compared bit for bit
os.environ["OMP_NUM_THREADS"] = "1"  # here and in what is started: pytest uses all cores already

import hypothesis
import pytest
import torch

from fearlib import Dataset, preset
from fearlib.data.registry import DATASETS
from fearlib.scores.registry import MEASURES
from fearlib.spaces.registry import SPACES
from fearlib.sweeps.methods import METHODS

hypothesis.settings.register_profile("fearlib", deadline=None, derandomize=True)
hypothesis.settings.load_profile("fearlib")


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory):
    """Synthetic datasets are generated once a session, and never into the user's own cache."""
    folder = tmp_path_factory.mktemp("data")
    os.environ["FEARLIB_DATA"] = str(folder)
    return folder


@pytest.fixture
def registries(monkeypatch):
    """What a test adds to a registry, or replaces in one, is gone afterwards."""
    for registry in (MEASURES, METHODS, DATASETS, SPACES):
        monkeypatch.setattr(registry, "_entries", dict(registry))


@pytest.fixture
def close_figures():
    import matplotlib.pyplot

    yield
    matplotlib.pyplot.close("all")


@pytest.fixture
def measure_variants(registries, monkeypatch):
    """The names of the measures that notebooks/measure_variants.py adds; afterwards they are gone."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "notebooks")
    monkeypatch.delitem(sys.modules, "measure_variants", raising=False)
    known = set(MEASURES)
    importlib.import_module("measure_variants")
    return tuple(name for name in MEASURES if name not in known)


@pytest.fixture(scope="session")
def tiny_settings():
    """A preset whose trials take a fraction of a second."""
    return preset(
        "smoke", "synthetic", train_images=100, stage1_epochs=2, threshold=0.1, full_epochs=1,
        shortreg_epochs=(1,), zero_cost_batch=8,
    )  # fmt: skip


@pytest.fixture(scope="session")
def colour_dataset():
    """Two hundred 8x8 noise images whose class is easy to see: each class has a brighter channel or half."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 10
    images = torch.randn(200, 3, 8, 8, generator=generator)
    for label in range(10):
        images[labels == label, label % 3, :, (label // 3) * 2 : (label // 3) * 2 + 2] += 3
    return Dataset("synthetic", "made for a test", True, images, labels, images[:50], labels[:50])
