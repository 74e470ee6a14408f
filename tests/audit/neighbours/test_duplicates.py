"""Equal and nearly equal samples, and their labels."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thresher.audit.neighbours.duplicates import Duplicates, exact_duplicates, joined, near_duplicates
from thresher.audit.neighbours.nearest import Metric, Neighbours, nearest
from thresher.errors import UsageError


def planted(copies: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 10))
    return np.concatenate([x, x[:copies] + 1e-3 * rng.standard_normal((copies, 10))]), np.zeros(300 + copies, dtype=int)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_planted_copies_in_any_units(metric: Metric, scale: float) -> None:
    x, labels = planted()
    labels[300:305] = 1
    found = near_duplicates(nearest(x * scale, metric=metric), labels)
    np.testing.assert_array_equal(found.group, [*range(20), *[-1] * 280, *range(20)])
    np.testing.assert_array_equal(np.flatnonzero(found.conflict), [0, 1, 2, 3, 4, 300, 301, 302, 303, 304])
    assert found.of[[2, 302, 7]].tolist() == [302, 2, -1]


def test_a_dense_cluster_is_no_group_of_copies() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal((200, 8)), 5 + 1e-4 * rng.standard_normal((50, 8))])
    found = near_duplicates(nearest(x, metric="euclidean"), np.zeros(250, dtype=int))
    assert (found.group == -1).all()


def test_equal_samples_beyond_k() -> None:
    x, _ = planted(0)
    x[50:100] = x[50]
    labels = np.zeros(300, dtype=int)
    labels[70] = 1
    found = near_duplicates(nearest(x, 5, metric="euclidean"), labels)
    np.testing.assert_array_equal(np.flatnonzero(found.group == 0), np.arange(50, 100))
    assert found.conflict[50:100].all()
    assert found.of[99] == 70
    assert found.of[70] == 50


def test_the_nearest_of_another_label_is_named() -> None:
    index = np.array([[1, 2], [0, 2], [0, 1]])
    distance = np.array([[0.3, 0.2], [0.3, 0.1], [0.2, 0.1]])
    found = near_duplicates(Neighbours(index, distance), np.array([0, 1, 1]), threshold=0.5)
    assert found.of.tolist() == [2, 0, 0]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=12))
def test_exact_against_a_dictionary(rows: list[tuple[str, int]]) -> None:
    texts, labels = [text for text, _ in rows], np.array([label for _, label in rows], dtype=int)
    found = exact_duplicates(texts, labels)
    for row, (text, label) in enumerate(rows):
        same = [other for other in range(len(rows)) if texts[other] == text]
        assert (found.group[row] >= 0) == (len(same) > 1)
        differing = [other for other in same if labels[other] != label]
        assert found.of[row] == (differing[0] if differing else -1)
        assert [other for other in range(len(rows)) if found.group[other] == found.group[row] >= 0] in ([], same)
    kept = found.group[found.group >= 0]
    assert list(dict.fromkeys(kept.tolist())) == list(range(len(set(kept.tolist()))))


def test_exact_inputs_of_every_kind() -> None:
    labels = np.array([0, 1, 0])
    images = np.zeros((3, 2, 2), dtype=np.uint8)
    images[2] = 1
    for inputs in (images, torch.from_numpy(images), [b"x", b"x", b"y"], (text for text in "xxy")):
        assert exact_duplicates(inputs, labels).of.tolist() == [1, 0, -1]
    assert exact_duplicates([np.zeros(4), np.zeros((2, 2)), np.zeros(2)], labels).group.tolist() == [-1, -1, -1]


def test_joined_groups_share_samples() -> None:
    labels = np.array([0, 0, 1, 1])
    one = exact_duplicates("xxyz", labels)
    other = exact_duplicates("xyyz", labels)
    both = joined(one, other, labels)
    assert both.group.tolist() == [0, 0, 0, -1]
    assert both.of.tolist() == [2, 2, 1, -1]


def test_empty() -> None:
    none = np.empty(0, dtype=int)
    for found in (
        exact_duplicates([], none),
        near_duplicates(Neighbours(np.empty((0, 3), dtype=int), np.empty((0, 3))), none),
    ):
        assert isinstance(found, Duplicates)
        assert (len(found.group), len(found.of), found.conflict.dtype) == (0, 0, np.dtype(bool))


def test_refused() -> None:
    near = Neighbours(np.array([[1], [0]]), np.ones((2, 1)))
    labels = np.array([0, 1])
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: near_duplicates(near, labels, near=2), "0 to 1"),
        (lambda: near_duplicates(near, labels, threshold=np.nan), "0 or more"),
        (lambda: near_duplicates(near, labels[:1]), "for 1 samples"),
        (lambda: near_duplicates(near, np.array(["a", "b"])), "class numbers"),
        (lambda: exact_duplicates(["a"], labels), "1 inputs for 2 labels"),
        (lambda: exact_duplicates([None, None], labels), "input 0 is of type object"),
        (lambda: joined(exact_duplicates("a", labels[:1]), exact_duplicates("ab", labels), labels), "1 and 2 samples"),
    ]
    for call, said in calls:
        with pytest.raises(UsageError, match=said):
            call()
