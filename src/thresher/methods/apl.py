"""Active passive loss: two robust losses, one that raises the label's probability and one that lowers the others.

Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels", ICML 2020 (arXiv 2006.13554): L = alpha *
active + beta * passive. The active loss is a normalised one (`nce`, `nfl` or `ngce`), the passive one `mae` or `rce`.
Alone each is robust and learns too little; together they learn. Defaults are NCE + RCE with the weights for CIFAR-10;
weights are the only thing to tune, and depend most on the number of classes.

Noise-tolerant as a sum of losses that are: sum_k L(f, k) = alpha + beta*(K-1) with MAE and alpha - beta*A*(K-1) with
RCE, for every prediction f. Calling that constant C, under symmetric noise R_noisy = (1 - rate*K/(K-1)) R +
C*rate/(K-1), and a network has the lowest risk on the noisy labels exactly if it has it on the right ones, as long as
rate < 1 - 1/K. For class-dependent noise see the page of the active loss: its bound is the one that may fail.

Presets: `mnist` and `cifar10` serve every pair. For CIFAR-100 and WebVision (the first 50 classes) the weight beta
depends on the passive loss: `cifar100` and `webvision` are those of RCE, `cifar100_mae` and `webvision_mae` of MAE.

Deviations: p is nowhere clamped at 1e-7, as on the pages of the single losses. As in the authors' code MAE is 1 - p_y,
A = ln(1e-4), no gradient goes through the focal weights of NFL, and q of NGCE is 0.1, for CIFAR-100 0.7. (Three of its
settings called NGCE + RCE train NGCE + MAE.)
"""

import math
from dataclasses import dataclass

from torch import Tensor

from thresher.engine.method import field
from thresher.engine.step import Step
from thresher.parts import losses


@dataclass(frozen=True)
class APL:
    """Active passive loss.

    Attributes:
        active: nce, nfl or ngce.
        passive: mae or rce.
        alpha: weight of the active loss.
        beta: weight of the passive loss.
        q: of ngce; the others have none.
        gamma: of nfl; the others have none.
        log_zero: the constant A of rce that stands for log 0; mae has none.

    Example:
        >>> import torch
        >>> APL(passive="mae").loss(torch.zeros(1, 4), torch.eye(4)[:1]).item()  # 1/4 + 3/4
        1.0
    """

    active: str = field("nce", choices=("nce", "nfl", "ngce"))
    passive: str = field("rce", choices=("mae", "rce"))
    alpha: float = field(1.0, letter="alpha", search=(0.1, 50.0), bounds=(1e-6, math.inf))
    beta: float = field(1.0, letter="beta", search=(0.1, 50.0), bounds=(0.0, math.inf))
    q: float = field(0.1, letter="q", search=(0.1, 1.0), bounds=(1e-3, 1.0))
    gamma: float = field(0.5, letter="gamma", search=(0.1, 5.0), bounds=(0.0, 10.0))
    log_zero: float = field(math.log(1e-4), letter="A", search=(-10.0, -1.0), bounds=(-math.inf, -1e-6))
    family = "robust loss"
    presets = {
        "mnist": {"alpha": 1.0, "beta": 10.0, "q": 0.1},
        "cifar10": {"alpha": 1.0, "beta": 1.0, "q": 0.1},
        "cifar100": {"passive": "rce", "alpha": 10.0, "beta": 0.1, "q": 0.7},
        "cifar100_mae": {"passive": "mae", "alpha": 10.0, "beta": 1.0, "q": 0.7},
        "webvision": {"passive": "rce", "alpha": 50.0, "beta": 0.1},
        "webvision_mae": {"passive": "mae", "alpha": 50.0, "beta": 1.0},
    }

    def loss(self, logits: Tensor, target: Tensor, step: Step | None = None) -> Tensor:
        """Per sample ``[B]``, for logits and soft targets ``[B, C]``."""
        return self.alpha * self._active(logits, target) + self.beta * self._passive(logits, target)

    def _active(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.active == "nfl":
            return losses.nfl(logits, target, self.gamma)
        return losses.ngce(logits, target, self.q) if self.active == "ngce" else losses.nce(logits, target)

    def _passive(self, logits: Tensor, target: Tensor) -> Tensor:
        return losses.mae(logits, target) if self.passive == "mae" else losses.rce(logits, target, self.log_zero)
