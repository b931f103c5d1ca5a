"""SVG elements as text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

from driftwatch.results import text_format

#: Maximum length of a title; names and levels from data may have any length.
_MAX_TITLE_CHARS = 160

#: (light, dark), the same as in the pages' style sheet.
_COLOURS = {
    "page": ("#fbfbf9", "#14171a"),
    "text": ("#1c2126", "#e4e7ea"),
    "quiet": ("#5b6570", "#9aa5af"),
    "rule": ("#dcdfe1", "#343a40"),
    "link": ("#0b5cad", "#7db8f0"),
    "moved": ("#a8201a", "#ff8a80"),
    "same": ("#1f6b3a", "#7fcf9a"),
    "same-soft": ("#e6f3ea", "#18301f"),
    "blind": ("#7a5200", "#f0c060"),
    "blind-soft": ("#fdf1d8", "#362a10"),
    "reference": ("#b9c2ca", "#515c66"),
    "window": ("#a8201a", "#ff8a80"),
    "line": ("#33475b", "#b7c6d4"),
    "area": ("#dfe6ec", "#2a333b"),
}
_RULES = """
svg { background: var(--page); }
svg text { fill: var(--text); font: 11px system-ui, sans-serif; }
svg .head { font-size: 15px; font-weight: 650; }
svg .tick { fill: var(--quiet); }
svg .level, svg .now { fill: var(--text); }
svg .rest { font-style: italic; }
svg .axis { stroke: var(--quiet); }
svg .limit { stroke: var(--moved); stroke-dasharray: 4 3; }
svg .pageline { stroke: var(--moved); stroke-width: 1; opacity: 0.45; }
svg .page { fill: var(--moved); }
svg .said { fill: var(--text); paint-order: stroke; stroke: var(--page); stroke-width: 3px; }
svg .newreference { stroke: var(--link); stroke-dasharray: 5 2; }
svg .usual { fill: var(--same-soft); stroke: var(--same); stroke-width: 0.5; }
svg .thin { fill: none; stroke: var(--line); stroke-width: 1.5; stroke-linejoin: round; }
svg .nowdot { fill: var(--line); }
svg .rail, svg .middle { stroke: var(--rule); }
svg line.moved { stroke: var(--window); stroke-width: 2; }
svg circle.reference { fill: var(--reference); stroke: var(--quiet); }
svg circle.window { fill: var(--window); }
svg .onset { stroke: var(--text); stroke-dasharray: 2 2; }
svg .line { fill: none; stroke: var(--line); stroke-width: 2; stroke-linejoin: round; }
svg .dot { fill: var(--line); }
svg .area { fill: var(--area); }
svg .frame { fill: var(--page); stroke: var(--quiet); }
svg .fill { fill: var(--line); }
svg rect.moved { fill: var(--moved); }
svg rect.same { fill: var(--same); opacity: 0.6; }
svg rect.blind { fill: var(--blind-soft); stroke: var(--blind); stroke-width: 0.7; stroke-dasharray: 2 2; }
svg rect.reference { fill: var(--reference); }
svg rect.window { fill: var(--window); }
svg polyline.window { fill: none; stroke: var(--window); stroke-width: 2; }
svg rect.hover { fill: transparent; }
"""
_HEAD = re.compile(r'<svg viewBox="0 0 (\S+) (\S+)"')


def _title(content: str) -> str:
    return str(escape(text_format.truncate(text_format.escape_invisible(content), _MAX_TITLE_CHARS)))


def text(x: float, y: float, content: str, css: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}">'
        f"{escape(text_format.escape_invisible(content))}</text>"
    )


def rect(x: float, y: float, width: float, height: float, css: str, title: str = "") -> str:
    title_element = f"<title>{_title(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
        f'class="{css}">{title_element}</rect>'
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def svg(
    width: float, height: float, title: str, css: str, parts: Iterable[str], *, group: bool = False
) -> Markup:
    """Wrap ``parts``, which must be escaped; links need ``group``, because an image must have none."""
    role = "group" if group else "img"
    # Every text in ``parts`` went through ``escape``; the hostile-name tests parse the result.
    return Markup(  # noqa: S704
        f'<svg viewBox="0 0 {width:g} {height:g}" class="{css}" role="{role}">'
        f"<title>{_title(title)}</title>{''.join(parts)}</svg>"
    )


def standalone_svg(drawing: Markup) -> str:
    """Return a drawing as a file with its own light and dark colours, without script."""
    # Literal colours, for programs that draw SVG without custom properties.
    style = f"<style>{_style_rules(0)}@media (prefers-color-scheme: dark) {{{_style_rules(1)}}}\n</style>"
    head, body = str(drawing).split(">", 1)
    size = r'<svg xmlns="http://www.w3.org/2000/svg" width="\1" height="\2" viewBox="0 0 \1 \2"'
    return f"{_HEAD.sub(size, head)}>{style}{body}\n"


def _style_rules(scheme: int) -> str:
    return re.sub(r"var\(--([a-z-]+)\)", lambda match: _COLOURS[match[1]][scheme], _RULES)
