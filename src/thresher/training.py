"""From a job to a finished run folder: train, find the suspects, report."""

import dataclasses
import datetime
import json
import shlex
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from thresher import nets
from thresher.data import Reading
from thresher.engine.checkpoint import Interrupted, plain_disk_errors, write_atomically
from thresher.engine.evaluate import Held, predict_rows
from thresher.engine.method import Method
from thresher.engine.runtime import PeerLost, Runtime
from thresher.engine.study import Material, Study
from thresher.findings import find, find_by_folds
from thresher.inputs import Inputs, open_inputs
from thresher.jobs import ROWS, Job, prepare
from thresher.model import BODY
from thresher.result import CHANGES, READER, TEST, Result, load, read_run, write_reader

Progress = Callable[[str | None, dict[str, Any]], None]


def material(job: Job, runtime: Runtime, inputs: Inputs) -> Material:
    """What the trainings of a job share, on the device."""
    data, device, labels = job.data, runtime.device, job.data.train.labels
    held, rows, trusted = torch.as_tensor(job.held), torch.as_tensor(job.rows), torch.as_tensor(job.trusted)
    test = None
    if data.test is not None and inputs.test is not None:
        test = Held(inputs.test, torch.arange(len(data.test)), data.test.labels.to(device))
    weights, targets = job.labelling.weights, job.labelling.targets
    return Material(
        source=inputs.train,
        rows=rows,
        labels=labels[rows],
        classes=len(data.classes),
        factory=_factory(job, inputs),
        valid=Held(inputs.train, held, labels[held].to(device)) if len(held) else None,
        test=test,
        clean=None if data.train.clean is None else data.train.clean[rows],
        trusted=(trusted, labels[trusted]) if len(trusted) else None,
        weights=None if weights is None else weights[rows],
        targets=None if targets is None else targets[rows],
    )


def _factory(job: Job, inputs: Inputs) -> Callable[[int], torch.nn.Module]:
    shape = inputs.train.shape

    def make(outputs: int) -> torch.nn.Module:
        net = nets.build(inputs.net, shape, outputs)
        if job.options.weights and not job.options.frozen:
            nets.load_weights(net, job.options.weights)
        return net

    return make


def train(job: Job, progress: Progress = lambda name, record: None) -> Result:
    """Train a job, find suspects, and write the run folder with its report.

    Args:
        job: from `prepare` or `resumed`.
        progress: called with the fit's name (None for the result's own training) and the record of each epoch.

    Raises:
        Interrupted: a signal asked to stop; a checkpoint was taken.
    """
    runtime = Runtime.start(job.request.device, job.options.precision)
    inputs = open_inputs(job, runtime.device)
    shared = material(job, runtime, inputs)
    if runtime.rank == 0:
        _write_start(job, inputs)
    runtime.barrier()
    shown = progress if runtime.rank == 0 else _silent
    study = Study(
        job.method, job.options, shared, runtime, job.folder, shown, lambda text: warnings.warn(text, stacklevel=2)
    )
    try:
        issues, tested = _outcome(study, job)
        if runtime.rank == 0:
            if tested is not None:
                write_atomically(job.folder / TEST, tested.to_csv(index=False).encode())
            write_atomically(job.folder / "issues.csv", issues.to_csv(index=False).encode())
        runtime.barrier()
        result = load(job.folder)
        if runtime.rank == 0:
            with plain_disk_errors(job.folder):
                result.report(job.data)
    except (Interrupted, PeerLost) as error:
        raise type(error)(f"{error}; {_go_on(job)}") from error
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {_go_on(job)}") from None
    return result


def _outcome(study: Study, job: Job) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The table of issues, and what the selected epoch predicts for the test set where there is one."""
    if job.request.kind == "find":
        return find_by_folds(study, job.data, job.trusted, job.request.cross_fit), None
    run = study.run()
    issues = find(study, run, job.data, job.held, job.trusted, job.request.cross_fit).issues
    held, test = study.material.test, job.data.test
    if held is None or test is None:
        return issues, None
    p, predicted = predict_rows(run, held.source, held.rows).cpu().max(1)
    names = np.asarray(job.data.classes, dtype=object)
    labels = names[test.labels.numpy()]
    columns = {"key": test.keys, "label": labels, "predicted": names[predicted.numpy()], "p_predicted": p.numpy()}
    return issues, pd.DataFrame(columns)


def _go_on(job: Job) -> str:
    """How to go on with a run that was stopped."""
    find = job.request.kind == "find"
    if job.request.source is None:
        return f"go on with {'th.find_issues' if find else 'th.fit'}(..., out={str(job.folder)!r}, resume=True)"
    return f"go on with: thresher {job.request.kind} --resume {shlex.quote(str(job.folder))}"


def _silent(name: str | None, record: dict[str, Any]) -> None:
    """Progress of a process that is not the first."""


def _write_start(job: Job, inputs: Inputs) -> None:
    with plain_disk_errors(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)
    started = read_run(job.folder) if job.resume else {}
    mean, std = inputs.moments
    record = {
        **job.described(),
        "moments": {"mean": mean.tolist(), "std": std.tolist()},
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    record |= {name: started[name] for name in ("command", "started") if name in started}
    if job.resume:
        write_atomically(job.folder / "run.json", json.dumps(record, indent=1).encode())
        return
    _write_facts(job, inputs)
    write_atomically(job.folder / "run.json", json.dumps(record, indent=1).encode())  # last: with it the run exists


def _write_facts(job: Job, inputs: Inputs) -> None:
    """What does not change any more: the rows, how more of them are read, known noise, a frozen network."""
    write_atomically(job.folder / ROWS, job.data.marks().to_csv(index=False).encode())
    if job.data.reader is not None:
        write_reader(job.folder / READER, job.data.reader)
    if inputs.frozen is not None:
        write_atomically(job.folder / BODY, inputs.frozen.saved())
    if job.labelling.before is not None:
        changes = label_changes(job)
        write_atomically(job.folder / CHANGES, changes.to_csv(index=False).encode())
    if job.noise is not None:
        with plain_disk_errors(job.folder):
            job.noise.save(job.folder / "noise.npz")


def label_changes(job: Job) -> pd.DataFrame:
    """What a file of labels changed: key, row, given (before) and label (after) as class names.

    Rows that the file leaves out have no row number (-1) and an empty label.
    """
    names, before = np.asarray(job.data.classes, dtype=object), job.labelling.before
    after = job.data.train.labels.numpy()
    old = after if before is None else before.numpy()
    rows = np.flatnonzero(old != after)
    gone = job.labelling.left_out
    return pd.DataFrame(
        {
            "key": [*job.data.train.keys[rows], *(key for key, _ in gone)],
            "row": [*rows, *(-1 for _ in gone)],
            "given": [*names[old[rows]], *(given for _, given in gone)],
            "label": [*names[after[rows]], *("" for _ in gone)],
        }
    )


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
    progress: Progress | None = None,
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
        trusted: ``per-class:N`` or a CSV file of rows known to be right.
        root: the folder of official data files; default THRESHER_DATA.
        cross_fit: folds of confident learning after training; 0 for none.
        resume: go on in `out`.
        progress: called with (fit name, record) after each epoch.
        **options: what `thresher.data.Reading` says of the data (``label="species"``, ``labels="corrected.csv"``), and
            further settings of `thresher.engine.options.Options`, for instance ``optimizer={"lr": 0.1}``.

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
    return train(job, progress or (lambda name, record: None))


def find_issues(
    data: object,
    method: str | Method | Sequence[str | Method] = "cross_entropy",
    *,
    folds: int = 5,
    epochs: int = 30,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    root: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Result:
    """Say which labels are wrong, each judged by networks that never saw it (cross-fitting).

    Args:
        data: as for `fit`.
        method: how the networks of the folds are trained.
        folds: how many; each stops early by a noisy split of its own.
        epochs: of each fold, at most.
        seed: of everything random.
        out: the run folder; default a new one under ``runs/``.
        device: auto, cpu, cpu:N, cuda, or CUDA numbers.
        root: the folder of official data files.
        resume: go on in `out`.
        progress: called with (fold name, record) after each epoch.
        **options: as for `fit`, `noise` among them.

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
        resume=resume,
        settings=settings,
    )
    return train(job, progress or (lambda name, record: None))


def parted(settings: Mapping[str, Any]) -> tuple[Reading, dict[str, Any]]:
    """What is said about reading the data, and all other settings.

    Example:
        >>> parted({"label": "species", "epochs": 5})[1]
        {'epochs': 5}
    """
    names = {field.name for field in dataclasses.fields(Reading)}
    reading = Reading(**{name: value for name, value in settings.items() if name in names})
    return reading, {name: value for name, value in settings.items() if name not in names}
