"""CDR's criterion over time, and the sampled threshold beside the exact one.

Question: does <grad L, W>, of which each abs(g w) is a part, go to zero as training settles? Is the sampled threshold
more accurate and faster than the exact one?

Source: the experiments around Xia et al., "Robust early-learning: Hindering the memorization of noisy labels", ICLR
2021. Let G(t) = L(tW); then G'(1) = <grad L, W>, which is 0 at an optimum. What is minimised has an L2 term too, so
that training settles at <grad L, W> = -decay <W, W> instead. MNIST, LeNet, 100 epochs, batch 128, SGD at 0.01,
momentum 0.9, L2 of 0.001, no augmentation, symmetric noise of 20 % with exact counts that leaves the true class out.
The sampled threshold (a later variant of the source's code) looks at the first 10,000 entries of a large tensor, keeps
far fewer than 1 - tau of it, and leaves out the factor 1 - tau.

The sums run over the first 2,048 training rows with their given labels, all parameters, in evaluation mode. The quick
form trains on digits. Seconds are measured on the machine at hand, on one thread.
"""

import statistics
import time
from collections.abc import Mapping

import pandas as pd
import torch
from torch import nn

from thresher import nets
from thresher.engine.drop_in import as_optimizer
from thresher.engine.method import Method
from thresher.studies import _mnist as common
from thresher.studies._figures import Panel, lines
from thresher.studies._probes import Balance, effective
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_RATE = 0.2
_TAUS = (0.2, 0.8)
_REPEATS = 15


def study(lab: Lab) -> Outcome:
    """Follow <grad L, W> over epochs, and compare the two thresholds in accuracy and step time."""
    data = common.data(lab)
    settings = common.settings(lab, valid=0.1, quick_epochs=40)
    methods: dict[str, tuple[float, Method | str]] = {
        "cross-entropy, clean": (0.0, "cross_entropy"),
        "cross-entropy": (_RATE, "cross_entropy"),
        **{f"exact, tau {tau:g}": (_RATE, common.cdr(tau)) for tau in _TAUS},
        **{f"sampled, tau {tau:g}": (_RATE, common.cdr(tau, mode="sampled")) for tau in _TAUS},
    }
    probes = (Balance(), effective)
    trained = lab.train_all(
        [
            Training(_folder(name), method, data, common.noise(rate), probes, settings)
            for name, (rate, method) in methods.items()
        ]
    )
    runs = {name: trained[_folder(name)] for name in methods}
    seconds = step_times(lab.choose(("lenet",), ("lenet", "resnet50")))
    decay = settings["optimizer"]["weight_decay"]
    return Outcome(
        title="CDR's criterion over time",
        question="Does <grad L, W>, of which each abs(g w) is a part, go to zero as training settles? Is the sampled "
        "threshold more accurate and faster than the exact one?",
        settings=common.described(
            lab, data, settings, noise=f"{_RATE:.0%}", method="CDR, exact per tensor, and sampled"
        ),
        figures=_figures(runs, decay),
        tables={"accuracy": _numbers(runs), "step-times": seconds, "epochs": common.histories(trained)},
        claims=[_balance_claim(runs, decay), _accuracy_claim(lab, runs), _speed_claim(seconds)],
    )


def _folder(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def step_times(networks: tuple[str, ...]) -> pd.DataFrame:
    """Median seconds of one optimiser step on one thread: plain SGD, CDR's exact threshold, and its sampled one.

    Args:
        networks: names of `thresher.nets`; random gradients, no forward or backward pass.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return pd.DataFrame(_timed(name) for name in networks)
    finally:
        torch.set_num_threads(threads)


def _timed(network: str) -> dict[str, float | str | int]:
    net = nets.build(network, (1, common.SIDE, common.SIDE), 10)
    draws = torch.Generator().manual_seed(0)
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=draws) * 1e-3
    gradients = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    ways = {
        "plain": _sgd(net),
        **{way: as_optimizer(common.cdr(0.2, mode=mode), _sgd(net)) for way, mode in _MODES.items()},
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(_REPEATS + 2):
        for way, optimizer in ways.items():
            for p, gradient in zip(net.parameters(), gradients, strict=True):
                p.grad = gradient.clone()
            started = time.perf_counter()
            optimizer.step()
            seconds[way].append(time.perf_counter() - started)
    medians = {way: statistics.median(some[2:]) for way, some in seconds.items()}  # the first two allocate
    return {"net": network, "weights": sum(p.numel() for p in net.parameters()), **medians}


_MODES = {"exact": "per_tensor", "sampled": "sampled"}


def _sgd(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=1e-3)


def _figures(runs: Mapping[str, Trained], decay: float) -> list[Figure]:
    over = {name: run.history for name, run in runs.items()}
    shown = {name: over[name] for name in ("cross-entropy, clean", "cross-entropy", f"exact, tau {max(_TAUS):g}")}
    products = {name: history["gw"] for name, history in shown.items()}
    rest = {name: history["gw"] + decay * history["w2"] for name, history in shown.items()}
    scores = {name: history["gw_abs"] for name, history in shown.items()}
    sums = lines(
        [
            Panel("<grad L, W>", products, "sum of g w", percent=False, level={"optimum of L": 0.0}),
            Panel("with L2: <grad, W>", rest, "sum of g w + decay w w", percent=False, level={"optimum": 0.0}),
            Panel("Scores", scores, "sum of abs(g w)", percent=False, log=True),
        ],
        order=list(over),
    )
    noisy = {name: history for name, history in over.items() if "clean" not in name}
    accuracy = lines(
        [
            Panel("Test accuracy", {name: history["test"] for name, history in noisy.items()}),
            Panel("Weights above 0.001", {name: history["effective"] for name, history in noisy.items()}),
        ],
        order=list(over),
    )
    return [
        Figure(
            "balance",
            sums,
            "The inner product of gradient and weights, what is left when L2 is counted, and the sum of scores.",
        ),
        Figure("accuracy", accuracy, "20 % wrong labels: exact and sampled threshold beside cross-entropy."),
    ]


def _numbers(runs: Mapping[str, Trained]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "training": name,
            "best": run.best,
            "early_stopped": run.early_stopped,
            "last": run.last,
            **{key: float(run.history[key].iloc[-1]) for key in ("gw", "gw_abs", "w2", "effective")},
        }
        for name, run in runs.items()
    )


def _balance_claim(runs: Mapping[str, Trained], decay: float) -> Claim:
    history = runs["cross-entropy, clean"].history
    size, end = history["gw"].abs(), history.iloc[-1]
    peak = float(size.max())
    rest = float(end["gw"] + decay * end["w2"])
    late = float(size.iloc[-max(1, len(size) // 10) :].mean())
    holds = late < 0.1 * peak
    return Claim(
        "The sum of g w is 0 at an optimum, so it shrinks as training settles.",
        "derived, not measured",
        f"clean labels: largest {peak:.3g}, mean over the last tenth {late:.3g}; last epoch {float(end['gw']):.3g}, "
        f"{rest:.3g} when L2 is counted",
        holds,
        "It falls below a tenth of its largest value."
        if holds
        else "It does not fall below a tenth of its largest value: L2 holds the weights off the optimum of L.",
    )


def _accuracy_claim(lab: Lab, runs: Mapping[str, Trained]) -> Claim:
    gains = {
        (key, tau): getattr(runs[f"sampled, tau {tau:g}"], key) - getattr(runs[f"exact, tau {tau:g}"], key)
        for key in ("early_stopped", "last")
        for tau in _TAUS
    }
    better = all(gain > 0 for gain in gains.values())
    said = ", ".join(f"{g * 100:+.1f} points {key.replace('_', '-')} at tau {tau:g}" for (key, tau), g in gains.items())
    return Claim(
        "The sampled threshold is more accurate than the exact one.",
        "more accurate",
        f"sampled minus exact: {said}",
        better if lab.full or not better else None,
        "It is ahead in every cell; it also keeps a smaller share of large tensors than 1 - tau."
        if better
        else "It is not ahead in every cell.",
    )


def _speed_claim(seconds: pd.DataFrame) -> Claim:
    row = seconds.iloc[-1]
    faster = bool(row["sampled"] < row["exact"])
    exact, sampled = row["exact"] - row["plain"], row["sampled"] - row["plain"]
    return Claim(
        "The sampled threshold is faster.",
        "faster",
        f"one optimiser step on {row['net']}: {row['exact'] * 1000:.2f} ms exact, "
        f"{row['sampled'] * 1000:.2f} ms sampled, {row['plain'] * 1000:.2f} ms plain SGD",
        faster,
        f"It takes {sampled / exact:.0%} of what the exact one adds to plain SGD's step."
        if exact > 0
        else "What CDR adds to plain SGD's step is too little to be measured.",
    )
