"""Probabilities out of scores: a logistic fit that starts from what is believed, and how good probabilities are.

Platt, "Probabilistic outputs for support vector machines", 1999, as a maximum a posteriori fit with a normal prior.
"""

from typing import TypedDict

import numpy as np
from scipy.special import expit, xlogy

_STEPS = 100
_EXACT = 1e-8


def logistic(features: np.ndarray, target: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Fit ``P = 1 / (1 + exp(-features @ w))`` with a normal prior on each weight.

    Args:
        features: float ``[n, M]``, a column of ones among them for the intercept; n may be 0.
        target: probabilities 0..1 or outcomes 0/1, ``[n]``.
        mean: what the weights are before anything is seen, ``[M]``.
        spread: how far from it they may well lie, standard deviations above 0, ``[M]``.

    Returns:
        The weights, float64 ``[M]``.

    Example:
        >>> ones, nothing = np.ones((3, 1)), np.ones((0, 1))
        >>> logistic(nothing, np.zeros(0), np.zeros(1), np.ones(1)).tolist()
        [0.0]
        >>> bool(logistic(ones, np.ones(3), np.zeros(1), np.ones(1))[0] > 0.5)
        True
    """
    weights, precision = np.array(mean, dtype=np.float64), 1 / np.square(np.asarray(spread, dtype=np.float64))

    def cost(w: np.ndarray) -> float:
        scores = features @ w
        return float(np.sum(np.logaddexp(0, scores) - target * scores) + np.sum(precision * (w - mean) ** 2) / 2)

    now = cost(weights)
    for _ in range(_STEPS):
        p = expit(features @ weights)
        gradient = features.T @ (target - p) - precision * (weights - mean)
        hessian = (features * (p * (1 - p))[:, None]).T @ features + np.diag(precision)
        move = np.linalg.solve(hessian, gradient)
        while (then := cost(weights + move)) > now and np.abs(move).max() > _EXACT:
            move = move / 2  # Newton's step overshoots where the sigmoid is flat
        weights, now = weights + move, then
        if np.abs(move).max() <= _EXACT:
            break
    return weights


class Bin(TypedDict):
    """One bin of a reliability diagram: rows in it, their mean probability and the share of them that is wrong."""

    rows: int
    mean: float
    wrong: float


class Calibration(TypedDict):
    """Brier score (mean squared error), mean log-loss in nats, expected calibration error, and the bins it is of."""

    brier: float
    log_loss: float
    ece: float
    bins: list[Bin]


def calibration(p_wrong: np.ndarray, wrong: np.ndarray, bins: int = 10) -> Calibration:
    """How well probabilities fit what is known to be wrong (Brier, "Verification of forecasts", 1950).

    Args:
        p_wrong: probabilities 0..1, ``[N]``, one or more; NaN is left out.
        wrong: bool ``[N]``.
        bins: equally wide; empty ones are left out.

    Returns:
        Plain numbers; the expected calibration error is the mean distance of a bin's share from its mean, weighed by
        its rows.

    Example:
        >>> found = calibration(np.array([0.5, 0.5, 0.0]), np.array([True, False, False]))
        >>> round(found["brier"], 3), found["ece"], found["bins"][1]
        (0.167, 0.0, {'rows': 2, 'mean': 0.5, 'wrong': 0.5})
    """
    known = ~np.isnan(p_wrong)
    p, truth = np.asarray(p_wrong, dtype=np.float64)[known], np.asarray(wrong, dtype=np.float64)[known]
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    found = [
        Bin(rows=int((place == k).sum()), mean=float(p[place == k].mean()), wrong=float(truth[place == k].mean()))
        for k in np.unique(place)
    ]
    safe = np.clip(p, 1e-6, 1 - 1e-6)
    return Calibration(
        brier=float(np.mean((p - truth) ** 2)),
        log_loss=float(-np.mean(xlogy(truth, safe) + xlogy(1 - truth, 1 - safe))),
        ece=sum(one["rows"] * abs(one["mean"] - one["wrong"]) for one in found) / len(p),
        bins=found,
    )


def best_cut(p_wrong: np.ndarray, least: float = 0.1) -> float:
    """The probability from which labels are best called wrong: the cut with the highest expected F1.

    Calling the n most probable ones wrong is expected to have F1 = 2 (p_1 + ... + p_n) / (n + all p); half of the best
    such value is the cut (Lipton, Elkan and Naryanaswamy, "Optimal thresholding of classifiers to maximize F1
    measure", ECML 2014). A cut of 0.5 would call nothing wrong where the evidence is weak throughout.

    Args:
        p_wrong: probabilities 0..1, ``[N]``; NaN is left out.
        least: of the cut, so that no label is called wrong that hardly is.

    Returns:
        A probability, `least` to 0.5.

    Example:
        >>> round(best_cut(np.array([0.9, 0.9, 0.05])), 2), best_cut(np.array([0.01, 0.02]))
        (0.47, 0.1)
    """
    known = np.sort(p_wrong[~np.isnan(p_wrong)])[::-1]
    if not len(known) or not known[0] > 0:
        return 0.5
    expected = 2 * np.cumsum(known) / (np.arange(1, len(known) + 1) + known.sum())
    return float(max(least, min(0.5, expected.max() / 2)))
