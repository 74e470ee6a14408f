"""What cannot work is refused before anything is trained or written."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thresher.data import Data
from thresher.data.split import fold_splits
from thresher.engine.combine import Combination
from thresher.engine.options import Options
from thresher.errors import UsageError
from thresher.findings import estimators
from thresher.jobs.job import Job, Request
from thresher.labelling import Labelling


def check_methods(method: Combination, labelling: Labelling) -> None:
    """Refuse methods that cannot learn from these labels.

    Raises:
        UsageError: no trusted samples where one needs them, or weights or soft labels that one would not look at.
    """
    if method.needs_trusted and not len(labelling.trusted):
        raise UsageError(
            f"{method.name} learns from trusted samples and got none: pass trusted= or --trusted, "
            "for instance per-class:10"
        )
    for given, slot, what in ((labelling.weights, "trust", "weights"), (labelling.targets, "target", "soft labels")):
        blind = None if given is None else method.blind(slot)
        if blind is not None:
            raise UsageError(
                f"the label file has {what}, which {blind} would not look at, for it runs its own epoch: "
                "choose another method, or another policy of thresher correct"
            )


def check_folds(method: Combination, settings: Mapping[str, Any]) -> None:
    """Refuse what cross-fitted folds have no use for.

    Raises:
        UsageError: a method that trains by itself, or a setting of the stop, which is every fold's own.
    """
    if method.fills("fits"):
        raise UsageError(f"{method.name} needs trainings of its own, which folds do not have: train with it instead")
    if idle := [name for name in ("stop", "patience") if name in settings]:
        raise UsageError(f"each fold stops by a noisy split of its own, so {idle[0]} means nothing: leave it out")


def check_model(request: Request, data: Data, options: Options) -> None:
    """Refuse a classifier where a network is needed.

    Raises:
        UsageError: a training, images without features, or no such classifier.
    """
    if request.model == "net":
        return
    if request.kind == "train":
        raise UsageError(f"model is {request.model!r}: train trains networks, and find takes other models too")
    if data.is_image and not options.frozen:
        raise UsageError(
            f"model {request.model} learns from features, and {data.name} has images: leave it out, or let a trained "
            "network see them first, with --weights FILE --frozen"
        )
    estimators.make(request.model, options.seed)


def check_sizes(job: Job) -> None:
    """Refuse a training that its data has not rows enough for.

    Raises:
        UsageError: a batch larger than the rows, or folds that the rows or groups do not fill.
    """
    rows, folds = len(job.rows), job.request.cross_fit
    if job.request.model == "net" and job.options.batch > rows:
        raise UsageError(f"batch is {job.options.batch}, and only {rows} rows are trained on: lower --bs")
    groups = job.data.train.groups
    units = rows if groups is None else len(np.unique(groups[job.rows]))
    if folds == 0 and job.request.kind == "train":
        return
    if units < 2:
        raise UsageError("all rows are of one group, so that there is nothing to divide into folds: leave --group out")
    if not 2 <= folds <= units:
        none = ", or 0 for none" if job.request.kind == "train" else ""
        raise UsageError(f"there are {folds} folds: give from 2 to {units} here{none}")
    own = None if groups is None else groups[job.rows]
    fold_splits(job.data.train.labels.numpy()[job.rows], folds, job.options.valid, job.options.seed, own)
