"""From a job to a finished run folder: train, find the suspects, report."""

import datetime
import json
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from thresher import nets
from thresher.data.delimited import as_csv
from thresher.disk import plain_disk_errors, write_atomically
from thresher.engine.checkpoint import Interrupted
from thresher.engine.evaluate import Held, predict_rows
from thresher.engine.runtime import PeerLost, Runtime
from thresher.engine.study import Material, Study
from thresher.findings import Findings, find, find_by_folds, stored
from thresher.inputs import Inputs, open_inputs
from thresher.jobs import Job
from thresher.jobs.sameness import ROWS
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
        net = nets.build(inputs.net, shape, outputs, job.options.dropout)
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
        found, tested = _outcome(study, job)
        if runtime.rank == 0:
            if tested is not None:
                write_atomically(job.folder / TEST, as_csv(tested).encode())
            stored.write(job.folder, found)
            write_atomically(job.folder / "issues.csv", as_csv(found.issues).encode())
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


def _outcome(study: Study, job: Job) -> tuple[Findings, pd.DataFrame | None]:
    """What is known about the labels, and what the selected epoch predicts for the test set where there is one."""
    asked = job.request
    if asked.kind == "find":
        return find_by_folds(study, job.data, job.trusted, asked.cross_fit, asked.model), None
    run = study.run()
    found = find(study, run, job.data, job.held, job.trusted, asked.cross_fit)
    held, test = study.material.test, job.data.test
    if held is None or test is None:
        return found, None
    p, predicted = predict_rows(run, held.source, held.rows).cpu().max(1)
    names = np.asarray(job.data.classes, dtype=object)
    labels = names[test.labels.numpy()]
    columns = {"key": test.keys, "label": labels, "predicted": names[predicted.numpy()], "p_predicted": p.numpy()}
    return found, pd.DataFrame(columns)


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
    write_atomically(job.folder / ROWS, as_csv(job.data.marks()).encode())
    if job.data.reader is not None:
        write_reader(job.folder / READER, job.data.reader)
    if inputs.frozen is not None:
        write_atomically(job.folder / BODY, inputs.frozen.saved())
    if job.labelling.before is not None:
        changes = label_changes(job)
        write_atomically(job.folder / CHANGES, as_csv(changes).encode())
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
