"""Forward correction: golden values, plain loops, its minimiser under drawn noise, and the estimated matrix."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.audit.anchors import anchor_transition
from thresher.engine.combine import Combination, cross_entropy
from thresher.engine.options import Options, resolve
from thresher.engine.study import Study
from thresher.errors import UsageError
from thresher.methods.forward_correction import ForwardCorrection

SHIFT = np.roll(np.eye(3), 1, axis=1)
T3 = 0.8 * np.eye(3) + 0.2 * SHIFT


def correction(matrix: Any, **fields: Any) -> ForwardCorrection:
    method: ForwardCorrection = th.method("forward_correction", matrix=matrix, **fields)
    return method


def random_matrix(classes: int, seed: int = 0) -> np.ndarray:
    matrix: np.ndarray = 0.6 * np.eye(classes) + 0.4 * np.random.default_rng(seed).dirichlet(np.ones(classes), classes)
    return matrix


def naive(logits: Tensor, target: Tensor, matrix: np.ndarray) -> list[Tensor]:
    losses = []
    for z, q in zip(logits, target, strict=True):
        p = torch.exp(z) / torch.exp(z).sum()
        total = torch.zeros((), dtype=z.dtype)
        for k in range(len(z)):
            total = total - q[k] * torch.log(sum((p[i] * matrix[i, k] for i in range(len(z))), torch.zeros(())))
        losses.append(total)
    return losses


def test_golden_values(golden: tuple[Tensor, Tensor]) -> None:
    assert correction(T3).loss(*golden).tolist() == pytest.approx([0.603464, 3.567203], abs=1e-6)


def test_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])  # p = 1/4, 3/4
    method = correction([[0.9, 0.1], [0.4, 0.6]])  # P(label 0) = 0.225 + 0.3
    assert method.loss(logits, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(-math.log(0.525))


@pytest.mark.parametrize("soft", [False, True])
def test_loss_and_gradient_equal_a_loop(random_batch: tuple[Tensor, Tensor, Tensor], soft: bool) -> None:
    logits, labels, target = random_batch
    target = target if soft else torch.eye(5, dtype=torch.float64)[labels]
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    matrix = random_matrix(5)
    losses, expected = correction(matrix).loss(mine, target), torch.stack(naive(theirs, target, matrix))
    assert torch.allclose(losses, expected, rtol=1e-10)
    gradients = [torch.autograd.grad(value.sum(), z)[0] for value, z in ((losses, mine), (expected, theirs))]
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-9, atol=1e-12)


def test_linear_in_soft_targets(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, soft = random_batch
    method = correction(random_matrix(5))
    hard = torch.stack([method.loss(logits, torch.eye(5, dtype=torch.float64)[[k] * 16]) for k in range(5)], 1)
    assert torch.allclose(method.loss(logits, soft), (soft * hard).sum(1))


def test_no_noise_is_cross_entropy(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, labels, soft = random_batch
    method = correction(np.eye(5))
    for z in (logits, 1e4 * logits.sign()):
        for target in (soft, torch.eye(5, dtype=torch.float64)[labels]):
            assert torch.allclose(method.loss(z, target), cross_entropy(z, target), rtol=1e-12)


@pytest.mark.parametrize("matrix", [np.eye(3), T3, random_matrix(3)], ids=["none", "zeros", "full"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_for_huge_logits(matrix: np.ndarray, kind: torch.dtype) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=kind, requires_grad=True)
    criterion = th.as_loss(correction(matrix), num_samples=2, num_classes=3)
    loss = criterion(logits, torch.tensor([1, 0]), torch.tensor([0, 1]))
    loss.backward()
    assert logits.grad is not None
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_gradients_are_finite_under_bf16_autocast() -> None:
    torch.manual_seed(0)
    net, x = nn.Linear(4, 3), 1e4 * torch.randn(8, 4)
    with torch.autocast("cpu", torch.bfloat16):
        correction(T3).loss(net(x), torch.eye(3)[torch.arange(8) % 3]).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def descend(loss: Callable[[Tensor, Tensor], Tensor], target: Tensor) -> Tensor:
    """The probabilities that minimise the mean loss over label shares ``[1, K]``."""
    logits = torch.zeros_like(target, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        value = loss(logits, target).sum()
        value.backward()
        return value.item()

    optimizer.step(closure)
    return logits.detach().softmax(1)


def test_its_minimiser_under_drawn_noise_is_the_clean_posterior() -> None:
    """Theorem 2: fitted to noisy labels, p is the distribution of the clean ones; cross-entropy's is not."""
    source, matrix = np.random.default_rng(0), random_matrix(4, 5)
    posterior = np.array([0.4, 0.3, 0.2, 0.1])
    clean = source.choice(4, size=200_000, p=posterior)
    noisy = (source.random(len(clean))[:, None] > matrix[clean].cumsum(1)).sum(1).clip(0, 3)
    shares = torch.from_numpy(np.bincount(noisy, minlength=4) / len(noisy))[None]
    found = descend(correction(matrix).loss, shares)
    plain = descend(cross_entropy, shares)
    assert found[0].tolist() == pytest.approx(posterior, abs=0.01)
    assert np.abs(plain[0].numpy() - posterior).max() > 0.03


def pair_noise(toy: Any, rate: float = 0.3) -> Any:
    """The toy with exactly `rate` of each class moved to the next one."""
    given = toy.clean.clone()
    for k in range(toy.classes):
        rows = (toy.clean[: toy.size] == k).nonzero().flatten()
        given[rows[: round(rate * len(rows))]] = (k + 1) % toy.classes
    return replace(toy, given=given)


def study_of(material: Any, *methods: Any, **settings: Any) -> Study:
    plain = {"epochs": 12, "batch": 32, "schedule": {"name": "constant"}, "monitor": False, "optimizer": {"lr": 0.02}}
    return Study(Combination(methods), resolve({**plain, **settings}), material)


def test_the_estimate_is_near_the_matrix_and_stays_in_the_run(toys: Any, make_material: Callable[..., Any]) -> None:
    study = study_of(make_material(pair_noise(toys(size=900))), ForwardCorrection(), epochs=6)
    run = study.run()
    truth = 0.7 * np.eye(3) + 0.3 * SHIFT
    found = run.values["transition"].numpy()
    assert np.abs(found - truth).max() < 0.2
    (method,) = run.method.methods
    assert np.array_equal(np.array(method.matrix), found)
    assert set(study.judges) == {"forward_correction-1", None}


def test_the_estimate_is_made_from_the_posterior_of_cross_entropy(toy: Any, make_material: Callable[..., Any]) -> None:
    study = study_of(make_material(toy), ForwardCorrection(percentile=90.0), epochs=2)
    run = study.run()
    child = study.fit("again", epochs=2)
    assert [type(m) for m in child.method.methods] == []
    expected = anchor_transition(study.posterior(child).double().numpy(), 90.0)
    assert np.array_equal(run.values["transition"].numpy(), expected)


def test_further_rounds_train_with_the_estimate(toy: Any, make_material: Callable[..., Any]) -> None:
    study = study_of(make_material(toy), ForwardCorrection(rounds=3), epochs=2)
    made: dict[str | None, Any] = {}
    fit = study.fit

    def noted(name: str | None, *methods: Any, **rest: Any) -> Any:
        made[name] = fit(name, *methods, **rest)
        return made[name]

    study.fit = noted  # type: ignore[method-assign]
    run = study.run()
    assert list(made) == ["forward_correction-1", "forward_correction-2", "forward_correction-3", None]
    (second,), (third,) = (made[f"forward_correction-{k}"].method.methods for k in (2, 3))
    said = study.posterior(made["forward_correction-2"]).double().numpy()
    assert np.array_equal(np.array(third.matrix), anchor_transition(said @ np.array(second.matrix)))
    said = study.posterior(made["forward_correction-3"]).double().numpy()
    assert np.array_equal(run.values["transition"].numpy(), anchor_transition(said @ np.array(third.matrix)))


def test_other_methods_join_the_last_training_only(toy: Any, make_material: Callable[..., Any]) -> None:
    other = th.method("cdr")
    study = study_of(make_material(toy), other, ForwardCorrection(rounds=2), epochs=1)
    names: list[tuple[str | None, list[str]]] = []
    fit = study.fit

    def noted(name: str | None, *methods: Any, **rest: Any) -> Any:
        names.append((name, [type(m).__name__ for m in methods]))
        return fit(name, *methods, **rest)

    study.fit = noted  # type: ignore[method-assign]
    study.run()
    assert names == [
        ("forward_correction-1", []),
        ("forward_correction-2", ["ForwardCorrection"]),
        (None, ["CDR", "ForwardCorrection"]),
    ]


def test_the_true_matrix_beats_cross_entropy(
    toys: Any, make_run: Callable[..., Any], fit: Callable[..., float]
) -> None:
    data = pair_noise(toys(size=600, spread=2.0), 0.45)
    matrix = 0.55 * np.eye(3) + 0.45 * SHIFT
    plain = fit(make_run([], data=data, epochs=25), data)
    corrected = fit(make_run([correction(matrix)], data=data, epochs=25), data)
    assert corrected > plain + 0.03


def test_slots_depend_on_the_matrix() -> None:
    assert correction(T3).fits is None
    assert callable(ForwardCorrection().fits)
    with pytest.raises(UsageError, match="forward_correction and aum both fill the slot 'fits'"):
        Combination([ForwardCorrection(), th.method("aum")])
    Combination([correction(T3), th.method("aum")])


def test_without_a_matrix_a_foreign_loop_is_told_to_pass_one() -> None:
    with pytest.raises(UsageError, match=r"forward_correction has no matrix, .* pass matrix="):
        th.as_loss(th.method("forward_correction"), num_samples=4, num_classes=3)


def test_a_matrix_for_other_classes_is_refused() -> None:
    for ask in (
        lambda: correction(T3).loss(torch.zeros(1, 4), torch.eye(4)[:1]),
        lambda: correction(T3).check_classes(4),
    ):
        with pytest.raises(UsageError, match="the transition matrix is for 3 classes, and there are 4: give one row"):
            ask()
    correction(T3).check_classes(3)
    ForwardCorrection().check_classes(4)


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(UsageError, match=r"row 0 of the transition matrix adds up to 0\.9"):
        correction([[0.8, 0.1], [0.2, 0.8]])
    with pytest.raises(UsageError, match="adds up to"):  # made without th.method, it is checked on first use
        ForwardCorrection(((0.8, 0.1), (0.2, 0.8))).loss(torch.zeros(1, 2), torch.eye(2)[:1])


def test_idle_settings_are_refused() -> None:
    correction(T3).check(Options())
    ForwardCorrection(rounds=2).check(Options())
    with pytest.raises(UsageError, match=r"forward_correction\.rounds is for estimating"):
        correction(T3, rounds=2).check(Options())


def test_rounding_does_not_move_a_resumed_method() -> None:
    method = correction(random_matrix(10))
    assert correction([list(row) for row in method.matrix]) == method
