"""What CDR's step costs on the weights of a ResNet-50 (23.5 million), over plain SGD's, and the official procedure's.

    python benchmarks/cdr_step.py [--device cpu|cuda] [--batch 32] [--pairs 15] [--out FILE.json]

Every figure is a ratio of two things measured in turn, A B A B, in one process; see overhead.py. Per mode:

* `full`: forward, backward and step on 3x32x32 images, over the same with plain SGD;
* `step`: the step alone, on gradients that are there already, over plain SGD's alone;
* `memory`: what the first step allocates at its peak more than plain SGD's, over the size of the gradient.

`official by topk` and `official by sort` are the authors' procedure written out: the scores of all weights of two or
four dimensions are concatenated, the largest are taken (or all sorted), and every gradient is masked and scaled.
"""

import argparse
import datetime
import functools
import itertools
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import thresher as th
from thresher import nets
from thresher.bench import machine

TAU = 0.2
MODES: dict[str, dict[str, Any]] = {
    "official": {"mode": "official"},
    "paper": {"mode": "paper"},
    "per_tensor": {"mode": "per_tensor"},
    "sampled": {"mode": "sampled"},
    "paper, sum": {"mode": "paper", "criterion": "sum"},
    "paper, random": {"mode": "paper", "criterion": "random"},
    "official, from 10,000 entries": {"mode": "official", "sample": 10_000},
}
WRITTEN_OUT = ("official by topk", "official by sort")
LIMITS = {"full": 1.10, "memory": 1.0}
"""What the project asks for."""


@torch.no_grad()
def written_out(net: nn.Module, by_sort: bool) -> None:
    """The official procedure, from its description: one global ranking, then mask and scale."""
    weights = [p for p in net.parameters() if p.dim() in (2, 4) and p.grad is not None]
    metric = torch.cat([(p * gradient(p)).abs().flatten() for p in weights])
    kept = int((1 - TAU) * len(metric))
    threshold = metric.sort(descending=True).values[kept - 1] if by_sort else torch.topk(metric, kept).values[-1]
    for p in weights:
        p.grad = ((p * gradient(p)).abs() >= threshold).to(p) * (1 - TAU) * gradient(p)


def gradient(p: Tensor) -> Tensor:
    assert p.grad is not None  # noqa: S101 - after backward
    return p.grad


class Trainer:
    """A network, one batch, and steps with plain SGD, with CDR, or with the procedure written out."""

    def __init__(self, name: str, device: torch.device, batch: int) -> None:
        torch.manual_seed(0)
        self.net, self.device = nets.build("resnet50", (3, 32, 32), 10).to(device), device
        self.x = torch.randn(batch, 3, 32, 32, device=device)
        self.y = torch.randint(10, (batch,), device=device)
        own = name in MODES and MODES[name]["mode"] == "paper"
        sgd = torch.optim.SGD(self.net.parameters(), 1e-3, 0.9, weight_decay=0.0 if own else 1e-3)
        self.before: Callable[[], None] = lambda: None
        self.optimizer: torch.optim.Optimizer = sgd
        if name in MODES:
            self.optimizer = th.as_optimizer(th.method("cdr", noise_rate=TAU, **MODES[name]), sgd)
        elif name in WRITTEN_OUT:
            self.before = functools.partial(written_out, self.net, name.endswith("sort"))

    def backward(self) -> None:
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.net(self.x)[1], self.y).backward()

    def step(self) -> None:
        self.before()
        self.optimizer.step()

    def full(self) -> None:
        self.backward()
        self.step()

    def draw_gradients(self) -> None:
        """Random gradients of the weights' size, without a backward pass that would need more memory than a step."""
        for p in self.net.parameters():
            p.grad = torch.randn_like(p).mul_(1e-3)

    def seconds(self, work: Callable[[], None]) -> float:
        self.wait()
        started = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - started

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def compare(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Ratios to plain SGD, pair by pair."""
    ours, plain = (Trainer(one, torch.device(args.device), args.batch) for one in (name, "plain"))
    times: dict[str, list[tuple[float, float]]] = {"full": [], "step": []}
    for trainer in (ours, plain):
        trainer.full()  # first uses allocate
    for pair in range(args.pairs):
        order = (ours, plain) if pair % 2 else (plain, ours)
        full = {id(one): one.seconds(one.full) for one in order}
        for one in order:
            one.draw_gradients()
        step = {id(one): one.seconds(one.step) for one in order}
        times["full"].append((full[id(ours)], full[id(plain)]))
        times["step"].append((step[id(ours)], step[id(plain)]))
    found: dict[str, Any] = {}
    for what, pairs in times.items():
        low, median, high = statistics.quantiles([a / b for a, b in pairs], n=4)
        found[what] = {
            "ratio": round(median, 3),
            "quartiles": [round(low, 3), round(high, 3)],
            "ms": round(1e3 * statistics.median(a for a, _ in pairs), 1),
            "plain_ms": round(1e3 * statistics.median(b for _, b in pairs), 1),
        }
    return found


def memory(name: str, device: torch.device) -> float:
    """What a step allocates at its peak more than the plain optimiser inside does, over the size of the gradient."""
    trainer = Trainer(name, device, 1)
    size = sum(p.nbytes for p in trainer.net.parameters())
    plain: torch.optim.Optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    peaks = []
    for step in (plain.step, plain.step, trainer.step):  # the first one makes the momentum
        trainer.draw_gradients()
        peaks.append(peak(step, device))
    return round((peaks[2] - peaks[1]) / size, 3)


def peak(step: Callable[[], Any], device: torch.device) -> int:
    """Bytes that a step allocates at its peak; on the CPU torch's own and numpy's, each from its allocator's events."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    profile: Any
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True, acc_events=True) as profile:
        tracemalloc.start()
        step()
        others = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    events = profile.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    return others + int(max(itertools.accumulate(change for _, change in changes), default=0))


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--only", default="", help="only the cases whose name begins so")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results: dict[str, Any] = {}
    for name in (*MODES, *WRITTEN_OUT):
        if not name.startswith(args.only):
            continue
        results[name] = {"memory": memory(name, torch.device(args.device)), **compare(name, args)}
        print(f"{name:<32}{results[name]}", flush=True)
    document = {
        "benchmark": "cdr_step",
        "command": "python " + " ".join(sys.argv),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {
            "net": "resnet50",
            "weights": sum(p.numel() for p in nets.build("resnet50", (3, 32, 32), 10).parameters()),
            "input": [3, 32, 32],
            **{"batch": args.batch, "pairs": args.pairs, "tau": TAU, "device": args.device, "limits": LIMITS},
        },
        "cases": results,
    }
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
