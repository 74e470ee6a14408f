"""The functions under cleanlab's names, against cleanlab itself: equal to the last bit on float64."""

import importlib.metadata
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cleanlab import count as their_count
from cleanlab import dataset as their_dataset
from cleanlab import filter as their_filter
from cleanlab import rank as their_rank
from cleanlab.internal import latent_algebra as their_algebra
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.audit import confident, labels


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
    st.sampled_from(["float64", "float32", "float16"]),
    st.integers(0, 3),
)


def theirs(y: np.ndarray, p: np.ndarray, **options: Any) -> np.ndarray:
    return np.asarray(their_filter.find_label_issues(y, p, n_jobs=1, **options))


def test_the_version_that_is_compared_with() -> None:
    assert importlib.metadata.version("cleanlab").startswith("2.9.")


@settings(max_examples=150, deadline=None)
@given(CASES)
def test_default_masks(case: Any) -> None:
    y, p = draw(*case)
    np.testing.assert_array_equal(labels.find_label_issues(y, p), theirs(y, p))
    np.testing.assert_array_equal(confident.find_issues(y, p), theirs(y, p))


@settings(max_examples=200, deadline=None)
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
    assert mine.dtype == expected.dtype
    np.testing.assert_array_equal(mine, expected)
    np.testing.assert_array_equal(labels.find_top_issues(mine, top=5), their_rank.find_top_issues(expected, top=5))


@settings(max_examples=100, deadline=None)
@given(CASES, st.sampled_from(labels.SCORES), st.booleans())
def test_orders(case: Any, method: str, adjust: bool) -> None:
    y, p = draw(*case)
    kwargs = {"adjust_pred_probs": adjust and method != "confidence_weighted_entropy"}
    options: Any = {"return_indices_ranked_by": method, "rank_by_kwargs": kwargs}
    mine, expected = labels.find_label_issues(y, p, **options), theirs(y, p, **options)
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
    np.testing.assert_array_equal(
        labels.estimate_joint(y, p, confident_joint=shares), their_count.estimate_joint(y, p, confident_joint=shares)
    )
    np.testing.assert_array_equal(
        labels.calibrate_confident_joint(mine[0], y), their_count.calibrate_confident_joint(mine[0], y)
    )
    np.testing.assert_array_equal(labels.get_confident_thresholds(y, p), their_count.get_confident_thresholds(y, p))


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


@settings(max_examples=20, deadline=None)
@given(CASES, st.booleans())
def test_predictions_as_the_joint(case: Any, calibrate: bool) -> None:
    y, p = draw(*case)
    np.testing.assert_array_equal(labels.find_predicted_neq_given(y, p), their_filter.find_predicted_neq_given(y, p))
    k = p.shape[1]
    y[:k], p[np.arange(len(y)), :] = np.arange(k)[: len(y)], p  # theirs needs every class among labels and predictions
    if len(set(y)) == k == len(set(p.argmax(axis=1))):
        mine = labels.find_label_issues_using_argmax_confusion_matrix(y, p, calibrate=calibrate)
        expected = their_filter.find_label_issues_using_argmax_confusion_matrix(y, p, calibrate=calibrate)
        np.testing.assert_array_equal(mine, expected)


@settings(max_examples=40, deadline=None)
@given(CASES, st.sampled_from(labels.SCORES), st.sampled_from(labels.WEIGHTINGS), st.integers(1, 3))
def test_ensembles(case: Any, method: str, weighting: str, models: int) -> None:
    seed, n, classes, kind, *_ = case
    y, p = draw(seed, n, classes, kind, "float64", 0)
    y[: p.shape[1]] = np.arange(p.shape[1])[: len(y)]
    rng = np.random.default_rng(case[0])
    members = [p] + [(p + rng.random(p.shape) * share) / (1 + share * 0.5) for share in (0.1, 0.5)[: models - 1]]
    members = [one / one.sum(axis=1, keepdims=True) for one in members]
    y[-1] = p[-1].argmax()  # theirs divides by zero where no model gives any label
    if len(set(y)) < (p.shape[1] if weighting == "log_loss_search" else 2):
        return  # theirs needs two classes, and every class for scikit-learn's log loss
    options: Any = {"method": method, "weight_ensemble_members_by": weighting, "verbose": False}
    if weighting == "custom":
        options["custom_weights"] = rng.random(models)
    if weighting == "log_loss_search":
        options["log_loss_search_T_values"] = [1e-2, 1e0, 1e1]
    mine = labels.get_label_quality_ensemble_scores(y, members, **options)
    expected = their_rank.get_label_quality_ensemble_scores(y, members, **options)
    np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=150, deadline=None)
@given(CASES, st.sampled_from(["cnt", "marginal", "marginal_ps"]), st.booleans(), st.booleans())
def test_latent_estimates(case: Any, method: str, converge: bool, calibrate: bool) -> None:
    y, p = draw(*case)
    options: Any = {"py_method": method, "converge_latent_estimates": converge}
    joint = labels.compute_confident_joint(y, p, calibrate=calibrate)
    mine: Any = labels.estimate_latent(joint, y, **options)
    expected = their_count.estimate_latent(joint, y, **options)
    for one, other in zip(mine, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    mine = labels.estimate_py_and_noise_matrices_from_probabilities(y, p, calibrate=calibrate, **options)
    expected = their_count.estimate_py_and_noise_matrices_from_probabilities(y, p, calibrate=calibrate, **options)
    for one, other in zip(mine, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_algebra(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    noise = np.eye(classes) * 3 + rng.random((classes, classes))
    noise /= noise.sum(axis=0)
    ps, p = rng.dirichlet(np.ones(classes)), rng.dirichlet(np.ones(classes), 20)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, 20)])
    inverse = their_algebra.compute_inv_noise_matrix(ps, noise)
    pairs = [
        (labels.compute_inv_noise_matrix(ps, noise), inverse),
        (labels.compute_inv_noise_matrix(ps, noise, ps=ps), their_algebra.compute_inv_noise_matrix(ps, noise, ps=ps)),
        (
            labels.compute_noise_matrix_from_inverse(ps, inverse),
            their_algebra.compute_noise_matrix_from_inverse(ps, inverse),
        ),
        (
            labels.compute_py(ps, noise, inverse, py_method="eqn"),
            their_algebra.compute_py(ps, noise, inverse, py_method="eqn"),
        ),
        *zip(
            labels.compute_py_inv_noise_matrix(ps, noise),
            their_algebra.compute_py_inv_noise_matrix(ps, noise),
            strict=True,
        ),
        *zip(
            labels.compute_ps_py_inv_noise_matrix(y, noise),
            their_algebra.compute_ps_py_inv_noise_matrix(y, noise),
            strict=True,
        ),
        (labels.compute_pyx(p, noise, inverse), their_algebra.compute_pyx(p, noise, inverse)),
    ]
    for mine, expected in pairs:
        np.testing.assert_array_equal(mine, expected)


@settings(max_examples=40, deadline=None)
@given(CASES, st.booleans(), st.booleans(), st.sampled_from(["labels", "joint", "counts"]))
def test_health(case: Any, asymmetric: bool, named: bool, start: str) -> None:
    y, p = draw(*case)
    names = [f"class {k}" for k in range(p.shape[1])] if named else None
    counts = labels.compute_confident_joint(y, p)
    joint = labels.estimate_joint(y, p)
    starts: dict[str, dict[str, Any]] = {
        "labels": {"labels": y, "pred_probs": p},
        "joint": {"joint": joint, "num_examples": len(y)},
        "counts": {"confident_joint": counts, "num_examples": len(y)},
    }
    given_by = starts[start]
    pd.testing.assert_frame_equal(
        labels.rank_classes_by_label_quality(class_names=names, **given_by),
        their_dataset.rank_classes_by_label_quality(class_names=names, **given_by),
    )
    pd.testing.assert_frame_equal(
        labels.find_overlapping_classes(class_names=names, asymmetric=asymmetric, **given_by),
        their_dataset.find_overlapping_classes(class_names=names, asymmetric=asymmetric, **given_by),
    )
    mine = labels.overall_label_health_score(verbose=False, **given_by)
    assert mine == their_dataset.overall_label_health_score(verbose=False, **given_by)
    if start == "labels":
        whole = labels.health_summary(class_names=names, verbose=False, **given_by)
        theirs_whole = their_dataset.health_summary(class_names=names, verbose=False, **given_by)
        assert whole.keys() == theirs_whole.keys()
        assert whole["overall_label_health_score"] == theirs_whole["overall_label_health_score"]
        np.testing.assert_array_equal(whole["joint"], theirs_whole["joint"])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("n", "classes", "absent"), [(40_000, 10, 0), (5_000, 100, 3)])
def test_larger_ones(n: int, classes: int, absent: int, order: Any) -> None:
    """Several blocks, several threads, every way of selecting; float32 beside float64."""
    for seed, (kind, dtype) in enumerate([("smooth", "float64"), ("rounded", "float64"), ("smooth", "float32")]):
        y, p = draw(seed, n, classes, kind, dtype, absent)
        p = np.asarray(p, order=order)
        for how in labels.FILTERS:
            expected = theirs(y, p, filter_by=how)
            for jobs in (1, 3):
                np.testing.assert_array_equal(labels.find_label_issues(y, p, filter_by=how, n_jobs=jobs), expected)


@pytest.mark.parametrize(("n", "absent"), [(3_000, 0), (700, 90)])
def test_a_thousand_classes(n: int, absent: int) -> None:
    y, p = draw(n, n, 1000, "smooth", "float64", absent)
    for how in ("both", "low_normalized_margin"):
        np.testing.assert_array_equal(labels.find_label_issues(y, p, filter_by=how), theirs(y, p, filter_by=how))
    expected = theirs(y, p, return_indices_ranked_by="self_confidence")
    np.testing.assert_array_equal(labels.find_label_issues(y, p, return_indices_ranked_by="self_confidence"), expected)
