"""Pieces of a drawing as SVG text, every text escaped, colours left to the style sheet."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from driftwatch import words

#: Longest title; names and levels from data may be of any length.
_LONGEST = 160


def _title(said: str) -> str:
    return str(escape(words.shortened(words.visible(said), _LONGEST)))


def text(x: float, y: float, content: str, css: str = "", anchor: str = "start") -> str:
    """A line of text at (x, y)."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}">'
        f"{escape(words.visible(content))}</text>"
    )


def rect(x: float, y: float, width: float, height: float, css: str, title: str = "") -> str:
    """A box; ``title`` is what it says when pointed at."""
    inside = f"<title>{_title(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
        f'class="{css}">{inside}</rect>'
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def svg(
    width: float, height: float, title: str, css: str, parts: Iterable[str], *, group: bool = False
) -> Markup:
    """A whole drawing with a title for screen readers; ``parts`` were escaped by their makers.

    ``group``: it holds links, which a picture must not.
    """
    role = "group" if group else "img"
    # Every text in ``parts`` went through ``escape``; the hostile-name tests parse the result.
    return Markup(  # noqa: S704
        f'<svg viewBox="0 0 {width:g} {height:g}" class="{css}" role="{role}">'
        f"<title>{_title(title)}</title>{''.join(parts)}</svg>"
    )
