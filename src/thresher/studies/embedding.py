"""Embedding: wrong labels blur the hard classes in feature space.

Question: how well are classes apart in the features before the last layer, for cross-entropy and symmetric
cross-entropy on clean and on 40 % wrong labels, and are hard classes hit more?

Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, the t-SNE pictures on
CIFAR-10: an 8-layer network, SGD at 0.01, momentum 0.9, L2 of 1e-4, a tenth of the rate after epochs 40 and 80 of 120,
SCE with alpha 0.1, beta 1 and A = -6.

A picture by t-SNE proves nothing, so each has a number: the silhouette of the test rows in the features themselves,
from -1 (nearer to another class) over 0 (between two) to 1 (far from all others). The quick form trains a small network
on scikit-learn's digits, half of them for testing, for 40 epochs.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from thresher.data import Data
from thresher.report.palette import light, style
from thresher.studies import _classes as common
from thresher.studies._probes import per_class
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_METHODS = ("CE", "SCE")
_NOISE = (0.0, 0.4)
_SHOWN = 1000
_ROLES = ("vermilion", "amber", "purple")

Key = tuple[str, float]


def study(lab: Lab) -> Outcome:
    """Train both losses on clean and on noisy labels, and look at the features of the test rows."""
    data = common.data(lab)
    settings = common.settings(lab, quick_epochs=40)
    runs = _train(lab, data, settings)
    hard = common.by_hardness(common.accuracies(runs["CE", 0.0]))[: common.HARD]
    features = {key: features_of(run) for key, run in runs.items()}
    labels = (data.test or data.train).labels.numpy()
    apart = _apart(features, labels)
    shown = _some(labels, lab.seed)
    places = {key: _tsne(values[shown], lab.seed) for key, values in features.items()}
    return Outcome(
        title="Embedding",
        question="How well are the classes apart in the features before the last layer, and are hard classes hit more "
        "by wrong labels?",
        settings=common.described(
            data,
            settings,
            noise="0 and 40 %",
            features="of the test images, after the last epoch; silhouettes by Euclidean distance",
            pictures=f"t-SNE of scikit-learn, perplexity 30, {len(shown):,} test images",
            **{
                "hard classes": ", ".join(data.classes[k] for k in hard)
                + " (worst on clean labels with CE, over the epochs)"
            },
        ),
        figures=[
            Figure(
                "embedding",
                _drawing(places, labels[shown], hard, list(data.classes), apart),
                "t-SNE of the features of test images. The hard classes are coloured; the number is their mean "
                "silhouette in feature space, in brackets that of the others.",
            )
        ],
        tables={"silhouette": apart, "places": _table(places, labels[shown])},
        claims=_claims(apart, hard),
    )


def _train(lab: Lab, data: Data, settings: dict[str, Any]) -> dict[Key, Trained]:
    methods = {"CE": "cross_entropy", "SCE": common.sce()}
    wanted = {
        (name, rate): Training(
            f"{name.lower()}-{rate:g}",
            methods[name],
            data,
            f"symmetric:{rate:g}" if rate else None,
            (per_class,),
            settings,
        )
        for rate in _NOISE
        for name in _METHODS
    }
    trained = lab.train_all(list(wanted.values()))
    return {key: trained[training.name] for key, training in wanted.items()}


def features_of(run: Trained) -> np.ndarray:
    """Features before the last layer of all test rows, float32 ``[n, F]``, after the last epoch."""
    held = run.test
    feed = held.source.open(held.rows.split(512), ("plain",), 0)
    return torch.cat([run.run.predict(0, *shown.values()).features for shown in feed]).cpu().numpy()


def silhouettes(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean silhouette of every class, float ``[K]``, for features ``[n, F]`` and labels ``[n]``.

    Example:
        >>> features = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> silhouettes(features, np.array([0, 0, 1, 1])).round(2).tolist()
        [0.9, 0.9]
    """
    from sklearn.metrics import silhouette_samples

    each = silhouette_samples(features, labels)
    return np.array([each[labels == k].mean() for k in np.unique(labels)])


def _apart(features: dict[Key, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"method": name, "noise": rate, "class": k, "silhouette": float(value)}
        for (name, rate), values in features.items()
        for k, value in enumerate(silhouettes(values, labels))
    )


def _some(labels: np.ndarray, seed: int) -> np.ndarray:
    """At most so many rows as a picture bears."""
    draws = np.random.Generator(np.random.PCG64(seed))
    return np.sort(draws.permutation(len(labels))[:_SHOWN])


def _tsne(features: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed).fit_transform(features)
    return np.asarray(places, dtype=float)


def _table(places: dict[Key, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"method": name, "noise": rate, "class": labels, "x": xy[:, 0], "y": xy[:, 1]})
        for (name, rate), xy in places.items()
    ]
    return pd.concat(parts, ignore_index=True)


def mean_of(apart: pd.DataFrame, method: str, rate: float, classes: list[int], *, others: bool = False) -> float:
    """The mean silhouette of some classes, or of all others."""
    part = apart[(apart["method"] == method) & (apart["noise"] == rate)]
    inside = part["class"].isin(classes)
    return float(part.loc[~inside if others else inside, "silhouette"].mean())


def _drawing(
    places: dict[Key, np.ndarray], labels: np.ndarray, hard: list[int], classes: list[str], apart: pd.DataFrame
) -> Drawing:
    with style("embedding"):
        figure = Drawing(figsize=(8.4, 8.6), layout="constrained")
        grid = figure.subplots(len(_METHODS), len(_NOISE))
        for i, name in enumerate(_METHODS):
            for j, rate in enumerate(_NOISE):
                inside, outside = (mean_of(apart, name, rate, hard, others=others) for others in (False, True))
                axes = grid[i, j]
                _dots(axes, places[name, rate], labels, hard, classes)
                axes.set_title(f"{name}, {f'{rate:.0%} wrong' if rate else 'clean'}: {inside:.2f} ({outside:.2f})")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(
            handles,
            names,
            loc="outside upper left",
            ncols=4,
            frameon=False,
            fontsize=9.5,
            handletextpad=0.3,
            markerscale=2,
        )
        return figure


def _dots(axes: Axes, xy: np.ndarray, labels: np.ndarray, hard: list[int], classes: list[str]) -> None:
    rest = ~np.isin(labels, hard)
    for k, role in zip(hard, _ROLES, strict=False):
        mine = labels == k
        axes.plot(*xy[mine].T, "o", color=light(role), markersize=3, alpha=0.85, label=f"class {classes[k]}")
    axes.plot(*xy[rest].T, "o", color=light("muted"), markersize=3, alpha=0.3, label="the others", zorder=1)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)


def _claims(apart: pd.DataFrame, hard: list[int]) -> list[Claim]:
    clean, noisy, robust = (mean_of(apart, name, rate, hard) for name, rate in (("CE", 0.0), ("CE", 0.4), ("SCE", 0.4)))
    easy = [mean_of(apart, name, rate, hard, others=True) for name, rate in (("CE", 0.0), ("CE", 0.4))]
    more = clean - noisy > easy[0] - easy[1]
    return [
        Claim(
            "Under 40 % wrong labels the hard classes blur with CE.",
            "by eye, in t-SNE",
            f"mean silhouette of the hard classes {clean:.2f} on clean labels, {noisy:.2f} on noisy ones; of the "
            f"others {easy[0]:.2f} and {easy[1]:.2f}",
            noisy < clean,
            f"The hard classes lose {clean - noisy:.2f}, the others {easy[0] - easy[1]:.2f}: all blur, "
            + ("the hard ones more." if more else "and the hard ones not more than the others.")
            if noisy < clean
            else "Their silhouette does not fall.",
        ),
        Claim(
            "They blur less with SCE.",
            "by eye, in t-SNE",
            f"mean silhouette of the hard classes on noisy labels {robust:.2f} with SCE, {noisy:.2f} with CE",
            robust > noisy,
            "SCE keeps them further apart." if robust > noisy else "SCE does not keep them further apart.",
        ),
    ]
