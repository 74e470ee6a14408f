"""What can be asked about the labels: the methods of a training, what was recorded over it, and its model."""

from dataclasses import replace

import numpy as np

from thresher.audit.dynamics import loss_evidence, margin_evidence
from thresher.audit.evidence import Evidence
from thresher.engine.combine import Combination
from thresher.engine.evaluate import recalled
from thresher.engine.run import Run
from thresher.parts import mixture


def of_run(methods: Combination, run: Run) -> list[Evidence]:
    """All that a finished training can tell about its own rows, the method that judged most of them first."""
    return _from_methods(methods, run) + _from_monitor(run)


def _from_methods(methods: Combination, run: Run) -> list[Evidence]:
    """What the methods suspect; a method that judged more samples speaks first."""
    suggestions = methods.suggestion(run)
    kept = None if run.kept is None else run.kept.numpy()
    found = []
    for name, suspicion in methods.suspicion(run).items():
        score = suspicion.double().cpu().numpy().copy()
        if kept is not None and f"{name}_suspicion" not in run.tables:
            score[~kept] = np.nan  # it never saw the samples that were left out
        suggested = suggestions.get(name)
        found.append(Evidence(name, score, None if suggested is None else suggested.cpu().numpy()))
    return sorted(found, key=lambda one: int(np.isnan(one.score).sum()))


def _from_monitor(run: Run) -> list[Evidence]:
    """Margins and losses over training, where the run predicted its training rows after each epoch."""
    if "monitor.margin" not in run.tables:
        return []
    margins = run.table("monitor.margin").full().cpu().numpy()
    losses = run.table("monitor.loss").full().cpu().numpy()
    return [margin_evidence(margins), loss_evidence(losses, mixture.fit(losses))]


def of_history(run: Run) -> list[Evidence]:
    """When each label was learned and how firmly, where the run predicted its training rows after each epoch."""
    return recalled(run, run.epoch).evidence() if "monitor.agreed" in run.tables else []


def by_model(labels: np.ndarray, probabilities: np.ndarray) -> Evidence:
    """The model's own margin: what is left when nothing was recorded over training."""
    own = probabilities[np.arange(len(labels)), labels]
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    return Evidence("model", others.max(1) - own, probabilities, reason="the model expects another label")


def without(evidence: Evidence, trusted: int) -> Evidence:
    """No score for the last rows, which are trusted."""
    score = evidence.score.astype(np.float64)
    score[len(score) - trusted :] = np.nan
    return replace(evidence, score=score)


def unknown(evidence: Evidence, count: int) -> Evidence:
    """The same with further rows, of which it knows nothing."""
    score = np.concatenate([evidence.score.astype(np.float64), np.full(count, np.nan)])
    suggested = evidence.suggested
    if suggested is not None:
        suggested = np.concatenate([suggested, np.full((count, suggested.shape[1]), 1 / suggested.shape[1])])
    return replace(evidence, score=score, suggested=suggested)


def with_held(evidence: Evidence, labels: np.ndarray, probabilities: np.ndarray, size: int) -> Evidence:
    """Add the held-out rows, scored by the selected model: they were not trained on, so it has not learned them.

    Their scores are the model's margins, scaled to the spread of the witness's own, so that 0 stays its threshold and
    both kinds of rows can stand in one ranking.
    """
    model = by_model(labels[size:], probabilities[size:])
    known = np.abs(evidence.score[np.isfinite(evidence.score)])
    spread = np.median(known) if len(known) else 1.0
    own = np.median(np.abs(model.score)) if len(model.score) else 1.0
    score = np.concatenate([evidence.score, model.score * (spread / max(own, 1e-12))])
    suggested = None
    if evidence.suggested is not None:
        suggested = np.concatenate([evidence.suggested, probabilities[size:]])
    return Evidence(evidence.name, score, suggested, evidence.reason)
