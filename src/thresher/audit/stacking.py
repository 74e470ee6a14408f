"""What out-of-sample witnesses say of the given labels together, and the noise that this shows.

Probabilities from cross-fitting and the label shares of neighbours both predict a sample's *given* label without having
seen it. So how much each of them is worth can be read off the given labels themselves: their log-odds are weighted by
the conditional logit (McFadden, "Conditional logit analysis of qualitative choice behavior", 1974) that predicts the
given labels best, which is stacking (Wolpert, "Stacked generalization", Neural Networks 1992) with one weight per
witness. No truth is needed, and a witness that knows nothing gets weight 0.

The noise is read off anchor points (Patrini et al., "Making Deep Neural Networks Robust to Label Noise", CVPR 2017).
Deviation: not one sample per class but the tenth of the samples predicted as it that is predicted most clearly.

- `counted_noise` counts their given labels. That is right on average, and good for how much noise there is.
- `expected_noise` takes the mean of what is predicted of them instead. That says too little noise, for the clearest are
  those predicted too clearly, but does not depend on which labels a few samples happened to get: it is good for how
  the classes differ. Anchors of a class that is hard to tell are not all of that class, and look like noise however
  many they are: so all of them count as 500 samples at most.

Both are shrunk: the share of right labels towards that of all classes; the directions of the errors towards even ones,
the more the less they differ from even (a Dirichlet prior whose strength is fitted by moments). Where anchors show
hardly any errors, and so no directions, those of the confident joint (`thresher.audit.confident`) stand in: it counts
more rows, the model's own errors among them.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from thresher.audit.blocks import blocks, share, turned
from thresher.audit.confident import confident_joint

_SAMPLE = 20_000  # rows that weights are fitted on, ...
_ENTRIES = 2_000_000  # ... fewer where there are many classes
_FLOOR = 1e-4
_PRIOR = 0.05  # neighbours' worth of prior among the neighbours
_STEPS = 30
_EXACT = 1e-5
_CLEAR = 0.1
_LEAST = 10
_IMAGINED = 20
_COUNTED, _EXPECTED = 20.0, 80.0
_MOST = 500
_LARGEST = 1e4


def stacked(
    labels: np.ndarray, probabilities: np.ndarray, votes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the given labels from all out-of-sample witnesses together.

    Args:
        labels: given labels, int64 ``[N]``, values 0..K-1.
        probabilities: out-of-sample class probabilities, float ``[N, K]``.
        votes: class shares among the neighbours, without the sample itself, float ``[N, K]``; or None.

    Returns:
        Probabilities of the *given* labels, float32 ``[N, K]``, and the weights of the log-probabilities, at least 0,
        float64 ``[1]`` or ``[2]``.

    Example:
        >>> labels = np.array([0, 1] * 50)
        >>> sure, blind = np.eye(2)[labels] * 0.8 + 0.1, np.full((100, 2), 0.5)
        >>> stacked(labels, sure, blind)[1].round(1).tolist()[1]
        0.0
    """
    sources = [probabilities] if votes is None else [probabilities, votes]
    prior = (np.bincount(labels, minlength=probabilities.shape[1]) / max(1, len(labels))).astype(np.float32)
    rows = spread(len(labels), min(_SAMPLE, _ENTRIES // probabilities.shape[1]))
    weights = _weights(labels[rows], np.stack(_logs([source[rows].T for source in sources], prior)))
    result = np.empty(probabilities.shape, dtype=np.float32)

    def fill(part: slice) -> None:
        first, *others = _logs([turned(source[part]) for source in sources], prior)
        logits = np.float32(weights[0]) * first
        for weight, log in zip(weights[1:], others, strict=True):
            logits += np.float32(weight) * log
        result[part] = _softmax(logits).T

    share(fill, list(blocks(probabilities)))
    return result, weights


def spread(size: int, most: int) -> np.ndarray:
    """Row numbers spread evenly over all rows, int64, at most so many.

    Example:
        >>> spread(5, 9).tolist(), spread(9, 3).tolist()
        ([0, 1, 2, 3, 4], [0, 3, 6])
    """
    count = min(size, max(most, 1))
    return np.asarray(np.arange(count) * size // max(1, count), dtype=np.int64)


def _logs(sources: Sequence[np.ndarray], prior: np.ndarray) -> list[np.ndarray]:
    """Log-probabilities of each source, float32 ``[K, n]``; votes are mixed with the labels' shares first."""
    logs = [np.log(np.maximum(sources[0], 0).astype(np.float32, copy=False) + np.float32(_FLOOR))]
    for votes in sources[1:]:
        mixed = votes.astype(np.float32, copy=False) + (_PRIOR * prior + np.float32(_PRIOR / 10))[:, None]
        logs.append(np.log(mixed))
    return logs


def _weights(labels: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """The conditional logit's weights, none below 0: one that would be is 0, and the others are fitted again."""
    weights = np.zeros(len(logs))
    active = np.arange(len(logs))
    while active.size:
        found = _conditional_logit(labels, logs[active].astype(np.float64))
        if (found > 0).all():
            weights[active] = found
            return weights
        active = active[found > 0]
    weights[0] = 1.0  # nothing predicts the given labels: take the model as it is
    return weights


def _conditional_logit(labels: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Newton's method on the convex likelihood; a ridge of one sample keeps it finite. Logs are ``[M, K, n]``."""
    weights, chosen = np.full(len(logs), 1 / len(logs)), logs[:, labels, np.arange(len(labels))]
    for _ in range(_STEPS):
        p = _softmax(np.tensordot(weights, logs, 1))
        mean = (p * logs).sum(axis=1)
        gradient = (chosen - mean).sum(axis=1) - weights
        second = np.einsum("kn,akn,bkn->ab", p, logs, logs, optimize=True) - mean @ mean.T
        move = np.linalg.solve(second + np.eye(len(weights)), gradient)
        weights = weights + np.clip(move, -1, 1)
        if np.abs(move).max() < _EXACT:
            break
    return weights


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Over the first axis."""
    values = np.exp(logits - logits.max(axis=0))
    return np.asarray(values / values.sum(axis=0))


def counted_noise(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Estimate T, ``T[i, j] = P(given label j | true class i)``, from the given labels of the clearest samples.

    Args:
        labels: given labels, int64 ``[N]``.
        predicted: out-of-sample probabilities of the given labels, float ``[N, K]``.

    Returns:
        float64 ``[K, K]``; rows sum to 1, no entry is 0.

    Example:
        >>> truth = np.repeat([0, 1], 500)
        >>> labels = np.where(np.arange(1000) % 5 == 0, 1 - truth, truth)
        >>> counted_noise(labels, np.eye(2)[truth] * 0.6 + 0.2).round(1).tolist()
        [[0.8, 0.2], [0.2, 0.8]]
    """
    classes = predicted.shape[1]
    counts = np.stack([np.bincount(labels[rows], minlength=classes) for rows in anchors(predicted)[0]])
    return _shrunk(counts.astype(np.float64), labels, predicted, _COUNTED)


def expected_noise(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Estimate T from what is predicted of the clearest samples; for how classes differ, not for how much noise.

    Args:
        labels: given labels, int64 ``[N]``.
        predicted: out-of-sample probabilities of the given labels, float ``[N, K]``.

    Returns:
        float64 ``[K, K]``; rows sum to 1, no entry is 0.

    Example:
        >>> truth = np.repeat([0, 1], 500)
        >>> expected_noise(truth, np.eye(2)[truth] * 0.6 + 0.2).round(1).tolist()
        [[0.8, 0.2], [0.2, 0.8]]
    """
    rows, sizes = anchors(predicted)
    classes = predicted.shape[1]
    means = [predicted[own].mean(axis=0, dtype=np.float64) if len(own) else np.zeros(classes) for own in rows]
    worth = min(_CLEAR * len(labels), _MOST) * sizes / max(1, len(labels))
    return _shrunk(np.stack(means) * worth[:, None], labels, predicted, _EXPECTED)


def anchors(predicted: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The tenth of the samples predicted as each class that is predicted most clearly, but at least ten.

    Args:
        predicted: class probabilities, float ``[N, K]``.

    Returns:
        Row numbers of each class, K arrays, with all that are as clear as the last of them; and how many samples are
        predicted as each class, int64 ``[K]``.

    Example:
        >>> anchors(np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]))[1].tolist()
        [1, 2]
    """
    best = predicted.argmax(axis=1)
    order = np.argsort(best, kind="stable")
    ends = np.searchsorted(best[order], np.arange(predicted.shape[1] + 1))
    found = []
    for k, (start, end) in enumerate(itertools.pairwise(ends)):
        rows = order[start:end]
        few, p = max(_LEAST, int(_CLEAR * len(rows))), predicted[rows, k]
        if few < len(rows):
            rows = rows[p >= np.partition(p, len(rows) - few)[len(rows) - few]]
        found.append(rows)
    return found, np.diff(ends)


def _shrunk(counts: np.ndarray, labels: np.ndarray, predicted: np.ndarray, strength: float) -> np.ndarray:
    """T from labels of anchors by their class: ``[K, K]``."""
    total, right = counts.sum(axis=1), counts.diagonal()
    mean = (right.sum() + 1) / (total.sum() + 2)
    wrong = (1 - mean) * strength + total - right
    matrix = _directions(counts, _confident_directions(labels, predicted)) * wrong[:, None]
    np.fill_diagonal(matrix, right + mean * strength)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def _confident_directions(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Where the errors of each class go by the confident joint, mixed with even ones: ``[K, K]``, rows 1."""
    even = _even(predicted.shape[1])
    counts = confident_joint(labels, predicted).T * (even > 0)
    found = (counts + even) / (counts.sum(axis=1, keepdims=True) + 1)
    return np.asarray((1 - _CLEAR) * found + _CLEAR * even)


def _directions(counts: np.ndarray, confident: np.ndarray) -> np.ndarray:
    """How the errors of each class spread over the others, shrunk: ``[K, K]``, diagonal 0, rows 1."""
    classes, even = len(counts), _even(len(counts))
    wrong = counts * (even > 0)
    seen = float(wrong.sum())
    prior = (seen * even + classes * confident) / (seen + classes)
    total = wrong.sum(axis=1, keepdims=True)
    expected = total * prior
    unlike = float(((wrong - expected) ** 2 / np.where(expected > 0, expected, 1)).sum())
    filled = int((total > 0).sum())
    # The variance of n counts under a Dirichlet prior of strength s is 1 + (n - 1) / (s + 1) times the multinomial's;
    # some imagined degrees of freedom keep few counts from saying much.
    excess = (unlike + _IMAGINED) / ((classes - 2) * filled + _IMAGINED) - 1
    strength = float(np.clip((seen / max(1, filled) - 1) / max(excess, 1e-3) - 1, 1, _LARGEST))
    return np.asarray((wrong + strength * prior) / (total + strength))


def _even(classes: int) -> np.ndarray:
    """Errors that go everywhere alike: ``[K, K]``, diagonal 0, rows 1."""
    return (1 - np.eye(classes)) / (classes - 1)
