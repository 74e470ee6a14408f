"""`load`: one door for every source."""

from pathlib import Path

import numpy as np
import pytest
import torch

from thresher.data import Data, load
from thresher.errors import UsageError

X, Y = np.eye(4), np.array([0, 1, 1, 0])


def test_arrays_and_tensors() -> None:
    for source in ((X, Y), (torch.tensor(X), torch.tensor(Y)), {"x": X, "y": Y}):
        data = load(source)
        assert isinstance(data, Data)
        assert (data.name, data.test, data.train.labels.tolist()) == ("arrays", None, [0, 1, 1, 0])
    four = load((X, Y, X[:2], Y[:2]), name="mine")
    assert four.name == "mine"
    assert four.test is not None
    assert len(four.test) == 2


def test_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", x=X, y=Y)
    assert load(tmp_path / "some.npz").name == "some"
    assert load(str(tmp_path / "some.npz"), name="other").name == "other"


def test_named_sets_and_ready_data() -> None:
    digits = load("digits")
    assert digits.name == "digits"
    assert load(digits) == digits
    assert load(digits, name="again").name == "again"


def test_official_files_are_looked_for_below_the_root(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^mnist: there is no file train-images-idx3-ubyte"):
        load("mnist", root=tmp_path)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "digit",
            "'digit' is no data that can be read: did you mean digits\\? give a known name",
        ),
        ("Fashion-MNIST", "'Fashion-MNIST' is no data that can be read: did you mean fashion_mnist"),
        ("photos/", "there is no file or folder photos/: check the path"),
        (3, "data of type int cannot be read: give a known name"),
        ([X, Y], "data of type list cannot be read"),
        ((X, Y, X), "a tuple of 3 is no data set"),
    ],
)
def test_anything_else_is_refused_with_what_is_accepted(source: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}"):
        load(source)
