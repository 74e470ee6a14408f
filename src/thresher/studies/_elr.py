"""What the studies of early-learning regularisation share: settings, and words for them."""

from collections.abc import Mapping
from typing import Any

import thresher as th
from thresher.data import Data
from thresher.engine.method import Method
from thresher.studies.lab import Lab

METHODS = ("CE", "ELR")


def methods() -> dict[str, Method]:
    """Cross-entropy, and early-learning regularisation with the values for symmetric noise on CIFAR-10."""
    return {"CE": th.method("cross_entropy"), "ELR": th.method("elr", strength=3.0, momentum=0.7)}


def settings(lab: Lab, *, batch: int, **more: Any) -> dict[str, Any]:
    """The source's settings for CIFAR-10, in both forms; the quick one takes a small network and its own batch.

    Args:
        lab: which form is done.
        batch: of the quick form; the full one takes 128.
        more: further options.
    """
    epochs = lab.length(120, 120)
    return {
        "net": lab.choose(quick="small_cnn", full="resnet34"),
        "augment": False,
        "epochs": epochs,
        "batch": lab.choose(quick=batch, full=128),
        "valid": 0.1,
        "monitor": True,
        "optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 1e-3},
        "schedule": {"name": "multistep", "milestones": (max(1, epochs // 3), max(1, 2 * epochs // 3)), "gamma": 0.01},
        **more,
    }


def described(data: Data, settings: Mapping[str, Any], *, noise: str) -> dict[str, str]:
    """The settings in words, for the page."""
    rate = settings["optimizer"]
    first, second = settings["schedule"]["milestones"]
    return {
        "data": f"{data.name}, {len(data.train):,} training images, {len(data.test or ()):,} test images",
        "noise": noise,
        "network": f"{settings['net']} of thresher.nets",
        "training": f"{settings['epochs']} epochs, batch {settings['batch']}, no augmentation, {settings['valid']:.0%} "
        "of the noisy rows held out",
        "optimiser": f"SGD at {rate['lr']:g}, a hundredth of it after epochs {first} and {second} each, momentum "
        f"{rate['momentum']:g}, L2 {rate['weight_decay']:g}",
        "ELR": "lambda 3, beta 0.7 (the source's for symmetric noise on CIFAR-10)",
    }
