"""When and how firmly each given label was learned: evidence from the predictions after every epoch.

Forgetting: Toneva et al., "An Empirical Study of Example Forgetting during Deep Neural Network Learning", ICLR 2019 (a
sample that is never learned counts as forgotten all the time). Agreement and the epoch of learning: the order in which
labels are learned, rightly labelled samples first, is that of Arpit et al., "A Closer Look at Memorization in Deep
Networks", ICML 2017. All three are summaries of the same predictions: they agree with each other more than they tell.
"""

from dataclasses import dataclass

import numpy as np

from thresher.audit.evidence import Evidence
from thresher.errors import UsageError

HISTORY = ("agreement", "learned", "forgetting")
"""Names of the evidence that a `History` gives."""


@dataclass(frozen=True, eq=False)
class History:
    """What is kept of the predictions, one number per sample each, so that epochs need not be.

    Attributes:
        epochs: how many were seen.
        agreed: in how many of them a sample was predicted as labelled, int32 ``[N]``.
        first: the first of them, from 1; 0 = never, int32 ``[N]``.
        forgotten: how often it was predicted as labelled and no more in the next epoch, int32 ``[N]``.
        last: whether it is predicted as labelled now, bool ``[N]``.

    Example:
        >>> labels = np.array([0, 1])
        >>> history = History.start(2).after(np.array([0, 0]), labels).after(np.array([1, 1]), labels)
        >>> history.agreed.tolist(), history.first.tolist(), history.forgotten.tolist()
        ([1, 1], [1, 2], [1, 0])
    """

    epochs: int
    agreed: np.ndarray
    first: np.ndarray
    forgotten: np.ndarray
    last: np.ndarray

    @classmethod
    def start(cls, size: int) -> "History":
        """Before the first epoch."""
        zeros = np.zeros(size, dtype=np.int32)
        return cls(0, zeros, zeros, zeros, np.zeros(size, dtype=bool))

    def after(self, predicted: np.ndarray, labels: np.ndarray) -> "History":
        """One epoch later.

        Args:
            predicted: predicted classes, integer ``[N]``.
            labels: given labels, integer ``[N]``.

        Raises:
            UsageError: another number of samples.
        """
        if np.shape(predicted) != self.last.shape or np.shape(labels) != self.last.shape:
            raise UsageError(
                f"there are {np.size(predicted)} predictions and {np.size(labels)} labels for {len(self.last)} samples"
            )
        right = np.asarray(predicted) == np.asarray(labels)
        epoch = self.epochs + 1
        return History(
            epoch,
            self.agreed + right,
            np.where((self.first == 0) & right, epoch, self.first).astype(np.int32),
            self.forgotten + (self.last & ~right),
            right,
        )

    def evidence(self) -> list[Evidence]:
        """Three witnesses, named as in `HISTORY`.

        Agreement calls a label wrong that was predicted in less than half of the epochs; learned, one that was first
        predicted in the second half or never; forgetting, one that was forgotten in more than half of the epochs.

        Raises:
            UsageError: no epoch was seen.

        Example:
            >>> history = History.start(1)
            >>> for predicted in (1, 1, 0):
            ...     history = history.after(np.array([predicted]), np.array([0]))
            >>> [(one.name, round(float(one.score[0]), 2)) for one in history.evidence()]
            [('agreement', 0.17), ('learned', 0.17), ('forgetting', -0.5)]
        """
        if not self.epochs:
            raise UsageError("no epoch was seen: a history starts with the first predictions")
        late = np.where(self.first == 0, self.epochs + 1, self.first)
        lost = np.where(self.first == 0, self.epochs, self.forgotten)
        names = HISTORY
        return [
            Evidence(names[0], 0.5 - self.agreed / self.epochs, None, self._agreed),
            Evidence(names[1], (late - 1) / self.epochs - 0.5, None, self._learned),
            Evidence(names[2], lost / self.epochs - 0.5, None, self._forgotten),
        ]

    def _agreed(self, rows: np.ndarray) -> list[str]:
        return [f"predicted as labelled in {count} of {self.epochs} epochs" for count in self.agreed[rows].tolist()]

    def _learned(self, rows: np.ndarray) -> list[str]:
        """Of a label that was never learned, the agreement says so."""
        return [f"first learned in epoch {epoch}" if epoch else "" for epoch in self.first[rows].tolist()]

    def _forgotten(self, rows: np.ndarray) -> list[str]:
        counts = zip(self.forgotten[rows].tolist(), self.first[rows].tolist(), strict=True)
        return [f"learned and forgotten {count} times" if first else "" for count, first in counts]
