"""Values for our methods with which two epochs of three batches reach all of their code."""

from typing import Any

import thresher as th
from thresher.engine.method import Method

SETTINGS: dict[str, dict[str, Any]] = {
    "aum": {"percentile": 50.0},
    "dividemix": {"warm_up": 1, "ramp": 1.0},
    "co_teaching": {"ramp": 1.0},
    "small_loss": {"ramp": 1.0},
    "forward_correction": {"rounds": 2},
    "backward_correction": {"rounds": 2},
    "truncated_gce": {"start": 1, "every": 1, "k": 0.3},
    "sop": {"activation": 2.0, "balance": 0.1},
}


def vetted(name: str) -> Method:
    return th.method(name, **SETTINGS.get(name, {}))
