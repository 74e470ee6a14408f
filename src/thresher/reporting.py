"""Reports of finished runs: one, several side by side, or one before and after its labels were corrected."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from thresher import report
from thresher.annotators.agreement import Agreement
from thresher.correct import origin
from thresher.data import Data
from thresher.errors import ThresherError, UsageError
from thresher.findings import choose
from thresher.jobs import reloaded
from thresher.noise import Noise
from thresher.report import RunView
from thresher.report.words import count
from thresher.result import Result, load, read_changes


def write_report(
    results: Sequence[Result],
    path: Path,
    *,
    title: str,
    data: Data | None = None,
    chosen: int = 0,
    beside: Sequence[dict[str, Any]] = (),
) -> Path:
    """One report over one run or several.

    Args:
        results: finished runs.
        path: of the HTML file.
        title: the heading.
        data: that of the chosen run, for pictures, texts and values of the suspects, or None.
        chosen: the run whose suspects are shown.
        beside: further entries for the table of detectors, as in `Result.detections`.
    """
    first = results[chosen]
    facts, noise = first.run["data"], first.noise
    names = np.array(facts["classes"])
    truth = None
    if noise is not None and data is not None:
        truth = dict(zip(data.train.keys, names[noise.clean], strict=True))
    return report.write(
        path,
        report.Report(
            title=title,
            data=f"{facts['name']}: {facts['rows']:,} labelled samples, {len(names)} classes",
            classes=facts["classes"],
            runs=[result.view() for result in results],
            chosen=chosen,
            detections=[*first.detections, *beside],
            noise=None if noise is None else _noise_facts(noise, human=not first.run["request"]["noise"]),
            truth=truth,
            image=None if data is None else _pictures(data),
            table=None if data is None else data.table,
            text_column=None if data is None else data.shown,
            before=_before(first),
            label_changes=_changes(first),
            command=first.run["command"],
            versions=first.run["versions"],
            test_size=facts["test"] or None,
            source=str(first.path),
        ),
    )


def write_issues_report(
    issues: pd.DataFrame,
    classes: Sequence[str],
    path: Path,
    *,
    title: str,
    command: str,
    annotators: pd.DataFrame | None = None,
    agreement: Agreement | None = None,
    source: str | Path = "",
) -> Path:
    """A report over a table of issues that no run stands behind: labels of several people, or somebody's probabilities.

    Args:
        issues: the columns of ``issues.csv``, worst first; what a run adds to them may be missing.
        classes: class names.
        path: of the HTML file.
        title: the heading.
        command: what was typed.
        annotators: a row each, worst first, from `thresher.annotators.quality.annotator_table`, where there are some.
        agreement: of the annotators.
        source: where the issues are written, for the commands that a reader is to type next; empty leaves them out.

    Returns:
        `path`.

    Raises:
        UsageError: columns without which there is nothing to tell are missing.
        OSError: the files cannot be written.

    Example:
        >>> import tempfile
        >>> issues = pd.DataFrame({"key": ["a"], "given": ["cat"], "suggested": ["dog"], "is_label_issue": [True]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = Path(folder) / "report.html"
        ...     page = write_issues_report(issues, ["cat", "dog"], page, title="pets", command="thresher find ...")
        ...     "1 of 1 label" in page.read_text(encoding="utf-8")
        True
    """
    lacking = [name for name in ("key", "given", "suggested", "is_label_issue") if name not in issues]
    if lacking:
        raise UsageError(
            f"the issues have no column {lacking[0]!r}: a report needs key, given, suggested, is_label_issue"
        )
    table = issues.assign(is_label_issue=issues["is_label_issue"].astype(bool))
    if "row" not in table:
        table["row"] = np.arange(len(table))
    people = f", {count(len(annotators), 'annotator')}" if annotators is not None else ""
    return report.write(
        path,
        report.Report(
            title=title,
            data=f"{count(len(table), 'labelled sample')}, {count(len(classes), 'class', 'classes')}{people}",
            classes=classes,
            runs=[RunView("", issues=table)],
            command=command,
            annotators=annotators,
            agreement=agreement,
            source=str(source),
            versions={"thresher": version("thresher")},
        ),
        apart=False,  # beside a user's table there may be anything
    )


def compare(results: Sequence[Result], path: Path, *, root: str | Path | None = None) -> Path:
    """A report over finished runs; the suspects are those of the one with the best noisy-validation accuracy.

    The data is read again for its pictures; where it is gone, the report goes without.

    Args:
        results: one or more.
        path: of the HTML file.
        root: the folder of official data files.

    Raises:
        UsageError: a run is unfinished.
    """
    chosen = choose([result.selected_valid for result in results])
    data = reloaded(results[chosen].path, root=root)
    title = " and ".join(result.path.name for result in results) if len(results) < 3 else f"{len(results)} runs"
    return write_report(results, path, title=title, data=data, chosen=chosen)


def _before(result: Result) -> RunView | None:
    """The run whose suspects were corrected in the labels of this one, where it can be found."""
    labels = result.run["request"]["reading"]["labels"]
    about = None if labels is None else origin(Path(labels))
    if about is None or not about.get("run"):
        return None
    try:
        return load(about["run"]).view()
    except (ThresherError, OSError, KeyError):
        return None  # the report is about this run; the other may be gone, or of another version


def _changes(result: Result) -> pd.DataFrame | None:
    """The labels that were corrected; rows left out have no label to show."""
    changes = read_changes(result.path)
    return None if changes is None else changes[changes["label"] != ""].reset_index(drop=True)


def _noise_facts(noise: Noise, human: bool) -> dict[str, Any]:
    return {
        "generator": noise.generator,
        "nominal": noise.nominal,
        "realised": noise.realised,
        "seed": noise.seed,
        "matrix": noise.matrix,
        "human": human,
    }


def _pictures(data: Data) -> Callable[[int], np.ndarray | None]:
    def picture(row: int) -> np.ndarray | None:
        if not data.is_image:
            return None
        image = data.train.dense(torch.tensor([row]))[0].numpy()
        return image[0] if len(image) == 1 else image.transpose(1, 2, 0)

    return picture
