"""CIFAR-10N: labels that people got wrong, and how well the methods find them.

    python benchmarks/cifar10n.py --data-root DIR --out benchmarks/results/cifar10n-worse-cpu.json
        [--labels worse] [--rows 5000] [--epochs 12] [--net cnn8] [--seeds 0] [--methods ...] [--device cpu]

As many images of each true class; detection is scored against the official labels, which no method sees. With
``--rows 50000 --device cuda`` the whole set is trained on. Methods that ask for the share of wrong labels get that of
the data. A row that is in the file already is not trained again.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from rows import Key, balanced, collect, method_of, row
from thresher import data as sources

METHODS = ("cross_entropy", "gce", "elr", "co_teaching", "dividemix")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", default="worse")
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--net", default="cnn8")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def main() -> None:
    """Train every method and seed that the file lacks."""
    args = arguments()
    name = f"cifar10n:{args.labels}"
    data = balanced(sources.load(name, root=args.data_root), args.rows)
    clean = data.train.clean
    wrong = 0.0 if clean is None else float(np.mean(clean.numpy() != data.train.labels.numpy()))
    settings: dict[str, Any] = {"net": args.net, "epochs": args.epochs, "batch": 128, "optimizer": {"lr": 0.05}}

    def train(key: Key, folder: Path) -> dict[str, Any]:
        method, _, seed = key
        own = {"warm_up": max(1, args.epochs // 3)} if method == "dividemix" and args.epochs < 30 else {}
        return row(data, method_of(method, wrong, **own), None, seed, folder, device=args.device, **settings)

    wanted = [(method, name, seed) for seed in args.seeds for method in args.methods]
    collect(args, wanted, train, f"cifar10n-{args.labels}", {"data": name, "rows": args.rows, "valid": 0.1, **settings})


if __name__ == "__main__":
    main()
