"""One label per row from the labels of several annotators, with what it is worth: by votes, by errors, by a model."""

from dataclasses import dataclass

import numpy as np

from thresher.annotators.crowdlab import crowdlab
from thresher.annotators.dawid_skene import dawid_skene
from thresher.annotators.majority import majority
from thresher.annotators.votes import Votes, refuse_alone
from thresher.errors import UsageError

METHODS = ("majority", "dawid_skene", "crowdlab")


@dataclass(frozen=True, eq=False)
class Consensus:
    """One label per row.

    Attributes:
        method: one of `METHODS`.
        labels: class numbers, int64 ``[N]``; -1 for a row that has no labels, and no model.
        probabilities: of the true class, float64 ``[N, K]``; zeros in such a row.
        accuracy: of each annotator, float64 ``[A]``, 0..1, NaN without labels.
    """

    method: str
    labels: np.ndarray
    probabilities: np.ndarray
    accuracy: np.ndarray

    @property
    def quality(self) -> np.ndarray:
        """The probability that the consensus is right: float64 ``[N]``, 0 where there is none."""
        return np.asarray(self.probabilities[np.arange(len(self.labels)), np.maximum(self.labels, 0)])


def consensus(votes: Votes, method: str = "auto", probabilities: np.ndarray | None = None) -> Consensus:
    """Settle on one label per row.

    Args:
        votes: labels of several annotators.
        method: ``majority`` (probabilities are the shares of the votes, an annotator's accuracy the mean agreement with
            the consensus on rows that others labelled too), ``dawid_skene``, ``crowdlab``; ``auto`` is ``crowdlab``
            where there is a model, and ``dawid_skene`` otherwise.
        probabilities: out-of-sample class probabilities of a model, float ``[N, K]``; ``crowdlab`` needs them,
            ``majority`` breaks ties by them.

    Raises:
        UsageError: an unknown method; one that needs a model without one, or the other way round; no row with two
            labels; probabilities that do not belong to the votes.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> found = consensus(matrix_votes(np.array([[0, 0, 1], [1, 1, 1], [0, -1, 0]])), "majority")
        >>> found.labels, found.quality.round(2), found.accuracy.round(2)
        (array([0, 1, 0]), array([0.67, 1.  , 1.  ]), array([1.  , 1.  , 0.67]))
    """
    if method == "auto":
        method = "dawid_skene" if probabilities is None else "crowdlab"
    if method not in METHODS:
        raise UsageError(f"there is no consensus {method!r}: choose auto, {', '.join(METHODS)}")
    if method == "crowdlab":
        if probabilities is None:
            raise UsageError("crowdlab needs a model's probabilities: give --probs, or choose dawid_skene or majority")
        found = crowdlab(votes, probabilities)
        return Consensus(method, found.labels, found.probabilities, found.accuracy)
    if method == "majority":
        return _by_majority(votes, probabilities)
    if probabilities is not None:
        raise UsageError("dawid_skene does not read a model's probabilities: leave them out, or choose crowdlab")
    fitted = dawid_skene(votes)
    return Consensus(method, _best(votes, fitted.probabilities), fitted.probabilities, fitted.accuracy)


def _by_majority(votes: Votes, probabilities: np.ndarray | None) -> Consensus:
    refuse_alone(votes)
    labels = majority(votes, probabilities)
    shared = votes.per_row[votes.rows] > 1
    people, right = votes.annotators[shared], (votes.labels == labels[votes.rows])[shared]
    number = np.bincount(people, minlength=len(votes.names))
    accuracy = np.bincount(people, right, minlength=len(votes.names)) / np.where(number > 0, number, np.nan)
    return Consensus("majority", labels, votes.shares(), accuracy)


def _best(votes: Votes, probabilities: np.ndarray) -> np.ndarray:
    """The most probable class, the lowest of equal ones; -1 without labels."""
    return np.where(votes.per_row > 0, probabilities.argmax(axis=1), -1)


def soft_targets(votes: Votes, method: str = "auto", probabilities: np.ndarray | None = None) -> np.ndarray:
    """What to train on instead of one label per row: the probability of every class.

    Args:
        votes: labels of several annotators.
        method: as for `consensus`.
        probabilities: as for `consensus`.

    Returns:
        float32 ``[N, K]``; rows sum to 1, those without labels (and a model) are zero, which weighs nothing in a
        cross-entropy.

    Raises:
        UsageError: as for `consensus`.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> soft_targets(matrix_votes(np.array([[0, 0, 0, 1], [1, 1, 1, 1]])), "majority").tolist()
        [[0.75, 0.25], [0.0, 1.0]]
    """
    return consensus(votes, method, probabilities).probabilities.astype(np.float32)
