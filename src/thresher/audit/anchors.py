"""The transition matrix of the noise, read off the predictions for anchor points.

An anchor point of class i is a sample that surely belongs to it. What a network that was trained on the given labels
says of it is row i of T, ``T[i, j] = P(given label j | true class i)``. Patrini et al., "Making Deep Neural Networks
Robust to Label Noise: A Loss Correction Approach", CVPR 2017 (arXiv 1609.03683).

Deviation from the authors' code: it filters by writing zeros into the predictions themselves, so that later rows of T
read zeros in the columns filtered before them; here each column is filtered by itself.
"""

import numpy as np

from thresher.audit.confident import checked
from thresher.errors import UsageError

_PERCENTILE, _MANY = 97.0, 100
_CLOSE = 1e-2


def anchor_transition(pred_probs: np.ndarray, percentile: float | None = None) -> np.ndarray:
    """Estimate T from anchor points.

    Args:
        pred_probs: probabilities of the *given* labels as a network predicts them, ``[N, K]``, on samples that it did
            not learn by heart; rows sum to 1.
        percentile: which sample is the anchor of a class; see `anchor_points`.

    Returns:
        float64 ``[K, K]``; rows sum to 1.

    Raises:
        UsageError: no samples, no probabilities, or a percentile outside (0, 100].

    Example:
        >>> noise = np.array([[0.8, 0.2], [0.3, 0.7]])
        >>> truth = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])  # the first and the last sample are anchors
        >>> anchor_transition(truth @ noise, percentile=100).round(3).tolist()
        [[0.8, 0.2], [0.3, 0.7]]
    """
    probabilities = _checked(pred_probs)
    rows = np.clip(probabilities[anchor_points(probabilities, percentile)].astype(np.float64), 0, None)
    matrix: np.ndarray = rows / rows.sum(axis=1, keepdims=True)
    return matrix


def anchor_points(pred_probs: np.ndarray, percentile: float | None = None) -> np.ndarray:
    """The anchor point of every class: the sample that is predicted as it with the largest probability but a few.

    Samples at or above the percentile of the class's probability are left out, for the very largest may be flukes.
    Where all are (a column of one value), and for 100, the largest counts. Of equal values the first sample does.

    Args:
        pred_probs: ``[N, K]``, as for `anchor_transition`.
        percentile: in (0, 100]; None is the authors' choice: 97 below 100 classes, 100 from there on.

    Returns:
        Row numbers, int64 ``[K]``; a sample may serve two classes.

    Raises:
        UsageError: as `anchor_transition`.

    Example:
        >>> column = np.linspace(0, 1, 101)
        >>> anchor_points(np.stack([column, 1 - column], axis=1)).tolist()
        [96, 4]
    """
    probabilities = _checked(pred_probs)
    if percentile is None:
        percentile = _PERCENTILE if probabilities.shape[1] < _MANY else 100.0
    if not 0 < percentile <= 100:
        raise UsageError(f"percentile is {percentile}: give a number above 0, up to 100")
    return np.array([_anchor(column, percentile) for column in probabilities.T], dtype=np.int64)


def _anchor(column: np.ndarray, percentile: float) -> int:
    if percentile < 100:
        below = np.flatnonzero(column < np.percentile(column, percentile, method="higher"))
        if below.size:
            return int(below[column[below].argmax()])
    return int(column.argmax())


def _checked(pred_probs: np.ndarray) -> np.ndarray:
    """The probabilities as an array of numbers, one row per sample, each with sum 1."""
    shape = np.shape(pred_probs)
    _, probabilities = checked(np.zeros(shape[:1], dtype=np.int64), pred_probs)
    if not len(probabilities):
        raise UsageError("there are no samples to find anchor points among: give probabilities of at least one")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    off = np.flatnonzero(np.abs(sums - 1) > _CLOSE)
    if off.size:
        raise UsageError(
            f"row {off[0]} of the probabilities adds up to {sums[off[0]]:.4g}: each row needs those of one sample, "
            "which are 1 together"
        )
    return probabilities
