"""What is the matter with a sample: a wrong label, two plausible ones, none that fits, or a copy labelled otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresher.audit.confident import checked
from thresher.audit.neighbours import Neighbours
from thresher.audit.neighbours.duplicates import Duplicates, near_duplicates
from thresher.audit.neighbours.outliers import Remoteness, outliers, remoteness
from thresher.audit.neighbours.votes import neighbour_votes
from thresher.errors import UsageError

KINDS = ("outlier", "ambiguous", "wrong", "duplicate")
"""In the order in which they are asked."""

_SHARE = 1 / 3
_EVEN = np.log(4.0)
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Kinds:
    """What is the matter with each of N samples, and why.

    Attributes:
        kind: one of `KINDS` or an empty string, object ``[N]``.
        pair: the two plausible classes, the likelier first, int64 ``[N, 2]``; -1 where there are not two.
        remote: how far each lies from everything.
        duplicates: near copies, and those with another label.
        given: given labels, integer ``[N]``.
        names: class names.
    """

    kind: np.ndarray
    pair: np.ndarray
    remote: Remoteness
    duplicates: Duplicates
    given: np.ndarray
    names: tuple[str, ...]

    def reason(self, rows: np.ndarray) -> list[str]:
        """Say in words what is the matter with some samples; empty where the evidence against the label says it.

        Args:
            rows: positions, integer ``[m]``.
        """
        return ["; ".join(self._said(int(row))) for row in rows]

    def _said(self, row: int) -> list[str]:
        said = []
        if self.kind[row] == "outlier":
            said.append(
                f"far from every class: its neighbours are {self.remote.times[row]:.1f} times as far away as usual"
            )
        if self.kind[row] == "ambiguous":
            first, second = self.pair[row]
            said.append(f"could be '{self.names[first]}' or '{self.names[second]}'")
        if (copy := self.duplicates.of[row]) >= 0:
            said.append(f"a near copy is labelled '{self.names[self.given[copy]]}'")
        return said


def find_kinds(
    wrong: np.ndarray,
    neighbours: Neighbours,
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    duplicates: Duplicates | None = None,
) -> Kinds:
    """Tell the kinds of trouble apart: `kinds` with everything it needs.

    Args:
        wrong: which labels are called wrong, bool ``[N]``.
        neighbours: of N samples, by Euclidean distance.
        labels: given labels, integer ``[N]``, values 0..K-1.
        probabilities: out-of-sample class probabilities, float ``[N, K]``.
        names: class names, K of them.
        duplicates: what is known of them; by default `near_duplicates` among the neighbours.

    Raises:
        UsageError: arrays that do not fit together.

    Example:
        >>> index = np.array([[1, 2], [0, 2], [3, 1], [2, 1]])
        >>> near = Neighbours(index, np.array([[0.01, 2.0], [0.01, 2.0], [1.0, 2.0], [1.0, 2.0]]))
        >>> p = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
        >>> found = find_kinds(np.zeros(4, dtype=bool), near, np.array([0, 1, 1, 1]), p, ["cat", "dog"])
        >>> found.kind.tolist(), found.reason(np.array([0]))
        (['duplicate', 'duplicate', '', ''], ["a near copy is labelled 'dog'"])
    """
    given, belief = checked(labels, probabilities)
    if belief.shape[1] != len(names):
        raise UsageError(f"probabilities have {belief.shape[1]} columns for {len(names)} classes")
    votes = neighbour_votes(neighbours, given, len(names))
    remote = remoteness(neighbours, given, len(names))
    pair = plausible_pairs([belief, votes])
    copies = near_duplicates(neighbours, given) if duplicates is None else duplicates
    far = outliers(remote, [belief, votes])
    return Kinds(kinds(wrong, far, pair, copies.conflict, given), pair, remote, copies, given, tuple(map(str, names)))


def kinds(
    wrong: np.ndarray, outlier: np.ndarray, pair: np.ndarray, conflict: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """One kind per sample, the first that holds.

    1. ``outlier``: it fits no class, so that another label would be no better.
    2. ``ambiguous``: two labels are plausible, and the given one is among them or is not called wrong.
    3. ``wrong``: its label is called wrong.
    4. ``duplicate``: nothing of this, but a near copy has another label, so that one of the two cannot be right.

    Args:
        wrong: which labels are called wrong, bool ``[N]``.
        outlier: from `outliers`, bool ``[N]``.
        pair: from `plausible_pairs`, int64 ``[N, 2]``.
        conflict: from `Duplicates`, bool ``[N]``.
        labels: given labels, integer ``[N]``.

    Returns:
        Object ``[N]``: one of `KINDS`, or an empty string.

    Raises:
        UsageError: arrays of different lengths.

    Example:
        >>> pair = np.array([[-1, -1], [0, 1], [1, 2], [-1, -1]])
        >>> wrong, conflict = np.array([False, True, True, False]), np.array([False, True, True, True])
        >>> kinds(wrong, np.zeros(4, dtype=bool), pair, conflict, np.zeros(4, dtype=int)).tolist()
        ['', 'ambiguous', 'wrong', 'duplicate']
    """
    given = np.asarray(labels)
    for name, one in (("wrong", wrong), ("outlier", outlier), ("pair", pair), ("conflict", conflict)):
        if len(one) != len(given):
            raise UsageError(f"{name} has {len(one)} entries for {len(given)} labels")
    torn = (pair[:, 0] >= 0) & ((pair == given[:, None]).any(axis=1) | ~wrong)
    result = np.full(len(given), "", dtype=object)
    for name, mask in reversed(list(zip(KINDS, (outlier, torn, wrong, conflict), strict=True))):
        result[mask] = name
    return result


def plausible_pairs(beliefs: Sequence[np.ndarray]) -> np.ndarray:
    """The two plausible classes of the samples that every witness finds split between the same two.

    A witness finds a sample split if its log-odds of the likeliest class against the next are below a third of what
    they are for the median sample, and below log 4: so what counts as split is a matter of how sure the witness
    usually is.

    Args:
        beliefs: class shares, float ``[N, K]`` each, such as out-of-sample probabilities and the neighbours' votes.

    Returns:
        int64 ``[N, 2]``, the likelier class by the first witness first; -1 where there are not two.

    Raises:
        UsageError: no witness, or arrays of different shapes.

    Example:
        >>> belief = np.array([[0.5, 0.4, 0.1], [0.9, 0.05, 0.05], [0.04, 0.04, 0.92]])
        >>> plausible_pairs([belief]).tolist()
        [[0, 1], [-1, -1], [-1, -1]]
    """
    if not beliefs:
        raise UsageError("there are no class shares to find plausible pairs in")
    if len({np.shape(belief) for belief in beliefs}) > 1:
        raise UsageError(f"class shares have shapes {', '.join(str(list(np.shape(one))) for one in beliefs)}")
    found, split = zip(*map(_split, beliefs), strict=True)
    agreed = np.logical_and.reduce(split)
    for pair in found[1:]:
        agreed &= (np.sort(pair, axis=1) == np.sort(found[0], axis=1)).all(axis=1)
    return np.where(agreed[:, None], found[0], -1)


def _split(belief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two likeliest classes, int64 ``[N, 2]``, and whether the sample is split between them."""
    rows, rest = np.arange(len(belief)), belief.copy()
    first = rest.argmax(axis=1)
    top = rest[rows, first]
    rest[rows, first] = -1
    second = rest.argmax(axis=1)
    gap = np.log(np.maximum(top, _TINY)) - np.log(np.maximum(rest[rows, second], _TINY))
    limit = min(_SHARE * float(np.median(gap)), _EVEN) if len(gap) else 0.0
    return np.stack([first, second], axis=1), gap < limit
