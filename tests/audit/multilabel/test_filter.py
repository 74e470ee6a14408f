"""Multi-label confident learning against cleanlab 2.9, and its edges."""

import warnings
from typing import Any

import numpy as np
import pytest
from cleanlab.multilabel_classification import dataset as their_dataset
from cleanlab.multilabel_classification import filter as theirs
from cleanlab.multilabel_classification import rank as their_rank
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.audit.multilabel import filter as ours
from thresher.audit.multilabel import scores, summary
from thresher.errors import UsageError


def noisy(
    seed: int, n: int = 200, classes: int = 5, rate: float = 0.15, dtype: type = np.float64, share: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """A 0/1 matrix of labels with wrong ones, and probabilities of a fair model."""
    rng = np.random.default_rng(seed)
    true = rng.random((n, classes)) < share
    labels = true ^ (rng.random((n, classes)) < rate)
    logits = rng.normal(size=(n, classes)) + np.where(true, 2.0, -2.0)
    return labels, (1 / (1 + np.exp(-logits))).astype(dtype)


def lists(labels: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in labels]


def cleanlabs(function: Any, labels: np.ndarray, *arguments: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with few samples, and of its own deprecations
        return function(lists(labels), *arguments, **options)


@pytest.mark.parametrize("filter_by", ours.FILTERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("seed", "n", "classes"), [(0, 200, 5), (1, 61, 2), (2, 400, 12)])
def test_masks_are_cleanlabs(filter_by: str, dtype: type, seed: int, n: int, classes: int) -> None:
    labels, p = noisy(seed, n, classes, dtype=dtype)
    expected = cleanlabs(theirs.find_label_issues, labels, p, filter_by=filter_by, n_jobs=1)
    found = ours.find_label_issues(lists(labels), p, filter_by=filter_by)
    np.testing.assert_array_equal(found, expected)
    assert expected.any()
    expected = cleanlabs(theirs.find_multilabel_issues_per_class, labels, p, filter_by=filter_by, n_jobs=1)
    np.testing.assert_array_equal(ours.find_multilabel_issues_per_class(labels, p, filter_by=filter_by), expected)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(3, 60),
    st.integers(2, 6),
    st.sampled_from(ours.FILTERS[:4]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 4),
    st.sampled_from([0.05, 0.5, 0.95]),
)
def test_options_are_cleanlabs(
    seed: int, n: int, classes: int, filter_by: str, fraction: float, keep: int, share: float
) -> None:
    labels, p = noisy(seed, n, classes, share=share)
    p = np.round(p, 2)  # ties
    labels[0] = False  # cleanlab refuses a class that every sample has
    options: dict[str, Any] = {"filter_by": filter_by}
    if filter_by != "confident_learning":
        options |= {"frac_noise": fraction, "min_examples_per_class": keep}
    expected = cleanlabs(theirs.find_multilabel_issues_per_class, labels, p, n_jobs=1, **options)
    np.testing.assert_array_equal(ours.find_multilabel_issues_per_class(labels, p, **options), expected)


@pytest.mark.parametrize("filter_by", ours.FILTERS[:3])
def test_counts_and_joints_of_the_user(filter_by: str) -> None:
    labels, p = noisy(3)
    for options in (
        {"num_to_remove_per_class": [3, 0, 7, 1, 20]},
        {"confident_joint": np.array([[[100, 20], [10, 40]]] * 5)},
    ):
        expected = cleanlabs(theirs.find_label_issues, labels, p, filter_by=filter_by, n_jobs=1, **options)
        np.testing.assert_array_equal(ours.find_label_issues(labels, p, filter_by=filter_by, **options), expected)


@pytest.mark.parametrize("score", scores.SCORES)
@pytest.mark.parametrize("adjust", [False, True])
def test_orders_and_scores_are_cleanlabs(score: str, adjust: bool) -> None:
    labels, p = noisy(4)
    if adjust and score == "confidence_weighted_entropy":
        with pytest.raises(UsageError, match="adjust_pred_probs cannot be combined"):
            scores.get_label_quality_scores(labels, p, method=score, adjust_pred_probs=True)
        return
    words = {"adjust_pred_probs": adjust}
    options = {"return_indices_ranked_by": score, "rank_by_kwargs": words}
    np.testing.assert_array_equal(
        ours.find_label_issues(labels, p, **options),  # type: ignore[arg-type]
        cleanlabs(theirs.find_label_issues, labels, p, n_jobs=1, **options),
    )
    found = ours.find_multilabel_issues_per_class(labels, p, **options)  # type: ignore[arg-type]
    expected = cleanlabs(theirs.find_multilabel_issues_per_class, labels, p, n_jobs=1, **options)
    for mine, their in zip(found, expected, strict=True):
        for one, other in zip(mine, their, strict=True):
            np.testing.assert_array_equal(one, other)
    own = scores.get_label_quality_scores_per_class(labels, p, method=score, **words)
    expected = cleanlabs(their_rank.get_label_quality_scores_per_class, labels, p, method=score, **words)
    np.testing.assert_allclose(own, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "aggregator",
    [
        {},
        {"method": "exponential_moving_average"},
        {"method": "exponential_moving_average", "alpha": 0.3},
        {"method": "softmin"},
        {"method": "softmin", "temperature": 0.01},
        {"method": np.min},
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_aggregators_are_cleanlabs(aggregator: dict[str, Any], dtype: type) -> None:
    labels, p = noisy(5, dtype=dtype)
    found = scores.get_label_quality_scores(labels, p, aggregator_kwargs=aggregator)
    expected = cleanlabs(their_rank.get_label_quality_scores, labels, p, aggregator_kwargs=aggregator)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("names", [None, ["a", "b", "c", "d", "e"]])
def test_summaries_are_cleanlabs(names: list[str] | None) -> None:
    labels, p = noisy(6, n=256)
    words = {"class_names": names}
    common = summary.common_multilabel_issues(labels, p, class_names=names)
    expected = cleanlabs(their_dataset.common_multilabel_issues, labels, p, **words)
    assert common.to_dict("list") == expected.to_dict("list")
    ranked = summary.rank_classes_by_multilabel_quality(labels, p, class_names=names)
    expected = cleanlabs(their_dataset.rank_classes_by_multilabel_quality, labels, p, **words)
    assert ranked.sort_values("Class Index").to_dict("list") == expected.sort_values("Class Index").to_dict("list")
    assert ranked["Label Quality Score"].is_monotonic_increasing
    health = summary.overall_multilabel_health_score(labels, p)
    assert health == cleanlabs(their_dataset.overall_multilabel_health_score, labels, p)
    every = summary.multilabel_health_summary(labels, p, class_names=names)
    assert every["overall_multilabel_health_score"] == health
    assert every["common_multilabel_issues"].equals(common)


def test_the_low_filters_are_ranked_and_theirs_is_not() -> None:
    labels, p = noisy(7)
    options = {"filter_by": "low_self_confidence", "return_indices_ranked_by": "self_confidence"}
    found = ours.find_label_issues(labels, p, **options)  # type: ignore[arg-type]
    expected = cleanlabs(theirs.find_label_issues, labels, p, n_jobs=1, **options)
    assert set(found.tolist()) == set(expected.tolist())
    quality = scores.get_label_quality_scores(labels, p)
    assert (np.diff(quality[found]) >= 0).all()
    assert not (np.diff(quality[expected]) >= 0).all()  # once cleanlab mends it, the note in filter.py can go


def test_wrong_labels_are_found() -> None:
    rng = np.random.default_rng(8)
    true = rng.random((2000, 4)) < 0.4
    wrong = rng.random(true.shape) < 0.05
    p = 1 / (1 + np.exp(-(rng.normal(size=true.shape) + np.where(true, 3.0, -3.0))))
    found = ours.find_multilabel_issues_per_class(true ^ wrong, p)
    assert isinstance(found, np.ndarray)
    assert (found & wrong).sum() / found.sum() > 0.85
    assert (found & wrong).sum() / wrong.sum() > 0.85


@pytest.mark.parametrize("filter_by", ours.FILTERS)
def test_classes_that_nobody_or_everybody_has(filter_by: str) -> None:
    labels, p = noisy(9)
    labels[:, 0], labels[:, 1] = False, True
    found = ours.find_multilabel_issues_per_class(labels, p, filter_by=filter_by)
    assert isinstance(found, np.ndarray)
    rest = ours.find_multilabel_issues_per_class(labels[:, 2:], p[:, 2:], filter_by=filter_by)
    np.testing.assert_array_equal(found[:, 2:], rest)


def test_no_samples_and_one_class() -> None:
    assert ours.find_label_issues([], np.zeros((0, 3))).tolist() == []
    assert scores.get_label_quality_scores([], np.zeros((0, 3))).shape == (0,)
    assert scores.get_label_quality_scores([[0], []], np.array([[0.9], [0.8]])).round(3).tolist() == [0.9, 0.2]
    with pytest.raises(UsageError, match="no samples"):
        summary.overall_multilabel_health_score([], np.zeros((0, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter_by": "both_"}, "there is no filter_by 'both_': did you mean"),
        ({"return_indices_ranked_by": "margin"}, "there is no return_indices_ranked_by 'margin'"),
        ({"frac_noise": 1.5}, "frac_noise is 1.5"),
        ({"filter_by": "predicted_neq_given", "frac_noise": 0.5}, "predicted_neq_given reads none of frac_noise"),
        ({"confident_joint": np.ones((2, 2))}, r"confident_joint has shape \[2, 2\]"),
        ({"num_to_remove_per_class": [1]}, "must be 2 counts"),
        ({"num_to_remove_per_class": [1, -1]}, "must be 2 counts"),
    ],
)
def test_wrong_requests(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ours.find_label_issues([[0], [1]], np.full((2, 2), 0.5), **options)


@pytest.mark.parametrize(
    ("labels", "p", "message"),
    [
        ([[0], [2]], np.full((2, 2), 0.5), "class numbers go from 0 to 2, and there are 2 classes"),
        ([[-1]], np.full((1, 2), 0.5), "class numbers go from -1 to -1"),
        ([[0, 0]], np.full((1, 2), 0.5), "sample 0 names a class twice: labels in lists are class numbers"),
        ([0, 1], np.full((2, 2), 0.5), "labels must be a list of class numbers per sample"),
        ([["a"]], np.full((1, 2), 0.5), "labels must be class numbers"),
        ([[True, False]], np.full((1, 2), 0.5), "of true and false, make a numpy array"),
        ([[0]], np.full((2, 2), 0.5), "there are 1 labels for 2 rows"),
        (np.array([0, 1]), np.full((2, 2), 0.5), "one class per sample is no multi-label data"),
        (np.array([[0, 2]]), np.full((1, 2), 0.5), "must hold 0 and 1"),
        (np.array([[0, None]], dtype=object), np.full((1, 2), 0.5), "holds Python objects"),
        ([[0]], np.full(2, 0.5), "must be \\[samples, classes\\]"),
        ([[0]], np.array([[0.5, np.nan]]), "hold NaN"),
        ([[0]], np.array([[0.5, 3.0]]), "take the sigmoid of logits"),
        ([[0]], np.array([["x", "y"]]), "they must be numbers"),
    ],
)
def test_bad_arrays(labels: Any, p: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ours.find_label_issues(labels, p)


def test_bad_aggregators() -> None:
    labels, p = noisy(10)
    with pytest.raises(UsageError, match="there is no aggregator 'mean'"):
        scores.get_label_quality_scores(labels, p, aggregator_kwargs={"method": "mean"})
    with pytest.raises(UsageError, match="does not take these arguments"):
        scores.get_label_quality_scores(labels, p, aggregator_kwargs={"method": "softmin", "alpha": 0.5})
    with pytest.raises(UsageError, match="alpha is 2"):
        scores.get_label_quality_scores(
            labels, p, aggregator_kwargs={"method": "exponential_moving_average", "alpha": 2}
        )
    with pytest.raises(UsageError, match="3 class names for 5 classes"):
        summary.common_multilabel_issues(labels, p, class_names=["a", "b", "c"])
