"""Every mode of CDR against its rule written out, through real optimisers, in runs and in a foreign loop."""

import copy
import gc
import math
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.engine.combine import Combination
from thresher.engine.options import resolve
from thresher.engine.run import Run
from thresher.engine.study import Study
from thresher.errors import UsageError
from thresher.methods.cdr import CDR, _rooms, rank
from thresher.nets.small_cnn import small_cnn
from thresher.testing.contract import check_frozen, check_neutral, check_resume, check_trains

LR, MOMENTUM, DECAY, LAMBDA = 0.05, 0.9, 1e-3, 1e-3
Rule = Callable[[nn.Module, float], None]


def gradient(p: Tensor) -> Tensor:
    assert p.grad is not None
    return p.grad


def scores_of(p: Tensor) -> Tensor:
    return (p.detach() * gradient(p)).abs()


def make_net() -> nn.Module:
    torch.manual_seed(0)
    return small_cnn((1, 8, 8), 4)


def backward(net: nn.Module, step: int) -> None:
    source = torch.Generator().manual_seed(step)
    x, y = torch.randn(16, 1, 8, 8, generator=source), torch.randint(4, (16,), generator=source)
    net.zero_grad()
    nn.functional.cross_entropy(net(x.to(next(net.parameters())))[1], y).backward()


# ---- the rules, written out


def official(net: nn.Module, tau: float) -> None:
    """The authors' rule: one top-k over |w g| of all weights of two or four dimensions, then mask and scale."""
    weights = [p for p in net.parameters() if p.dim() in (2, 4)]
    metric = torch.cat([scores_of(p).flatten() for p in weights])
    threshold = torch.topk(metric, int((1 - tau) * len(metric))).values[-1]
    for p in weights:
        p.grad = (scores_of(p) >= threshold).float() * (1 - tau) * gradient(p)


def per_tensor(net: nn.Module, tau: float) -> None:
    for p in net.parameters():
        scores = scores_of(p)
        k = int(p.numel() * tau)
        if k > 0:
            gradient(p)[scores < scores.flatten().sort().values[k - 1]] = 0.0
        gradient(p).mul_(1 - tau)


def sampled(net: nn.Module, tau: float) -> None:
    for p in net.parameters():
        scores, m = scores_of(p), p.numel()
        if m <= 1000:
            continue
        k = int(m * tau) if m <= 10_000 else min(int(10_000 * (1 - 100 / math.sqrt(m) * (1 - tau))), 9_990)
        if k > 0:
            gradient(p)[scores < scores.flatten()[:10_000].sort().values[k - 1]] = 0.0


RULES: dict[str, Rule] = {"official": official, "per_tensor": per_tensor, "sampled": sampled}


class Wide(nn.Module):
    """Tensors of fewer than 1,000, of fewer than 10,000 and of more than 10,000 entries."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 40), nn.ReLU(), nn.Linear(40, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, self.layers(x.flatten(1))


NETS: dict[str, Callable[[], nn.Module]] = {"cnn": make_net, "wide": Wide}


def sgd(net: nn.Module, **settings: Any) -> torch.optim.SGD:
    return torch.optim.SGD(net.parameters(), **{"lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY, **settings})


def l1(net: nn.Module) -> None:
    for p in net.parameters():
        gradient(p).add_(LAMBDA * torch.sign(p.detach()))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("mode", RULES)
@pytest.mark.parametrize("tau", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("decay", [DECAY, 0.0])
def test_ten_steps_of_sgd_equal_the_rule(mode: str, tau: float, decay: float, net: str) -> None:
    ours, theirs = NETS[net](), NETS[net]()
    steps = [sgd(n, weight_decay=decay, nesterov=True) for n in (ours, theirs)]
    wrapped = th.as_optimizer(CDR(tau, mode=mode), steps[0])
    for step in range(10):
        backward(ours, step)
        wrapped.step()
        backward(theirs, step)
        RULES[mode](theirs, tau)
        if mode != "official" and not decay:
            l1(theirs)
        steps[1].step()
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_per_tensor_by_hand_with_its_own_momentum() -> None:
    """Decay, then momentum, dampening and Nesterov as section by section in the description, in double precision."""
    ours = make_net().double()
    weights = {name: p.detach().clone() for name, p in ours.named_parameters()}
    buffers: dict[str, Tensor] = {}
    optimizer = th.as_optimizer(CDR(0.3, mode="per_tensor"), sgd(ours, weight_decay=0.0, dampening=0.2))
    for step in range(10):
        source = torch.Generator().manual_seed(step)
        for name, p in ours.named_parameters():
            p.grad = torch.randn(p.shape, generator=source, dtype=torch.float64)
            g, w = p.grad.clone(), weights[name]
            order = (g * w).abs().flatten().sort().values
            if k := int(g.numel() * 0.3):
                g = torch.where((g * w).abs() < order[k - 1], 0.0, g)
            g = g * 0.7 + 1e-3 * torch.sign(w)
            buffers[name] = g.clone() if step == 0 else MOMENTUM * buffers[name] + 0.8 * g
            weights[name] = w - LR * buffers[name]
        optimizer.step()
    for name, p in ours.named_parameters():
        torch.testing.assert_close(p.detach(), weights[name], rtol=0, atol=1e-12)


def paper_masks(net: nn.Module, tau: float) -> list[Tensor]:
    """Exactly round((1 - tau) m) ones, for equal scores the first."""
    flat = torch.cat([scores_of(p).flatten() for p in net.parameters()])
    kept = torch.sort(flat, descending=True, stable=True).indices[: round((1 - tau) * len(flat))]
    mask = torch.zeros_like(flat)
    mask[kept] = 1.0
    sizes = [p.numel() for p in net.parameters()]
    return [part.view(p.shape) for part, p in zip(mask.split(sizes), net.parameters(), strict=True)]


@pytest.mark.parametrize("tau", [0.0, 0.2, 0.6, 0.99])
def test_paper_is_the_formula_under_plain_sgd(tau: float) -> None:
    ours, theirs = make_net().double(), make_net().double()
    optimizer = th.as_optimizer(CDR(tau, mode="paper"), sgd(ours, momentum=0.0, weight_decay=0.0))
    for step in range(10):
        backward(ours, step)
        backward(theirs, step)
        for ranked, p in zip(paper_masks(theirs, tau), theirs.parameters(), strict=True):
            p.data -= LR * ((1 - tau) * gradient(p) * ranked + LAMBDA * torch.sign(p.data))
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


STILL: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, 0.9),
    "dampening": lambda p: torch.optim.SGD(p, 0.1, 0.9, dampening=0.5),
    "nesterov": lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True),
    "maximize": lambda p: torch.optim.SGD(p, 0.1, 0.9, maximize=True),
    "adam": lambda p: torch.optim.Adam(p, 0.1),
    "amsgrad": lambda p: torch.optim.Adam(p, 0.1, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.0),
    "nadam": lambda p: torch.optim.NAdam(p, 0.1),
    "radam": lambda p: torch.optim.RAdam(p, 0.1),
    "adamax": lambda p: torch.optim.Adamax(p, 0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
    "adadelta": lambda p: torch.optim.Adadelta(p, 0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.1, momentum=0.9, centered=True),
    "rprop": lambda p: torch.optim.Rprop(p, 0.1),
    "adafactor": lambda p: torch.optim.Adafactor(p, 0.1),
}


@pytest.mark.parametrize("name", STILL)
def test_in_paper_nothing_but_the_decay_moves_a_weight_that_is_not_critical(name: str) -> None:
    net = make_net()
    optimizer = th.as_optimizer(CDR(0.5, mode="paper"), STILL[name](net.parameters()))
    moved = 0
    for step in range(10):
        backward(net, step)
        masks = paper_masks(net, 0.5)
        before = [p.detach().clone() for p in net.parameters()]
        optimizer.step()
        for old, p, mask in zip(before, net.parameters(), masks, strict=True):
            decayed = old - 0.1 * LAMBDA * torch.sign(old)
            torch.testing.assert_close(p.detach()[mask == 0], decayed[mask == 0], rtol=0, atol=1e-8)
            moved += int((p.detach()[mask == 1] != decayed[mask == 1]).sum())
    assert moved > 1000


def test_in_official_momentum_still_moves_a_masked_weight() -> None:
    net = nn.Linear(2, 1, bias=False)
    net.weight.data = torch.tensor([[1.0, 1.0]])
    optimizer = th.as_optimizer(CDR(0.5), torch.optim.SGD(net.parameters(), 0.1, momentum=0.5))
    for values in ([4.0, 1.0], [1.0, 4.0]):  # the first weight is critical, then the second
        net.weight.grad = torch.tensor([values])
        optimizer.step()
    # first: 1 - 0.1 * 2 = 0.8, and then its momentum alone, 0.5 * 2
    assert net.weight.flatten().tolist() == pytest.approx([0.8 - 0.1 * 1.0, 1 - 0.1 * 2.0])


# ---- one step on a weight whose numbers can be checked by eye


def masked(method: CDR, weight: list[float], grad: list[float], **settings: Any) -> list[float]:
    """The gradient of a row of weights after the method, with which a step of rate 0 changes nothing."""
    net = nn.Linear(len(weight), 1, bias=False)
    net.weight.data, net.weight.grad = torch.tensor([weight]), torch.tensor([grad])
    optimizer = th.as_optimizer(method, torch.optim.SGD(net.parameters(), **{"lr": 0.0, **settings}))
    optimizer.when = 0
    optimizer.step()
    assert net.weight.data.tolist() == [weight]
    return [round(value, 6) for value in gradient(net.weight).flatten().tolist()]


TIES = ([1.0, -2.0, 2.0, 1.0], [3.0, 1.0, 1.0, 0.5])  # |w g| = 3, 2, 2, 1/2


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"mode": "official"}, [1.5, 0.5, 0.5, 0.0]),  # both of the tie stay
        ({"mode": "paper"}, [1.5, 0.5, 0.0, 0.0]),  # the first of the tie stays
        ({"mode": "per_tensor", "strength": 0.0}, [1.5, 0.5, 0.5, 0.0]),  # 2 is the second smallest
        ({"mode": "official", "scale": "off"}, [3.0, 1.0, 1.0, 0.0]),
        ({"mode": "sampled", "strength": 0.0}, [3.0, 1.0, 1.0, 0.5]),  # 1,000 entries or fewer are left alone
        ({"mode": "official", "criterion": "sum"}, [1.5, 0.5, 0.5, 0.0]),  # 4, 3, 3, 1.5
        ({"mode": "official", "regulariser": "l1", "strength": 0.1}, [1.6, 0.4, 0.6, 0.1]),
        ({"mode": "official", "regulariser": "l2", "strength": 0.1}, [1.6, 0.3, 0.7, 0.1]),
        ({"mode": "per_tensor", "strength": 0.1}, [1.6, 0.4, 0.6, 0.1]),
        ({"mode": "per_tensor", "regulariser": "l2", "strength": 0.1}, [1.6, 0.3, 0.7, 0.1]),
    ],
)
def test_switches_by_hand(settings: dict[str, Any], expected: list[float]) -> None:
    assert masked(CDR(0.5, **settings), *TIES) == expected


def test_per_tensor_scales_where_nothing_is_masked_and_keeps_the_kth() -> None:
    method = CDR(0.2, mode="per_tensor", strength=0.0)
    assert masked(method, [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]) == [0.8, 0.8, 0.8]  # k = 0
    assert masked(method, [1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5) == [0.8] * 5  # k = 1: none is below the smallest
    assert masked(CDR(0.4, mode="per_tensor", strength=0.0), [1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5) == [0.0, *[0.6] * 4]


def test_l2_of_per_tensor_is_the_optimisers_and_then_there_is_no_l1() -> None:
    assert masked(CDR(0.5, mode="per_tensor"), *TIES, weight_decay=0.1) == [1.5, 0.5, 0.5, 0.0]


def test_l1_shrinks_weights_also_when_the_loss_is_maximised() -> None:
    net = nn.Linear(2, 1, bias=False)
    net.weight.data, net.weight.grad = torch.tensor([[1.0, -1.0]]), torch.zeros(1, 2)
    method = CDR(0.5, mode="per_tensor", strength=0.5)
    th.as_optimizer(method, torch.optim.SGD(net.parameters(), 0.1, maximize=True)).step()
    assert net.weight.flatten().tolist() == pytest.approx([0.95, -0.95])


def test_sum_is_of_absolute_values() -> None:
    method = CDR(0.5, criterion="sum", scale="off")
    assert masked(method, [0.0, -4.0, 1.0, -1.0], [3.0, 0.5, -1.5, -1.0]) == [3.0, 0.5, 0.0, 0.0]


def test_paper_ranks_biases_and_official_leaves_them() -> None:
    for mode, expected in (("paper", [0.0, 0.0]), ("official", [0.1, 0.1])):
        net = nn.Linear(2, 2)
        net.weight.data, net.bias.data = torch.full((2, 2), 5.0), torch.ones(2)
        net.weight.grad, net.bias.grad = torch.ones(2, 2), torch.full((2,), 0.1)
        th.as_optimizer(CDR(1 / 3, mode=mode), torch.optim.SGD(net.parameters(), 0.0)).step()
        assert gradient(net.bias).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("mode", "kept"), [("official", 0), ("paper", 1)])
def test_the_count_of_a_product_that_is_a_whisker_below_a_whole_number(mode: str, kept: int) -> None:
    assert (1 - 0.9) * 10 < 1  # so the authors' int() keeps none of ten; the paper's count is one
    assert rank(mode, 10, 0.9) == 11 - kept
    row = [float(n) for n in range(1, 11)]
    assert sum(value > 0 for value in masked(CDR(0.9, mode=mode, scale="off"), row, [1.0] * 10)) == kept


def test_equal_scores_of_zero_are_dropped_from_the_end() -> None:
    method = CDR(0.25, mode="paper", scale="off")
    assert masked(method, [0.0, 0.0, 1.0, 0.0], [1.0, 2.0, 1.0, 3.0]) == [1.0, 2.0, 1.0, 0.0]


def test_frozen_weights_and_those_without_gradient_are_not_ranked() -> None:
    first, last = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
    alone = copy.deepcopy(last)
    first.requires_grad_(False)
    for net in (nn.Sequential(first, last), alone):
        [*net.parameters()][-1].grad = torch.tensor([[1.0, 5.0]])
        th.as_optimizer(CDR(0.5), torch.optim.SGD(net.parameters(), 0.0)).step()
    assert torch.equal(gradient(last.weight), gradient(alone.weight))


@pytest.mark.parametrize("mode", ["official", "paper", "per_tensor", "sampled"])
def test_modules_without_weights_or_gradients_are_left_alone(mode: str) -> None:
    for net in (nn.BatchNorm1d(3), nn.Linear(2, 2)):
        optimizer = th.as_optimizer(CDR(mode=mode), torch.optim.SGD(net.parameters(), 0.1))
        optimizer.step()
        assert all(p.grad is None for p in net.parameters())
    norm = nn.BatchNorm1d(3)
    norm.weight.grad = torch.ones(3)
    th.as_optimizer(CDR(), torch.optim.SGD(norm.parameters(), 0.1)).step()
    assert norm.weight.tolist() == pytest.approx([0.9] * 3)  # official: batch norm learns as usual


def test_other_memory_formats_and_types_give_the_same_masks() -> None:
    plain, moved, double = make_net(), make_net().to(memory_format=torch.channels_last), make_net().double()
    for net in (plain, moved, double):
        source = torch.Generator().manual_seed(0)
        for p in net.parameters():
            p.grad = torch.randn(p.shape, generator=source).to(p)
        th.as_optimizer(CDR(0.4), torch.optim.SGD(net.parameters(), 0.1)).step()
    for a, b, c in zip(plain.parameters(), moved.parameters(), double.parameters(), strict=True):
        assert torch.equal(gradient(a), gradient(b))
        assert torch.equal(gradient(a) != 0, gradient(c) != 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mode", ["paper", "per_tensor", "sampled", "official"])
def test_weights_of_half_the_size(mode: str, dtype: torch.dtype) -> None:
    net = make_net().to(dtype)
    before = [p.detach().clone() for p in net.parameters()]
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    regulariser = "l1" if mode == "official" else "own"
    th.as_optimizer(
        CDR(0.4, mode=mode, strength=1.0, regulariser=regulariser), torch.optim.SGD(net.parameters(), 0.1)
    ).step()
    assert all(p.isfinite().all() for p in net.parameters())
    assert not all(torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True))


# ---- random masks, samples, ramps


def nonzero(net: nn.Module) -> list[Tensor]:
    return [gradient(p) != 0 for p in net.parameters()]


def ones_in(net: nn.Module) -> None:
    for p in net.parameters():
        p.grad = torch.ones_like(p)


def test_a_random_mask_is_fixed_and_depends_on_the_seed_and_the_place() -> None:
    seen = []
    for seed in (0, 0, 1):
        net = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20))
        optimizer = th.as_optimizer(CDR(0.3, criterion="random"), sgd(net), seed=seed)
        for _ in range(3):
            ones_in(net)
            optimizer.step()
            seen.append(nonzero(net))
        assert [int(mask.sum()) for mask in seen[-1]] == [280, 20, 280, 20]  # official: not the biases
    for other in seen[1:6]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))
    assert not torch.equal(seen[0][0], seen[6][0])
    assert not torch.equal(seen[0][0], seen[0][2])


@pytest.mark.parametrize("mode", ["official", "paper", "per_tensor"])
def test_a_threshold_from_a_sample_is_near(mode: str) -> None:
    net = nn.Linear(200, 200, bias=False)
    net.weight.grad = torch.randn(200, 200, generator=torch.Generator().manual_seed(0))
    before = gradient(net.weight).clone()
    kept = {}
    for sample in (0, 4000, 100_000):
        net.weight.grad = before.clone()
        method = CDR(0.3, mode=mode, sample=sample, strength=1e-3 if mode == "official" else 0.0)
        th.as_optimizer(method, sgd(net, lr=0.0, weight_decay=0.0)).step()
        kept[sample] = nonzero(net)[0]
    assert torch.equal(kept[0], kept[100_000])  # more than there are: exact
    assert not torch.equal(kept[0], kept[4000])
    assert kept[4000].float().mean() == pytest.approx(0.7, abs=0.03)


def test_the_share_falls_over_the_ramp_epoch_by_epoch() -> None:
    net = nn.Linear(10, 10, bias=False)
    optimizer = th.as_optimizer(CDR(0.4, ramp=4), sgd(net, lr=0.0))
    shares, scales = [], []
    for when in (0.0, 0.9, 1.0, 2.5, 4.0, 50.0):
        net.weight.grad = torch.ones(10, 10)
        optimizer.when = when
        optimizer.step()
        shares.append(int(nonzero(net)[0].sum()))
        scales.append(gradient(net.weight).max().item())
    assert shares == [100, 100, 90, 80, 60, 60]
    assert scales == pytest.approx([1.0, 1.0, 0.9, 0.8, 0.6, 0.6])


def test_tau_of_its_own_and_the_paper_letter() -> None:
    row = [float(n) for n in range(1, 11)]
    assert masked(CDR(0.2, tau=0.5), row, [1.0] * 10) == masked(CDR(0.5), row, [1.0] * 10) != [1.0] * 10
    assert masked(CDR(0.2, tau=0.0), row, [1.0] * 10) == [1.0] * 10
    assert th.method("cdr", tau=0.5) == CDR(tau=0.5)


# ---- parameter groups


def test_groups_have_their_own_tau_decay_and_rate() -> None:
    nets = [nn.Linear(10, 1, bias=False) for _ in range(4)]
    for net in nets:
        net.weight.data = torch.arange(1.0, 11.0)[None]
        net.weight.grad = torch.ones(1, 10)
    first, second, third, fourth = ([net.weight] for net in nets)
    groups: list[dict[str, Any]] = [
        {"params": first, "tau": 0.5},
        {"params": second, "l1": 0.1},
        {"params": third, "weight_decay": 0.1},
        {"params": fourth, "lr": 0.01},
    ]
    th.as_optimizer(CDR(0.2, mode="per_tensor"), torch.optim.SGD(groups, lr=0.1)).step()
    row = torch.arange(1.0, 11.0)
    for group, net in zip(groups, nets, strict=True):
        tau, lr = group.get("tau", 0.2), group.get("lr", 0.1)
        penalty = group["weight_decay"] * row if group["weight_decay"] else torch.full((10,), group.get("l1", 1e-3))
        step = (row >= int(10 * tau)).float() * (1 - tau) + penalty
        torch.testing.assert_close(net.weight.data[0], row - lr * step)


def test_paper_takes_the_rate_and_the_l1_of_each_group() -> None:
    first, second = (nn.Parameter(torch.ones(4)) for _ in range(2))
    groups: list[dict[str, Any]] = [{"params": [first], "l1": 0.5}, {"params": [second], "lr": 1.0}]
    optimizer = th.as_optimizer(CDR(0.5, mode="paper"), torch.optim.SGD(groups, lr=0.1))
    first.grad, second.grad = torch.ones(4), torch.ones(4)
    optimizer.step()  # of eight equal scores the first four stay
    assert first.tolist() == pytest.approx([1 - 0.1 * (0.5 + 0.5)] * 4)
    assert second.tolist() == pytest.approx([1 - 1.0 * 1e-3] * 4)


# ---- refusals


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tau": -0.5}, "cdr.tau is -0.5: it must be from 0 to below 1, or -1 for the noise rate"),
        ({"tau": 1.0}, "cdr.tau is 1: it must be from 0 to below 1, or -1 for the noise rate"),
        ({"noise_rate": 1.0}, "cdr.noise_rate is 1: it must be below 1"),
        ({"tau": math.nan}, "cdr.tau is nan"),
        ({"tau": "half"}, "cdr.tau is 'half': it must be a number"),
        ({"noise_rate": -0.1}, "cdr.noise_rate is -0.1"),
        ({"mode": "code"}, "cdr.mode is 'code': choose one of official, paper, per_tensor, sampled"),
        ({"scale": True}, "cdr.scale is True: choose one of own, on, off"),
        ({"estimate": True, "tau": 0.3}, "cdr.tau is given, so nothing is to be estimated"),
        ({"criterion": "random", "mode": "sampled"}, "cdr.mode=sampled is about a threshold"),
        ({"criterion": "random", "sample": 10}, "cdr.sample estimates a threshold, and a random mask has none"),
        ({"criterion": "random", "ramp": 3.0}, "one mask for the whole training"),
        ({"mode": "sampled", "sample": 10}, "cdr.mode=sampled has a sample of its own"),
        ({"strength": 0.1}, "cdr.strength does nothing in the mode official"),
        ({"strength": -0.1, "mode": "paper"}, "cdr.strength is -0.1"),
    ],
)
def test_values_that_contradict_each_other_are_refused_at_once(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        th.method("cdr", **fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mode": "paper"}, "cdr.mode=paper decays the weights itself, and {} is 0.001: set it to 0"),
        ({"regulariser": "l1"}, "cdr.regulariser=l1 decays the weights itself, and {} is 0.001"),
        ({"regulariser": "l2", "mode": "per_tensor"}, "cdr.regulariser=l2 decays the weights itself"),
        ({"mode": "per_tensor", "strength": 0.1}, "cdr.mode=per_tensor has L1 or L2, not both, and {} is 0.001"),
    ],
)
def test_weight_decay_that_contradicts_is_refused(fields: dict[str, Any], words: str) -> None:
    net, method = make_net(), CDR(0.2, **fields)
    with pytest.raises(UsageError, match=words.format("weight_decay in parameter group 0")):
        th.as_optimizer(method, sgd(net))
    with pytest.raises(UsageError, match=words.format("optimizer.weight_decay")):
        method.check(resolve({"optimizer": {"weight_decay": 1e-3}}))
    method.check(resolve({"optimizer": {"weight_decay": 0.0}}))
    th.as_optimizer(method, sgd(net, weight_decay=0.0))


def test_a_run_is_refused_before_anything_is_written(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=r"optimizer\.weight_decay is 0\.001: set it to 0"):
        th.fit("digits", method=CDR(mode="paper"), epochs=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("mode", "group", "words"),
    [
        ("per_tensor", {"tau": 1.0}, "a parameter group has tau=1.0: it takes a number from 0 to below 1"),
        ("per_tensor", {"tau": -0.1}, "tau=-0.1"),
        ("per_tensor", {"l1": -1.0}, "a parameter group has l1=-1.0"),
        ("per_tensor", {"l1": 0.1, "weight_decay": 0.1}, "L1 or L2, not both"),
        ("official", {"tau": 0.5}, "a mode that ranks every tensor by itself"),
        ("paper", {"tau": 0.5}, "a mode that ranks every tensor by itself"),
        ("official", {"l1": 0.1}, "l1=0.1: it takes a number from 0, and a mode that has L1"),
        ("official", {"l1": 0.1, "weight_decay": 0.1}, "a mode that has L1"),
        ("paper", {"weight_decay": 0.1}, "weight_decay in parameter group 1 is 0.1"),
    ],
)
def test_group_settings_that_do_nothing_or_have_no_meaning_are_refused(
    mode: str, group: dict[str, Any], words: str
) -> None:
    first, second = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimizer = torch.optim.SGD([{"params": [first]}, {"params": [second], **group}], lr=0.1)
    with pytest.raises(UsageError, match=words):
        th.as_optimizer(CDR(mode=mode), optimizer)
    outer = th.as_optimizer(CDR(mode=mode), torch.optim.SGD([first], lr=0.1))
    with pytest.raises(UsageError, match=words):
        outer.add_param_group({"params": [second], **group})
    assert len(outer.param_groups) == 1
    outer.step()


def test_what_cannot_keep_a_weight_still_and_what_cannot_be_ranked_is_refused() -> None:
    net = nn.Linear(2, 2)
    for kind in (torch.optim.LBFGS, torch.optim.ASGD):
        with pytest.raises(UsageError, match=f"keeps weights still, and {kind.__name__} moves them all"):
            th.as_optimizer(CDR(mode="paper"), kind(net.parameters()))
    table = nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(UsageError, match="sparse=False"):
        th.as_optimizer(CDR(), torch.optim.SGD(table.parameters(), 0.1)).step()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_paper_keeps_single_numbers_still_too(kind: Any) -> None:
    scale, weight = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.ones(3))
    more = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    optimizer = th.as_optimizer(CDR(0.5, mode="paper", strength=0.0), kind([scale, weight], lr=0.1, **more))
    scale.grad, weight.grad = torch.tensor(9.0), torch.tensor([8.0, 0.1, 0.1])
    optimizer.step()  # the number is critical, and gets a running mean
    before = scale.item()
    scale.grad, weight.grad = torch.tensor(0.1), torch.tensor([8.0, 9.0, 0.1])
    optimizer.step()
    assert scale.item() == before


def test_paper_refuses_what_might_move_weights_under_another_name() -> None:
    class Averaged(torch.optim.ASGD):
        pass

    class HeavyBall(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            for p in self.param_groups[0]["params"]:
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                p.data.sub_(velocity.mul_(0.9).add_(p.grad), alpha=0.1)

    net = make_net()
    with pytest.raises(UsageError, match="keeps weights still, and ASGD moves them all"):
        th.as_optimizer(CDR(0.4, mode="paper"), Averaged(net.parameters()))
    inner = th.as_optimizer(th.method("l1"), torch.optim.ASGD(net.parameters()))
    with pytest.raises(UsageError, match="keeps weights still, and ASGD moves them all"):
        th.as_optimizer(CDR(0.4, mode="paper"), inner)
    optimizer = th.as_optimizer(CDR(0.4, mode="paper"), HeavyBall(net.parameters()))
    ones_in(net)
    optimizer.step()
    with pytest.raises(UsageError, match="this optimiser keeps velocity, which might move weights"):
        optimizer.step()


def test_estimation_needs_trainings_which_a_foreign_loop_does_not_give() -> None:
    with pytest.raises(UsageError, match="cdr cannot be an optimiser: it needs several trainings"):
        th.as_optimizer(CDR(estimate=True), sgd(make_net()))


# ---- runs

FORMS: dict[str, dict[str, Any]] = {
    "official": {},
    "paper": {"mode": "paper"},
    "per_tensor": {"mode": "per_tensor"},
    "sampled": {"mode": "sampled"},
    "random": {"mode": "per_tensor", "criterion": "random"},
    "sum": {"mode": "paper", "criterion": "sum", "scale": "off"},
    "sample": {"mode": "per_tensor", "sample": 20},
    "global sample": {"sample": 50, "regulariser": "l1"},
    "ramp": {"ramp": 2.0, "regulariser": "l2"},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_run_equals_a_foreign_loop(make_run: Callable[..., Run], form: str) -> None:
    method = CDR(0.4, **FORMS[form])
    optimizer = {"lr": LR, "momentum": MOMENTUM, "weight_decay": 0.0, "nesterov": True}
    run = make_run(method, epochs=3, seed=4, optimizer=optimizer)
    net = copy.deepcopy(run.nets[0])
    ours = th.as_optimizer(method, sgd(net, weight_decay=0.0, nesterov=True), seed=run.seed)
    for epoch in range(3):
        run.epoch = epoch
        for batch in run.batches():
            run.update(nn.functional.cross_entropy(run.forward(0, batch.view("weak")).logits, batch.label))
            ours.zero_grad()
            nn.functional.cross_entropy(net(batch.view("weak"))[1], batch.label).backward()
            ours.when = run.when
            ours.step()
    for a, b in zip(net.state_dict().values(), run.nets[0].state_dict().values(), strict=True):
        assert torch.equal(a, b)


def plain(form: str) -> CDR:
    """A form under the options of the contract's toy, which have weight decay."""
    fields = {**FORMS[form], "regulariser": "own"}
    return CDR(
        0.4, **{**fields, "mode": "per_tensor" if fields.get("mode") == "paper" else fields.get("mode", "official")}
    )


@pytest.mark.parametrize("form", ["per_tensor", "random", "sample", "global sample", "ramp"])
def test_the_contract_in_other_forms(form: str) -> None:
    method = plain(form)
    check_frozen(method)
    check_resume(method)
    check_neutral(method)


def test_the_contract_with_an_estimated_rate() -> None:
    method = CDR(estimate=True)
    check_trains(method)
    check_resume(method)


def test_neutral_is_plain_from_every_form() -> None:
    for fields in FORMS.values():
        values: dict[str, Any] = {**CDR.neutral}
        method = replace(CDR(0.4, **fields), **values)
        row = [1.0, 2.0, 3.0]
        assert masked(method, row, [1.0, 0.0, -1.0]) == [1.0, 0.0, -1.0]


def test_the_estimated_rate_is_near_the_true_one_and_used(toys: Callable[..., Any], make_material: Any) -> None:
    data = toys(size=600, rate=0.3)
    study = Study(
        Combination([CDR(noise_rate=0.05, estimate=True), th.method("gce")]),
        resolve({"epochs": 8, "batch": 32, "valid": 0.0, "schedule": {"name": "constant"}}),
        make_material(data),
    )
    run = study.run()
    assert set(study.judges) == {"cdr-noise-rate", None}
    found, other = run.method.methods
    assert isinstance(found, CDR)
    assert not found.estimate
    assert found.noise_rate == pytest.approx(float(data.wrong.float().mean()), abs=0.06)
    assert other == th.method("gce")


def test_each_of_two_networks_has_its_own_ranking(make_run: Callable[..., Run]) -> None:
    run = make_run([th.method("co_teaching"), CDR(0.5)], epochs=1)
    kept = []
    for net in run.nets:
        for p in net.parameters():
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
        before = [scores_of(p) for p in net.parameters() if p.dim() == 2]
        run.method.gradient(run, net)
        masks = [gradient(p) != 0 for p in net.parameters() if p.dim() == 2]
        threshold = torch.cat([scores.flatten() for scores in before]).median()
        assert all(torch.equal(mask, scores > threshold) for mask, scores in zip(masks, before, strict=True))
        kept.append(masks[0])
    assert not torch.equal(*kept)


@pytest.mark.parametrize("form", ["official", "paper", "per_tensor"])
def test_trains(make_run: Callable[..., Any], fit: Callable[..., float], form: str) -> None:
    run = make_run([CDR(0.3, **FORMS[form])], epochs=10, optimizer={"weight_decay": 0.0})
    assert fit(run) > 0.85


def test_nothing_is_kept_of_an_optimiser_that_is_gone() -> None:
    net = make_net()
    optimizer = th.as_optimizer(CDR(0.3), sgd(net))
    backward(net, 0)
    optimizer.step()
    gone, kept = weakref.ref(optimizer.optimizer), _rooms[optimizer.optimizer]
    assert any(room is kept for room in _rooms.values())
    del optimizer
    gc.collect()
    assert gone() is None
    assert not any(room is kept for room in _rooms.values())
