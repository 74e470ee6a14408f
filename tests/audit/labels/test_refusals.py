"""Every request without a meaning is refused in a sentence that says what to do."""

from typing import Any

import numpy as np
import pytest

from thresher.audit import labels
from thresher.errors import UsageError

P = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
Y = np.array([0, 0, 0, 1, 1])


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
        ({"n_jobs": 0}, "there are 0 threads"),
        ({"classes": ["a"]}, "2 different names"),
        ({"classes": ["a", "b"]}, "labels hold 0, which is no class"),
    ],
)
def test_options(options: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        labels.find_label_issues(Y, P, **options)


@pytest.mark.parametrize(
    ("given", "probs", "words"),
    [
        (Y, P[:4], "5 labels for 4 rows"),
        (Y, P[0], "classes >= 2"),
        (Y, P * 4, "take the softmax"),
        (Y, np.where(P > 0.85, np.nan, P), "NaN"),
        (Y, [[0.5, 0.5], [1.0]], "no matrix"),
        (Y, P.astype(str), "must be numbers"),
        (Y + 1, P, "classes 0 to 1"),
        (["cat", "cat", "dog", None, "dog"], P, "missing value"),
        (["cat", 1, "dog", "dog", "dog"], P, "mixes"),
        ([0.5, 1, 0, 0, 1], P, "fractional"),
        ([0, 1, np.nan, 0, 1], P, "missing"),
        (np.eye(5), P, "one value per row"),
        ([[0], [1, 1], [0], [0], [0]], P, "labels"),
        (["cat"] * 5, P, "1 names for 2 columns"),
        (None, P, "labels"),
    ],
)
def test_arrays(given: Any, probs: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        labels.find_label_issues(given, probs)
    with pytest.raises(UsageError, match=words):
        labels.get_label_quality_scores(given, probs)
    with pytest.raises(UsageError, match=words):
        labels.compute_confident_joint(given, probs)


CALLS: list[tuple[Any, str]] = [
    (
        lambda: labels.get_label_quality_scores(Y, P, method="confidence_weighted_entropy", adjust_pred_probs=True),
        "choose another score",
    ),
    (lambda: labels.get_label_quality_scores(Y, P, method="entropy"), "no method 'entropy'"),
    (lambda: labels.order_label_issues(np.array([2]), Y, P), "5 true/false"),
    (lambda: labels.compute_confident_joint(Y, P, thresholds=[0.5]), "one per class"),
    (lambda: labels.compute_confident_joint(Y, P, thresholds=[0.5, np.nan]), "or NaN"),
    (lambda: labels.num_label_issues(Y, P, estimation_method="off_diagonal_custom"), "give both, or neither"),
    (lambda: labels.num_label_issues(Y, P, confident_joint=np.eye(2)), "give both, or neither"),
    (lambda: labels.num_label_issues(Y, P, estimation_method="off"), "no estimation_method 'off'"),
    (lambda: labels.calibrate_confident_joint(np.ones((2, 3)), Y), "must be numbers"),
    (lambda: labels.calibrate_confident_joint(np.eye(1), Y), "classes|columns|shape"),
    (lambda: labels.find_top_issues([0.1], top=-1), "0 or more"),
    (lambda: labels.find_top_issues(P), "one number per sample"),
    (lambda: labels.get_label_quality_ensemble_scores(Y, []), "is empty"),
    (lambda: labels.get_label_quality_ensemble_scores(Y, [P, P[:3]]), "5 labels for 3"),
    (lambda: labels.get_label_quality_ensemble_scores(Y, [P], weight_ensemble_members_by="best"), "'best'"),
    (lambda: labels.get_label_quality_ensemble_scores(Y, [P], custom_weights=[1]), "give both, or neither"),
    (
        lambda: labels.get_label_quality_ensemble_scores(
            Y, [P], custom_weights=[1, 2], weight_ensemble_members_by="custom"
        ),
        "1 numbers",
    ),
    (
        lambda: labels.get_label_quality_ensemble_scores(
            Y, [P], weight_ensemble_members_by="log_loss_search", log_loss_search_T_values=[]
        ),
        "is empty",
    ),
    (lambda: labels.estimate_latent(np.eye(2), Y, py_method="count"), "no py_method 'count'"),
    (lambda: labels.compute_py(P[0], np.eye(2), np.eye(2), py_method="marginal"), "true_labels_class_counts"),
    (lambda: labels.compute_py(P[0], np.ones((2, 2)), np.eye(2), py_method="eqn"), "cannot be inverted"),
    (lambda: labels.compute_pyx(P * 3, np.eye(2), np.eye(2)), "lie in 0 to 1"),
    (labels.health_summary, "give labels and pred_probs"),
    (lambda: labels.rank_classes_by_label_quality(joint=np.eye(2) / 2), "give num_examples"),
    (lambda: labels.find_overlapping_classes(Y, P, class_names=["a"]), "2 names"),
    (lambda: labels.overall_label_health_score(joint=np.array([[1, 2]]), num_examples=3), "must be numbers"),
]


@pytest.mark.parametrize(("call", "words"), CALLS, ids=[words for _, words in CALLS])
def test_other_functions(call: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call()
