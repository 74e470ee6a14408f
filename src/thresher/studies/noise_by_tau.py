"""Noise by tau: what CDR's tau does at each noise rate, and how much it matters to know the rate.

Question: does a larger tau lessen the late drop, does it cost the best accuracy, and is a wrong tau harmful?

Source: the experiments around Xia et al., "Robust early-learning: Hindering the memorization of noisy labels", ICLR
2021: CDR with one threshold per tensor on MNIST, LeNet, 100 epochs, batch 128, SGD at 0.01, momentum 0.9, L2 of 0.001,
no augmentation, symmetric noise with exact counts that leaves the true class out; a grid of noise rates and tau, which
are independent. With ``--full`` and a GPU also ResNet-18 on CIFAR-10.

A tenth of the noisy rows is held out to choose the early-stopped epoch. The quick form trains on digits.
"""

import math
from collections.abc import Mapping
from itertools import pairwise

import pandas as pd
import torch

from thresher import data as sources
from thresher.studies import _mnist as common
from thresher.studies._figures import Panel, lines
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_SPREAD_AT = 0.4
_OFF = (0.5, 0.75, 1.0, 1.25, 1.5)
"""tau as a multiple of the true rate, for the spread."""

_FEW = "144 held-out digits choose the epoch, and a point is four of 360 test digits, so that chance moves it as far."

Cell = tuple[float, float]
"""Noise rate and tau."""


def study(lab: Lab) -> Outcome:
    """Train the grid, tabulate best, early-stopped and last, and measure the spread over a tau that is off."""
    data = common.data(lab)
    settings = common.settings(lab, valid=0.1, quick_epochs=40)
    rates = lab.choose((0.2, 0.4), (0.2, 0.4, 0.6, 0.8))
    taus = lab.choose((0.0, 0.4, 0.6, 0.8), (0.0, 0.2, 0.5, 0.8, 0.9, 0.95))
    off = [round(_SPREAD_AT * factor, 3) for factor in _OFF]
    cells = list(dict.fromkeys([*((rate, tau) for rate in rates for tau in taus), *((_SPREAD_AT, tau) for tau in off)]))
    trained = lab.train_all(
        [Training(_name(cell), common.cdr(cell[1]), data, common.noise(cell[0]), settings=settings) for cell in cells]
    )
    runs = {cell: trained[_name(cell)] for cell in cells}
    trained |= _cifar(lab)
    return Outcome(
        title="Noise by tau",
        question="Does a larger tau lessen the late drop, does it cost the best accuracy, and is a wrong tau harmful?",
        settings=common.described(
            lab,
            data,
            settings,
            noise=", ".join(f"{rate:.0%}" for rate in rates),
            method="CDR, one threshold per tensor",
        ),
        figures=_figures(runs, rates, taus, off),
        tables={"cells": _numbers(trained), "epochs": common.histories(trained)},
        claims=_claims(lab, runs, rates, taus, off),
    )


def _name(cell: Cell) -> str:
    return f"noise-{cell[0]:g}-tau-{cell[1]:g}"


def _cifar(lab: Lab) -> dict[str, Trained]:
    """ResNet-18 on CIFAR-10, where there is a GPU; its cells go into the table only."""
    if not lab.full:
        return {}
    if not torch.cuda.is_available():
        lab.notes.append("ResNet-18 on CIFAR-10 was left out, for there is no GPU.")
        return {}
    data = sources.load("cifar10", root=lab.root)
    settings = {**common.settings(lab, valid=0.1, quick_epochs=0), "net": "resnet18"}
    return lab.train_all(
        [
            Training(f"cifar10-{_name((rate, tau))}", common.cdr(tau), data, common.noise(rate), settings=settings)
            for rate in (0.2, 0.4)
            for tau in (0.0, 0.2, 0.4, 0.8)
        ]
    )


def _numbers(trained: Mapping[str, Trained]) -> pd.DataFrame:
    """Best, early-stopped and last, one row per training."""
    rows = []
    for name, run in trained.items():
        rate, _, tau = name.rpartition("noise-")[2].partition("-tau-")
        found = {"best": run.best, "early_stopped": run.early_stopped, "last": run.last}
        rows.append({"data": run.training.data.name, "noise": float(rate), "tau": float(tau), **found})
    return pd.DataFrame(rows)


def _figures(
    runs: Mapping[Cell, Trained], rates: tuple[float, ...], taus: tuple[float, ...], off: list[float]
) -> list[Figure]:
    curves = lines(
        [
            Panel(
                f"{rate:.0%} wrong labels",
                {f"{tau:g}": runs[rate, tau].history["test"] for tau in taus},
                "test accuracy",
            )
            for rate in rates
        ],
        legend="tau",
        across=2,
    )
    named = {"best": "best", "early_stopped": "early-stopped", "last": "last"}
    ends = {text: (off, [getattr(runs[_SPREAD_AT, tau], key) for tau in off]) for key, text in named.items()}
    lowest = min(value for _, values in ends.values() for value in values)
    spread = lines(
        [
            Panel(
                f"{_SPREAD_AT:.0%} wrong labels",
                ends,
                "test accuracy",
                bottom=math.floor(10 * max(lowest - 0.05, 0)) / 10,
                marks={"true rate": _SPREAD_AT},
            )
        ],
        xlabel="tau",
        whole=False,
    )
    return [
        Figure("epochs", curves, "Test accuracy after every epoch, by noise rate and tau; tau 0 is cross-entropy."),
        Figure("spread", spread, "Test accuracy when tau is from 0.5 to 1.5 times the true noise rate."),
    ]


def _claims(
    lab: Lab, runs: Mapping[Cell, Trained], rates: tuple[float, ...], taus: tuple[float, ...], off: list[float]
) -> list[Claim]:
    drops = {tau: [runs[rate, tau].best - runs[rate, tau].last for rate in rates] for tau in taus}
    mean = {tau: sum(values) / len(values) for tau, values in drops.items()}
    largest = max(taus)
    ordered = all(mean[a] + 0.01 >= mean[b] for a, b in pairwise(taus))
    gaps = {cell: runs[cell].early_stopped - runs[cell[0], 0.0].early_stopped for cell in runs if cell[1] > 0}
    widest = max(gaps, key=lambda cell: abs(gaps[cell]))
    ends = {key: [getattr(runs[_SPREAD_AT, tau], key) for tau in off] for key in ("best", "early_stopped", "last")}
    spread = {key: max(values) - min(values) for key, values in ends.items()}
    far = [cell for cell in gaps if abs(gaps[cell]) > 0.02]
    close = not far
    told = "All cells are within 2 points."
    if far:
        told = f"{len(gaps) - len(far)} of {len(gaps)} cells are within 2 points; the others have a tau of "
        told += f"{min(tau for _, tau in far):g} or more."
    steady = spread["early_stopped"] <= 0.02
    return [
        Claim(
            "A larger tau lessens the late drop.",
            "larger tau, smaller drop",
            "best minus last, mean over noise rates: " + ", ".join(f"{mean[t] * 100:.1f} at tau {t:g}" for t in taus),
            ordered and mean[largest] < mean[0.0] - 0.01,
            f"From tau 0 to {largest:g} the drop changes by {(mean[largest] - mean[0.0]) * 100:+.1f} points"
            + (", and never grows by more than 1 from one tau to the next." if ordered else ", but not steadily.")
            + _that_hardly_learn(runs),
        ),
        Claim(
            "The early-stopped accuracy hardly differs from cross-entropy's on MNIST.",
            "hardly differs",
            f"largest difference {gaps[widest] * 100:+.1f} points (noise {widest[0]:.0%}, tau {widest[1]:g})",
            close if lab.full else None,
            told if lab.full else f"This form cannot tell: {_FEW}",
        ),
        Claim(
            "CDR is insensitive to tau: from 0.5 to 1.5 times the true rate little changes.",
            "insensitive",
            ", ".join(f"{key.replace('_', '-')} spreads by {value * 100:.1f} points" for key, value in spread.items()),
            steady if lab.full else None,
            f"The early-stopped accuracy is {'' if steady else 'not '}within 2 points over all of them at "
            f"{_SPREAD_AT:.0%} noise" + ("." if lab.full else f"; {_FEW}"),
        ),
    ]


def _that_hardly_learn(runs: Mapping[Cell, Trained]) -> str:
    """A sentence about the cells that stay so low that their drop says little; empty where there are none."""
    found = [cell for cell in runs if runs[cell].best < runs[cell[0], 0.0].best / 2]
    if not found:
        return ""
    names = ", ".join(f"tau {tau:g} at {rate:.0%} noise" for rate, tau in found)
    return f" Where it hardly learns, less than half as well as cross-entropy, the drop says little: {names}."
