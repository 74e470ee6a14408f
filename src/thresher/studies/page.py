"""What a study found, and the page that tells it: figures, the numbers behind them as CSV, claims with answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.figure
import pandas as pd

from thresher.disk import plain_disk_errors, write_atomically
from thresher.errors import ThresherError
from thresher.report import svg
from thresher.report.page import stylesheet, template

ROWS = 60
"""Rows of the longest table that the page shows; of a longer one it only names the CSV file."""


@dataclass(frozen=True)
class Claim:
    """One claim of a source, beside what came out here.

    Attributes:
        text: the claim.
        source: the source's value, in words; "about" where it was read off a figure.
        ours: our value, in words.
        holds: whether the claim holds here; None where this form of the study cannot tell.
        sentence: one sentence that says so, and why.
    """

    text: str
    source: str
    ours: str
    holds: bool | None
    sentence: str

    def __post_init__(self) -> None:
        """A comparison of numpy's numbers is no `True`, and would count as neither."""
        object.__setattr__(self, "holds", None if self.holds is None else bool(self.holds))

    @property
    def verdict(self) -> str:
        """The answer in a word.

        Example:
            >>> Claim("", "", "", None, "").verdict
            'open:'
        """
        return {True: "holds:", False: "does not hold:", None: "open:"}[self.holds]


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure.

    Attributes:
        name: of its file ``figures/NAME.svg``; a word that no other figure of the study has.
        figure: drawn inside `thresher.report.palette.style`, with colours of that palette, which turn with the page.
        caption: what it shows, in words.
    """

    name: str
    figure: matplotlib.figure.Figure
    caption: str


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study found.

    Attributes:
        title: of the page.
        question: what was asked, in a sentence or two.
        settings: what a reader must know to do it again: data, network, optimiser, noise; name -> text.
        figures: in their order.
        tables: name -> the numbers behind the figures; each is written as ``NAME.csv``.
        claims: of the sources, with their answers.
    """

    title: str
    question: str
    settings: Mapping[str, str]
    figures: Sequence[Figure]
    tables: Mapping[str, pd.DataFrame]
    claims: Sequence[Claim]


def write(outcome: Outcome, folder: Path, *, quick: bool, made: Mapping[str, str], notes: Sequence[str] = ()) -> Path:
    r"""Write ``index.html``, ``figures/*.svg`` and one CSV file per table.

    Args:
        outcome: what to tell.
        folder: of the study; files of an earlier time are replaced.
        quick: whether this was the quick form, which the page marks.
        made: ``command``, and further names and values (seed, versions) of how it was made.
        notes: sentences below the question.

    Returns:
        The page.

    Raises:
        ThresherError: two figures or tables of one name, or a full disk.

    Example:
        >>> import tempfile
        >>> claim = Claim("Water is wet.", "wet", "wet", True, "It is.")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outcome = Outcome("Water", "Is it wet?", {}, [], {"drops": pd.DataFrame({"a": [1]})}, [claim])
        ...     page = write(outcome, Path(folder), quick=True, made={"command": "thresher study water"})
        ...     "quick form" in page.read_text(), (Path(folder) / "drops.csv").read_text()
        (True, 'a\n1\n')
    """
    documents = {figure.name: svg.document(figure.figure, figure.name) for figure in outcome.figures}
    if len(documents) < len(outcome.figures):
        raise ThresherError(f"two figures of the study {outcome.title!r} have one name: name each differently")
    text = _rendered(outcome, documents, quick, made, notes)
    with plain_disk_errors(folder):
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        write_atomically(folder / "figures" / f"{name}.svg", document.encode())
    for name, table in outcome.tables.items():
        write_atomically(folder / f"{name}.csv", table.to_csv(index=False).encode())
    write_atomically(folder / "index.html", text.encode())
    return folder / "index.html"


def _rendered(
    outcome: Outcome, documents: Mapping[str, str], quick: bool, made: Mapping[str, str], notes: Sequence[str]
) -> str:
    return template("study.html.j2").render(
        outcome=outcome,
        quick=quick,
        made=made,
        notes=notes,
        finding=finding(outcome.claims),
        css=stylesheet(),
        drawings=[(svg.inline(documents[f.name], f.name, f.caption), f.caption) for f in outcome.figures],
        tables=[_shown(name, table) for name, table in outcome.tables.items()],
    )


def finding(claims: Sequence[Claim]) -> str:
    """How many claims hold, in a sentence.

    Example:
        >>> claims = [Claim("", "", "", holds, "") for holds in (True, True, False, None)]
        >>> finding(claims), finding(claims[:2])
        ('2 of 4 claims hold, 1 does not, 1 stays open.', 'All 2 claims hold.')
    """
    held, failed, unclear = (sum(claim.holds is answer for claim in claims) for answer in (True, False, None))
    if held == len(claims):
        return "The claim holds." if held == 1 else f"All {held} claims hold."
    parts = [f"{held} of {len(claims)} claims hold{'s' if held == 1 else ''}"]
    parts += [f"{failed} {'does' if failed == 1 else 'do'} not"] if failed else []
    parts += [f"{unclear} {'stays' if unclear == 1 else 'stay'} open"] if unclear else []
    return ", ".join(parts) + "."


def _shown(name: str, table: pd.DataFrame) -> dict[str, Any]:
    """A table as the page shows it."""
    numbers = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    rows = [
        [{"text": _text(value), "number": number} for value, number in zip(row, numbers, strict=True)]
        for row in (table if len(table) <= ROWS else table[:0]).itertuples(index=False, name=None)
    ]
    return {"name": name, "columns": list(table.columns), "rows": rows, "length": len(table)}


def _text(value: Any) -> str:
    """A cell: numbers with four digits that count, nothing for the unknown."""
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
