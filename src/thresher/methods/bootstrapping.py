"""Bootstrapping: the target is partly the given label and partly what the network itself predicts.

Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping", ICLR 2015 workshop (arXiv 1412.6596):
the target is beta t + (1 - beta) p (soft) or beta t + (1 - beta) onehot(argmax p) (hard), under cross-entropy. As in
published code the p of the soft target carries gradient, so that its part of the loss is the entropy of the prediction,
(1 - beta) H(p); `detach_target` holds it fixed. There is no condition under which this loss is known to be tolerant of
noise: once the network has learned a wrong label, it confirms itself.

The prediction is that of the very input, so that mixup may go before: a mixed input is judged by what is predicted for
the mixture.

Deviations: log p is exact, where published code clips p at 1e-7. As a method of the target slot it stands under any
loss, of which cross-entropy is the paper's.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import one_hot, pad

from thresher.engine.method import field
from thresher.engine.step import Step


@dataclass(frozen=True)
class Bootstrapping:
    """Targets that trust the network a little.

    Attributes:
        mode: soft (its probabilities) or hard (its class).
        beta: weight of the given label; the paper's is 0.95 for soft and 0.8 for hard.
        detach_target: whether the soft target is held fixed; a hard one always is.

    Example:
        >>> import torch
        >>> import thresher as th
        >>> th.method("bootstrapping", preset="hard")
        Bootstrapping(mode='hard', beta=0.8, detach_target=False)
        >>> criterion = th.as_loss(th.method("bootstrapping"), num_samples=10, num_classes=3)
        >>> logits = torch.tensor([[2.0, 1.0, 0.1]])
        >>> round(criterion(logits, torch.tensor([0]), torch.tensor([7])).item(), 4)
        0.4385
    """

    mode: str = field("soft", choices=("soft", "hard"))
    beta: float = field(0.95, letter="beta", search=(0.5, 0.99), bounds=(0.0, 1.0))
    detach_target: bool = field(False)
    family = "loss adjustment"
    neutral = {"beta": 1.0}
    presets = {"soft": {"mode": "soft", "beta": 0.95}, "hard": {"mode": "hard", "beta": 0.8}}

    def target(self, step: Step) -> Tensor:
        """The mixed targets ``[B, C]``; an extra class takes no mass from samples that do not carry it."""
        p = step.probabilities.detach() if self.detach_target else step.probabilities
        own = p if self.mode == "soft" else one_hot(p.argmax(1), p.shape[1]).to(p.dtype)
        return self.beta * step.target + (1 - self.beta) * pad(own, (0, step.target.shape[1] - p.shape[1]))
