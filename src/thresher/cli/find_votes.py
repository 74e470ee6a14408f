"""`thresher find --labels --annotator(s)` and `--multilabel`: labels of several people, and several labels at once."""

import json
import math
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from thresher.cli.files import refuse_existing, write
from thresher.errors import UsageError

_WRITTEN = ("suspects", "consensus", "people", "report")


def by_annotators(
    labels: str | None, probs: Path | None, out: Path | None, *, columns: dict[str, Any], as_json: bool = False
) -> None:
    """Judge the labels of several annotators, write ``issues.csv``, the consensus and a table of the annotators.

    Args:
        labels: the table of their labels.
        probs: a model's out-of-sample probabilities, or None.
        out: of ``issues.csv``; the others are written beside it.
        columns: `annotator`, `annotators`, `label` and `key` of `thresher.annotators.table.read_votes`.
        as_json: one JSON document instead of sentences.
    """
    if labels is None:
        raise UsageError("the annotators' labels are missing: thresher find --labels votes.csv --annotator worker")
    if columns.get("annotator") and columns.get("annotators"):
        raise UsageError("--annotator names a column of names, --annotators the columns of labels: give one of them")
    from thresher.annotators.find import find_in_votes
    from thresher.data.delimited import as_csv

    out = out or Path("issues.csv")
    consensus, people = (out.with_name(f"{out.stem}.{what}.csv") for what in ("consensus", "annotators"))
    page = out.with_name(f"{out.stem}.report.html")
    for path in (out, consensus, people, page):
        refuse_existing(path)
    found = find_in_votes(labels, probs=probs, **{name: value for name, value in columns.items() if value})
    for path, table in ((consensus, found.labels), (people, found.annotators), (out, found.issues)):
        write(path, as_csv(table))
    _report(found, page, labels, out)
    paths = {"issues": str(out), "consensus": str(consensus), "annotators": str(people), "report": str(page)}
    typer.echo(json.dumps(_document(found, paths)) if as_json else _in_words(found, paths))


def _report(found: Any, page: Path, labels: str, issues: Path) -> None:
    from thresher.reporting import write_issues_report

    write_issues_report(
        found.issues,
        found.classes,
        page,
        title=Path(labels).name,
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        annotators=found.annotators,
        agreement=found.agreement,
        source=issues,
    )


def _document(found: Any, paths: dict[str, str]) -> dict[str, Any]:
    from thresher.audit.issues import counted

    agreed = asdict(found.agreement)
    return {
        **paths,
        **counted(found.issues),
        "consensus_method": found.method,
        "agreement": {name: None if value is None or math.isnan(value) else value for name, value in agreed.items()},
        "people": json.loads(found.annotators.to_json(orient="records")),
    }


def _in_words(found: Any, paths: dict[str, str]) -> str:
    from thresher.report.words import count, percent, shorten, summary

    agreed, worst = found.agreement, found.annotators.iloc[0]
    said = summary(found.issues, found.classes)
    if agreed.rows:
        said.append(
            f"Two annotators give the same label in {percent(agreed.observed)} of the cases (Krippendorff's alpha "
            f"{agreed.alpha:.2f})."
        )
    many = f"{count(len(found.annotators), 'annotator')}, the consensus by {found.method.replace('_', '-')}"
    said.append(f"{many}; the one who differs from it most: {shorten(str(worst['annotator']))}.")
    return "\n".join([*said, *(f"{what}: {path}" for what, path in zip(_WRITTEN, paths.values(), strict=True))])


def by_multilabel(labels: str | None, probs: Path | None, out: Path | None, *, as_json: bool = False) -> None:
    """Judge samples that may have several labels, and write ``issues.csv``, a row per sample."""
    if labels is None or probs is None:
        raise UsageError("--multilabel needs --labels and --probs, of the same rows: give both files")
    from thresher.audit.issues import counted
    from thresher.audit.multilabel import find_multilabel_in_files
    from thresher.data.delimited import as_csv
    from thresher.report.words import count, share

    out = out or Path("issues.csv")
    refuse_existing(out)
    issues, _ = find_multilabel_in_files(labels, probs)
    write(out, as_csv(issues))
    found = counted(issues)
    wrong = found["suspects"]
    verb = "has" if wrong == 1 else "have"
    said = f"{wrong:,} of {count(len(issues), 'sample')} ({share(wrong, len(issues))}) {verb} labels that look wrong."
    typer.echo(json.dumps({"issues": str(out), **found}) if as_json else f"{said}\nsuspects: {out}")
