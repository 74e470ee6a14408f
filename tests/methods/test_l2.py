"""L2: with the factor 1/2 its strength is SGD's weight decay, bit for bit."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.engine.method import check_values
from thresher.errors import UsageError
from thresher.methods.l2 import L2
from thresher.nets.small_cnn import small_cnn

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "foreach": {"momentum": 0.9, "foreach": True},
}


def backward(net: nn.Module, extra: Callable[[], Tensor | float] = lambda: 0.0, step: int = 0) -> None:
    source = torch.Generator().manual_seed(step)
    x, y = torch.randn(16, 1, 8, 8, generator=source), torch.randint(4, (16,), generator=source)
    net.zero_grad()
    (nn.functional.cross_entropy(net(x)[1], y) + extra()).backward()


@pytest.mark.parametrize("scope", ["weights", "all"])
def test_equals_the_gradient_of_half_the_squares(scope: str) -> None:
    torch.manual_seed(0)
    ours = small_cnn((1, 8, 8), 4)
    theirs = copy.deepcopy(ours)
    backward(ours)
    L2(0.01, scope).gradient(None, ours)
    terms = [p for p in theirs.parameters() if scope == "all" or p.ndim > 1]
    backward(theirs, lambda: 0.01 / 2 * sum(p.square().sum() for p in terms))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


@pytest.mark.parametrize("kind", KINDS)
def test_over_all_parameters_it_is_sgds_weight_decay(kind: str) -> None:
    torch.manual_seed(0)
    ours = small_cnn((1, 8, 8), 4)
    theirs = copy.deepcopy(ours)
    decaying = torch.optim.SGD(theirs.parameters(), lr=0.05, weight_decay=0.01, **KINDS[kind])
    wrapped = th.as_optimizer(L2(0.01, "all"), torch.optim.SGD(ours.parameters(), lr=0.05, **KINDS[kind]))
    for step in range(10):
        backward(ours, step=step)
        wrapped.step()
        backward(theirs, step=step)
        decaying.step()
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(mine, other)


def test_in_a_run_it_is_the_optimisers_weight_decay(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    runs = [
        make_run(methods, epochs=3, optimizer={"lr": 0.05, "weight_decay": decay})
        for methods, decay in (([L2(0.01, "all")], 0.0), ([], 0.01), ([], 0.0))
    ]
    for run in runs:
        fit(run)
    ours, decayed, free = (run.nets[0].state_dict() for run in runs)
    assert all(torch.equal(ours[name], decayed[name]) for name in ours)
    assert not all(torch.equal(ours[name], free[name]) for name in ours)


def test_it_adds_to_the_optimisers_weight_decay(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    runs = [
        make_run(methods, epochs=2, optimizer={"lr": 0.05, "weight_decay": decay})
        for methods, decay in (([L2(0.01, "all")], 0.02), ([], 0.03))
    ]
    for run in runs:
        fit(run)
    for mine, other in zip(*(run.nets[0].parameters() for run in runs), strict=True):
        torch.testing.assert_close(mine, other)


def test_biases_and_batch_norm_are_left_alone_by_default() -> None:
    net = small_cnn((1, 8, 8), 4)
    backward(net)
    before = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    L2(0.5).gradient(None, net)
    changed = {name for name, p in net.named_parameters() if not torch.equal(p.grad, before[name])}  # type: ignore[arg-type]
    assert changed == {name for name, p in net.named_parameters() if p.ndim > 1}


def test_by_hand() -> None:
    net = nn.Linear(2, 1)
    net.weight.data, net.bias.data = torch.tensor([[3.0, -1.0]]), torch.tensor([2.0])
    net.weight.grad, net.bias.grad = torch.ones(1, 2), torch.ones(1)
    L2(0.5, "all").gradient(None, net)
    assert net.weight.grad.tolist() == [[2.5, 0.5]]
    assert net.bias.grad.tolist() == [2.0]


def test_it_cannot_be_a_loss() -> None:
    with pytest.raises(UsageError, match=r"^l2 cannot be a loss: it works on gradients: use th\.as_optimizer"):
        th.as_loss(L2(), 10, 3)


@pytest.mark.parametrize(
    ("values", "said"),
    [({"strength": -1.0}, r"l2\.strength is -1\.0"), ({"scope": "biases"}, r"choose one of weights, all")],
)
def test_bad_values_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_values(L2(**values))
