"""How far each given label stands above or below the other classes."""

import numpy as np

from thresher.audit.blocks import blocks, row_max, share

_CLOSE = 1e-6


def self_confidence(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The probability of the given label: a quality score, low = bad.

    Args:
        labels: given labels, integer ``[N]``.
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        ``[N]`` in 0..1, of the dtype of `probabilities`.

    Example:
        >>> self_confidence(np.array([1, 0]), np.array([[0.3, 0.7], [0.4, 0.6]]))
        array([0.7, 0.4])
    """
    result = np.empty(len(labels), dtype=probabilities.dtype)

    def one(rows: slice) -> None:
        block = probabilities[rows]
        result[rows] = block[np.arange(len(block)), labels[rows]]

    share(one, list(blocks(probabilities)))
    return result


def normalized_margin(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``(p_given - max of the others + 1) / 2``: a quality score, low = bad, below 0.5 where another class leads.

    Args:
        labels: given labels, integer ``[N]``.
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        ``[N]`` in 0..1, of the dtype of `probabilities`.

    Example:
        >>> normalized_margin(np.array([1, 0]), np.array([[0.25, 0.75], [0.25, 0.75]]))
        array([0.75, 0.25])
    """
    margin = label_margin(labels, probabilities)
    margin += 1
    margin /= 2
    return margin


def label_margin(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value of the given label minus the largest of the others: negative where another class leads.

    Args:
        labels: given labels, integer ``[N]``.
        values: class probabilities or logits, float ``[N, K]`` with K of two or more.

    Returns:
        ``[N]``, of the dtype of `values`.

    Example:
        >>> label_margin(np.array([1, 0]), np.array([[2.0, 5.0], [1.0, 4.0]]))
        array([ 3., -3.])
    """
    margin = np.empty(len(labels), dtype=values.dtype)

    def one(rows: slice) -> None:
        others, own = values[rows].copy(), (np.arange(len(margin[rows])), labels[rows])
        margin[rows] = others[own]
        others[own] = -np.inf
        margin[rows] -= row_max(others).astype(margin.dtype)

    share(one, list(blocks(values)))
    return margin


def agrees(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether the model would give the same label, ties in favour of the given one.

    Args:
        labels: given labels, integer ``[N]``.
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        bool ``[N]``.

    Example:
        >>> agrees(np.array([1, 0]), np.array([[0.5, 0.5], [0.4, 0.6]]))
        array([ True, False])
    """
    result = np.empty(len(labels), dtype=bool)

    def one(rows: slice) -> None:
        block = probabilities[rows]
        np.logical_not(doubts(labels[rows], block, row_max(block)), out=result[rows])

    share(one, list(blocks(probabilities)))
    return result


def doubts(labels: np.ndarray, block: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Whether the model would give another label: not `agrees`, of a block of rows.

    Args:
        labels: given labels, integer ``[B]``.
        block: class probabilities, float ``[B, K]``.
        most: the largest of every row, ``[B]``, from `row_max`.

    Returns:
        bool ``[B]``.

    Example:
        >>> doubts(np.array([1, 0]), np.array([[0.5, 0.5], [0.4, 0.6]]), np.array([0.5, 0.6]))
        array([False,  True])
    """
    lead = block[np.arange(len(block)), labels] + _CLOSE
    result = np.asarray(lead < most)
    level = np.flatnonzero(lead == most)  # of classes that lie exactly one tolerance above, the earlier ones win
    result[level] = block[level].argmax(axis=1) < labels[level]
    return result


def predicted(probabilities: np.ndarray) -> np.ndarray:
    """The most probable class of every sample, of equally probable ones the first.

    Args:
        probabilities: class probabilities, float ``[N, K]``.

    Returns:
        int64 ``[N]``.

    Example:
        >>> predicted(np.array([[0.5, 0.5], [0.4, 0.6]]))
        array([0, 1])
    """
    result = np.empty(len(probabilities), dtype=np.int64)

    def one(rows: slice) -> None:
        result[rows] = probabilities[rows].argmax(axis=1)

    share(one, list(blocks(probabilities)))
    return result
