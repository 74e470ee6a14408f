"""From a table of annotators to suspects, to a table of the annotators, and to labels to train on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thresher.annotators.agreement import Agreement, agreement
from thresher.annotators.consensus import Consensus, consensus
from thresher.annotators.majority import majority
from thresher.annotators.quality import annotator_evidence, annotator_table
from thresher.annotators.table import VoteTable, read_votes
from thresher.annotators.votes import Votes
from thresher.audit.evidence import confident_evidence
from thresher.audit.issues import issues_table
from thresher.data.labels import PREFIX, LabelFile, read_keyed
from thresher.data.probabilities import read_probabilities
from thresher.errors import UsageError


@dataclass(frozen=True, eq=False)
class Found:
    """What the labels of several annotators say.

    Attributes:
        issues: every row, worst first, in the columns of ``issues.csv``.
        annotators: one row per annotator, worst first, from `annotator_table`.
        agreement: of the annotators.
        labels: a row per sample, ``key``, ``label`` and ``p_<class>``: a file to train on, as `read_labels` reads it.
        classes: the class names.
        method: how the consensus was found.
    """

    issues: pd.DataFrame
    annotators: pd.DataFrame
    agreement: Agreement
    labels: pd.DataFrame
    classes: tuple[str, ...]
    method: str


def find_in_votes(
    source: str | Path | pd.DataFrame,
    *,
    probs: str | Path | None = None,
    labels: Path | None = None,
    method: str = "auto",
    **columns: Any,
) -> Found:
    """Judge the labels in use by those of several annotators, and by a model where there is one.

    Args:
        source: a table of the annotators' labels.
        probs: a file of out-of-sample class probabilities; with keys it may have rows that nobody labelled.
        labels: a CSV file of the labels in use, ``key`` and ``label``; default the majority vote.
        method: of the consensus, see `consensus`.
        columns: `annotator`, `annotators`, `label` and `key` of `read_votes`.

    Raises:
        UsageError: whatever `read_votes`, `read_probabilities`, `read_keyed` and `consensus` refuse; probabilities
            without keys beside a table with a row per label.

    Example:
        >>> wide = pd.DataFrame({"a": ["cat", "dog", "cat"], "b": ["cat", "dog", "dog"], "c": ["cat", "cat", "dog"]})
        >>> found = find_in_votes(wide, annotators="a,b,c", method="majority")
        >>> found.labels.to_dict("records")[2]
        {'key': '2', 'label': 'dog', 'p_cat': 0.3333333333333333, 'p_dog': 0.6666666666666666}
    """
    table, values = (
        (read_votes(source, **columns), None) if probs is None else _with_model(source, Path(probs), columns)
    )
    votes, classes = table.votes, table.classes
    found = consensus(votes, method, values)
    given = _given(table, found, values, labels)
    evidence = [annotator_evidence(votes, found, given, classes)]
    if values is not None:
        evidence.append(confident_evidence(given, values))
    issues = issues_table(evidence, keys=table.keys, given=given, probabilities=found.probabilities, classes=classes)
    people = annotator_table(votes, found, classes)
    return Found(issues, people, agreement(votes), soft_label_table(table, found), classes, found.method)


def soft_label_table(table: VoteTable, found: Consensus) -> pd.DataFrame:
    """The consensus as a file of labels: columns ``key``, ``label`` and ``p_<class>``, all empty where there is none.

    Args:
        table: labels of several annotators.
        found: their consensus.

    Example:
        >>> wide = pd.DataFrame({"a": ["cat", "dog"], "b": ["cat", "dog"]})
        >>> table = read_votes(wide, annotators="a,b")
        >>> soft_label_table(table, consensus(table.votes, "majority")).to_dict("records")[0]
        {'key': '0', 'label': 'cat', 'p_cat': 1.0, 'p_dog': 0.0}
    """
    known = found.labels >= 0
    names = np.asarray((*table.classes, ""), dtype=object)
    soft = np.where(known[:, None], found.probabilities, np.nan)
    frame = pd.DataFrame({"key": table.keys, "label": names[found.labels]})
    return pd.concat([frame, pd.DataFrame(soft, columns=[f"{PREFIX}{name}" for name in table.classes])], axis=1)


def voted_labels(
    source: str | Path | pd.DataFrame,
    keys: np.ndarray,
    classes: tuple[str, ...],
    *,
    method: str = "auto",
    **columns: Any,
) -> LabelFile:
    """Labels to train on: what `read_labels` reads from a file, from a table of annotators.

    Args:
        source: a table of the annotators' labels.
        keys: of the data, object array ``[N]``.
        classes: the class names.
        method: ``dawid_skene`` (and ``auto``) or ``majority``.
        columns: `annotator`, `annotators`, `label` and `key` of `read_votes`.

    Returns:
        Class numbers and class probabilities of every row of the data; a row that nobody labelled is left out (-1).

    Raises:
        UsageError: as for `read_votes` and `consensus`.

    Example:
        >>> wide = pd.DataFrame({"key": ["y", "x"], "a": ["cat", "dog"], "b": ["cat", "cat"]})
        >>> keys = np.array(["x", "y", "z"], dtype=object)
        >>> voted_labels(wide, keys, ("cat", "dog"), annotators="a,b", method="majority").targets.tolist()
        [[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]]
    """
    table = read_votes(source, keys=keys, classes=classes, unlabelled=True, **columns)
    found = consensus(table.votes, method)
    targets = found.probabilities.astype(np.float32)
    targets[found.labels < 0] = np.eye(len(classes), dtype=np.float32)[0]  # not read, but a row must sum to 1
    return LabelFile(found.labels, None, targets)


def _with_model(
    source: str | Path | pd.DataFrame, probs: Path, columns: dict[str, Any]
) -> tuple[VoteTable, np.ndarray]:
    """The votes in the order of a model's rows."""
    values, names, keys = read_probabilities(probs)
    if keys is None and columns.get("annotator") is not None:
        raise UsageError(
            f"{probs} has no column 'key', so its rows cannot be told apart: give it the keys of the labels"
        )
    table = read_votes(source, keys=keys, classes=names, unlabelled=True, **columns)
    _check_fit(table.votes, values, probs)
    return table, values


def _check_fit(votes: Votes, values: np.ndarray, probs: Path) -> None:
    if values.shape != (votes.size, votes.classes):
        raise UsageError(
            f"{probs} has {values.shape[0]} rows and {values.shape[1]} columns, and the annotators label {votes.size} "
            f"rows with {votes.classes} classes: give one row per sample and one column per class, or name both by a "
            "column 'key' and a header"
        )


def _given(table: VoteTable, found: Consensus, values: np.ndarray | None, labels: Path | None) -> np.ndarray:
    """The labels to judge: those in a file, or the majority vote, and the model's where nobody voted."""
    if labels is None:
        voted = majority(table.votes, values)
        return np.where(voted < 0, found.labels if values is None else values.argmax(axis=1), voted)
    rows, codes = read_keyed(labels, table.keys, table.classes)
    if len(rows) < len(table.keys):
        lacking = np.setdiff1d(np.arange(len(table.keys)), rows)
        raise UsageError(
            f"{labels} has no label for {len(lacking)} rows, the first is {table.keys[lacking[0]]!r}: add them"
        )
    return codes
