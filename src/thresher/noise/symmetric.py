"""Symmetric noise: a share of each class gets any other label."""

import numpy as np

from thresher.noise.rates import check_rate


def symmetric(labels: np.ndarray, rate: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Give an exact share of each class another label, drawn evenly from the other classes.

    The definition of the SCE and APL code ("exact per class, true class excluded"), counted per class as it is.

    Args:
        labels: true labels, integer ``[N]``, 0..K-1.
        rate: share of each class that becomes wrong, in [0, 1); ``round(rate * n)`` samples of a class of n.
        seed: of the draw.
        classes: K; default the largest label plus one.

    Returns:
        Noisy labels, int64 ``[N]``.

    Raises:
        UsageError: the rate is outside [0, 1).

    Example:
        >>> noisy = symmetric(np.repeat([0, 1, 2], 10), 0.4, seed=0)
        >>> int((noisy != np.repeat([0, 1, 2], 10)).sum())
        12
    """
    check_rate(rate)
    labels = np.asarray(labels, dtype=np.int64)
    count = classes or int(labels.max()) + 1
    rng = np.random.Generator(np.random.PCG64(seed))
    noisy = labels.copy()
    for k in range(count):
        rows = np.flatnonzero(labels == k)
        chosen = rng.permutation(rows)[: round(rate * len(rows))]
        noisy[chosen] = (k + rng.integers(1, count, len(chosen))) % count
    return noisy
