"""Labels and probabilities that mean something together."""

import numpy as np

from thresher.audit.blocks import blocks, precise, row_max, share
from thresher.audit.margins import doubts
from thresher.errors import UsageError

_CLOSE = 1e-6


def checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, after making sure that they mean something together.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1; lists and series too.
        probabilities: class probabilities, ``[N, K]``.

    Returns:
        int64 ``[N]``, and floats ``[N, K]`` of the dtype they had; neither is copied where that can be avoided.

    Raises:
        UsageError: the arrays do not fit together, or hold values that have no meaning.

    Example:
        >>> checked(np.array([0, 1, 1]), np.full((2, 2), 0.5))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there are 3 labels for 2 rows of probabilities
    """
    labels, probabilities = _shaped(labels, probabilities)
    _check_values(share(lambda rows: _ends(probabilities[rows]), list(blocks(probabilities))))
    return labels, probabilities


def _ends(block: np.ndarray) -> tuple[float, float]:
    exact = precise(block)
    return float(exact.min()), float(exact.max())


def checked_with_doubts(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`checked`, and in the same pass `doubts`: a large matrix is read once instead of twice.

    Args:
        labels: as for `checked`.
        probabilities: as for `checked`.

    Returns:
        Both, as from `checked`, and the labels that the model would not give: bool ``[N]``.

    Raises:
        UsageError: as for `checked`.

    Example:
        >>> checked_with_doubts(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))[2]
        array([False,  True])
    """
    labels, probabilities = _shaped(labels, probabilities)
    doubted = np.empty(len(labels), dtype=bool)

    def one(rows: slice) -> tuple[float, float]:
        block = probabilities[rows]
        most = row_max(block)
        doubted[rows] = doubts(labels[rows], block, most)
        return float(precise(block).min()), float(most.max())

    _check_values(share(one, list(blocks(probabilities))))
    return labels, probabilities, doubted


def _shaped(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays of the shapes and types that they should have, of labels that the probabilities know."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.dtype.kind in "iub":
        probabilities = probabilities.astype(np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise UsageError(f"probabilities have shape {probabilities.shape}: they must be [samples, classes >= 2]")
    if probabilities.dtype.kind != "f":
        raise UsageError(f"probabilities are of type {probabilities.dtype}: they must be numbers")
    if labels.shape != probabilities.shape[:1]:
        raise UsageError(f"there are {labels.size} labels for {len(probabilities)} rows of probabilities")
    if labels.dtype.kind == "O" and all(isinstance(label, int | np.integer) for label in labels):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise UsageError(
            f"labels are of type {labels.dtype}: they must be integers from 0; of names, "
            "numpy.unique(names, return_inverse=True)[1] makes them, in sorted order"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < probabilities.shape[1]:
        raise UsageError(
            f"labels go from {labels.min()} to {labels.max()}, but the probabilities have classes 0 to"
            f" {probabilities.shape[1] - 1}"
        )
    return labels.astype(np.int64, copy=False), probabilities


def _check_values(ends: list[tuple[float, float]]) -> None:
    """Refuse what is no probability; NaN shows in the smallest and the largest value of its block."""
    low, high = min((a for a, _ in ends), default=0), max((b for _, b in ends), default=1)
    if not np.isfinite(ends).all():
        raise UsageError("probabilities hold NaN or infinite values: score these rows again or leave them out")
    if low < -_CLOSE or high > 1 + _CLOSE:
        raise UsageError(
            f"probabilities go from {low:.4g} to {high:.4g}: they must lie in 0 to 1; of logits, take the softmax first"
        )
