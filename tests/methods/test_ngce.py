"""NGCE: the quotient, its limits at both ends of q, and its tolerance of noise."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.methods import losses
from torch import Tensor

import thresher as th
from thresher.errors import UsageError
from thresher.methods.nce import NCE
from thresher.methods.ngce import NGCE
from thresher.methods.nmae import NMAE


def formula(q: float) -> losses.Formula:
    """(1 - p_y^q) / (K - sum_k p_k^q)."""
    return lambda p, y: (1 - p[y] ** q) / (len(p) - (p**q).sum())


def test_golden_values() -> None:
    assert losses.golden(NGCE(q=0.7)) == losses.near([0.150269, 0.511073])


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
def test_equals_the_formula(q: float) -> None:
    losses.check_all(NGCE(q), formula(q))


def test_by_hand() -> None:
    # at q = 1/2: (1 - 0.6) / (2 - 0.6 - 0.8)
    assert losses.by_hand(NGCE(q=0.5), [0.36, 0.64]) == pytest.approx(0.4 / 0.6)
    assert losses.by_hand(NGCE(q=0.5, scale=3.0), [0.36, 0.64]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("preset", "values"),
    [("mnist", (0.1, 10)), ("mnist_asymmetric", (0.1, 1)), ("cifar10", (0.1, 1)), ("cifar100", (0.7, 1))],
)
def test_presets(preset: str, values: tuple[float, float]) -> None:
    assert th.method("ngce", preset=preset) == NGCE(*values)


def test_goes_from_normalised_cross_entropy_to_normalised_mean_absolute_error(
    random_batch: tuple[Tensor, Tensor, Tensor],
) -> None:
    logits, _, soft = random_batch
    torch.testing.assert_close(NGCE(1e-3).loss(logits, soft), NCE().loss(logits, soft), rtol=0, atol=3e-3)
    torch.testing.assert_close(NGCE(1.0).loss(logits, soft), NMAE().loss(logits, soft))


@pytest.mark.parametrize(("q", "bounded"), [(0.1, False), (0.7, False), (1.0, True)])
def test_tolerates_noise(q: float, bounded: bool) -> None:
    losses.check_tolerant(NGCE(q, scale=2.0), 2.0, bounded)


@pytest.mark.parametrize("q", [0.0, 1.5])
def test_a_power_outside_its_range_is_refused(q: float) -> None:
    with pytest.raises(UsageError, match=r"^ngce.q is .*: it must be a number from 0.001 to 1$"):
        th.as_loss(NGCE(q), 10, 3)


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("ngce", epochs=15)) > 0.9
