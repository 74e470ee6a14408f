"""Feature-dependent noise (PMD, types I to III): the labels that a good model finds hardest go wrong most often."""

from collections.abc import Callable, Mapping

import numpy as np

from thresher.errors import UsageError
from thresher.noise.exact import check_labels, check_rate, check_two, generator

KINDS: Mapping[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda gap: 0.5 - gap**2 / 2,
    2: lambda gap: 1 - gap**3,
    3: lambda gap: 1 - (gap**3 + gap**2 + gap) / 3,
}
"""How the chance of a wrong label falls with the gap between the two most likely classes, up to a factor."""

_TOLERANCE = 1e-3


def feature(labels: np.ndarray, posterior: np.ndarray, kind: int, rate: float, seed: int) -> np.ndarray:
    """Flip labels with a chance that falls as the two most likely classes of a sample lie further apart.

    With u and s the most and the second most likely class, and d the gap between their probabilities, a label flips
    with a chance proportional to f(d): ``1/2 - d^2 / 2`` for type 1, ``1 - d^3`` for type 2 and
    ``1 - (d^3 + d^2 + d) / 3`` for type 3. It flips to u, or to s where it is u already: so a label that is neither
    also goes to u. One factor for all samples brings the mean of the chances to the rate, with those that would exceed
    1 held at 1; every label is drawn by itself, so the realised rate differs a little from seed to seed.

    Source: Zhang et al., "Learning with feature-dependent label noise: a progressive approach", ICLR 2021 (polynomial
    margin diminishing noise). Deviations from their code: it draws correct labels anew from the posterior first, where
    ours stay those of the data; it then draws u or s whatever the label was, and reaches its rates (35 and 70 %) by
    dividing ``1 - f`` by a factor chosen by hand.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        posterior: class probabilities of each sample, ``[N, K]``, best from a model that was not trained on it.
        kind: 1, 2 or 3.
        rate: the expected share of wrong labels, in [0, 1).
        seed: of the draw; the same arguments always give the same labels.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: a rate out of range, another type, a negative seed, no whole numbers, labels out of range, a single
            class, a posterior of another shape or that is none, or a rate that it does not allow, because it is certain
            of too many samples.

    Example:
        >>> posterior = np.tile([[0.5, 0.4, 0.1], [0.98, 0.01, 0.01]], (500, 1))
        >>> noisy = feature(np.zeros(1000, dtype=int), posterior, 1, 0.3, seed=3)
        >>> [np.bincount(noisy[start::2], minlength=3).tolist() for start in (0, 1)]
        [[214, 286, 0], [491, 9, 0]]
    """
    check_rate(rate)
    if kind not in KINDS:
        raise UsageError(f"the type of feature noise is {kind}: choose 1, 2 or 3")
    draws = generator(seed)
    chances = _posterior(posterior)
    clean, count = check_labels(labels, chances.shape[1])
    check_two(count, "feature")
    if len(chances) != len(clean):
        raise UsageError(f"the posterior of feature noise has {len(chances)} rows for {len(clean)} labels")
    if not len(clean):
        return clean
    rows = np.arange(len(clean))
    first = chances.argmax(1)
    top = chances[rows, first]
    others = chances.copy()
    others[rows, first] = -1
    second = others.argmax(1)
    flips = draws.random(len(clean)) < _scaled(KINDS[kind](top - others[rows, second]), kind, rate)
    return np.where(flips, np.where(clean == first, second, first), clean)


def _posterior(posterior: np.ndarray) -> np.ndarray:
    """Probabilities as float64 ``[N, K]`` that add up to 1."""
    array = np.asarray(posterior)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise UsageError(
            f"the posterior of feature noise has shape {list(array.shape)} and dtype {array.dtype}: give class "
            "probabilities [N, K]"
        )
    array = array.astype(np.float64)
    sums = array.sum(1)
    bad = np.flatnonzero(~(np.abs(sums - 1) <= _TOLERANCE) | ~(array >= 0).all(1))
    if len(bad):
        raise UsageError(
            f"row {bad[0]} of the posterior of feature noise is {np.round(array[bad[0]], 4).tolist()[:5]}: give "
            "probabilities from 0 that are 1 together"
        )
    normal: np.ndarray = array / sums[:, None]
    return normal


def _scaled(shape: np.ndarray, kind: int, rate: float) -> np.ndarray:
    """``min(1, c * shape)`` with the c that brings its mean to the rate; shape and result ``[N]``."""
    falling = -np.sort(-shape[shape > 0])
    wanted, possible = rate * len(shape), len(falling)
    if wanted > possible:
        raise UsageError(
            f"feature noise of type {kind} can make at most {possible / len(shape):.1%} of these labels wrong, for of "
            f"the others the posterior is certain, and {rate:.1%} are asked for: lower the rate"
        )
    if not possible:
        return np.zeros_like(shape)
    # With the k largest held at 1, the others fix the factor; the right k is the first whose next one stays within 1.
    factors = (wanted - np.arange(possible)) / np.cumsum(falling[::-1])[::-1]
    fits = np.flatnonzero(factors * falling <= 1)
    factor = factors[fits[0]] if len(fits) else 1 / falling[-1]
    chances: np.ndarray = np.clip(shape * factor, 0.0, 1.0)
    return chances
