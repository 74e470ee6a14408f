"""Rows of a table of methods: trained one after the other, written after each, and never twice."""

import argparse
import datetime
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import thresher as th
from common import machine
from thresher import data as sources
from thresher import methods as zoo
from thresher.engine.checkpoint import write_atomically
from thresher.engine.method import hyperparameters

FIGURES = ("precision", "recall", "f1", "average_precision")
Key = tuple[str, str, int]
"""Method, noise and seed."""


def balanced(data: sources.Data, rows: int) -> sources.Data:
    """The first rows of each true class, as many of each."""
    known = data.train.labels if data.train.clean is None else data.train.clean
    each, labels = rows // len(data.classes), known.numpy()
    return data.keep(np.sort(np.concatenate([np.flatnonzero(labels == k)[:each] for k in range(len(data.classes))])))


def method_of(name: str, wrong: float, **own: Any) -> Any:
    """The method with its defaults (but for `own`), told the share of wrong labels where it asks for it."""
    asks = {field.name for field in hyperparameters(zoo.load(name))}
    return zoo.method(name, **own, **({"noise_rate": round(wrong, 3)} if "noise_rate" in asks else {}))


def row(data: sources.Data, method: Any, noise: str | None, seed: int, folder: Path, **settings: Any) -> dict[str, Any]:
    """Train once, and return the figures of one table row."""
    out = folder / "run"
    result = th.fit(data, method, noise=noise, seed=seed, out=out, **settings)
    scores = {name: result.scores[name] for name in ("last", "last10", "selected", "oracle", "best_epoch")}
    found, seconds = result.detections[0], round(result.seconds)
    shutil.rmtree(out)
    return {
        "method": result.method,
        "settings": repr(method),
        "noise": noise or data.name,
        "seed": seed,
        "sees_clean": settings.get("trusted") is not None,
        **scores,
        "realised": None if result.noise is None else result.noise.realised,
        "detector": found["name"],
        **{name: found[name] for name in FIGURES},
        "seconds": seconds,
    }


def collect(
    args: argparse.Namespace,
    wanted: Sequence[Key],
    train: Callable[[Key, Path], dict[str, Any]],
    benchmark: str,
    settings: dict[str, Any],
) -> None:
    """Train the rows that ``args.out`` lacks, and write it after each."""
    done = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    known = {(one["method"], one["noise"], one["seed"]) for one in done}
    with tempfile.TemporaryDirectory() as folder:
        for key in wanted:
            if key in known:
                continue
            done.append(train(key, Path(folder)))
            print(done[-1], flush=True)
            document = {
                "benchmark": benchmark,
                "command": "python " + " ".join("DIR" if word == args.data_root else word for word in sys.argv),
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "machine": machine(),
                "settings": settings,
                "rows": sorted(done, key=lambda one: (one["noise"], one["method"], one["seed"])),
            }
            write_atomically(args.out, (json.dumps(document, indent=1) + "\n").encode())
