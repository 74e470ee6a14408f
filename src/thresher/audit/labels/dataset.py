"""The health of a data set and of its classes: ``cleanlab.dataset``.

Every function starts from one of three: labels and pred_probs; a joint of shares and num_examples; a confident joint of
counts.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from thresher.audit.labels.count import estimate_joint, num_label_issues
from thresher.audit.labels.inputs import Labels, Names, Probabilities, numbered, prepared, square
from thresher.errors import UsageError

_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class _Start:
    """What every overview starts from.

    Attributes:
        joint: share of all samples that is labelled ``i`` and truly ``j``, float64 ``[K, K]``.
        examples: N.
        names: of the classes, or None.
    """

    joint: np.ndarray
    examples: int
    names: tuple[Hashable, ...] | None


def rank_classes_by_label_quality(
    labels: Labels | None = None,
    pred_probs: Probabilities | None = None,
    *,
    class_names: Names | None = None,
    num_examples: int | None = None,
    joint: np.ndarray | None = None,
    confident_joint: np.ndarray | None = None,
) -> pd.DataFrame:
    """How good the labels of each class are, worst class first.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        class_names: the K names in the order of the columns; default the labels' own, where they are names.
        num_examples: N, where there are no labels.
        joint: shares ``[K, K]``, row = given class, column = true class; default the estimated ones.
        confident_joint: counts ``[K, K]`` to estimate it from.

    Returns:
        One row per class: ``Class Name`` (where known), ``Class Index``, ``Label Issues`` (labelled so, truly another),
        ``Inverse Label Issues`` (truly so, labelled as another), ``Label Noise`` and ``Inverse Label Noise`` (these as
        shares of the class), ``Label Quality Score`` (1 - label noise).

    Raises:
        UsageError: not enough to start from, or what does not fit together.

    Example:
        >>> rank_classes_by_label_quality(joint=[[0.5, 0.0], [0.1, 0.4]], num_examples=10)["Class Index"].tolist()
        [1, 0]
    """
    return _quality(_start(labels, pred_probs, class_names, num_examples, joint, confident_joint))


def find_overlapping_classes(
    labels: Labels | None = None,
    pred_probs: Probabilities | None = None,
    *,
    asymmetric: bool = False,
    class_names: Names | None = None,
    num_examples: int | None = None,
    joint: np.ndarray | None = None,
    confident_joint: np.ndarray | None = None,
) -> pd.DataFrame:
    """Which pairs of classes are mistaken for one another, worst pair first.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        asymmetric: list a pair twice: A the given and B the true class. Otherwise both directions are added up.
        class_names: as for `rank_classes_by_label_quality`.
        num_examples: N, where there are no labels.
        joint: shares ``[K, K]``; default the estimated ones.
        confident_joint: counts ``[K, K]`` to estimate it from.

    Returns:
        One row per pair: ``Class Name A`` and ``Class Name B`` (where known), ``Class Index A``, ``Class Index B``,
        ``Num Overlapping Examples``, ``Joint Probability`` (the same as a share of all samples).

    Raises:
        UsageError: not enough to start from, or what does not fit together.

    Example:
        >>> find_overlapping_classes(joint=[[0.5, 0.0], [0.1, 0.4]], num_examples=10).iloc[0].tolist()
        [0.0, 1.0, 1.0, 0.1]
    """
    return _overlap(_start(labels, pred_probs, class_names, num_examples, joint, confident_joint), asymmetric)


def overall_label_health_score(
    labels: Labels | None = None,
    pred_probs: Probabilities | None = None,
    *,
    num_examples: int | None = None,
    confident_joint: np.ndarray | None = None,
    joint: np.ndarray | None = None,
    verbose: bool = True,
) -> float:
    """The share of labels that are right: 0..1.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``; with labels, the wrong ones are counted one by
            one, and no joint is read.
        num_examples: N, where there are no labels.
        confident_joint: counts ``[K, K]`` to start from, without probabilities.
        joint: shares ``[K, K]`` to start from, without probabilities.
        verbose: print the score in a sentence.

    Returns:
        1 - wrong labels / labels.

    Raises:
        UsageError: not enough to start from, or what does not fit together.

    Example:
        >>> round(overall_label_health_score(joint=[[0.5, 0.0], [0.1, 0.4]], num_examples=10, verbose=False), 3)
        0.9
    """
    if labels is not None and pred_probs is not None:
        examples = num_examples or len(labels)
        score = 1 - num_label_issues(labels, pred_probs) / max(examples, 1)
    else:
        start = _start(labels, pred_probs, None, num_examples, joint, confident_joint)
        examples, score = start.examples, float(start.joint.trace())
    if verbose:
        wrong = round((1 - score) * examples)
        print(f"about {wrong:,} of {examples:,} labels are probably wrong: label health {score:.2f}")
    return score


def health_summary(
    labels: Labels | None = None,
    pred_probs: Probabilities | None = None,
    *,
    asymmetric: bool = False,
    class_names: Names | None = None,
    num_examples: int | None = None,
    joint: np.ndarray | None = None,
    confident_joint: np.ndarray | None = None,
    verbose: bool = True,
) -> dict[str, Any]:
    """The three overviews at once.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        asymmetric: as for `find_overlapping_classes`.
        class_names: as for `rank_classes_by_label_quality`.
        num_examples: N, where there are no labels.
        joint: shares ``[K, K]``; default the estimated ones.
        confident_joint: counts ``[K, K]`` to estimate it from.
        verbose: print them.

    Returns:
        ``overall_label_health_score``, ``joint``, ``classes_by_label_quality`` and ``overlapping_classes``.

    Raises:
        UsageError: not enough to start from, or what does not fit together.

    Example:
        >>> sorted(health_summary(joint=[[0.5, 0.0], [0.1, 0.4]], num_examples=10, verbose=False))
        ['classes_by_label_quality', 'joint', 'overall_label_health_score', 'overlapping_classes']
    """
    start = _start(labels, pred_probs, class_names, num_examples, joint, confident_joint)
    quality, overlap = _quality(start), _overlap(start, asymmetric)
    if verbose:
        print(f"Classes, worst labels first:\n{quality}\n")
        print(f"Pairs of classes, those mistaken for one another most first:\n{overlap}\n")
    score = overall_label_health_score(
        labels, pred_probs, num_examples=start.examples, joint=start.joint, verbose=verbose
    )
    return {
        "overall_label_health_score": score,
        "joint": start.joint,
        "classes_by_label_quality": quality,
        "overlapping_classes": overlap,
    }


def _start(
    labels: Labels | None,
    pred_probs: Probabilities | None,
    class_names: Names | None,
    num_examples: int | None,
    joint: np.ndarray | None,
    confident_joint: np.ndarray | None,
) -> _Start:
    """The joint, the number of samples and the names, from whatever there is."""
    names = None if class_names is None else tuple(class_names)
    if labels is not None and pred_probs is not None:
        labels, pred_probs, own = prepared(labels, pred_probs, None if numbered(labels) else names)
        names = names or own
    if joint is not None:
        shares = square(joint, what="joint")
    elif confident_joint is not None or pred_probs is not None:
        shares = estimate_joint(labels, pred_probs, confident_joint=confident_joint)
    else:
        raise UsageError("give labels and pred_probs, or joint and num_examples, or confident_joint")
    if names is not None and len(names) != len(shares):
        raise UsageError(f"class_names must be {len(shares)} names, one per class: there are {len(names)}")
    return _Start(shares, _examples(labels, num_examples, confident_joint), names)


def _examples(labels: Labels | None, num_examples: int | None, confident_joint: np.ndarray | None) -> int:
    if num_examples is not None:
        return num_examples
    if labels is not None:
        return len(labels)
    if confident_joint is not None:
        return int(np.sum(confident_joint))
    raise UsageError("the number of samples is unknown: give num_examples with joint")


def _quality(start: _Start) -> pd.DataFrame:
    joint, own = start.joint, start.joint.diagonal()
    given, true = joint.sum(axis=1), joint.sum(axis=0)
    noise = (given - own) / np.maximum(given, _LEAST)
    table = pd.DataFrame(
        {
            "Class Index": np.arange(len(joint)),
            "Label Issues": ((given - own) * start.examples).round().astype(int),
            "Inverse Label Issues": ((true - own) * start.examples).round().astype(int),
            "Label Noise": noise,
            "Inverse Label Noise": (true - own) / np.maximum(true, _LEAST),
            "Label Quality Score": 1 - noise,
        }
    )
    if start.names is not None:
        table.insert(0, "Class Name", list(start.names))
    return table.sort_values("Label Quality Score").reset_index(drop=True)


def _overlap(start: _Start, asymmetric: bool) -> pd.DataFrame:
    count = len(start.joint)
    first, second = np.nonzero(~np.eye(count, dtype=bool)) if asymmetric else np.triu_indices(count, 1)
    shares = start.joint[first, second]
    if not asymmetric:
        shares = shares + start.joint[second, first]
    table = pd.DataFrame(
        {
            "Class Index A": first,
            "Class Index B": second,
            "Num Overlapping Examples": (shares * start.examples).round().astype(int),
            "Joint Probability": shares,
        }
    )
    if start.names is not None:
        names = pd.Series(start.names)
        table.insert(0, "Class Name A", names.iloc[first].to_numpy())
        table.insert(1, "Class Name B", names.iloc[second].to_numpy())
    return table.sort_values("Joint Probability", ascending=False).reset_index(drop=True)
