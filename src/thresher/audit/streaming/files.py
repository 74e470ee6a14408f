"""`find_label_issues_in_files`: the labels that are probably wrong, of data that may be larger than memory."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thresher.audit.streaming import executors
from thresher.audit.streaming.given import Column, encoded, open_column, write_npy
from thresher.audit.streaming.issues import ALL_ROWS, list_issues
from thresher.audit.streaming.keys import keys_of
from thresher.audit.streaming.npy import NpyRows, Rows
from thresher.audit.streaming.search import Data, Progress, Search, step_for
from thresher.audit.streaming.selection import Ranking, check
from thresher.audit.streaming.sources import by_class, open_probabilities
from thresher.audit.streaming.workspace import Workspace, fingerprint
from thresher.errors import UsageError


@dataclass(frozen=True, eq=False)
class FilesFound:
    """What `find_label_issues_in_files` found.

    Attributes:
        rows: how many there are.
        suspects: how many labels are flagged.
        classes: their names.
        sizes: samples per given class, int64 ``[K]``.
        thresholds: mean self-confidence per class, float64 ``[K]``, infinite without samples.
        joint: calibrated confident joint, int64 ``[K, K]``, row = given class; zeros where the filter needs none.
        mask: flags, bool ``[N]``, where no file was asked for; otherwise None.
        pairs: suspects per given (row) and suggested class, int64 ``[K, K]``, where a list was asked for.
        listed_all: whether the list has every row.
    """

    rows: int
    suspects: int
    classes: tuple[str, ...]
    sizes: np.ndarray
    thresholds: np.ndarray
    joint: np.ndarray
    mask: np.ndarray | None = None
    pairs: np.ndarray | None = None
    listed_all: bool = False

    def counted(self) -> dict[str, Any]:
        """The same for JSON, as `thresher.audit.evidence.counted` says it of a table."""
        pairs = np.zeros((len(self.classes),) * 2, dtype=np.int64) if self.pairs is None else self.pairs
        doubted, found = pairs.sum(axis=1), np.argsort(-pairs.ravel(), kind="stable")[:10]
        order = sorted(range(len(self.classes)), key=lambda k: (-doubted[k], -self.sizes[k]))
        return {
            "labels": self.rows,
            "suspects": self.suspects,
            "classes": [
                {"class": self.classes[k], "labels": int(self.sizes[k]), "suspects": int(doubted[k])} for k in order
            ],
            "pairs": [
                {
                    "given": self.classes[place // len(self.classes)],
                    "suggested": self.classes[place % len(self.classes)],
                    "suspects": int(pairs.flat[place]),
                }
                for place in found.tolist()
                if pairs.flat[place]
            ],
            "review": None,
        }


def find_label_issues_in_files(
    labels: str | Path,
    probs: str | Path,
    *,
    out: str | Path | None = None,
    issues: str | Path | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: Sequence[int] | np.ndarray | None = None,
    min_examples_per_class: int = 1,
    classes: Sequence[str] | None = None,
    all_rows: bool | None = None,
    chunk_rows: int | None = None,
    workers: int | None = None,
    on: str = "threads",
    progress: Progress = lambda step, done, of: None,
) -> FilesFound:
    """Find the labels that are probably wrong, of data in files that need not fit into memory.

    The result is that of `thresher.find_label_issues`, in three passes over the files: thresholds; confident joint and
    a histogram of the margins of each pair of classes; flags. It depends neither on `chunk_rows` nor on the workers,
    to the last bit. From the function in memory it may differ in two ways. Of equal values at a cut (within 2^-40) it
    takes the first rows, where numpy's sort, which that function follows, takes any. And thresholds are exact means,
    correctly rounded, where in memory they are sums in the precision of the array, as in cleanlab: with float32 a row
    that lies within 1e-7 of a threshold may count for another class.
    Where many values are equal or a class is doubted as a whole, a few passes more may be needed.

    Work is saved every ten seconds beside the output, in a folder with ``.state`` at the end of its name: after a kill
    the same call goes on there, with the pass in which it was; writing the list of issues starts again. At the end the
    folder is removed.

    Args:
        labels: a ``.npy`` vector, a column ``label`` of a Parquet or CSV file, or its single column (Parquet): numbers
            or names.
        probs: out-of-sample class probabilities, one row per label in the same order: a ``.npy`` matrix of float16, 32
            or 64; a Parquet file with one column per class or a single column of lists; or a folder of either, whose
            files are taken in the order of their names. Names of columns are class names; otherwise the columns are the
            sorted classes, whole numbers by value. A column ``key`` on both sides must be the same.
        out: a ``.npy`` file for the flags, bool ``[N]``; None returns them.
        issues: a CSV file in the columns of ``issues.csv``, worst first. Its figures have seven decimals; in a list
            that has not every row, `label_quality` is right to 1e-4, for its unit is a median from a histogram.
        filter_by: as for `thresher.find_label_issues`, all seven.
        frac_noise: as there.
        num_to_remove_per_class: as there.
        min_examples_per_class: as there.
        classes: the names of all classes in the order of the columns; needed where some class has no label.
        all_rows: list every row; default for up to 4,000,000 rows, otherwise only the suspects are listed.
        chunk_rows: rows that are computed with at a time; default by their width.
        workers: how many; default the cores.
        on: ``threads``, ``processes`` (a script then needs the usual ``if __name__ == "__main__"``) or ``ray``: the
            cluster that is connected or that RAY_ADDRESS names, otherwise one on this machine; all of its nodes must
            see the files and the folder of the output.
        progress: called with the name of a pass, the rows done, and all rows.

    Returns:
        What was found.

    Raises:
        UsageError: files that cannot be read or do not belong together, rows that are no probabilities, unknown names,
            options that the filter does not read, outputs that exist or that another search has begun.
        ThresherError: no space, a lost worker.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/y.npy", [0, 0, 0, 1, 1])
        ...     np.save(f"{folder}/p.npy", [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
        ...     find_label_issues_in_files(f"{folder}/y.npy", f"{folder}/p.npy").mask.tolist()
        [False, False, True, False, False]
    """
    check(filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class)
    if chunk_rows is not None and chunk_rows < 1:
        raise UsageError(f"chunk_rows is {chunk_rows}: it is a number of rows, 1 or more")
    labels, probs = Path(labels), Path(probs)
    files = [None if path is None else Path(path) for path in (out, issues)]
    if on == "ray":  # its workers run in other folders
        labels, probs = labels.absolute(), probs.absolute()
        files = [None if file is None else file.absolute() for file in files]
    column, source = _opened(labels, probs)
    every = source.rows <= ALL_ROWS if all_rows is None else all_rows
    removed = None if num_to_remove_per_class is None else tuple(int(one) for one in num_to_remove_per_class)
    about = {
        "files": fingerprint([*column.rows.files, *source.files]),
        "settings": [filter_by, frac_noise, removed, min_examples_per_class, every, classes and list(classes)],
        "outputs": [None if file is None else file.name for file in files],
    }
    with executors.workers(on, workers) as (spread, count), _workspace(files, about) as space:
        numbers, names = encoded(column, space.folder, classes)
        source = by_class(source, names, f"{probs}")
        if removed is not None and (len(removed) != len(names) or min(removed) < 0):
            raise UsageError(f"num_to_remove_per_class must be {len(names)} whole numbers of 0 or more, one per class")
        keys = keys_of(labels, probs, space.folder) if files[1] is not None else None
        ranking = Ranking(filter_by, len(names), frac_noise, removed, min_examples_per_class)
        search = Search(
            Data(numbers, source, step_for(len(names), chunk_rows)), ranking, space, spread, count, progress
        )
        found = search.run()
        pairs = None if files[1] is None else list_issues(files[1], search, names, keys, every, workers)
        mask = _mask(search.flags, files)
        space.remove()
    return FilesFound(
        rows=source.rows,
        suspects=found.suspects,
        classes=names,
        sizes=found.sizes,
        thresholds=found.thresholds,
        joint=found.joint,
        mask=mask,
        pairs=pairs,
        listed_all=every,
    )


def _opened(labels: Path, probs: Path) -> tuple[Column, Rows]:
    """Both inputs, as many rows of one as of the other."""
    column, source = open_column(labels, "label"), open_probabilities(probs)
    if column is None:
        raise UsageError(f"{labels} has no column 'label': name the column of labels so")
    if column.rows.rows != source.rows:
        raise UsageError(
            f"there are {column.rows.rows} labels and {source.rows} rows of probabilities: give one row per label in "
            "the same order"
        )
    if not source.rows:
        raise UsageError(f"{probs} has no rows: it must hold one per sample")
    if source.columns < 2:
        raise UsageError(f"{probs} has the probabilities of one class: give a column for every class")
    return column, source


@contextlib.contextmanager
def _workspace(files: Sequence[Path | None], about: dict[str, Any]) -> Iterator[Workspace]:
    """A folder beside the output, which stays where the search is stopped; or one that nobody sees."""
    outputs = [file for file in files if file is not None]
    if not outputs:
        with tempfile.TemporaryDirectory() as hidden:
            yield Workspace(Path(hidden), None)
        return
    folder = outputs[-1].with_name(f"{outputs[-1].name}.state")
    for file in outputs:
        if file.exists() and not folder.exists():  # otherwise this search may have been stopped after its first output
            raise UsageError(f"{file} exists: name another file, for nothing is overwritten")
        if not file.absolute().parent.is_dir():
            raise UsageError(f"there is no folder {file.parent} to write {file.name} into: make it, or name another")
    space = Workspace(folder, about)
    try:
        yield space
    except UsageError:  # nothing to come back to
        space.remove()
        raise


def _mask(flags: Path, files: Sequence[Path | None]) -> np.ndarray | None:
    """The flags, where no file was asked for; in a file otherwise."""
    if files[0] is not None:
        rows = NpyRows(rows=flags.stat().st_size, columns=0, files=(flags,), dtype=np.dtype(bool), offset=0)
        write_npy(files[0], rows, np.dtype(bool), lambda chunk: chunk)
    return None if any(files) else np.fromfile(flags, dtype=bool)
