"""What the studies of symmetric cross-entropy share: data, settings, hard classes, and how sure a difference is."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

import thresher as th
from thresher.data import Data
from thresher.data.samples import Samples
from thresher.data.split import split
from thresher.engine.method import Method
from thresher.studies.lab import Lab, Trained

A = -6.0
"""The constant of the source's analysis."""

HARD = 3
"""Classes that count as hard: those that clean training is slowest and worst on."""


def sce(alpha: float = 0.1, constant: float = A) -> Method:
    """Symmetric cross-entropy with the settings of the source's analysis, unless said otherwise."""
    return th.method("sce", alpha=alpha, beta=1.0, log_zero=constant)


def data(lab: Lab) -> Data:
    """CIFAR-10, or the digits, half of them for testing: 90 test images of every class in place of 36."""
    chosen = lab.data(quick="digits", full="cifar10")
    return chosen if lab.full else halved(chosen)


def halved(data: Data) -> Data:
    """Training and test rows put together and divided anew into halves, stratified and always the same.

    Example:
        >>> from thresher.data import load
        >>> half = halved(load("digits"))
        >>> len(half.train), len(half.test)
        (898, 899)
    """
    if data.test is None:
        return data
    one, two = data.train, data.test
    both = Samples(
        torch.cat([one.dense(), two.dense()]),
        torch.cat([one.labels, two.labels]),
        np.concatenate([one.keys, two.keys]),
    )
    train, test = split(both.labels.numpy(), 0.5, seed=0)
    return dataclasses.replace(
        data, name=f"{data.name}-halved", train=both.take(train), test=both.take(test), reader=None
    )


def settings(lab: Lab, quick_epochs: int, **more: Any) -> dict[str, Any]:
    """The source's settings; on digits a smaller network and smaller batches, the schedule scaled to the length.

    Args:
        lab: which form is done.
        quick_epochs: of the quick form; the full one trains 120.
        more: further options.
    """
    epochs = lab.length(quick_epochs, 120)
    return {
        "net": lab.choose(quick="small_cnn", full="cnn8"),
        "augment": lab.full,
        "epochs": epochs,
        "batch": lab.choose(quick=32, full=128),
        "valid": 0.0,
        "monitor": False,
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"name": "multistep", "milestones": (max(1, epochs // 3), max(1, 2 * epochs // 3))},
        **more,
    }


def described(data: Data, settings: Mapping[str, Any], *, noise: str, **more: str) -> dict[str, str]:
    """The settings in words, for the page."""
    rate = settings["optimizer"]
    first, second = settings["schedule"]["milestones"]
    return {
        "data": f"{data.name}, {len(data.train):,} training images, {len(data.test or ()):,} test images",
        "noise": f"symmetric, exact counts, true class left out, training labels only: {noise}",
        "network": f"{settings['net']} of thresher.nets",
        "training": f"{settings['epochs']} epochs, batch {settings['batch']}, "
        + ("shifts and mirrors" if settings["augment"] else "no augmentation")
        + ", all rows trained on",
        "optimiser": f"SGD at {rate['lr']:g}, a tenth of it after epochs {first} and {second}, momentum "
        f"{rate['momentum']:g}, L2 {rate['weight_decay']:g}",
        "SCE": f"alpha 0.1, beta 1, A = {A:g} (settings of the source's analysis), unless said otherwise",
        **more,
    }


def accuracies(trained: Trained) -> np.ndarray:
    """Test accuracy per epoch and class, float ``[epochs, K]``, of a training with the probe `per_class`."""
    return np.array(trained.history["per_class"].tolist(), dtype=float)


def by_hardness(clean: np.ndarray) -> list[int]:
    """The classes, hardest first: by mean test accuracy over all epochs of clean cross-entropy, ``[epochs, K]``.

    The mean over epochs also counts how late a class is learned, where all classes end alike.

    Example:
        >>> by_hardness(np.array([[0.5, 0.2, 0.9], [0.9, 0.9, 0.9]]))
        [1, 0, 2]
    """
    return [int(k) for k in np.argsort(clean.mean(0), kind="stable")]


def points(difference: float) -> str:
    """A difference of fractions in points, with its sign.

    Example:
        >>> points(0.144), points(-0.02)
        ('+14.4 points', '-2.0 points')
    """
    return f"{100 * difference:+.1f} points"


def error(*shares: float, rows: int) -> float:
    """The standard error of a sum or difference of shares, each of so many independent rows.

    Example:
        >>> round(error(0.5, 0.5, rows=100), 4)
        0.0707
    """
    return float(np.sqrt(sum(max(p * (1 - p), 0.25 / rows) for p in shares) / rows))


def rows_of_class(data: Data) -> int:
    """Test rows of the rarest class."""
    return 0 if data.test is None else int(data.test.labels.bincount(minlength=len(data.classes)).min())


def long(values: np.ndarray, names: tuple[str, ...], value: str, **fixed: str | float) -> pd.DataFrame:
    """An array as a table with one row per value.

    Args:
        values: of any shape.
        names: of the axes; epochs count from 1, all others from 0.
        value: name of the last column.
        fixed: columns in front that hold one value.

    Example:
        >>> long(np.array([[0.5, 1.0]]), ("epoch", "class"), "accuracy", method="CE").to_dict("list")
        {'method': ['CE', 'CE'], 'epoch': [1, 1], 'class': [0, 1], 'accuracy': [0.5, 1.0]}
    """
    places = np.indices(values.shape)
    columns = {name: places[k].ravel() + (name == "epoch") for k, name in enumerate(names)}
    table = pd.DataFrame({**columns, value: values.ravel()})
    for position, (name, content) in enumerate(fixed.items()):
        table.insert(position, name, content)
    return table
