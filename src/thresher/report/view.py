"""What a report is made from: plain values and tables, so that it knows nothing of runs, networks or files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd


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
            rows sum to 1), as far as known; further plain values are shown as they are.
        truth: sample key -> name of its true class, where that is known.
        image: row number -> image, uint8 ``[H, W]`` or ``[H, W, C]``, or None.
        command: what to type to get this again.
        versions: name -> version of what took part.
        test_size: samples of the clean test set, for intervals.
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

    @property
    def run(self) -> RunView:
        """The chosen run."""
        return self.runs[self.chosen]

    @property
    def suspects(self) -> pd.DataFrame:
        """The rows of the chosen run's issues that are called wrong, worst first."""
        issues = self.run.issues
        return issues[issues["is_label_issue"].astype(bool)] if len(issues) else issues

    @property
    def plain(self) -> RunView | None:
        """The run that stands for ordinary training, if there is one besides the chosen run."""
        return next((r for i, r in enumerate(self.runs) if r.family == "baseline" and i != self.chosen), None)

    def wrong(self, issues: pd.DataFrame) -> np.ndarray | None:
        """Whether the given label of each row is wrong, bool; None where the truth is not known for all of them."""
        if self.truth is None or not len(issues) or not all(key in self.truth for key in issues["key"]):
            return None
        true = [self.truth[key] for key in issues["key"]]
        return np.array([a != b for a, b in zip(true, issues["given"], strict=True)])
