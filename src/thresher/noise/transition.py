"""Noise after a matrix of one's own: the share of each true class that gets each label, with exact counts."""

from pathlib import Path

import numpy as np
from numpy.lib.format import read_array

from thresher.errors import UsageError
from thresher.noise.exact import check_labels, generator
from thresher.noise.manifest import DAMAGED

_TOLERANCE = 1e-6


def transition(labels: np.ndarray, matrix: np.ndarray, seed: int) -> np.ndarray:
    """Spread the rows of every class over the labels as a matrix says.

    Of the n rows of class i, ``matrix[i, j] * n`` get label j, rounded so that they add up to n: cut down to whole
    numbers, and the rows left over go to the largest fractions (of equal ones, to the lower class). The counts do not
    depend on the seed, and no label is given where the matrix has 0. Source of the idea: the generator of ANL (Ye et
    al., NeurIPS 2023), which only cuts down, and so puts in less noise than the matrix says.

    Args:
        labels: correct labels, whole numbers ``[N]`` in 0..K-1; left as they are.
        matrix: ``[K, K]``; row i are the shares of true class i, which add up to 1.
        seed: of the draw; the same arguments always give the same labels.

    Returns:
        The new labels, int64 ``[N]``.

    Raises:
        UsageError: no such matrix, a negative seed, no whole numbers, or labels out of range.

    Example:
        >>> clean = np.repeat([0, 1], 10)
        >>> noisy = transition(clean, np.array([[0.75, 0.25], [0.1, 0.9]]), seed=0)
        >>> [np.bincount(noisy[clean == k]).tolist() for k in range(2)]
        [[8, 2], [1, 9]]
    """
    shares = check_matrix(matrix, "the matrix of transition noise")
    clean, count = check_labels(labels, len(shares))
    noisy = clean.copy()
    draws = generator(seed)
    for label in range(count):
        rows = draws.permutation(np.flatnonzero(clean == label))
        noisy[rows] = np.repeat(np.arange(count), _apportion(shares[label], len(rows)))
    return noisy


def read_matrix(path: str | Path, classes: int | None = None) -> np.ndarray:
    """A transition matrix from a file.

    Args:
        path: a ``.npy`` file, or a ``.csv`` file of numbers with commas, one line per true class, without a header.
        classes: K; None for any number.

    Returns:
        float64 ``[K, K]``, checked.

    Raises:
        UsageError: a file that is not there or cannot be read, or `check_matrix` refuses what it holds.

    Example:
        >>> read_matrix("absent.npy", 10)
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: there is no transition matrix absent.npy: check the path
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no transition matrix {path}: check the path")
    try:
        matrix = _numbers(path)
    except DAMAGED as error:
        raise UsageError(
            f"{path} cannot be read as a transition matrix ({' '.join(str(error).split())[:120]}): give a .npy file of "
            "floats, or a .csv file of numbers without a header, one line per true class"
        ) from error
    return check_matrix(matrix, str(path), classes)


def check_matrix(matrix: np.ndarray, what: str, classes: int | None = None) -> np.ndarray:
    """A transition matrix as float64 ``[K, K]`` whose rows add up to 1 as exactly as they can.

    Args:
        matrix: ``[K, K]``, numbers; its rows may be off by a millionth.
        what: its name in messages.
        classes: K; None takes any.

    Raises:
        UsageError: no numbers, not square, of another K, a value that is NaN, infinite or negative, or a row that does
            not add up to 1.

    Example:
        >>> check_matrix(np.array([[0.8, 0.1], [0.0, 1.0]]), "T.npy")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: row 0 of T.npy adds up to 0.9: each row needs the shares of one true class, \
which are 1 together
    """
    array = np.asarray(matrix)
    if array.dtype.kind not in "iuf":
        raise UsageError(f"{what} has dtype {array.dtype}: give numbers")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise UsageError(f"{what} has shape {list(array.shape)}: give a square matrix, one row per true class")
    if classes is not None and len(array) != classes:
        raise UsageError(f"{what} is for {len(array)} classes, and the data has {classes}: give one row for each class")
    shares = array.astype(np.float64)
    for fault, bad in (("is not finite", ~np.isfinite(shares)), ("is negative", shares < 0)):
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise UsageError(
                f"{what} has {shares[row, column]:g} in row {row}, column {column}, which {fault}: mend it"
            )
    sums: np.ndarray = shares.sum(1, keepdims=True)
    off = np.flatnonzero(np.abs(sums[:, 0] - 1) > _TOLERANCE)
    if len(off):
        raise UsageError(
            f"row {off[0]} of {what} adds up to {sums[off[0], 0]:.7g}: each row needs the shares of one true class, "
            "which are 1 together"
        )
    normal: np.ndarray = shares / sums
    return normal


def _numbers(path: Path) -> np.ndarray:
    """What the file holds; pickled objects are refused by numpy, for they could run code."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            stored: np.ndarray = read_array(file, allow_pickle=False)
        return stored
    lines = path.read_text(encoding="utf-8-sig").splitlines()  # spreadsheets write a mark before the first number
    return np.array([[float(cell) for cell in line.split(",")] for line in lines if line.strip()])


def _apportion(shares: np.ndarray, rows: int) -> np.ndarray:
    """Whole numbers ``[K]`` that add up to `rows`, each less than 1 away from its share of them."""
    wanted = shares * rows
    counts: np.ndarray = np.floor(wanted).astype(np.int64)
    left = rows - int(counts.sum())
    # Rounded, so that 1.5 and what arithmetic makes of another 1.5 are equal fractions.
    counts[np.argsort(-np.round(wanted - counts, 9), kind="stable")[:left]] += 1
    return counts
