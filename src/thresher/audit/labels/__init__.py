"""cleanlab's functions on labels and predicted probabilities, under cleanlab's names, with cleanlab's results.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021; names, meanings
and defaults as in cleanlab 2.9 (``cleanlab.filter``, ``.rank``, ``.count`` and ``.dataset``). Masks, counts and orders
are the same on the same machine (equal values at a cut are ordered by numpy's sort, in both), scores to rounding.

Labels are class numbers 0..K-1, or names (then the columns are in sorted order, or in that of `classes`); arrays,
lists, pandas and torch are all taken. `pred_probs` is never copied; they must come from models that were not trained on
the rows they score. Two things differ on purpose: an option that the chosen filter does not read is refused instead of
ignored, and there is no multi-label mode.
"""

from thresher.audit.labels.algebra import (
    compute_inv_noise_matrix,
    compute_noise_matrix_from_inverse,
    compute_ps_py_inv_noise_matrix,
    compute_py,
    compute_py_inv_noise_matrix,
    compute_pyx,
)
from thresher.audit.labels.count import (
    ESTIMATES,
    calibrate_confident_joint,
    compute_confident_joint,
    estimate_joint,
    get_confident_thresholds,
    num_label_issues,
)
from thresher.audit.labels.dataset import (
    find_overlapping_classes,
    health_summary,
    overall_label_health_score,
    rank_classes_by_label_quality,
)
from thresher.audit.labels.ensemble import WEIGHTINGS, get_label_quality_ensemble_scores
from thresher.audit.labels.filter import (
    find_label_issues,
    find_label_issues_using_argmax_confusion_matrix,
    find_predicted_neq_given,
)
from thresher.audit.labels.latent import estimate_latent, estimate_py_and_noise_matrices_from_probabilities
from thresher.audit.labels.rank import (
    SCORES,
    find_top_issues,
    get_confidence_weighted_entropy_for_each_label,
    get_label_quality_scores,
    get_normalized_margin_for_each_label,
    get_self_confidence_for_each_label,
    order_label_issues,
)
from thresher.audit.prune import FILTERS

__all__ = [
    "ESTIMATES",
    "FILTERS",
    "SCORES",
    "WEIGHTINGS",
    "calibrate_confident_joint",
    "compute_confident_joint",
    "compute_inv_noise_matrix",
    "compute_noise_matrix_from_inverse",
    "compute_ps_py_inv_noise_matrix",
    "compute_py",
    "compute_py_inv_noise_matrix",
    "compute_pyx",
    "estimate_joint",
    "estimate_latent",
    "estimate_py_and_noise_matrices_from_probabilities",
    "find_label_issues",
    "find_label_issues_using_argmax_confusion_matrix",
    "find_overlapping_classes",
    "find_predicted_neq_given",
    "find_top_issues",
    "get_confidence_weighted_entropy_for_each_label",
    "get_confident_thresholds",
    "get_label_quality_ensemble_scores",
    "get_label_quality_scores",
    "get_normalized_margin_for_each_label",
    "get_self_confidence_for_each_label",
    "health_summary",
    "num_label_issues",
    "order_label_issues",
    "overall_label_health_score",
    "rank_classes_by_label_quality",
]
