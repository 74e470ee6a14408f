"""From a job to a finished run folder: train, find the suspects, report."""

import datetime
import json
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from thresher import nets
from thresher.data.resident import Resident
from thresher.engine.checkpoint import Interrupted, plain_disk_errors, write_atomically
from thresher.engine.evaluate import Held
from thresher.engine.method import Method
from thresher.engine.runtime import PeerLost, Runtime
from thresher.engine.study import Material, Study
from thresher.findings import find
from thresher.jobs import Job, prepare
from thresher.result import Result, load, read_run

Progress = Callable[[str | None, dict[str, Any]], None]


def material(job: Job, runtime: Runtime) -> Material:
    """What the trainings of a job share, on the device."""
    data, device = job.data, runtime.device
    on_gpu = device.type == "cuda"
    source = Resident(data.train.inputs, augment=data.augment, device=device, channels_last=on_gpu)
    labels = data.train.labels
    held, rows = torch.as_tensor(job.held), torch.as_tensor(job.rows)
    test = None
    if data.test is not None:
        shown = Resident(data.test.inputs, device=device, moments=source.moments, channels_last=on_gpu)
        test = Held(shown, torch.arange(len(data.test)), data.test.labels.to(device))
    trusted = torch.as_tensor(job.trusted)
    return Material(
        source=source,
        rows=rows,
        labels=labels[rows],
        classes=len(data.classes),
        factory=lambda outputs: nets.build(job.options.net, source.shape, outputs),
        valid=Held(source, held, labels[held].to(device)) if len(held) else None,
        test=test,
        clean=None if data.train.clean is None else data.train.clean[rows],
        trusted=(trusted, labels[trusted]) if len(trusted) else None,
    )


def train(job: Job, progress: Progress = lambda name, record: None) -> Result:
    """Train a job, find suspects, and write the run folder with its report.

    Args:
        job: from `prepare` or `resumed`.
        progress: called with the fit's name (None for the result's own training) and the record of each epoch.

    Raises:
        Interrupted: a signal asked to stop; a checkpoint was taken.
    """
    runtime = Runtime.start(job.device, job.options.precision)
    shared = material(job, runtime)
    if runtime.rank == 0:
        _write_start(job, shared)
    runtime.barrier()
    shown = progress if runtime.rank == 0 else _silent
    study = Study(
        job.method, job.options, shared, runtime, job.folder, shown, lambda text: warnings.warn(text, stacklevel=2)
    )
    try:
        run = study.run()
        findings = find(study, run, job.data, job.held, job.trusted, job.cross_fit)
        if runtime.rank == 0:
            write_atomically(job.folder / "issues.csv", findings.issues.to_csv(index=False).encode())
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


def _go_on(job: Job) -> str:
    """How to go on with a run that was stopped."""
    if job.source is None:
        return f"go on with th.fit(..., out={str(job.folder)!r}, resume=True)"
    return f"go on with: thresher train --resume {shlex.quote(str(job.folder))}"


def _silent(name: str | None, record: dict[str, Any]) -> None:
    """Progress of a process that is not the first."""


def _write_start(job: Job, shared: Material) -> None:
    with plain_disk_errors(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)
    started = read_run(job.folder) if job.resume else {}
    mean, std = shared.source.moments  # type: ignore[attr-defined]
    record = {
        **job.described(),
        "moments": {"mean": mean.tolist(), "std": std.tolist()},
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    record |= {name: started[name] for name in ("command", "started") if name in started}
    write_atomically(job.folder / "run.json", json.dumps(record, indent=1).encode())
    if job.noise is not None and not (job.folder / "noise.npz").exists():
        with plain_disk_errors(job.folder):
            job.noise.save(job.folder / "noise.npz")


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
        data: a known name ("digits"), a ``.npz`` file, arrays ``(x, y)`` or ``(x, y, x_test, y_test)``.
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
        **options: further settings of `thresher.engine.options.Options`, for instance
            ``optimizer={"lr": 0.1}``.

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
    job = prepare(
        data,
        method,
        noise=noise,
        out=out,
        device=device,
        trusted=trusted,
        root=root,
        cross_fit=cross_fit,
        resume=resume,
        settings=settings,
    )
    return train(job, progress or (lambda name, record: None))
