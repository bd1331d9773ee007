import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fearlib import InputError, load_dataset
from fearlib.data.synthetic import CHUNK, generate_synthetic, label_images


@pytest.fixture(scope="module")
def arrays():
    return generate_synthetic(4, 1200)


def test_labels_recomputed_from_the_seed(arrays):
    """Networks first, then images, from seed 42; responses written out in float64; cap and split by loops.

    Where two responses are equal to 1e-5, rounding decides, and the library's own label is taken.
    """
    torch.manual_seed(42)
    networks = [(torch.nn.Linear(48, 48), torch.nn.Linear(48, 1)) for _ in range(10)]
    drawn = torch.cat([torch.randn(CHUNK, 4, 4, 3), torch.randn(CHUNK, 4, 4, 3), torch.randn(4000, 4, 4, 3)])
    flat = drawn.reshape(-1, 48).double()
    responses = torch.stack(
        [(F.relu(flat @ a.weight.double().T + a.bias) @ b.weight.double().T + b.bias)[:, 0] for a, b in networks]
    )
    labels = responses.argmax(0)
    best, second = responses.topk(2, dim=0).values
    close = torch.nonzero(best - second < 1e-5).flatten()
    assert len(close) < 20
    labels[close] = label_images([torch.nn.Sequential(a, torch.nn.ReLU(), b) for a, b in networks], drawn[close])
    labels = labels.tolist()

    kept = {label: [place for place, other in enumerate(labels) if other == label][:144] for label in range(10)}
    train = sorted(place for places in kept.values() for place in places[: len(places) * 5 // 6])
    test = sorted(place for places in kept.values() for place in places[len(places) * 5 // 6 :])
    assert max(map(len, kept.values())) == 144
    for part, places in (("train", train), ("test", test)):
        assert arrays[f"{part}_labels"].tolist() == [labels[place] for place in places]
        expected = np.stack([np.transpose(drawn[place].numpy(), (2, 0, 1)) for place in places])
        np.testing.assert_array_equal(arrays[f"{part}_images"].numpy(), expected)


def test_pixels_are_standard_normal(arrays):
    pixels = arrays["train_images"].double()
    assert abs(pixels.mean()) < 0.02 and abs(pixels.std() - 1) < 0.02


def test_a_rare_class_is_reported_and_still_has_test_images():
    with pytest.warns(UserWarning, match="rarest synthetic class has .* fewer than its share of 120"):
        arrays = generate_synthetic(16, 1000)
    train, test = arrays["train_labels"].bincount(minlength=10), arrays["test_labels"].bincount(minlength=10)
    assert train.max() == 100 and test.max() == 20
    assert (train == (train + test) * 5 // 6).all()


@pytest.mark.filterwarnings("ignore:the rarest")
@pytest.mark.parametrize("train_images", [100, 40])  # 40 make four images a class, one of which is for testing
def test_cached_and_neither_augmented_nor_normalised(tmp_path, train_images):
    made = load_dataset("synthetic", tmp_path, resolution=16, train_images=train_images)
    again = load_dataset("synthetic", tmp_path, resolution=16, train_images=train_images)
    assert made.fingerprint == again.fingerprint and made.padding == 0
    originals = {tuple(image.flatten().tolist()) for image in made.train_images}
    for images, _ in made.training_batches(32, torch.Generator()):
        assert all(tuple(image.flatten().tolist()) in originals for image in images)


@pytest.mark.filterwarnings("ignore:the rarest")
def test_damaged_cache(tmp_path):
    load_dataset("synthetic", tmp_path, resolution=16, train_images=100)
    (cached,) = tmp_path.iterdir()
    cached.write_bytes(cached.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a complete cached dataset.*delete it"):
        load_dataset("synthetic", tmp_path, resolution=16, train_images=100)


@pytest.mark.filterwarnings("ignore:the rarest")
def test_a_cache_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    load_dataset("synthetic", tmp_path, resolution=16, train_images=100)

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fearlib.data.synthetic.zipfile.ZipFile", refused)
    with pytest.raises(InputError, match=r"cannot be read \(PermissionError: .*Permission denied\)\.$"):
        load_dataset("synthetic", tmp_path, resolution=16, train_images=100)
