"""Backward correction: golden values, plain loops, unbiasedness under drawn noise, and matrices without an inverse."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import thresher as th
from thresher.engine.combine import Combination, cross_entropy
from thresher.engine.options import Options, resolve
from thresher.engine.study import Study
from thresher.errors import ThresherError, UsageError
from thresher.methods.backward_correction import BackwardCorrection, condition

SHIFT = np.roll(np.eye(3), 1, axis=1)
T3 = 0.8 * np.eye(3) + 0.2 * SHIFT


def correction(matrix: Any, **fields: Any) -> BackwardCorrection:
    method: BackwardCorrection = th.method("backward_correction", matrix=matrix, **fields)
    return method


def random_matrix(classes: int, seed: int = 0) -> np.ndarray:
    matrix: np.ndarray = 0.6 * np.eye(classes) + 0.4 * np.random.default_rng(seed).dirichlet(np.ones(classes), classes)
    return matrix


def naive(logits: Tensor, target: Tensor, matrix: np.ndarray, clip: float = 1e-7) -> list[Tensor]:
    inverse = np.linalg.inv(matrix)
    losses = []
    for z, q in zip(logits, target, strict=True):
        p = torch.exp(z) / torch.exp(z).sum()
        total = torch.zeros((), dtype=z.dtype)
        for y in range(len(z)):
            for j in range(len(z)):
                total = total - q[y] * inverse[y, j] * torch.log(torch.clamp(p[j], min=clip))
        losses.append(total)
    return losses


def test_golden_values(golden: tuple[Tensor, Tensor]) -> None:
    assert correction(T3).loss(*golden).tolist() == pytest.approx([0.255492, 5.211059], abs=1e-6)


def test_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])  # p = 1/4, 3/4
    method = correction([[0.75, 0.25], [0.25, 0.75]])  # the inverse is [[1.5, -0.5], [-0.5, 1.5]]
    expected = 1.5 * math.log(4) - 0.5 * math.log(4 / 3)
    assert method.loss(logits, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(expected)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("clip", [0.0, 1e-7, 0.05])
def test_loss_and_gradient_equal_a_loop(random_batch: tuple[Tensor, Tensor, Tensor], soft: bool, clip: float) -> None:
    logits, labels, target = random_batch
    target = target if soft else torch.eye(5, dtype=torch.float64)[labels]
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    matrix = random_matrix(5)
    losses, expected = (
        correction(matrix, clip=clip).loss(mine, target),
        torch.stack(naive(theirs, target, matrix, clip)),
    )
    assert torch.allclose(losses, expected, rtol=1e-10)
    gradients = [torch.autograd.grad(value.sum(), z)[0] for value, z in ((losses, mine), (expected, theirs))]
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-9, atol=1e-12)


def test_linear_in_soft_targets(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, soft = random_batch
    method = correction(random_matrix(5))
    hard = torch.stack([method.loss(logits, torch.eye(5, dtype=torch.float64)[[k] * 16]) for k in range(5)], 1)
    assert torch.allclose(method.loss(logits, soft), (soft * hard).sum(1))


def test_no_noise_is_cross_entropy(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, soft = random_batch
    assert torch.allclose(correction(np.eye(5), clip=0.0).loss(logits, soft), cross_entropy(logits, soft), rtol=1e-12)


@pytest.mark.parametrize("clip", [0.0, 1e-7, 0.3])
def test_its_expectation_over_the_noise_is_the_clean_loss(
    random_batch: tuple[Tensor, Tensor, Tensor], clip: float
) -> None:
    """Theorem 1, exactly: sum_y T[i, y] loss(y) = loss of true class i, whatever the prediction."""
    logits = random_batch[0]
    matrix = random_matrix(5)
    method, log_p = correction(matrix, clip=clip), torch.log_softmax(logits, 1).clamp_min(math.log(clip or 1e-300))
    hard = torch.stack([method.loss(logits, torch.eye(5, dtype=torch.float64)[[k] * 16]) for k in range(5)], 1)
    assert torch.allclose(hard @ torch.from_numpy(matrix).T, -log_p)


def test_it_is_unbiased_on_drawn_noise_and_cross_entropy_is_not() -> None:
    source, matrix = np.random.default_rng(1), random_matrix(4, 5)
    count = 100_000
    clean = source.integers(4, size=count)
    noisy = (source.random(count)[:, None] > matrix[clean].cumsum(1)).sum(1).clip(0, 3)
    logits = torch.from_numpy(source.normal(size=(count, 4)) + 2 * np.eye(4)[clean])
    eye = torch.eye(4, dtype=torch.float64)
    truth = cross_entropy(logits, eye[clean]).mean().item()
    losses = correction(matrix).loss(logits, eye[noisy])
    assert abs(losses.mean().item() - truth) < 4 * losses.std().item() / math.sqrt(count)
    assert abs(cross_entropy(logits, eye[noisy]).mean().item() - truth) > 0.3


def test_it_can_be_negative_and_the_clip_bounds_it() -> None:
    logits = torch.tensor([[0.0, -1000.0]], dtype=torch.float64)
    target = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    matrix = [[0.75, 0.25], [0.25, 0.75]]
    assert correction(matrix, clip=0.0).loss(logits, target).item() == pytest.approx(-500)
    assert correction(matrix).loss(logits, target).item() == pytest.approx(0.5 * math.log(1e-7))


@pytest.mark.parametrize("matrix", [np.eye(3), T3, random_matrix(3)], ids=["none", "zeros", "full"])
@pytest.mark.parametrize("clip", [0.0, 1e-7])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_for_huge_logits(matrix: np.ndarray, clip: float, kind: torch.dtype) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=kind, requires_grad=True)
    criterion = th.as_loss(correction(matrix, clip=clip), num_samples=2, num_classes=3)
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


def symmetric(classes: int, rate: float) -> np.ndarray:
    eye: np.ndarray = np.eye(classes)
    return (1 - rate) * eye + rate * (1 - eye) / (classes - 1)


@pytest.mark.parametrize(("matrix", "number"), [(np.eye(4), 1.0), (symmetric(10, 0.8), 9.0), (symmetric(2, 0.25), 2.0)])
def test_condition_by_hand(matrix: np.ndarray, number: float) -> None:
    assert condition(matrix) == pytest.approx(number)
    assert condition(matrix) == pytest.approx(np.linalg.cond(matrix))


def test_a_singular_matrix_is_refused() -> None:
    sentence = "the transition matrix cannot be inverted, .*: use forward_correction, or another matrix"
    for rows in ([[0.5, 0.5], [0.5, 0.5]], np.full((3, 3), 1 / 3), 0.5 * np.eye(4) + 0.5 * np.roll(np.eye(4), 1, 1)):
        with pytest.raises(UsageError, match=sentence):
            correction(rows)
    singular = ((0.5, 0.5), (0.5, 0.5))  # made without th.method, it is checked on first use
    with pytest.raises(ThresherError, match=sentence):
        BackwardCorrection(singular).loss(torch.zeros(1, 2), torch.eye(2)[:1])


def test_an_ill_conditioned_matrix_is_warned_of_once_where_it_is_given() -> None:
    with pytest.warns(UserWarning, match="ill-conditioned, with a condition number of 50 .above 20.: "):
        method = correction([[0.51, 0.49], [0.49, 0.51]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method.loss(torch.zeros(1, 2), torch.eye(2)[:1])
        correction(symmetric(10, 0.8))


def study_of(material: Any, method: Any, heard: list[str], **settings: Any) -> Study:
    plain = {"batch": 32, "schedule": {"name": "constant"}, "monitor": False, "optimizer": {"lr": 0.02}}
    return Study(Combination([method]), resolve({**plain, **settings}), material, warn=heard.append)


def test_the_matrix_is_estimated(toy: Any, make_material: Callable[..., Any]) -> None:
    heard: list[str] = []
    study = study_of(make_material(toy), BackwardCorrection(rounds=2), heard, epochs=5)
    run = study.run()
    assert set(study.judges) == {"backward_correction-1", "backward_correction-2", None}
    assert run.values["transition"].diagonal().min() > 0.5
    assert heard == []
    assert study.judges[None].history[-1]["test"] > 0.8


def test_an_estimate_without_a_good_inverse_is_told(
    toy: Any, make_material: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    study = study_of(make_material(toy), BackwardCorrection(percentile=100.0), heard, epochs=1)
    weak = torch.full((3, 3), 0.33) + 0.01 * torch.eye(3)
    monkeypatch.setattr(study, "posterior", lambda run: weak[torch.arange(run.size) % 3])
    study.run()
    assert len(heard) == 1
    assert "ill-conditioned" in heard[0]


def test_an_estimate_without_any_inverse_stops(
    toy: Any, make_material: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(make_material(toy), BackwardCorrection(), [], epochs=1)
    monkeypatch.setattr(study, "posterior", lambda run: torch.full((run.size, 3), 1 / 3))
    with pytest.raises(ThresherError, match="cannot be inverted") as caught:
        study.run()
    assert caught.value.exit_code == 1


def test_without_a_matrix_a_foreign_loop_is_told_to_pass_one() -> None:
    with pytest.raises(UsageError, match=r"backward_correction has no matrix, .* pass matrix="):
        th.as_loss(th.method("backward_correction"), num_samples=4, num_classes=3)


def test_a_matrix_for_other_classes_is_refused() -> None:
    for ask in (
        lambda: correction(T3).loss(torch.zeros(1, 4), torch.eye(4)[:1]),
        lambda: correction(T3).check_classes(4),
    ):
        with pytest.raises(UsageError, match="the transition matrix is for 3 classes, and there are 4: give one row"):
            ask()
    correction(T3).check_classes(3)
    BackwardCorrection().check_classes(4)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UsageError, match=r"row 0 of the transition matrix adds up to 0\.9"):
        correction([[0.8, 0.1], [0.2, 0.8]])
    with pytest.raises(UsageError, match=r"backward_correction\.clip is 2"):
        Combination([correction(T3, clip=2.0)])
    with pytest.raises(UsageError, match=r"backward_correction\.percentile is for estimating"):
        correction(T3, percentile=97.0).check(Options())
    correction(T3).check(Options())


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run([correction(symmetric(3, 0.3))], epochs=10, optimizer={"lr": 0.005})) > 0.85
