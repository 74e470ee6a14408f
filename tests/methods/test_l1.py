"""L1: the gradient of strength * sum |w|, on weights or on everything, in runs and around an optimiser."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.engine.method import check_values
from thresher.errors import UsageError
from thresher.methods.l1 import L1
from thresher.nets.small_cnn import small_cnn


def backward(net: nn.Module, extra: Callable[[], Tensor | float] = lambda: 0.0, step: int = 0) -> None:
    source = torch.Generator().manual_seed(step)
    x, y = torch.randn(16, 1, 8, 8, generator=source), torch.randint(4, (16,), generator=source)
    net.zero_grad()
    (nn.functional.cross_entropy(net(x)[1], y) + extra()).backward()


def gradients(net: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("scope", ["weights", "all"])
def test_equals_the_gradient_of_the_penalty(scope: str) -> None:
    torch.manual_seed(0)
    ours = small_cnn((1, 8, 8), 4)
    theirs = copy.deepcopy(ours)
    backward(ours)
    L1(0.01, scope).gradient(None, ours)
    terms = [p for p in theirs.parameters() if scope == "all" or p.ndim > 1]
    backward(theirs, lambda: 0.01 * sum(p.abs().sum() for p in terms))
    for name, gradient in gradients(theirs).items():
        torch.testing.assert_close(gradients(ours)[name], gradient)


def test_biases_and_batch_norm_are_left_alone_by_default() -> None:
    net = small_cnn((1, 8, 8), 4)
    backward(net)
    before = gradients(net)
    L1(0.5).gradient(None, net)
    changed = {name for name, gradient in gradients(net).items() if not torch.equal(gradient, before[name])}
    assert changed == {name for name, p in net.named_parameters() if p.ndim > 1}


def test_a_weight_of_zero_stays() -> None:
    net = nn.Linear(3, 1, bias=False)
    net.weight.data, net.weight.grad = torch.tensor([[0.0, 2.0, -1e-9]]), torch.zeros(1, 3)
    L1(0.5).gradient(None, net)
    assert net.weight.grad.tolist() == [[0.0, 0.5, -0.5]]


def test_a_network_without_gradients_is_left_alone() -> None:
    net = nn.Linear(2, 2)
    L1().gradient(None, net)
    assert net.weight.grad is None


def test_order_with_cdr_matters() -> None:
    found = []
    for names in ("cdr", "cdr,l1", "l1,cdr"):
        torch.manual_seed(0)
        net = small_cnn((1, 8, 8), 4)
        given = {"cdr": th.method("cdr", noise_rate=0.5), "l1": L1(0.01)}
        methods = [given[name] for name in names.split(",")]
        optimizer = th.as_optimizer(methods, torch.optim.SGD(net.parameters(), lr=1e-30))
        backward(net)
        optimizer.step()
        found.append(gradients(net)["head.weight"])
    masked = found[0] == 0
    assert masked.any()
    assert (found[1][masked].abs() == 0.01).all()  # cdr,l1: what CDR masks decays
    assert (found[2] == 0).sum() > 0.1 * masked.sum()  # l1,cdr: it does not


def test_around_an_optimiser() -> None:
    torch.manual_seed(0)
    ours = nn.Linear(3, 2)
    theirs = copy.deepcopy(ours)
    x = torch.randn(5, 3)
    wrapped = th.as_optimizer(L1(0.1), torch.optim.SGD(ours.parameters(), lr=0.5, momentum=0.9))
    plain = torch.optim.SGD(theirs.parameters(), lr=0.5, momentum=0.9)
    for _ in range(5):
        for net, optimizer in ((ours, wrapped), (theirs, plain)):
            optimizer.zero_grad()
            penalty = 0.1 * theirs.weight.abs().sum() if net is theirs else 0.0
            (net(x).square().mean() + penalty).backward()
            optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_it_cannot_be_a_loss() -> None:
    with pytest.raises(UsageError, match=r"^l1 cannot be a loss: it works on gradients: use th\.as_optimizer"):
        th.as_loss(L1(), 10, 3)


@pytest.mark.parametrize(
    ("values", "said"),
    [({"strength": -1.0}, r"l1\.strength is -1\.0"), ({"scope": "biases"}, r"choose one of weights, all")],
)
def test_bad_values_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_values(L1(**values))


def test_it_shrinks_the_weights_of_a_run(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    sizes = []
    for methods in ([], [L1(1e-2)]):
        run = make_run(methods, epochs=10)
        assert fit(run) > 0.75
        sizes.append(sum(p.abs().sum().item() for p in run.nets[0].parameters() if p.ndim > 1))
    assert sizes[1] < 0.5 * sizes[0]


def test_it_reaches_both_networks(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    run = make_run("co_teaching,l1", epochs=2)
    plain = make_run("co_teaching", epochs=2)
    fit(run)
    fit(plain)
    for net, other in zip(run.nets, plain.nets, strict=True):
        assert not torch.equal(net.head.weight, other.head.weight)
