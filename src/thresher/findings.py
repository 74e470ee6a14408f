"""What a finished training knows about the labels: evidence, suspects and how good they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
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
from thresher.data.columns import encode, row_keys
from thresher.data.probabilities import align, read_label_column, read_probabilities
from thresher.data.split import fold_splits
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Held, predict_rows
from thresher.engine.method import Method
from thresher.engine.run import Run
from thresher.engine.study import Material, Study, use_best
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
        epochs = min(study.options.epochs, _FOLD_EPOCHS)
        evidence.append(confident_evidence(labels, cross_fitted(study, rows, data, cross_fit, epochs=epochs)))
    evidence = [_without(one, len(trusted)) for one in evidence or [_by_model(labels, probabilities)]]
    issues = issues_table(
        evidence,
        keys=data.train.keys[rows],
        given=labels,
        probabilities=probabilities,
        classes=data.classes,
        rows=rows,
    )
    if "monitor.flips" in run.tables:
        flips = dict(zip(run.rows.tolist(), run.table("monitor.flips").full().tolist(), strict=True))
        issues["flips"] = issues["row"].map(flips).astype("Int64")  # unknown for rows that were held out
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


def find_by_folds(study: Study, data: Data, trusted: np.ndarray, count: int) -> pd.DataFrame:
    """Judge every row by networks that never saw it, and nothing else: the table of ``issues.csv``.

    Args:
        study: its combination of methods trains every fold.
        data: all given rows.
        trusted: source rows that are known to be right, integer ``[n]``; they are listed without a score.
        count: of folds.
    """
    rows = np.concatenate([study.material.rows.numpy(), trusted]).astype(np.int64)
    labels = data.train.labels.numpy()[rows]
    probabilities = cross_fitted(study, rows, data, count, study.rest, study.options.epochs)
    evidence = _without(confident_evidence(labels, probabilities), len(trusted))
    return issues_table(
        [evidence],
        keys=data.train.keys[rows],
        given=labels,
        probabilities=probabilities,
        classes=data.classes,
        rows=rows,
    )


def find_in_probabilities(labels: str | Path, probabilities: str | Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Judge labels by the probabilities of the user's own model, by confident learning.

    Args:
        labels: a file of labels, by key or in the order of the rows; see `read_label_column`.
        probabilities: a file of out-of-sample class probabilities; see `read_probabilities`.

    Returns:
        The table of ``issues.csv``, and the class names.

    Raises:
        UsageError: files that cannot be read, or that do not belong together.
    """
    given, label_keys = read_label_column(labels)
    codes, classes = encode(given, f"the labels in {labels}")
    values, _, keys = read_probabilities(probabilities, classes)
    values = align(codes, label_keys, values, keys)
    known = keys if label_keys is None else label_keys
    shown = row_keys(len(codes)) if known is None else known
    evidence = [confident_evidence(codes, values)]
    return issues_table(evidence, keys=shown, given=codes, probabilities=values, classes=classes), classes


def cross_fitted(
    study: Study,
    rows: np.ndarray,
    data: Data,
    count: int,
    methods: Sequence[Method] = (),
    epochs: int = _FOLD_EPOCHS,
) -> np.ndarray:
    """Class probabilities of every row by networks that never saw it, ``[N, K]``.

    Each fold's network trains on the other folds, and is taken from the epoch that a noisy split of its own selects,
    for a network trained to the end has learned the wrong labels. Rows outside of the study get the mean of all folds.

    Args:
        study: whose trainings share the rows.
        rows: source rows, the training rows first, integer ``[N]``.
        data: all given rows.
        count: of folds.
        methods: how the folds are trained; none is plain cross-entropy.
        epochs: at most so many.
    """
    material, options = study.material, study.options
    size, labels = len(material.rows), material.labels.numpy()
    groups = None if data.train.groups is None else data.train.groups[rows[:size]]
    fold, parts = fold_splits(labels, count, options.valid, options.seed, groups)
    inside, outside = torch.zeros(size, material.classes), torch.zeros(len(rows) - size, material.classes)
    settings: dict[str, Any] = {"epochs": epochs, "monitor": False, "stop": "patience" if options.valid else "never"}
    for k, (learn, watch) in enumerate(parts):
        kept = torch.zeros(size, dtype=torch.bool)
        kept[torch.as_tensor(learn)] = True
        run = study.fit(
            f"fold-{k}",
            *methods,
            keep=kept,
            valid=_held(material, watch, study.runtime.device),
            **settings,
            patience=_FOLD_PATIENCE,
        )
        use_best(run)
        own = torch.as_tensor(fold == k)
        inside[own] = _predicted(run, material.rows[own])
        outside += _predicted(run, torch.as_tensor(rows[size:])) / count
    return torch.cat([inside, outside]).numpy()


def _held(material: Material, rows: np.ndarray, device: torch.device) -> Held | None:
    """A noisy split made of some of the study's own rows."""
    index = torch.as_tensor(rows)
    return Held(material.source, material.rows[index], material.labels[index].to(device)) if len(rows) else None


def _predicted(run: Run, rows: Tensor) -> Tensor:
    return predict_rows(run, run.source, rows).cpu()


def choose(selected: Sequence[float | None]) -> int:
    """Which of several trainings shows its suspects: the one with the best accuracy on the noisy validation split.

    Example:
        >>> choose([0.51, 0.57, None])
        1
    """
    return max(range(len(selected)), key=lambda k: -1.0 if selected[k] is None else float(selected[k] or 0))
