"""How far several people agree in their decisions, where they do not, and which labels they vouch for."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from thresher.annotators.agreement import FEW, Agreement, agreement, pairwise_kappa
from thresher.annotators.votes import Votes
from thresher.decisions.folding import State


@dataclass(frozen=True, eq=False)
class Comparison:
    """What several people decided of the same samples; that none or several classes fit is a decision like a label.

    Attributes:
        agreement: over the samples that two or more of them decided; None where there are none.
        kappa: Cohen's kappa of every two, people by people; None where there are more than 30 of them, or no samples.
        disagreements: `key` and one column per person, for every sample on which they differ; a class name, or an
            action in angle brackets (``<ambiguous>``), or an empty text where that person did not decide.
    """

    agreement: Agreement | None
    kappa: pd.DataFrame | None
    disagreements: pd.DataFrame


def compare(state: State) -> Comparison:
    """Compare the people whose decisions are in a state, for instance of `thresher.decisions.merge`.

    Args:
        state: a skip is no decision.

    Example:
        >>> from thresher.decisions import decide, fold
        >>> said = [("a", "keep", "ann"), ("a", "accept", "bob"), ("b", "bad", "ann"), ("b", "bad", "bob")]
        >>> done = [decide(key, act, given="cat", suggested="dog", annotator=name) for key, act, name in said]
        >>> found = compare(fold(done))
        >>> found.agreement.observed, found.disagreements.to_dict("records")
        (0.5, [{'key': 'a', 'ann': 'cat', 'bob': 'dog'}])
    """
    table = _table(state)
    shared = table[(table != "").sum(axis=1) > 1]
    differ = shared[[len({cell for cell in row if cell}) > 1 for row in shared.to_numpy(dtype=object)]]
    told = differ.rename_axis("key").reset_index()
    if shared.empty:
        return Comparison(None, None, told)
    votes = _votes(shared)
    people = list(shared.columns)
    few = len(people) <= FEW
    kappa = pd.DataFrame(pairwise_kappa(votes), index=people, columns=people) if few else None
    return Comparison(agreement(votes), kappa, told)


def disagreeing(state: State) -> int:
    """The number of samples that people decided differently; the latest decision counts.

    Example:
        >>> disagreeing(State())
        0
    """
    if len(state.annotators()) < 2:
        return 0
    told = Counter(
        len({one.outcome for one in state.of(key).values() if one.action != "skip"}) for key in state.decided()
    )
    return sum(count for outcomes, count in told.items() if outcomes > 1)


def trusted_labels(state: State) -> pd.DataFrame:
    """Labels that people vouch for, as ``thresher train --trusted`` reads them.

    Args:
        state: of decisions.

    Returns:
        The columns `key` and `label`, for every sample whose current decision is a definite label: accepted, chosen or
        kept; none that is skipped, ambiguous, of no class or bad, and none that people decided differently.

    Example:
        >>> from thresher.decisions import decide, fold
        >>> said = [("a", "keep"), ("b", "accept"), ("c", "bad"), ("d", "skip")]
        >>> made = [decide(key, action, given="cat", suggested="dog", annotator="ann") for key, action in said]
        >>> trusted_labels(fold(made)).to_dict("list")
        {'key': ['a', 'b'], 'label': ['cat', 'dog']}
    """
    firm = []
    for key, one in state.decided().items():
        outcomes = {other.outcome for other in state.of(key).values() if other.action != "skip"}
        if one.label is not None and len(outcomes) == 1:
            firm.append((key, one.label))
    return pd.DataFrame(firm, columns=["key", "label"], dtype=object)


def _table(state: State) -> pd.DataFrame:
    """What everybody said of every sample, as text: samples by people."""
    cells: dict[str, dict[str, str]] = {name: {} for name in state.annotators()}
    keys = list(state.decided())
    for key in keys:
        for name, one in state.of(key).items():
            if one.action != "skip":
                cells[name][key] = f"<{one.action}>" if one.label is None else one.label
    columns = {name: [said.get(key, "") for key in keys] for name, said in cells.items() if said}
    return pd.DataFrame(columns, index=pd.Index(keys, dtype=object), dtype=object)


def _votes(table: pd.DataFrame) -> Votes:
    cells = table.to_numpy(dtype=object)
    rows, people = np.nonzero(cells != "")
    labels, names = pd.factorize(cells[rows, people], sort=True)
    return Votes(
        *(labels.astype(np.int64), rows, people, tuple(map(str, table.columns))),
        size=len(table),
        classes=max(len(names), 2),
    )
