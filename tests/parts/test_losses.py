"""The shared losses: shapes and types, and one table of golden values; each formula has its test beside its method."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from thresher.parts import losses

Loss = Callable[[Tensor, Tensor], Tensor]

CASES: dict[str, tuple[Loss, list[float]]] = {
    "mae": (losses.mae, [0.340999, 0.983355]),
    "mae, the distance": (partial(losses.mae, scale=2.0), [0.681998, 1.966711]),
    "rce": (partial(losses.rce, log_zero=losses.LOG_ZERO["code"]["log_zero"]), [3.140716, 9.057039]),
    "rce, benchmark": (partial(losses.rce, log_zero=losses.LOG_ZERO["benchmark"]["log_zero"]), [1.363995, 3.933422]),
    "gce": (partial(losses.gce, q=0.7), [0.361675, 1.347327]),
    "nce": (losses.nce, [0.100463, 0.603457]),
    "ngce": (partial(losses.ngce, q=0.7), [0.150269, 0.511073]),
    "nmae": (losses.nmae, [0.170500, 0.491678]),
    "focal": (partial(losses.focal, gamma=0.5), [0.243525, 4.061446]),
    "nfl": (partial(losses.nfl, gamma=0.5), [0.066234, 0.616554]),
}
FUNCTIONS = [loss for loss, _ in CASES.values()]


@pytest.mark.parametrize("name", CASES)
def test_golden_values(name: str) -> None:
    loss, values = CASES[name]
    logits = torch.tensor([[2.0, 1.0, 0.1], [0.5, -1.0, 3.0]], dtype=torch.float64)
    assert loss(logits, torch.eye(3, dtype=torch.float64)[:2]).tolist() == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("loss", FUNCTIONS)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_one_loss_per_sample_of_the_logits_type(loss: Loss, kind: torch.dtype) -> None:
    for size in (0, 1, 5):
        found = loss(torch.zeros(size, 4, dtype=kind), torch.full((size, 4), 0.25, dtype=kind))
        assert found.shape == (size,)
        assert found.dtype == kind


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_bfloat16_logits_and_float32_targets_give_float32(loss: Loss) -> None:
    found = loss(torch.zeros(2, 4, dtype=torch.bfloat16), torch.eye(4)[:2])
    assert found.dtype == torch.float32


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_only_differences_of_logits_count(loss: Loss) -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3, 0, 1]]
    torch.testing.assert_close(loss(logits + 7, target), loss(logits, target))


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_arguments_are_left_alone(loss: Loss) -> None:
    logits, target = torch.tensor([[3.0, -1.0, 0.5]]), torch.tensor([[0.2, 0.3, 0.5]])
    before = logits.clone(), target.clone()
    loss(logits, target)
    assert torch.equal(logits, before[0])
    assert torch.equal(target, before[1])
