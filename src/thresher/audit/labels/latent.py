"""True class shares and noise rates from a confident joint: the latent side of ``cleanlab.count``.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021. Every matrix is
one of counts first, and then of rates; see `thresher.audit.labels.algebra` for what they are called.
"""

from collections.abc import Sequence

import numpy as np

from thresher.audit.labels.algebra import (
    METHODS,
    TINY,
    compute_inv_noise_matrix,
    compute_noise_matrix_from_inverse,
    compute_py,
    rates,
    shares,
)
from thresher.audit.labels.count import class_sizes, compute_confident_joint
from thresher.audit.labels.inputs import Labels, Names, Probabilities, check_name, square

_LEAST_AT_LAST = 1e-5


def estimate_latent(
    confident_joint: np.ndarray,
    labels: Labels,
    *,
    py_method: str = "cnt",
    converge_latent_estimates: bool = False,
    classes: Names | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the true classes and both noise matrices, from a confident joint.

    Args:
        confident_joint: counts ``[K, K]``, row = given class, column = true class.
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        py_method: see `compute_py`.
        converge_latent_estimates: compute each from the others in turn, until they nearly agree.
        classes: the names of the columns in order, where labels are names and a class has no label.

    Returns:
        ``py [K]``, noise matrix ``[K, K]`` and inverse noise matrix ``[K, K]``, float64.

    Raises:
        UsageError: a joint that is not square, labels outside it, an unknown method.

    Example:
        >>> py, noise, inverse = estimate_latent([[3, 1], [0, 4]], [0] * 4 + [1] * 4)
        >>> py.tolist(), noise.tolist(), inverse.tolist()
        ([0.375, 0.625], [[1.0, 0.2], [0.0, 0.8]], [[0.75, 0.0], [0.25, 1.0]])
    """
    check_name("py_method", py_method, METHODS)
    joint = square(confident_joint)
    sizes = class_sizes(labels, len(joint), classes)
    ps = sizes / float(max(sizes.sum(), 1))
    truly = joint.sum(axis=0).astype(float)
    noise = joint / np.maximum(truly, TINY)
    inverse = joint.T / np.maximum(joint.sum(axis=1).astype(float), TINY)
    py = compute_py(ps, noise, inverse, py_method=py_method, true_labels_class_counts=truly)
    noise, inverse = rates(noise), rates(inverse)
    if converge_latent_estimates:
        py, noise, inverse = _converged(ps, py, noise)
        py, noise, inverse = shares(py, _LEAST_AT_LAST), rates(noise), rates(inverse)
    return py, noise, inverse


def estimate_py_and_noise_matrices_from_probabilities(
    labels: Labels,
    pred_probs: Probabilities,
    *,
    thresholds: Sequence[float] | np.ndarray | None = None,
    converge_latent_estimates: bool = True,
    py_method: str = "cnt",
    calibrate: bool = True,
    classes: Names | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`estimate_latent` from probabilities, and the confident joint that it starts from.

    Args:
        labels: given labels, integer ``[N]``, values 0..K-1, or names.
        pred_probs: out-of-sample class probabilities, float ``[N, K]``.
        thresholds: as for `compute_confident_joint`.
        converge_latent_estimates: as for `estimate_latent`.
        py_method: see `compute_py`.
        calibrate: as for `compute_confident_joint`.
        classes: as for `estimate_latent`.

    Returns:
        ``py [K]``, noise matrix, inverse noise matrix and confident joint, ``[K, K]`` each.

    Raises:
        UsageError: as for `compute_confident_joint` and `estimate_latent`.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> estimate_py_and_noise_matrices_from_probabilities([0, 0, 0, 1, 1], p)[0].round(3).tolist()
        [0.4, 0.6]
    """
    joint = compute_confident_joint(labels, pred_probs, thresholds=thresholds, calibrate=calibrate, classes=classes)
    rest = estimate_latent(
        joint,
        labels,
        py_method=py_method,
        converge_latent_estimates=converge_latent_estimates,
        classes=classes,
    )
    return *rest, joint


def _converged(ps: np.ndarray, py: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each from the others in turn; more turns would enlarge small errors."""
    inverse = noise
    for _ in range(3):
        for _ in range(5):
            inverse = compute_inv_noise_matrix(py, noise, ps=ps)
            py = compute_py(ps, noise, inverse)
        noise = compute_noise_matrix_from_inverse(ps, inverse, py=py)
    return py, noise, inverse
