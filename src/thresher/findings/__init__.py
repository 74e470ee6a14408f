"""What is known about the labels in the end: witnesses are asked, their answers combined, and the table made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from thresher.audit.combine import SAME, combine
from thresher.audit.evidence import Evidence, confident_evidence
from thresher.audit.issues import issues_table
from thresher.audit.neighbours import Neighbours, nearest
from thresher.data import Data
from thresher.data.columns import encode, row_keys
from thresher.data.probabilities import align, read_label_column, read_probabilities
from thresher.engine.evaluate import feature_rows, predict_rows
from thresher.engine.run import Run
from thresher.engine.study import Study, use_best
from thresher.findings.folds import NEIGHBOURS, OutOfSample, cross_fitted, out_of_sample
from thresher.findings.table import judged_table
from thresher.findings.witnesses import by_model, of_history, of_run, unknown, with_held, without

__all__ = ["Findings", "choose", "cross_fitted", "find", "find_by_folds", "find_in_probabilities"]

WHOLE = "whole"
"""The training of a search that sees all rows."""

_FOLD_EPOCHS = 30
_COMPARED = 50_000


@dataclass(frozen=True, eq=False)
class Findings:
    """What is known about N source rows.

    Attributes:
        issues: all of them, worst first, in the columns of ``issues.csv``.
        rows: their row numbers in the order of the arrays, int64 ``[N]``.
        probabilities: of the classes: out of sample where folds were trained, otherwise the model's, float ``[N, K]``.
        neighbours: of every row, as positions in `rows`, or None.
    """

    issues: pd.DataFrame
    rows: np.ndarray
    probabilities: np.ndarray
    neighbours: Neighbours | None


def find(study: Study, run: Run, data: Data, held: np.ndarray, trusted: np.ndarray, cross_fit: int = 0) -> Findings:
    """Ask what a finished training can tell and, with folds, models that never saw the rows.

    Args:
        study: that made the run; its methods are asked.
        run: the finished training; it is left with the weights of its selected epoch.
        data: all given rows.
        held: source rows that were held out, integer ``[n]``; they are scored by the model alone, out of sample.
        trusted: source rows that are known to be right, integer ``[n]``; they are listed without a score.
        cross_fit: folds of cross-fitting, by which all witnesses are combined into p_wrong; 0 leaves it out.
    """
    rows = np.concatenate([run.rows.numpy(), held, trusted]).astype(np.int64)
    labels = data.train.labels.numpy()[rows]
    known, learned = of_run(study.method, run), of_history(run)
    p = predict_rows(use_best(run), run.source, torch.as_tensor(rows)).cpu().numpy()
    evidence = [with_held(one, labels, p, run.size) for one in known]
    evidence += [unknown(one, len(held) + len(trusted)) for one in learned]
    if cross_fit:
        judged = out_of_sample(study, rows, data, cross_fit, epochs=min(study.options.epochs, _FOLD_EPOCHS))
        found = _judged(judged, rows, data, len(trusted), evidence)
    else:
        evidence = [without(one, len(trusted)) for one in evidence or [by_model(labels, p)]]
        keys, classes = data.train.keys[rows], data.classes
        issues = issues_table(evidence, keys=keys, given=labels, probabilities=p, classes=classes, rows=rows)
        found = Findings(issues, rows, p, _alike(run, rows))
    if "monitor.flips" in run.tables:
        flips = dict(zip(run.rows.tolist(), run.table("monitor.flips").full().tolist(), strict=True))
        found.issues["flips"] = found.issues["row"].map(flips).astype("Int64")  # unknown for rows that were held out
    return found


def find_by_folds(study: Study, data: Data, trusted: np.ndarray, count: int, model: str = "net") -> Findings:
    """Judge every row by models that never saw it and, where these are networks, by how it behaves while it is learned.

    Args:
        study: its combination of methods trains every fold, and one network more on all rows, for the latter.
        data: all given rows.
        trusted: source rows that are known to be right, integer ``[n]``; they are listed without a score.
        count: of folds.
        model: ``net``, or the name of a classifier in `thresher.findings.estimators`.
    """
    rows = np.concatenate([study.material.rows.numpy(), trusted]).astype(np.int64)
    epochs = study.options.epochs
    judged = out_of_sample(study, rows, data, count, model=model, methods=study.rest, epochs=epochs)
    known: list[Evidence] = []
    if model == "net":
        run = study.fit(WHOLE, *study.rest, epochs=epochs, monitor=True)
        known = [unknown(one, len(trusted)) for one in (*of_run(study.method, run), *of_history(run))]
    return _judged(judged, rows, data, len(trusted), known)


def _judged(
    judged: OutOfSample, rows: np.ndarray, data: Data, trusted: int, further: Sequence[Evidence] = ()
) -> Findings:
    """All evidence combined."""
    inputs = data.train.inputs
    issues = judged_table(
        judged,
        keys=data.train.keys[rows],
        labels=data.train.labels.numpy()[rows],
        classes=data.classes,
        rows=rows,
        trusted=trusted,
        further=further,
        inputs=inputs[torch.as_tensor(rows)] if isinstance(inputs, torch.Tensor) else None,
    )
    return Findings(issues, rows, judged.probabilities, judged.neighbours)


def _alike(run: Run, rows: np.ndarray) -> Neighbours | None:
    """What the trained network takes for alike, for people to look at; it has seen the rows, so it is no evidence."""
    k = min(NEIGHBOURS, len(rows) - 1)
    if k < 1 or len(rows) > _COMPARED:
        return None
    features = feature_rows(run, run.source, torch.as_tensor(rows))
    return nearest(features, k, device=str(run.device)) if features.isfinite().all() else None


def find_in_probabilities(
    labels: str | Path, *probabilities: str | Path, classes: Sequence[str] | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Judge labels by the probabilities of the user's own model, or of several, by confident learning.

    Args:
        labels: a file of labels, by key or in the order of the rows; see `read_label_column`. Without keys, their order
            is that of the first file of probabilities.
        probabilities: a file of out-of-sample class probabilities, see `read_probabilities`; of several models the mean
            decides, and each is a witness beside it.
        classes: names of the columns in a file without a header; by default the names among the labels, sorted.

    Returns:
        The table of ``issues.csv``, and the class names.

    Raises:
        UsageError: files that cannot be read, or that do not belong together; a label that is none of the classes.
    """
    given, known = read_label_column(labels)
    codes, classes = encode(given, f"the labels in {labels}", classes)
    found = []
    for path in probabilities:
        values, _, keys = read_probabilities(path, classes)
        found.append(align(codes, known, values, keys))
        known = keys if known is None else known  # the next files are brought into this order
    mean = found[0] if len(found) == 1 else np.mean(found, axis=0)
    single = [_single(codes, p, name) for p, name in zip(found, _names(probabilities), strict=True)]
    further = single if len(found) > 1 else []
    table = issues_table(
        [confident_evidence(codes, mean, classes), *further],
        keys=row_keys(len(codes)) if known is None else known,
        given=codes,
        probabilities=mean,
        classes=classes,
        p_wrong=combine(further, codes, mean).p_wrong,
    )
    return table, classes


def _names(probabilities: Sequence[str | Path]) -> list[str]:
    """The models' names: those of the files, or numbers where these are equal or names of other evidence."""
    stems = [Path(path).stem for path in probabilities]
    taken = {*SAME, "combined"} & set(stems)
    return stems if len(set(stems)) == len(stems) and not taken else [f"model_{k + 1}" for k in range(len(stems))]


def _single(labels: np.ndarray, probabilities: np.ndarray, name: str) -> Evidence:
    """One of several models: its margin, and what it expects."""
    return replace(by_model(labels, probabilities), name=name, reason=None)


def choose(selected: Sequence[float | None]) -> int:
    """Which of several trainings shows its suspects: the one with the best accuracy on the noisy validation split.

    Example:
        >>> choose([0.51, 0.57, None])
        1
    """
    return max(range(len(selected)), key=lambda k: -1.0 if selected[k] is None else float(selected[k] or 0))
