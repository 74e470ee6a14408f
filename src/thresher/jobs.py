"""A training, decided and checked: what will be done with which data, before anything is trained or written."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from thresher import data as sources
from thresher import methods as zoo
from thresher import nets, noise
from thresher.data import Data
from thresher.data.split import split
from thresher.engine.combine import Combination
from thresher.engine.method import Method, described, name_of
from thresher.engine.options import Options, resolve
from thresher.engine.runtime import parse_device
from thresher.errors import UsageError
from thresher.noise import Noise, hopeless
from thresher.result import FORMAT, read_run, records


@dataclass(frozen=True, eq=False)
class Job:
    """A training with everything decided and checked, and nothing written yet.

    Attributes:
        data: all given rows, with noise put in where it was asked for.
        source: what `load` needs to read the data again from any folder, or None for arrays.
        noise: what was put in, or None.
        noise_specs: how that was asked for.
        held: source rows of the noisy validation split.
        trusted: source rows of trusted samples.
        trusted_as: how they were asked for.
        method: the combination.
        options: every setting, with the net's name resolved.
        device: as typed.
        folder: of the run.
        cross_fit: folds of confident learning; 0 for none.
        resume: the folder exists and goes on.
    """

    data: Data
    source: str | None
    noise: Noise | None
    noise_specs: tuple[str, ...]
    held: np.ndarray
    trusted: np.ndarray
    trusted_as: str | None
    method: Combination
    options: Options
    device: str
    folder: Path
    cross_fit: int = 0
    resume: bool = False

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
            "data": {
                "name": self.data.name,
                "source": self.source,
                "rows": len(self.data.train),
                "test": 0 if self.data.test is None else len(self.data.test),
                "shape": list(self.data.train.inputs.shape[1:]),
                "classes": list(self.data.classes),
                "fingerprint": self.data.fingerprint,
            },
            "noise": list(self.noise_specs),
            "method": [described(method) for method in self.method.methods],
            "split": zlib.crc32(np.concatenate([self.held, [-1], self.trusted]).astype("<i8").tobytes()),
            "options": dataclasses.asdict(self.options),
            "trusted": self.trusted_as,
            "cross_fit": self.cross_fit,
            "device": self.device,
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
    noise: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    device: str = "auto",
    trusted: str | Path | None = None,
    root: str | Path | None = None,
    cross_fit: int = 0,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Job:
    """Decide and check everything about a training; nothing is trained or written.

    Args:
        data: anything `thresher.data.load` reads.
        method: names, method objects, or a list of either.
        noise: noise to put into the labels, ``NAME:RATE[:SEED]``, for benchmarks.
        out: the run folder; default ``runs/<name>``.
        name: of the run; default made of data, methods and a counter.
        device: auto, cpu, cpu:N, cuda, or CUDA numbers.
        trusted: ``per-class:N`` (needs known true labels) or a CSV file with columns key and label.
        root: the folder of official data files.
        cross_fit: folds of confident learning on cross-fitted probabilities after training; 0 for none.
        resume: go on in the folder, which must hold the same training.
        settings: of `Options`, nested as in TOML.

    Raises:
        UsageError: anything about the request that cannot work.
    """
    options = resolve(settings or {})
    combination = Combination(zoo.parse(method))
    _check_known(combination)
    if not combination.methods:
        raise UsageError(f"no method is named: choose some of {', '.join(zoo.names())}")
    accelerator, _ = parse_device(device)
    loaded = sources.load(data, root=root)
    specs = (noise,) if isinstance(noise, str) else tuple(noise or ())
    drawn = _put_in_noise(loaded, specs, options.seed)
    if drawn is not None:
        loaded = loaded.with_labels(torch.as_tensor(drawn.labels), torch.as_tensor(drawn.clean))
        if sentence := hopeless(drawn):
            warnings.warn(sentence, stacklevel=2)
    chosen, loaded = _trusted(trusted, loaded, options.seed)
    if combination.needs_trusted and not len(chosen):
        raise UsageError(
            f"{combination.name} learns from trusted samples and got none: pass trusted= or --trusted, "
            "for instance per-class:10"
        )
    options = _with_net(options, loaded, accelerator)
    job = Job(
        loaded,
        _whole_path(data),
        drawn,
        specs,
        _held_out(loaded, chosen, options),
        chosen,
        None if trusted is None else _whole_path(trusted),
        combination,
        options,
        device,
        _folder(out, name, loaded, combination),
        cross_fit,
        resume,
    )
    _check_sizes(job)
    _check_folder(job)
    return job


def _check_known(method: Combination) -> None:
    """Refuse a class from elsewhere now, for a run folder names its methods and could not be read again."""
    for one in method.methods:
        name = name_of(one)
        if name not in zoo.names() or zoo.load(name) is not type(one):
            raise UsageError(
                f"{type(one).__name__} is no method of thresher.methods, so its run could not be loaded again: "
                "put its file into that folder"
            )


def _held_out(data: Data, trusted: np.ndarray, options: Options) -> np.ndarray:
    """Source rows of the noisy validation split; trusted rows are not for it."""
    left = np.setdiff1d(np.arange(len(data.train)), trusted)
    groups = None if data.train.groups is None else data.train.groups[left]
    _, held = split(data.train.labels.numpy()[left], options.valid, options.seed, groups)
    return np.asarray(left[held])


def _with_net(options: Options, data: Data, accelerator: str) -> Options:
    """The options with the network's name resolved, after building it once: a wrong name is told at once."""
    shape = tuple(data.train.inputs.shape[1:])
    net = nets.auto(shape, accelerator) if options.net == "auto" else options.net
    nets.build(net, shape, len(data.classes))
    return dataclasses.replace(options, net=net)


def _whole_path(said: object) -> str | None:
    """What still means the same from another folder: a name as it is, a file's whole path; None for arrays."""
    if not isinstance(said, str | os.PathLike):
        return None
    text = os.fspath(said)
    return text if text in sources.NAMES or not Path(text).exists() else str(Path(text).absolute())


def _check_sizes(job: Job) -> None:
    """Refuse a training that its data has not rows enough for."""
    rows, folds = len(job.rows), job.cross_fit
    if job.options.batch > rows:
        raise UsageError(f"batch is {job.options.batch}, and only {rows} rows are trained on: lower --bs")
    groups = job.data.train.groups
    units = rows if groups is None else len(np.unique(groups[job.rows]))
    if folds != 0 and not 2 <= folds <= units:
        raise UsageError(f"cross_fit is {folds}: it is a number of folds, from 2 to {units} here, or 0 for none")


def _put_in_noise(data: Data, specs: Sequence[str], seed: int) -> Noise | None:
    if not specs:
        return None
    return noise.apply(specs, data.train.labels.numpy(), data.classes, seed=seed, confusions=data.confusions)


def _trusted(said: str | Path | None, data: Data, seed: int) -> tuple[np.ndarray, Data]:
    """Source rows that are trusted, and the data with their labels set right."""
    if said is None:
        return np.zeros(0, dtype=np.int64), data
    text = str(said)
    if text.startswith("per-class:"):
        count = text.removeprefix("per-class:")
        if not count.isdecimal() or int(count) < 1:
            raise UsageError(
                f"trusted is {text!r}: write per-class:N with N samples of each class, for instance per-class:10"
            )
        if data.train.clean is None:
            raise UsageError(
                "per-class trusted samples need known true labels: put noise in with --noise, or pass a CSV file"
            )
        rng = np.random.Generator(np.random.PCG64(seed))
        clean = data.train.clean.numpy()
        rows = [rng.permutation(np.flatnonzero(clean == k))[: int(count)] for k in range(len(data.classes))]
        chosen = np.sort(np.concatenate(rows))
        return chosen, _relabelled(data, chosen, clean[chosen])
    chosen, labels = _read_trusted(text, data)
    return chosen, _relabelled(data, chosen, labels)


def _read_trusted(path: str, data: Data) -> tuple[np.ndarray, np.ndarray]:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)  # a class may be called NA
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the trusted file {path!r} cannot be read ({error}): give a CSV with columns key and label, or per-class:N"
        ) from error
    if missing := {"key", "label"} - set(table.columns):
        raise UsageError(f"the trusted file {path} has no column {sorted(missing)[0]!r}: it needs key and label")
    if table.empty:
        raise UsageError(f"the trusted file {path} has no rows: list keys with their right labels")
    places = {key: row for row, key in enumerate(data.train.keys)}
    numbers = {name: k for k, name in enumerate(data.classes)}
    for column, known in (("key", places), ("label", numbers)):
        strange = [value for value in table[column] if value not in known]
        if strange:
            raise UsageError(f"the trusted file {path} has the {column} {strange[0]!r}, which the data does not know")
    if table["key"].duplicated().any():
        raise UsageError(
            f"the trusted file {path} has the key {table['key'][table['key'].duplicated()].iloc[0]!r} twice"
        )
    rows = np.array([places[key] for key in table["key"]], dtype=np.int64)
    labels = np.array([numbers[label] for label in table["label"]], dtype=np.int64)
    order = np.argsort(rows)
    return rows[order], labels[order]


def _relabelled(data: Data, rows: np.ndarray, labels: np.ndarray) -> Data:
    changed = data.train.labels.clone()
    changed[torch.as_tensor(rows)] = torch.as_tensor(labels)
    return data.with_labels(changed, data.train.clean)


def _folder(out: str | Path | None, name: str | None, data: Data, method: Combination) -> Path:
    if name is not None and (not name or Path(name).name != name):
        raise UsageError(f"name is {name!r}: it names one folder below runs; give a path with --out")
    if out is not None and name is not None:
        raise UsageError(f"both out {str(out)!r} and name {name!r} are given: give one, a name is a folder below runs")
    if out is not None:
        return Path(out)
    if name is not None:
        return Path("runs") / name
    stem = f"{Path(data.name).stem}-{method.name.replace(',', '-')}"
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
        return
    stored = read_run(job.folder)
    mine = json.loads(json.dumps(job.described()))
    for one in (stored, mine):
        one["data"].pop("source")  # where a file lies does not matter, what it holds does
    for part in ("data", "noise", "method", "trusted", "split", "cross_fit"):
        if stored.get(part) != mine[part]:
            raise UsageError(
                f"{job.folder} was trained with another {part} ({_difference(stored.get(part), mine[part])}): "
                "resume with the same, or start a new run"
            )
    for setting, value in mine["options"].items():
        if setting != "epochs" and stored["options"].get(setting) != value:
            raise UsageError(
                f"{job.folder} was trained with {setting} {stored['options'].get(setting)} and not {value}: "
                "only the epochs and the device may differ at resume"
            )
    trained = len(records(job.folder / "metrics.jsonl"))
    if job.options.epochs < trained:
        raise UsageError(f"{job.folder} has trained {trained} epochs already: give --epochs {trained} or more")
    if stored["threads"] != torch.get_num_threads():
        torch.set_num_threads(stored["threads"])  # other thread counts add in another order


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        key = next(key for key in {**old, **new} if old.get(key) != new.get(key))
        return f"its {key} differs"
    return f"{old} and not {new}"


def resumed(
    folder: str | Path, *, epochs: int | None = None, device: str | None = None, root: str | None = None
) -> Job:
    """The job of an unfinished run, as its `run.json` describes it.

    Args:
        folder: of the run.
        epochs: train up to so many; default as before.
        device: default as before.
        root: the folder of official data files.

    Raises:
        UsageError: no run is there, its data is gone or another, or it was made from arrays.
    """
    stored = read_run(folder)
    if stored["data"]["source"] is None:
        raise UsageError(
            f"{folder} was made from arrays in Python: go on with th.fit(..., out={str(folder)!r}, resume=True)"
        )
    settings = dict(stored["options"])
    if epochs is not None:
        settings["epochs"] = epochs
    methods = [zoo.method(one["name"], **one["fields"]) for one in stored["method"]]
    return prepare(
        stored["data"]["source"],
        methods,
        noise=stored["noise"],
        out=folder,
        device=device or stored["device"],
        trusted=stored["trusted"],
        root=root,
        cross_fit=stored["cross_fit"],
        resume=True,
        settings=settings,
    )
