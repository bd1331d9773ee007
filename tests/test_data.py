import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fearlib import DATASETS, Dataset, InputError, load_dataset, preset
from fearlib.data.dataset import crop_and_flip, first_of_each_class
from fearlib.data.registry import dataset_name
from fearlib.data.tensors import MEAN_AND_STD


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.sampled_from([4, 8]), st.integers(0, 4), st.integers(0, 2**31))
def test_crop_and_flip_against_one_image_at_a_time(count, side, padding, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    shifts = random.integers(0, 2 * padding + 1, (2, count))
    flips = random.integers(0, 2, count).astype(bool)
    expected = []
    for image, row, column, flip in zip(images, *shifts, flips):
        canvas = np.zeros((3, side + 2 * padding, side + 2 * padding), np.uint8)
        canvas[:, padding : padding + side, padding : padding + side] = image
        crop = canvas[:, row : row + side, column : column + side]
        expected.append(crop[:, :, ::-1] if flip else crop)
    result = crop_and_flip(torch.from_numpy(images), padding, torch.from_numpy(shifts), torch.from_numpy(flips))
    np.testing.assert_array_equal(result.numpy(), np.stack(expected))


def coloured_dataset(count=23, padding=2):
    """Every image is one colour that tells which image it is."""
    images = torch.arange(1, count + 1, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, 3, 8, 8).contiguous()
    labels = torch.arange(count) % 10
    mean, std = (torch.tensor(values) for values in MEAN_AND_STD["cifar10"])
    return Dataset("cifar10", "test", False, images, labels, images.clone(), labels.clone(), mean, std, padding)


def test_an_epoch_shows_every_image_once_with_its_label_and_its_own_shift():
    dataset = coloured_dataset()
    mean, std = (np.array(values).reshape(3, 1, 1) for values in MEAN_AND_STD["cifar10"])
    seen, shapes = [], set()
    for images, labels in dataset.training_batches(5, torch.Generator().manual_seed(0)):
        for image, label in zip(images.numpy(), labels):
            pixels = np.round(image * std + mean).astype(int)
            number = pixels.max()
            assert set(np.unique(pixels)) <= {0, number}  # black padding comes before normalisation
            assert label == (number - 1) % 10
            seen.append(number)
            shapes.add(tuple(np.argwhere(pixels[0] > 0)[[0, -1]].flatten()))
    assert sorted(seen) == list(range(1, 24)) and seen != sorted(seen)
    assert len(shapes) > 10


def test_shuffles_come_from_the_seed():
    def order(seed, epochs=1):
        generator = torch.Generator().manual_seed(seed)
        return [
            labels.tolist()
            for _ in range(epochs)
            for _, labels in coloured_dataset().training_batches(5, generator)
        ]

    assert order(1) == order(1)
    assert order(1) != order(2)
    first, second = np.array_split(np.array(sum(order(1, epochs=2), [])), 2)
    assert first.tolist() != second.tolist()


def test_test_batches_are_in_order_and_normalised():
    dataset = coloured_dataset()
    images = torch.cat([images for images, _ in dataset.test_batches(7)])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in MEAN_AND_STD["cifar10"])
    for position, image in enumerate(images):
        torch.testing.assert_close(image, ((position + 1) - mean) / std * torch.ones(3, 8, 8))


def test_fingerprint_tells_every_change():
    dataset = coloured_dataset()
    prints = {dataset.fingerprint, coloured_dataset().fingerprint}
    assert len(prints) == 1
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        changed = coloured_dataset()
        getattr(changed, name).view(-1)[3] += 1
        prints.add(changed.fingerprint)
    assert len(prints) == 5


def test_first_of_each_class():
    labels = torch.tensor([1, 0, 1, 1, 0, 0, 1])
    assert first_of_each_class(labels, 4, 2).tolist() == [0, 1, 2, 4]
    with pytest.raises(InputError, match="needs 4 images of class 0, but there are only 3"):
        first_of_each_class(labels, 8, 2)


def test_cifar10_at_16_pixels_is_averaged(tmp_path, cifar10_files):
    full = load_dataset("cifar10", tmp_path)
    numpys = load_dataset("cifar10", tmp_path, resolution=np.int64(16), train_images=np.int64(20))
    half = load_dataset("cifar10", tmp_path, resolution=16, train_images=20)
    assert full.resolution == 32 and full.padding == 4 and half.resolution == 16 and half.padding == 2
    assert numpys.fingerprint == half.fingerprint and type(numpys.padding) is int
    assert not full.verified and "unverified" in full.source
    assert half.train_labels.bincount().tolist() == [2] * 10
    kept = first_of_each_class(full.train_labels, 20, 10)
    blocks = full.train_images[kept].numpy().reshape(20, 3, 16, 2, 16, 2).astype(float)
    np.testing.assert_allclose(half.train_images.numpy(), blocks.mean((3, 5)), atol=0.5)


@pytest.fixture
def cifar10_files(tmp_path):
    """Official layout, ten images a file."""
    import pickle

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        batch = {b"data": random.integers(0, 256, (10, 3072), dtype=np.uint8), b"labels": list(range(10))}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def test_a_dataset_may_be_spelt_as_the_field_does(tmp_path, cifar10_files, monkeypatch):
    expected = load_dataset("cifar10", tmp_path).fingerprint
    for name in ("CIFAR10", "CIFAR-10", "cifar_10", "Cifar 10"):
        loaded = load_dataset(name, tmp_path)
        assert loaded.name == "cifar10" and loaded.fingerprint == expected
        assert preset("paper", name) == preset("paper", "cifar10")
    assert dataset_name("ImageNet16-120") == "imagenet16-120"
    assert dataset_name("CIFAR10-Valid", ["cifar10-valid"]) == "cifar10-valid"
    own = ["images", replace(loaded, source="the user's own")]
    monkeypatch.setitem(DATASETS, "CIFAR-10", lambda *sizes: own[-1])
    assert load_dataset("CIFAR-10") is own.pop()
    with pytest.raises(InputError, match="CIFAR-10 gave a str, but a dataset's function must give a Dataset"):
        load_dataset("CIFAR-10")
    assert load_dataset("cifar10", tmp_path).fingerprint == expected
    with pytest.raises(InputError, match="may be cifar10 or CIFAR-10: give it to the letter"):
        load_dataset("CIFAR10")
    for name in (None, 5, ["cifar10"], "", "cifar1 00 0"):
        with pytest.raises(InputError, match="unknown dataset"):
            load_dataset(name)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"name": "mnist"},
            "unknown dataset 'mnist': the datasets are synthetic, cifar10, cifar100, imagenet16-120",
        ),
        ({"name": "cifar10", "resolution": 24}, "no 24-pixel version"),
        ({"name": "imagenet16-120", "resolution": 32}, "no 32-pixel version"),
        ({"name": "synthetic", "resolution": 0}, "synthetic has no 0-pixel version: 16 or 32 is allowed"),
        ({"name": "cifar10", "resolution": 16.0}, "no 16.0-pixel version"),
        ({"name": "cifar100", "train_images": 5}, "an integer of at least 200, two images a class"),
        (
            {"name": "cifar10", "train_images": 200.0},
            "200.0: it must be an integer of at least 20",
        ),
        ({"name": "cifar10", "train_images": 0}, "train_images is 0: it must be an integer of at least 20"),
    ],
)
def test_wrong_requests(arguments, message):
    with pytest.raises(InputError, match=message):
        load_dataset(**arguments)


def test_classes_are_counted_from_the_labels_unless_given(colour_dataset):
    few = replace(colour_dataset, train_labels=colour_dataset.train_labels.clamp(max=6), num_classes=None)
    assert few.num_classes == 7 and replace(few, num_classes=100).to("cpu").num_classes == 100


def test_the_synthetic_dataset_has_ten_classes_however_few_images():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rare classes
        assert load_dataset("synthetic", resolution=16, train_images=100).num_classes == 10
