"""Labels that several people gave to the same rows, as a list of votes: most people label few of the rows."""

from dataclasses import dataclass

import numpy as np

from thresher.errors import UsageError

_LIMIT = 8 << 30


@dataclass(frozen=True, eq=False)
class Votes:
    """One entry per label that somebody gave; a row may have none, and nobody labels a row twice.

    Attributes:
        labels: class numbers, integer ``[M]``, values 0..K-1.
        rows: which row each labels, integer ``[M]``, values 0..N-1.
        annotators: who gave it, integer ``[M]``, values 0..A-1.
        names: of the A annotators.
        size: N, the number of rows.
        classes: K, the number of classes.

    Raises:
        UsageError: arrays of different lengths or kinds, values out of range, one annotator with two labels for a row.

    Example:
        >>> votes = Votes(np.array([0, 1, 1]), np.array([0, 0, 2]), np.array([0, 1, 1]), ("ann", "bob"), 3, 2)
        >>> votes.per_row, votes.per_annotator
        (array([2, 0, 1]), array([1, 2]))
    """

    labels: np.ndarray
    rows: np.ndarray
    annotators: np.ndarray
    names: tuple[str, ...]
    size: int
    classes: int

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise UsageError(f"votes need two classes or more, and there is {self.classes}: name them")
        ends = {"labels": self.classes, "rows": self.size, "annotators": len(self.names)}
        for name, end in ends.items():
            values = getattr(self, name)
            if values.ndim != 1 or values.dtype.kind not in "iu" or len(values) != len(self.labels):
                raise UsageError(
                    f"votes need three integer arrays of one length: {name} is {values.dtype} {values.shape}"
                )
            if len(values) and not 0 <= values.min() <= values.max() < end:
                raise UsageError(
                    f"{name} of votes go from {values.min()} to {values.max()}: they must be 0 to {end - 1}"
                )
        place = np.sort(self.rows.astype(np.int64) * len(self.names) + self.annotators)
        twice = place[1:][place[1:] == place[:-1]]
        if len(twice):
            row, who = divmod(int(twice[0]), len(self.names))
            raise UsageError(f"{self.names[who]!r} labels row {row} twice: keep one label")

    @property
    def per_row(self) -> np.ndarray:
        """The number of labels of each row: int64 ``[N]``."""
        return np.bincount(self.rows, minlength=self.size)

    @property
    def per_annotator(self) -> np.ndarray:
        """The number of labels by each annotator: int64 ``[A]``."""
        return np.bincount(self.annotators, minlength=len(self.names))

    def tally(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The different labels of every row, and how often each was given: rows, labels, counts, int64 ``[m]``.

        Example:
            >>> matrix_votes(np.array([[1, 0, 1], [1, -1, 1]]), 2).tally()
            (array([0, 0, 1]), array([0, 1, 1]), array([1, 2, 2]))
        """
        found, counts = np.unique(self.rows.astype(np.int64) * self.classes + self.labels, return_counts=True)
        return found // self.classes, found % self.classes, counts

    def shares(self) -> np.ndarray:
        """The share of each class among a row's labels: float64 ``[N, K]``, zeros in a row without labels.

        Raises:
            UsageError: the table would not fit into 8 GiB.

        Example:
            >>> matrix_votes(np.array([[1, 0], [1, -1], [-1, -1]]), 2).shares().tolist()
            [[0.5, 0.5], [0.0, 1.0], [0.0, 0.0]]
        """
        refuse_too_large(self.size * self.classes, f"shares of {self.classes} classes in {self.size} rows")
        result = np.zeros((self.size, self.classes))
        rows, labels, counts = self.tally()
        result[rows, labels] = counts / self.per_row[rows]
        return result


def matrix_votes(labels: np.ndarray, classes: int | None = None, names: tuple[str, ...] | None = None) -> Votes:
    """Votes from a table with one column per annotator.

    Args:
        labels: class numbers, ``[N, A]``: integers with -1 where an annotator gave no label, or floats with NaN there.
        classes: K; default the largest class number + 1, and at least 2.
        names: of the A annotators; default their numbers.

    Raises:
        UsageError: no such table; values out of range.

    Example:
        >>> votes = matrix_votes(np.array([[0.0, 1.0], [np.nan, 1.0]]))
        >>> votes.labels, votes.rows, votes.annotators, votes.names, votes.classes
        (array([0, 1, 1], dtype=int32), array([0, 0, 1]), array([0, 1, 1]), ('0', '1'), 2)
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iuf":
        raise UsageError(
            f"labels of annotators are {labels.dtype} {labels.shape}: they must be numbers [rows, annotators]"
        )
    if labels.dtype.kind == "f":
        labels = np.where(np.isnan(labels), -1, labels)
        if not np.isfinite(labels).all() or (labels != np.rint(labels)).any():
            raise UsageError("labels of annotators hold fractions or infinite values: they must be class numbers")
    rows, annotators = np.nonzero(labels != -1)
    given = labels[rows, annotators].astype(np.int32)
    names = names or tuple(str(number) for number in range(labels.shape[1]))
    return Votes(given, rows, annotators, names, len(labels), classes or max(int(given.max(initial=1)) + 1, 2))


def refuse_too_large(entries: int, what: str, limit: int = _LIMIT, advice: str = "") -> None:
    """Refuse a table of doubles that would not fit into memory.

    Args:
        entries: of the table.
        what: its name in the message.
        limit: bytes that are allowed.
        advice: what may be done beside judging fewer rows at once, with a comma behind it.

    Raises:
        UsageError: more than `limit` bytes, default 8 GiB.

    Example:
        >>> refuse_too_large(10**10, "a table")
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: a table would take 74.5 GiB, and 8.0 are allowed: judge the rows in several parts
    """
    if entries * 8 > limit:
        raise UsageError(
            f"{what} would take {entries * 8 / 2**30:.1f} GiB, and {limit / 2**30:.1f} are allowed: "
            f"{advice}judge the rows in several parts"
        )


def refuse_alone(votes: Votes) -> None:
    """Refuse votes that never meet, for nothing can be learned from them about who is right.

    Raises:
        UsageError: no row has two labels.

    Example:
        >>> refuse_alone(matrix_votes(np.array([[0, -1], [-1, 1]])))
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: no row has labels by two annotators, so they cannot be compared: use --label instead
    """
    if not len(votes.labels) or votes.per_row.max() < 2:
        raise UsageError("no row has labels by two annotators, so they cannot be compared: use --label instead")
