"""How well the noise rate and the transition matrix are estimated: confident learning and anchor points.

    python benchmarks/noise_estimation.py --data-root DIR --out benchmarks/results/noise-estimation.json
        [--data digits mnist fashion_mnist] [--noise symmetric:0.2 ...] [--seeds 0 1 2] [--rows 10000] [--epochs 30]

Both read the same probabilities: those of ``thresher find`` with its default settings, plain cross-entropy in five
folds, each stopped early by a noisy split of its own, so that no network judges a row that it learned from. Of MNIST
and Fashion-MNIST 10,000 images, as many of each class; of the digits all. The truth is what the generator really did:

- `rate_error`: estimated minus realised share of wrong labels; anchors give 1 minus the mean of the diagonal, which is
  that share where classes are balanced, as they are here;
- `matrix_error`: mean absolute difference over all entries of T[true, given];
- `row_distance`, `worst_row`: total variation between the rows of the two matrices, their mean and the largest.

Instance noise has no matrix of its own; the realised one is that of its counts. A row that is in the file already is
not measured again.
"""

import argparse
import datetime
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import thresher as th
from thresher import data as sources
from thresher.audit.anchors import anchor_transition
from thresher.bench import balanced, machine, typed
from thresher.disk import write_atomically
from thresher.engine.runtime import Runtime
from thresher.engine.study import Study
from thresher.findings import cross_fitted
from thresher.inputs import open_inputs
from thresher.jobs import Job, prepare
from thresher.training import material

FOLDS = 5
NOISES = [f"{name}:{rate}" for name in ("symmetric", "asymmetric", "pairflip", "instance") for rate in (0.2, 0.4)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", nargs="+", default=["digits", "mnist", "fashion_mnist"])
    parser.add_argument("--noise", nargs="+", default=NOISES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=30)
    return parser.parse_args()


def probabilities(job: Job) -> np.ndarray:
    """What `thresher find` goes by: out-of-sample class probabilities, float32 ``[N, K]``."""
    runtime = Runtime.start(job.request.device)
    study = Study(job.method, job.options, material(job, runtime, open_inputs(job, runtime.device)), runtime)
    return cross_fitted(study, job.rows, job.data, FOLDS, study.rest, job.options.epochs)


def by_confident_learning(labels: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of wrong labels and T[true, given] from the estimated joint; a true class without mass stays itself."""
    joint = th.estimate_joint(labels, p).T
    mass = joint.sum(1, keepdims=True)
    matrix = np.where(mass > 0, joint / np.where(mass > 0, mass, 1), np.eye(len(joint)))
    return 1 - float(np.trace(joint)), matrix


def by_anchors(labels: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """T from anchor points; the share of wrong labels from its diagonal, for balanced classes."""
    matrix = anchor_transition(p)
    return 1 - float(np.mean(np.diag(matrix))), matrix


ESTIMATORS = {"confident": by_confident_learning, "anchors": by_anchors}


def measured(name: str, data: sources.Data, spec: str, seed: int, epochs: int, folder: Path) -> list[dict[str, Any]]:
    """One row per estimator."""
    began = time.perf_counter()
    job = prepare(
        data,
        "cross_entropy",
        noise=spec,
        out=folder / "run",
        device="cpu",
        cross_fit=FOLDS,
        kind="find",
        settings={"seed": seed, "epochs": epochs},
    )
    noise, p = job.noise, probabilities(job)
    if noise is None:
        raise ValueError(f"{name} has no noise to estimate")
    facts = {"data": name, "noise": spec, "seed": seed, "net": job.options.net, "realised": noise.realised}
    facts |= {"accuracy": float(np.mean(p.argmax(1) == noise.clean)), "seconds": round(time.perf_counter() - began)}
    rows = []
    for estimator, estimate in ESTIMATORS.items():
        rate, matrix = estimate(noise.labels, p)
        off = np.abs(matrix - noise.matrix)
        distance = off.sum(1) / 2
        rows.append(
            {
                **facts,
                "estimator": estimator,
                "rate": rate,
                "rate_error": rate - noise.realised,
                "matrix_error": float(off.mean()),
                "row_distance": float(distance.mean()),
                "worst_row": float(distance.max()),
            }
        )
    return rows


def write(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    document = {
        "benchmark": "noise-estimation",
        "command": "python " + typed(sys.argv, args.data_root),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {"rows": args.rows, "folds": FOLDS, "epochs": args.epochs, "method": "cross_entropy"},
        "rows": sorted(rows, key=lambda one: (one["data"], one["noise"], one["estimator"], one["seed"])),
    }
    write_atomically(args.out, (json.dumps(document, indent=1) + "\n").encode())


def main() -> None:
    """Measure every data set, noise and seed that the file lacks."""
    args = arguments()
    rows = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    known = {(one["data"], one["noise"], one["seed"]) for one in rows}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.data:
            data = sources.load(name, root=args.data_root)
            data = balanced(data, None if name == "digits" else args.rows)
            for seed, spec in ((seed, spec) for seed in args.seeds for spec in args.noise):
                if (name, spec, seed) not in known:
                    rows += measured(name, data, spec, seed, args.epochs, Path(folder))
                    print(*rows[-len(ESTIMATORS) :], sep="\n", flush=True)
                    write(args, rows)


if __name__ == "__main__":
    main()
