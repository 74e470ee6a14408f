"""What the drop-ins themselves check and keep; that they equal the engine is tested with the methods."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.engine.drop_in import MethodLoss
from thresher.errors import ThresherError, UsageError
from thresher.parts.mixup import mixing_weight

LOGITS = torch.tensor([[2.0, 1.0, 0.1], [0.3, 0.2, 0.9]])
LABELS, ROWS = torch.tensor([0, 2]), torch.tensor([4, 1])


def loss(name: str = "elr", **more: Any) -> MethodLoss:
    return th.as_loss(th.method(name), num_samples=6, num_classes=3, **more)


@pytest.mark.parametrize("bad", [[4, -1], [4, 6], [4, 4]])
def test_a_row_number_out_of_range_or_twice_is_refused_before_anything_is_written(bad: list[int]) -> None:
    criterion = loss()
    criterion(LOGITS, LABELS, ROWS)
    before = copy.deepcopy(criterion.state_dict())
    with pytest.raises(ThresherError, match=r"outside 0\.\.5|twice in this batch"):
        criterion(LOGITS, LABELS, torch.tensor(bad))
    for name, value in criterion.state_dict().items():
        assert torch.equal(value, before[name])


def test_what_does_not_fit_is_named() -> None:
    criterion = loss()
    with pytest.raises(ThresherError, match=r"call it with \(logits, labels, index\)"):
        criterion(LOGITS, LABELS)
    with pytest.raises(ThresherError, match=r"row numbers of the shape \(3,\)"):
        criterion(LOGITS, LABELS, torch.tensor([0, 1, 2]))
    with pytest.raises(ThresherError, match=r"a label is outside 0\.\.2"):
        criterion(LOGITS, torch.tensor([0, 3]), ROWS)
    with pytest.raises(ThresherError, match=r"\[B, 3\] is needed"):
        criterion(torch.zeros(2, 4), LABELS, ROWS)
    with pytest.raises(ThresherError, match="non-finite value"):
        criterion(LOGITS * torch.inf, LABELS, ROWS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"reduction": "average"}, "choose one of mean, sum, none"),
        ({"labels": torch.tensor([0, 1])}, "labels must be 6 numbers from 0 to 2"),
        ({"labels": torch.tensor([0, 1, 2, 3, 0, 1])}, "labels must be 6 numbers from 0 to 2"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        loss(**settings)
    with pytest.raises(UsageError, match="at least two classes"):
        th.as_loss(th.method("gce"), num_samples=6, num_classes=1)


def test_in_evaluation_mode_it_is_cross_entropy_and_touches_nothing() -> None:
    criterion = loss()
    criterion(LOGITS, LABELS, ROWS)
    before = copy.deepcopy(criterion.state_dict())
    criterion.eval()
    assert torch.equal(criterion(LOGITS, LABELS), criterion(LOGITS, LABELS, ROWS))
    torch.testing.assert_close(criterion(LOGITS, LABELS), nn.functional.cross_entropy(LOGITS, LABELS))
    assert {k: v.tolist() for k, v in criterion.state_dict().items()} == {k: v.tolist() for k, v in before.items()}


@pytest.mark.parametrize("name", ["elr", "sop", "small_loss"])
def test_state_goes_into_a_fresh_module_and_on_from_there(name: str) -> None:
    first = loss(name)
    for _ in range(3):
        first(LOGITS.requires_grad_(), LABELS, ROWS).backward()
    fresh = loss(name)
    fresh.load_state_dict(first.state_dict())
    assert fresh.run.when == first.run.when == 1.0
    for _ in range(2):
        assert torch.equal(first(LOGITS, LABELS, ROWS), fresh(LOGITS, LABELS, ROWS))
    for key, value in first.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[key])


def test_a_copy_of_the_module_is_independent() -> None:
    first = loss()
    first(LOGITS, LABELS, ROWS)
    other = copy.deepcopy(first)
    other(LOGITS, LABELS, ROWS)
    tables = [module.state_dict()["table_elr_target_0"] for module in (first, other)]
    assert not torch.equal(*tables)


def test_reductions_agree() -> None:
    single, total, mean = (loss("gce", reduction=how)(LOGITS, LABELS, ROWS) for how in ("none", "sum", "mean"))
    assert single.shape == (2,)
    torch.testing.assert_close(single.sum(), total)
    torch.testing.assert_close(single.mean(), mean)


def test_soft_targets_and_half_precision_are_taken() -> None:
    soft = torch.eye(3)[LABELS]
    assert torch.equal(loss("gce")(LOGITS, LABELS, ROWS), loss("gce")(LOGITS, soft, ROWS))
    assert loss("gce")(LOGITS.half(), LABELS, ROWS).dtype == torch.float32


def test_suspects_and_suggestions() -> None:
    criterion = loss(labels=torch.tensor([0, 1, 2, 0, 1, 2]))
    for _ in range(3):
        criterion(torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]]), torch.tensor([1, 0]), torch.tensor([4, 0]))
    assert criterion.suspects().tolist() == [False, False, False, False, True, False]
    assert criterion.suggestions()[4].argmax() == 0
    with pytest.raises(UsageError, match="gce cannot tell which labels are wrong"):
        loss("gce").suspects()
    with pytest.raises(UsageError, match="gce does not suggest labels"):
        loss("gce").suggestions()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cdr", "cdr cannot be a loss: it works on gradients: use th.as_optimizer"),
        ("co_teaching", "co_teaching cannot be a loss: it needs its own networks"),
        ("dividemix", "dividemix cannot be a loss"),
        ("l2rw", "l2rw cannot be a loss: it learns from trusted samples"),
        ("aum", "aum cannot be a loss"),
    ],
)
def test_methods_that_do_more_than_a_loss_are_refused_with_the_reason(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        loss(name)


@pytest.mark.parametrize("name", ["gce", "elr", "mixup", "small_loss"])
def test_methods_that_do_not_work_on_gradients_are_no_optimisers(name: str) -> None:
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(UsageError, match=f"{name} cannot be an optimiser"):
        th.as_optimizer(th.method(name), optimizer)


def test_the_wrapped_optimiser_shows_its_groups_and_state() -> None:
    net = nn.Linear(4, 2)
    inner = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    outer = th.as_optimizer(th.method("cdr", noise_rate=0.4), inner)
    plan = torch.optim.lr_scheduler.StepLR(outer, 1, gamma=0.5)
    for _ in range(2):
        outer.zero_grad()
        net(torch.ones(1, 4)).sum().backward()
        outer.step()
        plan.step()
    assert inner.param_groups[0]["lr"] == 0.025
    assert outer.state is inner.state
    saved = copy.deepcopy(outer.state_dict())
    fresh = th.as_optimizer(th.method("cdr", noise_rate=0.4), torch.optim.SGD(net.parameters(), lr=9.0, momentum=0.9))
    fresh.load_state_dict(saved)
    assert fresh.param_groups[0]["lr"] == 0.025
    outer.add_param_group({"params": [nn.Parameter(torch.ones(3))]})
    assert len(inner.param_groups) == 2


def wrapped(kind: str = "SGD", **settings: Any) -> tuple[nn.Module, Any]:
    """A network of one layer, always the same, and its optimiser behind a method."""
    torch.manual_seed(0)
    net = nn.Linear(4, 2)
    return net, th.as_optimizer(
        th.method("cdr", noise_rate=0.4), getattr(torch.optim, kind)(net.parameters(), **settings)
    )


def learn(net: nn.Module, optimizer: Any, steps: int = 3) -> None:
    """Some steps, each with a loop of the usual form."""
    for step in range(steps):
        optimizer.zero_grad()
        net(torch.ones(3, 4) + step).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_a_closure_gives_the_same_steps_and_returns_its_loss(kind: str) -> None:
    (first, one), (second, other) = wrapped(kind, lr=0.1), wrapped(kind, lr=0.1)
    learn(first, one)
    for step in range(3):

        def closure(step: int = step) -> torch.Tensor:
            other.zero_grad()
            loss: torch.Tensor = second(torch.ones(3, 4) + step).square().mean()
            loss.backward()
            return loss

        assert torch.is_tensor(other.step(closure))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_optimiser_that_asks_for_the_loss_several_times_gets_the_methods_gradients_each_time() -> None:
    net, optimizer = wrapped("LBFGS", lr=0.5, max_iter=4)
    weight, kept = next(net.parameters()), []

    def closure() -> torch.Tensor:
        kept.append(None if weight.grad is None else int(weight.grad.count_nonzero()))
        optimizer.zero_grad()
        loss: torch.Tensor = net(torch.eye(4)).square().mean()
        loss.backward()
        return loss

    before = closure().item()
    kept.clear()
    optimizer.step(closure)
    assert closure().item() < before
    assert kept[1:-1] == [4] * len(kept[1:-1])  # of 8 weights, int(0.6 * 8) are critical
    assert len(kept) > 3


def test_groups_that_come_later_learn_too() -> None:
    net, optimizer = wrapped(lr=0.1)
    late = nn.Linear(2, 2, bias=False)
    optimizer.add_param_group({"params": late.parameters(), "lr": 1.0})
    late.weight.data, late.weight.grad = torch.full((2, 2), 9.0), torch.ones(2, 2)
    net.weight.grad = torch.full((2, 4), 1e-3)
    optimizer.step()
    assert late.weight.flatten().tolist() == pytest.approx([9 - 0.6] * 4)  # the four largest of twelve
    assert int(net.weight.grad.count_nonzero()) == 3  # int(0.6 * 12) are critical


def test_a_method_that_changes_over_training_asks_for_the_epoch() -> None:
    net = nn.Linear(4, 2)
    optimizer = th.as_optimizer(th.method("cdr", ramp=2), torch.optim.SGD(net.parameters(), lr=0.1))
    assert "when" not in optimizer.state_dict()
    net(torch.ones(1, 4)).sum().backward()
    with pytest.raises(UsageError, match="set the optimiser's `when` to the epoch"):
        optimizer.step()
    optimizer.when = 1
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    fresh = th.as_optimizer(th.method("cdr", ramp=2), torch.optim.SGD(net.parameters(), lr=0.1))
    fresh.load_state_dict(saved)
    assert fresh.when == 1.0
    fresh.step()


def test_states_go_from_a_plain_optimiser_to_a_wrapped_one_and_back() -> None:
    net, outer = wrapped(lr=0.1, momentum=0.9)
    learn(net, outer)
    outer.when = 3
    plain = torch.optim.SGD(net.parameters(), lr=9.0, momentum=0.0)
    plain.load_state_dict(outer.state_dict())
    assert plain.param_groups[0]["lr"] == 0.1
    again, fresh = wrapped(lr=9.0)
    again.load_state_dict(net.state_dict())
    fresh.load_state_dict(copy.deepcopy(plain.state_dict()))  # torch shares the buffers otherwise
    learn(net, outer)
    learn(again, fresh)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_state_that_contradicts_the_method_is_refused() -> None:
    net = nn.Linear(4, 2)
    decaying = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.1)
    outer = th.as_optimizer(th.method("cdr", mode="paper"), torch.optim.SGD(net.parameters(), lr=0.1))
    with pytest.raises(UsageError, match=r"decays the weights itself, and weight_decay in parameter group 0 is 0\.1"):
        outer.load_state_dict(decaying.state_dict())


def test_what_the_methods_refuse_is_refused_when_it_is_wrapped() -> None:
    net = nn.Linear(4, 2)
    with pytest.raises(UsageError, match="set it to 0"):
        th.as_optimizer(th.method("cdr", mode="paper"), torch.optim.AdamW(net.parameters()))  # 0.01 by default


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.tensor([[0], [1]]), "give int64 .B., or soft targets .2, 3."),
        (torch.tensor([[1, 0, 0], [0, 1, 0]]), "the type torch.int64: give int64"),
        (torch.full((1, 3), 1 / 3), "labels have the shape .1, 3."),
        (torch.tensor([[1.5, -0.5, 0.0], [1.0, 0.0, 0.0]]), "a row of soft targets is no distribution"),
        (torch.tensor([[0.5, 0.2, 0.0], [1.0, 0.0, 0.0]]), "a row of soft targets is no distribution"),
        (torch.tensor([[math.nan, 0.2, 0.0], [1.0, 0.0, 0.0]]), "a row of soft targets is no distribution"),
        (torch.tensor([0, 1, 2]), "2 whole numbers are needed"),
        (torch.tensor([0.0, 1.0]), "2 whole numbers are needed"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Tensor, words: str) -> None:
    criterion = th.as_loss(th.method("gce"), num_samples=4, num_classes=3)
    with pytest.raises(ThresherError, match=words):
        criterion(torch.zeros(2, 3), labels, torch.arange(2))


def test_soft_targets_of_another_width_are_refused() -> None:
    criterion = th.as_loss(th.method("gce"), num_samples=4, num_classes=3)
    with pytest.raises(ThresherError, match="the logits have the shape"):
        criterion(torch.zeros(2, 5), torch.full((2, 5), 0.2), torch.arange(2))


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_penalties_on_plain_leaves_and_on_the_way_up(name: str) -> None:
    weight = torch.ones(2, 2, requires_grad=True)
    weight.grad = torch.zeros(2, 2)
    th.as_optimizer(th.method(name, strength=0.5), torch.optim.SGD([weight], lr=1.0)).step()
    assert weight.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    with pytest.raises(UsageError, match=f"{name} shrinks weights, and maximize=True would make them grow"):
        th.as_optimizer(th.method(name), torch.optim.SGD([weight], lr=1.0, maximize=True))


def test_samples_are_mixed_before_the_network() -> None:
    criterion = th.as_loss([th.method("mixup", alpha=1.0), th.method("gce")], num_samples=4, num_classes=3)
    x, labels, index = torch.arange(8.0).view(4, 2), torch.tensor([0, 2, 1, 1]), torch.arange(4)
    with pytest.raises(ThresherError, match=r"before it, call inputs, labels = loss\.mix"):
        criterion(torch.zeros(4, 3), labels, index)
    torch.manual_seed(0)
    mixed, target = criterion.mix(x, labels)
    torch.manual_seed(0)
    weight = mixing_weight(1.0).item()
    partner = torch.randperm(4)
    assert torch.equal(mixed, weight * x + (1 - weight) * x[partner])
    assert torch.equal(target, weight * torch.eye(3)[labels] + (1 - weight) * torch.eye(3)[labels[partner]])
    logits = mixed @ torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    whole = th.as_loss(th.method("gce"), num_samples=4, num_classes=3)
    assert torch.equal(criterion(logits, target, index), whole(logits, target, index))
    with pytest.raises(ThresherError, match="before it"):  # once per batch
        criterion(logits, target, index)
    criterion.eval()
    assert torch.equal(criterion.mix(x, labels)[0], x)
    criterion.train()
    with pytest.raises(ThresherError, match="before it"):  # what was asked in evaluation mode is not mixed
        criterion(logits, target, index)
    with pytest.raises(UsageError, match="gce mixes nothing"):
        whole.mix(x, labels)
