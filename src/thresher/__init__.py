"""Thresher trains accurate models from wrongly labelled data, and says which labels are wrong.

Everything public is imported on first use: torch takes seconds, and `thresher --help` should not.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thresher import noise, testing
    from thresher.api import find_issues, fit
    from thresher.audit.labels import (
        compute_confident_joint,
        estimate_joint,
        find_label_issues,
        get_label_quality_scores,
        num_label_issues,
        order_label_issues,
    )
    from thresher.engine.drop_in import as_loss, as_optimizer
    from thresher.errors import ThresherError, UsageError
    from thresher.methods import method
    from thresher.result import Result, load

__all__ = [
    "Result",
    "ThresherError",
    "UsageError",
    "as_loss",
    "as_optimizer",
    "compute_confident_joint",
    "estimate_joint",
    "find_issues",
    "find_label_issues",
    "fit",
    "get_label_quality_scores",
    "load",
    "method",
    "noise",
    "num_label_issues",
    "order_label_issues",
    "testing",
]

_HOME = {
    "Result": "thresher.result",
    "ThresherError": "thresher.errors",
    "UsageError": "thresher.errors",
    "as_loss": "thresher.engine.drop_in",
    "as_optimizer": "thresher.engine.drop_in",
    "find_issues": "thresher.api",
    "fit": "thresher.api",
    "load": "thresher.result",
    "method": "thresher.methods",
    **dict.fromkeys(
        (
            "compute_confident_joint",
            "estimate_joint",
            "find_label_issues",
            "get_label_quality_scores",
            "num_label_issues",
            "order_label_issues",
        ),
        "thresher.audit.labels",
    ),
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"thresher.{name}")
    raise AttributeError(f"module 'thresher' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
