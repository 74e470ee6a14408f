"""APL: every pair against both formulas, the published weights, and tolerance of noise."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from tests.methods import losses
from torch import Tensor

import thresher as th
from thresher.errors import UsageError
from thresher.methods.apl import APL

PAIRS = list(product(("nce", "nfl", "ngce"), ("mae", "rce")))
PASSIVE: dict[str, Callable[[Tensor], Tensor]] = {
    "mae": lambda p: 1 - p,
    "rce": lambda p: math.log(1e4) * (1 - p),
}


def active(name: str, p: Tensor, y: int) -> Tensor:
    """The normalised losses, with the powers 0.5 of nfl and 0.3 of ngce."""
    if name == "ngce":
        return (1 - p[y] ** 0.3) / (1 - p**0.3).sum()
    weights = (1 - p.detach()) ** (0.5 if name == "nfl" else 0)
    return weights[y] * p[y].log() / (weights * p.log()).sum()


def test_golden_values() -> None:
    assert losses.golden(APL()) == losses.near([3.241178, 9.660495])
    assert losses.golden(APL(passive="mae")) == losses.near([0.100463 + 0.340999, 0.603457 + 0.983355])
    assert losses.golden(APL("nfl", "mae", gamma=0.5)) == losses.near([0.066234 + 0.340999, 0.616554 + 0.983355])
    assert losses.golden(APL("ngce", "rce", q=0.7)) == losses.near([0.150269 + 3.140716, 0.511073 + 9.057039])


@pytest.mark.parametrize("pair", PAIRS)
def test_equals_both_formulas(pair: tuple[str, str]) -> None:
    method = APL(*pair, alpha=10.0, beta=0.1, q=0.3)
    losses.check_all(method, lambda p, y: 10 * active(pair[0], p, y) + 0.1 * PASSIVE[pair[1]](p[y]))


def test_by_hand() -> None:
    assert losses.by_hand(APL("nce", "rce", alpha=2.0, beta=3.0, log_zero=-4.0), [0.5, 0.5]) == pytest.approx(1 + 6)


@pytest.mark.parametrize(
    ("preset", "fields", "weights"),
    [
        ("mnist", {}, (1, 10)),
        ("mnist", {"passive": "mae"}, (1, 10)),
        ("cifar10", {"active": "nfl"}, (1, 1)),
        ("cifar10", {"active": "ngce", "passive": "mae"}, (1, 1)),
        ("cifar100", {}, (10, 0.1)),
        ("cifar100", {"active": "nfl"}, (10, 0.1)),
        ("cifar100_mae", {}, (10, 1)),
        ("webvision", {}, (50, 0.1)),
        ("webvision_mae", {"active": "nfl"}, (50, 1)),
    ],
)
def test_published_weights(preset: str, fields: dict[str, str], weights: tuple[float, float]) -> None:
    method = th.method("apl", preset=preset, **fields)
    assert (method.alpha, method.beta) == weights
    assert method.passive == ("mae" if "mae" in preset else fields.get("passive", "rce"))


@pytest.mark.parametrize(("preset", "q"), [("mnist", 0.1), ("cifar10", 0.1), ("cifar100", 0.7), ("cifar100_mae", 0.7)])
def test_published_power_of_ngce(preset: str, q: float) -> None:
    assert th.method("apl", preset=preset, active="ngce").q == q


def test_defaults_are_those_of_cifar10() -> None:
    assert APL() == th.method("apl", preset="cifar10")


@pytest.mark.parametrize("pair", PAIRS)
def test_tolerates_symmetric_noise(pair: tuple[str, str]) -> None:
    top = {"mae": 1.0, "rce": math.log(1e4)}[pair[1]]
    losses.check_tolerant(APL(*pair, alpha=10.0, beta=0.1), 10.0 + 0.1 * 9 * top, bounded=False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"alpha": 0}, "apl.alpha is 0: it must be a number from 1e-06 to inf"),
        ({"alpha": -1.0}, "apl.alpha is -1.0: it must be a number from 1e-06 to inf"),
        ({"beta": -1.0}, "apl.beta is -1.0: it must be a number from 0 to inf"),
        ({"active": "ce"}, "apl.active is 'ce': choose one of nce, nfl, ngce"),
        ({"passive": "nce"}, "apl.passive is 'nce': choose one of mae, rce"),
    ],
)
def test_bad_values_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}$"):
        th.as_loss(th.method("apl", **fields), 10, 3)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^apl has no preset 'cifar100_rce': did you mean cifar100"):
        th.method("apl", preset="cifar100_rce")


def test_training_beats_the_noise(make_run: Callable[..., Any], fit: Callable[..., float]) -> None:
    assert fit(make_run("apl", epochs=15)) > 0.9
