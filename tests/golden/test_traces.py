"""Golden traces: what each method does on a small set, so that a refactor cannot move it unseen.

After a change that is meant to move them: ``python tests/golden/test_traces.py`` writes them anew.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from thresher import methods
from thresher.data.resident import Resident
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Held
from thresher.engine.options import resolve
from thresher.engine.study import Material, Study
from thresher.nets import build

_TRACES = Path(__file__).with_name("traces.json")
_SETTINGS: dict[str, dict[str, Any]] = {
    "dividemix": {"warm_up": 1},
    "sop": {"activation": 2.0},
    "truncated_gce": {"start": 2, "every": 1, "k": 0.2},
}
_CLASSES, _ROWS = 4, 96


def material() -> Material:
    """Four noisy clusters in eight dimensions, a quarter of the labels wrong; equal on every machine."""
    source = torch.Generator().manual_seed(7)
    clean = torch.arange(_ROWS) % _CLASSES
    x = torch.randn(_ROWS, 8, generator=source) + 2.0 * torch.nn.functional.one_hot(clean, 8)
    labels = torch.where(torch.arange(_ROWS) % 4 == 3, (clean + 1) % _CLASSES, clean)
    data = Resident(x, device=torch.device("cpu"))
    rows = torch.arange(_ROWS)
    return Material(
        source=data,
        rows=rows[:72],
        labels=labels[:72],
        classes=_CLASSES,
        factory=lambda outputs: build("mlp", (8,), outputs),
        valid=Held(data, rows[72:84], labels[72:84]),
        trusted=(rows[84:], clean[84:]),
    )


def trace(name: str) -> list[float]:
    """The mean training loss of each of four epochs, over all fits in order."""
    losses: list[float] = []
    Study(
        Combination([methods.method(name, **_SETTINGS.get(name, {}))]),
        resolve({"net": "mlp", "epochs": 4, "batch": 24}),
        material(),
        report=lambda fit, record: losses.append(record["loss"]),
    ).run()
    return losses


@pytest.mark.filterwarnings("ignore:sop's variables never woke")
@pytest.mark.parametrize("name", methods.names())
def test_trace(name: str) -> None:
    expected = json.loads(_TRACES.read_text())
    if name not in expected:
        pytest.skip("a new method has no trace yet: python tests/golden/test_traces.py writes it")
    assert trace(name) == pytest.approx(expected[name], rel=1e-3, abs=1e-4)


if __name__ == "__main__":
    _TRACES.write_text(json.dumps({name: trace(name) for name in methods.names()}, indent=1) + "\n")
