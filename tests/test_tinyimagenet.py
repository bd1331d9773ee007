"""The stand-in for ImageNet16-120: Tiny-ImageNet-200 in its official form, tiny, and the arrays made of it."""

import errno
import io
import os
import shutil
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fearlib import PRESETS, InputError, load_dataset, preset
from fearlib.data import tinyimagenet
from fearlib.data.tensors import MEAN_AND_STD
from fearlib.data.tinyimagenet import ARRAYS, read_tinyimagenet

USERS_DATA = os.environ.get("FEARLIB_DATA")  # before the tests set it
NAME = "tinyimagenet16-120"
IDS = ["n00000007", "n00000003", "n00000009", "n00000001", "n00000005"]  # as wnids.txt has them, in no order
FIRST = sorted(IDS)[:3]
EACH = 11  # training images a class: 10 comes after 2 as a number, not as a text
VALIDATION = dict(zip(IDS, ((7, 8), (1, 10), (0, 5), (2, 4), (3, 6))))  # the numbers of each class's images
GREY = 300  # a picture's seed: the first of the first class


@pytest.fixture(autouse=True)
def three_classes(monkeypatch):
    monkeypatch.setattr(tinyimagenet, "CLASSES", 3)


def jpeg(seed, size=(64, 64), form="JPEG"):
    """Blocks of 5x5 pixels of one colour, which no box of 4x4 fits, and noise."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (13, 13, 3)).repeat(5, 0).repeat(5, 1)[: size[1], : size[0]]
    pixels = np.clip(blocks + random.integers(-20, 21, blocks.shape), 0, 255).astype(np.uint8)
    content = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert("L") if seed == GREY else picture).save(content, form, quality=95)
    return content.getvalue()


def write_official(folder):
    """As it comes out of the official archive, with what is not read: boxes, words and unlabelled pictures."""
    files = {"wnids.txt": "\n".join(IDS) + "\n", "words.txt": "n00000001\tthing\n", "test/images/test_0.JPEG": "?"}
    for place, name in enumerate(IDS):
        files[f"train/{name}/{name}_boxes.txt"] = f"{name}_0.JPEG\t0\t0\t63\t63\n"
        for number in range(EACH):
            files[f"train/{name}/images/{name}_{number}.JPEG"] = jpeg(100 * place + number)
    class_of = {number: name for name, numbers in VALIDATION.items() for number in numbers}
    lines = [f"val_{number}.JPEG\t{class_of[number]}\t0\t32\t44\t62\n" for number in sorted(class_of)]
    files["val/val_annotations.txt"] = "".join(reversed(lines))
    files |= {f"val/images/val_{number}.JPEG": jpeg(1000 + number) for number in class_of}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official") / "tiny-imagenet-200"
    write_official(folder)
    return folder


def zipped(folder, where):
    """The folder as the official archive, in the folder `where`."""
    with zipfile.ZipFile(where / "tiny-imagenet-200.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder.parent))


def box_averages(path):
    """The definition, pixel by pixel; Python rounds a half to even."""
    picture = Image.open(path).convert("RGB")
    image = np.zeros((3, 16, 16), int)
    for channel, row, column in np.ndindex(image.shape):
        box = [picture.getpixel((4 * column + x, 4 * row + y))[channel] for x in range(4) for y in range(4)]
        image[channel, row, column] = round(Fraction(sum(box), 16))
    return image


def assert_same(one, other):
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        assert getattr(one, name).dtype == getattr(other, name).dtype
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.source, one.verified) == (other.source, other.verified)


def test_an_image_is_the_box_average_of_its_official_picture(official, tmp_path):
    shutil.copytree(official, tmp_path / official.name)
    read = read_tinyimagenet(tmp_path)
    for image, name in zip(read.train_images[::EACH], FIRST, strict=True):
        np.testing.assert_array_equal(image, box_averages(official / f"train/{name}/images/{name}_0.JPEG"))
    np.testing.assert_array_equal(read.test_images[0], box_averages(official / "val/images/val_1.JPEG"))
    assert Image.open(official / "train/n00000001/images/n00000001_0.JPEG").mode == "L"  # as a few are


def test_classes_images_and_labels_in_their_official_order(official, tmp_path):
    shutil.copytree(official, tmp_path / official.name)
    read = read_tinyimagenet(tmp_path)
    assert read.train_labels.tolist() == [label for label in range(3) for _ in range(EACH)]
    where = official / "train" / FIRST[1] / "images"
    for number in (2, 10):
        expected = box_averages(where / f"{FIRST[1]}_{number}.JPEG")
        np.testing.assert_array_equal(read.train_images[EACH + number], expected)
    kept = sorted((number, FIRST.index(name)) for name in FIRST for number in VALIDATION[name])
    assert read.test_labels.tolist() == [label for _, label in kept]
    for image, (number, _) in zip(read.test_images, kept, strict=True):
        np.testing.assert_array_equal(image, box_averages(official / f"val/images/val_{number}.JPEG"))
    assert read.train_images.dtype == np.uint8 and read.train_labels.dtype == np.int64


def test_folder_archive_and_arrays_are_the_same_dataset(official, tmp_path, monkeypatch):
    within, itself, packed, arrays = (tmp_path / name for name in ("within", "itself", "packed", "arrays"))
    shutil.copytree(official, within / official.name)
    shutil.copytree(official, itself)
    for folder in (packed, arrays):
        folder.mkdir()
    zipped(official, packed)
    read = read_tinyimagenet(within)
    shutil.copy(within / ARRAYS, arrays)
    shutil.rmtree(within / official.name)  # what was kept is enough
    monkeypatch.setenv("FEARLIB_DATA", str(arrays))
    for other in (within, itself, packed, packed, None):
        assert_same(read, read_tinyimagenet(other))
    assert sorted(path.name for path in packed.iterdir()) == sorted([ARRAYS, "tiny-imagenet-200.zip"])


def test_a_folder_that_cannot_be_written_is_read_all_the_same(official, tmp_path, monkeypatch):
    """On a file system that is read only even the deletion of what is not there fails."""

    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    shutil.copytree(official, tmp_path / official.name)
    monkeypatch.setattr("fearlib.files.write.open", refused, raising=False)
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.warns(UserWarning, match=f"by every process, for .*{ARRAYS} cannot be written"):
        read = read_tinyimagenet(tmp_path)
    assert len(read.train_labels) == 3 * EACH and not (tmp_path / ARRAYS).exists()


def refusal(folder):
    with pytest.raises(InputError) as caught:
        read_tinyimagenet(folder)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and message.count(". ") == 0
    return message


def test_nothing_there(tmp_path):
    message = refusal(tmp_path)
    assert f"{tmp_path} has none of {ARRAYS}, tiny-imagenet-200 and tiny-imagenet-200.zip" in message
    assert "http://cs231n.stanford.edu/tiny-imagenet-200.zip" in message and "FEARLIB_DATA" in message


ANNOTATIONS, PICTURE = "val/val_annotations.txt", "train/n00000003/images/n00000003_4.JPEG"
DAMAGES = {
    "a picture is gone": (PICTURE, None, "has 4 pictures of n00000003 and 11 of n00000001"),
    "a class is gone": ("train/n00000003", None, "has 0 pictures of n00000003"),
    "a picture is cut short": (PICTURE, jpeg(5)[:800], "n00000003_4.JPEG is not a picture .*truncated"),
    "a picture is empty": (PICTURE, b"", "n00000003_4.JPEG is not a picture"),
    "a picture is no JPEG": (PICTURE, jpeg(5, form="PNG"), "n00000003_4.JPEG is not a picture"),
    "a picture is small": (PICTURE, jpeg(5, (32, 64)), "n00000003_4.JPEG is not a picture .*64x64 pixels"),
    "a picture is huge": (PICTURE, bytes(2**20 + 1), "n00000003_4.JPEG .*1048576"),
    "no classes are named": ("wnids.txt", b"n00000001\nn00000003\n", "at least 3 classes"),
    "a class is named twice": ("wnids.txt", b"n00000001\n" * 2 + b"n00000003\nn00000005\n", "none twice"),
    "a class is no WordNet id": ("wnids.txt", b"n00000001\nn00000003\nn00000005\ncat\n", "WordNet ids"),
    "no annotations": (ANNOTATIONS, None, "val_annotations.txt is"),
    "annotations are empty": (ANNOTATIONS, b"", "0 pictures of n00000001"),
    "a picture has no class": (ANNOTATIONS, b"val_1.JPEG\n", "has the line 'val_1.JPEG'"),
    "a picture has two": (ANNOTATIONS, b"val_1.JPEG\tn00000001\nval_1.JPEG\tn00000003\n", "val_1.JPEG.tn00000003"),
    "its class is none of them": (ANNOTATIONS, b"val_1.JPEG\tn00000002\n", "one of those in wnids.txt"),
    "annotations of one class": (ANNOTATIONS, b"val_1.JPEG\tn00000003\n", "some are missing"),
    "an annotated picture is gone": ("val/images/val_10.JPEG", None, "val_10.JPEG is"),
}  # fmt: skip


@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_or_contradictory_official_files(official, tmp_path, damage, form):
    name, content, expected = DAMAGES[damage]
    folder = tmp_path / official.name
    shutil.copytree(official, folder)
    if content is not None:
        (folder / name).write_bytes(content)
    elif (folder / name).is_dir():
        shutil.rmtree(folder / name)
    else:
        (folder / name).unlink()
    if form == "archive":
        zipped(folder, tmp_path)
        shutil.rmtree(folder)
    with pytest.raises(InputError, match=expected):
        read_tinyimagenet(tmp_path)
    assert str(tmp_path) in refusal(tmp_path) and not (tmp_path / ARRAYS).exists()


def test_an_archive_that_is_damaged_or_packed_unusually(official, tmp_path):
    path = tmp_path / "tiny-imagenet-200.zip"
    zipped(official, tmp_path)
    content = path.read_bytes()
    for damaged in (content[:-200], b"", content.replace(PICTURE.encode(), b"x" * len(PICTURE), 1)):
        path.write_bytes(damaged)
        assert f"{path} cannot be read" in refusal(tmp_path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("tiny-imagenet-200/wnids.txt", "\n".join(IDS))
    assert "stored and deflated" in refusal(tmp_path)


def arrays(**changes):
    """Two training images a class and one to test, of three classes."""
    random = np.random.default_rng(0)
    made = {
        "train_images": random.integers(0, 256, (6, 16, 16, 3), np.uint8), "train_labels": np.arange(6) // 2,
        "test_images": random.integers(0, 256, (3, 16, 16, 3), np.uint8), "test_labels": np.array([2, 0, 1]),
        "classes": np.array(FIRST),
    }  # fmt: skip
    return {name: array for name, array in (made | changes).items() if array is not None}


def test_arrays_are_read_as_they_are(tmp_path):
    made = arrays()
    np.savez_compressed(tmp_path / ARRAYS, **made)
    read = read_tinyimagenet(tmp_path)
    np.testing.assert_array_equal(read.train_images.transpose(0, 2, 3, 1), made["train_images"])
    np.testing.assert_array_equal(read.test_images.transpose(0, 2, 3, 1), made["test_images"])
    assert read.test_labels.tolist() == [2, 0, 1] and read.test_labels.dtype == np.int64


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"test_labels": None}, "test_labels"),
        ({"train_images": np.zeros((6, 16, 16, 3))}, "train_images must be of uint8"),
        ({"train_images": np.zeros((6, 3, 16, 16), np.uint8)}, r"the shape \(N, 16, 16, 3\)"),
        ({"train_images": np.uint8(0)}, "train_images must be"),
        ({"train_labels": np.arange(5) // 2}, "train_labels must be one integer an image"),
        ({"train_labels": np.arange(6) / 2}, "train_labels must be one integer an image"),
        ({"train_labels": np.array([0, 0, 0, 1, 2, 2])}, "train_labels must name every class equally often"),
        ({"test_labels": np.array([0, 1, 3])}, r"test_labels must be integers in 0\.\.2"),
        ({"test_labels": np.array([0, 1, -1])}, r"test_labels must be integers in 0\.\.2"),
        ({"test_labels": np.zeros(0, int), "test_images": np.zeros((0, 16, 16, 3), np.uint8)}, "test_labels must"),
        ({"classes": np.array(FIRST[::-1])}, "classes must be 3 WordNet ids in order"),
        ({"classes": np.array(["a", "b", "c"])}, "classes must be"),
        ({"classes": np.array(FIRST[:2])}, "classes must be"),
        ({"classes": np.array([{}, {}, {}], object)}, "allow_pickle=False"),
    ],
)
def test_arrays_that_are_damaged_or_contradict_each_other(tmp_path, changes, expected):
    np.savez(tmp_path / ARRAYS, **arrays(**changes))
    with pytest.raises(InputError, match=expected):
        read_tinyimagenet(tmp_path)
    assert str(tmp_path / ARRAYS) in refusal(tmp_path)


def test_a_file_of_arrays_that_is_none(tmp_path, official):
    shutil.copytree(official, tmp_path / official.name)  # not taken in its place
    for content in (b"", b"PK\3\4", np.random.default_rng(0).bytes(500)):
        (tmp_path / ARRAYS).write_bytes(content)
        assert f"{ARRAYS} does not hold the arrays" in refusal(tmp_path)
    np.savez(tmp_path / ARRAYS, **arrays())
    content = bytearray((tmp_path / ARRAYS).read_bytes())
    content[content.index(arrays()["train_images"].tobytes()[:20])] ^= 1
    (tmp_path / ARRAYS).write_bytes(content)
    assert "Bad CRC-32" in refusal(tmp_path)


# As a dataset of the library ------------------------------------------------------------------------------


def write_arrays(folder, each):
    """All 120 classes, `each` training images of every one and two to test."""
    random = np.random.default_rng(0)
    made = {"classes": np.array([f"n{label:08}" for label in range(120)])}
    for part, count in (("train", each), ("test", 2)):
        made[f"{part}_images"] = random.integers(0, 256, (120 * count, 16, 16, 3), np.uint8)
        made[f"{part}_labels"] = (np.arange(120 * count) % 120).astype(np.uint8)
    np.savez(folder / ARRAYS, **made)


def test_it_is_a_dataset_with_equal_numbers_a_class(tmp_path, monkeypatch):
    monkeypatch.setattr(tinyimagenet, "CLASSES", 120)
    write_arrays(tmp_path, 42)
    whole, part = load_dataset(NAME, tmp_path), load_dataset("TinyImageNet16_120", tmp_path, 16, 5000)
    assert (len(whole.train_labels), len(part.train_labels)) == (5040, 4920)
    assert part.train_labels.bincount().tolist() == [41] * 120
    for dataset in (whole, part):
        assert (dataset.name, dataset.num_classes, dataset.padding) == (NAME, 120, 2)
        assert "stand-in for ImageNet16-120" in dataset.source
        assert dataset.mean.tolist() == pytest.approx(MEAN_AND_STD[NAME][0])
    with pytest.raises(InputError, match="no 32-pixel version: 16 is allowed"):
        load_dataset(NAME, tmp_path, 32)
    with pytest.raises(InputError, match="at least 240, two images a class"):
        load_dataset(NAME, tmp_path, 16, 239)


def test_it_has_the_settings_of_the_dataset_it_stands_for():
    for name in PRESETS:
        assert preset(name, NAME) == preset(name, "imagenet16-120")
    assert preset("compact", NAME).threshold == 0.1 and preset("paper", NAME).stage2_epochs == 10


def test_mean_and_deviation_are_those_of_its_training_pixels(monkeypatch):
    if not (USERS_DATA and (Path(USERS_DATA) / ARRAYS).exists()):
        pytest.skip(f"FEARLIB_DATA holds no {ARRAYS}")
    monkeypatch.setattr(tinyimagenet, "CLASSES", 120)
    pixels = read_tinyimagenet(USERS_DATA).train_images
    assert pixels.shape == (60_000, 3, 16, 16)
    for channel in range(3):
        counts = np.bincount(pixels[:, channel].ravel(), minlength=256)
        mean = (counts * np.arange(256)).sum() / counts.sum()
        variance = (counts * (np.arange(256) - mean) ** 2).sum() / counts.sum()
        for expected, found in zip((mean, variance**0.5), MEAN_AND_STD[NAME], strict=True):
            assert found[channel] == pytest.approx(expected, abs=0.005)
