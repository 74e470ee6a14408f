"""What `th.find_label_issues` takes beside cleanlab's: seconds and extra memory, in turn, on the same arrays.

    python benchmarks/label_issues.py [--pairs 9] [--sizes 1000000x10,100000x100,50000x1000] [--out FILE.json]

Every figure is a ratio of two things measured in turn, A B A B, in one process; see overhead.py. Theirs is cleanlab
with one process and with its default (one per core), and the ratio is to the faster of the two. All flag the same
rows, which is checked. `extra` is what one call adds to the peak resident memory of a fresh process that holds the
arrays already, over `allowed`: a tenth of the probabilities and eight bytes a row. Theirs is measured with one process,
for its others would not count.

Labels: a fifth drawn at random; probabilities: softmax of Gaussian noise with the true class raised by 3 + log(K / 10)
in 85 % of rows.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZES = ((1_000_000, 10), (100_000, 100), (50_000, 1_000))
ASKED = {(1_000_000, 10): 8.0, (100_000, 100): 5.0, (50_000, 1_000): 2.5}
"""How many times faster the default filter is asked to be."""

DTYPES = ("float64", "float32")
FILTERS = (
    *("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"),
    *("low_normalized_margin", "low_self_confidence"),
)


def draw(rows: int, classes: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels ``[N]`` and probabilities ``[N, K]``, made block by block so that the peak is theirs alone."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, rows)
    labels = np.where(rng.random(rows) < 0.2, rng.integers(0, classes, rows), true)
    said = np.where(rng.random(rows) < 0.85, true, rng.integers(0, classes, rows))
    result = np.empty((rows, classes), dtype=dtype)
    for start in range(0, rows, 10_000):
        z = rng.normal(size=(min(10_000, rows - start), classes))
        z[np.arange(len(z)), said[start : start + len(z)]] += 3 + np.log(classes / 10)
        np.exp(z, out=z)
        result[start : start + len(z)] = z / z.sum(axis=1, keepdims=True)
    return labels, result


def contestants() -> dict[str, Callable[..., np.ndarray]]:
    """The three, under the names that stand in the results."""
    from cleanlab.filter import find_label_issues as theirs

    from thresher.audit.labels import find_label_issues as ours

    return {
        "ours": ours,
        "one process": lambda *arrays, **options: np.asarray(theirs(*arrays, n_jobs=1, **options)),
        "default": lambda *arrays, **options: np.asarray(theirs(*arrays, **options)),
    }


def compare(rows: int, classes: int, dtype: str, how: str, pairs: int) -> dict[str, Any]:
    """Seconds of the three and the ratio to the faster of theirs, round by round."""
    arrays, found = draw(rows, classes, dtype), {}
    times: dict[str, list[float]] = {name: [] for name in contestants()}
    for turn in range(pairs + 1):
        for name in list(times) if turn % 2 else reversed(times):
            started = time.perf_counter()
            found[name] = contestants()[name](*arrays, filter_by=how)
            times[name].append(time.perf_counter() - started)
    seconds = {name: statistics.median(each[1:]) for name, each in times.items()}  # the first round warms up
    faster = min("one process", "default", key=lambda name: seconds[name])
    ratios = [b / a for a, b in zip(times["ours"][1:], times[faster][1:], strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": round(median, 2),
        "quartiles": [round(low, 2), round(high, 2)],
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "flagged": int(found["ours"].sum()),
        "equal": all(np.array_equal(found["ours"], mask) for mask in found.values()),
    }


def extra(rows: int, classes: int, dtype: str, how: str) -> dict[str, float]:
    """Peak memory that one call adds, over what is allowed, each in a process of its own."""
    allowed = 0.1 * rows * classes * np.dtype(dtype).itemsize + 8 * rows
    result = {"allowed_mib": round(allowed / 2**20, 2)}
    for name in ("ours", "one process"):
        command = [sys.executable, __file__, "--peak", f"{rows}x{classes}", dtype, how, name]
        peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        result[f"{name}_mib"] = round(peak / 2**20, 2)
        result[f"{name}_over_allowed"] = round(peak / allowed, 2)
    return result


def peak(size: str, dtype: str, how: str, name: str) -> int:
    """Bytes that one call adds to the peak of this process; a small call before it loads what it needs."""
    rows, classes = map(int, size.split("x"))
    call = contestants()[name]
    call(*draw(2_000, 10, dtype), filter_by=how)
    labels, probabilities = draw(rows, classes, dtype)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    call(labels, probabilities, filter_by=how)
    return max(0, resident("VmHWM") - before)


def resident(field: str) -> int:
    """A line of this process's own status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def cases(sizes: list[tuple[int, int]], pairs: int) -> dict[str, dict[str, Any]]:
    """The default filter at every size and precision, and the other filters at float64 with fewer rounds."""
    results: dict[str, dict[str, Any]] = {}
    for rows, classes in sizes:
        for dtype, how in [*((dtype, FILTERS[0]) for dtype in DTYPES), *(("float64", how) for how in FILTERS[1:])]:
            label = f"{rows:,} x {classes:,} {dtype} {how}"
            rounds = pairs if how == FILTERS[0] else max(3, pairs // 3)
            results[label] = {"asked": ASKED.get((rows, classes)) if how == FILTERS[0] else None}
            results[label] |= compare(rows, classes, dtype, how, rounds)
            if how == FILTERS[0]:
                results[label]["extra"] = extra(rows, classes, dtype, how)
            print(f"{label:<58}{results[label]}", flush=True)
    return results


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--sizes", default=",".join(f"{rows}x{classes}" for rows, classes in SIZES))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # theirs warns of rare classes
    if args.peak:
        print(peak(*args.peak))
        return
    sizes = [(int(rows), int(classes)) for rows, classes in (one.split("x") for one in args.sizes.split(","))]
    results = cases(sizes, args.pairs)
    from thresher.bench import machine  # imports torch: not before the measurements

    document = {
        "benchmark": "label_issues",
        "command": "python " + " ".join(sys.argv),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {**machine(), "load": os.getloadavg()[0]},
        "settings": {"cleanlab": importlib.metadata.version("cleanlab"), "pairs": args.pairs, "seed": 0},
        "cases": results,
    }
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
