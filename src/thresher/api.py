"""The two calls that do it all from Python: train, or only find the wrong labels."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thresher import training
from thresher.data import Reading
from thresher.engine.method import Method
from thresher.jobs import prepare
from thresher.result import Result


def fit(
    data: object,
    method: str | Method | Sequence[str | Method] = "elr",
    *,
    noise: str | Sequence[str] | None = None,
    net: str = "auto",
    epochs: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    trusted: str | Path | None = None,
    root: str | Path | None = None,
    cross_fit: int = 0,
    resume: bool = False,
    progress: training.Progress | None = None,
    **options: Any,
) -> Result:
    """Train on wrongly labelled data, and say which labels are wrong.

    Args:
        data: a known name ("digits"); the path of a folder of images, of a .csv, .parquet or .npz file; arrays
            ``(x, y)`` or ``(x, y, x_test, y_test)``; a pandas DataFrame; a torch Dataset of (input, label).
        method: ``"elr"``, ``"elr,cdr"``, a method object, or a list.
        noise: wrong labels to put in for a benchmark, for instance ``"symmetric:0.4"``.
        net: a network's name, or auto.
        epochs: length of the training; default 60.
        seed: of everything random.
        out: the run folder; default a new one under ``runs/``.
        device: auto, cpu, cpu:N (N processes), cuda, or CUDA numbers such as "0,2".
        trusted: ``per-class:N``, a CSV file of rows known to be right, or a reviewed run.
        root: the folder of official data files; default THRESHER_DATA.
        cross_fit: folds of confident learning after training; 0 for none.
        resume: go on in `out`.
        progress: called with (fit name, record) after each epoch.
        **options: what `thresher.data.Reading` says of the data (``label="species"``, ``labels="corrected.csv"``), and
            further settings of `thresher.engine.options.Options`, for instance ``optimizer={"lr": 0.1}``; `mapping`,
            the class pairs of asymmetric noise, as in ``"cat>dog,dog>cat"``.

    Raises:
        ThresherError: one sentence about what is wrong.

    Example:
        >>> import tempfile, numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(200) % 2
        >>> x = rng.normal(size=(200, 4)) + 3 * y[:, None]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = fit((x, y), "gce", noise="symmetric:0.2", epochs=3, batch=32, out=folder + "/run")
        ...     int(result.issues["is_label_issue"].head(5).sum())
        5
    """
    settings: dict[str, Any] = {"net": net, "seed": seed, **options}
    if epochs is not None:
        settings["epochs"] = epochs
    reading, settings = parted(settings)
    job = prepare(
        data,
        method,
        reading=reading,
        noise=noise,
        mapping=settings.pop("mapping", None),
        out=out,
        device=device,
        trusted=trusted,
        root=root,
        cross_fit=cross_fit,
        resume=resume,
        settings=settings,
    )
    return training.train(job, progress or (lambda name, record: None))


def find_issues(
    data: object,
    method: str | Method | Sequence[str | Method] = "cross_entropy",
    *,
    model: str = "net",
    folds: int = 5,
    epochs: int = 30,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    root: str | Path | None = None,
    resume: bool = False,
    progress: training.Progress | None = None,
    **options: Any,
) -> Result:
    """Say which labels are wrong, each judged by models that never saw it (cross-fitting).

    Args:
        data: as for `fit`.
        method: how the networks of the folds are trained.
        model: what is trained: ``net``; or for features (tables, texts, a frozen network's) ``logistic``, ``forest`` or
            ``boosting`` of scikit-learn, for which `method`, `epochs` and other settings of trainings mean nothing.
        folds: how many; each stops early by a noisy split of its own.
        epochs: of each fold, at most.
        seed: of everything random.
        out: the run folder; default a new one under ``runs/``.
        device: auto, cpu, cpu:N, cuda, or CUDA numbers.
        root: the folder of official data files.
        resume: go on in `out`.
        progress: called with (fold name, record) after each epoch.
        **options: as for `fit`, `noise` and `trusted` among them, but for `stop` and `patience`.

    Returns:
        A result whose `issues` holds every row, worst first; it has no model.

    Raises:
        ThresherError: one sentence about what is wrong.

    Example:
        >>> import tempfile, numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(200) % 2
        >>> x = rng.normal(size=(200, 4)) + 3 * y[:, None]
        >>> y[:10] = 1 - y[:10]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = find_issues((x, y), epochs=5, batch=32, out=folder + "/run")
        ...     sorted(result.issues["row"].head(8))[-1] < 10
        True
    """
    reading, settings = parted({"seed": seed, "epochs": epochs, **options})
    noise, mapping, trusted = (settings.pop(name, None) for name in ("noise", "mapping", "trusted"))
    job = prepare(
        data,
        method,
        reading=reading,
        noise=noise,
        mapping=mapping,
        trusted=trusted,
        out=out,
        device=device,
        root=root,
        cross_fit=folds,
        kind="find",
        model=model,
        resume=resume,
        settings=settings,
    )
    return training.train(job, progress or (lambda name, record: None))


def parted(settings: Mapping[str, Any]) -> tuple[Reading, dict[str, Any]]:
    """What is said about reading the data, and all other settings.

    Example:
        >>> parted({"label": "species", "epochs": 5})[1]
        {'epochs': 5}
    """
    names = {field.name for field in dataclasses.fields(Reading)}
    reading = Reading(**{name: value for name, value in settings.items() if name in names})
    return reading, {name: value for name, value in settings.items() if name not in names}
