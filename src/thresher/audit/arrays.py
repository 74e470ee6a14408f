"""Labels and probabilities that mean something together."""

from collections.abc import Callable

import numpy as np

from thresher.audit.blocks import blocks, share, turned
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
    return examined(labels, probabilities)[:2]


def examined(
    labels: np.ndarray, probabilities: np.ndarray, each: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`checked`, and in the same pass what a function says of every row: a large matrix is read once instead of twice.

    Args:
        labels: as for `checked`.
        probabilities: as for `checked`.
        each: takes some labels ``[B]`` and rows ``[B, K]`` that are not checked yet, and gives ``[B]``.

    Returns:
        Both, as from `checked`, and what `each` said, ``[N]``; empty without it.

    Raises:
        UsageError: as for `checked`.

    Example:
        >>> examined(np.array([0, 1]), np.full((2, 2), 0.5), lambda given, block: block[:, 0] + given)[2]
        array([0.5, 1.5])
    """
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
    labels = labels.astype(np.int64, copy=False)
    said = each or (lambda given, block: given[:0])

    def one(rows: slice) -> tuple[float, float, np.ndarray]:
        block = turned(probabilities[rows]) if probabilities.dtype == np.float16 else probabilities[rows]
        return float(block.min()), float(block.max()), said(labels[rows], probabilities[rows])

    found = share(one, list(blocks(probabilities))) or [(0.0, 1.0, said(labels, probabilities))]
    _check_values([(low, high) for low, high, _ in found])
    return labels, probabilities, np.concatenate([part for _, _, part in found])


def _check_values(ends: list[tuple[float, float]]) -> None:
    """Refuse what is no probability; NaN shows in the smallest and the largest value of its block."""
    low, high = min(a for a, _ in ends), max(b for _, b in ends)
    if not np.isfinite(ends).all():
        raise UsageError("probabilities hold NaN or infinite values: score these rows again or leave them out")
    if low < -_CLOSE or high > 1 + _CLOSE:
        raise UsageError(
            f"probabilities go from {low:.4g} to {high:.4g}: they must lie in 0 to 1; of logits, take the softmax first"
        )
