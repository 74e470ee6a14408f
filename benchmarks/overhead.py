"""What each method's training step costs, over plain cross-entropy's and over the sum of its own network passes.

    python benchmarks/overhead.py [--device cpu|cuda] [--net cnn8] [--pairs 50] [--out FILE.json]

Every figure is a ratio of two things measured in turn, A B A B, in one process: machines are noisy, ratios less so.
Two runs, the method's and plain cross-entropy's, stand side by side on the same data; a short epoch of each is timed,
and the ratio is taken pair by pair. An epoch is the method's own: the shipped code path, with batches, tables, backward
and optimiser. Input is CIFAR-sized (3x32x32), random, batch 128.

`passes` are the network passes a method's step cannot do without (forward and backward count 3, a forward 1), and
`over_passes` is its measured ratio divided by theirs: what everything else costs.
"""

import argparse
import datetime
import functools
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from thresher import methods, nets
from thresher.bench import machine
from thresher.data.resident import Resident
from thresher.engine.combine import Combination
from thresher.engine.loop import one_epoch
from thresher.engine.options import resolve
from thresher.engine.run import Run
from thresher.engine.runtime import Runtime
from thresher.engine.table import Table

CLASSES, BATCH = 10, 128
STEPS = {"cpu": 1, "cuda": 8}
"""Steps per timed epoch: on a GPU one is too short for the clock, and hides what is still under way."""


CASES: dict[str, tuple[str, dict[str, Any], float]] = {
    "cross_entropy": ("cross_entropy", {}, 3),
    "label_smoothing": ("label_smoothing", {}, 3),
    "gce": ("gce", {}, 3),
    "sce": ("sce", {}, 3),
    "mixup": ("mixup", {}, 3),
    "elr": ("elr", {}, 3),
    "aum": ("aum", {}, 3),
    "small_loss": ("small_loss", {}, 3),
    "sop": ("sop", {}, 3),
    "cdr": ("cdr", {}, 3),
    "co_teaching": ("co_teaching", {}, 6),
    "l2rw, exact, 128 trusted": ("l2rw", {"score": "exact", "clean_batch": 128}, 9),
    "l2rw, exact, 16 trusted": ("l2rw", {"score": "exact", "clean_batch": 16}, 6 + 3 / 8),
    "l2rw, difference, 16 trusted": ("l2rw", {"score": "finite_difference", "clean_batch": 16}, 4 + 3 / 8),
}
"""Method, its settings, and the passes of its step in forwards of one batch; a forward-mode forward counts 3."""


def make_run(name: str, settings: dict[str, Any], net: str, device: torch.device) -> Run:
    """A run on random CIFAR-sized images with random labels; equal for equal arguments."""
    source, rows = torch.Generator().manual_seed(0), BATCH * STEPS[device.type]
    images = torch.randint(0, 256, (rows + 256, 3, 32, 32), dtype=torch.uint8, generator=source)
    labels = torch.randint(0, CLASSES, (rows + 256,), generator=source)
    trusted = torch.arange(rows, rows + 256)
    return Run(
        Combination([methods.method(name, **settings)]),
        resolve({"net": net, "batch": BATCH, "epochs": 1_000_000, "schedule": {"name": "constant"}}),
        source=Resident(images, device=device, channels_last=device.type == "cuda"),
        rows=torch.arange(rows),
        labels=labels[:rows],
        classes=CLASSES,
        factory=lambda outputs: nets.build(net, (3, 32, 32), outputs),
        runtime=Runtime(device=device),
        trusted=(trusted, labels[trusted]),
    )


def seconds_per_step(run: Run) -> float:
    """Run one epoch of the method's own loop; seconds per step."""
    synchronise(run.device)
    started = time.perf_counter()
    one_epoch(run)
    synchronise(run.device)
    return (time.perf_counter() - started) / (run.size // BATCH)


def synchronise(device: torch.device) -> None:
    """Wait for the device, where it works beside us."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compare(name: str, settings: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Ratio of a method's step to plain cross-entropy's, pair by pair."""
    device = torch.device(args.device)
    ours, plain = make_run(name, settings, args.net, device), make_run("cross_entropy", {}, args.net, device)
    for run in (ours, plain):
        seconds_per_step(run)  # first uses allocate
    ratios, steps = [], []
    for pair in range(args.pairs):
        first, second = (ours, plain) if pair % 2 else (plain, ours)
        times = {id(run): seconds_per_step(run) for run in (first, second)}
        ratios.append(times[id(ours)] / times[id(plain)])
        steps.append(times[id(ours)])
    low, median, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": round(median, 3),
        "quartiles": [round(low, 3), round(high, 3)],
        "step_ms": round(1e3 * statistics.median(steps), 3),
    }


def bookkeeping(device: torch.device) -> dict[str, float]:
    """Microseconds per batch of `batches`, inputs included, and of the inputs alone, over passes that train nothing."""
    found = {}
    for shape in ((1, 8, 8), (1, 28, 28), (3, 32, 32)):
        run = idle_run(shape, device)
        order = list(torch.split(torch.randperm(run.size), BATCH))
        label = "x".join(map(str, shape))
        found[f"batches {label}"] = per_batch(run.batches)
        found[f"inputs {label}"] = per_batch(functools.partial(run.source.open, order, ("weak",), 0))
    return found


def idle_run(shape: tuple[int, ...], device: torch.device) -> Run:
    """A run over 200 batches of random images."""
    images = torch.randint(0, 256, (BATCH * 200, *shape), dtype=torch.uint8)
    return Run(
        Combination([]),
        resolve({"net": "mlp", "batch": BATCH, "epochs": 1_000_000}),
        source=Resident(images, device=device),
        rows=torch.arange(len(images)),
        labels=torch.randint(0, CLASSES, (len(images),)),
        classes=CLASSES,
        factory=lambda outputs: nets.build("mlp", shape, outputs),
        runtime=Runtime(device=device),
    )


def per_batch(visit: Callable[[], Iterator[Any]]) -> float:
    """Median microseconds per batch over ten passes."""
    times = []
    for _ in range(11):
        started = time.perf_counter()
        count = sum(1 for _ in visit())
        times.append((time.perf_counter() - started) / count)
    return round(1e6 * statistics.median(times[1:]), 1)


def table_memory() -> dict[str, float]:
    """Peak memory of a table of 1,000,000 rows x 100, over its own size; and a batch's update at two sizes of N."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table = Table("big", torch.zeros(1_000_000, 100), size=1_000_000)
    small = Table("small", torch.zeros(10_000, 100), size=10_000)
    rows = torch.rand(BATCH, 100)
    micro = {}
    for label, one in (("1,000,000", table), ("10,000", small)):
        index = torch.randperm(one.size)[:BATCH]
        times = []
        for _ in range(200):
            started = time.perf_counter()
            one[index] = 0.9 * one[index] + 0.1 * rows
            times.append(time.perf_counter() - started)
        micro[f"update of {BATCH} rows, N {label} (us)"] = round(1e6 * statistics.median(times), 1)
    peak = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return {"peak over own size": round(peak / (table.rows.nbytes + small.rows.nbytes), 3), **micro}


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--net", default="cnn8")
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--only", default="", help="only the cases whose name begins so")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    memory = table_memory()  # first: peak memory only grows
    results: dict[str, Any] = {}
    for label, (name, settings, cost) in CASES.items():
        if not label.startswith(args.only):
            continue
        results[label] = compare(name, settings, args)
        results[label]["passes"] = round(cost / 3, 3)
        results[label]["over_passes"] = round(results[label]["ratio"] / (cost / 3), 3)
        print(f"{label:<32}{results[label]}", flush=True)
    document = {
        "benchmark": "overhead",
        "command": "python " + " ".join(sys.argv),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {"net": args.net, "input": [3, 32, 32], "batch": BATCH, "pairs": args.pairs, "seed": 0},
        "methods": results,
        "batches_us": bookkeeping(torch.device(args.device)),
        "table": memory,
    }
    print(json.dumps({"batches_us": document["batches_us"], "table": memory}, indent=1))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
