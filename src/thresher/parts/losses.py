"""Robust losses as pure functions of logits and soft targets.

All take ``logits`` ``[B, C]`` with C of 2 or more and ``target`` ``[B, C]``, floating, and give the loss of each
sample, ``[B]``, of the wider of both types. A soft target enters linearly: sum_k target_k L(k), where L(k) is the loss
of the hard label k. All start from log_softmax, so that losses and gradients are finite for every finite logit that
float32 can tell from its neighbours, 1e4 for instance, where softmax itself is 0 or 1.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

LOG_ZERO: Mapping[str, Mapping[str, float]] = {
    "code": {"log_zero": math.log(1e-4)},
    "benchmark": {"log_zero": -4.0},
    "analysis": {"log_zero": -6.0},
}
"""Presets of the constant that stands for log 0 in reverse cross-entropy.

code: what the authors' clamp at 1e-4 amounts to, -9.21, for which the published weights were tuned; analysis: their
paper's study of class bias; benchmark: probably its tables.
"""


def mae(logits: Tensor, target: Tensor, scale: float = 1.0) -> Tensor:
    """Mean absolute error, ``scale * (1 - p_y)``; `scale` 2 is the distance sum_k |p_k - e_k| between the two.

    Ghosh et al., AAAI 2017.

    Example:
        >>> logits, target = torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> f"{mae(logits, target).item():.4f} {mae(logits, target, scale=2).item():.4f}"
        '0.3410 0.6820'
    """
    return scale * gce(logits, target, 1.0)


def rce(logits: Tensor, target: Tensor, log_zero: float) -> Tensor:
    """Reverse cross-entropy, -sum_k p_k log e_k with `log_zero` for log 0, which is ``-log_zero * (1 - p_y)``.

    Wang et al., ICCV 2019, section 3.

    Example:
        >>> logits, target = torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> f"{rce(logits, target, -4.0).item():.4f}"
        '1.3640'
    """
    return mae(logits, target, scale=-log_zero)


def gce(logits: Tensor, target: Tensor, q: float) -> Tensor:
    """Generalised cross-entropy, ``(1 - p_y^q) / q``, for q in (0, 1].

    Zhang and Sabuncu, NeurIPS 2018, equation 6; as -expm1(q log p_y) / q, whose gradient is finite where p_y is 0.

    Example:
        >>> logits, target = torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> f"{gce(logits, target, 0.7).item():.4f}"
        '0.3617'
    """
    return -(target * torch.expm1(q * torch.log_softmax(logits, 1))).sum(1) / q


def nce(logits: Tensor, target: Tensor) -> Tensor:
    """Normalised cross-entropy, ``log p_y / sum_k log p_k``, between 0 and 1.

    Ma et al., ICML 2020.

    Example:
        >>> logits, target = torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> f"{nce(logits, target).item():.4f}"
        '0.1005'
    """
    return _normalised(-torch.log_softmax(logits, 1), target)


def ngce(logits: Tensor, target: Tensor, q: float) -> Tensor:
    """Normalised generalised cross-entropy, ``(1 - p_y^q) / sum_k (1 - p_k^q)``, between 0 and 1.

    Ma et al., ICML 2020: their normalisation of Zhang and Sabuncu's loss.

    Example:
        >>> logits, target = torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> f"{ngce(logits, target, 0.7).item():.4f}"
        '0.1503'
    """
    return _normalised(-torch.expm1(q * torch.log_softmax(logits, 1)), target)


def nmae(logits: Tensor, target: Tensor) -> Tensor:
    """Normalised mean absolute error, ``(1 - p_y) / (K - 1)``, for sum_k (1 - p_k) = K - 1 whatever the logits.

    Ma et al., ICML 2020. A factor on the loss cancels, so this is normalised reverse cross-entropy as well.

    Example:
        >>> logits, target = torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> f"{nmae(logits, target).item():.4f}"
        '0.1705'
    """
    return mae(logits, target) / (logits.shape[1] - 1)


def focal(logits: Tensor, target: Tensor, gamma: float, detach: bool = False) -> Tensor:
    """Focal loss, ``-(1 - p_y)^gamma log p_y``.

    Lin et al., ICCV 2017, equation 4.

    Args:
        logits: ``[B, C]``.
        target: ``[B, C]``.
        gamma: 0 is cross-entropy.
        detach: let no gradient through the weight (1 - p_y)^gamma, as the code of Ma et al. does.

    Example:
        >>> logits, target = torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> f"{focal(logits, target, 0.5).item():.4f}"
        '0.2435'
    """
    return (target * _focal_by_class(logits, gamma, detach)).sum(1)


def nfl(logits: Tensor, target: Tensor, gamma: float, detach: bool = True) -> Tensor:
    """Normalised focal loss: the focal loss of the label over the sum of those of all classes, between 0 and 1.

    Ma et al., ICML 2020.

    Args:
        logits: ``[B, C]``.
        target: ``[B, C]``.
        gamma: 0 is normalised cross-entropy.
        detach: let no gradient through the weights (1 - p_k)^gamma above and below, as the authors' code does.

    Example:
        >>> logits, target = torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> f"{nfl(logits, target, 0.5).item():.4f}"
        '0.0662'
    """
    return _normalised(_focal_by_class(logits, gamma, detach), target)


def _normalised(losses: Tensor, target: Tensor) -> Tensor:
    """The label's share of the losses ``[B, C]`` of all classes.

    With two classes or more the sum is not 0: where one class is certain, the others' losses are large.
    """
    return (target * losses).sum(1) / losses.sum(1)


def _focal_by_class(logits: Tensor, gamma: float, detach: bool) -> Tensor:
    log_p = torch.log_softmax(logits, 1)
    rest = -torch.expm1(log_p)  # 1 - p
    if detach:
        rest = rest.detach()
    # Where 1 - p rounds to 0 the loss is flat, but the slope of a power below 1 is infinite: 0 * inf without the floor.
    return -(rest.clamp_min(torch.finfo(rest.dtype).tiny) ** gamma) * log_p
