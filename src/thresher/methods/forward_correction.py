"""Forward correction: the network predicts true classes, and a transition matrix turns them into given labels.

Patrini et al., "Making Deep Neural Networks Robust to Label Noise: A Loss Correction Approach", CVPR 2017 (arXiv
1609.03683), theorem 2: the loss is -log (p T)_y with T[i, j] = P(given label j | true class i). Its minimiser under the
noise is the minimiser of cross-entropy without it, wherever T can be inverted and the noise depends on the true class
alone. Without a matrix, T is estimated as in the paper: a training with plain cross-entropy, anchor points in what it
says of the training samples (`thresher.audit.anchors`), and then a fresh network with the corrected loss. Further
`rounds` estimate again from the prediction of a corrected network times T.

Deviations from the authors' code: p T is summed over logarithms, with no clip, so that the loss and its gradient are
finite for any logits; their clip at 1e-7 makes both flat below it. Their filter writes zeros into the predictions that
later rows of T are read from; here it does not. The epoch that gives T is selected by accuracy on held-out rows, not by
loss; without held-out rows it is the last one, which has learned wrong labels by heart and sees too little noise.
`rounds` is ours.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thresher.engine.method import field
from thresher.engine.options import Options
from thresher.engine.step import Step
from thresher.parts.transition import as_matrix, check_idle, check_size, tensor_of, with_estimate

if TYPE_CHECKING:
    from thresher.engine.run import Run
    from thresher.engine.study import Study

_LOG_ZERO = -1e30  # far below any sum of logarithms, and finite, so that 0 times it is 0


@dataclass(frozen=True)
class ForwardCorrection:
    """Correct the prediction by the transition matrix.

    Attributes:
        matrix: T, rows that sum to 1: a .csv or .npy file, nested lists or an array; empty to estimate it.
        percentile: of the anchor points; 100 takes the most probable samples, 0 is 97 below 100 classes and 100 above.
        rounds: how often T is estimated, each time with the T before it.

    Example:
        >>> import thresher as th
        >>> method = th.method("forward_correction", matrix=[[0.8, 0.2, 0], [0, 0.8, 0.2], [0.2, 0, 0.8]])
        >>> criterion = th.as_loss(method, num_samples=10, num_classes=3)
        >>> logits = torch.tensor([[2.0, 1.0, 0.1]])
        >>> round(criterion(logits, torch.tensor([0]), torch.tensor([7])).item(), 4)
        0.6035
    """

    matrix: tuple[tuple[float, ...], ...] = field((), letter="T", convert=as_matrix)
    percentile: float = field(0.0, search=(90.0, 100.0), bounds=(0.0, 100.0))
    rounds: int = field(1, search=(1, 3), bounds=(1, math.inf))
    family = "loss adjustment"
    by_hand = ("fits",)

    @cached_property
    def _log_matrix(self) -> Tensor:
        return tensor_of(self.matrix, "forward_correction").log().clamp_min(_LOG_ZERO)

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, K]``: -sum_k target_k log (p T)_k.

        It needs room for ``[B, K, K]``.

        Raises:
            UsageError: there is no matrix, or one for another number of classes.
        """
        check_size(self.matrix, logits.shape[1])
        joint = torch.log_softmax(logits, 1)[:, :, None] + self._log_matrix.to(logits)
        return -(target * torch.logsumexp(joint, 1)).sum(1)

    @property
    def fits(self) -> "Callable[[Study], Run] | None":
        """The trainings that estimate T and the one that uses it; none of it when T is given."""
        return None if self.matrix else self._estimated

    def _estimated(self, study: "Study") -> "Run":
        return with_estimate(study, self)

    def check(self, options: Options) -> None:
        """Refuse settings of the estimate beside a given matrix."""
        check_idle(self)

    def check_classes(self, classes: int) -> None:
        """Refuse a matrix for another number of classes."""
        check_size(self.matrix, classes)
