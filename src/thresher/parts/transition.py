"""What the corrections of the loss by a transition matrix share: the matrix as a setting, and how it is estimated."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from thresher.audit.anchors import anchor_transition
from thresher.engine.method import Method, name_of
from thresher.errors import UsageError
from thresher.noise.transition import check_matrix, read_matrix

if TYPE_CHECKING:
    from thresher.engine.run import Run
    from thresher.engine.study import Study

Matrix = tuple[tuple[float, ...], ...]
"""A transition matrix that can be hashed: row i are the probabilities of each given label for true class i."""

_WHAT = "the transition matrix"


def as_matrix(said: Any) -> Matrix:
    """What a person gave as a transition matrix, as rows of floats; empty for nothing.

    Args:
        said: the path of a .csv or .npy file, nested lists, or an array ``[K, K]``.

    Raises:
        UsageError: a file that cannot be read, no square matrix of numbers, a negative number, a row that does not add
            up to 1, or a column of zeros.

    Example:
        >>> as_matrix(np.eye(2))
        ((1.0, 0.0), (0.0, 1.0))
        >>> as_matrix([[0.8, 0.1], [0.2, 0.8]])
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: row 0 of the transition matrix adds up to 0.9: each row needs the shares of one \
true class, which are 1 together
    """
    if isinstance(said, str | os.PathLike) and os.fspath(said):
        array = read_matrix(cast(str, said))
    else:
        array = _array(said or () if isinstance(said, str) else said)
    if not array.size:
        return ()
    check_matrix(array, _WHAT)
    unused = np.flatnonzero(~array.any(axis=0))
    if unused.size:
        raise UsageError(
            f"column {unused[0]} of {_WHAT} holds only zeros, so that no sample could be labelled {unused[0]}: mend it"
        )
    return rows_of(array)


def _array(said: Any) -> np.ndarray:
    try:
        return np.asarray(said)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, tensors on a GPU or with a gradient
        raise UsageError(
            f"{_WHAT} cannot be read ({' '.join(str(error).split())[:120]}): give numbers, one row per true class"
        ) from error


def rows_of(array: np.ndarray) -> Matrix:
    """An array ``[K, K]`` as rows of floats, the values as they are.

    Example:
        >>> rows_of(np.array([[1, 0], [0, 1]]))
        ((1.0, 0.0), (0.0, 1.0))
    """
    return tuple(tuple(map(float, row)) for row in array.tolist())


def check_size(matrix: Matrix, classes: int) -> None:
    """Refuse a matrix of another number of classes; an empty one is still to be estimated.

    Raises:
        UsageError: with both numbers.

    Example:
        >>> check_size(((1.0, 0.0), (0.0, 1.0)), 3)
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: the transition matrix is for 2 classes, and there are 3: give one row for each
    """
    if matrix and len(matrix) != classes:
        raise UsageError(f"{_WHAT} is for {len(matrix)} classes, and there are {classes}: give one row for each")


def tensor_of(matrix: Matrix, name: str) -> Tensor:
    """A matrix as float64 ``[K, K]`` on the CPU, rows scaled to sum 1 as exactly as they can.

    Args:
        matrix: rows of floats.
        name: of the method that needs it, for the message.

    Raises:
        UsageError: the matrix is empty, or `check_matrix` refuses it.
    """
    if not matrix:
        raise UsageError(
            f"{name} has no transition matrix, and only a run of thresher can estimate one: pass matrix=, "
            f'for instance th.method("{name}", matrix=[[0.8, 0.2], [0.1, 0.9]])'
        )
    return torch.from_numpy(check_matrix(np.array(matrix), _WHAT))


def check_idle(method: Method) -> None:
    """Refuse settings of the estimate beside a matrix that is given.

    Raises:
        UsageError: naming the setting.
    """
    idle = [name for name, unset in (("percentile", 0), ("rounds", 1)) if getattr(method, name) != unset]
    if method.matrix and idle:
        raise UsageError(
            f"{name_of(method)}.{idle[0]} is for estimating the matrix, and {name_of(method)}.matrix is given: "
            "leave one of the two out"
        )


def with_estimate(study: "Study", method: Method, look: Callable[[np.ndarray], None] = lambda matrix: None) -> "Run":
    """Estimate the matrix in trainings of their own, then train a fresh network with the corrected loss.

    The first training is plain cross-entropy on the given labels: what it says of the training samples at its selected
    epoch gives the matrix by anchor points. Each further round trains with the corrected loss, whose network predicts
    true classes, and estimates the matrix again from that prediction times the matrix. Only the last training is done
    together with the other methods of the combination.

    Args:
        study: of the combination.
        method: one of its methods, with the fields `matrix`, `percentile` and `rounds`.
        look: called with each estimate, float64 ``[K, K]``; it may warn, or raise.

    Returns:
        The last training; its value "transition" is the matrix, float64 ``[K, K]``.
    """
    name, percentile = name_of(method), method.percentile or None
    said = study.posterior(study.fit(f"{name}-1")).double().numpy()
    matrix = anchor_transition(said, percentile)
    look(matrix)
    for number in range(2, method.rounds + 1):
        said = study.posterior(study.fit(f"{name}-{number}", _given(method, matrix))).double().numpy()
        matrix = anchor_transition(said @ matrix, percentile)
        look(matrix)
    return study.fit(
        None, *study.swapped(method, _given(method, matrix)), values={"transition": torch.from_numpy(matrix)}
    )


def _given(method: Method, matrix: np.ndarray) -> Method:
    return replace(method, matrix=rows_of(matrix), percentile=0.0, rounds=1)
