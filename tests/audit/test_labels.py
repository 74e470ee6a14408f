"""The functions under cleanlab's names, against cleanlab itself."""

import importlib.metadata
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cleanlab import count as their_count
from cleanlab import filter as their_filter
from cleanlab import rank as their_rank
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.audit import confident, labels
from thresher.errors import UsageError

P = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
Y = np.array([0, 0, 0, 1, 1])


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Theirs warns of rare classes and idle options."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def draw(seed: int, n: int, classes: int, kind: str, dtype: str, absent: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities: smooth, rounded to two digits (many ties), or certain (0 and 1, nearly all ties)."""
    rng = np.random.default_rng(seed)
    present = np.arange(classes)[: max(2, classes - absent)]
    true = rng.choice(present, n)
    noisy = np.where(rng.random(n) < 0.3, rng.choice(present, n), true)
    noisy[:2] = present[:2]  # theirs refuses a single class
    z = rng.normal(size=(n, classes)) * rng.choice([0.5, 2.0])
    z[np.arange(n), true] += rng.choice([0.5, 3.0])
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    if kind == "rounded":
        p = np.round(p, 2)
    if kind == "certain":
        p = np.eye(classes)[p.argmax(axis=1)]
    return noisy, p.astype(dtype)


CASES = st.tuples(
    st.integers(0, 10_000),
    st.integers(2, 200),
    st.integers(2, 20),
    st.sampled_from(["smooth", "rounded", "certain"]),
    st.sampled_from(["float64", "float32"]),
    st.integers(0, 3),
)


def theirs(y: np.ndarray, p: np.ndarray, **options: Any) -> np.ndarray:
    return np.asarray(their_filter.find_label_issues(y, p, n_jobs=1, **options))


def test_the_version_that_is_compared_with() -> None:
    assert importlib.metadata.version("cleanlab").startswith("2.9.")


@settings(max_examples=300, deadline=None)
@given(CASES)
def test_default_masks(case: Any) -> None:
    y, p = draw(*case)
    np.testing.assert_array_equal(labels.find_label_issues(y, p), theirs(y, p))
    np.testing.assert_array_equal(confident.find_issues(y, p), theirs(y, p))


@settings(max_examples=250, deadline=None)
@given(CASES, st.sampled_from(labels.FILTERS))
def test_every_filter(case: Any, how: str) -> None:
    y, p = draw(*case)
    np.testing.assert_array_equal(labels.find_label_issues(y, p, filter_by=how), theirs(y, p, filter_by=how))


@settings(max_examples=150, deadline=None)
@given(
    CASES,
    st.sampled_from(labels.FILTERS[:3]),
    st.sampled_from([0.0, 0.1, 0.35, 0.5, 0.9, 1.0]),
    st.integers(0, 8),
    st.booleans(),
)
def test_pruning_options(case: Any, how: str, fraction: float, keep: int, own: bool) -> None:
    y, p = draw(*case)
    joint = np.random.default_rng(case[0]).integers(0, 9, (p.shape[1], p.shape[1])) if own else None
    options: Any = {"filter_by": how, "frac_noise": fraction, "min_examples_per_class": keep, "confident_joint": joint}
    np.testing.assert_array_equal(labels.find_label_issues(y, p, **options), theirs(y, p, **options))


@settings(max_examples=150, deadline=None)
@given(CASES, st.sampled_from(labels.FILTERS[:3]))
def test_numbers_per_class(case: Any, how: str) -> None:
    y, p = draw(*case)
    wanted = np.minimum(np.random.default_rng(case[0]).integers(0, 4, p.shape[1]), np.bincount(y, minlength=p.shape[1]))
    options: Any = {"filter_by": how, "num_to_remove_per_class": wanted}
    np.testing.assert_array_equal(labels.find_label_issues(y, p, **options), theirs(y, p, **options))


@settings(max_examples=200, deadline=None)
@given(CASES, st.sampled_from(labels.SCORES), st.booleans())
def test_scores(case: Any, method: str, adjust: bool) -> None:
    y, p = draw(*case)
    adjust = adjust and method != "confidence_weighted_entropy"
    mine = labels.get_label_quality_scores(y, p, method=method, adjust_pred_probs=adjust)
    expected = their_rank.get_label_quality_scores(y, p, method=method, adjust_pred_probs=adjust)
    np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-12 if p.dtype == np.float64 else 1e-5)


@settings(max_examples=100, deadline=None)
@given(CASES, st.sampled_from(labels.SCORES), st.booleans())
def test_orders(case: Any, method: str, adjust: bool) -> None:
    y, p = draw(*case)
    kwargs = {"adjust_pred_probs": adjust and method != "confidence_weighted_entropy"}
    options: Any = {"return_indices_ranked_by": method, "rank_by_kwargs": kwargs}
    mine, expected = labels.find_label_issues(y, p, **options), theirs(y, p, **options)
    if method == "confidence_weighted_entropy":  # their sums of entropies round otherwise
        assert set(mine) == set(expected)
        scores = labels.get_label_quality_scores(y, p, method=method)
        np.testing.assert_allclose(scores[mine], scores[expected], atol=1e-5)
    else:
        np.testing.assert_array_equal(mine, expected)
    mask = labels.find_label_issues(y, p)
    again = labels.order_label_issues(mask, y, p, rank_by=method, rank_by_kwargs=kwargs)
    np.testing.assert_array_equal(again, mine)


@settings(max_examples=150, deadline=None)
@given(CASES, st.booleans(), st.booleans())
def test_joints(case: Any, calibrate: bool, own: bool) -> None:
    y, p = draw(*case)
    limits = np.random.default_rng(case[0]).random(p.shape[1]) if own else None
    options: Any = {"thresholds": limits, "calibrate": calibrate, "return_indices_of_off_diagonals": True}
    mine = labels.compute_confident_joint(y, p, **options)
    expected = their_count.compute_confident_joint(y, p, **options)
    np.testing.assert_array_equal(mine[0], expected[0])
    np.testing.assert_array_equal(mine[1], expected[1])
    shares = np.random.default_rng(case[0]).random((p.shape[1], p.shape[1])) if own else None
    np.testing.assert_allclose(
        labels.estimate_joint(y, p, confident_joint=shares),
        their_count.estimate_joint(y, p, confident_joint=shares),
        rtol=1e-12,
    )


@settings(max_examples=100, deadline=None)
@given(CASES, st.sampled_from(labels.ESTIMATES))
def test_counts(case: Any, method: str) -> None:
    y, p = draw(*case)
    joint = np.eye(p.shape[1], dtype=int) * 3 + 1 if method == "off_diagonal_custom" else None
    options: Any = {"confident_joint": joint, "estimation_method": method}
    assert labels.num_label_issues(y, p, **options) == their_count.num_label_issues(y, p, **options)


def test_a_lead_of_exactly_the_tolerance() -> None:
    """Probabilities written with six digits can differ by just what is called a tie."""
    y = np.array([1, 0, 1, 0, 1, 0])
    p = np.array([[0.5, 0.499999], [0.499999, 0.5], [0.1, 0.9], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    for how in labels.FILTERS:
        np.testing.assert_array_equal(labels.find_label_issues(y, p, filter_by=how), theirs(y, p, filter_by=how))


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool"])
def test_other_kinds_of_numbers(dtype: str) -> None:
    certain = np.eye(3)[[0, 1, 2, 0, 1, 1]]
    found = labels.find_label_issues([0, 1, 2, 0, 1, 2], certain.astype(dtype), filter_by="predicted_neq_given")
    assert np.flatnonzero(found).tolist() == [5]


@pytest.mark.parametrize(
    "given_labels", [Y.tolist(), pd.Series(Y), pd.Series(Y, dtype="Int64"), Y.astype(np.uint8), Y.astype(object)]
)
def test_labels_of_all_kinds(given_labels: Any) -> None:
    assert np.flatnonzero(labels.find_label_issues(given_labels, P)).tolist() == [2]
    assert labels.num_label_issues(given_labels, P) == 1
    assert labels.estimate_joint(given_labels, P, confident_joint=np.eye(2)).sum() == 1


def test_what_is_accepted_and_means_nothing() -> None:
    assert labels.find_label_issues(Y, P, n_jobs=8, verbose=True).sum() == 1


def test_probabilities_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    y, p = draw(3, 200, 5, "smooth", "float64", 0)
    p.flags.writeable = False
    whole = {method: labels.get_label_quality_scores(y, p, method=method) for method in labels.SCORES}
    monkeypatch.setattr(confident, "_BLOCK", 40)
    for method, expected in whole.items():
        np.testing.assert_allclose(labels.get_label_quality_scores(y, p, method=method), expected, rtol=1e-15)
    labels.find_label_issues(y, p)


def test_no_samples() -> None:
    empty = np.zeros((0, 3))
    assert labels.find_label_issues(np.zeros(0, dtype=int), empty).shape == (0,)
    assert labels.get_label_quality_scores(np.zeros(0, dtype=int), empty).shape == (0,)


def test_calibrated_joint_is_taken_as_it_is_without_labels() -> None:
    np.testing.assert_allclose(labels.estimate_joint(None, P, confident_joint=np.array([[3, 1], [0, 4]])).sum(), 1)
    with pytest.raises(UsageError, match="needs labels"):
        labels.estimate_joint(None, P)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"filter_by": "prune_by_clas"}, "did you mean prune_by_class"),
        ({"return_indices_ranked_by": "margin"}, "no return_indices_ranked_by 'margin'"),
        ({"frac_noise": 1.5}, "from 0 to 1"),
        ({"min_examples_per_class": -1}, "0 or more"),
        ({"filter_by": "both", "num_to_remove_per_class": [1]}, "2 whole numbers"),
        ({"confident_joint": np.eye(3)}, "must be numbers"),
        ({"confident_joint": -np.eye(2)}, "must hold counts"),
        ({"filter_by": "confident_learning", "frac_noise": 0.5}, "frac_noise has no meaning"),
        ({"filter_by": "low_self_confidence", "num_to_remove_per_class": [1, 1]}, "has no meaning"),
        ({"filter_by": "predicted_neq_given", "confident_joint": np.eye(2)}, "has no meaning"),
        ({"return_indices_ranked_by": "self_confidence", "rank_by_kwargs": {"adjust": 1}}, "'adjust'"),
        (
            {
                "return_indices_ranked_by": "confidence_weighted_entropy",
                "rank_by_kwargs": {"adjust_pred_probs": True},
            },
            "cannot be combined",
        ),
    ],
)
def test_refusals(options: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        labels.find_label_issues(Y, P, **options)


def test_more_refusals() -> None:
    with pytest.raises(UsageError, match=r"numpy\.unique"):
        labels.find_label_issues(np.array(["cat", "dog"]), P[:2])
    with pytest.raises(UsageError, match="5 labels for 4 rows"):
        labels.find_label_issues(Y, P[:4])
    with pytest.raises(UsageError, match="take the softmax"):
        labels.get_label_quality_scores(Y, P * 4)
    with pytest.raises(UsageError, match="choose another method"):
        labels.get_label_quality_scores(Y, P, method="confidence_weighted_entropy", adjust_pred_probs=True)
    with pytest.raises(UsageError, match="no method 'entropy'"):
        labels.get_label_quality_scores(Y, P, method="entropy")
    with pytest.raises(UsageError, match="5 true/false"):
        labels.order_label_issues(np.array([2]), Y, P)
    with pytest.raises(UsageError, match="one per class"):
        labels.compute_confident_joint(Y, P, thresholds=[0.5])
    with pytest.raises(UsageError, match="give both, or neither"):
        labels.num_label_issues(Y, P, estimation_method="off_diagonal_custom")
