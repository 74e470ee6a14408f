"""What generators with exact counts share: checks of what they are given, and the choice of rows."""

import numpy as np

from thresher.errors import UsageError


def check_rate(rate: float) -> None:
    """Refuse a rate outside [0, 1).

    Raises:
        UsageError: so it is, or it is NaN.

    Example:
        >>> check_rate(40)
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: noise rate 40 is outside [0, 1): rates are fractions, so 0.4 means 40 %
    """
    if not 0 <= rate < 1:
        raise UsageError(f"noise rate {rate} is outside [0, 1): rates are fractions, so 0.4 means 40 %")


def check_labels(labels: np.ndarray, classes: int | None) -> tuple[np.ndarray, int]:
    """Labels as int64 and the number of classes.

    Args:
        labels: whole numbers ``[N]``.
        classes: K; None takes the largest label plus one.

    Raises:
        UsageError: not one whole number per row, or a label outside 0..K-1.

    Example:
        >>> check_labels(np.array([0, 2, 1], dtype=np.uint8), None)
        (array([0, 2, 1]), 3)
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UsageError(
            f"labels for noise have shape {list(array.shape)} and dtype {array.dtype}: give one whole number per row"
        )
    top = int(array.max()) if array.size else -1
    count = top + 1 if classes is None else classes
    if array.size and (array.min() < 0 or top >= count):
        raise UsageError(
            f"labels for noise go from {array.min()} to {top} where there are {count} classes: give 0 to {count - 1}"
        )
    return array.astype(np.int64), count


def check_two(classes: int, name: str) -> None:
    """Refuse noise that goes to other classes where there is only one.

    Raises:
        UsageError: so it is.

    Example:
        >>> check_two(1, "symmetric")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: symmetric noise needs a class to go to, and there is only one: give two classes or \
more
    """
    if classes == 1:
        raise UsageError(f"{name} noise needs a class to go to, and there is only one: give two classes or more")


def generator(seed: int) -> np.random.Generator:
    """The random numbers of one draw, independent of NumPy's global state.

    Raises:
        UsageError: a negative seed.

    Example:
        >>> generator(0).integers(10, size=3).tolist()
        [8, 6, 5]
    """
    if seed < 0:
        raise UsageError(f"the seed of noise is {seed}: give a whole number from 0")
    return np.random.Generator(np.random.PCG64(seed))


def share(labels: np.ndarray, label: int, rate: float, draws: np.random.Generator) -> np.ndarray:
    """A random share of the rows with one label.

    Args:
        labels: int64 ``[N]``.
        label: which rows to choose from.
        rate: their share; ``round(rate * n)`` of n rows are chosen, a half goes to the even number.
        draws: where the choice comes from.

    Returns:
        Row numbers, int64, without repetition.

    Example:
        >>> share(np.array([0, 1, 1, 0, 1]), 1, 0.9, np.random.default_rng(0)).tolist()
        [4, 1, 2]
    """
    rows = np.flatnonzero(labels == label)
    return draws.permutation(rows)[: round(rate * len(rows))]
