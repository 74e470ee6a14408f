"""Arrays, tensors and .npz files: read as documented, refused in one sentence."""

import contextlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.data.arrays import from_arrays, from_npz, read_inputs
from thresher.errors import ThresherError, UsageError

X = np.arange(12, dtype=np.float64).reshape(4, 3)
Y = [0, 1, 0, 1]


class Dangerous:
    """Its pickle would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


def test_features_become_float32() -> None:
    data = from_arrays({"x": X, "y": Y})
    assert data.train.dense().dtype == torch.float32
    assert data.train.dense().tolist() == X.tolist()
    assert not data.is_image
    assert data.train.keys.tolist() == ["0", "1", "2", "3"]
    assert (data.name, data.test, data.train.clean, data.train.groups, data.augment) == ("arrays", None, None, None, ())


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float64, bool, ">f4"])
def test_features_of_every_number(dtype: str) -> None:
    assert read_inputs(np.ones((2, 2), dtype=dtype), "x").tolist() == [[1, 1], [1, 1]]


def test_tensors_and_lists_are_read() -> None:
    assert read_inputs([[1, 2], [3, 4]], "x").tolist() == [[1, 2], [3, 4]]
    assert read_inputs(torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True), "x").tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (np.zeros((4, 5, 6), dtype=np.uint8), (4, 1, 5, 6)),
        (np.zeros((4, 5, 6, 1), dtype=np.uint8), (4, 1, 5, 6)),
        (np.zeros((4, 5, 6, 3), dtype=np.uint8), (4, 3, 5, 6)),
        (np.zeros((4, 5, 6, 7), dtype=np.uint8), (4, 7, 5, 6)),
        (np.zeros((4, 5, 6, 3), dtype=np.int64), (4, 3, 5, 6)),
        (np.zeros((4, 3, 6, 3), dtype=np.uint8), (4, 3, 3, 6)),
        (torch.zeros(4, 5, 6), (4, 1, 5, 6)),
    ],
)
def test_images_become_uint8_with_channels_first(images: object, shape: tuple[int, ...]) -> None:
    found = read_inputs(images, "x")
    assert found.dtype == torch.uint8
    assert found.shape == shape
    assert found.is_contiguous()


def test_channels_are_moved_and_not_mixed() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    assert torch.equal(read_inputs(images, "x"), torch.from_numpy(images).permute(0, 3, 1, 2))


def test_floats_from_0_to_1_are_scaled_and_rounded() -> None:
    values = np.array([[[0, 0.5, 1, 0.25]]])
    assert read_inputs(values, "x").flatten().tolist() == [0, 128, 255, 64]
    pixels = np.arange(256, dtype=np.float32).reshape(1, 16, 16)
    assert read_inputs(pixels / 255, "x").flatten().tolist() == list(range(256))


def test_the_data_is_a_copy() -> None:
    features, images = np.zeros((2, 3), dtype=np.float32), np.zeros((2, 3, 3), dtype=np.uint8)
    kept = [read_inputs(features, "x"), read_inputs(images, "x")]
    features += 1
    images += 1
    assert not any(tensor.any() for tensor in kept)
    images.flags.writeable = False
    assert read_inputs(images[::-1], "x").all()


def test_colour_images_are_augmented_unless_tiny() -> None:
    def augment(*shape: int) -> tuple[str, ...]:
        return from_arrays({"x": np.zeros((4, *shape), dtype=np.uint8), "y": Y}).augment

    assert augment(32, 32, 3) == ("crop", "flip")
    assert augment(8, 8, 3) == augment(32, 32) == augment(32, 32, 1) == ()


def test_all_parts_are_used() -> None:
    data = from_arrays(
        {
            "x": X,
            "y": ["b", "a", "b", "a"],
            "x_test": X[:2],
            "y_test": ["a", "b"],
            "id": [7, 8, 9, 10],
            "group": list("uuvv"),
        }
    )
    assert data.train.keys.tolist() == ["7", "8", "9", "10"]
    assert data.train.groups is not None
    assert data.train.groups.tolist() == ["u", "u", "v", "v"]
    assert data.test is not None
    assert data.test.labels.tolist() == [0, 1]
    assert data.test.keys.tolist() == ["0", "1"]


NAN = np.where(np.isin(X, [4, 5, 9]), np.nan, X)

BAD: list[tuple[dict[str, object], str]] = [
    ({"y": Y}, "there is no array 'x': x \\(inputs\\) and y \\(labels\\) are needed"),
    ({"x": X}, "there is no array 'y'"),
    ({"x": X, "y": None}, "there is no array 'y'"),
    ({"x": X, "y": Y, "xtest": X}, "unknown array 'xtest': the names are x, y, x_test, y_test, id, group"),
    ({"x": X, "y": [*Y, 1]}, "y has 5 values and x has 4 rows: give exactly one per row"),
    ({"x": X, "y": Y[:3]}, "y has 3 values and x has 4 rows"),
    ({"x": X, "y": 1}, "y has 1 values and x has 4 rows"),
    ({"x": X, "y": [0, 0, 0, 0]}, "every label in y is '0'"),
    ({"x": X, "y": ["a", "b", 1, "a"]}, "y mixes numbers and text, first in row 2"),
    ({"x": NAN, "y": Y}, "x has 3 values that are NaN, infinite or beyond float32, in 2 of 4 rows, the first is row 1"),
    ({"x": X + np.inf, "y": Y}, "x has 12 values that are NaN, infinite"),
    ({"x": X + 1e300, "y": Y}, "x has 12 values that are NaN, infinite or beyond float32"),
    ({"x": np.zeros((0, 3)), "y": []}, r"x is empty, its shape is \[0, 3\]"),
    ({"x": np.zeros((4, 0)), "y": Y}, r"x is empty, its shape is \[4, 0\]"),
    ({"x": X[:, 0], "y": Y}, r"x has shape \[4\]: images are \[N, H, W\] or \[N, H, W, C\], features \[N, D\]"),
    ({"x": np.zeros((4, 1, 1, 1, 1)), "y": Y}, r"x has shape \[4, 1, 1, 1, 1\]"),
    ({"x": np.zeros((4, 3, 32, 32)), "y": Y}, r"x has shape \[4, 3, 32, 32\], channels first: give \[N, H, W, C\]"),
    ({"x": [["a"], ["b"]], "y": Y}, "x has dtype <U1: give numbers"),
    ({"x": np.array([[None]]), "y": Y}, "x has dtype object: give numbers"),
    ({"x": [[1, 2], [3]], "y": Y}, "x is no regular array, its rows differ in shape"),
    (
        {"x": np.full((4, 2, 2), 1.5), "y": Y},
        r"x is \[4, 2, 2\] of floats from 1.5 to 1.5, and floats must lie in 0 to 1",
    ),
    ({"x": np.full((4, 2, 2), -0.5), "y": Y}, r"x is \[4, 2, 2\] of floats from -0.5 to -0.5"),
    ({"x": np.full((4, 2, 2), np.nan), "y": Y}, "x has 16 values that are NaN"),
    ({"x": np.full((4, 2, 2), 256), "y": Y}, "x has pixels from 256 to 256: images need 0 to 255"),
    ({"x": X, "y": Y, "id": [1, 2, 3, 1]}, "id must be unique, and '1' is there 2 times"),
    ({"x": X, "y": Y, "id": [1, 2, 3]}, "id has 3 values and x has 4 rows"),
    ({"x": X, "y": Y, "group": [1, 2]}, "group has 2 values and x has 4 rows"),
    ({"x": X, "y": Y, "x_test": X}, "only one of x_test and y_test is given: give both, or neither"),
    ({"x": X, "y": Y, "x_test": X, "y_test": [0, 1, 2, 2]}, "y_test holds '2', unknown to the training labels"),
    ({"x": X, "y": Y, "x_test": X, "y_test": [0]}, "y_test has 1 values and x_test has 4 rows"),
    ({"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, r"a row of x_test has shape \[2\] and one of x \[3\]"),
]


@pytest.mark.parametrize(("arrays", "sentence"), BAD)
def test_bad_arrays_are_refused_in_a_sentence(arrays: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}") as error:
        from_arrays(arrays)
    assert "\n" not in str(error.value)


def test_npz_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "photos.npz", x=X, y=np.array(["b", "a", "b", "a"]), id=np.arange(4))
    data = from_npz(tmp_path / "photos.npz")
    assert (data.name, data.classes, data.train.labels.tolist()) == ("photos", ("a", "b"), [1, 0, 1, 0])
    assert data.fingerprint == from_arrays({"x": X, "y": ["b", "a", "b", "a"]}, "other").fingerprint


def test_messages_name_the_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=NAN, y=Y)
    with pytest.raises(UsageError, match=r"^x in a\.npz has 3 values"):
        from_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x_train=X, y_train=Y)
    with pytest.raises(UsageError, match=r"^unknown array 'x_train' in b\.npz"):
        from_npz(tmp_path / "b.npz")


@pytest.mark.parametrize("dangerous", ["x", "y", "id"])
def test_pickled_objects_are_refused_and_not_run(tmp_path: Path, dangerous: str) -> None:
    objects = np.empty(4, dtype=object)
    objects[:] = Dangerous()
    arrays: dict[str, np.ndarray] = {"x": X, "y": np.array(Y), dangerous: objects}
    np.savez(tmp_path / "bad.npz", allow_pickle=True, **arrays)
    with pytest.raises(UsageError, match=r"bad\.npz holds pickled Python objects, which could run code"):
        from_npz(tmp_path / "bad.npz")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(UsageError, match=r"^there is no file .*x\.npz: check the path$"):
        from_npz(path)
    for content in (b"", b"hello", b"PK\x03\x04 cut off", b"\x80\x04K\x01."):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"x\.npz cannot be read as a \.npz file"):
            from_npz(path)
    with path.open("wb") as file:
        np.save(file, X)
    with pytest.raises(UsageError, match="holds a single array and no names"):
        from_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "text")
        archive.writestr("y", "text")
    with pytest.raises(UsageError):
        from_npz(path)


def packed(compressed: bool) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, x=X, y=np.array(Y))
    return buffer.getvalue()


@given(
    st.booleans(), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4), st.integers(0, 10**6)
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_altered_files_are_read_or_refused(
    tmp_path: Path, compressed: bool, changes: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(packed(compressed))
    for place, value in changes:
        content[place % len(content)] = value
    if length % 2:
        del content[length % len(content) :]
    (tmp_path / "x.npz").write_bytes(content)
    with contextlib.suppress(ThresherError):
        from_npz(tmp_path / "x.npz")
