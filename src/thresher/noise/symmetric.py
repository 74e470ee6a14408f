"""Symmetric noise, in the three definitions that are in use: papers that share the name do not share the labels."""

import numpy as np

from thresher.noise.exact import check_labels, check_rate, check_two, generator, share


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
    check_two(count, "symmetric")
    noisy = clean.copy()
    draws = generator(seed)
    for label in range(count):
        rows = share(clean, label, rate, draws)
        others = draws.integers(0, count - 1, len(rows))
        noisy[rows] = others + (others >= label)  # steps over the true class
    return noisy


def symmetric_bernoulli(labels: np.ndarray, rate: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Let every label flip by itself, with the rate as its probability, to another class drawn uniformly.

    The true class is never drawn, so the rate is the *expected* share that is wrong; the realised one differs from seed
    to seed. Source: the matrix form of Patrini et al., CVPR 2017, Co-teaching (Han et al., NeurIPS 2018) and CDR (Xia
    et al., ICLR 2021): 1 - rate on the diagonal, rate / (K - 1) elsewhere. With one seed, the labels wrong at a low
    rate are also wrong at every higher one.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        rate: probability of a flip, in [0, 1).
        seed: of the draw; the same arguments always give the same labels.
        classes: K; None takes the largest label plus one.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: a rate out of range, a negative seed, no whole numbers, labels out of range, or a single class.

    Example:
        >>> clean = np.repeat([0, 1, 2], 1000)
        >>> [round(float(np.mean(symmetric_bernoulli(clean, 0.4, seed) != clean)), 3) for seed in range(3)]
        [0.406, 0.408, 0.397]
    """
    check_rate(rate)
    clean, count = check_labels(labels, classes)
    check_two(count, "symmetric_bernoulli")
    draws = generator(seed)
    flips = draws.random(len(clean)) < rate
    others = draws.integers(0, max(count - 1, 1), len(clean))  # without labels, there may be no class at all
    return np.where(flips, others + (others >= clean), clean)


def symmetric_inclusive(labels: np.ndarray, rate: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Give a share of all rows a label drawn uniformly from all classes, the true one included.

    Of all N rows, exactly ``round(rate * N)`` are drawn again, and one in K of these keeps its label by chance: the
    share that is wrong is about ``rate * (1 - 1 / K)``, so 90 % of 10 classes are 81 % wrong, and 20, 50 and 80 % are
    18, 45 and 72 %. Source: the code of DivideMix (Li et al., ICLR 2020) and ELR (Liu et al., NeurIPS 2020), whose
    published "90 %" only this definition leaves solvable; both cut ``rate * N`` down to a whole number.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        rate: share of all rows, in [0, 1).
        seed: of the draw; the same arguments always give the same labels.
        classes: K; None takes the largest label plus one.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: a rate out of range, a negative seed, no whole numbers, labels out of range, or a single class.

    Example:
        >>> clean = np.repeat(np.arange(10), 1000)
        >>> round(float(np.mean(symmetric_inclusive(clean, 0.9, seed=0) != clean)), 2)
        0.81
    """
    check_rate(rate)
    clean, count = check_labels(labels, classes)
    check_two(count, "symmetric_inclusive")
    noisy = clean.copy()
    draws = generator(seed)
    rows = draws.permutation(len(clean))[: round(rate * len(clean))]
    noisy[rows] = draws.integers(0, max(count, 1), len(rows))
    return noisy
