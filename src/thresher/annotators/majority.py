"""The label that most annotators gave."""

import numpy as np

from thresher.annotators.votes import Votes
from thresher.errors import UsageError


def majority(votes: Votes, probabilities: np.ndarray | None = None) -> np.ndarray:
    """The most frequent label of each row.

    Of labels that were given equally often, the model's more probable one wins, if there is a model; then the one that
    is given more often in all rows; then the lower class number. Nothing is drawn at random.

    Args:
        votes: labels of several annotators.
        probabilities: out-of-sample class probabilities of a model, float ``[N, K]``.

    Returns:
        Class numbers, int64 ``[N]``; -1 for a row without labels.

    Raises:
        UsageError: probabilities of another shape, or without a meaning.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> votes = matrix_votes(np.array([[1, 1, 0], [1, 0, -1], [-1, -1, -1]]))
        >>> majority(votes), majority(votes, np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]]))
        (array([ 1,  1, -1]), array([ 1,  0, -1]))
    """
    rows, labels, counts = votes.tally()
    believed = np.zeros(len(rows)) if probabilities is None else checked(votes, probabilities)[rows, labels]
    often = np.bincount(votes.labels, minlength=votes.classes)[labels]
    order = np.lexsort((-labels, often, believed, counts, rows))
    rows, labels = rows[order], labels[order]
    last = np.flatnonzero(np.append(rows[1:] != rows[:-1], len(rows) > 0))
    result = np.full(votes.size, -1, dtype=np.int64)
    result[rows[last]] = labels[last]
    return result


def checked(votes: Votes, probabilities: np.ndarray) -> np.ndarray:
    """A model's probabilities, after making sure that they belong to the votes.

    Args:
        votes: labels of several annotators.
        probabilities: class probabilities, ``[N, K]``.

    Raises:
        UsageError: another shape, NaN, or values outside of 0..1.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> checked(matrix_votes(np.array([[1, 0]])), np.array([[0.5, 0.5, 0.0]]))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: the probabilities are [1, 3], and the votes have 1 rows and 2 classes: give one each
    """
    probabilities = np.asarray(probabilities)
    if probabilities.shape != (votes.size, votes.classes):
        shape = f"the probabilities are {list(probabilities.shape)}"
        raise UsageError(f"{shape}, and the votes have {votes.size} rows and {votes.classes} classes: give one each")
    if probabilities.dtype.kind != "f" or not (
        probabilities.min(initial=0.0) >= -1e-6 and probabilities.max(initial=0.0) <= 1 + 1e-6
    ):
        raise UsageError(
            "probabilities of a model must be numbers from 0 to 1, without NaN: take the softmax of logits"
        )
    return probabilities
