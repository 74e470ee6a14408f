"""From a request to a job: everything is read, decided and checked, and nothing is trained or written."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thresher import data as sources
from thresher import methods as zoo
from thresher import nets
from thresher.data import Data, Reading
from thresher.data.split import split
from thresher.engine.combine import Combination
from thresher.engine.method import Method, check_classes, check_options, name_of
from thresher.engine.options import Options, resolve
from thresher.engine.runtime import parse_device
from thresher.errors import ThresherError, UsageError
from thresher.jobs.checks import check_folds, check_methods, check_model, check_sizes
from thresher.jobs.job import Job, Request
from thresher.jobs.places import check_writable, folder_of, whole_path, whole_paths
from thresher.jobs.sameness import check_same_run
from thresher.labelling import Labelling, labelled
from thresher.noise import Noise
from thresher.result import read_run


def prepare(
    data: object,
    method: str | Method | Sequence[str | Method] = "elr",
    *,
    reading: Reading | None = None,
    noise: str | Sequence[str] | None = None,
    mapping: str | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    device: str = "auto",
    trusted: str | Path | None = None,
    root: str | Path | None = None,
    cross_fit: int = 0,
    kind: str = "train",
    model: str = "net",
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: sources.Progress = lambda done, of: None,
) -> Job:
    """Decide and check everything about a training; nothing is trained or written.

    Args:
        data: anything `thresher.data.load` reads.
        method: names, method objects, or a list of either.
        reading: how to read it, and the files of labels and of a test set beside it.
        noise: noise to put into the labels, ``NAME:RATE[:SEED]``, for benchmarks.
        mapping: class pairs of asymmetric noise, as in ``cat>dog,dog>cat``.
        out: the run folder; default ``runs/<name>``.
        name: of the run; default made of data, methods and a counter.
        device: auto, cpu, cpu:N, cuda, or CUDA numbers.
        trusted: ``per-class:N`` (needs known true labels), a CSV file with columns key and label, or a reviewed run.
        root: the folder of official data files.
        cross_fit: folds of confident learning on cross-fitted probabilities after training; 0 for none.
        kind: train, or find: then there are only the folds.
        model: of these folds: net, or logistic, forest or boosting by scikit-learn, for features.
        resume: go on in the folder, which must hold the same training.
        settings: of `Options`, nested as in TOML.
        progress: called with the number of images read so far, and of all.

    Raises:
        UsageError: anything about the request that cannot work.
    """
    options = resolve(settings or {})
    combination = _combined(method)
    accelerator, _ = parse_device(device)
    reading = whole_paths(reading or Reading())
    specs = (noise,) if isinstance(noise, str) else tuple(noise or ())
    known = None if trusted is None else whole_path(trusted)
    request = Request(kind, whole_path(data), reading, specs, mapping, known, cross_fit, device, model)
    labelling = _labelling(data, request, options.seed, root, progress, Path(out) if resume and out else None)
    check_methods(combination, labelling)
    check_model(request, labelling.data, options)
    for one in combination.methods:
        check_options(one, options)
        check_classes(one, len(labelling.data.classes))
    if kind == "find":
        check_folds(combination, {} if resume else settings or {})
    options, weights = _with_net(options, labelling.data, accelerator)
    job = Job(
        request,
        labelling,
        _held_out(labelling.data, labelling.trusted, options) if kind == "train" else np.zeros(0, dtype=np.int64),
        combination,
        options,
        folder_of(out, name, labelling.data.name, combination.name if kind == "train" else "find"),
        resume,
        weights,
    )
    check_sizes(job)
    _check_folder(job)
    return job


def resumed(
    folder: str | Path,
    *,
    epochs: int | None = None,
    device: str | None = None,
    workers: int | None = None,
    root: str | None = None,
    progress: sources.Progress = lambda done, of: None,
) -> Job:
    """The job of an unfinished run, as its `run.json` describes it.

    Args:
        folder: of the run.
        epochs: train up to so many; default as before.
        device: default as before.
        workers: threads that read images; default as before.
        root: the folder of official data files.
        progress: called with the number of images read so far, and of all.

    Raises:
        UsageError: no run is there, its data is gone or another, or it was made from arrays.
    """
    stored = read_run(folder)
    asked = dict(stored["request"])
    if asked["source"] is None:
        raise UsageError(
            f"{folder} was made from arrays in Python: go on with th.fit(..., out={str(folder)!r}, resume=True)"
        )
    changes = {"epochs": epochs, "workers": workers}
    settings = {**stored["options"], **{name: value for name, value in changes.items() if value is not None}}
    source, reading = asked.pop("source"), Reading(**asked.pop("reading"))
    return prepare(
        source,
        [zoo.method(one["name"], **one["fields"]) for one in stored["method"]],
        **{**asked, "device": device or asked["device"]},
        reading=reading,
        out=folder,
        root=root,
        resume=True,
        settings=settings,
        progress=progress,
    )


def reloaded(folder: str | Path, root: str | Path | None = None) -> Data | None:
    """The data of a run with the labels it was trained on; None, and a warning, where it cannot be had any more."""
    stored = read_run(folder)
    asked = dict(stored["request"])
    if asked["source"] is None:
        return None
    request = Request(**{**asked, "reading": Reading(**asked["reading"]), "noise": tuple(asked["noise"])})
    try:
        data = _labelling(request.source, request, stored["options"]["seed"], root, folder=Path(folder)).data
    except ThresherError as error:
        warnings.warn(f"the report goes without pictures, for the data cannot be read: {error}", stacklevel=2)
        return None
    if data.fingerprint != stored["data"]["fingerprint"]:
        warnings.warn("the report goes without pictures, for the data has changed since", stacklevel=2)
        return None
    return data


def _labelling(
    data: object,
    request: Request,
    seed: int,
    root: str | Path | None,
    progress: sources.Progress = lambda done, of: None,
    folder: Path | None = None,
) -> Labelling:
    """The data read, and the labels to learn from; noise that the run's folder holds is not drawn again."""
    drawn = None if folder is None else folder / "noise.npz"
    return labelled(
        sources.load(data, root=root, reading=request.reading, progress=progress),
        noise=request.noise,
        mapping=request.mapping,
        reading=request.reading,
        trusted=request.trusted,
        seed=seed,
        device=request.device,
        drawn=None if drawn is None or not drawn.exists() else Noise.load(drawn),
    )


def _combined(method: str | Method | Sequence[str | Method]) -> Combination:
    """The methods as one; a class from elsewhere is refused now, for its run folder could not be read again."""
    combination = Combination(zoo.parse(method))
    if not combination.methods:
        raise UsageError(f"no method is named: choose some of {', '.join(zoo.names())}")
    for one in combination.methods:
        name = name_of(one)
        if name not in zoo.names() or zoo.load(name) is not type(one):
            raise UsageError(
                f"{type(one).__name__} is no method of thresher.methods, so its run could not be loaded again: "
                "put its file into that folder"
            )
    return combination


def _held_out(data: Data, trusted: np.ndarray, options: Options) -> np.ndarray:
    """Source rows of the noisy validation split; trusted rows are not for it."""
    left = np.setdiff1d(np.arange(len(data.train)), trusted)
    if not len(left):
        raise UsageError("every row is trusted, so that none is left to learn from: trust only some of them")
    groups = None if data.train.groups is None else data.train.groups[left]
    _, held = split(data.train.labels.numpy()[left], options.valid, options.seed, groups)
    return np.asarray(left[held])


def _with_net(options: Options, data: Data, accelerator: str) -> tuple[Options, str]:
    """The options with the network's name resolved, after building it once, and the hash of its file of weights."""
    shape = tuple(data.train.inputs.shape[1:])
    net = nets.auto(shape, accelerator) if options.net == "auto" else options.net
    built = nets.build(net, shape, len(data.classes))
    weights = str(Path(options.weights).absolute()) if options.weights else ""
    digest = nets.load_weights(built, weights) if weights else ""
    if options.frozen and not weights:
        raise UsageError("a frozen network learns nothing by itself: give it trained weights with --weights FILE")
    return dataclasses.replace(options, net=net, weights=weights), digest


def _check_folder(job: Job) -> None:
    exists = job.folder.exists() and (job.folder.is_file() or any(job.folder.iterdir()))
    if not job.resume:
        if exists:
            raise UsageError(
                f"{job.folder} exists: pick another with --out or --name, or go on with --resume {job.folder}"
            )
        check_writable(job.folder)
        return
    check_same_run(job.folder, job.described(), job.data)
