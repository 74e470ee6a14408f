"""Noise rates and class shares from one another, by Bayes' rule: ``cleanlab.internal.latent_algebra``.

With ``s`` the given and ``y`` the true label, ``ps`` and ``py`` are the shares of the classes; the noise matrix is
``P(s | y)`` (row = given, column = true, columns sum to 1), the inverse noise matrix ``P(y | s)`` (row = true, column =
given, columns sum to 1). Rates are cut to 0..0.9999 and shares to 1e-6 and more, as in cleanlab 2.9, and made to sum to
1 again.
"""

import numpy as np

from thresher.audit import confident
from thresher.audit.labels.count import class_sizes
from thresher.audit.labels.inputs import Labels, Names, Probabilities, check_name, square
from thresher.errors import UsageError

METHODS = ("cnt", "eqn", "marginal", "marginal_ps")
TINY = 1e-100

_LEAST = 1e-6
_MOST_NOISE = 0.9999


def compute_py(
    ps: np.ndarray,
    noise_matrix: np.ndarray,
    inverse_noise_matrix: np.ndarray,
    *,
    py_method: str = "cnt",
    true_labels_class_counts: np.ndarray | None = None,
) -> np.ndarray:
    """Shares of the true classes.

    Args:
        ps: shares of the given classes, ``[K]``.
        noise_matrix: ``[K, K]``.
        inverse_noise_matrix: ``[K, K]``.
        py_method: ``cnt`` (from the diagonals: robust), ``eqn`` (solves noise matrix x py = ps), ``marginal`` (from
            `true_labels_class_counts`) or ``marginal_ps`` (inverse noise matrix x ps).
        true_labels_class_counts: column sums of the confident joint, ``[K]``.

    Returns:
        float64 ``[K]``, 1e-6 or more, sum 1.

    Raises:
        UsageError: an unknown method, missing counts, a noise matrix that cannot be inverted.

    Example:
        >>> noise = np.array([[1.0, 0.2], [0.0, 0.8]])
        >>> compute_py(np.array([0.5, 0.5]), noise, np.eye(2), py_method="eqn").round(3).tolist()
        [0.375, 0.625]
    """
    check_name("py_method", py_method, METHODS)
    ps, noise, inverse = np.asarray(ps), np.asarray(noise_matrix), np.asarray(inverse_noise_matrix)
    if py_method == "eqn":
        py = _inverted(noise).dot(ps)
    elif py_method == "marginal_ps":
        py = np.dot(inverse, ps)
    elif py_method == "marginal":
        if true_labels_class_counts is None:
            raise UsageError("py_method 'marginal' needs true_labels_class_counts, the column sums of the joint")
        counts = np.asarray(true_labels_class_counts)
        py = counts / max(float(sum(counts)), TINY)
    else:
        py = inverse.diagonal() / np.maximum(noise.diagonal(), TINY) * ps
    return shares(py)


def compute_inv_noise_matrix(py: np.ndarray, noise_matrix: np.ndarray, *, ps: np.ndarray | None = None) -> np.ndarray:
    """``P(y | s)`` from ``P(s | y)`` and the shares of the true classes, by Bayes' rule.

    Args:
        py: shares of the true classes, ``[K]``.
        noise_matrix: ``[K, K]``.
        ps: shares of the given classes, ``[K]``; default what follows from the two.

    Returns:
        float64 ``[K, K]``.

    Example:
        >>> compute_inv_noise_matrix(np.array([0.5, 0.5]), np.array([[1.0, 0.2], [0.0, 0.8]])).round(3).tolist()
        [[0.833, 0.0], [0.167, 1.0]]
    """
    joint = np.asarray(noise_matrix) * np.asarray(py)
    return rates(joint.T / np.maximum(joint.sum(axis=1) if ps is None else ps, TINY))


def compute_noise_matrix_from_inverse(
    ps: np.ndarray, inverse_noise_matrix: np.ndarray, *, py: np.ndarray | None = None
) -> np.ndarray:
    """``P(s | y)`` from ``P(y | s)`` and the shares of the given classes, by Bayes' rule.

    Args:
        ps: shares of the given classes, ``[K]``.
        inverse_noise_matrix: ``[K, K]``.
        py: shares of the true classes, ``[K]``; default what follows from the two.

    Returns:
        float64 ``[K, K]``.

    Example:
        >>> inverse = np.array([[0.75, 0.0], [0.25, 1.0]])
        >>> compute_noise_matrix_from_inverse(np.array([0.5, 0.5]), inverse).round(3).tolist()
        [[1.0, 0.2], [0.0, 0.8]]
    """
    joint = (np.asarray(inverse_noise_matrix) * np.asarray(ps)).T
    return rates(joint / np.maximum(joint.sum(axis=0) if py is None else py, TINY))


def compute_py_inv_noise_matrix(ps: np.ndarray, noise_matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``py`` and ``P(y | s)`` from ``ps`` and ``P(s | y)``.

    Raises:
        UsageError: a noise matrix that cannot be inverted.

    Example:
        >>> compute_py_inv_noise_matrix(np.array([0.5, 0.5]), np.array([[1.0, 0.2], [0.0, 0.8]]))[0].tolist()
        [0.375, 0.625]
    """
    py = shares(_inverted(np.asarray(noise_matrix)).dot(np.asarray(ps)))
    return py, compute_inv_noise_matrix(py, noise_matrix, ps=ps)


def compute_ps_py_inv_noise_matrix(
    labels: Labels, noise_matrix: np.ndarray, *, classes: Names | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``ps``, ``py`` and ``P(y | s)`` from labels and ``P(s | y)``.

    Raises:
        UsageError: labels outside the matrix, or a matrix that cannot be inverted.

    Example:
        >>> noise = np.array([[1.0, 0.2], [0.0, 0.8]])
        >>> compute_ps_py_inv_noise_matrix([0, 0, 1, 1], noise)[0].tolist()
        [0.5, 0.5]
    """
    noise = square(noise_matrix, what="noise_matrix")
    sizes = class_sizes(labels, len(noise), classes)
    ps = sizes / float(max(sizes.sum(), 1))
    return ps, *compute_py_inv_noise_matrix(ps, noise)


def compute_pyx(pred_probs: Probabilities, noise_matrix: np.ndarray, inverse_noise_matrix: np.ndarray) -> np.ndarray:
    """Probabilities of the true classes from those of the given ones, by the diagonals of the matrices.

    Args:
        pred_probs: ``P(s | x)``, float ``[N, K]``.
        noise_matrix: ``[K, K]``.
        inverse_noise_matrix: ``[K, K]``.

    Returns:
        ``P(y | x)``, float64 ``[N, K]``; rows sum to 1.

    Raises:
        UsageError: what is no matrix of probabilities.

    Example:
        >>> compute_pyx([[0.5, 0.5]], np.diag([1.0, 0.5]), np.eye(2)).round(3).tolist()
        [[0.333, 0.667]]
    """
    _, p = confident.checked(np.zeros(len(pred_probs), dtype=np.int64), pred_probs)
    scaled = p * np.diagonal(inverse_noise_matrix)
    scaled /= np.maximum(np.diagonal(noise_matrix), TINY)
    np.clip(scaled, 0, 1, out=scaled)
    scaled /= np.maximum(scaled.sum(axis=1, keepdims=True), TINY)
    return np.asarray(scaled)


def rates(matrix: np.ndarray) -> np.ndarray:
    """Columns of rates: off the diagonal 0..0.9999, then scaled to sum to 1.

    Example:
        >>> rates(np.array([[0.5, 0.0], [-0.1, 0.5]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    cut = np.clip(matrix, 0, _MOST_NOISE)
    np.fill_diagonal(cut, np.diagonal(matrix))
    return np.asarray(cut / np.maximum(cut.sum(axis=0), TINY))


def shares(values: np.ndarray, least: float = _LEAST) -> np.ndarray:
    """Shares of `least` or more that sum to 1.

    Example:
        >>> shares(np.array([-1.0, 0.5])).round(3).tolist()
        [0.0, 1.0]
    """
    cut = np.clip(values, least, 1.0)
    return np.asarray(cut / np.maximum(cut.sum(), TINY))


def _inverted(matrix: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError as error:
        raise UsageError("the noise matrix cannot be inverted: take another py_method, such as 'cnt'") from error
