"""What a report is made from: plain values and tables, so that it knows nothing of runs, networks or files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from thresher.annotators.agreement import Agreement


@dataclass(frozen=True, eq=False)
class RunView:
    """One run, as a report needs it. Fractions are 0..1; None and NaN stand for what is not known.

    Attributes:
        title: a short name, the method's, for instance ``elr``.
        family: the method's family, ``baseline`` for plain training.
        settings: the methods as one would type them in Python.
        last: accuracy on the clean test set after the last epoch.
        last10: its mean over the last ten epochs.
        selected: the same at the epoch that the noisy validation split chose.
        oracle: the same at the epoch where it is best, which leaks the test set.
        best_epoch: the epoch that was selected.
        seconds: how long training took.
        sees_clean: the method was given some clean labels.
        history: one row per epoch: ``epoch, loss, lr, valid, test, train, clean_right, clean_wrong, wrong_right,
            wrong_memorised, wrong_other, changes``; columns may be absent.
        issues: the columns of ``issues.csv``, worst first; may be empty.
        per_class: class name -> samples of that class in the clean test set that are predicted right, and all of them.
        flips: how often the prediction for a training sample changed from one epoch to the next, integers, with the
            row numbers of the issues as index.
    """

    title: str
    family: str = ""
    settings: str = ""
    last: float | None = None
    last10: float | None = None
    selected: float | None = None
    oracle: float | None = None
    best_epoch: int | None = None
    seconds: float = 0.0
    sees_clean: bool = False
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    issues: pd.DataFrame = field(default_factory=pd.DataFrame)
    per_class: Mapping[str, tuple[int, int]] | None = None
    flips: pd.Series | None = None

    @cached_property
    def flagged(self) -> np.ndarray:
        """Which rows of the issues are called wrong, bool ``[N]``."""
        return self.issues["is_label_issue"].to_numpy(dtype=bool) if len(self.issues) else np.zeros(0, dtype=bool)

    @cached_property
    def suspects(self) -> pd.DataFrame:
        """The rows of the issues that are called wrong, worst first."""
        return self.issues[self.flagged]


@dataclass(frozen=True, eq=False)
class Report:
    """Everything a report tells.

    Attributes:
        title: the heading, for instance the name of the run.
        data: the data set in a few words.
        classes: class names.
        runs: what was compared, in the order of the tables; at least one.
        chosen: index of the run whose suspects are shown.
        detections: one row per detector: ``name`` and the fields of `thresher.audit.scores.Detection`.
        noise: what was put in on purpose: ``generator, nominal, realised, seed, matrix`` (``[K, K]``, row = true class,
            rows sum to 1), as far as known; further plain values are shown as they are; ``human: True`` where people
            made the mistakes.
        truth: sample key -> name of its true class, where that is known.
        image: row number -> image, uint8 ``[H, W]`` or ``[H, W, C]``, or None.
        command: what to type to get this again.
        versions: name -> version of what took part.
        test_size: samples of the clean test set, for intervals.
        table: what a person sees of each sample, raw columns without the label; row ``i`` is the sample whose ``row``
            in the issues is ``i``.
        text_column: the column of `table` that holds texts, where the samples are texts.
        before: the run on the labels before they were corrected.
        label_changes: what the correction changed, one row per label: ``key, row, given`` (before), ``label`` (after).
        annotators: who labelled, one row each, worst first, from `thresher.annotators.quality.annotator_table`.
        agreement: of the annotators.
        source: what ``thresher review`` and ``thresher correct`` are to be given: a run folder, or a table of issues.
    """

    title: str
    data: str
    classes: Sequence[str]
    runs: Sequence[RunView]
    chosen: int = 0
    detections: Sequence[Mapping[str, Any]] = ()
    noise: Mapping[str, Any] | None = None
    truth: Mapping[str, str] | None = None
    image: Callable[[int], np.ndarray | None] | None = None
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    test_size: int | None = None
    table: pd.DataFrame | None = None
    text_column: str | None = None
    before: RunView | None = None
    label_changes: pd.DataFrame | None = None
    annotators: pd.DataFrame | None = None
    agreement: "Agreement | None" = None
    source: str = ""

    @property
    def run(self) -> RunView:
        """The chosen run."""
        return self.runs[self.chosen]

    @property
    def suspects(self) -> pd.DataFrame:
        """The rows of the chosen run's issues that are called wrong, worst first."""
        return self.run.suspects

    @property
    def plain(self) -> RunView | None:
        """The run that stands for ordinary training, if there is one besides the chosen run."""
        return next((r for i, r in enumerate(self.runs) if r.family == "baseline" and i != self.chosen), None)

    @property
    def order(self) -> list[int]:
        """The runs by importance: the chosen one, ordinary training, then as they stand in the tables."""
        first = [self.chosen] + [i for i, run in enumerate(self.runs) if run is self.plain]
        return first + [i for i in range(len(self.runs)) if i not in first]

    @cached_property
    def wrong_labels(self) -> np.ndarray | None:
        """`wrong` for the issues of the chosen run."""
        return self.wrong(self.run.issues)

    def wrong(self, issues: pd.DataFrame) -> np.ndarray | None:
        """Whether the given label of each row is wrong, bool; None where the truth is not known for all of them."""
        if self.truth is None or not len(issues):
            return None
        true = issues["key"].map(self.truth)
        return None if true.isna().any() else (true != issues["given"]).to_numpy(dtype=bool)
