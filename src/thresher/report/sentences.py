"""The sentences of the report, for readers who never read a paper."""

import shlex
from collections.abc import Sequence

import numpy as np
import pandas as pd

from thresher.report import tables
from thresher.report.view import Report
from thresher.report.words import between, count, listed, measured, percent, roughly, share, shorten, witness


def headline(report: Report) -> str:
    """The finding in one sentence."""
    issues, name = report.run.issues, report.run.title
    to = "" if "score_combined" in issues or not name else f" to {name}"
    if not len(issues):
        return f"{name} was trained on {report.data}; no search for wrong labels was made."
    found = len(report.suspects)
    if not found:
        return f"None of {count(len(issues), 'label')} looks wrong{to}."
    verb = "looks" if found == 1 else "look"
    return f"{found:,} of {count(len(issues), 'label')} ({share(found, len(issues))}) {verb} wrong{to}."


def certainty(report: Report) -> str:
    """How sure the finding is: measured where the truth is known, otherwise by probability and agreement."""
    suspects, wrong = report.suspects, report.wrong_labels
    if not len(suspects):
        return ""
    if wrong is None:
        return _certainty_without_truth(suspects)
    hits, total = int(wrong[report.run.flagged].sum()), int(wrong.sum())
    return (
        f"The true labels of this data are known, so the list can be marked: {hits:,} of the {len(suspects):,}"
        f" ({measured(hits, len(suspects))}) really are wrong"
        + (f", and they are {roughly(hits / total, total)} of all {count(total, 'wrong label')}." if total else ".")
    )


def _certainty_without_truth(suspects: pd.DataFrame) -> str:
    text = ""
    if "p_suggested" in suspects:
        sure = int((suspects["p_suggested"] >= 0.9).sum())
        text = f"For {sure:,} of the {len(suspects):,} the suggested label has a probability of 90\xa0% or more."
    others = [str(name) for name in suspects.columns if str(name).startswith("score_")][1:]
    if others:
        agreed = int((suspects[others] > 0).all(axis=1).sum())
        text += (
            f" {agreed:,} are doubted by {listed([witness(name.removeprefix('score_')) for name in others])} as well."
        )
    return f"{text} The true labels are not known: look at the suspects before you change them.".lstrip()


def training(report: Report) -> str:
    """What wrong labels did to ordinary training, and what the chosen method made of them."""
    plain, run, n = report.plain, report.run, report.test_size
    if run.last is None:
        return ""
    if plain is None or plain.last is None:
        return f"On clean test data {run.title} is right in {roughly(run.last, n)} of cases after its last epoch."
    return (
        f"Trained on these labels in the ordinary way ({plain.title}), a network ends with {roughly(plain.last, n)}"
        f" right on clean test data; with {run.title} it ends with {roughly(run.last, n)}."
    )


def ceiling(report: Report) -> tuple[float, bool] | None:
    """The best accuracy that labels of which some are wrong can show, 1 - their share, and whether it is an estimate.

    Known where the noise was put in; otherwise estimated by the share of suspects. None without either.
    """
    realised = (report.noise or {}).get("realised")
    if realised is not None:
        return 1 - float(realised), False
    found, total = len(report.suspects), len(report.run.issues)
    return (1 - found / total, True) if found else None


def about_ceiling(report: Report) -> str:
    """The ceiling in one plain sentence; empty where there is none, or no accuracy on held-out labels."""
    top = ceiling(report)
    if top is None or not any("valid" in run.history and run.history["valid"].notna().any() for run in report.runs):
        return ""
    value, estimated = top
    if not estimated:
        return (
            f"Of the held-out labels about {percent(1 - value)} are wrong themselves, so a network that is always right"
            f" agrees with about {percent(value)} of them: that is the dashed ceiling, and no honest one gets past it."
        )
    return (
        f"If the suspects are the wrong labels, {percent(1 - value)} of the held-out ones are wrong themselves (95\xa0%"
        f" interval {between(1 - value, len(report.run.issues))}), so a network that is always right agrees with about"
        f" {percent(value)} of them: that is the dashed ceiling, an estimate, and no honest one gets far past it."
    )


def flips(report: Report) -> str:
    """How often predictions changed for suspects and for the rest; empty where that is not known."""
    run = report.run
    if run.flips is None or not run.flagged.any() or run.flagged.all():
        return ""
    times = run.flips.reindex(run.issues["row"]).to_numpy(dtype=float)
    means = [np.nanmean(part) for part in (times[run.flagged], times[~run.flagged]) if not np.isnan(part).all()]
    if len(means) < 2:
        return ""
    return (
        f"On average the prediction for a suspect changed {means[0]:.1f} times during training, that for another label"
        f" {means[1]:.1f} times: a label that the pictures, words or numbers do not support keeps a network undecided."
    )


def comparison(square: tables.Square) -> str:
    """Whether the runs looked at the same rows."""
    if square.alike:
        return "All runs judged the same rows."
    return "The runs did not judge the same rows: each pair is compared on the rows that both have, by key."


def steps(report: Report) -> list[tuple[str, str]]:
    """What to type next, and what for; nothing where nothing is suspected, or where the list is not known."""
    if not report.source or not len(report.suspects):
        return []
    source, decisions = shlex.quote(report.source), ""
    if report.source.endswith(".csv"):
        decisions = f" --decisions {shlex.quote(report.source.removesuffix('.csv') + '.decisions.jsonl')}"
    return [
        ("Look at the suspects in a browser, and decide", f"thresher review {source}"),
        (
            "Write the labels as decided, the original stays as it is",
            f"thresher correct {source} --policy review{decisions} --out corrected.csv",
        ),
    ]


def correction(report: Report) -> list[str]:
    """What a correction changed: counts, then accuracy and suspects before and after."""
    before, run, changes = report.before, report.run, tables.changed(report)
    total = len(run.issues) or (0 if before is None else len(before.issues))
    what = f"{len(changes):,} of {count(total, 'label')} ({share(len(changes), total)})"
    said = [
        f"{what if total else count(len(changes), 'label')} {'was' if len(changes) == 1 else 'were'} changed.",
        _marked(report, changes),
    ]
    if before is not None:
        said.append(_removed(len(before.issues), len(run.issues)))
        said.append(_fewer_suspects(len(before.suspects), len(before.issues), len(run.suspects), len(run.issues)))
    return [sentence for sentence in said if sentence]


def _marked(report: Report, changes: pd.DataFrame) -> str:
    """How many changes were right, where the truth is known."""
    true = changes["key"].map(report.truth or {})
    if not len(changes) or true.isna().any():
        return ""
    better, worse = int((true == changes["label"]).sum()), int((true == changes["given"]).sum())
    rest = len(changes) - better - worse
    spoiled = "1 was right before and is wrong now" if worse == 1 else f"{worse:,} were right before and are wrong now"
    return (
        f"By the true labels, the change put right {better:,} of them ({measured(better, len(changes))}); {spoiled}"
        + (f"; {rest:,} stayed wrong." if rest else ".")
    )


def _removed(before: int, after: int) -> str:
    return (
        f"{count(before - after, 'row')} {'was' if before - after == 1 else 'were'} left out."
        if 0 < after < before
        else ""
    )


def _fewer_suspects(found: int, total: int, now: int, left: int) -> str:
    if not total or not left:
        return ""
    return (
        f"Suspects before: {found:,} of {total:,} ({measured(found, total)});"
        f" after: {now:,} of {left:,} ({measured(now, left)})."
    )


def ends(lines: Sequence[tuple[str, np.ndarray]]) -> str:
    r"""Where lines end, as the text alternative of a figure.

    Example:
        >>> ends([("elr", np.array([0.2, 0.95])), ("gce", np.array([0.3, np.nan]))])
        'elr ends at 95\xa0%, gce at 30\xa0%.'
    """
    parts = [f"{name} {'at' if i else 'ends at'} {percent(float(_last(y)), 0)}" for i, (name, y) in enumerate(lines)]
    return ", ".join(parts) + "."


def worst(rows: pd.DataFrame, what: str) -> str:
    r"""The rows of a chart of shares, as its text alternative: the first three and the last.

    Example:
        >>> worst(pd.DataFrame({"name": ["cat", "dog"], "share": [0.5, 0.1]}), "doubted")
        'cat 50.0\xa0% doubted, dog 10.0\xa0%.'
    """
    shown = rows.head(3).to_dict("records")
    parts = [f"{shorten(row['name'])} {percent(row['share'])}" for row in shown]
    parts[0] += f" {what}"
    if len(rows) > 3:
        last = rows.iloc[-1]
        parts.append(f"and so on to {shorten(last['name'])} {percent(last['share'])}")
    return ", ".join(parts) + "."


def _last(y: np.ndarray) -> float:
    known = y[~np.isnan(y)]
    return float(known[-1]) if known.size else float("nan")
