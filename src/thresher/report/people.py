"""Who labelled: a table of the annotators, and what it says."""

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from thresher.report.tables import ROWS
from thresher.report.words import count, percent, shorten

if TYPE_CHECKING:
    from thresher.annotators.agreement import Agreement

_MIDDLING = 0.8
_APART = 0.1


def table(annotators: pd.DataFrame | None) -> tuple[list[dict[str, Any]], int]:
    """The first annotators, and how many are left out.

    Args:
        annotators: ``annotator, labels, agreement, kappa, quality, worst_class``, worst first; None for none.

    Example:
        >>> table(None)
        ([], 0)
    """
    if annotators is None:
        return [], 0
    shown = annotators.head(ROWS)
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in shown.to_dict("records")]
    return rows, len(annotators) - len(shown)


def sentences(annotators: pd.DataFrame | None, agreement: "Agreement | None") -> list[str]:
    """How far annotators agree, and whom to look at."""
    if annotators is None or not len(annotators):
        return []
    said = []
    if agreement is not None and agreement.rows:
        said.append(
            f"On the {count(agreement.rows, 'sample')} that several people labelled, two of them give the same label in"
            f" {percent(agreement.observed)} of the cases{_beyond_chance(agreement.alpha)}."
        )
    return [*said, *_lowest(annotators)]


def _beyond_chance(alpha: float) -> str:
    if math.isnan(alpha):
        return ""
    remark = (
        "" if alpha >= _MIDDLING else ", below the 0.8 that is usually asked for: the classes may need a clearer rule"
    )
    return f" (Krippendorff's alpha {alpha:.2f}, where 0 is chance and 1 is full agreement{remark})"


def _lowest(annotators: pd.DataFrame) -> list[str]:
    """The first of the table, where it stands apart from the middle one."""
    quality = annotators["quality"]
    first, middle = float(quality.iloc[0]), float(quality.median())
    if len(annotators) < 3 or not middle - first >= _APART:
        return []
    worst = annotators.iloc[0]
    text = f"{shorten(str(worst['annotator']))} stands apart: quality {percent(first, 0)}, and {percent(middle, 0)} for"
    where = f", most of all at {shorten(str(worst['worst_class']))}" if worst["worst_class"] else ""
    return [f"{text} the one in the middle. Look at some of these labels before you count on them{where}."]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
