"""Who is right, from how the annotators confuse the classes: a confusion matrix per annotator, fitted by EM.

Dawid and Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", JRSS C 28(1), 1979.
The true class of a row is hidden; given it, annotators err independently. Expectation (their equation 2.5): the
probability of each true class is the class's share times the product of the annotators' probabilities to give the
labels they gave. Maximisation (2.3 and 2.4): confusion matrices and shares are the expected frequencies. It starts from
the shares of the votes, as theirs does (section 3).

Deviations: all products are sums of logarithms. Every row of a confusion matrix begins with `smoothing` votes that are
spread as all annotators together spread theirs (theirs: none), for one label of a class is no proof that an annotator
never errs; on simulated crowds of 20 to 500 people, 3 votes named 0.1 to 1.7 points more labels right than none, and
spread evenly over the classes they did harm.

Only the labels that an annotator really gave are stored: memory is twice (rows + different pairs of annotator and
label) times classes doubles. Within the default limit of 8 GiB that is 50 million rows and pairs for 10 classes, and
half a million for 1,000; more is refused.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from thresher.annotators.votes import Votes, refuse_alone, refuse_too_large

_TINY = 1e-300  # keeps the logarithm of what was never seen finite


@dataclass(frozen=True, eq=False)
class DawidSkene:
    """A fitted model of annotators.

    Attributes:
        probabilities: of the true class, float64 ``[N, K]``; zeros for a row without labels.
        shares: of the classes, float64 ``[K]``.
        accuracy: of each annotator, the probability that a label is right: float64 ``[A]``, NaN without labels.
        likelihoods: log-likelihood of all votes in each round, one or more.
        converged: whether the last round changed it by less than the tolerance.
    """

    probabilities: np.ndarray
    shares: np.ndarray
    accuracy: np.ndarray
    likelihoods: tuple[float, ...]
    converged: bool
    _crowd: "_Crowd"
    _errors: "_Errors"

    def confusion(self, annotator: int) -> np.ndarray:
        """How one annotator labels: float64 ``[K, K]``, row = true class, column = label given, rows sum to 1.

        Args:
            annotator: 0..A-1.
        """
        result = self._errors.unseen(annotator)
        own = np.flatnonzero(self._crowd.owner == annotator)
        result[:, self._crowd.label[own]] = self._errors.given[own].T
        return result


def dawid_skene(
    votes: Votes, *, smoothing: float = 3.0, rounds: int = 200, tolerance: float = 1e-7, limit: int = 8 << 30
) -> DawidSkene:
    """Fit the model.

    Args:
        votes: labels of several annotators.
        smoothing: votes that every row of a confusion matrix begins with, 0 or more.
        rounds: of EM, at most.
        tolerance: stop when the log-likelihood per vote changes by less.
        limit: bytes that the fit may take.

    Raises:
        UsageError: no row has two labels; the tables would not fit into `limit` bytes.

    Example:
        >>> from thresher.annotators.votes import matrix_votes
        >>> votes = matrix_votes(np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 0, 1]]))
        >>> found = dawid_skene(votes, smoothing=1)
        >>> found.probabilities.argmax(1), found.accuracy.round(2)
        (array([0, 1, 0, 1, 1, 0]), array([0.93, 0.93, 0.44]))
    """
    refuse_alone(votes)
    crowd = _Crowd.of(votes, limit)
    labelled = votes.per_row > 0
    belief, likelihoods, converged = votes.shares(), [-np.inf], False
    for _ in range(max(rounds, 1)):
        shares = (belief.sum(axis=0) + smoothing / votes.classes + _TINY) / (labelled.sum() + smoothing)
        errors = _maximise(crowd, belief, smoothing)
        belief, likelihood = _expect(crowd, errors, shares)
        belief[~labelled] = 0
        likelihoods.append(float(likelihood[labelled].sum()))
        converged = abs(likelihoods[-1] - likelihoods[-2]) <= tolerance * len(votes.labels)
        if converged:
            break
    accuracy = np.where(votes.per_annotator > 0, _named(crowd, errors) @ shares, np.nan)
    return DawidSkene(belief, shares, accuracy, tuple(likelihoods[1:]), converged, crowd, errors)


@dataclass(frozen=True, eq=False)
class _Crowd:
    """The votes as sparse matrices of ones; a pair is an annotator with a label that this annotator gave somewhere.

    `gave` is rows by pairs, `owns` annotators by pairs, `says` classes by pairs; `owner` and `label` are each pair's.
    """

    gave: sparse.csr_array
    owns: sparse.csr_array
    says: sparse.csr_array
    owner: np.ndarray
    label: np.ndarray

    @classmethod
    def of(cls, votes: Votes, limit: int) -> "_Crowd":
        pairs, place = np.unique(votes.annotators.astype(np.int64) * votes.classes + votes.labels, return_inverse=True)
        what = f"Dawid-Skene on {votes.size} rows, {len(votes.names)} annotators and {votes.classes} classes"
        refuse_too_large(2 * (votes.size + len(pairs)) * votes.classes, what, limit, "choose majority or crowdlab, or ")
        owner, label, every = pairs // votes.classes, pairs % votes.classes, np.arange(len(pairs))
        return cls(
            _ones(votes.rows, place, (votes.size, len(pairs))),
            _ones(owner, every, (len(votes.names), len(pairs))),
            _ones(label, every, (votes.classes, len(pairs))),
            owner,
            label,
        )


def _ones(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


@dataclass(frozen=True, eq=False)
class _Errors:
    """P(label | true class): of each pair ``[P, K]``; what is needed for labels that an annotator never gave."""

    given: np.ndarray
    pooled: np.ndarray
    totals: np.ndarray
    smoothing: float

    def unseen(self, annotator: int) -> np.ndarray:
        """The confusion matrix of an annotator without the labels that were given: ``[K, K]``, row = true class."""
        prior = self.smoothing * self.pooled.T + _TINY
        return np.asarray(prior / (self.totals[annotator] + self.smoothing + _TINY * len(prior))[:, None])


def _maximise(crowd: _Crowd, belief: np.ndarray, smoothing: float) -> _Errors:
    """Expected frequencies of the labels, given the true class."""
    counts, classes = crowd.gave.T @ belief, belief.shape[1]
    totals, pooled = crowd.owns @ counts, crowd.says @ counts
    pooled = (pooled + 1 / classes) / (pooled.sum(axis=0) + 1)
    counts += smoothing * pooled[crowd.label] + _TINY
    counts /= (totals + smoothing + _TINY * classes)[crowd.owner]
    return _Errors(counts, pooled, totals, smoothing)


def _expect(crowd: _Crowd, errors: _Errors, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(true class | labels), ``[N, K]``, and the log-likelihood of each row's labels, ``[N]``."""
    joint = crowd.gave @ np.log(errors.given)
    joint += np.log(shares)
    top = joint.max(axis=1, keepdims=True)
    joint -= top
    np.exp(joint, out=joint)
    total = joint.sum(axis=1, keepdims=True)
    joint /= total
    return joint, (top + np.log(total))[:, 0]


def _named(crowd: _Crowd, errors: _Errors) -> np.ndarray:
    """The probability that an annotator names each true class: ``[A, K]``."""
    named = errors.smoothing * errors.pooled.diagonal() / (errors.totals + errors.smoothing + _TINY)
    named[crowd.owner, crowd.label] = errors.given[np.arange(len(crowd.label)), crowd.label]
    return np.asarray(named)
