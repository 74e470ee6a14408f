"""SOP: its loss and gradients, sparse updates against dense SGD, and how long its variables sleep."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

import thresher as th
from thresher.methods.sop import SOP, activation_rate

FLOOR = 1e-4


def naive(logits: list[float], label: int, u: float, v: list[float]) -> float:
    """Cross-entropy of the explained label plus the squared error, for one sample."""
    exp = [math.exp(z) for z in logits]
    p = [e / sum(exp) for e in exp]
    guess = max(range(len(p)), key=p.__getitem__)
    doubt = [min(u * u, 1.0) if k == label else 0.0 for k in range(len(p))]
    other = [0.0 if k == label else min(x * x, 1.0) for k, x in enumerate(v)]
    pi = [max(x + a - b, FLOOR) for x, a, b in zip(p, doubt, other, strict=True)]
    pi = [max(x / sum(pi), FLOOR) for x in pi]
    square = sum(((k == guess) + doubt[k] - other[k] - (k == label)) ** 2 for k in range(len(p)))
    return -math.log(pi[label]) + square


def dense(logits: Tensor, labels: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The authors' loss of a batch, with all gradients left to autograd."""
    y = one_hot(labels, logits.shape[1]).float()
    doubt, other = (u[:, None] ** 2 * y).clamp(0, 1), (v**2 * (1 - y)).clamp(0, 1)
    pi = (logits.softmax(1) + doubt - other.detach()).clamp_min(FLOOR)
    pi = (pi / pi.sum(1, keepdim=True)).clamp(FLOOR, 1)
    guess = one_hot(logits.argmax(1), logits.shape[1]).float()
    return -(y * pi.log()).sum(1).mean() + (guess + doubt - other - y).square().sum() / len(y)


def make(size: int = 8, classes: int = 3, **fields: float) -> Any:
    """A criterion whose tables exist."""
    criterion = th.as_loss(SOP(**fields), size, classes)
    criterion(torch.zeros(size, classes), torch.zeros(size, dtype=torch.int64), torch.arange(size))
    return criterion


def rows(criterion: Any, name: str) -> Tensor:
    value: Tensor = criterion.state_dict()[f"table_sop_{name}_0"]
    return value


def put(criterion: Any, u: Tensor, v: Tensor) -> None:
    criterion.update_table("sop_u.0", torch.arange(len(u)), u)
    criterion.update_table("sop_v.0", torch.arange(len(v)), v)


def test_equals_a_loop() -> None:
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(8, 3), torch.arange(8) % 3
    u, v = 0.7 * torch.randn(8), 0.7 * torch.randn(8, 3)  # some beyond 1, where the clip acts
    criterion = th.as_loss(SOP(), 8, 3, reduction="none")
    put(criterion, u, v)
    expected = [
        naive(z, int(y), a, b) for z, y, a, b in zip(logits.tolist(), labels, u.tolist(), v.tolist(), strict=True)
    ]
    assert criterion(logits, labels, torch.arange(8)).tolist() == pytest.approx(expected, rel=1e-4)


def test_by_hand() -> None:
    criterion = th.as_loss(SOP(), 1, 2, reduction="none")
    put(criterion, torch.tensor([0.5]), torch.tensor([[0.0, 0.5]]))
    # p = (1/4, 3/4), U = (1/4, 0), V = (0, 1/4): pi = (1/2, 1/2); guess + U - V - y = (-3/4, 3/4)
    logits = torch.tensor([[0.0, math.log(3.0)]])
    loss = criterion(logits, torch.tensor([0]), torch.tensor([0]))
    assert loss.item() == pytest.approx(math.log(2) + 2 * (3 / 4) ** 2, rel=1e-6)


def test_u_learns_from_both_terms_and_v_from_the_squared_error_only() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0]])
    label, index = torch.tensor([0]), torch.tensor([0])
    u0, v0 = torch.tensor([0.5]), torch.tensor([[0.3, 0.4, 0.6]])
    criterion = make(1, rate_u=0.01, rate_v=0.02)
    put(criterion, u0, v0)
    criterion(logits, label, index).backward()
    p = logits.softmax(1)[0]
    pi = torch.stack([p[0] + 0.25, p[1] - 0.16, p[2] - 0.36])
    assert pi.min() > FLOOR
    # d/du of -log(pi_0 / sum pi) is 2u (1 / sum pi - 1 / pi_0); of the squared error, with guess = 2, 4u (u^2 - 1)
    from_entropy = 2 * 0.5 * (1 / pi.sum() - 1 / pi[0])
    from_error = 4 * 0.5 * (0.25 - 1)
    assert rows(criterion, "u").item() == pytest.approx(0.5 - 0.01 * float(from_entropy + from_error), rel=1e-5)
    # v_1: error 0 - v^2; v_2: error 1 - v^2; v_0 belongs to the label and stays
    expected = [0.3, 0.4 - 0.02 * 4 * 0.4 * 0.16, 0.6 + 0.02 * 4 * 0.6 * (1 - 0.36)]
    assert rows(criterion, "v")[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_sparse_updates_equal_dense_sgd_with_projection() -> None:
    torch.manual_seed(1)
    size, classes, rates = 12, 4, (2.0, 3.0)
    criterion = th.as_loss(SOP(*rates), size, classes)
    u, v = nn.Parameter(0.3 * torch.randn(size)), nn.Parameter(0.3 * torch.randn(size, classes))
    put(criterion, u.detach(), v.detach())
    sgd = torch.optim.SGD([{"params": [u], "lr": rates[0]}, {"params": [v], "lr": rates[1]}], lr=1.0)
    labels = torch.randint(classes, (size,))
    for step in range(12):
        index = torch.randperm(size)[:5]
        logits = 2 * torch.randn(5, classes)
        criterion(logits.requires_grad_(), labels[index], index).backward()
        sgd.zero_grad()
        dense(logits.detach(), labels[index], u[index], v[index]).backward()
        sgd.step()
        with torch.no_grad():
            u.clamp_(-1, 1)
            v.clamp_(-1, 1)
        assert torch.allclose(rows(criterion, "u"), u, atol=1e-6), step
        assert torch.allclose(rows(criterion, "v"), v, atol=1e-6), step


def test_the_networks_gradient_is_that_of_cross_entropy_on_pi() -> None:
    torch.manual_seed(2)
    labels, u, v = torch.arange(6) % 3, 0.5 * torch.randn(6), 0.5 * torch.randn(6, 3)
    criterion = make(6)
    put(criterion, u, v)
    logits = torch.linspace(-2, 2, 18).reshape(6, 3).requires_grad_()
    (expected,) = torch.autograd.grad(dense(logits, labels, u, v), logits)
    (gradient,) = torch.autograd.grad(criterion(logits, labels, torch.arange(6)), logits)
    assert torch.allclose(gradient, expected, atol=1e-7)


def test_variables_stay_in_their_range() -> None:
    criterion = make(4, rate_u=1000.0, rate_v=1000.0)
    put(criterion, torch.full((4,), 0.5), torch.full((4, 3), 0.5))
    for _ in range(3):
        logits = torch.tensor([[0.0, 5.0, 0.0]] * 4, requires_grad=True)
        criterion(logits, torch.zeros(4, dtype=torch.int64), torch.arange(4)).backward()
    assert rows(criterion, "u").abs().max() <= 1
    assert rows(criterion, "v").abs().max() <= 1


def visits_until_awake(batch: int, **fields: float) -> int:
    """Visits of samples whose label the network contradicts until v^2 reaches 1/4."""
    criterion = th.as_loss(SOP(**fields), batch, 2)
    put(criterion, torch.full((batch,), 1e-8), torch.full((batch, 2), 1e-8))
    logits, labels = torch.tensor([[-1.5, 1.5]] * batch), torch.zeros(batch, dtype=torch.int64)
    for visit in range(1, 400):
        criterion(logits.clone().requires_grad_(), labels, torch.arange(batch)).backward()
        if rows(criterion, "v")[0, 1] >= 0.5:
            return visit
    return -1


@pytest.mark.parametrize(
    ("batch", "rate", "visits"), [(32, 10, 22), (64, 10, 37), (128, 10, 66), (32, 100, 7), (64, 100, 9), (128, 100, 13)]
)
def test_visits_until_v_wakes(batch: int, rate: float, visits: int) -> None:
    assert visits_until_awake(batch, rate_v=rate) == pytest.approx(visits, rel=0.03, abs=1)


@pytest.mark.parametrize(("batch", "epochs"), [(16, 5), (128, 12), (128, 40)])
def test_activation_states_the_visits(batch: int, epochs: float) -> None:
    assert visits_until_awake(batch, activation=epochs) == pytest.approx(epochs, abs=2)
    assert activation_rate(epochs, batch) == pytest.approx(batch / 4 * (math.exp(math.log(1e8) / epochs) - 1))


def test_variables_start_near_zero_and_follow_the_seed() -> None:
    first, same, other = (th.as_loss(SOP(), 200, 5, seed=seed) for seed in (3, 3, 4))
    for criterion in (first, same, other):
        criterion(torch.zeros(2, 5), torch.tensor([0, 1]), torch.tensor([0, 1]))
    assert torch.equal(rows(first, "v"), rows(same, "v"))
    assert not torch.equal(rows(first, "v"), rows(other, "v"))
    assert rows(first, "v").std().item() == pytest.approx(1e-8, rel=0.1)
    assert rows(first, "u").std().item() == pytest.approx(1e-8, rel=0.2)


def test_balance_pulls_the_mean_prediction_to_uniform() -> None:
    plain, balanced = th.as_loss(SOP(), 4, 2), th.as_loss(SOP(balance=0.1), 4, 2)
    logits, labels = torch.tensor([[2.0, 0.0]] * 4, requires_grad=True), torch.tensor([0, 1, 0, 1])
    p = logits.detach()[0].softmax(0)
    penalty = -0.1 * 0.5 * (p[0].log() + p[1].log())
    losses = [criterion(logits, labels, torch.arange(4)) for criterion in (plain, balanced)]
    assert (losses[1] - losses[0]).item() == pytest.approx(penalty.item(), rel=1e-4)
    gradient = [torch.autograd.grad(loss, logits)[0] for loss in losses]
    assert (gradient[1] - gradient[0])[0, 0] > 0  # down with the class that is predicted too often


def test_suggestion_by_hand_and_suspects() -> None:
    criterion = th.as_loss(SOP(), 3, 3, labels=torch.tensor([0, 1, 2]))
    put(criterion, torch.tensor([0.0, 0.9, 0.0]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.8], [0.0, 0.5, 1.0]]))
    # row 0: its own v does not count; row 1: (0, 0.19, 0.64); row 2: (0, 0.25, 1)
    assert criterion.suspects().tolist() == [False, True, False]
    assert criterion.suggestions()[1].tolist() == pytest.approx([0, 0.19 / 0.83, 0.64 / 0.83], rel=1e-5)
    assert criterion.suggestions()[2].tolist() == pytest.approx([0, 0.2, 0.8])


def test_sleeping_variables_are_reported() -> None:
    criterion = make(4)
    with pytest.warns(UserWarning, match="never woke"):
        assert not criterion.suspects(torch.zeros(4, dtype=torch.int64)).any()


def test_training_finds_the_wrong_labels(make_run: Callable[..., Any], fit: Callable[..., float], toy: Any) -> None:
    method = SOP(activation=6.0, rate_u=1.0)
    run = make_run([method], epochs=20)
    assert fit(run) > 0.9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ((method.suspicion(run) > 0) == toy.wrong).float().mean() > 0.9
