"""Folders of class folders: what is read, in which order, and what is refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from thresher.data.files import Files
from thresher.data.folder import load_folder, read_test
from thresher.data.images import ImageReader, Skipped
from thresher.data.pixels import decode
from thresher.data.reading import Reading
from thresher.errors import ThresherError, UsageError


def put(path: Path, seed: int = 0, size: int = 30, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size + 4, 3)).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def fill(folder: Path, *classes: str, count: int = 3, size: int = 30, mode: str = "RGB") -> Path:
    for k, name in enumerate(classes):
        for number in range(count):
            put(folder / name / f"{number}.png", 100 * k + number, size, mode)
    return folder


def test_classes_keys_and_pixels(tmp_path: Path) -> None:
    fill(tmp_path, "dog", "cat")
    put(tmp_path / "dog" / "deep" / "er" / "4.JPG")
    put(tmp_path / "cat" / ".5.png")
    put(tmp_path / ".thumbs" / "6.png")
    put(tmp_path / "cat" / ".git" / "7.png")
    (tmp_path / "dog" / "notes.txt").write_text("nothing")
    (tmp_path / "licence.txt").write_text("nothing")
    data = load_folder(tmp_path)
    assert data.name == tmp_path.name
    assert data.classes == ("cat", "dog")
    assert data.train.keys.tolist() == [
        *("cat/0.png", "cat/1.png", "cat/2.png"),
        *("dog/0.png", "dog/1.png", "dog/2.png", "dog/deep/er/4.JPG"),
    ]
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert data.train.labels.dtype == torch.int64
    assert (data.test, data.augment, data.is_image) == (None, ("crop", "flip"), True)
    assert isinstance(data.train.inputs, torch.Tensor)
    for row, key in enumerate(data.train.keys):
        assert np.array_equal(data.train.inputs[row].numpy(), decode(tmp_path / key, 30, 3))
    assert isinstance(data.reader, ImageReader)
    assert data.reader.facts()[0] == {"kind": "images", "size": 30, "channels": 3}


def test_every_ending_counts(tmp_path: Path) -> None:
    endings = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "PNG", "Jpg"]
    for name in ("a", "b"):
        for ending in endings:
            put(tmp_path / name / f"x{ending}.{ending}")
    assert len(load_folder(tmp_path).train) == 20


def test_numbers_are_classes_by_value(tmp_path: Path) -> None:
    data = load_folder(fill(tmp_path, "10", "9", "0"))
    assert data.classes == ("0", "9", "10")
    assert data.train.labels[[key.startswith("10/") for key in data.train.keys]].tolist() == [2, 2, 2]


def test_grey_and_small_images_are_not_augmented(tmp_path: Path) -> None:
    grey = load_folder(fill(tmp_path / "grey", "a", "b", mode="L"))
    assert (tuple(grey.train.inputs.shape), grey.augment) == ((6, 1, 30, 30), ())
    assert load_folder(fill(tmp_path / "small", "a", "b", size=23)).augment == ()


def test_the_size_is_honoured_and_is_that_of_the_test_set(tmp_path: Path) -> None:
    fill(tmp_path / "train", "a", "b")
    fill(tmp_path / "test", "b", count=2, size=50, mode="L")
    data = load_folder(tmp_path, Reading(size=24), "photos")
    assert data.test is not None
    assert data.name == "photos"
    assert (tuple(data.train.inputs.shape), tuple(data.test.inputs.shape)) == ((6, 3, 24, 24), (2, 3, 24, 24))
    assert data.train.keys[0] == "a/0.png"
    assert (data.test.keys.tolist(), data.test.labels.tolist()) == (["b/0.png", "b/1.png"], [1, 1])


def test_val_serves_as_test_set_and_test_goes_first(tmp_path: Path) -> None:
    fill(tmp_path / "train", "a", "b")
    assert load_folder(tmp_path).test is None
    fill(tmp_path / "val", "a", count=4)
    data = load_folder(tmp_path)
    assert data.test is not None
    assert len(data.test) == 4
    fill(tmp_path / "test", "a", count=1)
    with pytest.warns(UserWarning, match=r"val is not read: .*test is the test set"):
        data = load_folder(tmp_path)
    assert data.test is not None
    assert len(data.test) == 1


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert load_folder(fill(tmp_path, "train", "car", "bus")).classes == ("bus", "car", "train")


def test_images_beside_the_classes_are_said(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b")
    put(tmp_path / "stray.png")
    with pytest.warns(UserWarning, match=r"1 images lie beside the class folders in .* and are not read: 'stray\.png'"):
        assert len(load_folder(tmp_path).train) == 6


def test_large_sets_stay_in_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a", "b")
    kept = load_folder(tmp_path)
    monkeypatch.setattr("thresher.data.images.RESIDENT", 100)
    data = load_folder(tmp_path)
    assert isinstance(data.train.inputs, Files)
    assert data.is_image
    assert data.augment == kept.augment
    assert data.train.inputs.moments is not None
    assert torch.equal(data.train.inputs.read(torch.arange(6)), kept.train.inputs)  # type: ignore[arg-type]
    some = data.train.take(np.array([4, 1]))
    assert torch.equal(some.inputs.read(torch.arange(2)), kept.train.inputs[torch.tensor([4, 1])])  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("limit", [0, 2**29])
def test_bad_files_are_named_or_left_out(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.data.images.RESIDENT", limit)
    fill(tmp_path, "a", "b", count=4)
    (tmp_path / "a" / "0.png").write_bytes(b"")
    late = tmp_path / "b" / "1.png"
    late.write_bytes(late.read_bytes()[:-500])
    calls: list[tuple[int, int]] = []
    with pytest.raises(ThresherError, match=r"a/0\.png cannot be read.*--skip-bad"):
        load_folder(tmp_path)
    with pytest.warns(Skipped, match=r"2 of 8 images in .* cannot be read: a/0\.png, b/1\.png$") as heard:
        data = load_folder(tmp_path, Reading(skip_bad=True), progress=lambda *done: calls.append(done))
    assert data.train.keys.tolist() == ["a/1.png", "a/2.png", "a/3.png", "b/0.png", "b/2.png", "b/3.png"]
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(data.train.inputs) == 6
    assert isinstance(heard[0].message, Skipped)
    assert ["0.png" in text for text in heard[0].message.sentences] == [True, False]
    assert calls == [(7, 7)]


def wrong(folder: Path, case: str) -> None:
    if case == "one class":
        fill(folder, "a")
    elif case == "no classes":
        put(folder / "x.png")
        put(folder / "y.png")
    elif case == "an empty class":
        fill(folder, "a", "b")
        (folder / "c").mkdir()
    elif case == "one image per class":
        fill(folder, "a", "b", "c", count=1)
    elif case == "one image of a class":
        put(fill(folder, "a", "b") / "rare" / "x.png")
    elif case == "a new class in test":
        fill(folder / "train", "a", "b")
        fill(folder / "test", "a", "zebra")


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("nothing", r"is empty: put images \(jpg, .*, tiff\) into it, in one folder per class"),
        ("one class", "every label in the folder names in .* is 'a': training needs two classes or more"),
        ("no classes", "has 2 images and no class folders: put each into a folder with the name of its class"),
        ("an empty class", r"no image \(.*\) is in 'c' in .*, though each folder there is a class"),
        ("one image per class", "only one image of 'a', 'b', 'c' in .*, and each class needs two or more"),
        ("one image of a class", "only one image of 'rare' in "),
        ("a new class in test", r"the test folder .* holds 'zebra', unknown to the training labels \('a', 'b'\)"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(tmp_path: Path, case: str, sentence: str) -> None:
    wrong(tmp_path, case)
    with pytest.raises(UsageError, match=sentence):
        load_folder(tmp_path)


def test_absent_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*absent: check the path"):
        load_folder(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"there is no folder .*absent: check the path"):
        read_test(tmp_path / "absent", ("a", "b"), ImageReader(8, 3), Reading())
    with pytest.raises(UsageError, match=r"the test set .* is a folder of images, and the training set is not"):
        read_test(tmp_path, ("a", "b"), None, Reading())


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b")
    odd = tmp_path / "a" / "caf\udce9.png"
    try:
        (tmp_path / "a" / "0.png").rename(odd)
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(UsageError, match="is not valid UTF-8: rename the file"):
        load_folder(tmp_path)
