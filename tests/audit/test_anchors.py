"""Anchor points against a plain loop, on matrices they must find exactly, and at the ends of the percentile."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from thresher.audit.anchors import anchor_points, anchor_transition
from thresher.errors import UsageError

weights = st.integers(2, 5).flatmap(lambda k: st.integers(1, 30).map(lambda n: (n, k)))
tables = weights.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(1, 9).map(float)))


def probabilities(rows: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), rows))


def naive(p: np.ndarray, percentile: float) -> list[int]:
    """The sample with the largest value below the percentile, which is itself one of the values."""
    chosen = []
    for column in p.T.tolist():
        ordered = sorted(column)
        place = int(np.ceil((len(ordered) - 1) * percentile / 100 - 1e-9))
        left = [value for value in column if value < ordered[place]] if percentile < 100 else []
        chosen.append(column.index(max(left or column)))
    return chosen


@pytest.mark.parametrize("percentile", [50.0, 90.0, 97.0, 99.9, 100.0])
@pytest.mark.parametrize("rows", [1, 2, 7, 100, 333])
def test_equals_a_loop(rows: int, percentile: float) -> None:
    p = probabilities(rows, 4, rows)
    points = anchor_points(p, percentile)
    assert points.tolist() == naive(p, percentile)
    assert points.dtype == np.int64
    assert np.allclose(anchor_transition(p, percentile), p[points])


@pytest.mark.parametrize("noise", ["symmetric", "pair", "any"])
def test_true_anchors_give_the_matrix_exactly(noise: str) -> None:
    eye = np.eye(5)
    matrix = {
        "symmetric": 0.6 * eye + 0.4 * (1 - eye) / 4,
        "pair": 0.55 * eye + 0.45 * np.roll(eye, 1, axis=1),
        "any": 0.5 * eye + 0.5 * probabilities(5, 5, 3),
    }[noise]
    truth = np.concatenate([0.9 * probabilities(400, 5, 1) + 0.02, eye])
    assert anchor_transition(truth @ matrix, 100) == pytest.approx(matrix, abs=1e-12)


def test_the_percentile_leaves_out_flukes() -> None:
    matrix = np.array([[0.7, 0.3], [0.2, 0.8]])
    shares = np.linspace(0, 1, 200)[:, None]
    honest = np.concatenate([shares, 1 - shares], axis=1) @ matrix
    flukes = np.array([[0.99, 0.01], [0.01, 0.99]])
    p = np.concatenate([honest, flukes])
    assert np.abs(anchor_transition(p, 97) - matrix).max() < 0.05
    assert anchor_transition(p, 100) == pytest.approx(flukes)


def test_a_column_is_filtered_by_itself() -> None:
    """The authors' in-place filter would read zeros in the columns before; ours reads what was predicted."""
    p = np.array([[0.6, 0.4], [0.55, 0.45], [0.1, 0.9], [0.58, 0.42]])
    before = p.copy()
    matrix = anchor_transition(p, 60)
    assert np.array_equal(p, before)
    assert matrix.tolist() == pytest.approx(np.array([[0.55, 0.45], [0.58, 0.42]]))


@given(tables)
def test_rows_sum_to_one_and_nothing_is_negative(table: np.ndarray) -> None:
    p = table / table.sum(axis=1, keepdims=True)
    for percentile in (None, 1e-9, 50, 97, 100):
        matrix = anchor_transition(p, percentile)
        assert matrix.shape == (p.shape[1], p.shape[1])
        assert matrix.dtype == np.float64
        assert (matrix >= 0).all()
        assert np.allclose(matrix.sum(axis=1), 1, atol=1e-12)


@given(tables)
def test_at_100_the_diagonal_is_the_largest_of_its_column(table: np.ndarray) -> None:
    p = table / table.sum(axis=1, keepdims=True)
    assert np.allclose(np.diag(anchor_transition(p, 100)), p.max(axis=0))


@given(tables, st.integers(0, 1000))
def test_the_order_of_the_samples_does_not_matter(table: np.ndarray, seed: int) -> None:
    p = table / table.sum(axis=1, keepdims=True) + 1e-9 * np.random.default_rng(0).random(table.shape)
    mixed = p[np.random.default_rng(seed).permutation(len(p))]
    assert np.array_equal(anchor_transition(p), anchor_transition(mixed))


def test_from_100_classes_on_the_largest_counts() -> None:
    for classes, percentile in ((99, 97), (100, 100)):
        p = probabilities(150, classes, classes)
        assert np.array_equal(anchor_points(p), anchor_points(p, percentile))
        assert not np.array_equal(anchor_points(p), anchor_points(p, 197 - percentile))


def test_equal_predictions_give_equal_rows() -> None:
    p = np.tile([0.25, 0.75], (10, 1))
    assert anchor_transition(p).tolist() == [[0.25, 0.75], [0.25, 0.75]]


def test_float32_and_lists_are_taken() -> None:
    p = probabilities(50, 3)
    assert anchor_transition(p.astype(np.float32)) == pytest.approx(anchor_transition(p), abs=1e-6)
    assert anchor_transition([[0.5, 0.5], [1.0, 0.0]], 100).tolist() == [[1, 0], [0.5, 0.5]]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("p", "percentile", "sentence"),
    [
        (np.zeros((0, 3)), None, "there are no samples to find anchor points among: give probabilities of at least"),
        (np.full((2, 2), 0.25), None, r"row 0 of the probabilities adds up to 0\.5: each row needs those of one"),
        (np.zeros((2, 2)), None, "row 0 of the probabilities adds up to 0: "),
        (np.full((2, 2), 3.0), None, "they must lie in 0 to 1; of logits, take the softmax first"),
        (np.array([[np.nan, 1.0]]), None, "probabilities hold NaN"),
        (np.full(4, 0.25), None, "they must be .samples, classes"),
        (np.full((2, 2), 0.5), 0, "percentile is 0: give a number above 0, up to 100"),
        (np.full((2, 2), 0.5), 101, "percentile is 101: "),
        (np.full((2, 2), 0.5), float("nan"), "percentile is nan: "),
    ],
)
def test_bad_input_is_one_sentence(p: Any, percentile: float | None, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        anchor_transition(p, percentile)
