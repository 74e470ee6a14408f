"""What one witness says about every label."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from thresher.audit.confident import find_issues, normalized_margin


@dataclass(frozen=True, eq=False)
class Evidence:
    """One witness: a score per sample and, where it can tell, what the labels should be.

    Attributes:
        name: a short word, the method's name or ``margin``, ``loss``, ``confident``; column ``score_<name>``.
        score: float ``[N]``, higher = more likely wrong, above 0 = called wrong, NaN = not scored.
        suggested: class probabilities of the true label, float ``[N, K]``, or None.
        reason: what it says of a label that it calls wrong, in words: one phrase for all of them, or a function that
            takes row positions, int64 ``[m]``, and gives one phrase each, perhaps empty, so that none is made in vain;
            by default made from name and suggestion.

    Example:
        >>> Evidence("loss", np.array([-0.5, 2.0])).flagged
        array([False,  True])
    """

    name: str
    score: np.ndarray
    suggested: np.ndarray | None = None
    reason: str | Callable[[np.ndarray], Sequence[str]] | None = None

    @property
    def flagged(self) -> np.ndarray:
        """Which labels it calls wrong: bool ``[N]``."""
        return np.asarray(self.score) > 0


def confident_evidence(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str] = ()) -> Evidence:
    """Evidence from confident learning: what `find_issues` flags, ranked by normalised margin.

    Args:
        labels: given labels, integer ``[N]``.
        probabilities: out-of-sample class probabilities, float ``[N, K]``.
        names: class names, for reasons such as "a model that never saw it expects 'cat' (p 0.93)".

    Returns:
        Evidence named ``confident``: a flagged sample scores 1 - normalised margin (0.5..1), any other the margin's
        negative (-1..0), so that the flags are those of `find_issues` and come first.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1])
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        >>> confident_evidence(labels, probabilities).flagged
        array([False, False,  True, False, False])
    """
    quality = normalized_margin(labels, probabilities)
    score = np.where(find_issues(labels, probabilities), 1 - quality, -quality)

    def said(rows: np.ndarray) -> list[str]:
        best = other_class(probabilities[rows], labels[rows])
        p = probabilities[rows, best].tolist()
        return [f"a model that never saw it expects '{names[k]}' (p {q:.2f})" for k, q in zip(best, p, strict=True)]

    return Evidence("confident", score, probabilities, said if len(names) else "confident learning doubts the label")


def other_class(belief: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The most probable class that is not the given one.

    Args:
        belief: class probabilities, float ``[n, K]``.
        given: given labels, integer ``[n]``.

    Returns:
        int64 ``[n]``.

    Example:
        >>> other_class(np.array([[0.7, 0.1, 0.2]]), np.array([0]))
        array([2])
    """
    others = belief.copy()
    others[np.arange(len(given)), given] = -np.inf
    return np.asarray(others.argmax(axis=1))
