"""How fast `nearest` finds exact neighbours, beside scikit-learn's brute force and faiss's flat index.

    python benchmarks/neighbours.py [--pairs 5] [--out FILE.json]

One process, one thread count, float32 features drawn at random, k = 10, Euclidean. The searches are timed in turn, and
the ratios are taken round by round: machines are noisy, ratios less so. Seconds of the processor are reported, which
other people's work disturbs less than seconds of the clock.
"""

import argparse
import datetime
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from thresher.audit.neighbours import nearest
from thresher.bench import machine

CASES = ((50_000, 128), (10_000, 512))
K = 10


def by_sklearn(features: np.ndarray) -> np.ndarray:
    found = NearestNeighbors(n_neighbors=K + 1, algorithm="brute").fit(features).kneighbors(features)[1]
    return np.asarray(found[:, 1:])


def by_faiss(features: np.ndarray) -> np.ndarray:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatL2(features.shape[1])
    index.add(features)
    return np.asarray(index.search(features, K + 1)[1][:, 1:])


def ours(features: np.ndarray) -> np.ndarray:
    return nearest(features, K, metric="euclidean", backend="exact").index


def ours_with_faiss(features: np.ndarray) -> np.ndarray:
    return nearest(features, K, metric="euclidean", backend="faiss").index


def searches() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What is compared; faiss where it is installed."""
    try:
        import faiss  # noqa: F401
    except ImportError:
        return {"thresher": ours, "scikit-learn": by_sklearn}
    return {"thresher": ours, "thresher with faiss": ours_with_faiss, "scikit-learn": by_sklearn, "faiss": by_faiss}


def compare(rows: int, width: int, rounds: int) -> dict[str, Any]:
    """Seconds, and times as long as ours, by the median over rounds; and how often all name the same neighbours."""
    features = np.random.default_rng(0).standard_normal((rows, width), dtype=np.float32)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in searches()}
    found = {}
    for number in range(rounds):
        names = list(times)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            processor, clock = time.process_time(), time.perf_counter()
            found[name] = searches()[name](features)
            times[name].append((time.process_time() - processor, time.perf_counter() - clock))
    result: dict[str, Any] = {}
    for name, pairs in times.items():
        ratios = [theirs[0] / own[0] for theirs, own in zip(pairs, times["thresher"], strict=True)]
        result[name] = {
            "processor_s": round(statistics.median(processor for processor, _ in pairs), 2),
            "clock_s": round(statistics.median(clock for _, clock in pairs), 2),
            "times_ours": round(statistics.median(ratios), 2),
            "same_neighbours": round(float((found[name] == found["thresher"]).mean()), 6),
        }
    return result


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="rounds")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results = {}
    with threadpool_limits(torch.get_num_threads()):
        for rows, width in CASES:
            results[f"{rows} x {width}"] = compare(rows, width, args.pairs)
            print(f"{rows} x {width}: {results[f'{rows} x {width}']}", flush=True)
    document = {
        "benchmark": "neighbours",
        "command": "python " + " ".join(sys.argv),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {"k": K, "metric": "euclidean", "rounds": args.pairs, "seed": 0},
        "searches": results,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
