"""CDR against the official procedure written out, through real SGD with momentum and weight decay."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from thresher.methods.cdr import CDR, critical_threshold
from thresher.nets.small_cnn import small_cnn


def official(net: nn.Module, tau: float) -> None:
    """The authors' rule: one top-k over |w g| of all weights of two or four dimensions, then mask and scale."""
    weights = [p for p in net.parameters() if p.dim() in (2, 4)]
    metric = torch.cat([(p.detach() * gradient(p)).abs().flatten() for p in weights])
    count = int((1 - tau) * len(metric))
    threshold = torch.topk(metric, count).values[-1]
    for p in weights:
        mask = ((p.detach() * gradient(p)).abs() >= threshold).float()
        p.grad = mask * (1 - tau) * gradient(p)


def gradient(p: Tensor) -> Tensor:
    assert p.grad is not None
    return p.grad


def make_net() -> nn.Module:
    torch.manual_seed(0)
    return small_cnn((1, 8, 8), 4)


def backward(net: nn.Module, step: int) -> None:
    source = torch.Generator().manual_seed(step)
    x, y = torch.randn(16, 1, 8, 8, generator=source), torch.randint(4, (16,), generator=source)
    net.zero_grad()
    nn.functional.cross_entropy(net(x)[1], y).backward()


@pytest.mark.parametrize("tau", [0.0, 0.2, 0.6])
def test_ten_steps_of_sgd_equal_the_official_procedure(tau: float) -> None:
    ours, theirs = make_net(), make_net()
    steps = [torch.optim.SGD(n.parameters(), 0.05, momentum=0.9, weight_decay=1e-3) for n in (ours, theirs)]
    for step in range(10):
        backward(ours, step)
        CDR(tau).gradient(None, ours)
        steps[0].step()
        backward(theirs, step)
        official(theirs, tau)
        steps[1].step()
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_biases_and_batch_norm_keep_their_gradient() -> None:
    net = make_net()
    backward(net, 0)
    before = {name: gradient(p).clone() for name, p in net.named_parameters()}
    CDR(0.4).gradient(None, net)
    for name, p in net.named_parameters():
        if p.dim() == 1:
            assert torch.equal(gradient(p), before[name])
        else:
            assert not torch.equal(gradient(p), before[name])


def test_momentum_still_moves_a_masked_weight() -> None:
    net = nn.Linear(2, 1, bias=False)
    net.weight.data = torch.tensor([[1.0, 1.0]])
    sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.5)
    for values in ([4.0, 1.0], [1.0, 4.0]):  # the first weight is critical, then the second
        net.weight.grad = torch.tensor([values])
        CDR(0.5).gradient(None, net)
        sgd.step()
    # first: 1 - 0.1 * 2 = 0.8, and then its momentum alone, 0.5 * 2
    assert net.weight.flatten().tolist() == pytest.approx([0.8 - 0.1 * 1.0, 1 - 0.1 * 2.0])


def test_ties_at_the_threshold_are_all_kept() -> None:
    net = nn.Linear(4, 1, bias=False)
    net.weight.data = torch.tensor([[1.0, -2.0, 2.0, 1.0]])
    net.weight.grad = torch.tensor([[3.0, 1.0, 1.0, 0.5]])  # |w g| = 3, 2, 2, 1/2
    CDR(0.5).gradient(None, net)
    assert net.weight.grad.tolist() == [[1.5, 0.5, 0.5, 0.0]]


@pytest.mark.parametrize("share", [1.0, 0.8, 0.5, 0.1, 0.011])
def test_selection_equals_topk(share: float) -> None:
    torch.manual_seed(0)
    weights = [torch.randn(7, 11), torch.randn(3, 2, 5, 5)]
    for p in weights:
        p.grad = torch.randn_like(p)
    metric = torch.cat([(p * gradient(p)).abs().flatten() for p in weights])
    expected = torch.topk(metric, int(share * len(metric))).values.min()
    assert torch.equal(critical_threshold(weights, share, torch.empty(len(metric))), expected)


def test_nothing_is_kept_when_the_share_is_below_one_weight() -> None:
    net = nn.Linear(2, 2)
    net.weight.grad, net.bias.grad = torch.ones(2, 2), torch.ones(2)
    CDR(0.9).gradient(None, net)
    assert net.weight.grad.count_nonzero() == 0
    assert net.bias.grad.tolist() == [1.0, 1.0]


def test_a_network_without_such_weights_or_gradients_is_left_alone() -> None:
    for net in (nn.BatchNorm1d(3), nn.Linear(2, 2)):
        CDR().gradient(None, net)
        assert all(p.grad is None for p in net.parameters())


def test_frozen_weights_are_not_ranked() -> None:
    first, last = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
    net, alone = nn.Sequential(first, last), copy.deepcopy(last)
    first.requires_grad_(False)
    last.weight.grad = torch.tensor([[1.0, 5.0]])
    alone.weight.grad = torch.tensor([[1.0, 5.0]])
    CDR(0.5).gradient(None, net)
    CDR(0.5).gradient(None, alone)
    assert torch.equal(gradient(last.weight), gradient(alone.weight))


def test_trains(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run([CDR(0.3)], epochs=10)) > 0.85
