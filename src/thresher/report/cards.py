"""The samples that a report shows one by one: suspects, and labels that a correction changed."""

import base64
import io
import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from thresher.report import columns, tables
from thresher.report.columns import Columns, Value
from thresher.report.view import Report

SUSPECTS = 24
CHANGED = 12
_THUMBNAIL = 128
_PIXELS = 64
_FIRST, _BESIDE_TEXT, _MORE = 5, 3, 40
_VERDICT = re.compile(r"\d+ % sure that it is wrong")  # the card says so in its own words


@dataclass(frozen=True, eq=False)
class Card:
    """One sample.

    Attributes:
        key: of the sample.
        given: its label, by name.
        label: the label suggested, or the one after a correction.
        p: how probable the suggestion is, or None.
        p_wrong: how probable it is that the label is wrong, or None.
        reasons: why the label is doubted, a phrase each.
        kind: what is the matter with the sample, as in the column of that name; empty where it is not known.
        image: a data URI, or None.
        pixels: the image is so small that its pixels should stay sharp.
        truth: the true class's name, where known.
        text: the beginning of a text, or empty.
        values: the values of a table's row that are shown at once, those unusual for the given class first.
        more: those that are shown on demand.
        left_out: how many are not shown.
        flips: how often its prediction changed, where known.
    """

    key: str
    given: str
    label: str
    p: float | None = None
    p_wrong: float | None = None
    reasons: list[str] = field(default_factory=list)
    kind: str = ""
    image: str | None = None
    pixels: bool = True
    truth: str | None = None
    text: str = ""
    values: list[Value] = field(default_factory=list)
    more: list[Value] = field(default_factory=list)
    left_out: int = 0
    flips: int | None = None


def suspects(report: Report, known: Columns, limit: int = SUSPECTS) -> list[Card]:
    """The worst suspects of the chosen run."""
    return of_issues(report, known, report.suspects.head(limit))


def of_issues(report: Report, known: Columns, rows: pd.DataFrame) -> list[Card]:
    """A card for each of some rows of the chosen run's issues."""
    return _cards(report, known, rows.rename(columns={"suggested": "label"}))


def changes(report: Report, known: Columns, limit: int = CHANGED) -> list[Card]:
    """Some of the labels that the correction changed, evenly over all of them."""
    return _cards(report, known, tables.thinned(tables.changed(report), limit))


def data_uri(image: np.ndarray | None) -> str | None:
    """An image (uint8 ``[H, W]`` or ``[H, W, 1, 3 or 4]``) as an inline PNG of at most 128 pixels a side.

    Example:
        >>> data_uri(np.zeros((2, 2), dtype=np.uint8))[:22], data_uri(None)
        ('data:image/png;base64,', None)
    """
    if image is None:
        return None
    plain = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(plain))
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _cards(report: Report, known: Columns, rows: pd.DataFrame) -> list[Card]:
    """One card per row of a table with ``key, row, given, label``."""
    records = rows.to_dict("records")
    values = known.values([one["row"] for one in records], [one["given"] for one in records])
    return [_card(report, one, own) for one, own in zip(records, values, strict=True)]


def _card(report: Report, row: dict[Any, Any], values: list[Value]) -> Card:
    image = None if report.image is None else report.image(int(row["row"]))
    first = _BESIDE_TEXT if report.text_column else _FIRST
    flips = None if report.run.flips is None else report.run.flips.get(int(row["row"]))
    return Card(
        key=str(row["key"]),
        given=str(row["given"]),
        label=str(row["label"]),
        p=_known(row.get("p_suggested")),
        p_wrong=_known(row.get("p_wrong")),
        reasons=_phrases(row.get("reasons"), _known(row.get("p_wrong")) is not None),
        kind=str(row.get("kind", "")),
        image=data_uri(image),
        pixels=image is not None and max(image.shape[:2]) <= _PIXELS,
        truth=(report.truth or {}).get(row["key"]),
        text=_text(report, int(row["row"])),
        values=values[:first],
        more=values[first : first + _MORE],
        left_out=max(0, len(values) - first - _MORE),
        flips=None if flips is None else int(flips),
    )


def _known(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _phrases(reasons: Any, told: bool) -> list[str]:
    """Reasons one by one; how sure all of them make us goes where the card tells it."""
    if not isinstance(reasons, str):
        return []
    found = [phrase for phrase in reasons.split("; ") if phrase.strip()]
    return found[1:] if told and found and _VERDICT.match(found[0]) else found


def _text(report: Report, row: int) -> str:
    if report.table is None or report.text_column is None:
        return ""
    return columns.excerpt(report.table[report.text_column].iat[row])
