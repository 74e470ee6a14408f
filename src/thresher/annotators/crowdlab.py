"""Consensus of annotators and a model, each weighed by how far it is better than guessing.

Goh, Tkachenko and Mueller, "CROWDLAB: Supervised learning to infer consensus labels and quality scores for data with
multiple annotators", NeurIPS 2022 workshop on human in the loop learning. The probability of the true class
is the weighted mean of the model's probabilities and of one vector per vote: the vector has P at the label and the rest
spread evenly, where P is the share of annotators that agree with the consensus. An annotator's weight is
1 - (disagreement with the other annotators) / E, the model's 1 - (error against the consensus) / E times the root of
the mean number of votes, where E is the error of always guessing the most frequent class. All of it is estimated on
rows with two votes or more, from the majority vote at first, then once again from the consensus it gave.

Weights, clipping (1e-6) and the second round are those of cleanlab 2.9, so that labels and scores are equal to rounding
for rows that all have a vote. Deviations: rows without votes are allowed and get the model's probabilities; where the
model cannot break a tie of votes the more frequent class wins (there, the rarer one, then the one with better
annotators, then chance).
"""

from dataclasses import dataclass

import numpy as np

from thresher.annotators.majority import checked, majority
from thresher.annotators.votes import Votes, refuse_alone

_FLOOR = 1e-6


@dataclass(frozen=True, eq=False)
class Crowdlab:
    """Consensus of annotators and a model.

    Attributes:
        probabilities: of the true class, float64 ``[N, K]``.
        labels: the consensus, int64 ``[N]``.
        weights: of the annotators, float64 ``[A]``.
        model_weight: of the model.
        accuracy: quality of each annotator, 0..1: float64 ``[A]``, NaN without labels.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    model_weight: float
    accuracy: np.ndarray


def crowdlab(votes: Votes, probabilities: np.ndarray) -> Crowdlab:
    """Find the consensus.

    Args:
        votes: labels of several annotators.
        probabilities: out-of-sample class probabilities of a model, float ``[N, K]``.

    Raises:
        UsageError: no row has two labels; probabilities that do not belong to the votes.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> votes = matrix_votes(np.array([[0, 0, 0], [1, 1, 1], [0, 1, -1], [1, 1, 0]]))
        >>> found = crowdlab(votes, np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.3, 0.7]]))
        >>> found.labels, found.probabilities[:, 1].round(2)
        (array([0, 1, 1, 1]), array([0.1, 0.8, 0.7, 0.7]))
    """
    refuse_alone(votes)
    probabilities = checked(votes, probabilities)
    first = majority(votes, probabilities)
    first = np.where(first < 0, probabilities.argmax(axis=1), first)
    agreement = peer_agreement(votes)
    belief, *_ = _combined(votes, probabilities, first, agreement)
    best = belief.argmax(axis=1)
    tied = belief[np.arange(votes.size), first] == belief.max(axis=1)
    labels = np.where(tied, first, best)
    belief, weights, model = _combined(votes, probabilities, labels, agreement)
    accuracy = _accuracy(votes, belief, labels, weights, model)
    return Crowdlab(belief, labels, weights, model, accuracy)


def peer_agreement(votes: Votes) -> np.ndarray:
    """How often the other annotators of the same rows give the same label.

    Args:
        votes: labels of several annotators.

    Returns:
        float64 ``[A]``, 0..1; the others' mean for an annotator who shares no row.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> peer_agreement(matrix_votes(np.array([[0, 0, 1], [1, 1, -1]])))
        array([0.66666667, 0.66666667, 0.        ])
    """
    rows, labels, counts = votes.tally()
    place = np.searchsorted(rows * votes.classes + labels, votes.rows.astype(np.int64) * votes.classes + votes.labels)
    others = votes.per_row[votes.rows] - 1
    same = np.bincount(votes.annotators, counts[place] - 1, minlength=len(votes.names))
    of = np.bincount(votes.annotators, others, minlength=len(votes.names))
    result = same / np.where(of > 0, of, 1)
    if (of > 0).any():
        result[of == 0] = result[of > 0].mean()
    return np.asarray(result)


def _combined(
    votes: Votes, probabilities: np.ndarray, labels: np.ndarray, agreement: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Probabilities of the true class, weights of the annotators and of the model, given a consensus."""
    number, several = votes.per_row, votes.per_row > 1
    right = np.bincount(votes.rows, votes.labels == labels[votes.rows], minlength=votes.size)
    hit = float(np.mean(right[several] / number[several]))
    miss = (1 - hit) / (votes.classes - 1)
    settled = labels[several]
    guess = max(float(np.mean(settled != np.bincount(settled).argmax())), _FLOOR)
    weights = np.maximum(1 - (1 - agreement) / guess, _FLOOR)
    error = float(np.mean(probabilities[several].argmax(axis=1) != settled))
    model = max(1 - error / guess, _FLOOR) * float(np.sqrt(number[number > 0].mean()))
    own = weights[votes.annotators]
    total = np.bincount(votes.rows, own, minlength=votes.size)
    belief = probabilities * model + (miss * total)[:, None]
    place = votes.rows.astype(np.int64) * votes.classes + votes.labels
    rows, classes, _ = votes.tally()
    found, which = np.unique(place, return_inverse=True)
    belief[rows, classes] += (hit - miss) * np.bincount(which, own, minlength=len(found))
    return belief / (total + model)[:, None], weights, model


def _accuracy(votes: Votes, belief: np.ndarray, labels: np.ndarray, weights: np.ndarray, model: float) -> np.ndarray:
    """Of each annotator: the mean probability of the labels given, and how often they are the consensus, weighed."""
    people = len(votes.names)
    likely = _mean(belief[votes.rows, votes.labels], votes.annotators, people)
    shared = votes.per_row[votes.rows] > 1
    agrees = _mean((votes.labels == labels[votes.rows])[shared], votes.annotators[shared], people)
    number = votes.per_row
    crowd = weights.sum() * number[number > 0].mean() / people
    share = model / (model + crowd)
    return np.asarray(share * likely + (1 - share) * agrees)


def _mean(values: np.ndarray, groups: np.ndarray, size: int) -> np.ndarray:
    """The mean of each group, NaN where it is empty."""
    number = np.bincount(groups, minlength=size)
    return np.asarray(np.bincount(groups, values, minlength=size) / np.where(number > 0, number, np.nan))
