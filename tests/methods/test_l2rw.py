"""L2RW against algorithm 1 taken literally, with its virtual step and second derivatives."""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from thresher.data.resident import Resident
from thresher.engine.combine import Combination
from thresher.engine.options import Options
from thresher.engine.run import Run
from thresher.engine.step import Batch, Outputs, Step
from thresher.methods.l2rw import L2RW, difference_scores, exact_scores
from thresher.nets.small_cnn import small_cnn


def literal_scores(net: nn.Module, noisy: tuple[Tensor, Tensor], clean: tuple[Tensor, Tensor]) -> Tensor:
    """Algorithm 1, lines 4 to 9: a virtual SGD step of rate 1 at weights 0, and its derivative in the weights."""

    def losses_at(params: Mapping[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        buffers = {name: b.clone() for name, b in net.named_buffers()}
        _, logits = torch.func.functional_call(net, {**params, **buffers}, (x,))
        return cross_entropy(logits, y, reduction="none")

    params = dict(net.named_parameters())
    weights = torch.zeros(len(noisy[1]), dtype=noisy[0].dtype, requires_grad=True)
    weighted = (weights * losses_at(params, *noisy)).sum()
    gradients = torch.autograd.grad(weighted, list(params.values()), create_graph=True)
    moved = {name: p - g for (name, p), g in zip(params.items(), gradients, strict=True)}
    (slope,) = torch.autograd.grad(losses_at(moved, *clean).mean(), weights)
    return -slope


def literal_weights(scores: Tensor) -> Tensor:
    """Lines 10 and 11: rectified and normalised."""
    positive = [max(s, 0.0) for s in scores.tolist()]
    total = sum(positive)
    return torch.tensor([p / (total + (1 if total == 0 else 0)) for p in positive])


def images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (count, 1, 8, 8), generator=source, dtype=torch.uint8)
    return x, torch.randint(3, (count,), generator=source)


@pytest.fixture
def run() -> Run:
    """A run of a CNN with batch norm on 24 random images, of which 8 are trusted."""
    return run_of(L2RW(clean_batch=8))


def run_of(method: L2RW, factory: Callable[[int], nn.Module] = lambda n: small_cnn((1, 8, 8), n)) -> Run:
    x, y = images(24, 0)
    run = Run(
        Combination([method]),
        Options(epochs=2, batch=16),
        source=Resident(x, device=torch.device("cpu")),
        rows=torch.arange(16),
        labels=y[:16],
        classes=3,
        factory=factory,
        trusted=(torch.arange(16, 24), y[16:]),
    )
    run.begin_pass()
    return run


def step_of(run: Run) -> Step:
    """The step of all sixteen samples after its forward pass and losses."""
    x = run.source.open([torch.arange(16)], ("weak",), 0)
    batch = Batch(torch.arange(16), run.given, next(iter(x)))
    target = one_hot(batch.label, 3).float()
    outputs = run.forward(0, batch.view("weak"))
    losses = cross_entropy(outputs.logits, batch.label, reduction="none")
    return Step(run, batch, target, outputs=outputs, losses=losses)


def clean_of(run: Run) -> tuple[Tensor, Tensor]:
    batch = run.trusted(8)
    return batch.view("weak"), batch.label


def test_exact_scores_equal_the_second_order_ones(run: Run) -> None:
    step = step_of(run)
    expected = literal_scores(run.nets[0], (step.inputs[0], step.label), clean_of(run))
    method = L2RW(clean_batch=8, score="exact")
    scores = method._scores(step, method._clean_gradient(step))
    assert (scores - expected).abs().max() <= 1e-5 * expected.abs().max()
    weight = method.weight(step)
    assert torch.allclose(weight, 16 * literal_weights(expected), atol=1e-4)
    assert weight.sum().item() == pytest.approx(16, rel=1e-5)


def test_exact_scores_in_double_precision(run: Run) -> None:
    net, step = run.nets[0].double(), step_of_doubles(run)
    x, y = clean_of(run)
    clean = (x.double(), y)
    params = dict(net.named_parameters())
    loss = cross_entropy(net(clean[0])[1], y)
    direction = dict(zip(params, torch.autograd.grad(loss, list(params.values())), strict=True))
    scores = exact_scores(step, params, direction)
    expected = literal_scores(net, (step.inputs[0], step.label), clean)
    assert (scores - expected).abs().max() <= 1e-12 * expected.abs().max()


def step_of_doubles(run: Run) -> Step:
    x, _ = images(16, 0)
    shown = {("weak", 0): x.double() / 255}
    target = one_hot(run.given, 3).double()
    nothing = torch.zeros(16, 3, dtype=torch.float64)
    return Step(
        run, Batch(torch.arange(16), run.given, shown), target, outputs=Outputs(nothing, nothing), losses=nothing[:, 0]
    )


def test_a_linear_model_by_hand() -> None:
    class Line(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(1, 3, bias=False)
            nn.init.zeros_(self.head.weight)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x.flatten(1), self.head(x.flatten(1)[:, :1])

    run = run_of(L2RW(clean_batch=8), lambda _: Line())
    step = step_of(run)
    x, y = clean_of(run)
    # at weights 0 the gradient of one loss is x (1/3 - onehot), so the score is an inner product of two such sums
    own = step.inputs[0].flatten(1)[:, :1] * (1 / 3 - one_hot(step.label, 3).float())
    mean = (x.flatten(1)[:, :1] * (1 / 3 - one_hot(y, 3).float())).mean(0)
    method = L2RW(clean_batch=8)
    assert torch.allclose(method._scores(step, method._clean_gradient(step)), own @ mean, atol=1e-6)


def test_finite_differences_are_close(run: Run) -> None:
    step = step_of(run)
    method = L2RW(clean_batch=8)
    direction = method._clean_gradient(step)
    params = dict(run.nets[0].named_parameters())
    both = torch.stack([exact_scores(step, params, direction), difference_scores(step, params, direction)])
    assert torch.corrcoef(both)[0, 1] > 0.99


@pytest.mark.parametrize("score", ["exact", "finite_difference"])
def test_running_statistics_weights_and_generator_stay(run: Run, score: str) -> None:
    step = step_of(run)
    before = {name: value.clone() for name, value in run.nets[0].state_dict().items()}
    state = torch.get_rng_state()
    L2RW(clean_batch=8, score=score).weight(step)
    for name, value in run.nets[0].state_dict().items():
        assert torch.equal(value, before[name])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in run.nets[0].parameters())


def test_finite_differences_see_the_same_dropout_twice() -> None:
    def factory(outputs: int) -> nn.Module:
        net = small_cnn((1, 8, 8), outputs)
        cast(nn.Sequential, net.body).append(nn.Dropout(0.5))
        return net

    run = run_of(L2RW(clean_batch=8), factory)
    step = step_of(run)
    method = L2RW(clean_batch=8)
    direction, params = method._clean_gradient(step), dict(run.nets[0].named_parameters())
    torch.manual_seed(5)
    both = torch.stack([exact_scores(step, params, direction), difference_scores(step, params, direction)])
    assert torch.corrcoef(both)[0, 1] > 0.99


class NoForwardMode(torch.autograd.Function):
    """Doubles, and has no forward-mode derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return 2 * grads[0]


class Doubled(nn.Module):
    """A network around an operation that has no forward mode."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.net = small_cnn((1, 8, 8), outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.net(x)
        return features, NoForwardMode.apply(logits)


def test_auto_turns_to_finite_differences_where_forward_mode_is_missing() -> None:
    run = run_of(L2RW(clean_batch=8), Doubled)
    step = step_of(run)
    by_auto, by_difference = L2RW(8, "auto").weight(step), L2RW(8, "finite_difference").weight(step)
    assert torch.equal(by_auto, by_difference)
    with pytest.raises(NotImplementedError):
        L2RW(8, "exact").weight(step)


def test_a_batch_without_help_weighs_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    step = step_of(run)
    monkeypatch.setattr(L2RW, "_scores", lambda *_: torch.full((16,), -2.0))
    weight = L2RW(clean_batch=8).weight(step)
    assert weight.tolist() == [0.0] * 16
    before = [p.clone() for p in run.nets[0].parameters()]
    for group in run.optimizers["0"].param_groups:
        group["weight_decay"] = 0.0
    run.update((weight * step.losses).mean())
    assert all(torch.equal(a, b) for a, b in zip(before, run.nets[0].parameters(), strict=True))


def test_without_normalisation_weights_are_the_positive_scores(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(L2RW, "_scores", lambda *_: torch.arange(-8.0, 8.0))
    assert L2RW(8, normalise=False).weight(step_of(run)).tolist() == [max(float(k), 0.0) for k in range(-8, 8)]


def test_suspicion_is_the_mean_of_scaled_scores(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    method, step = L2RW(clean_batch=8), step_of(run)
    for scale in (1.0, 100.0):  # a batch counts the same whatever the size of its gradients
        monkeypatch.setattr(L2RW, "_scores", lambda *_, scale=scale: scale * torch.tensor([3.0] * 8 + [-1.0] * 8))
        method.weight(step)
    assert method.suspicion(run).tolist() == pytest.approx([-1.5] * 8 + [0.5] * 8)


@pytest.mark.parametrize("score", ["exact", "finite_difference"])
def test_training_beats_the_noise(
    make_run: Callable[..., Any], fit: Callable[..., float], toys: Callable[..., Any], score: str
) -> None:
    toy = toys(rate=0.4)
    method = L2RW(score=score)
    run = make_run([method], data=toy, epochs=10)
    assert fit(run, toy) > 0.9
    called = method.suspicion(run) > 0
    assert (called == toy.wrong).float().mean() > 0.8
    assert math.isfinite(float(method.suspicion(run).sum()))
