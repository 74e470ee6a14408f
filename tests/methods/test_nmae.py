"""NMAE: the quotient with the right factor, and its tolerance of noise."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.methods import losses
from torch import Tensor

import thresher as th
from thresher.errors import UsageError
from thresher.methods.nmae import NMAE


def formula(p: Tensor, y: int) -> Tensor:
    """One distance over the sum of those of all classes; the factor 2 of each cancels."""
    return 2 * (1 - p[y]) / sum(2 * (1 - p[k]) for k in range(len(p)))


def test_golden_values() -> None:
    assert losses.golden(NMAE()) == losses.near([0.340999 / 2, 0.983355 / 2])


def test_equals_the_formula() -> None:
    losses.check_all(NMAE(scale=4.0), lambda p, y: 4 * formula(p, y))


def test_by_hand() -> None:
    assert losses.by_hand(NMAE(), [0.1, 0.2, 0.3, 0.4]) == pytest.approx(0.3)


def test_the_authors_code_is_half_of_it() -> None:
    p = [0.1, 0.2, 0.3, 0.4]
    assert losses.by_hand(NMAE(scale=0.5), p) == pytest.approx((1 - p[0]) / (2 * (len(p) - 1)))


@pytest.mark.parametrize("scale", [1.0, 9.0])
def test_tolerates_noise(scale: float) -> None:
    losses.check_tolerant(NMAE(scale), scale, bounded=True)


def test_a_scale_that_is_not_positive_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^nmae.scale is 0: it must be a number from 1e-06 to inf$"):
        th.as_loss(NMAE(scale=0), 10, 3)


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("nmae", epochs=15)) > 0.9
