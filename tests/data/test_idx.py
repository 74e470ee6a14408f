"""MNIST and Fashion-MNIST: where the files may lie, and what may be wrong with them."""

import contextlib
import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.data.idx import load_idx, read_idx
from thresher.errors import ThresherError, UsageError


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


IMAGES = np.arange(20 * 4 * 3).reshape(20, 4, 3) % 256
LABELS = np.arange(20) % 10


def write(folder: Path, packed: bool = False, images: np.ndarray = IMAGES, labels: np.ndarray = LABELS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, content in ((f"{part}-images-idx3-ubyte", idx(images)), (f"{part}-labels-idx1-ubyte", idx(labels))):
            path = folder / (name + ".gz" * packed)
            path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["MNIST/raw", "."])
def test_files_are_found(tmp_path: Path, place: str, packed: bool) -> None:
    write(tmp_path / place, packed)
    data = load_idx("mnist", tmp_path)
    assert data.test is not None
    assert data.train.inputs.shape == data.test.inputs.shape == (20, 1, 4, 3)
    assert np.array_equal(data.train.dense()[:, 0].numpy(), IMAGES)
    assert data.train.labels.tolist() == LABELS.tolist()
    assert data.train.keys[-1] == "19"


def test_the_root_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "FashionMNIST/raw")
    monkeypatch.setenv("THRESHER_DATA", str(tmp_path))
    data = load_idx("fashion_mnist")
    assert data.classes[0] == "T-shirt/top"
    assert data.confusions == {0: 6, 2: 4, 5: 7, 7: 5}
    assert data.augment == ("crop", "flip")


def test_what_is_known_of_mnist(tmp_path: Path) -> None:
    write(tmp_path)
    data = load_idx("mnist", tmp_path, "other")
    assert (data.name, data.classes, data.augment) == ("other", tuple("0123456789"), ())
    assert data.confusions == {7: 1, 2: 7, 3: 8, 5: 6, 6: 5}


def test_missing_files_say_what_is_expected_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THRESHER_DATA", raising=False)
    with pytest.raises(UsageError, match=r"^mnist needs .* holds MNIST/raw/ with --data-root or THRESHER_DATA$"):
        load_idx("mnist")
    with pytest.raises(UsageError, match=r"^mnist: there is no folder .*absent: check --data-root or THRESHER_DATA$"):
        load_idx("mnist", tmp_path / "absent")
    write(tmp_path / "FashionMNIST/raw")
    (tmp_path / "FashionMNIST/raw/t10k-labels-idx1-ubyte").unlink()
    expected = (
        r"^fashion_mnist: there is no file t10k-labels-idx1-ubyte \(or t10k-labels-idx1-ubyte\.gz\) in .*raw: put"
    )
    with pytest.raises(UsageError, match=expected):
        load_idx("fashion_mnist", tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no idx file of bytes in 1 dimensions, it starts with nothing"),
        (b"\0\0", "is no idx file of bytes in 1 dimensions, it starts with 0000"),
        (idx(IMAGES), "is no idx file of bytes in 1 dimensions, it starts with 00000803"),
        (b"<html>not found</html>", "is no idx file"),
        (idx(LABELS)[:-1], "holds 19 bytes where its header promises 20, it is cut off or damaged"),
        (idx(LABELS) + b"1", "holds 21 bytes where its header promises 20"),
        (idx(LABELS[:19]), "has 19 labels for 20 images"),
        (idx(LABELS + 1), "holds label 10, and the classes are 0 to 9"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    write(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(ThresherError, match=f"train-labels-idx1-ubyte {sentence}"):
        load_idx("mnist", tmp_path)


def test_empty_sets_and_damaged_packed_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path, images=IMAGES[:0], labels=LABELS[:0])
    with pytest.raises(ThresherError, match="has 0 labels for 0 images"):
        load_idx("mnist", tmp_path)
    path = tmp_path / "x.gz"
    for content in (b"no gzip", gzip.compress(idx(LABELS))[:-9], b""):
        path.write_bytes(content)
        with pytest.raises(ThresherError, match=r"x\.gz (cannot be read|is no idx file)"):
            read_idx(path, 1)


@given(st.binary(max_size=40), st.booleans(), st.integers(1, 3))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes, headed: bool, dimensions: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes([0, 0, 8, dimensions]) + content if headed else content)
    with contextlib.suppress(ThresherError):
        assert read_idx(path, dimensions).ndim == dimensions


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "first", "mean"),
    [("mnist", [5, 0, 4, 1, 9], 0.1307), ("fashion_mnist", [9, 0, 0, 3, 0], 0.2860)],
)
def test_the_official_files(name: str, first: list[int], mean: float) -> None:
    root = os.environ.get("THRESHER_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("THRESHER_DATA names no folder of official files")
    data = load_idx(name)
    assert data.test is not None
    assert (data.train.inputs.shape, data.test.inputs.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert data.train.labels[:5].tolist() == first
    assert data.train.dense().double().mean().item() / 255 == pytest.approx(mean, abs=1e-4)
