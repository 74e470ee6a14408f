"""Suites trained row by row: written after each row, gone on with after a stop, and never trained twice."""

import dataclasses
import datetime
import functools
import json
import multiprocessing
import os
import platform
import shlex
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thresher import data as sources
from thresher import methods as zoo
from thresher.api import fit
from thresher.data import Data
from thresher.disk import write_atomically
from thresher.engine.checkpoint import Interrupted
from thresher.engine.method import Method, hyperparameters
from thresher.errors import ThresherError, UsageError
from thresher.jobs import versions
from thresher.labelling import labelled
from thresher.recipes import METRICS
from thresher.suites import Cell, Suite

FIGURES = ("last", "last10", "selected", "oracle", "best_epoch")
DETECTION = ("precision", "recall", "f1", "average_precision")


def machine() -> dict[str, Any]:
    """Processor, GPU, threads and versions: what stands beside every measured figure."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": named[0] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def typed(words: Sequence[str], *folders: object) -> str:
    """What was typed, with folders that only this machine has called DIR, whichever way they were given.

    Args:
        words: program and arguments.
        folders: their values; None is none.

    Example:
        >>> typed(["thresher", "bench", "--data-root=data/", "--out", "data"], "data")
        'thresher bench --data-root=DIR --out DIR'
    """
    known = {Path(str(folder)) for folder in folders if folder is not None}

    def hidden(word: str) -> str:
        name, equals, value = word.partition("=")
        if Path(word) in known:
            return "DIR"
        return f"{name}=DIR" if equals and Path(value) in known else word

    return shlex.join(map(hidden, words))


def balanced(data: Data, rows: int | None) -> Data:
    """The first rows of each true class, as many of each; all rows for None.

    Raises:
        UsageError: a class has too few.
    """
    if rows is None:
        return data
    known = data.train.labels if data.train.clean is None else data.train.clean
    each, labels = rows // len(data.classes), known.numpy()
    chosen = [np.flatnonzero(labels == k)[:each] for k in range(len(data.classes))]
    if min(map(len, chosen)) < max(each, 1):
        raise UsageError(f"{data.name} has not {each} rows of each of its {len(data.classes)} classes: ask for fewer")
    return data.keep(np.sort(np.concatenate(chosen)))


@functools.cache
def _loaded(name: str, rows: int | None, root: str | None) -> Data:
    return balanced(sources.load(name, root=root), rows)


def _told(cell: Cell, data: Data) -> Method:
    """The method of a cell; one that asks for the share of wrong labels is told that of the draw, or the rate named."""
    fields = dict(cell.fields)
    asks = "noise_rate" in {p.name for p in hyperparameters(zoo.load(cell.method))}
    which = fields.get("noise_rate", "realised")
    if asks and which in ("realised", "nominal"):
        noise, mapping = [cell.noise] if cell.noise else [], cell.settings.get("mapping")
        drawn = labelled(data, noise=noise, mapping=mapping, seed=cell.seed).noise
        fields["noise_rate"] = 0.0 if drawn is None else round(getattr(drawn, which), 3)
    return zoo.method(cell.method, **fields)


def measure(cell: Cell, *, root: str | None = None, device: str = "auto") -> dict[str, Any]:
    """Train one cell by the shipped path, and return its row of the table.

    Args:
        cell: of a suite.
        root: the folder of official data files.
        device: as `thresher.fit` takes it.

    Returns:
        ``data, noise, method, seed`` (the cell's key); ``settings``, the method as typed in Python; ``sees_clean``; the
        test accuracies ``last, last10, selected, oracle`` (leaks) and ``best_epoch``; the share of wrong labels
        ``realised``; the ``detector`` and its ``precision, recall, f1, average_precision``; ``seconds``.
    """
    data = _loaded(cell.data, cell.rows, root)
    method = _told(cell, data)
    trusted = cell.trusted if getattr(method, "needs_trusted", False) else None
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            data, method, noise=cell.noise, seed=cell.seed, trusted=trusted, device=device, out=Path(folder) / "run",
            **cell.settings,
        )  # fmt: skip
        names, found = ("data", "noise", "method", "seed"), result.detections
        return {
            **dict(zip(names, cell.key, strict=True)),
            "settings": repr(method),
            "sees_clean": trusted is not None,
            **{name: result.scores[name] for name in FIGURES},
            "realised": None if result.noise is None else result.noise.realised,
            "detector": found[0]["name"] if found else None,
            **{name: found[0][name] if found else None for name in DETECTION},
            "seconds": round(result.seconds),
        }


def narrowed(
    suite: Suite, *, labels: Sequence[str] = (), seeds: Sequence[int] = (), rows: int | None = None, epochs: int = 0
) -> Suite:
    """A suite with only some rows of its table, or at a smaller size.

    Args:
        suite: to take from.
        labels: rows of the table; none means all.
        seeds: instead of the suite's.
        rows: training rows of every data set, as many of each class.
        epochs: of every training.

    Raises:
        UsageError: a label that the suite does not have.
    """
    if unknown := [label for label in labels if label not in suite.methods]:
        raise UsageError(f"{suite.name} has no row {unknown[0]!r}: its rows are {'; '.join(suite.methods)}")
    changes = {**({"rows": rows} if rows else {}), **({"epochs": epochs} if epochs else {})}
    return dataclasses.replace(
        suite,
        methods={label: fields for label, fields in suite.methods.items() if not labels or label in labels},
        seeds=tuple(seeds) or suite.seeds,
        blocks=tuple({**block, **changes, **({"seeds": list(seeds)} if seeds else {})} for block in suite.blocks),
    )


def run(
    suite: Suite,
    out: Path,
    *,
    command: str,
    root: str | None = None,
    device: str = "auto",
    jobs: int = 1,
    progress: Callable[[dict[str, Any], int, int], None] = lambda row, done, of: None,
) -> dict[str, Any]:
    """Train every cell that the file lacks, and write it after each.

    Args:
        suite: what to train.
        out: a JSON file, new or of the same suite.
        command: what was typed, for the record.
        root: the folder of official data files.
        device: of every training.
        jobs: trainings at a time, each in a process of its own with its share of the processor's threads.
        progress: called with each new row, the number of rows done, and of all.

    Returns:
        The document: ``benchmark, title, protocol, command, date, machine, blocks, methods, published, rows``.

    Raises:
        UsageError: the file holds something else.
    """
    document = _document(suite, out, command)
    known = {_key(row) for row in document["rows"]}
    cells = list(suite.cells())
    missing = [cell for cell in cells if cell.key not in known]
    for row in _rows(missing, root, device, jobs):
        document["rows"] = sorted([*document["rows"], row], key=_key)
        document |= {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "machine": machine()}
        if jobs > 1:
            document["machine"]["threads"] = _threads(jobs)
        write_atomically(out, (json.dumps(document, indent=1) + "\n").encode())
        progress(row, len(document["rows"]), len({*known, *(cell.key for cell in cells)}))
    return document


def _key(row: Mapping[str, Any]) -> tuple[str, str, str, int]:
    return row["data"], row["noise"], row["method"], row["seed"]


def _document(suite: Suite, out: Path, command: str) -> dict[str, Any]:
    """A new document, or the one to go on with."""
    blocks = [{key: value for key, value in block.items() if key != "seeds"} for block in suite.blocks]
    content = {
        "benchmark": suite.name,
        "title": suite.title,
        "protocol": suite.protocol,
        "command": command,
        "date": "",
        "machine": machine(),
        "blocks": blocks,
        "methods": suite.methods,
        "published": [dict(one) for one in suite.published],
        "rows": [],
    }
    fresh: dict[str, Any] = json.loads(json.dumps(content))  # as it will be read again
    if not out.exists():
        if not out.parent.is_dir():
            raise UsageError(f"there is no folder {out.parent} for {out.name}: make it, or name a file elsewhere")
        return fresh
    try:
        old = json.loads(out.read_text(encoding="utf-8"))
        same = (old["benchmark"], old["blocks"]) == (suite.name, fresh["blocks"])
        before = old.get("methods", {})  # of other rows of the table, too
        methods = {**before, **fresh["methods"]}
        same = same and {**methods, **before} == methods
        rows = [row for row in old["rows"] if _key(row)]
    except (ValueError, LookupError, TypeError, OSError) as error:
        raise UsageError(f"{out} is there, and holds no results of a suite: name another file with --out") from error
    if not same:
        raise UsageError(f"{out} holds results of another suite, or of other settings: name another file with --out")
    return {**fresh, "methods": methods, "rows": rows}


def _threads(jobs: int) -> int:
    return max(1, (os.cpu_count() or 1) // jobs)


def _rows(cells: Sequence[Cell], root: str | None, device: str, jobs: int) -> Iterator[dict[str, Any]]:
    if jobs == 1:
        yield from (measure(cell, root=root, device=device) for cell in cells)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (_threads(jobs),)) as pool:
        futures = [pool.submit(_measured, cell, root, device) for cell in cells]
        try:
            yield from (future.result() for future in as_completed(futures))
        except BrokenProcessPool as error:
            raise ThresherError(
                "a process that trained has ended, perhaps for want of memory: type the same again with --jobs 1"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _measured(cell: Cell, root: str | None, device: str) -> dict[str, Any]:
    """`measure` in a process of its own, which ends when it is told to instead of training the next cell."""
    try:
        return measure(cell, root=root, device=device)
    except Interrupted:
        os._exit(1)


def mean_and_spread(values: Iterable[float | None]) -> tuple[float, float] | None:
    """Mean and sample deviation over seeds (0 of a single one); None where nothing is known.

    Example:
        >>> mean_and_spread([0.5, 0.7]), mean_and_spread([None])
        ((0.6, 0.14142135623730948), None)
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    return statistics.mean(known), statistics.stdev(known) if len(known) > 1 else 0.0


def summary(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line per data, noise and method: means and spreads over seeds, and the published figure where there is one.

    Args:
        document: of `run`.

    Returns:
        ``data, noise, method, seeds``; ``last, last10, selected, oracle, average_precision, f1, realised``, each (mean,
        deviation) or None; ``published``: an entry of the suite, or None; ``difference``: ours minus it, by its metric.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in document["rows"]:
        groups.setdefault(_key(row)[:3], []).append(row)
    known = {(one["data"], one["noise"], one["method"]): one for one in document["published"]}
    figures = ("last", "last10", "selected", "oracle", "average_precision", "f1", "realised")
    lines = [
        {
            **dict(zip(("data", "noise", "method"), key, strict=True)),
            "seeds": len(rows),
            "sees_clean": rows[0]["sees_clean"],
            "detector": rows[0]["detector"],
            **{name: mean_and_spread(row[name] for row in rows) for name in figures},
            "published": known.get(key),
        }
        for key, rows in groups.items()
    ]
    return [{**line, "difference": _difference(line, line["published"])} for line in lines]


def _difference(line: Mapping[str, Any], published: Mapping[str, Any] | None) -> float | None:
    ours = None if published is None else line[METRICS[published["metric"]]]
    return None if published is None or ours is None else ours[0] - published["value"]
