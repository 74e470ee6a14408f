"""Methods in training loops that are not ours: as a loss module, or around an optimiser."""

from thresher.engine.drop_in.legal import LOSS_SLOTS, OPTIMIZER_SLOTS, check_drop_in
from thresher.engine.drop_in.loss import MethodLoss, as_loss
from thresher.engine.drop_in.optimizer import MethodOptimizer, as_optimizer

__all__ = [
    "LOSS_SLOTS",
    "OPTIMIZER_SLOTS",
    "MethodLoss",
    "MethodOptimizer",
    "as_loss",
    "as_optimizer",
    "check_drop_in",
]
