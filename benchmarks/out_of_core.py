"""Seconds and memory of finding wrong labels in files: many rows out of core, and the command line on a million.

    python benchmarks/out_of_core.py [--rows 100000000] [--classes 10] [--folder DIR] [--out FILE.json]

The probabilities (float32) are made once, in --folder or a temporary one: softmax of normal logits, +3 for a class that
is the true one in nine rows of ten, and a fifth of the labels drawn anew. Each measurement is a fresh process, whose
`peak_mib` is the largest resident memory that the system saw, imports included; `processor_seconds` are its user and
system time. `steps` are the seconds of the passes. Files that were just written or read are mostly in the page cache.

`command` is `thresher find --labels y.npy --probs p.npy --out issues.csv` with every row in the list, from the start of
the process to its end, on a million rows of float32 and of float64.

`load` is the load average of the machine when a measurement began: on a busy machine seconds are too many.
"""

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

STEP = 1 << 18
MILLION = 1_000_000

_CHILD = """
import json, resource, sys, time
started = time.perf_counter()
from thresher.audit.streaming import find_label_issues_in_files
steps, now = {}, ["import", started]
def progress(step, done, of):
    if step != now[0]:
        steps[now[0]] = round(time.perf_counter() - now[1], 2)
        now[:] = [step, time.perf_counter()]
found = find_label_issues_in_files(*sys.argv[1:3], progress=progress, **json.loads(sys.argv[3]))
steps[now[0]] = round(time.perf_counter() - now[1], 2)
use = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": round(time.perf_counter() - started, 1), "peak_mib": round(use.ru_maxrss / 1024),
    "processor_seconds": round(use.ru_utime + use.ru_stime, 1), "steps": steps, "suspects": found.suspects,
    "torch_imported": "torch" in sys.modules}))
"""


def make(folder: Path, rows: int, classes: int, dtype: str = "float32", seed: int = 0) -> tuple[Path, Path]:
    """Labels and probabilities, written piece by piece; files that are there already are kept."""
    paths = folder / f"y-{rows}-{classes}.npy", folder / f"p-{rows}-{classes}-{dtype}.npy"
    if all(path.exists() for path in paths):
        return paths
    draws = np.random.default_rng(seed)
    shapes: list[tuple[int, ...]] = [(rows,), (rows, classes)]
    with paths[0].open("wb") as one, paths[1].open("wb") as other:
        for file, kind, shape in zip((one, other), ("int64", dtype), shapes, strict=True):
            descr = np.lib.format.dtype_to_descr(np.dtype(kind))
            np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
        for low in range(0, rows, STEP):
            count = min(STEP, rows - low)
            true = draws.integers(0, classes, count)
            labels = np.where(draws.random(count) < 0.2, draws.integers(0, classes, count), true)
            seen = np.where(draws.random(count) < 0.9, true, draws.integers(0, classes, count))
            p = draws.standard_normal((count, classes), dtype=np.float32)
            p[np.arange(count), seen] += 3
            np.exp(p, out=p)
            p /= p.sum(axis=1, keepdims=True)
            one.write(labels.astype(np.int64).tobytes())
            other.write(p.astype(dtype).tobytes())
    return paths


def searched(paths: tuple[Path, Path], **how: Any) -> dict[str, Any]:
    """One search in a process of its own."""
    load = round(os.getloadavg()[0], 1)
    words = [sys.executable, "-c", _CHILD, *map(str, paths), json.dumps(how)]
    told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {**json.loads(told), "load": load}


def command(paths: tuple[Path, Path], out: Path) -> dict[str, Any]:
    """`thresher find` from start to end."""
    load = round(os.getloadavg()[0], 1)
    words = [sys.executable, "-m", "thresher", "find", "--labels", str(paths[0]), "--probs", str(paths[1])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run([*words, "--out", str(out), "--quiet"], check=True, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with out.open("rb") as file:
        lines = sum(1 for _ in file)
    return {"seconds": round(seconds, 2), "processor_seconds": round(used, 2), "lines": lines, "load": load}


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """All measurements; what they write is removed."""
    results: dict[str, Any] = {"command": {}}
    for dtype in ("float32", "float64"):
        million = make(folder, MILLION, args.classes, dtype)
        runs = []
        for _ in range(args.repeats):
            runs.append(command(million, folder / "issues.csv"))
            (folder / "issues.csv").unlink()
        results["command"][dtype] = min(runs, key=lambda run: run["seconds"])
    paths = make(folder, args.rows, args.classes)
    outputs: dict[str, dict[str, str]] = {
        "mask": {"out": str(folder / "mask.npy")},
        "suspects listed": {"issues": str(folder / "suspects.csv")},
    }
    for name, how in outputs.items():
        results[name] = searched(paths, **how)
        for path in how.values():
            Path(path).unlink()
    return results


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="for the data, which is kept; default one that is removed")
    parser.add_argument("--repeats", type=int, default=3, help="of the command; the fastest counts")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        results = measure(args.folder or Path(made), args)
    from thresher.bench import machine, typed  # after the measurements, for it brings torch

    document = {
        "benchmark": "out_of_core",
        "command": "python " + typed(sys.argv, args.folder),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {"rows": args.rows, "classes": args.classes, "dtype": "float32", "repeats": args.repeats},
        "results": results,
    }
    print(json.dumps(results, indent=1))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
