"""Asymmetric noise inside superclasses, true ones or blocks: the three kinds that CIFAR-100 tables are about."""

import numpy as np

from thresher.errors import UsageError
from thresher.noise.asymmetric import move
from thresher.noise.exact import check_labels, check_rate, check_two, generator

_BLOCK = 5


def next_inside(superclasses: np.ndarray) -> dict[int, int]:
    """The map from each class to the next one of its superclass, from the last to the first.

    Args:
        superclasses: the superclass of each class, whole numbers ``[K]``.

    Returns:
        From class to class; without the classes that are alone in their superclass.

    Raises:
        UsageError: not one whole number per class.

    Example:
        >>> next_inside(np.array([0, 1, 0, 0, 2]))
        {0: 2, 2: 3, 3: 0}
    """
    return {
        int(label): int(other)
        for members in _groups(superclasses)
        if len(members) > 1
        for label, other in zip(members, np.roll(members, -1), strict=True)
    }


def asymmetric_blocks(labels: np.ndarray, rate: float, seed: int, classes: int | None = None) -> np.ndarray:
    """Replace a share of every class's labels by the next class of its block of five consecutive classes.

    Of the n rows of a class, exactly ``round(rate * n)`` are moved, the last class of a block to its first. On
    CIFAR-100 this is what the code of Patrini et al., JoCoR, APL, CDR and ELR calls superclasses; but the classes are
    numbered by the alphabet there, so the blocks are none (the first holds apple, aquarium_fish, baby, bear, beaver).

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        rate: share of each class, in [0, 1).
        seed: of the draw; the same arguments always give the same labels.
        classes: K; None takes the largest label plus one. What is left over of whole blocks is a smaller block.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: a rate out of range, a negative seed, no whole numbers, labels out of range, or a single class.

    Example:
        >>> clean = np.repeat(np.arange(10), 10)
        >>> noisy = asymmetric_blocks(clean, 0.4, seed=0)
        >>> [np.unique(noisy[clean == k]).tolist() for k in (0, 4, 9)]
        [[0, 1], [0, 4], [5, 9]]
    """
    check_rate(rate)
    clean, count = check_labels(labels, classes)
    check_two(count, "asymmetric_blocks")
    return move(clean, rate, next_inside(np.arange(count) // _BLOCK), generator(seed))


def swap(labels: np.ndarray, rate: float, seed: int, superclasses: np.ndarray) -> np.ndarray:
    """Swap a share of the labels of two classes of each superclass, drawn by chance; the others stay clean.

    Of the n rows of a drawn class, exactly ``round(rate * n)`` get the other one's label: on CIFAR-100, where two of
    five classes are drawn, ``0.4 * rate`` of all labels are wrong, so 16 % at 40 %. Source: Wang et al., ICCV 2019
    (SCE), whose code takes blocks of five classes for superclasses, as SOP's does; for those, pass
    ``np.arange(100) // 5``.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        rate: share of each drawn class, in [0, 1).
        seed: of the draw, of the classes too; the same arguments always give the same labels.
        superclasses: the superclass of each of the K classes, whole numbers ``[K]``; one of a single class stays clean.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: a rate out of range, a negative seed, no whole numbers, labels out of range, or no superclass of two
            classes or more.

    Example:
        >>> clean = np.repeat(np.arange(10), 10)
        >>> noisy = swap(clean, 0.4, seed=0, superclasses=np.arange(10) // 5)
        >>> [int((noisy[clean == k] != k).sum()) for k in range(10)]
        [0, 0, 4, 0, 4, 0, 4, 0, 0, 4]
    """
    check_rate(rate)
    groups = [members for members in _groups(superclasses) if len(members) > 1]
    clean, _ = check_labels(labels, len(superclasses))
    if not groups:
        raise UsageError(
            "swap noise needs superclasses of two classes or more: use asymmetric noise with a map instead"
        )
    draws = generator(seed)
    pairs = [draws.permutation(members)[:2].tolist() for members in groups]
    return move(clean, rate, {label: other for a, b in pairs for label, other in ((a, b), (b, a))}, draws)


def _groups(superclasses: np.ndarray) -> list[np.ndarray]:
    """The classes of each superclass, int64, ascending."""
    array = np.asarray(superclasses)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UsageError(
            f"superclasses have shape {list(array.shape)} and dtype {array.dtype}: give one whole number per class"
        )
    return [np.flatnonzero(array == one) for one in np.unique(array)]
