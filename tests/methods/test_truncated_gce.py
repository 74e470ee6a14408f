"""Truncated GCE: golden values, the pruning pass against a loop of its own, and what is left when it is over."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.engine import state
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Judge
from thresher.engine.loop import train
from thresher.engine.options import Options
from thresher.engine.run import Run
from thresher.errors import ThresherError, UsageError
from thresher.methods.gce import GCE
from thresher.methods.truncated_gce import TruncatedGCE

TABLE = "truncated_gce_log_p"
LIMIT = (1 - 0.5**0.7) / 0.7


def naive(logits: list[float], target: list[float], q: float, k: float) -> float:
    total = sum(math.exp(z) for z in logits)
    loss = 0.0
    for z, t in zip(logits, target, strict=True):
        p = math.exp(z) / total
        loss += t * (1 - (p if p > k else k) ** q) / q
    return loss


def test_golden_values(golden: tuple[Tensor, Tensor]) -> None:
    assert TruncatedGCE().loss(*golden).tolist() == pytest.approx([0.361675, 0.549183], abs=1e-6)


@pytest.mark.parametrize(("q", "k"), [(0.7, 0.5), (0.2, 0.1), (1.0, 0.9), (0.7, 0.0)])
def test_equals_a_loop(random_batch: tuple[Tensor, Tensor, Tensor], q: float, k: float) -> None:
    logits, labels, soft = random_batch
    for target in (soft, torch.eye(5, dtype=torch.float64)[labels]):
        expected = [naive(z, t, q, k) for z, t in zip(logits.tolist(), target.tolist(), strict=True)]
        assert TruncatedGCE(q, k).loss(logits, target).tolist() == pytest.approx(expected, rel=1e-9)


def test_gradient_is_that_of_gce_or_none(golden: tuple[Tensor, Tensor]) -> None:
    logits, target = golden
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(TruncatedGCE().loss(logits, target).sum(), logits)
    (whole,) = torch.autograd.grad(GCE().loss(logits, target).sum(), logits)
    assert torch.equal(gradient[0], whole[0])
    assert gradient[1].tolist() == [0, 0, 0]


def pruned_criterion(table: Tensor, **fields: Any) -> Any:
    criterion = th.as_loss(th.method("truncated_gce", **fields), num_samples=len(table), num_classes=3)
    criterion.update_table(TABLE, torch.arange(len(table)), table)
    return criterion


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("log_p", [0.0, -9.0])
def test_gradients_are_finite_for_huge_logits(kind: torch.dtype, log_p: float) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=kind, requires_grad=True)
    loss = pruned_criterion(torch.full((2,), log_p))(logits, torch.tensor([1, 0]), torch.tensor([0, 1]))
    loss.backward()
    assert logits.grad is not None
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    z = logits.detach().float().requires_grad_()
    TruncatedGCE().loss(z, torch.eye(3)[[1, 0]]).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_a_pruned_sample_counts_a_constant_and_stays_in_the_mean() -> None:
    table = torch.tensor([0.0, math.log(0.49), math.log(0.51), math.log(0.5)])
    criterion = pruned_criterion(table)
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0])
    loss = criterion(logits, labels, torch.arange(4))
    plain = GCE().loss(logits, torch.eye(3)[labels])
    assert loss.item() == pytest.approx((plain[0] + plain[2] + 2 * LIMIT).item() / 4, rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    (expected,) = torch.autograd.grad((plain[0] + plain[2]) / 4, logits)
    assert torch.allclose(logits.grad, expected)
    assert not logits.grad[[1, 3]].any()


def test_soft_targets_are_linear_where_a_sample_is_kept() -> None:
    criterion = pruned_criterion(torch.tensor([0.0, -5.0]))
    logits, soft = torch.randn(2, 3), torch.rand(2, 3).softmax(1)
    expected = (GCE().loss(logits, soft)[0].item() + LIMIT) / 2
    assert criterion(logits, soft, torch.tensor([0, 1])).item() == pytest.approx(expected, rel=1e-6)


def test_rows_that_nobody_has_written_are_kept() -> None:
    criterion = th.as_loss(th.method("truncated_gce"), num_samples=4, num_classes=3)
    criterion.update_table(TABLE, torch.tensor([1]), torch.tensor([-4.0]))  # before the first call
    assert criterion.suspects(torch.zeros(4, dtype=torch.int64)).tolist() == [False, True, False, False]
    logits = torch.zeros(2, 3)
    loss = criterion(logits, torch.tensor([0, 0]), torch.tensor([1, 2])).item()
    assert loss == pytest.approx((LIMIT + (1 - 3**-0.7) / 0.7) / 2, rel=1e-6)


def test_the_sum_over_all_labels_is_bounded() -> None:
    """What makes the loss nearly symmetric; the sums of GCE lie further apart."""
    logits = 5 * torch.randn(500, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sums = [sum(m.loss(logits, torch.eye(10)[[k] * 500].double()) for k in range(10)) for m in (TruncatedGCE(), GCE())]
    cut, whole = (torch.as_tensor(total) for total in sums)
    assert cut.min() >= 9 * LIMIT - 1e-12
    assert cut.max() <= 10 * LIMIT + 1e-12
    assert cut.max() - cut.min() < whole.max() - whole.min()


class Batches:
    """Writes down the epochs at which `between` scanned, and by which weights."""

    def __init__(self, run: Run) -> None:
        self.epochs: list[int] = []
        self.nets: list[Any] = []
        scan = run.scan

        def noted(fn: Any, nets: Any = 0, **rest: Any) -> Any:
            self.epochs.append(run.epoch + 1)
            self.nets.append([copy.deepcopy(net.state_dict()) for net in nets])
            return scan(fn, nets=nets, **rest)

        run.scan = noted  # type: ignore[assignment, method-assign]


@pytest.mark.parametrize(
    ("start", "every", "epochs"), [(3, 2, [3, 5, 7]), (1, 3, [1, 4, 7]), (8, 1, [8]), (4, 99, [4])]
)
def test_pruning_comes_before_these_epochs(
    make_run: Callable[..., Run], start: int, every: int, epochs: list[int]
) -> None:
    run = make_run([TruncatedGCE(k=0.01, start=start, every=every)], epochs=8)
    seen = Batches(run)
    train(run, Judge(monitor=False))
    assert seen.epochs == epochs


def log_p_of(run: Run, net: nn.Module, labels: Tensor) -> Tensor:
    """The un-augmented predictions, one sample at a time."""
    x = next(run.source.open([run.rows], ("plain",), 0))["plain", 0]
    net = copy.deepcopy(net).eval()
    return torch.stack(
        [torch.log_softmax(net(one[None])[1], 1)[0, y] for one, y in zip(x, labels, strict=True)]
    ).detach()


def test_it_prunes_by_the_selected_epoch(make_run: Callable[..., Run], toy: Any) -> None:
    """The selected epoch is held at 2, and the pruning comes before epoch 5: the live network is not asked."""
    run = make_run([TruncatedGCE(start=5, every=9)], epochs=5)
    kept: dict[int, Any] = {}

    class Second(Judge):
        """Selects the second epoch for good."""

        @property
        def best_epoch(self) -> int | None:
            return min(len(self.history), 2) or None

    def report(record: dict[str, Any]) -> None:
        kept[record["epoch"]] = copy.deepcopy(run.nets[0])

    train(run, Second(monitor=False), report=report)
    found = run.table(TABLE).full()
    assert torch.allclose(found, log_p_of(run, kept[2], run.given), atol=1e-5)
    assert not torch.allclose(found, log_p_of(run, kept[4], run.given), atol=1e-2)
    assert torch.allclose(run.method.suspicion(run)["truncated_gce"], 0.5 - found.exp())


def test_without_a_selected_epoch_the_current_weights_prune(make_run: Callable[..., Run]) -> None:
    run = make_run([TruncatedGCE(k=0.01, start=1)], epochs=1)
    run.method.between(run)
    assert torch.allclose(run.table(TABLE).full(), log_p_of(run, run.nets[0], run.given), atol=1e-5)


def test_the_live_network_is_left_alone(make_run: Callable[..., Run]) -> None:
    run = make_run([TruncatedGCE(k=0.01, start=1)], epochs=2, average=0.9)
    run.best_weights = {name: value + 0.1 for name, value in state.weights(run).items()}
    before = state.weights(run)
    seen = Batches(run)
    training = [net.training for net in run.nets]
    run.method.between(run)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), state.weights(run).values(), strict=True))
    assert [net.training for net in run.nets] == training
    ((copied,),) = seen.nets  # the averaged weights predict, so theirs are loaded
    for name, value in copied.items():
        assert torch.equal(value, run.best_weights[f"average0/{name}"]), name


def test_it_judges_the_labels_in_force(make_run: Callable[..., Run]) -> None:
    run = make_run([TruncatedGCE(k=0.01, start=1)], epochs=1)
    labels = (run.given + 1) % 3
    run.labels.assign(labels)
    run.method.between(run)
    assert torch.allclose(run.table(TABLE).full(), log_p_of(run, run.nets[0], labels), atol=1e-5)


def test_several_networks_are_averaged(make_run: Callable[..., Run]) -> None:
    run = make_run([th.method("co_teaching"), TruncatedGCE(k=0.01, start=1)], epochs=1)
    run.method.between(run)
    each = torch.stack([log_p_of(run, net, run.given) for net in run.nets])
    assert len(run.nets) == 2
    assert torch.allclose(run.table(TABLE).full().exp(), each.exp().mean(0), atol=1e-5)


def test_nothing_left_stops_the_run(make_run: Callable[..., Run]) -> None:
    run = make_run([TruncatedGCE(k=0.999, start=1)], epochs=1)
    with pytest.raises(ThresherError, match=r"^truncated_gce prunes every sample before epoch 1, so nothing is left"):
        train(run, Judge(monitor=False))


def test_a_run_that_ends_before_is_refused() -> None:
    TruncatedGCE(start=7).check(Options(epochs=7))
    with pytest.raises(
        UsageError,
        match=r"^truncated_gce\.start is 8, and the run has 7 epochs, .*: lower truncated_gce.start, or use gce",
    ):
        TruncatedGCE(start=8).check(Options(epochs=7))


def test_settings_without_meaning_are_refused() -> None:
    for fields in ({"q": 0.0}, {"k": 1.5}, {"start": 0}, {"every": 0}, {"start": 2.5}):
        with pytest.raises(UsageError, match=f"truncated_gce.{next(iter(fields))} is"):
            Combination([th.method("truncated_gce", **fields)])
    with pytest.raises(UsageError, match="mixup mixes samples, and truncated_gce needs each sample's own prediction"):
        Combination([TruncatedGCE(), th.method("mixup")])
    assert th.method("truncated_gce", preset="cifar100").start == 80


def test_before_pruning_it_is_gce(make_run: Callable[..., Run]) -> None:
    runs = [make_run([method], epochs=3) for method in (TruncatedGCE(start=3, k=1e-6), GCE())]
    for run in runs:
        train(run, Judge(monitor=False))
    for mine, theirs in zip(runs[0].nets[0].parameters(), runs[1].nets[0].parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_it_finds_the_wrong_labels(make_run: Callable[..., Run], fit: Callable[..., float], toy: Any) -> None:
    run = make_run([TruncatedGCE(start=4, every=3)], epochs=10, optimizer={"lr": 0.05})
    assert fit(run) > 0.9
    called = run.method.suspicion(run)["truncated_gce"] > 0
    wrong = toy.wrong
    assert (called & wrong).sum() / called.sum() > 0.8
    assert (called & wrong).sum() / wrong.sum() > 0.8


def test_a_loop_of_ones_own_learns_as_the_engine_does(make_run: Callable[..., Run]) -> None:
    """Same rows, same table, same loss: the weights are equal bit for bit, through two prunings."""
    seen: list[tuple[int, Tensor]] = []
    method = TruncatedGCE(k=0.3, start=2, every=1)
    run = make_run([method], epochs=3, optimizer={"lr": 0.05})
    observe = run.method.observe

    def noted(step: Any) -> None:
        seen.append((run.epoch, step.index.clone()))
        observe(step)

    run.method.observe = noted  # type: ignore[method-assign]
    net = copy.deepcopy(run.nets[0])
    train(run, Judge(monitor=False))

    criterion = th.as_loss(method, run.size, run.classes)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    x = next(run.source.open([run.rows], ("plain",), 0))["plain", 0]
    for epoch in range(3):
        if epoch:  # without held-out rows the latest epoch is the selected one
            with torch.no_grad():
                log_p = torch.log_softmax(net.eval()(x)[1], 1)[torch.arange(run.size), run.given]
            criterion.update_table(TABLE, torch.arange(run.size), log_p)
        net.train()
        for _, index in [one for one in seen if one[0] == epoch]:
            optimizer.zero_grad()
            criterion(net(x[index])[1], run.given[index], index).backward()
            optimizer.step()
    for mine, theirs in zip(net.parameters(), run.nets[0].parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)
