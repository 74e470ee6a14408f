"""Samples and Data: rows taken together, and a fingerprint that notices every change."""

from dataclasses import replace

import numpy as np
import torch

from thresher.data import Samples, load

DATA = load({"x": np.eye(4), "y": ["a", "b", "a", "b"], "id": list("wxyz"), "group": [1, 1, 2, 2]})


def test_take_keeps_the_parts_of_a_row_together() -> None:
    samples = replace(DATA.train, clean=torch.tensor([0, 0, 1, 1]))
    taken = samples.take(np.array([3, 0]))
    assert taken.dense().argmax(1).tolist() == [3, 0]
    assert taken.labels.tolist() == [1, 0]
    assert taken.keys.tolist() == ["z", "w"]
    assert taken.clean is not None
    assert taken.clean.tolist() == [1, 0]
    assert taken.groups is not None
    assert taken.groups.tolist() == ["2", "1"]


def test_equal_data_has_an_equal_fingerprint_and_other_data_another() -> None:
    labels = torch.tensor([1, 1, 0, 1])
    train = DATA.train
    others = [
        DATA.with_labels(labels),
        replace(DATA, classes=("a", "c")),
        replace(DATA, train=replace(train, inputs=train.dense() + 1)),
        replace(DATA, train=replace(train, keys=train.keys[::-1])),
        replace(DATA, train=Samples(train.dense().reshape(4, 2, 2), train.labels, train.keys)),
    ]
    prints = {data.fingerprint for data in others}
    assert len(prints) == 5
    assert DATA.fingerprint not in prints
    assert replace(DATA, name="other").fingerprint == DATA.fingerprint
