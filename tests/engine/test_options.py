import math

import pytest

from thresher.engine.options import Optimizer, Options, Schedule, resolve
from thresher.errors import UsageError


@pytest.mark.parametrize(
    ("schedule", "when", "factor"),
    [
        (Schedule("constant"), 7.3, 1.0),
        (Schedule("multistep", (2, 4), 0.1), 1.99, 1.0),
        (Schedule("multistep", (2, 4), 0.1), 2.0, 0.1),
        (Schedule("multistep", (2, 4), 0.1), 9.0, 0.01),
        (Schedule("cosine"), 0.0, 1.0),
        (Schedule("cosine"), 10.0, 0.0),
        (Schedule("cosine", floor=0.2), 10.0, 0.2),
        (Schedule("restarts", period=4), 4.0, 1.0),
        (Schedule("restarts", period=4), 6.0, 0.5),
        (Schedule("onecycle", warmup=0.5), 2.5, 0.5),
        (Schedule("onecycle", warmup=0.5), 5.0, 1.0),
        (Schedule("onecycle", warmup=0.5), 10.0, 0.0),
    ],
)
def test_schedules(schedule: Schedule, when: float, factor: float) -> None:
    assert math.isclose(schedule.factor(when, 10), factor, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch": -1}, "batch is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"valid": 1.0}, "valid is 1.0"),
        ({"optimizer": {"lr": 0.0}}, "optimizer.lr is 0.0"),
        ({"optimizer": {"name": "sdg"}}, "choose one of sgd"),
        ({"schedule": {"name": "linear"}}, "choose one of constant"),
        ({"precision": "fp16"}, "not offered"),
        ({"epoch": 3}, "did you mean epochs"),
        ({"optimizer": {"momentom": 0.5}}, "did you mean momentum"),
        ({"epochs": "ten"}, "must be of type int"),
        ({"epochs": True}, "must be of type int"),
        ({"optimizer": "sgd"}, "a group of settings"),
        ({"stop": "soon"}, "choose one of never"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(settings)


def test_settings_lie_over_a_base() -> None:
    base = resolve({"epochs": 5, "optimizer": {"lr": 1}})
    assert base == Options(epochs=5, optimizer=Optimizer(lr=1.0))
    assert resolve({"optimizer": {"momentum": 0}}, base).optimizer == Optimizer(lr=1.0, momentum=0.0)
