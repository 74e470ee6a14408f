"""MNIST with 60 % symmetric noise: cross-entropy and GCE with LeNet and Adam, the published recipe.

    python benchmarks/mnist_losses.py --data-root DIR [--seeds 0] [--out benchmarks/results/mnist-symmetric60.json]

LeNet, Adam at 1e-3 with weight decay 1e-3, batch 32, 20 epochs, the rate divided by 10 about every 10,000 steps: the
recipe of dmizr/phuber, whose README reports 98.0 (CE) and 98.1 (GCE) with Bernoulli noise. Here the noise has an exact
count per class, 10 % of the rows are held out to select the epoch, and no clean label is used.
"""

import argparse
import datetime
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import thresher as th
from common import machine

SETTINGS: dict[str, Any] = {
    "net": "lenet",
    "epochs": 20,
    "batch": 32,
    "optimizer": {"name": "adam", "lr": 1e-3, "weight_decay": 1e-3},
    "schedule": {"name": "multistep", "milestones": [6, 12, 18]},
    "monitor": False,
}


def row(method: str, seed: int, root: str, folder: Path) -> dict[str, Any]:
    """Train once, and return the figures of one table row."""
    out = folder / f"{method}-{seed}"
    result = th.fit("mnist", method, noise="symmetric:0.6", seed=seed, out=out, root=root, device="cpu", **SETTINGS)
    noise = result.noise
    scores = {name: result.scores[name] for name in ("last", "last10", "selected", "oracle", "best_epoch")}
    found = {
        "method": method,
        "seed": seed,
        **scores,
        "realised": None if noise is None else noise.realised,
        "seconds": round(result.seconds),
    }
    shutil.rmtree(out)
    return found


def main() -> None:
    """Train every method and seed, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for method in ("cross_entropy", "gce"):
            for seed in args.seeds:
                rows.append(row(method, seed, args.data_root, Path(folder)))
                print(rows[-1], flush=True)
    document = {
        "benchmark": "mnist-symmetric60",
        "command": "python " + " ".join("DIR" if word == args.data_root else word for word in sys.argv),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {"data": "mnist", "noise": "symmetric:0.6", "valid": 0.1, **SETTINGS},
        "rows": rows,
    }
    if args.out:
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
