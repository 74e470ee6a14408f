"""The sentences of the report, for readers who never read a paper."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from thresher.audit.scores import interval
from thresher.report.view import Report

UNKNOWN = "\N{EN DASH}"


def percent(fraction: float | None, digits: int = 1) -> str:
    r"""A fraction as percent for people, a dash for the unknown.

    Example:
        >>> percent(0.953), percent(None) == UNKNOWN
        ('95.3\xa0%', True)
    """
    return UNKNOWN if fraction is None or np.isnan(fraction) else f"{fraction * 100:.{digits}f}\xa0%"


def between(fraction: float | None, n: int | None) -> str:
    """The 95 % interval of a fraction of `n`, in percent without the sign; empty where either is unknown.

    Example:
        >>> between(0.95, 360), between(0.95, None)
        ('92.2 to 96.8', '')
    """
    if fraction is None or not n:
        return ""
    low, high = interval(fraction * n, n)
    return f"{low * 100:.1f} to {high * 100:.1f}"


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(4.25), duration(75), duration(7320)
        ('4.2 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(n: int, thing: str, things: str = "") -> str:
    """A number with its noun.

    Example:
        >>> count(1, "label"), count(1437, "label"), count(10, "class", "classes")
        ('1 label', '1,437 labels', '10 classes')
    """
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def headline(report: Report) -> str:
    """The finding in one sentence."""
    issues, name = report.run.issues, report.run.title
    if not len(issues):
        return f"{name} was trained on {report.data}; no search for wrong labels was made."
    found = len(report.suspects)
    if not found:
        return f"None of {count(len(issues), 'label')} looks wrong to {name}."
    verb = "looks" if found == 1 else "look"
    return f"{found:,} of {count(len(issues), 'label')} ({percent(found / len(issues), 0)}) {verb} wrong to {name}."


def certainty(report: Report) -> str:
    """How sure the finding is: measured where the truth is known, otherwise by probability and agreement."""
    suspects, wrong = report.suspects, report.wrong(report.run.issues)
    if not len(suspects):
        return ""
    if wrong is None:
        return _certainty_without_truth(suspects)
    hits, total = int(wrong[report.run.issues["is_label_issue"].to_numpy(dtype=bool)].sum()), int(wrong.sum())
    return (
        f"The true labels of this data are known, so the list can be marked: {hits:,} of the {len(suspects):,}"
        f" ({percent(hits / len(suspects))}) really are wrong"
        + (f", and they are {percent(hits / total)} of all {count(total, 'wrong label')}." if total else ".")
    )


def _certainty_without_truth(suspects: pd.DataFrame) -> str:
    sure = int((suspects["p_suggested"] >= 0.9).sum())
    text = f"For {sure:,} of the {len(suspects):,} the suggested label has a probability of 90 % or more."
    others = [str(name) for name in suspects.columns if str(name).startswith("score_")][1:]
    if others:
        agreed = int((suspects[others] > 0).all(axis=1).sum())
        names = " and ".join(name.removeprefix("score_") for name in others)
        text += f" {agreed:,} are doubted by {names} as well."
    return f"{text} The true labels are not known: look at the suspects before you change them."


def training(report: Report) -> str:
    """What wrong labels did to ordinary training, and what the chosen method made of them."""
    plain, run = report.plain, report.run
    if run.last is None:
        return ""
    if plain is None or plain.last is None:
        return f"On clean test data {run.title} is right in {percent(run.last)} of cases after its last epoch."
    return (
        f"Trained on these labels in the ordinary way ({plain.title}), a network ends with {percent(plain.last)} right"
        f" on clean test data; with {run.title} it ends with {percent(run.last)}."
    )


def ends(lines: Sequence[tuple[str, np.ndarray]]) -> str:
    r"""Where lines end, as the text alternative of a figure.

    Example:
        >>> ends([("elr", np.array([0.2, 0.95])), ("gce", np.array([0.3, np.nan]))])
        'elr ends at 95\xa0%, gce at 30\xa0%.'
    """
    parts = [f"{name} {'at' if i else 'ends at'} {percent(float(_last(y)), 0)}" for i, (name, y) in enumerate(lines)]
    return ", ".join(parts) + "."


def _last(y: np.ndarray) -> float:
    known = y[~np.isnan(y)]
    return float(known[-1]) if known.size else float("nan")
