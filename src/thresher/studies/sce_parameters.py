"""Parameters of symmetric cross-entropy: what alpha, the constant A and each of its two terms do.

Question: how does test accuracy under 60 % noise depend on alpha and on A, and can one of the two terms, scaled,
replace the sum?

Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, the parameter and
ablation studies on CIFAR-10: an 8-layer network, SGD at 0.01, momentum 0.9, L2 of 1e-4, a tenth of the rate after
epochs 40 and 80 of 120; beta 1, and alpha 0.1 and A = -6 where they are not varied; here 60 % symmetric noise
throughout.

The quick form trains a small network on scikit-learn's digits, half of them for testing, for 30 epochs.
"""

from typing import Any

import numpy as np
import pandas as pd

import thresher as th
from thresher.data import Data
from thresher.engine.method import Method
from thresher.studies import _classes as common
from thresher.studies._figures import Panel, lines
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_NOISE = 0.6
_ALPHAS = (0.01, 0.1, 1.0, 10.0)
_CONSTANTS = (-2.0, -4.0, -6.0, -8.0)
_SCALES = (2, 5)
_SHARE = 0.9
"""Of the best accuracy of any alpha: what shows how soon a training gets somewhere."""

Runs = dict[str, Trained]


def study(lab: Lab) -> Outcome:
    """Train cross-entropy, its reverse, both scaled, and their sum with other parameters, all on the same labels."""
    data = common.data(lab)
    settings = common.settings(lab, quick_epochs=30)
    runs = _train(lab, data, settings)
    rows = len(data.test or ())
    return Outcome(
        title="Parameters of symmetric cross-entropy",
        question="How does test accuracy under 60 % noise depend on alpha and on A, and can cross-entropy (CE) or its "
        "reverse (RCE) alone, scaled, replace their sum (SCE)?",
        settings=common.described(
            data,
            settings,
            noise=f"{_NOISE:.0%}",
            scaled="2 CE is SCE with alpha 2 and beta 0; 2 RCE is RCE with twice the constant, A = -12",
        ),
        figures=_figures(runs),
        tables={"accuracy": _numbers(runs), "epochs": _epochs(runs)},
        claims=[_overfits(runs, rows), _slow(runs), *_constant(runs, rows), _sum(runs, rows)],
    )


def trials() -> dict[str, Method]:
    """What is trained, by the name of its folder."""
    found: dict[str, Method] = {_name(alpha): common.sce(alpha) for alpha in _ALPHAS}
    found |= {_name(alpha, a): common.sce(alpha, a) for alpha in (0.1, 1.0) for a in _CONSTANTS}
    found |= {"ce": th.method("cross_entropy"), "rce": th.method("rce", log_zero=common.A)}
    found |= {f"{c}ce": th.method("sce", alpha=float(c), beta=0.0) for c in _SCALES}
    found |= {f"{c}rce": th.method("rce", log_zero=c * common.A) for c in _SCALES}
    return found


def _name(alpha: float, constant: float = common.A) -> str:
    return f"sce-{alpha:g}-A{-constant:g}"


def _train(lab: Lab, data: Data, settings: dict[str, Any]) -> Runs:
    return lab.train_all(
        [Training(name, method, data, f"symmetric:{_NOISE:g}", settings=settings) for name, method in trials().items()]
    )


def _figures(runs: Runs) -> list[Figure]:
    alphas = {f"alpha {alpha:g}": runs[_name(alpha)].history["test"] for alpha in _ALPHAS}
    constants = [{f"A = {a:g}": runs[_name(alpha, a)].history["test"] for a in _CONSTANTS} for alpha in (0.1, 1.0)]
    single = {
        "CE": "ce",
        "2 CE": "2ce",
        "5 CE": "5ce",
        "RCE": "rce",
        "2 RCE": "2rce",
        "5 RCE": "5rce",
        "SCE": _name(0.1),
    }
    parts = {label: runs[name].history["test"] for label, name in single.items()}
    plain = {label: parts[label] for label in ("SCE", "CE", "2 CE", "5 CE")}
    reverse = {label: parts[label] for label in ("SCE", "RCE", "2 RCE", "5 RCE")}
    return [
        Figure(
            "alpha",
            lines([Panel(f"SCE, beta 1, A = {common.A:g}", alphas, "test accuracy")]),
            "Test accuracy over the epochs for four values of alpha.",
        ),
        Figure(
            "constant",
            lines([Panel("alpha 0.1", constants[0], "test accuracy"), Panel("alpha 1", constants[1])]),
            "Test accuracy over the epochs for four values of A, at a small and at a large alpha.",
        ),
        Figure(
            "ablation",
            lines([Panel("CE, or the sum", plain, "test accuracy"), Panel("RCE, or the sum", reverse)]),
            "Test accuracy over the epochs with cross-entropy alone, its reverse alone, both scaled, and their sum "
            "(alpha 0.1).",
        ),
    ]


def reached(test: np.ndarray, level: float) -> int | None:
    """The first epoch (from 1) with at least that test accuracy, or None.

    Example:
        >>> reached(np.array([0.3, 0.6, 0.5]), 0.6), reached(np.array([0.3]), 0.6)
        (2, None)
    """
    there = np.flatnonzero(test >= level)
    return int(there[0]) + 1 if len(there) else None


def level(runs: Runs) -> float:
    """The accuracy that tells how soon a training gets somewhere: a share of the best that any alpha reaches."""
    return _SHARE * max(runs[_name(alpha)].best for alpha in _ALPHAS)


def _test(run: Trained) -> np.ndarray:
    return run.history["test"].to_numpy(dtype=float)


def _numbers(runs: Runs) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "trial": name,
            "best": run.best,
            "best_epoch": run.best_epoch,
            "last": run.last,
            "epoch_of_level": reached(_test(run), level(runs)),
        }
        for name, run in runs.items()
    )


def _epochs(runs: Runs) -> pd.DataFrame:
    parts = [run.history[["epoch", "loss", "test"]].assign(trial=name) for name, run in runs.items()]
    return pd.concat(parts, ignore_index=True)[["trial", "epoch", "loss", "test"]]


def _overfits(runs: Runs, rows: int) -> Claim:
    small, large = runs[_name(0.1)], runs[_name(10.0)]
    falls = {alpha: runs[_name(alpha)].best - runs[_name(alpha)].last for alpha in _ALPHAS}
    error = common.error(small.last, large.last, rows=rows)
    holds = falls[10.0] > falls[0.1] and small.last - large.last > 2 * error
    return Claim(
        "A large alpha overfits.",
        "large alpha overfits",
        "best minus last epoch: " + ", ".join(f"{100 * fall:.1f} points at {alpha:g}" for alpha, fall in falls.items()),
        holds,
        f"With alpha 10 the last epoch is at {large.last:.1%}, with 0.1 at {small.last:.1%}"
        + (", and the fall from the best is larger." if holds else "; that is no clear overfitting of the larger."),
    )


def _slow(runs: Runs) -> Claim:
    when = {alpha: reached(_test(runs[_name(alpha)]), level(runs)) for alpha in _ALPHAS}
    epochs = {alpha: np.inf if epoch is None else epoch for alpha, epoch in when.items()}
    holds = bool(epochs[0.01] > epochs[0.1] and epochs[0.01] > epochs[1.0])
    said = ", ".join(f"{'never' if epoch is None else epoch} at {alpha:g}" for alpha, epoch in when.items())
    return Claim(
        "A small alpha converges slowly.",
        "small alpha converges slowly",
        f"first epoch with {level(runs):.1%} test accuracy, {_SHARE:.0%} of the best of any alpha: {said}",
        holds,
        "The smallest alpha is the last of the three up to 1 to get there."
        if holds
        else "The smallest alpha is not the last of the three up to 1 to get there.",
    )


def spread(runs: Runs, alpha: float) -> float:
    """The largest minus the smallest last test accuracy over the values of A."""
    last = [runs[_name(alpha, a)].last for a in _CONSTANTS]
    return max(last) - min(last)


def _constant(runs: Runs, rows: int) -> list[Claim]:
    """At a small alpha A hardly matters, at a large one it does."""
    claims = []
    for alpha, matters in ((0.1, False), (1.0, True)):
        last = {a: runs[_name(alpha, a)].last for a in _CONSTANTS}
        error = common.error(*([float(np.mean(list(last.values())))] * 2), rows=rows)
        found = spread(runs, alpha) > 4 * error
        values = ", ".join(f"{value:.1%} at {a:g}" for a, value in last.items())
        claims.append(
            Claim(
                f"At alpha {alpha:g} SCE is {'sensitive' if matters else 'insensitive'} to A.",
                "sensitive" if matters else "insensitive",
                f"spread {100 * spread(runs, alpha):.1f} points of the last epoch ({values}); two accuracies differ by "
                f"{100 * error:.1f} by chance of the test images alone",
                found == matters,
                f"One training each: the spread is {'more' if found else 'not more'} than four times what the test "
                "images let it be by chance.",
            )
        )
    return claims


def _sum(runs: Runs, rows: int) -> Claim:
    both = runs[_name(0.1)]
    rivals = {name: runs[name] for name in ("ce", "2ce", "5ce", "rce", "2rce", "5rce")}
    last, best = max(rivals.values(), key=lambda run: run.last), max(rivals.values(), key=lambda run: run.best)
    ahead = both.last - last.last
    clear = abs(ahead) > 2 * common.error(both.last, last.last, rows=rows)
    shown = ", ".join(f"{name} {run.last:.1%} ({run.best:.1%})" for name, run in rivals.items())
    return Claim(
        "Scaling CE or RCE alone does not replace their sum.",
        "the sum is best",
        f"last epoch (best epoch): SCE {both.last:.1%} ({both.best:.1%}), {shown}",
        ahead > 0 if clear else None,
        f"At the end the sum is {common.points(ahead)} from the best single term, {last.training.name}, which is "
        f"{'more' if clear else 'not more'} than two standard errors; at its best epoch it is "
        f"{common.points(both.best - best.best)} from {best.training.name}.",
    )
