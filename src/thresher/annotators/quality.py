"""What the annotators are worth, what each of their labels is worth, and what they say of the labels in use."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from thresher.annotators.agreement import cohen
from thresher.annotators.consensus import Consensus
from thresher.annotators.votes import Votes
from thresher.audit.evidence import Evidence
from thresher.errors import UsageError


def annotator_table(votes: Votes, found: Consensus, classes: Sequence[str]) -> pd.DataFrame:
    """One row per annotator, the worst first.

    Args:
        votes: labels of several annotators.
        found: their consensus.
        classes: the K class names.

    Returns:
        Columns ``annotator``; ``labels``, how many this annotator gave; ``agreement``, the share of them that are the
        consensus, on rows that others labelled too; ``kappa``, the same beyond chance (Cohen's kappa with the
        consensus on these rows); ``quality``, the consensus method's own estimate that a label is right, 0..1;
        ``worst_class``, of the classes given that which is the consensus least often, the more frequent of equal ones.
        NaN and an empty class where there is nothing to tell.

    Raises:
        UsageError: another number of class names.

    Example:
        >>> from thresher.annotators.consensus import consensus
        >>> from thresher.annotators.votes import matrix_votes
        >>> votes = matrix_votes(np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]]))
        >>> annotator_table(votes, consensus(votes, "majority"), ["cat", "dog"]).to_dict("records")[0]
        {'annotator': '2', 'labels': 4, 'agreement': 0.5, 'kappa': 0.0, 'quality': 0.5, 'worst_class': 'cat'}
    """
    _check_classes(votes, classes)
    agrees, shared = votes.labels == found.labels[votes.rows], votes.per_row[votes.rows] > 1
    order = np.argsort(votes.annotators, kind="stable")
    parts = np.split(order, np.cumsum(votes.per_annotator)[:-1])
    compared = [part[shared[part]] for part in parts]
    table = pd.DataFrame(
        {
            "annotator": list(votes.names),
            "labels": votes.per_annotator,
            "agreement": [float(agrees[part].mean()) if len(part) else np.nan for part in compared],
            "kappa": [cohen(votes.labels[part], found.labels[votes.rows[part]]) for part in compared],
            "quality": found.accuracy,
            "worst_class": _worst_classes(votes, agrees, classes),
        }
    )
    return table.sort_values(["quality", "agreement"], kind="stable").reset_index(drop=True)


def _worst_classes(votes: Votes, agrees: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Per annotator, the class whose labels are the consensus least often."""
    place = votes.annotators.astype(np.int64) * votes.classes + votes.labels
    found, which, number = np.unique(place, return_inverse=True, return_counts=True)
    right = np.bincount(which, agrees, minlength=len(found)) / number
    owner, label = found // votes.classes, found % votes.classes
    result = [""] * len(votes.names)
    for k in np.lexsort((-label, number, -right, owner)):  # the last one of each annotator stays
        result[owner[k]] = str(classes[label[k]])
    return result


def label_table(
    votes: Votes, found: Consensus, keys: Sequence[str] | np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """One row per label that somebody gave, the most doubtful first.

    Args:
        votes: labels of several annotators.
        found: their consensus.
        keys: of the N rows.
        classes: the K class names.

    Returns:
        Columns ``key, row, annotator, label, consensus, label_quality``; the last is the probability that this label is
        the true class, 0..1.

    Raises:
        UsageError: another number of keys or class names.

    Example:
        >>> from thresher.annotators.consensus import consensus
        >>> from thresher.annotators.votes import matrix_votes
        >>> votes = matrix_votes(np.array([[0, 0, 1, 0], [1, 1, 1, 1]]), names=("ann", "bob", "cyd", "dee"))
        >>> label_table(votes, consensus(votes, "majority"), ["x", "y"], ["cat", "dog"]).to_dict("records")[0]
        {'key': 'x', 'row': 0, 'annotator': 'cyd', 'label': 'dog', 'consensus': 'cat', 'label_quality': 0.25}
    """
    _check_classes(votes, classes)
    if len(keys) != votes.size:
        raise UsageError(f"there are {len(keys)} keys for {votes.size} rows")
    names, quality = np.asarray(classes, dtype=object), found.probabilities[votes.rows, votes.labels]
    order = np.argsort(quality, kind="stable")
    rows = votes.rows[order]
    return pd.DataFrame(
        {
            "key": np.asarray(keys, dtype=object)[rows],
            "row": rows,
            "annotator": np.asarray(votes.names, dtype=object)[votes.annotators[order]],
            "label": names[votes.labels[order]],
            "consensus": names[found.labels[rows]],
            "label_quality": quality[order],
        }
    )


def annotator_evidence(votes: Votes, found: Consensus, labels: np.ndarray, classes: Sequence[str]) -> Evidence:
    """What the annotators say of the labels in use, which may be one of theirs, a vote, or from elsewhere.

    Args:
        votes: labels of several annotators.
        found: their consensus.
        labels: the labels to judge, class numbers, integer ``[N]``.
        classes: the K class names.

    Returns:
        Evidence named ``annotators``: the probability of the most probable other class minus that of the label
        (-1..1), NaN for a row that nobody labelled. Its reason is a function of row numbers.

    Raises:
        UsageError: labels of another length or range, another number of class names.

    Example:
        >>> from thresher.annotators.consensus import consensus
        >>> from thresher.annotators.votes import matrix_votes
        >>> votes = matrix_votes(np.array([[0, 0, 1, 0], [1, 1, 1, 1]]))
        >>> said = annotator_evidence(votes, consensus(votes, "majority"), np.array([1, 1]), ["cat", "dog"])
        >>> said.flagged, said.reason(np.array([0]))
        (array([ True, False]), ["3 of 4 annotators say 'cat'"])
    """
    _check_classes(votes, classes)
    labels = np.asarray(labels)
    if labels.shape != (votes.size,) or labels.dtype.kind not in "iu":
        raise UsageError(
            f"the labels to judge are {labels.dtype} {list(labels.shape)}: give {votes.size} class numbers"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < votes.classes:
        raise UsageError(f"the labels to judge go from {labels.min()} to {labels.max()}, of {votes.classes} classes")
    every = np.arange(votes.size)
    others = found.probabilities.copy()
    others[every, labels] = -1
    best = others.argmax(axis=1)
    score = others[every, best] - found.probabilities[every, labels]
    score[votes.per_row == 0] = np.nan

    def reason(rows: np.ndarray) -> list[str]:
        return _words(votes, np.asarray(rows), best, labels, classes)

    return Evidence("annotators", score, found.probabilities, reason)


def _words(votes: Votes, rows: np.ndarray, best: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> list[str]:
    """How many annotators say what, a phrase per row; where nobody names the class that leads, who names the label."""
    wanted = np.isin(votes.rows, rows)
    place = votes.rows[wanted].astype(np.int64) * votes.classes + votes.labels[wanted]
    counts = dict(zip(*(part.tolist() for part in np.unique(place, return_counts=True)), strict=True))
    number = votes.per_row
    phrases = []
    for row in rows.tolist():
        lead, given, people = int(best[row]), int(labels[row]), int(number[row])
        who = f"{people} annotator" if people == 1 else f"{people} annotators"
        named = lead if row * votes.classes + lead in counts else given
        count = counts.get(row * votes.classes + named, 0)
        phrase = f"{count or 'none'} of {who} {'say' if count > 1 else 'says'} '{classes[named]}'"
        phrases.append(phrase if named == lead else f"{phrase}, and '{classes[lead]}' is more likely")
    return phrases


def _check_classes(votes: Votes, classes: Sequence[str]) -> None:
    if len(classes) != votes.classes:
        raise UsageError(f"there are {len(classes)} class names for votes of {votes.classes} classes")
