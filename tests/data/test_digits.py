"""The digits: always the same rows."""

import numpy as np
import torch
from sklearn import datasets

from thresher.data.digits import load_digits


def test_the_split_never_changes() -> None:
    data = load_digits()
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (1437, 360)
    assert data.test.keys[:8].tolist() == FIRST_KEYS
    assert data.fingerprint == FINGERPRINT


def test_rows_are_the_official_ones() -> None:
    images, labels = datasets.load_digits(return_X_y=True)
    data = load_digits()
    assert data.test is not None
    for part in (data.train, data.test):
        rows = part.keys.astype(int)
        assert part.labels.tolist() == labels[rows].tolist()
        assert part.dense().dtype == torch.uint8
        assert np.array_equal(np.rint(images[rows] / 16 * 255), part.dense().flatten(1).numpy())
    assert not set(data.train.keys) & set(data.test.keys)


def test_stratified() -> None:
    data = load_digits()
    assert data.test is not None
    share = data.test.labels.bincount() / (data.test.labels.bincount() + data.train.labels.bincount())
    assert torch.all((share - 360 / 1797).abs() < 1 / 170)


def test_what_is_known_of_it() -> None:
    data = load_digits()
    assert data.classes == tuple("0123456789")
    assert data.confusions == {7: 1, 2: 7, 3: 8, 5: 6, 6: 5}
    assert (data.name, data.augment, data.is_image) == ("digits", (), True)


FIRST_KEYS = ["2", "3", "11", "13", "15", "20", "21", "32"]
FINGERPRINT = "a0874628d5469a7ee3b968b68c5041afe38fb9d44da8c85b48c1fe26a710f236"
