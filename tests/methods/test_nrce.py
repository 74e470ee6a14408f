"""NRCE: the quotient with the right factor, from which the constant A cancels, and its tolerance of noise."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.methods import losses
from torch import Tensor

import thresher as th
from thresher.errors import UsageError
from thresher.methods.nmae import NMAE
from thresher.methods.nrce import NRCE
from thresher.methods.rce import RCE


def formula(log_zero: float) -> losses.Formula:
    """One reverse cross-entropy over the sum of those of all classes."""

    def reverse(p: Tensor, y: int) -> Tensor:
        logs = torch.full_like(p, log_zero)
        logs[y] = 0
        return -(p * logs).sum()

    return lambda p, y: reverse(p, y) / torch.stack([reverse(p, k) for k in range(len(p))]).sum()


def test_golden_values() -> None:
    assert losses.golden(NRCE()) == losses.near([0.340999 / 2, 0.983355 / 2])


@pytest.mark.parametrize("log_zero", [math.log(1e-4), -4.0])
def test_equals_the_formula_whatever_the_constant(log_zero: float) -> None:
    losses.check_formula(NRCE(), formula(log_zero))


def test_the_rest() -> None:
    losses.check_all(NRCE(scale=4.0), lambda p, y: 4 * formula(-4.0)(p, y))


def test_by_hand() -> None:
    assert losses.by_hand(NRCE(), [0.1, 0.2, 0.3, 0.4]) == pytest.approx(0.3)


def test_is_normalised_mean_absolute_error(random_batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, soft = random_batch
    torch.testing.assert_close(NRCE(3.0).loss(logits, soft), NMAE(3.0).loss(logits, soft), rtol=0, atol=0)


def test_the_authors_code_is_far_more_of_it_and_is_an_rce() -> None:
    p = [0.1] * 10
    code = 1 / 4 * (10 - 1) * -math.log(1e-4) * (1 - p[0])
    assert code / losses.by_hand(NRCE(), p) == pytest.approx(186.5, abs=0.05)
    assert losses.by_hand(RCE(log_zero=math.log(1e-4) * 9 / 4), p) == pytest.approx(code)


@pytest.mark.parametrize("scale", [1.0, 36.0])
def test_tolerates_noise(scale: float) -> None:
    losses.check_tolerant(NRCE(scale), scale, bounded=True)


def test_a_scale_that_is_not_positive_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^nrce.scale is 0: it must be a number from 1e-06 to inf$"):
        th.as_loss(NRCE(scale=0), 10, 3)


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("nrce", epochs=15)) > 0.9
