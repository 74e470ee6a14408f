"""Splits and folds: stratified, group-aware, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from thresher.data.split import folds, split
from thresher.errors import UsageError

LABELS = arrays(np.int64, st.integers(20, 80), elements=st.integers(0, 4))


def with_two_rows_each(labels: np.ndarray) -> np.ndarray:
    """The labels, and two more rows of every class, so that something can be held out."""
    return np.concatenate([labels, np.unique(labels), np.unique(labels)])


@given(LABELS, st.floats(0.01, 0.9), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_every_row_once_and_every_class_in_proportion(labels: np.ndarray, valid: float, seed: int) -> None:
    labels = with_two_rows_each(labels)
    train, held = split(labels, valid, seed)
    assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(len(labels)))
    assert np.array_equal(train, np.sort(train))
    assert np.array_equal(held, np.sort(held))
    total, inside = np.bincount(labels), np.bincount(labels[held], minlength=labels.max() + 1)
    assert np.all((total == 0) | (inside < total))
    assert len(held) >= 1
    assert np.all(np.abs(inside - valid * total) < 2)


@given(LABELS, st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_groups_are_never_divided(labels: np.ndarray, size: int, seed: int) -> None:
    labels = np.tile(np.arange(3), 20) if len(labels) < 30 else with_two_rows_each(labels)
    groups = np.array([f"group {row // size}" for row in range(len(labels))], dtype=object)
    try:
        train, held = split(labels, 0.3, seed, groups)
    except UsageError:
        return  # a class in a single group everywhere
    assert not set(groups[train]) & set(groups[held])
    assert set(labels[train]) == set(labels)
    assert len(held) < 0.6 * len(labels)


def test_sizes_are_the_nearest_whole_number() -> None:
    labels = np.repeat(np.arange(10), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert [len(split(labels, share, 0)[1]) for share in (0.1, 0.2, 360 / 1797)] == [180, 359, 360]


def test_groups_come_near_the_share() -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 5, 2000), rng.integers(0, 300, 2000)
    _, held = split(labels, 0.1, 0, groups)
    assert np.all(np.abs(np.bincount(labels[held]) - 40) < 15)


def test_the_seed_decides() -> None:
    labels = np.arange(200) % 4
    assert np.array_equal(split(labels, 0.2, 1)[1], split(labels, 0.2, 1)[1])
    assert not np.array_equal(split(labels, 0.2, 1)[1], split(labels, 0.2, 2)[1])
    groups = np.arange(200) // 5
    assert np.array_equal(split(labels, 0.2, 1, groups)[1], split(labels, 0.2, 1, groups)[1])
    assert not np.array_equal(split(labels, 0.2, 1, groups)[1], split(labels, 0.2, 2, groups)[1])


def test_every_row_is_equally_likely_to_be_held_out() -> None:
    labels = np.arange(40) % 2
    counts = np.zeros(40)
    for seed in range(400):
        counts[split(labels, 0.25, seed)[1]] += 1
    assert np.all(np.abs(counts - 100) < 45)  # five standard deviations


def test_nothing_held_out_at_0() -> None:
    train, held = split(np.array([0, 1, 1]), 0.0, 0)
    assert train.tolist() == [0, 1, 2]
    assert held.tolist() == []
    assert held.dtype == np.int64


def test_a_small_share_still_holds_out_a_row() -> None:
    assert len(split(np.arange(6) % 2, 0.01, 0)[1]) == 1


@pytest.mark.parametrize("valid", [-0.1, 1.0, 2.0, float("nan")])
def test_a_share_out_of_range_is_refused(valid: float) -> None:
    with pytest.raises(UsageError, match=r"the validation share is .*: give a fraction from 0"):
        split(np.array([0, 1]), valid, 0)


def test_a_set_too_small_to_split_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a validation share of 0\.5 holds out no row of 2"):
        split(np.array([0, 1]), 0.5, 0)
    with pytest.raises(UsageError, match="holds out no row of 4"):
        split(np.array([0, 0, 1, 1]), 0.5, 0, np.array(["a", "a", "b", "b"]))


@given(LABELS, st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_folds_are_even_in_every_class(labels: np.ndarray, k: int, seed: int) -> None:
    fold = folds(labels, k, seed)
    assert fold.dtype == np.int64
    for rows in (fold, *(fold[labels == label] for label in np.unique(labels))):
        sizes = np.bincount(rows, minlength=k)
        assert len(sizes) == k
        assert sizes.max() - sizes.min() <= 1


def test_folds_keep_groups_together_and_classes_even() -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 4, 1000), rng.integers(0, 200, 1000).astype(str).astype(object)
    fold = folds(labels, 5, 0, groups)
    assert all(len(set(fold[groups == group])) == 1 for group in set(groups))
    counts = np.stack([np.bincount(labels[fold == k], minlength=4) for k in range(5)])
    assert counts.min() > 40
    assert counts.max() < 60


def test_folds_depend_on_the_seed_only() -> None:
    labels = np.arange(100) % 5
    assert np.array_equal(folds(labels, 5, 1), folds(labels, 5, 1))
    assert not np.array_equal(folds(labels, 5, 1), folds(labels, 5, 2))


def test_a_wrong_number_of_folds_is_refused() -> None:
    with pytest.raises(UsageError, match="1 folds of 4 rows: give from 2 to 4"):
        folds(np.array([0, 1, 0, 1]), 1, 0)
    with pytest.raises(UsageError, match="3 folds of 2 groups: give from 2 to 2"):
        folds(np.array([0, 1, 0, 1]), 3, 0, np.array([0, 0, 1, 1]))
