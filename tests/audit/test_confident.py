"""Confident learning against loops written from the paper, and its edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.audit import blocks, confident, prune
from thresher.errors import UsageError


def noisy(seed: int, n: int = 120, classes: int = 4, rate: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities of a fair model, and the true classes."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, n)
    labels = np.where(rng.random(n) < rate, rng.integers(0, classes, n), true)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), true] += 3
    weights = np.exp(logits)
    return labels, weights / weights.sum(axis=1, keepdims=True), true


def naive_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Equations 1 and 2, sample by sample."""
    classes = probabilities.shape[1]
    thresholds = []
    for k in range(classes):
        own = [p[k] for p, y in zip(probabilities, labels, strict=True) if y == k]
        thresholds.append(sum(own) / len(own) if own else float("inf"))
    joint = np.zeros((classes, classes), dtype=int)
    for p, y in zip(probabilities, labels, strict=True):
        reached = [k for k in range(classes) if p[k] >= thresholds[k] - 1e-6]
        if reached:
            joint[y][reached[0] if len(reached) == 1 else int(np.argmax(p))] += 1
    for k in range(classes):
        joint[k][k] = max(joint[k][k], 1)
    return joint


def naive_issues(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Prune by noise rate with sorts instead of partitions."""
    joint = confident.confident_joint(labels, probabilities)
    mask = np.zeros(len(labels), dtype=bool)
    for i in range(len(joint)):
        members = [n for n, y in enumerate(labels) if y == i]
        empty = max(0, 1 - joint[i][i]) / max(1, sum(c > 0 for c in joint[i]) - 1)
        for j in range(len(joint)):
            if i != j and len(members) > 1:
                count = int(max(0, joint[i][j] - empty))
                ranked = sorted((probabilities[n, i] - probabilities[n, j], n) for n in members)
                mask[[n for _, n in ranked[:count]]] = True
    leads = probabilities.argmax(axis=1) != labels
    return np.asarray(mask & leads)


@pytest.mark.parametrize("seed", range(5))
def test_joint_is_the_papers(seed: int) -> None:
    labels, probabilities, _ = noisy(seed)
    joint = confident.confident_joint(labels, probabilities, calibrated=False)
    np.testing.assert_array_equal(joint, naive_joint(labels, probabilities))


@pytest.mark.parametrize("seed", range(5))
def test_issues_are_those_of_the_naive_loop(seed: int) -> None:
    labels, probabilities, _ = noisy(seed)
    np.testing.assert_array_equal(confident.find_issues(labels, probabilities), naive_issues(labels, probabilities))


def test_values_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    first = np.array([0.9, 0.8, 0.7, 0.1, 0.3, 0.2])
    probabilities = np.stack([first, 1 - first], axis=1)
    np.testing.assert_allclose(confident.class_thresholds(labels, probabilities), [0.625, 0.75])
    # Sample 4 reaches no threshold (0.3 < 0.625, 0.7 < 0.75): one count of two stands for both.
    joint = confident.confident_joint(labels, probabilities, calibrated=False)
    np.testing.assert_array_equal(joint, [[3, 1], [0, 1]])
    np.testing.assert_array_equal(confident.confident_joint(labels, probabilities), [[3, 1], [0, 2]])
    np.testing.assert_array_equal(np.flatnonzero(confident.find_issues(labels, probabilities)), [3])


def test_finds_the_wrong_labels() -> None:
    labels, probabilities, true = noisy(0, n=2000)
    flagged = confident.find_issues(labels, probabilities)
    assert (flagged & (labels != true)).sum() / (labels != true).sum() > 0.8
    assert (labels != true)[flagged].mean() > 0.7


def test_float32_is_not_copied_to_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, probabilities, _ = noisy(1, n=400)
    expected = confident.find_issues(labels, probabilities)
    monkeypatch.setattr(blocks, "_BLOCK", 64)
    flagged = confident.find_issues(labels, probabilities.astype(np.float32))
    assert (flagged != expected).mean() < 0.01
    assert confident.normalized_margin(labels, probabilities.astype(np.float32)).dtype == np.float32


def test_missing_class_is_never_reached_and_never_flagged() -> None:
    labels, probabilities, _ = noisy(2)
    labels = np.where(labels == 2, 3, labels)
    assert np.isinf(confident.class_thresholds(labels, probabilities)[2])
    joint = confident.confident_joint(labels, probabilities)
    assert joint[2].sum() == 0 == joint[:, 2].sum()
    np.testing.assert_array_equal(joint.sum(axis=1), np.bincount(labels, minlength=4))
    assert confident.find_issues(labels, probabilities).any()


def test_a_class_of_one_is_kept() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.95, 0.05]])
    assert not confident.find_issues(labels, probabilities).any()


def test_ties_at_the_cut_keep_the_count() -> None:
    p = np.array([[0.1, 0.9]] * 40 + [[0.9, 0.1]] * 2 + [[0.1, 0.9]] * 2)
    labels = np.array([0] * 42 + [1, 1])
    mask = prune.by_noise_rate(labels, p, np.array([[0, 7], [0, 0]]), ~confident.agrees(labels, p))
    assert mask.sum() == 7
    assert not mask[40:].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 40))
def test_laws(seed: int, classes: int, n: int) -> None:
    labels, probabilities, _ = noisy(seed, n, classes)
    joint = confident.confident_joint(labels, probabilities)
    np.testing.assert_array_equal(joint.sum(axis=1), np.bincount(labels, minlength=classes))
    quality = confident.normalized_margin(labels, probabilities)
    assert ((quality >= 0) & (quality <= 1)).all()
    flagged = confident.find_issues(labels, probabilities)
    assert (quality[flagged] < 0.5).all()
    kept = np.bincount(labels[~flagged], minlength=classes)
    assert (kept[np.bincount(labels, minlength=classes) > 0] >= 1).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(0, 50), min_size=3, max_size=3), min_size=1, max_size=5))
def test_rounding_keeps_row_sums(rows: list[list[float]]) -> None:
    matrix = np.array(rows)
    whole = prune.round_rows(matrix)
    np.testing.assert_array_equal(whole.sum(axis=1), np.rint(matrix.sum(axis=1)))
    assert np.abs(whole - matrix).max() <= 1.0


@pytest.mark.parametrize(
    ("labels", "probabilities", "words"),
    [
        (np.array([0, 1]), np.full((2, 1), 1.0), "classes >= 2"),
        (np.array([0, 1, 1]), np.full((2, 2), 0.5), "3 labels for 2 rows"),
        (np.array(["a", "b"]), np.full((2, 2), 0.5), "must be integers"),
        (np.array([0, -1]), np.full((2, 2), 0.5), "from -1 to 0"),
        (np.array([0, 2]), np.full((2, 2), 0.5), "classes 0 to 1"),
        (np.array([0, 1]), np.array([[0.5, np.nan], [0.5, 0.5]]), "NaN or infinite"),
        (np.array([0, 1]), np.array([[2.5, -1.0], [0.5, 0.5]]), "from -1 to 2.5.*softmax"),
        (np.array([0, 1]), np.full((2, 2), "a"), "must be numbers"),
    ],
)
def test_refusals(labels: np.ndarray, probabilities: np.ndarray, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        confident.find_issues(labels, probabilities)
