"""How good the labels of multi-label data are, per class and as a whole.

Names, columns and figures are those of ``cleanlab.multilabel_classification.dataset`` in version 2.9; its counts of
"Label Issues" are cut off by rounding errors now and then, these are exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from thresher.audit.multilabel.binary import Request, wrong_labels
from thresher.audit.multilabel.filter import find_label_issues
from thresher.audit.multilabel.labels import Labels, checked
from thresher.errors import UsageError


def common_multilabel_issues(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    confident_joint: np.ndarray | None = None,
) -> pd.DataFrame:
    """How often each class is given wrongly, and how often it is missing, the most frequent first.

    Args:
        labels: lists of class numbers, or a matrix of 0 and 1 ``[N, K]``.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        class_names: K names.
        confident_joint: counts ``[K, 2, 2]`` to use instead of the estimated ones.

    Returns:
        Two rows per class: ``Class Name`` (where there are names), ``Class Index``, ``In Given Label``,
        ``In Suggested Label``, ``Num Examples``, ``Issue Probability``.

    Raises:
        UsageError: arrays that do not fit together, another number of names.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.9], [0.1, 0.8], [0.2, 0.1], [0.1, 0.2]])
        >>> common_multilabel_issues([[0], [0, 1], [1], [], [0]], p)["Num Examples"].tolist()
        [1, 0, 0, 0]
    """
    given, probabilities = checked(labels, pred_probs)
    if class_names is not None and len(class_names) != given.shape[1]:
        raise UsageError(f"there are {len(class_names)} class names for {given.shape[1]} classes")
    request = Request.of("prune_by_noise_rate", 1.0, None, 1, confident_joint, given.shape[1])
    wrong = wrong_labels(given, probabilities, request)
    rows = [
        {
            **({} if class_names is None else {"Class Name": class_names[k]}),
            "Class Index": k,
            "In Given Label": has,
            "In Suggested Label": not has,
            "Num Examples": (number := int((wrong[:, k] & (given[:, k] == has)).sum())),
            "Issue Probability": number / max(len(given), 1),
        }
        for k in range(given.shape[1])
        for has in (True, False)
    ]
    return pd.DataFrame(rows).sort_values(by=["Issue Probability"], ascending=False).reset_index(drop=True)


def rank_classes_by_multilabel_quality(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    confident_joint: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row per class, the worst first.

    Args:
        labels: as for `common_multilabel_issues`, like all other arguments.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        class_names: K names.
        confident_joint: counts ``[K, 2, 2]``.

    Returns:
        ``Class Name`` (where there are names), ``Class Index``; ``Label Issues``, samples that have the class and
        should not; ``Inverse Label Issues``, those that lack it; ``Label Noise`` and ``Inverse Label Noise``, the
        same over N; ``Label Quality Score``, 1 - ``Label Noise``.

    Raises:
        UsageError: as for `common_multilabel_issues`.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.9], [0.1, 0.8], [0.2, 0.1], [0.1, 0.2]])
        >>> rank_classes_by_multilabel_quality([[0], [0, 1], [1], [], [0]], p)["Label Quality Score"].tolist()
        [0.8, 1.0]
    """
    common = common_multilabel_issues(
        labels, pred_probs, class_names=class_names, confident_joint=confident_joint
    ).rename(columns={"Num Examples": "Label Issues", "Issue Probability": "Label Noise"})
    about = ["Class Index"] if class_names is None else ["Class Name", "Class Index"]
    extra, lacking = (
        common[common["In Given Label"] == has][[*about, "Label Issues", "Label Noise"]] for has in (True, False)
    )
    inverse = lacking.rename(columns=lambda name: f"Inverse {name}" if name not in about else name)
    table = extra.merge(inverse, on=about)
    table["Label Quality Score"] = 1 - table["Label Noise"]
    columns = [*about, "Label Issues", "Inverse Label Issues", "Label Noise", "Inverse Label Noise"]
    ranked = table.sort_values(by="Label Quality Score").reset_index(drop=True)
    return ranked[[*columns, "Label Quality Score"]]


def overall_multilabel_health_score(
    labels: Labels, pred_probs: np.ndarray, *, confident_joint: np.ndarray | None = None
) -> float:
    """The share of samples whose labels are all thought right, 0..1.

    Args:
        labels: lists of class numbers, or a matrix of 0 and 1 ``[N, K]``.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        confident_joint: counts ``[K, 2, 2]``.

    Raises:
        UsageError: arrays that do not fit together, or no samples.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.9], [0.1, 0.8], [0.2, 0.1], [0.1, 0.2]])
        >>> overall_multilabel_health_score([[0], [0, 1], [1], [], [0]], p)
        0.8
    """
    wrong = find_label_issues(labels, pred_probs, confident_joint=confident_joint)
    if not len(wrong):
        raise UsageError("there are no samples to judge the labels of: give at least one")
    return 1.0 - int(wrong.sum()) / len(wrong)


def multilabel_health_summary(
    labels: Labels,
    pred_probs: np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    confident_joint: np.ndarray | None = None,
) -> dict[str, Any]:
    """The three together; nothing is printed.

    Args:
        labels: as for `common_multilabel_issues`, like all other arguments.
        pred_probs: out-of-sample probability of every class on its own, float ``[N, K]``.
        class_names: K names.
        confident_joint: counts ``[K, 2, 2]``.

    Returns:
        ``overall_multilabel_health_score``, ``classes_by_multilabel_quality``, ``common_multilabel_issues``.

    Raises:
        UsageError: as for `common_multilabel_issues`.

    Example:
        >>> sorted(multilabel_health_summary([[0], [1]], np.array([[0.9, 0.1], [0.2, 0.8]])))[0]
        'classes_by_multilabel_quality'
    """
    joint = confident_joint
    return {
        "overall_multilabel_health_score": overall_multilabel_health_score(labels, pred_probs, confident_joint=joint),
        "classes_by_multilabel_quality": rank_classes_by_multilabel_quality(
            labels, pred_probs, class_names=class_names, confident_joint=joint
        ),
        "common_multilabel_issues": common_multilabel_issues(
            labels, pred_probs, class_names=class_names, confident_joint=joint
        ),
    }
