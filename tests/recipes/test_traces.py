"""Golden traces: what each recipe's method, optimiser and schedule do on a small set, in four epochs.

After a change that is meant to move them: ``python -m tests.recipes.test_traces`` writes them anew.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.golden.test_traces import material

from thresher import methods, recipes
from thresher.engine.combine import Combination
from thresher.engine.options import resolve
from thresher.engine.study import Study

_TRACES = Path(__file__).with_name("traces.json")
_EPOCHS = 4


def shortened(group: dict[str, Any], factor: float) -> dict[str, Any]:
    """A group of settings with every number of epochs in proportion."""
    result = dict(group)
    for key in result.keys() & {"period", "warm_up", "ramp", "every"}:
        result[key] = max(1, round(factor * result[key]))
    if "start" in result:
        result["start"] = max(2, math.ceil(factor * result["start"]))
        result["k"] = 0.2  # after an epoch on four classes nothing is as sure as a half
    if "milestones" in result:
        result["milestones"] = [round(factor * milestone) for milestone in result["milestones"]]
    return result


def trace(name: str) -> list[float]:
    """The mean training loss of each epoch, over all fits in order."""
    recipe = recipes.read(name)
    factor = _EPOCHS / recipe["epochs"]
    settings = shortened(recipe.get(recipe["method"], {}), factor)
    schedule = shortened(recipe["schedule"], factor)
    options = {"net": "mlp", "epochs": _EPOCHS, "batch": 24, "optimizer": recipe["optimizer"], "schedule": schedule}
    losses: list[float] = []
    Study(
        Combination([methods.method(recipe["method"], **settings)]),
        resolve(options),
        material(),
        report=lambda fit, record: losses.append(record["loss"]),
    ).run()
    return losses


@pytest.mark.filterwarnings("ignore:sop's variables never woke")
@pytest.mark.parametrize("name", recipes.names())
def test_trace(name: str) -> None:
    expected = json.loads(_TRACES.read_text(encoding="utf-8"))
    if name not in expected:
        pytest.skip("a new recipe has no trace yet: python -m tests.recipes.test_traces writes it")
    assert trace(name) == pytest.approx(expected[name], rel=1e-3, abs=1e-4)


def test_no_trace_is_left_of_a_recipe_that_is_gone() -> None:
    assert set(json.loads(_TRACES.read_text(encoding="utf-8"))) <= set(recipes.names())


if __name__ == "__main__":
    _TRACES.write_text(json.dumps({name: trace(name) for name in recipes.names()}, indent=1) + "\n", encoding="utf-8")
