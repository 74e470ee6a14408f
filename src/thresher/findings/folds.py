"""Judging every row by models that never saw it: class probabilities, and its nearest neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thresher.audit.neighbours import Neighbours, assembled, nearest
from thresher.data import Data
from thresher.data.split import fold_splits
from thresher.engine.evaluate import Held, feature_rows, predict_rows
from thresher.engine.method import Method
from thresher.engine.run import Run, Source
from thresher.engine.study import Material, Study, use_best
from thresher.findings import estimators

NEIGHBOURS = 10
"""Neighbours that each row is compared with, where there are so many."""

_PATIENCE = 5
_EPOCHS = 30
_CHUNK = 4096

Each = Callable[[Run | None, np.ndarray], None]
"""Called with a fold's model at its selected epoch and the positions of the rows that it judges, int64 ``[n]``."""

Part = tuple[np.ndarray, np.ndarray, Neighbours]
"""Positions of rows, positions of those that they are compared with, and the neighbours among these."""


@dataclass(frozen=True, eq=False)
class OutOfSample:
    """What models say of rows that they never saw.

    Attributes:
        probabilities: of the given classes, float32 ``[N, K]``.
        neighbours: of each row among the rows of other folds, by the cosine; None where these are too few.
        alike: of each row among all rows, by Euclidean distance, which copies and outliers are told by; or None. They
            are no evidence about labels, for a row's own group is among them.
    """

    probabilities: np.ndarray
    neighbours: Neighbours | None
    alike: Neighbours | None = None


def out_of_sample(
    study: Study,
    rows: np.ndarray,
    data: Data,
    count: int,
    *,
    model: str = "net",
    methods: Sequence[Method] = (),
    epochs: int = _EPOCHS,
) -> OutOfSample:
    """Judge every row by models that never saw it, and find its neighbours.

    As evidence a row is compared with the rows of other folds only, so never with its own group: images by the features
    of the fold's own network, which never saw the row; features as they are.

    Args:
        study: whose trainings share the rows.
        rows: source rows, the training rows first, integer ``[N]``.
        data: all given rows.
        count: of folds.
        model: ``net``, or the name of a classifier in `thresher.findings.estimators`, for features.
        methods: how the networks of the folds are trained; none is plain cross-entropy.
        epochs: at most so many.
    """
    material, found = study.material, _Neighbourhood(study, rows)
    if model == "net":
        probabilities = cross_fitted(study, rows, data, count, methods, epochs, each=found)
        return OutOfSample(probabilities, *found.assembled())
    size = len(material.rows)
    fold = np.full(len(rows), -1)
    fold[:size], _ = _divided(study, rows, data, count)
    labels = data.train.labels.numpy()[rows]
    x = _features(material.source, torch.as_tensor(rows))
    probabilities = estimators.out_of_sample(model, x, labels, fold, material.classes, study.options.seed)
    for k in range(count):
        found(None, np.flatnonzero((fold == k) | ((fold < 0) & (k == 0))))
    return OutOfSample(probabilities, *found.assembled())


def cross_fitted(
    study: Study,
    rows: np.ndarray,
    data: Data,
    count: int,
    methods: Sequence[Method] = (),
    epochs: int = _EPOCHS,
    *,
    each: Each = lambda run, own: None,
) -> np.ndarray:
    """Class probabilities of every row by networks that never saw it, float32 ``[N, K]``.

    Each fold's network trains on the other folds, and is taken from the epoch that a noisy split of its own selects,
    for a network trained to the end has learned the wrong labels. Rows outside of the study get the mean of all folds.

    Args:
        study: whose trainings share the rows.
        rows: source rows, the training rows first, integer ``[N]``.
        data: all given rows.
        count: of folds.
        methods: how the folds are trained; none is plain cross-entropy.
        epochs: at most so many.
        each: sees every fold's network; those rows that no fold holds come with the first.
    """
    material, options, size = study.material, study.options, len(study.material.rows)
    fold, parts = _divided(study, rows, data, count)
    inside, outside = torch.zeros(size, material.classes), torch.zeros(len(rows) - size, material.classes)
    settings: dict[str, Any] = {"epochs": epochs, "monitor": False, "stop": "patience" if options.valid else "never"}
    for k, (learn, watch) in enumerate(parts):
        kept = torch.zeros(size, dtype=torch.bool)
        kept[torch.as_tensor(learn)] = True
        run = study.fit(
            f"fold-{k}",
            *methods,
            keep=kept,
            valid=_held(material, watch, study.runtime.device),
            **settings,
            patience=_PATIENCE,
        )
        use_best(run)
        own = np.flatnonzero(fold == k)
        inside[own] = _predicted(run, material.rows[own])
        outside += _predicted(run, torch.as_tensor(rows[size:])) / count
        each(run, own if k else np.concatenate([own, np.arange(size, len(rows))]))
    return torch.cat([inside, outside]).numpy()


class _Neighbourhood:
    """Collects, fold by fold, each row's neighbours: among the rows of the other folds, and among all rows."""

    def __init__(self, study: Study, rows: np.ndarray) -> None:
        self.source, self.rows, self.device = study.material.source, torch.as_tensor(rows), str(study.runtime.device)
        one = next(iter(self.source.open([self.rows[:1]], ("plain",), 0)))["plain", 0]
        self.fixed = _features(self.source, self.rows) if one.ndim == 2 else None
        self.others: list[Part] = []
        self.all: list[Part] = []

    def __call__(self, run: Run | None, own: np.ndarray) -> None:
        others, features = np.setdiff1d(np.arange(len(self.rows)), own), self.fixed
        if features is None and run is not None:
            learned = feature_rows(run, self.source, self.rows)
            features = torch.nn.functional.normalize(learned, dim=1).numpy()  # a network says more by angles
        if features is not None and len(own) and len(others) > 1:
            k = min(NEIGHBOURS, len(others))
            near = nearest(features[others], k, queries=features[own], device=self.device)
            alike = nearest(features, k, queries=own, metric="euclidean", device=self.device)
            self.others.append((own, others, near))
            self.all.append((own, np.arange(len(self.rows)), alike))

    def assembled(self) -> tuple[Neighbours | None, Neighbours | None]:
        """Both for all rows; None where a row has fewer than two others to compare with."""
        if sum(len(own) for own, _, _ in self.others) < len(self.rows):
            return None, None
        k = min(found.index.shape[1] for _, _, found in self.others)
        return _assembled(self.others, k), _assembled(self.all, k)


def _assembled(parts: Sequence[Part], k: int) -> Neighbours:
    """Of every row, k of each."""
    return assembled([(own, where, Neighbours(one.index[:, :k], one.distance[:, :k])) for own, where, one in parts])


def _divided(study: Study, rows: np.ndarray, data: Data, count: int) -> tuple[np.ndarray, list[Any]]:
    """The fold of each training row, and per fold the rows to learn from and to watch."""
    material, options = study.material, study.options
    groups = None if data.train.groups is None else data.train.groups[rows[: len(material.rows)]]
    return fold_splits(material.labels.numpy(), count, options.valid, options.seed, groups)


def _features(source: Source, rows: Tensor) -> np.ndarray:
    """Features of source rows as they are shown to a network, float32 ``[n, D]``."""
    shown = source.open(rows.split(_CHUNK), ("plain",), 0)
    return torch.cat([views["plain", 0].flatten(1).cpu() for views in shown]).numpy()


def _held(material: Material, rows: np.ndarray, device: torch.device) -> Held | None:
    """A noisy split made of some of the study's own rows."""
    index = torch.as_tensor(rows)
    return Held(material.source, material.rows[index], material.labels[index].to(device)) if len(rows) else None


def _predicted(run: Run, rows: Tensor) -> Tensor:
    return predict_rows(run, run.source, rows).cpu()
