"""The table of issues of rows that were judged by models which never saw them: all evidence, combined."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from thresher.audit.calibrate import best_cut
from thresher.audit.combine import combine
from thresher.audit.evidence import Evidence, confident_evidence
from thresher.audit.issues import issues_table
from thresher.audit.kinds import Kinds, find_kinds
from thresher.audit.neighbours import Neighbours
from thresher.audit.neighbours.duplicates import exact_duplicates, joined, near_duplicates
from thresher.audit.neighbours.votes import neighbour_evidence, neighbour_votes
from thresher.findings.folds import OutOfSample
from thresher.findings.witnesses import without


def judged_table(
    judged: OutOfSample,
    *,
    keys: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    rows: np.ndarray,
    trusted: int = 0,
    further: Sequence[Evidence] = (),
    inputs: torch.Tensor | None = None,
    decisions: tuple[np.ndarray, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Put all evidence together; what the models say comes first, then further witnesses.

    Args:
        judged: what models say of N rows that they never saw.
        keys: of the rows, ``[N]``.
        labels: given labels, int64 ``[N]``.
        classes: class names.
        rows: source rows, int64 ``[N]``.
        trusted: so many rows at the end are known to be right; they are listed without a score.
        further: more witnesses over the same rows.
        inputs: of the rows, where they are in memory, to find equal ones.
        decisions: places of rows that people have judged, and whether their labels are wrong; or None.

    Returns:
        The columns of ``issues.csv``, worst first.
    """
    p, votes, evidence = judged.probabilities, None, [confident_evidence(labels, judged.probabilities, classes)]
    if judged.neighbours is not None:
        votes = neighbour_votes(judged.neighbours, labels, len(classes))
        evidence.append(neighbour_evidence(judged.neighbours, labels, classes))
    combined = combine(further, labels, p, votes=votes, decisions=decisions)
    combined.p_wrong[len(labels) - trusted :] = np.nan
    wrong = combined.p_wrong >= best_cut(combined.p_wrong)
    return issues_table(
        [without(one, trusted) for one in (*evidence, *further)],
        keys=keys,
        given=labels,
        probabilities=p,
        classes=classes,
        rows=rows,
        combined=combined,
        kinds=None if judged.alike is None else _kinds(wrong, judged.alike, labels, p, classes, inputs, trusted),
    )


def _kinds(
    wrong: np.ndarray,
    alike: Neighbours,
    labels: np.ndarray,
    p: np.ndarray,
    classes: Sequence[str],
    inputs: torch.Tensor | None,
    trusted: int,
) -> Kinds:
    """What else may be the matter; equal inputs are found everywhere, nearly equal ones among the neighbours."""
    copies = near_duplicates(alike, labels)
    if inputs is not None:
        copies = joined(copies, exact_duplicates(inputs, labels), labels)
    found = find_kinds(wrong, alike, labels, p, classes, copies)
    found.kind[len(labels) - trusted :] = ""
    return found
