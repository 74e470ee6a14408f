"""How well wrong labels are found: every single score, their combination, and cleanlab's scores beside them.

    python benchmarks/detection.py --data-root DIR --cache DIR --out benchmarks/results/detection.json
        [--sets bank-symmetric ...] [--seeds 0 1] [--rows 5000]

Each set is judged once by the shipped path, which takes minutes: five folds of plain cross-entropy, each stopped early
by a noisy split of its own (`thresher.findings.folds.out_of_sample`: probabilities, and ten neighbours among the rows
of other folds), and one plain training on all rows, whose predictions after every epoch give the margin, the loss and
the history. That is kept in ``--cache``; scores are computed from it each time, cleanlab's from the same probabilities.

- `bank-*`, `trec-symmetric`, `fashion-*`: clean labels made wrong by Thresher's generators. `trec-rules`, `sms-rules`:
  the majority of hand-written labelling functions, ties drawn, texts without a vote left out. `cifar10n-*`,
  `cifar100n`: labels by people, on features of a one-layer network that was trained here without labels (k-means of
  whitened patches: Coates, Lee and Ng, "An analysis of single-layer networks in unsupervised feature learning",
  AISTATS 2011).
- `ap` is the average precision of the ranking; `f1` that of what the score itself calls wrong (from the cut of the
  highest expected F1 on for the combination, cleanlab's filters for cleanlab's scores); `best_f1` that of the best
  cut, which needs the truth.
- `over_best_single`: average precision of the combination minus that of the best single score of this row, cleanlab's
  three rankings among them; `over_adjusted`: minus that of its margin with ``adjust_pred_probs``, off by default there.
- `calibration`: Brier score, log-loss, expected calibration error and the bins of the reliability diagram of p_wrong.

The combination was developed on seeds 0 to 2: first on tables, texts and clothes of seed 0; then its estimate of the
noise was changed when it failed on others (trec-rules, bank-symmetric, cifar10n-aggre, fashion-instance). Seed 3 was
run once, when nothing changed any more but the cut (half of the highest expected F1 instead of 0.5), which was chosen
by looking at seeds 0 and 3: for average precision, its rows have the role "report". Nothing is tuned per set.
"""

import argparse
import datetime
import json
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import precision_recall_curve

from detection_sets import SETS, Recipe, Source
from thresher import methods
from thresher.audit.calibrate import best_cut, calibration
from thresher.audit.combine import combine
from thresher.audit.evidence import Evidence, confident_evidence
from thresher.audit.history import HISTORY, History
from thresher.audit.neighbours import Neighbours
from thresher.audit.neighbours.votes import neighbour_evidence, neighbour_votes
from thresher.audit.scores import detection
from thresher.bench import machine, typed
from thresher.disk import write_atomically
from thresher.engine.run import Run
from thresher.engine.runtime import Runtime
from thresher.engine.study import Study
from thresher.findings.folds import out_of_sample
from thresher.findings.witnesses import of_run
from thresher.inputs import open_inputs
from thresher.jobs import prepare
from thresher.training import material

FOLDS = 5
UNSEEN = 3
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
ADJUSTED = "adjusted normalized_margin"
FILTERS = {"self_confidence": "low_self_confidence", "normalized_margin": "low_normalized_margin"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True, type=Path)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--rows", type=int, default=5000, help="images of each set of images")
    return parser.parse_args()


# ---- what is known about the labels


@dataclass(frozen=True)
class Watch:
    """Keeps the predictions that the monitor made after each epoch but the last."""

    family = "detection"
    seen: list[np.ndarray] = field(default_factory=list)

    def between(self, run: Run) -> None:
        if "monitor.predicted" in run.tables:
            self.seen.append(predicted(run))


def predicted(run: Run) -> np.ndarray:
    return run.table("monitor.predicted").full().cpu().numpy().copy()


def judge(recipe: Recipe, source: Source, folder: Path) -> dict[str, np.ndarray]:
    """Train the folds and the plain network: the arrays that all scores are computed from."""
    began = time.perf_counter()
    data = recipe.load(source)
    settings = {"seed": source.seed, "epochs": recipe.epochs, "net": recipe.net}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "of the .* rows labelled")  # bank at 20 %: most labelled yes are no
        job = prepare(
            data, "cross_entropy", noise=recipe.noise, mapping=recipe.mapping, out=folder / "run", device="cpu",
            cross_fit=FOLDS, kind="find", settings=settings,
        )  # fmt: skip
    runtime = Runtime.start("cpu")
    study = Study(job.method, job.options, material(job, runtime, open_inputs(job, runtime.device)), runtime)
    found = out_of_sample(study, job.rows, job.data, FOLDS, methods=study.rest, epochs=recipe.epochs)
    watch = Watch()
    run = study.fit("plain", methods.method("cross_entropy"), watch, monitor=True)
    if found.neighbours is None or study.material.clean is None:
        raise ValueError("too few rows for neighbours, or no truth to compare with")
    margin, loss = (one.score for one in of_run(study.method, run))
    return {
        "labels": study.material.labels.numpy(),
        "truth": study.material.clean.numpy(),
        "p": found.probabilities,
        "index": found.neighbours.index,
        "distance": found.neighbours.distance,
        "margin": margin,
        "loss": loss,
        "predicted": np.stack([*watch.seen, predicted(run)]).astype(np.int16),
        "seconds": np.array(round(time.perf_counter() - began)),
    }


def kept(name: str, seed: int, args: argparse.Namespace) -> dict[str, np.ndarray]:
    """The same from the cache, or put there."""
    rows = f"-{args.rows}" if name.startswith(("fashion", "cifar")) else ""
    path = args.cache / f"{name}{rows}-seed{seed}.npz"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            arrays = judge(SETS[name], Source(args.data_root, args.cache, args.rows, seed), Path(folder))
        np.savez_compressed(path, allow_pickle=False, **arrays)
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


# ---- scores


def witnesses(found: dict[str, np.ndarray]) -> tuple[list[Evidence], list[Evidence], np.ndarray]:
    """Thresher's single scores: those combined, all others, and the neighbours' votes."""
    labels, p = found["labels"], found["p"]
    near = Neighbours(found["index"], found["distance"])
    history = History.start(len(labels))
    for epoch in found["predicted"]:
        history = history.after(epoch, labels)
    further = [Evidence("margin", found["margin"]), Evidence("loss", found["loss"])]
    names = [str(k) for k in range(p.shape[1])]
    alone = [confident_evidence(labels, p), neighbour_evidence(near, labels, names), *history.evidence()]
    return further, alone, neighbour_votes(near, labels, p.shape[1])


def quality(flagged: np.ndarray, score: np.ndarray, wrong: np.ndarray) -> dict[str, float | None]:
    """Average precision, F1 of the flags, and F1 of the best cut."""
    measured = detection(flagged, score, wrong)
    precision, recall, _ = precision_recall_curve(wrong, score)
    best = float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())
    return {"ap": measured["average_precision"], "f1": measured["f1"], "best_f1": best}


def ap(measured: dict[str, float | None]) -> float:
    return measured["ap"] or 0.0


def of_cleanlab(labels: np.ndarray, p: np.ndarray, wrong: np.ndarray) -> dict[str, dict[str, float | None]]:
    """The rankings of cleanlab, each with the filter of its name or, where there is none, the default one."""
    p = p / p.sum(axis=1, keepdims=True, dtype=np.float64)
    scores = {}
    for name in CLEANLAB:
        mask = find_label_issues(labels, p, filter_by=FILTERS.get(name, "prune_by_noise_rate"), n_jobs=1)
        scores[name] = quality(mask, -get_label_quality_scores(labels, p, method=name), wrong)
    adjusted = get_label_quality_scores(labels, p, method="normalized_margin", adjust_pred_probs=True)
    mask = find_label_issues(labels, p, n_jobs=1)
    scores[ADJUSTED] = quality(mask, -adjusted, wrong)
    return scores


def measured(name: str, seed: int, found: dict[str, np.ndarray]) -> dict[str, Any]:
    """One row of the table."""
    labels, truth, p = (found[key] for key in ("labels", "truth", "p"))
    wrong = labels != truth
    further, alone, votes = witnesses(found)
    combined = combine(further, labels, p, votes=votes)
    without = combine([], labels, p, votes=votes)
    history = [replace(one, name=f"also {one.name}") for one in alone if one.name in HISTORY]
    more = combine([*further, *history], labels, p, votes=votes)
    single = {one.name: quality(one.flagged, one.score, wrong) for one in (*further, *alone)}
    theirs = of_cleanlab(labels, p, wrong)
    whole = quality(combined.p_wrong >= best_cut(combined.p_wrong), combined.p_wrong, wrong)
    return {
        "data": name,
        "seed": seed,
        "role": "report" if seed >= UNSEEN else "development",
        "rows": len(labels),
        "classes": p.shape[1],
        "realised": float(wrong.mean()),
        "accuracy": {
            "model": float((p.argmax(1) == truth).mean()),
            "neighbours": float((votes.argmax(1) == truth).mean()),
            "belief": float((combined.belief.argmax(1) == truth).mean()),
        },
        "thresher": single,
        "cleanlab": theirs,
        "combined": whole,
        "without_training": quality(without.p_wrong >= best_cut(without.p_wrong), without.p_wrong, wrong),
        "with_history": quality(more.p_wrong >= best_cut(more.p_wrong), more.p_wrong, wrong),
        "over_best_single": ap(whole) - max(ap(one) for name, one in (single | theirs).items() if name != ADJUSTED),
        "over_adjusted": ap(whole) - ap(theirs[ADJUSTED]),
        "weights": combined.weights,
        "rate": combined.rate,
        "calibration": calibration(combined.p_wrong, wrong),
        "seconds": int(found["seconds"]),
    }


def write(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    document = {
        "benchmark": "detection",
        "command": "python " + typed(sys.argv, args.data_root, args.cache),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "protocol": " ".join(__doc__.split("\n\n", 2)[2].split()),
        "settings": {
            "folds": FOLDS,
            "method": "cross_entropy",
            "sets": {
                name: {"net": one.net, "epochs": one.epochs, "noise": one.noise, "map": one.mapping}
                for name, one in SETS.items()
            },
        },
        "rows": sorted(rows, key=lambda one: (one["data"], one["seed"])),
    }
    write_atomically(args.out, (json.dumps(document, indent=1) + "\n").encode())


def main() -> None:
    """Judge what the cache lacks, and score everything again."""
    args = arguments()
    args.cache.mkdir(parents=True, exist_ok=True)
    rows = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    for seed in args.seeds:
        for name in args.sets:
            row = measured(name, seed, kept(name, seed, args))
            rows = [one for one in rows if (one["data"], one["seed"]) != (name, seed)] + [row]
            print(f"{name} {seed}: combined {row['combined']['ap']:.3f}, over the best single score", end=" ")
            print(f"{row['over_best_single']:+.3f}; rate {row['rate']:.3f} of {row['realised']:.3f}", flush=True)
            write(args, rows)


if __name__ == "__main__":
    main()
