"""What every robust loss is held to; each test file has its formula, its golden values and its constant."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher import noise

Formula = Callable[[Tensor, int], Tensor]
"""The loss of one sample: probabilities float64 ``[K]`` and a label to a scalar, as the paper writes it."""

CLASSES = 10
ROWS = 20_000


def golden(method: Any) -> list[float]:
    """The losses of two rows of logits for which reference values are known to six digits, float64."""
    logits = torch.tensor([[2.0, 1.0, 0.1], [0.5, -1.0, 3.0]], dtype=torch.float64)
    values: list[float] = method.loss(logits, torch.eye(3, dtype=torch.float64)[:2]).tolist()
    return values


def by_hand(method: Any, p: Sequence[float]) -> float:
    """The loss of the first class where the probabilities are `p`."""
    logits = torch.tensor([p], dtype=torch.float64).log()
    return float(method.loss(logits, torch.eye(len(p), dtype=torch.float64)[:1]).item())


def check_formula(method: Any, formula: Formula) -> None:
    """Loss and gradient equal a loop over samples and classes that follows the formula, for hard and soft targets."""
    for target in _targets():
        logits = _logits().requires_grad_()
        found = method.loss(logits, target)
        (slope,) = torch.autograd.grad(found.sum(), logits)
        for row, (z, t) in enumerate(zip(_logits(), target, strict=True)):
            z.requires_grad_()
            p = z.exp() / z.exp().sum()
            expected = torch.stack([weight * formula(p, k) for k, weight in enumerate(t.tolist()) if weight]).sum()
            (expected_slope,) = torch.autograd.grad(expected, z)
            torch.testing.assert_close(found[row], expected, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(slope[row], expected_slope, rtol=1e-7, atol=1e-11)


def check_linear(method: Any) -> None:
    """A soft target gives the mean of the hard labels' losses, and 0 * target no loss at all."""
    logits, soft = _logits(), _targets()[1]
    torch.testing.assert_close(method.loss(logits, soft), (soft * _by_class(method, logits)).sum(1))
    torch.testing.assert_close(method.loss(logits, 3 * soft), 3 * method.loss(logits, soft))
    assert not method.loss(logits, torch.zeros_like(soft)).any()


def check_finite(method: Any) -> None:
    """Losses and gradients are finite far out, where softmax is 0 and 1, in float32, bfloat16 and under autocast."""
    for classes in (2, 10, 1000):
        logits = _far(classes)
        for y in (0, 1, classes - 1):
            target = torch.zeros_like(logits).index_fill_(1, torch.tensor([y]), 1.0)
            for kind in (torch.float32, torch.bfloat16):
                for autocast in (False, True):
                    far = logits.to(kind, copy=True).requires_grad_()
                    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                        losses = method.loss(far, target)
                    (slope,) = torch.autograd.grad(losses.sum(), far)
                    assert losses.isfinite().all(), (classes, y, kind, autocast)
                    assert slope.isfinite().all(), (classes, y, kind, autocast)


def check_bfloat16(method: Any) -> None:
    """Logits of a bfloat16 forward pass give what their float32 copies give: the drop-in widens them."""
    logits = _logits()[:, :3].to(torch.bfloat16)
    labels, index = torch.arange(16) % 3, torch.arange(16)
    criterion = th.as_loss(method, 16, 3, reduction="none")
    with torch.autocast("cpu", torch.bfloat16):
        found = criterion(logits, labels, index)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, method.loss(logits.float(), torch.eye(3)[labels]))


def check_drop_in(method: Any) -> None:
    """`th.as_loss` computes it in a loop that is not ours, and a network learns from it."""
    torch.manual_seed(0)
    x, labels, index = torch.randn(32, 4), torch.arange(32) % 2, torch.arange(32)
    x[:, 0] += 4 * labels
    net, criterion = nn.Linear(4, 2), th.as_loss(method, 32, 2)
    expected = method.loss(net(x), torch.eye(2)[labels]).mean()
    torch.testing.assert_close(criterion(net(x), labels, index), expected)
    torch.testing.assert_close(criterion(net(x), torch.eye(2)[labels], index), expected)
    sgd = torch.optim.SGD(net.parameters(), lr=0.2)
    losses = []
    for _ in range(50):
        loss = criterion(net(x), labels, index)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def check_all(method: Any, formula: Formula) -> None:
    """The formula, soft targets, far logits and the drop-in."""
    check_formula(method, formula)
    check_linear(method)
    check_finite(method)
    check_bfloat16(method)
    check_drop_in(method)


def check_tolerant(method: Any, constant: float, bounded: bool) -> None:
    """The conditions of noise tolerance hold, and what follows from them is seen on drawn labels of ten classes.

    Args:
        method: whose losses are checked.
        constant: sum_k L(f, k) for ten classes.
        bounded: whether L <= constant / 9 as well, which class-dependent noise needs.
    """
    logits, clean = _network(3.0)
    by_class = _by_class(method, logits)
    torch.testing.assert_close(by_class.sum(1), torch.full((ROWS,), constant, dtype=torch.float64))
    assert bool((by_class <= constant / (CLASSES - 1) * (1 + 1e-9)).all()) is bounded
    for rate in (0.2, 0.6):
        _check_affine(method, logits, clean, rate, constant)
    assert _ranks_alike(method, 0.6)
    assert not _ranks_alike(method, 0.96)  # above 1 - 1/K wrong labels are the rarer ones, and the better network loses
    if bounded:
        _check_class_dependent(method)


def check_intolerant(method: Any) -> None:
    """The sum over labels depends on the prediction, and noise reverses which of two networks has the lower risk."""
    totals = _by_class(method, _network(3.0)[0]).sum(1)
    assert totals.max() > 1.05 * totals.min()
    assert not _ranks_alike(method, 0.4)


def offsets(method: Any, rate: float) -> tuple[float, float]:
    """R_noisy - R (1 - rate K / (K - 1)) of a network and of one twice as certain, on drawn symmetric noise."""
    found = []
    for certainty in (1.5, 3.0):
        logits, clean = _network(certainty)
        noisy = noise.symmetric(clean, rate, seed=3, classes=CLASSES)
        found.append((_risk(method, logits, noisy) - _risk(method, logits, clean) * _slope(rate)).mean().item())
    return found[0], found[1]


def _check_affine(method: Any, logits: Tensor, clean: np.ndarray, rate: float, constant: float) -> None:
    """R_noisy = R (1 - rate K / (K - 1)) + constant rate / (K - 1): exact over all labels, near on drawn ones."""
    right = _risk(method, logits, clean)
    expected = right * _slope(rate) + constant * rate / (CLASSES - 1)
    transition = np.full((CLASSES, CLASSES), rate / (CLASSES - 1))
    np.fill_diagonal(transition, 1 - rate)
    torch.testing.assert_close(method.loss(logits, torch.from_numpy(transition[clean])), expected)
    excess = _risk(method, logits, noise.symmetric(clean, rate, seed=3, classes=CLASSES)) - expected
    assert abs(excess.mean().item()) < 4 * excess.std().item() / ROWS**0.5


def _ranks_alike(method: Any, rate: float) -> bool:
    """Whether the network with the lower risk on the right labels, the more certain of two, has it on drawn ones."""
    good, clean = _network(8.0)
    poor = _network(1.0)[0]
    noisy = noise.symmetric(clean, rate, seed=3, classes=CLASSES)
    right, wrong = ([_risk(method, z, y).mean().item() for z in (good, poor)] for y in (clean, noisy))
    assert right[0] < right[1]
    return wrong[0] < wrong[1]


def _check_class_dependent(method: Any) -> None:
    """Nobody beats the network that is right and certain while rate_yk < 1 - rate_y, and somebody does beyond that."""
    clean = np.arange(ROWS) % CLASSES
    right = 200.0 * torch.eye(CLASSES, dtype=torch.float64)[clean]  # risk 0 on the right labels
    others = [right.roll(1, 1), right / 200, _network(1.0)[0], torch.zeros_like(right)]
    for rate, best in ((0.4, True), (0.6, False)):
        noisy = noise.pairflip(clean, rate, seed=3, classes=CLASSES)
        risks = [_risk(method, z, noisy).mean().item() for z in (right, *others)]
        assert (risks[0] < min(risks[1:])) is best


def _slope(rate: float) -> float:
    return 1 - rate * CLASSES / (CLASSES - 1)


def _risk(method: Any, logits: Tensor, labels: np.ndarray) -> Tensor:
    """The loss of each sample, ``[N]``."""
    losses: Tensor = method.loss(logits, torch.eye(CLASSES, dtype=torch.float64)[torch.from_numpy(labels)])
    return losses


def _network(certainty: float) -> tuple[Tensor, np.ndarray]:
    """Logits ``[N, K]`` of a network that is right more often than not, and the right labels ``[N]``."""
    clean = np.arange(ROWS) % CLASSES
    source = torch.Generator().manual_seed(5)
    logits = 0.4 * torch.randn(ROWS, CLASSES, generator=source, dtype=torch.float64)
    return certainty * (logits + torch.eye(CLASSES, dtype=torch.float64)[clean]), clean


def _by_class(method: Any, logits: Tensor) -> Tensor:
    """The loss of every label, ``[N, K]``."""
    classes = logits.shape[1]
    eye = torch.eye(classes, dtype=logits.dtype)
    return torch.stack([method.loss(logits, eye[k].expand_as(logits)) for k in range(classes)], 1)


def _logits() -> Tensor:
    """``[16, 5]`` float64 with large and small values."""
    return 4 * torch.randn(16, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _targets() -> tuple[Tensor, Tensor]:
    """Hard labels and soft ones, ``[16, 5]``."""
    source = torch.Generator().manual_seed(2)
    hard = torch.eye(5, dtype=torch.float64)[torch.randint(5, (16,), generator=source)]
    return hard, torch.rand(16, 5, generator=source, dtype=torch.float64).softmax(1)


def _far(classes: int) -> Tensor:
    """Logits ``[B, K]`` float32 at +-1e4 and in between: one certain class, two, none, one impossible, and draws."""
    rows = torch.zeros(8, classes)
    rows[0, 0], rows[1, 0], rows[2, :2], rows[3] = 1e4, -1e4, 1e4, -1e4
    rows[4], rows[4, 0] = -1e4, 1e4
    rows[5, 0], rows[6, 0] = 16.5, 88.0  # 1 - p is about to round to 0; p of the others is about to underflow
    rows[7] = 1e4 * (2 * torch.rand(classes, generator=torch.Generator().manual_seed(4)) - 1)
    return rows


def near(values: Sequence[float]) -> Any:
    """To 1e-6, for golden values."""
    return pytest.approx(list(values), abs=1e-6)
