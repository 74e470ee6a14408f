"""What a finished training knows about the labels: evidence, suspects and how good they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from thresher.audit import Evidence, issues_table
from thresher.audit.dynamics import loss_evidence, margin_evidence
from thresher.audit.evidence import confident_evidence
from thresher.audit.scores import Detection, detection
from thresher.data import Data
from thresher.data.split import folds
from thresher.engine.combine import Combination
from thresher.engine.evaluate import predict_rows
from thresher.engine.run import Run
from thresher.engine.study import Study, use_best
from thresher.parts import mixture

_FOLD_PATIENCE = 5
_FOLD_EPOCHS = 30


@dataclass(frozen=True, eq=False)
class Findings:
    """Suspects of one training.

    Attributes:
        issues: every given row, worst first, in the columns of ``issues.csv``.
        detections: one entry per witness, ``name`` and the fields of `Detection`; empty where the truth is unknown.
    """

    issues: pd.DataFrame
    detections: list[dict[str, Any]]

    @property
    def detection(self) -> dict[str, Any] | None:
        """How good the chosen witness is, or None where the truth is unknown."""
        return self.detections[0] if self.detections else None


def find(study: Study, run: Run, data: Data, held: np.ndarray, trusted: np.ndarray, cross_fit: int = 0) -> Findings:
    """Ask every witness, and put their answers side by side.

    Args:
        study: that made the run; its methods are asked.
        run: the finished training; it is left with the weights of its selected epoch.
        data: all given rows.
        held: source rows that were held out, integer ``[n]``; they are scored by the model alone, out of sample.
        trusted: source rows that are known to be right, integer ``[n]``; they are listed without a score.
        cross_fit: folds of confident learning on cross-fitted probabilities; 0 leaves it out.
    """
    rows = np.concatenate([run.rows.numpy(), held, trusted]).astype(np.int64)
    labels = data.train.labels.numpy()[rows]
    known = _from_methods(study.method, run) + _from_monitor(run)
    probabilities = predict_rows(use_best(run), run.source, torch.as_tensor(rows)).cpu().numpy()
    evidence = [_with_held(one, labels, probabilities, run.size) for one in known]
    if cross_fit:
        evidence.append(confident_evidence(labels, cross_fitted(study, rows, data, cross_fit)))
    evidence = [_without(one, len(trusted)) for one in evidence or [_by_model(labels, probabilities)]]
    issues = issues_table(
        evidence,
        keys=data.train.keys[rows],
        given=labels,
        probabilities=probabilities,
        classes=data.classes,
        rows=rows,
    )
    clean = data.train.clean
    if clean is None:
        return Findings(issues, [])
    wrong = clean.numpy()[rows] != labels
    return Findings(issues, [{"name": one.name, **_detection(one, wrong)} for one in evidence])


def _detection(evidence: Evidence, wrong: np.ndarray) -> Detection:
    return detection(evidence.flagged, evidence.score, wrong)


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


def _by_model(labels: np.ndarray, probabilities: np.ndarray) -> Evidence:
    """The model's own margin: what is left when nothing was recorded over training."""
    own = probabilities[np.arange(len(labels)), labels]
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    return Evidence("model", others.max(1) - own, probabilities, reason="the model expects another label")


def _without(evidence: Evidence, trusted: int) -> Evidence:
    """No score for the last rows, which are trusted."""
    score = evidence.score.astype(np.float64)
    score[len(score) - trusted :] = np.nan
    return replace(evidence, score=score)


def _with_held(evidence: Evidence, labels: np.ndarray, probabilities: np.ndarray, size: int) -> Evidence:
    """Add the held-out rows, scored by the selected model: they were not trained on, so it has not learned them.

    Their scores are the model's margins, scaled to the spread of the witness's own, so that 0 stays its threshold and
    both kinds of rows can stand in one ranking.
    """
    model = _by_model(labels[size:], probabilities[size:])
    known = np.abs(evidence.score[np.isfinite(evidence.score)])
    spread = np.median(known) if len(known) else 1.0
    own = np.median(np.abs(model.score)) if len(model.score) else 1.0
    score = np.concatenate([evidence.score, model.score * (spread / max(own, 1e-12))])
    suggested = None
    if evidence.suggested is not None:
        suggested = np.concatenate([evidence.suggested, probabilities[size:]])
    return Evidence(evidence.name, score, suggested, evidence.reason)


def cross_fitted(study: Study, rows: np.ndarray, data: Data, count: int) -> np.ndarray:
    """Class probabilities of every row by networks that never saw it, ``[N, K]``.

    Each fold's network trains on the other folds, plainly, and is taken from the epoch that the noisy validation split
    selects, for a network trained to the end has learned the wrong labels. Held-out rows get the mean of all folds.

    Args:
        study: whose trainings share the split.
        rows: source rows, the training rows first, integer ``[N]``.
        data: all given rows.
        count: of folds.
    """
    material, options = study.material, study.options
    size = len(material.rows)
    groups = None if data.train.groups is None else data.train.groups[rows[:size]]
    fold = torch.as_tensor(folds(material.labels.numpy(), count, options.seed, groups))
    inside, outside = torch.zeros(size, material.classes), torch.zeros(len(rows) - size, material.classes)
    stop: dict[str, Any] = {"monitor": False, "average": 0.0}
    if material.valid is not None:
        stop |= {"stop": "patience", "patience": _FOLD_PATIENCE}
    for k in range(count):
        run = study.fit(f"fold-{k}", keep=fold != k, epochs=min(options.epochs, _FOLD_EPOCHS), **stop)
        use_best(run)
        inside[fold == k] = _predicted(run, material.rows[fold == k])
        outside += _predicted(run, torch.as_tensor(rows[size:])) / count
    return torch.cat([inside, outside]).numpy()


def _predicted(run: Run, rows: Tensor) -> Tensor:
    return predict_rows(run, run.source, rows).cpu()


def choose(selected: Sequence[float | None]) -> int:
    """Which of several trainings shows its suspects: the one with the best accuracy on the noisy validation split.

    Example:
        >>> choose([0.51, 0.57, None])
        1
    """
    return max(range(len(selected)), key=lambda k: -1.0 if selected[k] is None else float(selected[k] or 0))
