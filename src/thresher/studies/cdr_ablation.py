"""CDR's parts: the factor 1 - tau, L1 against L2, the criterion, and why effective parameters drop in steps.

Question: which part of CDR does the work, and when do the weights that may not learn vanish?

Source: the experiments around Xia et al., "Robust early-learning: Hindering the memorization of noisy labels", ICLR
2021: CDR with one threshold per tensor on MNIST with 20 % symmetric noise (exact counts, true class left out), LeNet,
100 epochs, batch 128, SGD at 0.01, momentum 0.9, L2 of 0.001, no augmentation. Criteria: A is abs(g w), B is abs(g) +
abs(w), C is a fixed random mask of share tau per tensor. A parameter is effective when its absolute value is above
0.001.

The steps. A layer's weights start uniform within 1 / sqrt(fan_in). Weights that only decay shrink by the factor 1 - lr
* decay / (1 - momentum) per step, all at the same rate, so that the last of a layer falls below 0.001 at the epoch
ln(fan_in^-0.5 / 0.001) / (lr * decay / (1 - momentum) * steps per epoch).

The factor and L1 against L2 hold out a tenth of the noisy rows, which choose the early-stopped epoch. The criteria
train on all rows, for the prediction counts 469 steps in an epoch. The quick form trains on digits, the criteria there
with a decay that makes all of it happen within its few epochs.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from thresher.data import Data
from thresher.studies import _mnist as common
from thresher.studies._figures import Panel, lines
from thresher.studies._probes import ALIVE, effective
from thresher.studies.lab import Lab, Trained, Training
from thresher.studies.page import Claim, Figure, Outcome

_RATE = 0.2
_FACTOR_TAUS = (0.2, 0.8, 0.9)
_L1_TAUS = ((0.0, 0.2, 0.5), (0.0, 0.2, 0.8))
_CRITERIA_TAUS = ((0.2, 0.35, 0.5), (0.2, 0.5, 0.8))
"""Of the quick form, where a network of digits learns nothing at 0.8, and of the full one."""
_CRITERIA = {"A": "product", "B": "sum", "C": "random"}
_STEPPED = ("A", "C")
"""Criteria whose layers are looked at one by one."""
_DECAY = 0.02
"""L2 of the criteria in the quick form."""
LAYERS = {"conv1": 25, "conv2": 150, "fc1": 400, "fc2": 120, "head": 84}
"""Layers of the network and their fan-in."""


def study(lab: Lab) -> Outcome:
    """Train the parts of CDR one by one."""
    data = common.data(lab)
    settings = common.settings(lab, valid=0.1, quick_epochs=30)
    every = common.settings(lab, valid=0.0, quick_epochs=30, decay=lab.choose(_DECAY, 1e-3))
    held_out = _held_out(data, settings, lab.choose(*_L1_TAUS))
    trained = lab.train_all([*held_out, *_on_all_rows(data, every, lab.choose(*_CRITERIA_TAUS))])
    kinks = predicted(every, len(data.train))
    parts = _parts(trained)
    return Outcome(
        title="CDR's parts",
        question="Which part of CDR does the work, and when do the weights that may not learn vanish?",
        settings=common.described(
            lab,
            data,
            settings,
            noise=f"{_RATE:.0%}",
            method="CDR, one threshold per tensor",
            criteria=f"trained on all {len(data.train):,} rows with L2 {every['optimizer']['weight_decay']:g}",
        ),
        figures=_figures(trained, kinks),
        tables={"parts": parts, "predictions": _kink_table(trained, kinks), "epochs": common.histories(trained)},
        claims=[*_factor_claims(lab, trained), *_l1_claims(lab, trained), *_criteria_claims(trained, kinks)],
    )


def _held_out(data: Data, settings: Mapping[str, Any], l1_taus: Sequence[float]) -> list[Training]:
    """Cross-entropy, CDR with and without its factor, and CDR with L1."""
    without = {**settings, "optimizer": {**settings["optimizer"], "weight_decay": 0.0}}
    noise, taus = common.noise(_RATE), sorted({*_FACTOR_TAUS, *l1_taus} - {0.0})
    return [
        Training("cross-entropy", "cross_entropy", data, noise, settings=settings),
        *(Training(f"factor-{tau:g}", common.cdr(tau), data, noise, settings=settings) for tau in taus),
        *(
            Training(f"no-factor-{tau:g}", common.cdr(tau, scale="off"), data, noise, settings=settings)
            for tau in _FACTOR_TAUS
        ),
        *(Training(f"l1-{tau:g}", common.cdr(tau, regulariser="l1"), data, noise, settings=without) for tau in l1_taus),
    ]


def _on_all_rows(data: Data, settings: Mapping[str, Any], taus: Sequence[float]) -> list[Training]:
    """The three criteria."""
    return [
        Training(
            f"{letter}-{tau:g}", common.cdr(tau, criterion=name), data, common.noise(_RATE), (effective,), settings
        )
        for letter, name in _CRITERIA.items()
        for tau in taus
    ]


def _taus(trained: Mapping[str, Trained], group: str) -> list[float]:
    """The tau of the trainings ``GROUP-TAU``, rising."""
    return sorted(float(name.removeprefix(f"{group}-")) for name in trained if name.startswith(f"{group}-"))


def _with_l2(trained: Mapping[str, Trained], tau: float) -> Trained:
    return trained[f"factor-{tau:g}" if tau else "cross-entropy"]


def predicted(settings: Mapping[str, Any], rows: int) -> dict[str, float]:
    """The epoch at which a layer's weights that only decay have all fallen below 0.001.

    To first order in the decay of a step; in the quick form, whose decay is large, they vanish 4 % earlier.

    Args:
        settings: ``optimizer`` with ``lr, momentum, weight_decay``, and ``batch``.
        rows: training rows.

    Example:
        >>> sgd = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.001}
        >>> found = predicted({"optimizer": sgd, "batch": 128}, 60_000)
        >>> {layer: round(epoch) for layer, epoch in found.items()}
        {'conv1': 113, 'conv2': 94, 'fc1': 83, 'fc2': 96, 'head': 100}
    """
    optimizer = settings["optimizer"]
    per_step = optimizer["lr"] * optimizer["weight_decay"] / (1 - optimizer["momentum"])
    per_epoch = per_step * math.ceil(rows / settings["batch"])
    return {layer: math.log(fan_in**-0.5 / ALIVE) / per_epoch for layer, fan_in in LAYERS.items()}


def _shares(run: Trained) -> dict[str, pd.Series]:
    """Share of effective weights over epochs, by layer."""
    columns = [name for name in run.history.columns.astype(str) if name.startswith("effective ")]
    return {layer: run.history[name] for layer, name in zip(LAYERS, columns, strict=True)}


def _parts(trained: Mapping[str, Trained]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "training": name,
            "best": run.best,
            "early_stopped": run.early_stopped if run.training.settings["valid"] else None,
            "last": run.last,
            "effective": run.history["effective"].iloc[-1] if "effective" in run.history else None,
        }
        for name, run in trained.items()
    )


def _kink_table(trained: Mapping[str, Trained], kinks: Mapping[str, float]) -> pd.DataFrame:
    """Where the share of a layer's effective weights bends most sharply, beside the prediction."""
    rows = []
    for letter in _STEPPED:
        for tau in _taus(trained, letter):
            for layer, share in _shares(trained[f"{letter}-{tau:g}"]).items():
                seen = kinks[layer] < len(share) - 1
                where = {"criterion": letter, "tau": tau, "layer": layer, "fan_in": LAYERS[layer]}
                rows.append({**where, "predicted": round(kinks[layer], 1), "bend": bend(share) if seen else None})
    return pd.DataFrame(rows)


def bend(share: Sequence[float] | pd.Series) -> int:
    """The epoch (from 1) where a falling curve bends most sharply towards the level; of three epochs at least.

    Example:
        >>> bend([1.0, 0.9, 0.7, 0.4, 0.39, 0.39])
        4
    """
    return int(np.diff(np.asarray(share), 2).argmax()) + 2


def _figures(trained: Mapping[str, Trained], kinks: Mapping[str, float]) -> list[Figure]:
    test = {name: run.history["test"] for name, run in trained.items()}
    factor = [
        Panel(
            f"tau {tau:g}",
            {"cross-entropy": test["cross-entropy"], "with 1 - tau": test[f"factor-{tau:g}"],
             "without": test[f"no-factor-{tau:g}"]},
            "test accuracy",
        )
        for tau in _FACTOR_TAUS
    ]  # fmt: skip
    penalties = [
        Panel(
            f"CDR, tau {tau:g}" if tau else "cross-entropy",
            {"L2": _with_l2(trained, tau).history["test"], "L1": test[f"l1-{tau:g}"]},
            "test accuracy",
        )
        for tau in _taus(trained, "l1")
    ]
    criteria = [
        Panel(
            f"{letter}: {what}",
            {f"{tau:g}": trained[f"{letter}-{tau:g}"].history[column] for tau in _taus(trained, letter)},
            name,
        )
        for column, name in (("effective", "weights above 0.001"), ("test", "test accuracy"))
        for letter, what in (("A", "abs(g w)"), ("B", "abs(g) + abs(w)"), ("C", "random"))
    ]
    layers = [
        Panel(
            f"{letter}, tau {tau:g}", _shares(trained[f"{letter}-{tau:g}"]), "weights above 0.001",
            marks=_seen(kinks, trained),
        )
        for letter in _STEPPED
        for tau in _taus(trained, letter)
    ]  # fmt: skip
    return [
        Figure("factor", lines(factor), "20 % wrong labels: CDR with and without the factor 1 - tau on the gradient."),
        Figure("l1", lines(penalties), "20 % wrong labels: L1 and L2 of the same strength."),
        Figure("criteria", lines(criteria, legend="tau"), "Three criteria: effective weights and test accuracy."),
        Figure(
            "kinks",
            lines(layers),
            "Effective weights by layer; dashed: the predicted epochs at which weights that only decay vanish.",
        ),
    ]


def _seen(kinks: Mapping[str, float], trained: Mapping[str, Trained]) -> dict[str, float]:
    """The predictions that fall within the training."""
    epochs = max(len(run.history) for run in trained.values())
    return {layer: epoch for layer, epoch in kinks.items() if epoch <= epochs}


def _factor_claims(lab: Lab, trained: Mapping[str, Trained]) -> list[Claim]:
    gains = {
        tau: (trained[f"factor-{tau:g}"].last10 - trained[f"no-factor-{tau:g}"].last10) * 100 for tau in _FACTOR_TAUS
    }
    low, high = gains[0.2], [gains[0.8], gains[0.9]]
    holds = abs(low) <= 1 and all(gain > 1 for gain in high)
    return [
        Claim(
            "The factor 1 - tau regularises a little, late in training, at tau 0.8 and 0.9 only.",
            "a small effect at tau .8 and .9",
            "with minus without, mean of the last ten epochs: "
            + ", ".join(f"{gain:+.1f} points at tau {tau:g}" for tau, gain in gains.items()),
            holds if lab.full else None,
            "This form cannot tell: in its few steps a factor of 0.1 has hardly begun to learn."
            if not lab.full
            else "The factor gains more than 1 point at tau 0.8 and 0.9 and moves tau 0.2 by less."
            if holds
            else "The differences do not have that pattern.",
        )
    ]


def _l1_claims(lab: Lab, trained: Mapping[str, Trained]) -> list[Claim]:
    low, taus = 0.2, _taus(trained, "l1")
    l1, l2 = trained[f"l1-{low:g}"], _with_l2(trained, low)
    drops = {name: (run.best - run.last10) * 100 for name, run in (("L1", l1), ("L2", l2))}
    prevents = drops["L1"] < min(3, drops["L2"] / 2)
    gains = {tau: (_with_l2(trained, tau).early_stopped - trained[f"l1-{tau:g}"].early_stopped) * 100 for tau in taus}
    ahead = all(gain > 0 for gain in gains.values())
    return [
        Claim(
            "L1 prevents late memorisation even at small tau.",
            "prevents it",
            f"best minus the last ten epochs at tau {low:g}: "
            + ", ".join(f"{drop:.1f} points with {name}" for name, drop in drops.items())
            + f"; last ten {l1.last10:.1%} and {l2.last10:.1%}",
            prevents if drops["L2"] >= 1 else None,
            "With L2 it loses less than a point, so that there is nothing to prevent."
            if drops["L2"] < 1
            else "With L1 of 0.001 it loses less than 3 points, and less than half of what it loses with L2."
            if prevents
            else "With L1 of 0.001 it loses 3 points or more, or more than half of what it loses with L2.",
        ),
        Claim(
            "Early-stopped accuracy is better with L2 than with L1.",
            "L2 better",
            "L2 minus L1, early-stopped: "
            + ", ".join(f"{gain:+.1f} points at tau {tau:g}" for tau, gain in gains.items()),
            ahead if lab.full else None,
            (f"L2 is {'ahead at every' if ahead else 'not ahead at each'} tau.")
            if lab.full
            else "One point is four test digits here, so that the order says little.",
        ),
    ]


def _criteria_claims(trained: Mapping[str, Trained], kinks: Mapping[str, float]) -> list[Claim]:
    early = _too_early(trained, kinks)
    return [_settles_claim(trained, early), _collapse_claim(trained, early), _kink_claim(trained, kinks)]


def _too_early(trained: Mapping[str, Trained], kinks: Mapping[str, float]) -> str:
    """Why what happens when weights vanish cannot be judged; empty where the first ones have."""
    epochs = min(len(trained[f"A-{tau:g}"].history) for tau in _taus(trained, "A"))
    first = min(kinks.values())
    if epochs >= first:
        return ""
    return f"After {epochs} epochs no weight has vanished by decay alone; the first would at epoch {first:.0f}."


def _settles_claim(trained: Mapping[str, Trained], early: str) -> Claim:
    curves = {tau: trained[f"A-{tau:g}"].history["effective"].to_numpy() for tau in _taus(trained, "A")}
    ends = {tau: float(curve[-1]) for tau, curve in curves.items()}
    moves = {tau: float(curve[-1] - curve[-1 - len(curve) // 10]) for tau, curve in curves.items()}
    settled = all(abs(move) < 0.02 for move in moves.values())
    near = all(abs(end - (1 - tau)) < 0.1 for tau, end in ends.items())
    below = all(end < 1 - tau + 0.1 for tau, end in ends.items())
    return Claim(
        "With criterion A effective parameters settle at the critical share.",
        "about tau of all, says the source; its code keeps 1 - tau",
        "last epoch: " + ", ".join(f"{end:.0%} at tau {tau:g}" for tau, end in ends.items()),
        None if early else settled and near,
        early
        or ("They settle" if settled else "They still move by more than 2 points in the last tenth of the epochs")
        + (
            ", within 10 points of 1 - tau, and not at tau."
            if near
            else ", below 1 - tau, for a critical weight may be small as well."
            if below
            else ", not within 10 points of 1 - tau."
        ),
    )


def _collapse_claim(trained: Mapping[str, Trained], early: str) -> Claim:
    taus = _taus(trained, "A")
    last = {letter: [trained[f"{letter}-{tau:g}"].last for tau in taus] for letter in _CRITERIA}
    plain = trained["cross-entropy"].last
    holds_up = [tau for tau, value in zip(taus, last["A"], strict=True) if value > plain - 0.05]
    falls = [
        tau
        for tau, a, b, c in zip(taus, last["A"], last["B"], last["C"], strict=True)
        if max(b, c) < a - 0.1 and tau in holds_up
    ]
    return Claim(
        "With criterion A accuracy holds; with B and C effective parameters keep falling and accuracy collapses.",
        "A holds, B and C collapse",
        f"last test accuracy at tau {_named(taus)}: "
        + "; ".join(f"{letter} " + ", ".join(f"{value:.0%}" for value in values) for letter, values in last.items()),
        None if early else bool(falls) and holds_up == taus,
        early
        or f"A ends no more than 5 points below cross-entropy at tau {_named(holds_up)}; both B and C end more than "
        f"10 points below A at tau {_named(falls)}.",
    )


def _named(taus: Sequence[float]) -> str:
    return ", ".join(f"{tau:g}" for tau in taus) or "none"


def _kink_claim(trained: Mapping[str, Trained], kinks: Mapping[str, float]) -> Claim:
    """Judged where no masked weight ever learns (C), and on the largest layer otherwise (A)."""
    table = _kink_table(trained, kinks)
    judged = table[(table["criterion"] == "C") | (table["layer"] == "fc1")].dropna(subset="bend")
    off = (judged["bend"] - judged["predicted"]).abs()
    layers = ", ".join(f"{layer} {epoch:.0f}" for layer, epoch in sorted(kinks.items(), key=lambda item: item[1]))
    if not len(judged):
        said, holds, sentence = "none was reached", None, "The training is shorter than the first predicted step."
    else:
        fits = bool((off <= np.maximum(1.5, 0.03 * judged["predicted"])).mean() > 0.9)
        said, holds = f"{len(judged)} bends are {off.mean():.1f} epochs away on average, {off.max():.1f} at most", fits
        sentence = (
            "The prediction fits; the source's 75 means a first linear layer of 784 inputs, ours has 400."
            if fits
            else "More than one bend in ten is further than 1.5 epochs and 3 % from its prediction."
        )
    return Claim(
        "Effective parameters drop in steps, at the epochs at which weights that only decay fall below 0.001.",
        "epochs 75 and 95 for every tau; predicted 76 for fan-in 784, 94 for 150, 96 for 120",
        f"predicted: {layers}; {said}",
        holds,
        sentence,
    )
