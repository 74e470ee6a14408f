"""What the studies around CDR share: MNIST, LeNet, 100 epochs of SGD at a constant rate; and digits in their place."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from thresher import methods as zoo
from thresher.data import Data
from thresher.engine.method import Method
from thresher.studies.lab import Lab, Trained

SIDE = 28
NET = (
    "lenet of thresher.nets: convolutions 5x5 to 6 (padding 2) and to 16 channels, then layers of 120 and 84; "
    "inputs per unit of its layers (fan-in): 25, 150, 400, 120, 84"
)


def data(lab: Lab) -> Data:
    """MNIST, or digits enlarged to its size."""
    return lab.data(quick="digits", full="mnist", side=SIDE)


def noise(rate: float) -> str | None:
    """Symmetric noise with exact counts, the true class left out."""
    return f"symmetric:{rate:g}" if rate else None


def settings(lab: Lab, *, valid: float, quick_epochs: int, decay: float | None = None, **more: Any) -> dict[str, Any]:
    """The common settings; digits take smaller batches and a larger rate, for they are few.

    Args:
        lab: which form is done.
        valid: share of the rows held out with their noisy labels.
        quick_epochs: of the quick form; the full one trains 100.
        decay: L2; None for the common one.
        more: further options.
    """
    rate, usual, batch = lab.choose(quick=(0.02, 1e-3, 32), full=(0.01, 1e-3, 128))
    return {
        "net": "lenet",
        "augment": False,
        "epochs": lab.length(quick_epochs, 100),
        "batch": batch,
        "valid": valid,
        "monitor": True,
        "optimizer": {"name": "sgd", "lr": rate, "momentum": 0.9, "weight_decay": usual if decay is None else decay},
        "schedule": {"name": "constant"},
        **more,
    }


def described(lab: Lab, data: Data, settings: Mapping[str, Any], *, noise: str, **more: str) -> dict[str, str]:
    """The settings in words, for the page."""
    rate = settings["optimizer"]
    return {
        "data": f"{data.name}, {len(data.train):,} training images, {len(data.test or ()):,} test images",
        "noise": f"symmetric, exact counts, true class left out, training labels only: {noise}",
        "network": NET,
        "training": f"{settings['epochs']} epochs, batch {settings['batch']}, no augmentation",
        "optimiser": f"SGD at {rate['lr']:g} constant, momentum {rate['momentum']:g}, L2 {rate['weight_decay']:g}",
        "held out": f"{settings['valid']:.0%} of the noisy rows, which choose the early-stopped epoch"
        if settings["valid"]
        else "none: all rows are trained on",
        **more,
    }


def histories(trained: Mapping[str, Trained]) -> pd.DataFrame:
    """All records of all trainings, one row per epoch, with the training's name in front and without its timing."""
    parts = [run.history.drop(columns="seconds").assign(training=name) for name, run in trained.items()]
    table = pd.concat(parts, ignore_index=True)
    return table[["training", *(column for column in table.columns if column != "training")]]


def cdr(tau: float, **fields: Any) -> Method:
    """CDR with one threshold per tensor, as these experiments had it; plain cross-entropy at tau 0."""
    return zoo.method("cdr", noise_rate=tau, **{"mode": "per_tensor", **fields})
