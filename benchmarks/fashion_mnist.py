"""Fashion-MNIST with 40 % wrong labels: every method, LeNet, on a CPU.

    python benchmarks/fashion_mnist.py --data-root DIR --out benchmarks/results/fashion-mnist.json
        [--noise symmetric:0.4 asymmetric:0.4] [--seeds 0 1 2] [--methods elr gce ...] [--rows 10000] [--epochs 15]

Ten thousand training images, as many of each class, and the whole test set. Each method has its paper's default
settings and is told the share of wrong labels only where its paper assumes it (0.4, and 0.16 where the noise touches
four classes of ten); L2RW alone sees clean labels, ten of each class.
Images are shown as they are, and the learning rate is high and constant, so that within 15 epochs plain training does
learn wrong labels by heart; both were chosen for that, once, with cross-entropy, and serve all methods.
A row that is in the file already is not trained again, so a stopped benchmark goes on where it was.
"""

import argparse
import dataclasses
import datetime
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import thresher as th
from common import machine
from thresher import data as sources
from thresher import methods as zoo
from thresher.engine.checkpoint import write_atomically
from thresher.engine.method import hyperparameters

SETTINGS: dict[str, Any] = {
    "net": "lenet",
    "epochs": 15,
    "batch": 128,
    "optimizer": {"name": "adam", "lr": 4e-3, "weight_decay": 0.0},
    "schedule": {"name": "constant"},
}
RATE = 0.4
WRONG = {"symmetric": RATE, "asymmetric": 4 / 10 * RATE}
TRUSTED = 10
FIGURES = ("precision", "recall", "f1", "average_precision")


def balanced(root: str, rows: int) -> sources.Data:
    """The first images of each class, as many of each, and the whole test set."""
    data = sources.load("fashion_mnist", root=root)
    labels = data.train.labels.numpy()
    each = rows // len(data.classes)
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == k)[:each] for k in range(len(data.classes))]))
    return dataclasses.replace(data, train=data.train.take(chosen), augment=())


def method_of(name: str, noise: str) -> Any:
    """The method with its defaults, told the share of wrong labels where it asks for it."""
    asks = {field.name for field in hyperparameters(zoo.load(name))}
    return zoo.method(name, **({"noise_rate": WRONG[noise.partition(":")[0]]} if "noise_rate" in asks else {}))


def row(data: sources.Data, method: str, noise: str, seed: int, folder: Path, epochs: int) -> dict[str, Any]:
    """Train once, and return the figures of one table row."""
    out = folder / f"{method}-{seed}"
    chosen = method_of(method, noise)
    trusted = f"per-class:{TRUSTED}" if getattr(chosen, "needs_trusted", False) else None
    settings = {**SETTINGS, "epochs": epochs}
    result = th.fit(data, chosen, noise=noise, seed=seed, out=out, device="cpu", trusted=trusted, **settings)
    scores = {name: result.scores[name] for name in ("last", "last10", "selected", "oracle", "best_epoch")}
    found, seconds = result.detections[0], round(result.seconds)
    shutil.rmtree(out)
    return {
        "method": method,
        "settings": repr(chosen),
        "noise": noise,
        "seed": seed,
        "sees_clean": trusted is not None,
        **scores,
        "realised": None if result.noise is None else result.noise.realised,
        "detector": found["name"],
        **{name: found[name] for name in FIGURES},
        "seconds": seconds,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--noise", nargs="+", default=[f"symmetric:{RATE}", f"asymmetric:{RATE}"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=zoo.names())
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=SETTINGS["epochs"])
    return parser.parse_args()


def main() -> None:
    """Train every method, noise and seed that the file lacks; write it after each."""
    args = arguments()
    data = balanced(args.data_root, args.rows)
    done = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    known = {(one["method"], one["noise"], one["seed"]) for one in done}
    wanted = [(m, n, s) for s in args.seeds for n in args.noise for m in args.methods if (m, n, s) not in known]
    with tempfile.TemporaryDirectory() as folder:
        for method, noise, seed in wanted:
            done.append(row(data, method, noise, seed, Path(folder), args.epochs))
            print(done[-1], flush=True)
            document = {
                "benchmark": "fashion-mnist",
                "command": "python " + " ".join("DIR" if word == args.data_root else word for word in sys.argv),
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "machine": machine(),
                "settings": {
                    "data": "fashion_mnist",
                    "rows": args.rows,
                    "valid": 0.1,
                    **SETTINGS,
                    "epochs": args.epochs,
                },
                "rows": sorted(done, key=lambda one: (one["noise"], one["method"], one["seed"])),
            }
            write_atomically(args.out, (json.dumps(document, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
