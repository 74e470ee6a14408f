"""RCE: the sum over classes with log 0 replaced, the constant A, and the identities under symmetric noise."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.methods import losses
from torch import Tensor

import thresher as th
from thresher.errors import UsageError
from thresher.methods.focal import Focal
from thresher.methods.mae import MAE
from thresher.methods.rce import RCE


def formula(log_zero: float) -> losses.Formula:
    """-sum_k p_k log e_k."""

    def reverse(p: Tensor, y: int) -> Tensor:
        logs = torch.full_like(p, log_zero)
        logs[y] = math.log(1)
        return -(p * logs).sum()

    return reverse


# The reference gives A = -6 as 1.5 times its rounded values for -4, which is 3e-6 off; here it is 1.5 times the exact.
@pytest.mark.parametrize(
    ("preset", "values"),
    [("code", [3.140716, 9.057039]), ("benchmark", [1.363995, 3.933422]), ("analysis", [2.045993, 5.900133])],
)
def test_golden_values(preset: str, values: list[float]) -> None:
    assert losses.golden(th.method("rce", preset=preset)) == losses.near(values)


@pytest.mark.parametrize("log_zero", [math.log(1e-4), -6.0])
def test_equals_the_papers_sum(log_zero: float) -> None:
    losses.check_all(RCE(log_zero), formula(log_zero))


def test_by_hand() -> None:
    assert losses.by_hand(RCE(-4.0), [0.25, 0.75]) == pytest.approx(3.0)


def test_the_default_is_the_authors_code() -> None:
    assert RCE() == th.method("rce", preset="code") == th.method("rce", A=math.log(1e-4))


def test_is_the_papers_mae_at_minus_two(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, soft = random_batch
    torch.testing.assert_close(RCE(-2.0).loss(logits, soft), MAE(scale=2.0).loss(logits, soft), rtol=0, atol=0)


@pytest.mark.parametrize("log_zero", [math.log(1e-4), -4.0])
def test_tolerates_noise(log_zero: float) -> None:
    losses.check_tolerant(RCE(log_zero), -9 * log_zero, bounded=True)


def test_noise_adds_minus_a_times_the_rate_whatever_the_network() -> None:
    assert losses.offsets(RCE(-6.0), 0.4) == pytest.approx((6 * 0.4, 6 * 0.4), abs=0.03)


def test_to_cross_entropy_it_adds_more_the_more_certain_the_network() -> None:
    even, certain = losses.offsets(Focal(gamma=0.0), 0.4)
    assert certain > even + 0.3


@pytest.mark.parametrize("log_zero", [0.0, 1.0])
def test_a_constant_that_is_not_negative_is_refused(log_zero: float) -> None:
    with pytest.raises(UsageError, match=r"^rce.log_zero is .*: it must be a number from -inf to -1e-06$"):
        th.as_loss(RCE(log_zero), 10, 3)


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("rce", epochs=15)) > 0.9
