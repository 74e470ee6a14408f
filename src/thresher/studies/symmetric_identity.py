"""Symmetric losses: why reverse cross-entropy tolerates wrong labels and cross-entropy does not.

Question: does reverse cross-entropy (RCE) have the identity that makes a loss noise-tolerant, and does drawn noise
behave as the identity says?

Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019, the theorem on
robustness, after Ghosh et al., "Robust loss functions under label noise for deep neural networks", AAAI 2017: a loss
whose sum over all K classes is constant has, under symmetric noise of a rate r, a noisy risk that is a rising straight
line in the clean risk as long as r < 1 - 1/K; for RCE the sum is -A (K - 1) and R_noisy = R (1 - r K / (K - 1)) - A r.
Under class-dependent noise it is tolerant if every wrong label is rarer than the right one and the clean risk can be
zero.

Nothing is trained: predictors are drawn, from unsure to sure and from right to wrong, and noise is drawn on their
labels, so both forms are the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from thresher import noise
from thresher.report.palette import light, style
from thresher.studies.lab import Lab
from thresher.studies.page import Claim, Figure, Outcome

_A = -6.0
_CLASSES = 10
_ROWS = 2000
_PREDICTORS = 40
_DRAWS = 20
_RATES = (0.2, 0.4, 0.6, 0.8, 0.95)
_SHOWN = (0.2, 0.6, 0.95)
_SHARES = (0.2, 0.4, 0.6)
_EXACT = 1e-9


def study(lab: Lab) -> Outcome:
    """Draw predictors and noise, and compare sums and risks with the formulas."""
    sums, risks, by_class = _sums(lab.seed), _risks(lab.seed), _class_dependent(lab.seed)
    return Outcome(
        title="Symmetric losses",
        question="Does reverse cross-entropy have the identity that makes a loss noise-tolerant, and does drawn noise "
        "behave as the identity says?",
        settings={
            "losses": f"reverse cross-entropy (RCE) with A = {_A:g}, cross-entropy (CE), mean absolute error (MAE)",
            "predictors": f"{_PREDICTORS} drawn ones over {_ROWS:,} rows of {_CLASSES} classes, from unsure to sure "
            "and from right to wrong; float64",
            "noise": f"symmetric, exact counts, true class left out, at {', '.join(f'{rate:.0%}' for rate in _RATES)}; "
            f"the risk is the mean over {_DRAWS} draws",
        },
        figures=[
            Figure(
                "identity",
                _drawing(sums, risks),
                "Left: the loss summed over all classes that the label could be, for drawn softmax outputs; a line for "
                "RCE, a cloud for CE. Middle and right: risk on noisy against risk on clean labels, one dot per "
                f"predictor; for RCE the formula's lines, which rise for rates below {1 - 1 / _CLASSES:.0%} and fall "
                "above.",
            )
        ],
        tables={"sums": sums, "risks": risks, "class-dependent": by_class},
        claims=_claims(sums, risks, by_class),
    )


def rce(p: np.ndarray, labels: np.ndarray, constant: float) -> np.ndarray:
    """Reverse cross-entropy from its definition, ``-sum_k p_k log q_k`` with ``log 0 = constant``, per row ``[N]``.

    Args:
        p: probabilities, float ``[N, K]``.
        labels: integer ``[N]``.
        constant: A, below 0.

    Example:
        >>> rce(np.array([[0.75, 0.25]]), np.array([0]), -6.0)
        array([1.5])
    """
    log_q = np.where(np.arange(p.shape[1]) == labels[:, None], 0.0, constant)
    return np.asarray(-(p * log_q).sum(1))


def _ce(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log(p[np.arange(len(p)), labels]))


@dataclass(frozen=True, eq=False)
class _Predictors:
    """Probabilities ``[N, K]`` of drawn predictors for rows of known classes."""

    clean: np.ndarray
    seed: int

    def __iter__(self) -> Iterator[np.ndarray]:
        draws = np.random.Generator(np.random.PCG64(self.seed))
        for k in range(_PREDICTORS):
            sure = 12 * (k % 8 + 1) / 8
            right = draws.random(len(self.clean)) < (k // 8) / (_PREDICTORS // 8 - 1)
            guess = np.where(right, self.clean, draws.integers(0, _CLASSES, len(self.clean)))
            logits = draws.normal(size=(len(self.clean), _CLASSES)) + sure * np.eye(_CLASSES)[guess]
            yield _softmax(logits)


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def _clean() -> np.ndarray:
    return np.arange(_ROWS) % _CLASSES


def _sums(seed: int) -> pd.DataFrame:
    """Per drawn softmax output: its largest probability, and the losses summed over all labels."""
    draws = np.random.Generator(np.random.PCG64(seed))
    p = _softmax(draws.normal(size=(500, _CLASSES)) * draws.uniform(0, 6, (500, 1)))
    every = [np.full(len(p), k) for k in range(_CLASSES)]
    return pd.DataFrame(
        {
            "largest_p": p.max(1),
            "rce": np.sum([rce(p, labels, _A) for labels in every], axis=0),
            "ce": np.sum([_ce(p, labels) for labels in every], axis=0),
            "mae": np.sum([np.abs(p - np.eye(_CLASSES)[labels]).sum(1) for labels in every], axis=0),
            "rce_2_less_mae": np.max(
                [np.abs(rce(p, labels, -2.0) - np.abs(p - np.eye(_CLASSES)[labels]).sum(1)) for labels in every], axis=0
            ),
        }
    )


def _risks(seed: int) -> pd.DataFrame:
    """Per rate and predictor: the clean risk of both losses, the noisy one, and what the formula says of RCE's."""
    clean, rows = _clean(), []
    predictors = list(_Predictors(clean, seed))
    for rate in _RATES:
        noisy = [noise.symmetric(clean, rate, seed * _DRAWS + draw, _CLASSES) for draw in range(_DRAWS)]
        for k, p in enumerate(predictors):
            risk = float(rce(p, clean, _A).mean())
            rows.append(
                {
                    "rate": rate,
                    "predictor": k,
                    "rce": risk,
                    "rce_noisy": float(np.mean([rce(p, labels, _A).mean() for labels in noisy])),
                    "rce_formula": risk * (1 - rate * _CLASSES / (_CLASSES - 1)) - _A * rate,
                    "ce": float(_ce(p, clean).mean()),
                    "ce_noisy": float(np.mean([_ce(p, labels).mean() for labels in noisy])),
                }
            )
    return pd.DataFrame(rows)


def _class_dependent(seed: int) -> pd.DataFrame:
    """Noisy RCE risk of the right predictor and of rivals, where a share of every class is called the next one."""
    clean, rows = _clean(), []
    right = np.eye(_CLASSES)
    rivals = list(_Predictors(clean, seed))
    for rate in _SHARES:
        labels = noise.pairflip(clean, rate, seed, _CLASSES)
        found = {"right": right[clean], "called the next class": right[(clean + 1) % _CLASSES]}
        risks = {name: float(rce(p, labels, _A).mean()) for name, p in found.items()}
        risks["best drawn"] = min(float(rce(p, labels, _A).mean()) for p in rivals)
        rows += [{"rate": rate, "predictor": name, "rce_noisy": risk} for name, risk in risks.items()]
    return pd.DataFrame(rows)


def _drawing(sums: pd.DataFrame, risks: pd.DataFrame) -> Drawing:
    with style("identity"):
        figure = Drawing(figsize=(11.4, 3.9), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        for column, name, role in (("ce", "CE", "amber"), ("rce", "RCE", "purple")):
            left.plot(sums["largest_p"], sums[column], "o", color=light(role), markersize=2.5, alpha=0.7)
            at = (0.12, sums[column].max()) if column == "ce" else (0.12, sums[column].iloc[0])
            left.annotate(name, at, (0, -12), textcoords="offset points", color=light(role), fontsize=10)
        left.set(title="Sum over all labels", xlabel="largest probability", ylabel="sum of the loss over K labels")
        left.set_ylim(0)
        _risk_panel(middle, risks, "rce", "RCE")
        _risk_panel(right, risks, "ce", "CE")
        handles, names = middle.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=4, frameon=False, fontsize=9.5, handletextpad=0.3)
        return figure


def _risk_panel(axes: Axes, risks: pd.DataFrame, loss: str, name: str) -> None:
    for rate, role in zip(_SHOWN, ("blue", "green", "vermilion"), strict=True):
        part = risks[risks["rate"] == rate].sort_values(loss)
        axes.plot(part[loss], part[f"{loss}_noisy"], "o", color=light(role), markersize=4, label=f"{rate:.0%} wrong")
        if loss == "rce":
            axes.plot(part[loss], part["rce_formula"], color=light(role), linewidth=1)
    axes.set(title=f"Risk under noise: {name}", xlabel="risk on clean labels", ylabel="risk on noisy labels")


def _scatter_off_line(risks: pd.DataFrame, loss: str, rate: float) -> float:
    """Largest distance of the noisy risk from its best straight line in the clean risk, over the line's range."""
    part = risks[risks["rate"] == rate]
    x, y = part[loss].to_numpy(), part[f"{loss}_noisy"].to_numpy()
    slope, offset = np.polyfit(x, y, 1)
    return float(np.abs(y - slope * x - offset).max() / np.ptp(y))


def _claims(sums: pd.DataFrame, risks: pd.DataFrame, by_class: pd.DataFrame) -> list[Claim]:
    constant = -_A * (_CLASSES - 1)
    off = float(np.abs(sums["rce"] - constant).max())
    gap = float(np.abs(risks["rce_noisy"] - risks["rce_formula"]).max())
    chance = 5 * abs(_A) / 2 / np.sqrt(_ROWS * _DRAWS)  # five standard errors of a mean of values in [0, -A]
    mae = float(sums["rce_2_less_mae"].max())
    return [
        Claim(
            "The sum of RCE over all K labels is -A (K - 1), for any softmax output.",
            f"{constant:g} for A = {_A:g}, K = {_CLASSES}",
            f"differs by at most {off:.0e} over {len(sums)} drawn outputs; for CE the sum runs from "
            f"{sums['ce'].min():.0f} to {sums['ce'].max():.0f}",
            off < _EXACT,
            "RCE is a symmetric loss; CE is not, its sum has no upper bound."
            if off < _EXACT
            else "It is not constant.",
        ),
        Claim(
            "Under symmetric noise of rate r, R_noisy = R (1 - r K / (K - 1)) - A r.",
            "equation",
            f"differs by at most {gap:.3f} over {len(risks)} drawn pairs of predictor and rate, where chance allows "
            f"{chance:.3f}; CE lies up to {_scatter_off_line(risks, 'ce', 0.6):.0%} of its range off any line at 60 %",
            gap < chance,
            "Drawn noise agrees within chance, so the noisy risk ranks predictors as the clean one does; CE's does not."
            if gap < chance
            else "Drawn noise disagrees by more than chance.",
        ),
        _tolerance(risks),
        _class_claim(by_class),
        Claim(
            "RCE at A = -2 is MAE, 2 (1 - p_y).",
            "identity",
            f"differs by at most {mae:.0e}",
            mae < _EXACT,
            "The two are the same loss; any other A only scales it." if mae < _EXACT else "They differ.",
        ),
    ]


def _tolerance(risks: pd.DataFrame) -> Claim:
    """Whether the noisy risk rises with the clean one exactly for rates below 1 - 1/K."""
    parts = {rate: risks[risks["rate"] == rate] for rate in _RATES}
    slopes = {rate: float(np.polyfit(part["rce"], part["rce_noisy"], 1)[0]) for rate, part in parts.items()}
    bound = 1 - 1 / _CLASSES
    holds = all((slope > 0) == (rate < bound) for rate, slope in slopes.items())
    return Claim(
        "Under symmetric noise RCE is tolerant if the rate is below 1 - 1/K.",
        f"below {bound:g}",
        "slope of noisy against clean risk: "
        + ", ".join(f"{slope:+.2f} at {rate:.0%}" for rate, slope in slopes.items()),
        holds,
        "Below that rate a lower noisy risk is a lower clean risk; above it the order is turned round."
        if holds
        else "The slope does not change its sign there.",
    )


def _class_claim(by_class: pd.DataFrame) -> Claim:
    """Whether the right predictor has the lowest noisy risk as long as wrong labels are rarer than right ones."""
    parts = {rate: by_class[by_class["rate"] == rate] for rate in _SHARES}
    best = {
        rate: str(part["predictor"].iloc[int(part["rce_noisy"].to_numpy().argmin())]) for rate, part in parts.items()
    }
    holds = all((name == "right") == (rate < 0.5) for rate, name in best.items())
    return Claim(
        "Under class-dependent noise RCE is tolerant if each wrong label is rarer than the right one and the clean "
        "risk can be zero.",
        "r_yk < 1 - r_y",
        "lowest noisy risk under pairflip: " + ", ".join(f"{name!r} at {rate:.0%}" for rate, name in best.items()),
        holds,
        "As long as the right label leads in every class, the predictor that is always right has the lowest noisy "
        "risk; at 60 % the one that names the next class has."
        if holds
        else "The predictor that is always right is not the best where it should be.",
    )
