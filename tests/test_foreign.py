"""Files of other programs: what is read of them, and that nothing in them runs."""

import collections
import contextlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.errors import ThresherError
from thresher.foreign import read_pickle, read_torch

ARRAYS = [
    np.arange(6, dtype=np.uint8).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.array([-1, 2], dtype=">i4"),
    np.array([0.5, -2], dtype=np.float32),
]


def pickled(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype.str}{array.shape}")
@pytest.mark.parametrize("numpy_1", [False, True])
def test_arrays_are_read_as_numpy_wrote_them(array: np.ndarray, numpy_1: bool, tmp_path: Path) -> None:
    content = {"a": array, "n": 3, "s": "text", "l": [1, None, (True, 0.5)]}
    raw = pickle.dumps(content, protocol=2)
    if numpy_1:
        assert b"numpy._core.multiarray" in raw
        raw = raw.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "p").write_bytes(raw)
    torch.save(content, tmp_path / "t.pt")
    for found in (read_pickle(tmp_path / "p", "x"), read_torch(tmp_path / "t.pt", "x")):
        assert found["a"].dtype == array.dtype
        np.testing.assert_array_equal(found.pop("a"), array)
        assert found == {"n": 3, "s": "text", "l": [1, None, (True, 0.5)]}


def test_single_numbers_of_numpy_do_no_harm(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1), "best": np.float64(0.5)}, tmp_path / "t.pt")
    assert read_torch(tmp_path / "t.pt", "x")["w"].item() == 1


def test_how_to_run_the_code_after_all_is_not_passed_on(tmp_path: Path) -> None:
    (tmp_path / "t.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ThresherError, match=r"t\.pt cannot be read, .* \(Weights only load failed\): x$"):
        read_torch(tmp_path / "t.pt", "x")


def test_bytes_of_python_2_are_read(tmp_path: Path) -> None:
    """Written out by hand, as Python 2 and numpy 1 write it: the bytes of an array are a text."""
    raw = (
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x02\xff\x07tbs."
    )
    (tmp_path / "p").write_bytes(raw)
    assert read_pickle(tmp_path / "p", "x")["data"].tolist() == [255, 7]


class Harmful:
    def __init__(self, call: object, *given: object) -> None:
        self.call, self.given = call, given

    def __reduce__(self) -> tuple[object, ...]:
        return (self.call, self.given)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    for call, given_ in ((Path.touch, (mark,)), (exec, (f"open({str(mark)!r}, 'w')",)), (getattr, ("text", "upper"))):
        path = pickled(tmp_path / "batch", {"data": Harmful(call, *given_)}, protocol)
        with pytest.raises(ThresherError, match=r"batch names [\w.]+, which could run code, so it was not read: fetch"):
            read_pickle(path, "fetch it again")
    with pytest.raises(ThresherError, match=r"names collections\.OrderedDict"):
        read_pickle(pickled(path, collections.OrderedDict(), protocol), "x")
    assert not mark.exists()


def test_a_torch_file_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"clean_label": Harmful(exec, f"open({str(mark)!r}, 'w')")}, tmp_path / "x.pt")
    with pytest.raises(ThresherError, match=r"x\.pt names [\w.]*exec, which could run code, so it was not read: y$"):
        read_torch(tmp_path / "x.pt", "y")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([1], "holds no dictionary but list: x"),
        ({"a": np.array([1 + 2j])}, r"cannot be read, it is damaged or something else \(an array of <c16\): x"),
        ({"a": np.array(["o"], dtype=object)}, r"cannot be read, .*\(an array of \|O8\): x"),
    ],
)
def test_other_content_is_refused(content: object, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ThresherError, match=f"p {sentence}"):
        read_pickle(pickled(tmp_path / "p", content), "x")


WHOLE = pickle.dumps({"data": ARRAYS[0], "labels": [1, 2]}, protocol=2)


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 7))
def test_files_that_are_cut_off_are_refused(cut: int, tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(WHOLE[:cut])
    with pytest.raises(ThresherError, match="p cannot be read, it is damaged or something else"):
        read_pickle(tmp_path / "p", "x")


@given(st.integers(2, len(WHOLE) - 2), st.sampled_from(b"0123.(]}tRbNK\x85\x87\x89"))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_altered_files_are_read_or_refused(tmp_path: Path, place: int, byte: int) -> None:
    (tmp_path / "p").write_bytes(WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])
    with contextlib.suppress(ThresherError):
        assert isinstance(read_pickle(tmp_path / "p", "x"), dict)
