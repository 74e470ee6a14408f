"""Figures as SVG text: once as a file of its own, once to stand inside a page that may be light or dark."""

import io
import re
import warnings

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from thresher.report.palette import FONT, PALETTE, style

_READERS_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_LARGEST = 1.1  # times its natural size, so that text is of one size in all figures of a page


def document(figure: Figure, name: str) -> str:
    """A figure as an SVG document: text stays text, the same figure gives the same bytes.

    Args:
        figure: what to write.
        name: what its ids depend on besides the drawing.

    Example:
        >>> text = document(Figure(figsize=(1, 1)), "empty")
        >>> text.startswith("<?xml"), text == document(Figure(figsize=(1, 1)), "empty")
        (True, True)
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with style(name), warnings.catch_warnings():
        # Class names may be in any script: the reader's fonts draw the text, not matplotlib's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return buffer.getvalue().replace(f"'{FONT}', sans-serif", _READERS_FONTS)


def inline(text: str, name: str, alt: str) -> Markup:
    """An SVG document as an element for an HTML page.

    The header goes, ids get the figure's name in front (several figures share a page), colours become the page's
    variables, and the element gets a text alternative.

    Args:
        text: what `document` returned.
        name: a word that no other figure of the page has.
        alt: what the figure shows, in words.

    Example:
        >>> element = inline(document(Figure(figsize=(1, 1)), "a"), "a", "Nothing.")
        >>> element[:56]
        Markup('<svg class="drawing" role="img" aria-label="Nothing." vi')
    """
    body = text[text.index("<svg") :]
    box = body.split('viewBox="', 1)[1].split('"', 1)[0]
    width = float(box.split()[2])
    head = f'<svg class="drawing" role="img" aria-label="{escape(alt)}" viewBox="{box}" width="{width:g}pt"'
    head += f' style="max-width:{_LARGEST * width:.0f}pt">'
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    # Only inside tags: a class may be called "#1b2026".
    return Markup(head + re.sub(r"<[^>]+>", lambda tag: _at_home(tag.group(), name), body))  # noqa: S704


def _at_home(tag: str, name: str) -> str:
    """One tag with the page's ids and colours."""
    tag = tag.replace(' id="', f' id="{name}-').replace("url(#", f"url(#{name}-")
    tag = tag.replace('xlink:href="#', f'href="#{name}-')
    for role, (light, _) in PALETTE.items():
        tag = tag.replace(light, f"var(--{role})")
    return tag
