"""Symmetric noise: labels replaced by any other class, with exact counts."""

import numpy as np

from thresher.errors import UsageError
from thresher.noise.exact import check_labels, check_rate, generator, share


def symmetric(labels: np.ndarray, rate: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Replace a share of every class's labels by another class, drawn uniformly.

    Of the n rows of a class, exactly ``round(rate * n)`` get a new label, and the true class is never drawn: the rate
    is the share that is wrong. Source: Wang et al., ICCV 2019 (SCE), but with the rows of each class counted.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        rate: share of each class, in [0, 1).
        seed: of the draw; the same arguments always give the same labels.
        classes: K; None takes the largest label plus one.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: a rate out of range, a negative seed, no whole numbers, labels out of range, or a single class.

    Example:
        >>> clean = np.repeat([0, 1, 2], 10)
        >>> noisy = symmetric(clean, 0.4, seed=0)
        >>> [int((noisy[clean == k] != k).sum()) for k in range(3)]
        [4, 4, 4]
    """
    check_rate(rate)
    clean, count = check_labels(labels, classes)
    if count == 1:
        raise UsageError("symmetric noise needs a class to go to, and there is only one: give two classes or more")
    noisy = clean.copy()
    draws = generator(seed)
    for label in range(count):
        rows = share(clean, label, rate, draws)
        others = draws.integers(0, count - 1, len(rows))
        noisy[rows] = others + (others >= label)  # steps over the true class
    return noisy
