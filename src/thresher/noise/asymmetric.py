"""Asymmetric noise: labels replaced by the one class they are easily taken for; done right, and as it was published."""

from collections.abc import Mapping

import numpy as np

from thresher.errors import UsageError
from thresher.noise.exact import check_labels, check_rate, generator, share


def asymmetric(
    labels: np.ndarray, rate: float, seed: int, mapping: Mapping[int, int], classes: int | None = None
) -> np.ndarray:
    """Replace a share of the labels of each class in a map by the class it maps to.

    Of the n rows of a class in the map, exactly ``round(rate * n)`` get the new label; other classes stay as they are.
    Rows are always chosen by the correct labels, so in a map of both ways (``{3: 5, 5: 3}``) no row is moved there and
    back, which much published code does. Source of the noise: Patrini et al., CVPR 2017.

    Papers share the name and not the map: that of MNIST is 7>1, 2>7, 3>8, 5<>6 with Patrini et al., JoCoR, APL and SCE
    (and here), while CDR leaves 7>1 out (``--map "2>7,3>8,5<>6"``), so that at one rate it has four classes of ten
    wrong, and they five. Only CDR names one for Fashion-MNIST: 0>6, 2>4, 5<>7.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        rate: share of each class in the map, in [0, 1).
        seed: of the draw; the same arguments always give the same labels.
        mapping: from each affected class to the class it is taken for.
        classes: K; None takes the largest label plus one, also of the map.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: a rate out of range, a negative seed, no whole numbers, labels out of range, or a map that is empty,
            leads a class to itself or names a class that does not exist.

    Example:
        >>> clean = np.repeat([0, 1, 2], 10)
        >>> noisy = asymmetric(clean, 0.4, seed=0, mapping={0: 1, 1: 0})
        >>> [np.bincount(noisy[clean == k], minlength=3).tolist() for k in range(3)]
        [[6, 4, 0], [4, 6, 0], [0, 0, 10]]
    """
    check_rate(rate)
    clean = _checked(labels, mapping, classes)
    return move(clean, rate, mapping, generator(seed))


def move(clean: np.ndarray, rate: float, mapping: Mapping[int, int], draws: np.random.Generator) -> np.ndarray:
    """What `asymmetric` does, without its checks and from any source of random numbers.

    Args:
        clean: int64 ``[N]``, left as they are.
        rate: share of each class in the map.
        mapping: from class to class.
        draws: where the choice of rows comes from.

    Example:
        >>> move(np.array([0, 0, 1, 1]), 0.5, {0: 1, 1: 0}, generator(0)).tolist()
        [1, 0, 0, 1]
    """
    noisy = clean.copy()
    for label in sorted(mapping):  # the order of the dict must not change the labels
        noisy[share(clean, label, rate, draws)] = mapping[label]
    return noisy


def asymmetric_inplace(
    labels: np.ndarray, rate: float, seed: int, mapping: Mapping[int, int], classes: int | None = None
) -> np.ndarray:
    """Asymmetric noise with the well-known bug: each step of the map also chooses among the labels just made wrong.

    In the order of the map, of the rows that *now* carry a class's label, exactly ``round(rate * n)`` get the label it
    maps to. In a map of both ways some rows so return: at 40 %, with cat > dog before dog > cat, about 24 % of the cats
    end up wrong, not 40 %, and on CIFAR-10 18.4 % of all labels, not 20 %. Here for the tables of those who did it: the
    published code of ELR, APL and CDR changes the labels in place.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        rate: share of each class in the map as it is found, in [0, 1).
        seed: of the draw; the same arguments always give the same labels.
        mapping: from each affected class to the class it is taken for; its order matters.
        classes: K; None takes the largest label plus one, also of the map.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: as for `asymmetric`.

    Example:
        >>> clean = np.repeat([0, 1], 1000)
        >>> noisy = asymmetric_inplace(clean, 0.4, seed=0, mapping={0: 1, 1: 0})
        >>> int((noisy != clean)[:1000].sum()), int((noisy == 0).sum())
        (243, 1160)
    """
    check_rate(rate)
    noisy = _checked(labels, mapping, classes)
    draws = generator(seed)
    for label, other in mapping.items():
        noisy[share(noisy, label, rate, draws)] = other
    return noisy


def _checked(labels: np.ndarray, mapping: Mapping[int, int], classes: int | None) -> np.ndarray:
    """A copy of the labels as int64, if they and the map fit each other."""
    clean, count = check_labels(labels, classes)
    if classes is None:
        count = max(count, 1 + max((*mapping.keys(), *mapping.values()), default=0))
    _check_map(mapping, count)
    return clean


def _check_map(mapping: Mapping[int, int], classes: int) -> None:
    if not mapping:
        raise UsageError(
            "asymmetric noise needs a map from each class to the one it is taken for, and this data has none: give a "
            "map, or use symmetric noise"
        )
    for label, other in mapping.items():
        if not (0 <= label < classes and 0 <= other < classes):
            raise UsageError(
                f"the map of asymmetric noise has {label}>{other}, and classes go from 0 to {classes - 1}: mend it"
            )
        if label == other:
            raise UsageError(f"the map of asymmetric noise leads class {label} to itself: leave it out or mend it")
