"""The page: one HTML file with everything in it, readable without a network, on paper, on a phone, in the dark."""

import base64
import io
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from thresher.report import figures, pictures, svg, words
from thresher.report.pictures import Picture
from thresher.report.view import Report

_GALLERY = 24
_THUMBNAIL = 128


def write(path: Path, report: Report) -> Path:
    """Write the report to `path`, and its figures as SVG files to ``figures/`` beside it.

    Args:
        path: the HTML file; missing folders are made, an old report is replaced when the new one is complete.
        report: what to tell.

    Returns:
        `path`.

    Raises:
        OSError: the files cannot be written.

    Example:
        >>> import tempfile
        >>> from thresher.report import RunView
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write(Path(folder) / "report.html", Report("toy", "2 rows", ["a", "b"], [RunView("elr")]))
        ...     "<title>toy" in page.read_text(encoding="utf-8")
        True
    """
    path = Path(path)
    drawn = _draw(report)
    documents = {p.name: svg.document(p.figure, p.name) for group in drawn.values() for p in group}
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, text in documents.items():
        _replace(path.parent / "figures" / f"{name}.svg", text)
    _replace(path, render(report, drawn, documents))
    return path


def render(report: Report, drawn: Mapping[str, Sequence[Picture]], documents: Mapping[str, str]) -> str:
    """The page as text.

    Args:
        report: what to tell.
        drawn: the figures by section.
        documents: their SVG by name.
    """
    home = files("thresher.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(home.joinpath("template.html.j2").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        words=words,
        css=Markup(_colors() + home.joinpath("style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        drawings={
            section: [svg.inline(documents[p.name], p.name, p.alt) for p in group] for section, group in drawn.items()
        },
        colors=figures.run_colors(len(report.runs), report.chosen),
        cards=gallery(report),
        shown_classes=pictures.busiest(report.suspects, report.classes) if len(report.suspects) else [],
        noise=noise_facts(report.noise),
        ceiling=pictures.ceiling(report),
    )


def gallery(report: Report, limit: int = _GALLERY) -> list[dict[str, Any]]:
    """The top suspects as the template shows them: ``key, given, suggested, p, reasons, image, truth``.

    ``image`` is a data URI or None; ``truth`` is the true class's name, None where it is not known.
    """
    truth = report.truth or {}
    return [
        {
            "key": row["key"],
            "given": row["given"],
            "suggested": row["suggested"],
            "p": row["p_suggested"],
            "reasons": row["reasons"],
            "image": data_uri(None if report.image is None else report.image(int(row["row"]))),
            "truth": truth.get(row["key"]),
        }
        for row in report.suspects.head(limit).to_dict("records")
    ]


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


def noise_facts(noise: Mapping[str, Any] | None) -> dict[str, str]:
    r"""What is known about the noise, in words, without its matrix.

    Example:
        >>> noise_facts({"generator": "symmetric", "nominal": 0.4, "realised": 0.398, "seed": 0, "matrix": None})
        {'generator': 'symmetric', 'rate asked for': '40.0\xa0%', 'labels made wrong': '39.8\xa0%', 'seed': '0'}
    """
    rates = {"nominal": "rate asked for", "realised": "labels made wrong"}
    return {
        rates.get(name, name): words.percent(float(value)) if name in rates else str(value)
        for name, value in (noise or {}).items()
        if isinstance(value, str | int | float)
    }


def _draw(report: Report) -> dict[str, list[Picture]]:
    """All figures, by the section they stand in."""
    single = {"pairs": pictures.pairs(report), "noise": pictures.transitions(report)}
    return {
        "accuracy": pictures.accuracy(report),
        "memorisation": pictures.memorisation(report),
        "histograms": pictures.histograms(report),
        **{name: [] if picture is None else [picture] for name, picture in single.items()},
    }


def _colors() -> str:
    """The palette as CSS variables, for light and dark pages and for paper."""
    light = "".join(f"--{role}:{pair[0]};" for role, pair in figures.PALETTE.items())
    dark = "".join(f"--{role}:{pair[1]};" for role, pair in figures.PALETTE.items())
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
