"""Noise to the neighbours in the order of classes: to the next one, or to both; with exact counts."""

import numpy as np

from thresher.noise.asymmetric import move
from thresher.noise.exact import check_labels, check_rate, check_two, generator, share


def pairflip(labels: np.ndarray, rate: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Replace a share of every class's labels by the next class, the last class's by the first.

    Of the n rows of a class, exactly ``round(rate * n)`` are moved; from a rate of 0.5 on, the wrong class outvotes the
    true one. Source of the noise: Han et al., NeurIPS 2018 (Co-teaching), where every label is drawn by itself.

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
        >>> clean = np.repeat([0, 1, 2], 20)
        >>> noisy = pairflip(clean, 0.45, seed=0)
        >>> [np.bincount(noisy[clean == k], minlength=3).tolist() for k in range(3)]
        [[11, 9, 0], [0, 11, 9], [9, 0, 11]]
    """
    check_rate(rate)
    clean, count = check_labels(labels, classes)
    check_two(count, "pairflip")
    return move(clean, rate, {label: (label + 1) % count for label in range(count)}, generator(seed))


def tridiagonal(labels: np.ndarray, rate: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Replace a share of every class's labels by the next class and by the one before, half each.

    Of the n rows of a class, exactly ``round(rate * n)`` are moved; of an odd number, chance says to which side the odd
    one goes. The first and the last class are neighbours. Source of the noise: the code of CDR (Xia et al., ICLR 2021),
    where every label is drawn by itself.

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
        >>> clean = np.repeat([0, 1, 2, 3], 10)
        >>> noisy = tridiagonal(clean, 0.4, seed=0)
        >>> [np.bincount(noisy[clean == k], minlength=4).tolist() for k in range(4)]
        [[6, 2, 0, 2], [2, 6, 2, 0], [0, 2, 6, 2], [2, 0, 2, 6]]
    """
    check_rate(rate)
    clean, count = check_labels(labels, classes)
    check_two(count, "tridiagonal")
    noisy = clean.copy()
    draws = generator(seed)
    for label in range(count):
        rows = share(clean, label, rate, draws)
        half = (len(rows) + int(draws.integers(2))) // 2
        noisy[rows[:half]] = (label + 1) % count
        noisy[rows[half:]] = (label - 1) % count
    return noisy
