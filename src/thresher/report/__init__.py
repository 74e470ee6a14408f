"""The report: one self-contained HTML file and its figures, made from plain values and tables."""

from pathlib import Path

from thresher.report.view import Report, RunView

__all__ = ["Report", "RunView", "write"]


def write(path: Path, report: Report, *, apart: bool = True) -> Path:
    """Write a report; see `thresher.report.page.write`."""
    from thresher.report import page  # brings matplotlib, which takes a second, and which `words` does without

    return page.write(path, report, apart=apart)
