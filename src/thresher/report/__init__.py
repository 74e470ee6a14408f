"""The report: one self-contained HTML file and its figures, made from plain values and tables."""

from thresher.report.page import write
from thresher.report.view import Report, RunView

__all__ = ["Report", "RunView", "write"]
