"""Mean absolute error: every label pulls at most as hard as any other, however implausible it is.

Ghosh, Kumar and Sastry, "Robust Loss Functions under Label Noise for Deep Neural Networks", AAAI 2017: the distance
sum_k |p_k - e_k| = 2 (1 - p_y) between the prediction and the one-hot label. Its gradient with respect to the label's
logit is -p_y (1 - p_y), nearly 0 for a sample that is not yet learned, so with many classes it learns slowly or hardly
at all; a larger learning rate or `scale` helps, and so does an active loss beside it (see `apl`).

Noise-tolerant: sum_k L(f, k) = scale*(K-1) for every prediction f, and L lies in [0, scale]. Hence under symmetric
noise R_noisy = (1 - rate*K/(K-1)) R + scale*rate, and a network has the lowest risk on the noisy labels exactly if it
has it on the right ones, as long as rate < 1 - 1/K. Under class-dependent noise that holds if no wrong label is as
frequent as the right one, rate_yk < 1 - rate_y, and if some network has risk 0 on the right labels.

Deviations: the default is 1 - p_y, half the paper's distance, as in the code of Ma et al. (ICML 2020), with which
learning rates and the weights of `apl` were published, and as the limit of `gce` at q = 1; the preset `paper` is the
distance itself.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class MAE:
    """Mean absolute error.

    Attributes:
        scale: the largest loss of a sample: 1 is 1 - p_y, 2 is the paper's distance.

    Example:
        >>> import torch
        >>> MAE(scale=2.0).loss(torch.zeros(1, 4), torch.eye(4)[:1]).item()
        1.5
    """

    scale: float = field(1.0, search=(0.5, 10.0), bounds=(1e-6, math.inf))
    family = "robust loss"
    presets = {"code": {"scale": 1.0}, "paper": {"scale": 2.0}}

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return losses.mae(logits, target, self.scale)
