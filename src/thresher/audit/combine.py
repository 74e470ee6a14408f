"""All witnesses in one number per label: the probability that it is wrong.

What is averaged is the log-odds of each witness's *rank* among all labels, so that no witness's units count. Two
things that no single score knows are added:

- **out-of-sample witnesses are stacked first** (`thresher.audit.stacking`): the model's probabilities and the
  neighbours' labels, each weighted by how well it predicts the given labels; together they weigh between 1 and 2, by
  how evenly they share that work. A further witness, for instance the margin over training, weighs as much as its
  ranking agrees with theirs (correlation, not below 0), all further ones together at most as many as these are;
- **where the noise goes.** With P(given label | sample) = p and the noise T, the odds that label y is wrong are
  ``sum over t != y of p[t] T[t, y] / (p[y] T[y, y])``. Against ``(1 - p[y]) / p[y]``, which self-confidence ranks by,
  that is a factor per sample: the mean of ``T[t, y] / T[y, y]`` over what else the sample may be. It says that a label
  is rather doubted where labels are often wrong, and into which errors happen. Its logarithm is added.

The sum is made a probability by a logistic fit to the posterior that p and T imply on a sample of the rows, so that
its mean is the share of wrong labels that they imply; or, the more labels a person has reviewed, to the decisions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from thresher.audit.blocks import blocks, share, turned
from thresher.audit.calibrate import logistic
from thresher.audit.confident import checked
from thresher.audit.evidence import Evidence
from thresher.audit.history import HISTORY
from thresher.audit.stacking import counted_noise, expected_noise, spread, stacked
from thresher.errors import UsageError

OUT_OF_SAMPLE = ("model", "neighbours")
"""Names of the two witnesses that the probabilities and the votes are."""

SAME = (*OUT_OF_SAMPLE, "confident", *HISTORY)
"""Names of evidence that says again what the probabilities, the votes or the margin over training say; it is left out.

The history's three are left out, for with them the combination ranked wrong labels worse in 39 of 44 cases (field
``with_history`` in the results of ``benchmarks/detection.py``).
"""

_FLOOR = 1e-6
_SAMPLE, _FEWEST, _PRODUCTS = 20_000, 500, 100_000_000
_ROUNDS = 20
_LOOSE = np.array([0.5, 0.5, 1.0])


@dataclass(frozen=True, eq=False)
class Combined:
    """What all witnesses say together.

    Attributes:
        p_wrong: the probability that the given label is wrong, float64 ``[N]``.
        belief: probabilities of the true label, float32 ``[N, K]``; that of the given one is 1 - p_wrong.
        weights: of each witness in the average, 0..1, together 1: ``model``, ``neighbours``, and names of evidence.
        rate: the estimated share of wrong labels, 0..1.
    """

    p_wrong: np.ndarray
    belief: np.ndarray
    weights: dict[str, float]
    rate: float


def combine(
    evidence: Sequence[Evidence],
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    votes: np.ndarray | None = None,
    decisions: tuple[np.ndarray, np.ndarray] | None = None,
) -> Combined:
    """Combine all witnesses, and calibrate what they say.

    Args:
        evidence: further witnesses over the same N samples, or none; NaN where one knows nothing. Those named in `SAME`
            are left out.
        labels: given labels, integer ``[N]``, values 0..K-1.
        probabilities: out-of-sample class probabilities, float ``[N, K]``.
        votes: class shares among each sample's neighbours, without itself, float ``[N, K]``; or None.
        decisions: rows that a person has judged, integer ``[n]``, and whether the label was wrong, bool ``[n]``; or
            None. They move the calibration and the weights, the more the more there are; the rows' own p_wrong stays
            what the witnesses say.

    Returns:
        `Combined`.

    Raises:
        UsageError: no samples, arrays that do not fit together, or hold values that have no meaning.

    Example:
        >>> truth = np.arange(200) % 2
        >>> labels = np.where(np.arange(200) < 20, 1 - truth, truth)
        >>> found = combine([], labels, np.eye(2)[truth] * 0.7 + 0.15)
        >>> bool(found.p_wrong[:20].min() > found.p_wrong[20:].max()), found.weights
        (True, {'model': 1.0})
        >>> round(found.rate, 1)
        0.1
    """
    labels, probabilities = checked(labels, probabilities)
    _check(evidence, labels, probabilities, votes)
    reviewed = _reviewed(decisions, len(labels))
    given, shares = stacked(labels, probabilities, votes)
    odds, factor = _odds(labels, given, expected_noise(labels, given))
    noise = counted_noise(labels, given)
    others = [one for one in evidence if one.name not in SAME]
    mean, weights = _average(odds, others, shares)
    features = np.stack([mean, factor, np.ones(len(labels))], axis=1)
    p_wrong = expit(features @ _fit(features, labels, given, noise, reviewed))
    return Combined(p_wrong, _belief(labels, given, noise, p_wrong), weights, float(p_wrong.mean()))


def _odds(labels: np.ndarray, given: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds against the given label, and the logarithm of the noise's factor up to a constant: ``[N]`` each."""
    odds, factor = np.empty(len(labels)), np.empty(len(labels))
    relative = (noise / noise.diagonal()).astype(np.float32)  # [true, given]

    def fill(part: slice) -> None:
        y = labels[part]
        p = turned(given[part]) + np.float32(_FLOOR)
        index = np.arange(len(y))
        own = p[y, index].astype(np.float64)
        p[y, index] = 0
        rest = np.log(p.sum(axis=0, dtype=np.float64))
        odds[part] = rest - np.log(own)
        factor[part] = np.log((p * relative[:, y]).sum(axis=0, dtype=np.float64)) - rest

    share(fill, list(blocks(given)))
    return odds, factor - factor.mean()


def _average(odds: np.ndarray, evidence: Sequence[Evidence], shares: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """The weighted mean of the witnesses' ranks as log-odds, of those that know a sample; and the weights."""
    first = _ranked(odds)
    ranks = [_ranked(one.score) for one in evidence]
    agreed = np.array([_agreement(first, rank) for rank in ranks])
    agreed *= min(1.0, len(shares) / max(1e-9, agreed.sum()))  # many that say the same do not outvote the others
    sources = float(
        shares.sum() ** 2 / (shares**2).sum()
    )  # two that share the work are two, one that does it all is one
    total, weight = first * sources, np.full(len(odds), sources)
    for rank, own in zip(ranks, agreed, strict=True):
        known = ~np.isnan(rank)
        total[known] += own * rank[known]
        weight[known] += own
    names = (*OUT_OF_SAMPLE[: len(shares)], *(one.name for one in evidence))
    weights = np.concatenate([shares / shares.sum() * sources, agreed])
    return total / weight, dict(zip(names, (weights / weights.sum()).tolist(), strict=True))


def _ranked(score: np.ndarray) -> np.ndarray:
    """The log-odds of each score's rank; equal scores share theirs, NaN stays NaN."""
    score = np.asarray(score, dtype=np.float64)
    ranks = (rankdata(score, nan_policy="omit") - 0.5) / max(1, int((~np.isnan(score)).sum()))
    return np.asarray(np.log(ranks) - np.log1p(-ranks))


def _agreement(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation where both are known, 0 where it is negative or there is none."""
    known = ~np.isnan(second)
    if not known.any():
        return 0.0
    first, second = first[known] - first[known].mean(), second[known] - second[known].mean()
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return max(0.0, float(first @ second) / scale) if scale > 0 else 0.0


def _fit(
    features: np.ndarray,
    labels: np.ndarray,
    given: np.ndarray,
    noise: np.ndarray,
    reviewed: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Weights of the average, of the noise's factor, and the intercept."""
    rows = spread(len(labels), min(_SAMPLE, max(_FEWEST, _PRODUCTS // given.shape[1] ** 2)))
    target = _posterior(labels[rows], given[rows].astype(np.float64), noise)
    score = features[rows, :1] + features[rows, 1:2]  # the two are in the same units
    slope, offset = logistic(
        np.concatenate([score, np.ones_like(score)], axis=1), target, np.array([1.0, 0.0]), np.array([1.0, 10.0])
    )
    believed = np.array([max(slope, 0.1), max(slope, 0.1), offset])
    if not len(reviewed[0]):
        return believed
    judged, wrong = reviewed
    return logistic(features[judged], wrong.astype(np.float64), believed, _LOOSE)


def _posterior(labels: np.ndarray, given: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """P(wrong | sample, given label), from the true class's probabilities that T turns into those of the given label.

    They are found by the Richardson-Lucy iteration, which keeps them at 0 or above with sum 1.
    """
    true = given / given.sum(axis=1, keepdims=True)
    given = true
    for _ in range(_ROUNDS):
        true = true * ((given / (true @ noise)) @ noise.T)
    index = np.arange(len(labels))
    right = true[index, labels] * noise[labels, labels] / (true @ noise)[index, labels]
    return np.asarray(np.clip(1 - right, 0, 1))


def _belief(labels: np.ndarray, given: np.ndarray, noise: np.ndarray, p_wrong: np.ndarray) -> np.ndarray:
    """Probabilities of the true label, written over `given`: what is not the given label's is shared by p T."""

    def fill(part: slice) -> None:
        y, wrong = labels[part], p_wrong[part]
        index = np.arange(len(y))
        p = (turned(given[part]) + np.float32(_FLOOR)) * noise[:, y]
        p[y, index] = 0
        p *= wrong / p.sum(axis=0)
        p[y, index] = 1 - wrong
        given[part] = p.T

    share(fill, list(blocks(given)))
    return given


def _reviewed(decisions: tuple[np.ndarray, np.ndarray] | None, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and outcomes, checked; empty where there are none."""
    if decisions is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    rows, wrong = np.asarray(decisions[0]), np.asarray(decisions[1])
    if rows.ndim != 1 or rows.shape != wrong.shape:
        raise UsageError(f"the decisions are for {rows.size} rows and say {wrong.size} times whether a label was wrong")
    if not rows.size:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    if rows.dtype.kind not in "iu" or wrong.dtype.kind != "b":
        raise UsageError(f"decisions are row numbers and true or false: these are {rows.dtype} and {wrong.dtype}")
    if not 0 <= rows.min() <= rows.max() < size:
        raise UsageError(f"the decisions are about rows {rows.min()} to {rows.max()}, but there are {size} samples")
    if len(np.unique(rows)) < len(rows):
        raise UsageError("the decisions judge a row twice: keep the last one")
    return rows.astype(np.int64), wrong


def _check(
    evidence: Sequence[Evidence], labels: np.ndarray, probabilities: np.ndarray, votes: np.ndarray | None
) -> None:
    """Refuse what does not belong together."""
    if not len(labels):
        raise UsageError("there are no labels to judge")
    names = [one.name for one in evidence]
    if len(set(names)) < len(names):
        raise UsageError(f"two witnesses have the same name among {', '.join(names)}")
    for one in evidence:
        if np.shape(one.score) != labels.shape:
            raise UsageError(f"{one.name} has {np.size(one.score)} scores for {len(labels)} labels")
        if np.isinf(one.score).any():
            raise UsageError(f"{one.name} has infinite scores: NaN stands for one that is not known")
    if votes is None:
        return
    if np.shape(votes) != probabilities.shape:
        raise UsageError(f"votes have shape {np.shape(votes)}: the probabilities have {probabilities.shape}")
    checked(labels, votes)
