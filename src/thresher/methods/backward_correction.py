"""Backward correction: losses are mixed by the inverse transition matrix, so that noise cancels out on average.

Patrini et al., "Making Deep Neural Networks Robust to Label Noise: A Loss Correction Approach", CVPR 2017 (arXiv
1609.03683), theorem 1: the loss is sum_j (T^-1)[y, j] (-log p_j) with T[i, j] = P(given label j | true class i). Its
expectation over the noise is cross-entropy with the true label, for every prediction: it is unbiased wherever T can be
inverted and the noise depends on the true class alone. The price is variance, which grows with the entries of T^-1,
and a loss that can be negative. For symmetric noise it equals label smoothing by a negative amount. Without a matrix, T
is estimated as for forward correction.

Deviations from the authors' code: log p is cut off at the logarithm of `clip` as there, without which the loss has no
lower bound, but p is not renormalised and has no upper clip, which change nothing measurable. They invert any T; here
one that is as good as singular is refused, and an ill-conditioned one warned of. The estimate of T as in
`forward_correction`, with what is said there of the filter, of the epoch and of `rounds`.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from thresher.engine.method import field
from thresher.engine.options import Options
from thresher.engine.step import Step
from thresher.errors import ThresherError, UsageError
from thresher.parts.transition import Matrix, as_matrix, check_idle, check_size, tensor_of, with_estimate

if TYPE_CHECKING:
    from thresher.engine.run import Run
    from thresher.engine.study import Study

_ILL, _SINGULAR = 20.0, 1e7  # the second: the rounding of float32, times this, is as large as the loss


def invertible(said: Any) -> Matrix:
    """What a person gave as a transition matrix, which must have an inverse; see `as_matrix`.

    Raises:
        UsageError: as `as_matrix`, or the matrix is singular.

    Example:
        >>> invertible([[0.5, 0.5], [0.5, 0.5]])
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: the transition matrix cannot be inverted, for some of its rows are mixtures of \
others: use forward_correction, or another matrix
    """
    matrix = as_matrix(said)
    if matrix:
        check_condition(np.array(matrix), UsageError, lambda sentence: warnings.warn(sentence, stacklevel=2))
    return matrix


def check_condition(matrix: np.ndarray, error: type[ThresherError], warn: Callable[[str], None]) -> None:
    """Refuse a matrix ``[K, K]`` without a usable inverse, and warn of one whose inverse is large.

    Args:
        matrix: rows sum to 1.
        error: what to raise: `UsageError` for a matrix that was given, `ThresherError` for one that was estimated.
        warn: told a sentence when the condition number is above 20.
    """
    number = condition(matrix)
    if number > _SINGULAR:
        raise error(
            "the transition matrix cannot be inverted, for some of its rows are mixtures of others: "
            "use forward_correction, or another matrix"
        )
    if number > _ILL:
        warn(
            f"the transition matrix is ill-conditioned, with a condition number of {number:.3g} (above {_ILL:g}): "
            "backward correction makes the loss noisy by about as much, and forward_correction does not"
        )


def condition(matrix: np.ndarray) -> float:
    """The condition number of a matrix ``[K, K]``: its largest singular value over its smallest one.

    1 for no noise, and infinity where two rows are equal. Symmetric noise of 80 % on ten classes has 9.

    Example:
        >>> condition(np.array([[0.75, 0.25], [0.25, 0.75]]))
        2.0
    """
    values = np.linalg.svd(matrix, compute_uv=False)
    return float(round(values[0] / values[-1], 9)) if values[-1] > 0 else math.inf


@dataclass(frozen=True)
class BackwardCorrection:
    """Correct the loss by the inverse of the transition matrix.

    Attributes:
        matrix: T, rows that sum to 1: a .csv or .npy file, nested lists or an array; empty to estimate it.
        clip: the smallest probability that counts; 0 for none.
        percentile: of the anchor points; 100 takes the most probable samples, 0 is 97 below 100 classes and 100 above.
        rounds: how often T is estimated, each time with the T before it.

    Example:
        >>> import thresher as th
        >>> method = th.method("backward_correction", matrix=[[0.8, 0.2, 0], [0, 0.8, 0.2], [0.2, 0, 0.8]])
        >>> criterion = th.as_loss(method, num_samples=10, num_classes=3)
        >>> logits = torch.tensor([[2.0, 1.0, 0.1]])
        >>> round(criterion(logits, torch.tensor([0]), torch.tensor([7])).item(), 4)
        0.2555
    """

    matrix: tuple[tuple[float, ...], ...] = field((), letter="T", convert=invertible)
    clip: float = field(1e-7, bounds=(0.0, 0.5))
    percentile: float = field(0.0, search=(90.0, 100.0), bounds=(0.0, 100.0))
    rounds: int = field(1, search=(1, 3), bounds=(1, math.inf))
    family = "loss adjustment"
    by_hand = ("fits",)

    @cached_property
    def _inverse(self) -> Tensor:
        matrix = tensor_of(self.matrix, "backward_correction").numpy()
        check_condition(matrix, ThresherError, lambda sentence: None)
        return torch.from_numpy(np.linalg.inv(matrix))

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, K]``; it can be negative.

        Raises:
            UsageError: there is no matrix, or one for another number of classes.
            ThresherError: the matrix cannot be inverted.
        """
        check_size(self.matrix, logits.shape[1])
        lowest = math.log(self.clip) if self.clip else -math.inf
        log_p = torch.log_softmax(logits, 1).clamp_min(lowest)
        return -((target @ self._inverse.to(logits)) * log_p).sum(1)

    @property
    def fits(self) -> "Callable[[Study], Run] | None":
        """The trainings that estimate T and the one that uses it; none of it when T is given."""
        return None if self.matrix else self._estimated

    def _estimated(self, study: "Study") -> "Run":
        return with_estimate(study, self, lambda matrix: check_condition(matrix, ThresherError, study.warn))

    def check(self, options: Options) -> None:
        """Refuse settings of the estimate beside a given matrix."""
        check_idle(self)

    def check_classes(self, classes: int) -> None:
        """Refuse a matrix for another number of classes."""
        check_size(self.matrix, classes)
