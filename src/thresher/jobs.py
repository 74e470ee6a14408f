"""A training, decided and checked: what will be done with which data, before anything is trained or written."""

import dataclasses
import importlib.metadata
import os
import platform
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thresher import data as sources
from thresher import methods as zoo
from thresher import nets
from thresher.data import Data, Reading
from thresher.data.split import fold_splits, split
from thresher.engine.combine import Combination
from thresher.engine.method import Method, check_classes, check_options, described, name_of
from thresher.engine.options import Options, resolve
from thresher.engine.runtime import parse_device
from thresher.errors import ThresherError, UsageError
from thresher.findings import estimators
from thresher.labelling import Labelling, labelled
from thresher.noise import Noise
from thresher.result import FORMAT, read_run
from thresher.resuming import check_same_run


@dataclass(frozen=True)
class Request:
    """What was asked for, as `run.json` keeps it, to do it again from any folder.

    Attributes:
        kind: train (one model, which also says what it suspects) or find (cross-fitted folds).
        source: what `thresher.data.load` needs, or None for what was in memory.
        reading: how to read it.
        noise: wrong labels to put in.
        mapping: class pairs of asymmetric noise.
        trusted: which rows are known to be right.
        cross_fit: folds.
        device: as typed.
        model: what is trained on the folds of find: net, or a classifier in `thresher.findings.estimators`.
    """

    kind: str
    source: str | None
    reading: Reading
    noise: tuple[str, ...]
    mapping: str | None
    trusted: str | None
    cross_fit: int
    device: str
    model: str = "net"


@dataclass(frozen=True, eq=False)
class Job:
    """A training with everything decided and checked, and nothing written yet.

    Attributes:
        request: what was asked for.
        labelling: all given rows, and the labels to learn from.
        held: source rows of the noisy validation split.
        method: the combination.
        options: every setting, with the net's name resolved.
        folder: of the run.
        resume: the folder exists and goes on.
        weights: the SHA-256 of the file of weights to start from, or empty.
    """

    request: Request
    labelling: Labelling
    held: np.ndarray
    method: Combination
    options: Options
    folder: Path
    resume: bool = False
    weights: str = ""

    @property
    def data(self) -> Data:
        """All given rows, with the labels to learn from."""
        return self.labelling.data

    @property
    def noise(self) -> Noise | None:
        """What is known to be wrong, or None."""
        return self.labelling.noise

    @property
    def trusted(self) -> np.ndarray:
        """Source rows of trusted samples."""
        return self.labelling.trusted

    @property
    def rows(self) -> np.ndarray:
        """Source rows to train on, int64 ``[N]``."""
        left = np.ones(len(self.data.train), dtype=bool)
        left[self.held] = left[self.trusted] = False
        return np.flatnonzero(left)

    def described(self) -> dict[str, Any]:
        """What `run.json` says: enough to know what was done, and to do it again."""
        return {
            "format_version": FORMAT,
            "request": dataclasses.asdict(self.request),
            "data": {
                "name": self.data.name,
                "rows": len(self.data.train),
                "test": 0 if self.data.test is None else len(self.data.test),
                "shape": list(self.data.train.inputs.shape[1:]),
                "classes": list(self.data.classes),
                "fingerprint": self.data.fingerprint,
            },
            "method": [described(method) for method in self.method.methods],
            "split": zlib.crc32(np.concatenate([self.held, [-1], self.trusted]).astype("<i8").tobytes()),
            "options": dataclasses.asdict(self.options),
            "weights": self.weights,
            "threads": torch.get_num_threads(),
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    names = ("thresher", "torch", "numpy", "scikit-learn")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


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
    reading = _whole_paths(reading or Reading())
    specs = (noise,) if isinstance(noise, str) else tuple(noise or ())
    known = None if trusted is None else _whole_path(trusted)
    request = Request(kind, _whole_path(data), reading, specs, mapping, known, cross_fit, device, model)
    labelling = _labelling(data, request, options.seed, root, progress, Path(out) if resume and out else None)
    _check_methods(combination, labelling)
    _check_model(request, labelling.data, options)
    for one in combination.methods:
        check_options(one, options)
        check_classes(one, len(labelling.data.classes))
    if kind == "find":
        _check_folds(combination, {} if resume else settings or {})
    options, weights = _with_net(options, labelling.data, accelerator)
    job = Job(
        request,
        labelling,
        _held_out(labelling.data, labelling.trusted, options) if kind == "train" else np.zeros(0, dtype=np.int64),
        combination,
        options,
        _folder(out, name, labelling.data.name, combination.name if kind == "train" else "find"),
        resume,
        weights,
    )
    _check_sizes(job)
    _check_folder(job)
    return job


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


def _check_methods(method: Combination, labelling: Labelling) -> None:
    """Refuse methods that cannot learn from these labels."""
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


def _check_folds(method: Combination, settings: Mapping[str, Any]) -> None:
    """Refuse what cross-fitted folds have no use for."""
    if method.fills("fits"):
        raise UsageError(f"{method.name} needs trainings of its own, which folds do not have: train with it instead")
    if idle := [name for name in ("stop", "patience") if name in settings]:
        raise UsageError(f"each fold stops by a noisy split of its own, so {idle[0]} means nothing: leave it out")


def _check_model(request: Request, data: Data, options: Options) -> None:
    """Refuse a classifier where a network is needed."""
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


def _whole_path(said: object) -> str | None:
    """What still means the same from another folder: a name as it is, a file's whole path; None for arrays."""
    if not isinstance(said, str | os.PathLike):
        return None
    text = os.fspath(said)
    return text if text in sources.NAMES or not Path(text).exists() else str(Path(text).absolute())


def _whole_paths(reading: Reading) -> Reading:
    test, labels, text_model = map(_whole_path, (reading.test, reading.labels, reading.text_model))
    return dataclasses.replace(reading, test=test, labels=labels, text_model=text_model)


def _check_sizes(job: Job) -> None:
    """Refuse a training that its data has not rows enough for."""
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


def _folder(out: str | Path | None, name: str | None, data: str, what: str) -> Path:
    if name is not None and (not name or Path(name).name != name):
        raise UsageError(f"name is {name!r}: it names one folder below runs; give a path with --out")
    if out is not None and name is not None:
        raise UsageError(f"both out {str(out)!r} and name {name!r} are given: give one, a name is a folder below runs")
    if out is not None:
        return Path(out)
    if name is not None:
        return Path("runs") / name
    return fresh_folder(f"{Path(data).stem.replace(':', '-')}-{what.replace(',', '-')}")


def fresh_folder(stem: str) -> Path:
    """The first of ``runs/<stem>-1``, ``-2``, ... that does not exist.

    Example:
        >>> fresh_folder("no-such-run")
        PosixPath('runs/no-such-run-1')
    """
    count = 1
    while (Path("runs") / f"{stem}-{count}").exists():
        count += 1
    return Path("runs") / f"{stem}-{count}"


def _check_folder(job: Job) -> None:
    exists = job.folder.exists() and (job.folder.is_file() or any(job.folder.iterdir()))
    if not job.resume:
        if exists:
            raise UsageError(
                f"{job.folder} exists: pick another with --out or --name, or go on with --resume {job.folder}"
            )
        _check_writable(job.folder)
        return
    check_same_run(job.folder, job.described(), job.data)


def _check_writable(folder: Path) -> None:
    """Refuse a place that nothing can be written to, before a training that would end there."""
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be written, for {parent} is no folder of yours: pick another with --out")


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
