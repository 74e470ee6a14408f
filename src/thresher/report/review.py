"""What a review of the first labels is expected to find, and how far that can be trusted."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.audit.calibrate import Calibration, calibration
from thresher.audit.planning import Curve, Plan, expected, plan
from thresher.audit.scores import interval
from thresher.report import review_figures, tables
from thresher.report.pictures import Picture
from thresher.report.view import Report
from thresher.report.words import count, listed, percent, share

_HALF = 0.5  # a label that is more probably right than wrong is not worth a look
_STEPS = tuple(m * 10**k for k in range(1, 9) for m in (1, 2, 5))
_ROWS = 6
_POINTS = 300
_LEAST = 20


@dataclass(frozen=True, eq=False)
class Expected:
    """The list of issues as a queue for a review, from its front.

    Attributes:
        curve: what the first n are expected to give, n = 0 to N.
        plan: the part that is worth a look.
        wrong: which of the N labels are wrong, bool ``[N]``, where known.
        fit: how well the probabilities fit what is wrong, where known.
    """

    curve: Curve
    plan: Plan
    wrong: np.ndarray | None = None
    fit: Calibration | None = None

    @property
    def total(self) -> int:
        """N."""
        return len(self.curve.found) - 1

    @property
    def reach(self) -> int:
        """How many labels a figure shows: twice what is worth a look."""
        return min(self.total, max(2 * self.plan.count, _LEAST))


def expect(report: Report) -> Expected | None:
    """What a review of the chosen run's issues would find; None where no probabilities are known.

    Labels without a probability are left out: they come after the others.
    """
    issues = report.run.issues
    if not tables.has_probabilities(issues):
        return None
    p = issues["p_wrong"].to_numpy(dtype=np.float64)
    known, wrong = ~np.isnan(p), report.wrong_labels
    p = p[known].clip(0, 1)
    wrong = None if wrong is None else wrong[known]
    fit = None if wrong is None else calibration(p, wrong)
    return Expected(expected(p), plan(p, gain=_HALF), wrong, fit)


def sentences(found: Expected) -> list[str]:
    """Where to stop, what that gives, and what is known of it."""
    said = [_stop(found.plan, found.total, float(found.curve.found[-1]))]
    n = found.plan.count
    if found.wrong is not None and n:
        hits, all_wrong = int(found.wrong[:n].sum()), int(found.wrong.sum())
        said.append(
            f"By the true labels, {hits:,} of {n:,} really {'is' if hits == 1 else 'are'} wrong ({share(hits, n)})"
            + (f", which is {share(hits, all_wrong)} of all wrong labels." if all_wrong else ".")
        )
    return said


def _stop(best: Plan, total: int, wrong: float) -> str:
    if not best.count or best.precision is None or best.recall is None:
        return (
            f"No label is more probably wrong than right. Of all {count(total, 'label')} about {number(wrong)} are "
            "expected to be wrong: whoever looks for them will mostly see labels that are right."
        )
    return (
        f"Review the first {best.count:,}: about {number(best.found)} of them ({percent(best.precision, 0)}) are "
        f"expected to be wrong, {number(best.low)} to {number(best.high)} with a probability of 95\xa0%. That is "
        f"{percent(best.recall, 0)} of the {number(wrong)} wrong labels expected in all. "
        + ("Then stop: each" if best.count < total else "Each")
        + (
            " label after that is more probably right than wrong."
            if best.count < total
            else " of them is worth a look."
        )
    )


def number(value: float) -> str:
    """An expected count: whole, but for small ones.

    Example:
        >>> number(412.3), number(3.46), number(0.04)
        ('412', '3.5', 'under 0.1')
    """
    if 0 < value < 0.1:
        return "under 0.1"
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0")


def steps(found: Expected) -> list[dict[str, Any]]:
    """Rows of a table: the first n labels, what they are expected to give, and what they give where that is known."""
    best, total, wanted = found.plan.count, found.total, {found.plan.count, found.total}
    round_ones = [n for n in _STEPS if n < min(total, max(2 * best, 100))]
    return [_step(found, n) | {"stop": n == best} for n in sorted({*round_ones[-_ROWS:], *wanted} - {0})]


def _step(found: Expected, n: int) -> dict[str, Any]:
    mean, low, high = (float(values[n]) for values in (found.curve.found, found.curve.low, found.curve.high))
    total = float(found.curve.found[-1])
    row: dict[str, Any] = {"n": n, "found": mean, "low": low, "high": high, "precision": mean / n}
    row["recall"] = mean / total if total else None
    return row if found.wrong is None else row | {"wrong": int(found.wrong[:n].sum())}


def bins(fit: Calibration) -> list[dict[str, Any]]:
    """Rows of a table of reliability: labels, their mean probability, how many are wrong, and the interval of that."""
    rows = []
    for one in fit["bins"]:
        hits = round(one["wrong"] * one["rows"])
        low, high = interval(hits, one["rows"])
        rows.append({**one, "hits": hits, "low": low, "high": high})
    return rows


def pictures(found: Expected) -> list[Picture]:
    """The share of wrong labels over the first n, and where the truth is known how far the probabilities hold."""
    if found.total < 2:
        return []
    n = np.unique(np.linspace(1, found.reach, _POINTS).astype(np.int64))
    true = None if found.wrong is None else np.cumsum(found.wrong)[n - 1] / n
    lines = [values[n] for values in (found.curve.precision, found.curve.precision_low, found.curve.precision_high)]
    shown = [(int(k), float(found.curve.precision[k])) for k in (found.plan.count, found.reach) if k]
    alt = "Line chart. Expected share of wrong labels among the first n: "
    alt += listed([f"{percent(value, 0)} of the first {k:,}" for k, value in dict.fromkeys(shown)]) + "."
    drawn = [Picture("review-precision", review_figures.precision(n, *lines, truth=true, stop=found.plan.count), alt)]
    return drawn if found.fit is None else [*drawn, _reliability(found.fit)]


def _reliability(fit: Calibration) -> Picture:
    rows = bins(fit)
    mean, wrong, low, high = (np.array([row[name] for row in rows]) for name in ("mean", "wrong", "low", "high"))
    parts = [f"{percent(row['mean'], 0)} said, {percent(row['wrong'], 0)} wrong" for row in rows]
    alt = f"Chart of the share of labels really wrong against the probability said: {'; '.join(parts)}."
    return Picture("review-reliability", review_figures.reliability(mean, wrong, low, high), alt)
