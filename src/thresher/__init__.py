"""Thresher trains accurate models from wrongly labelled data, and says which labels are wrong.

Everything public is imported on first use: torch takes seconds, and `thresher --help` should not.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thresher import annotators, noise, testing
    from thresher.api import find_issues, fit
    from thresher.audit import multilabel
    from thresher.audit.anchors import anchor_transition
    from thresher.audit.labels import (
        calibrate_confident_joint,
        compute_confident_joint,
        estimate_joint,
        estimate_latent,
        estimate_py_and_noise_matrices_from_probabilities,
        find_label_issues,
        find_label_issues_using_argmax_confusion_matrix,
        find_overlapping_classes,
        find_predicted_neq_given,
        find_top_issues,
        get_confident_thresholds,
        get_label_quality_ensemble_scores,
        get_label_quality_scores,
        health_summary,
        num_label_issues,
        order_label_issues,
        overall_label_health_score,
        rank_classes_by_label_quality,
    )
    from thresher.audit.streaming import find_label_issues_in_files
    from thresher.engine.drop_in import as_loss, as_optimizer
    from thresher.errors import ThresherError, UsageError
    from thresher.methods import method
    from thresher.result import Result, load

__all__ = [
    "Result",
    "ThresherError",
    "UsageError",
    "anchor_transition",
    "annotators",
    "as_loss",
    "as_optimizer",
    "calibrate_confident_joint",
    "compute_confident_joint",
    "estimate_joint",
    "estimate_latent",
    "estimate_py_and_noise_matrices_from_probabilities",
    "find_issues",
    "find_label_issues",
    "find_label_issues_in_files",
    "find_label_issues_using_argmax_confusion_matrix",
    "find_overlapping_classes",
    "find_predicted_neq_given",
    "find_top_issues",
    "fit",
    "get_confident_thresholds",
    "get_label_quality_ensemble_scores",
    "get_label_quality_scores",
    "health_summary",
    "load",
    "method",
    "multilabel",
    "noise",
    "num_label_issues",
    "order_label_issues",
    "overall_label_health_score",
    "rank_classes_by_label_quality",
    "testing",
]

_HOME = {
    "Result": "thresher.result",
    "ThresherError": "thresher.errors",
    "UsageError": "thresher.errors",
    "anchor_transition": "thresher.audit.anchors",
    "as_loss": "thresher.engine.drop_in",
    "as_optimizer": "thresher.engine.drop_in",
    "find_issues": "thresher.api",
    "find_label_issues_in_files": "thresher.audit.streaming",
    "fit": "thresher.api",
    "load": "thresher.result",
    "method": "thresher.methods",
    **dict.fromkeys(
        (
            "calibrate_confident_joint",
            "compute_confident_joint",
            "estimate_joint",
            "estimate_latent",
            "estimate_py_and_noise_matrices_from_probabilities",
            "find_label_issues",
            "find_label_issues_using_argmax_confusion_matrix",
            "find_overlapping_classes",
            "find_predicted_neq_given",
            "find_top_issues",
            "get_confident_thresholds",
            "get_label_quality_ensemble_scores",
            "get_label_quality_scores",
            "health_summary",
            "num_label_issues",
            "order_label_issues",
            "overall_label_health_score",
            "rank_classes_by_label_quality",
        ),
        "thresher.audit.labels",
    ),
}
_MODULES = {
    "annotators": "thresher.annotators",
    "multilabel": "thresher.audit.multilabel",
    "noise": "thresher.noise",
    "testing": "thresher.testing",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'thresher' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
