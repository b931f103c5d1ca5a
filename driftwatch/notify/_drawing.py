"""Draws evidence for every mail program, as a table whose cells are the bars.

Gmail and Outlook remove SVG, but leave table cells with a width and a colour; screen readers read the words
in the next cell. Every colour is readable on white and black.
"""

from __future__ import annotations

import math
from html import escape

from driftwatch.charts.evidence_chart import date_labels
from driftwatch.results import text_format
from driftwatch.results.evidence_trail import Trail, TrailPoint

#: Windows that fit below the text on a telephone.
MAX_TABLE_WINDOWS = 10
_BAR_WIDTH = 90
_COLOURS = {text_format.MOVED: "#cc4037", text_format.SAME: "#5f7a94", text_format.BLIND: "#9a7425"}
_HEADS = ("Window to, UTC", "Evidence, full at a page", "")
_TINY = "font-size:1px;line-height:1px"
_CELL = "padding:1px 8px 1px 0;text-align:left;font-size:13px"


def evidence_table(trail: Trail, now: int) -> str:
    """Return the evidence of the newest windows as an HTML table, newest first; empty without windows."""
    windows = trail[-MAX_TABLE_WINDOWS:]
    if not windows:
        return ""
    labels = date_labels([end for end, *_ in windows], now)
    rows = [_row(place, label) for place, label in zip(windows, labels, strict=True)]
    heads = "".join(f'<th scope="col" style="{_CELL}">{head}</th>' for head in _HEADS)
    return (
        f'<table cellpadding="0" cellspacing="0" style="border-collapse:collapse">\n<tr>{heads}</tr>\n'
        f"{''.join(reversed(rows))}</table>\n"
    )


def _row(place: TrailPoint, label: str) -> str:
    _, evidence, state, page = place
    kind = text_format.state_kind(state)
    state_text = next((text for name, text in text_format.STATE_WORDS.items() if name == state), state)
    figure = "a page" if page else "" if evidence is None else text_format.format_number(evidence)
    text = escape(text_format.escape_invisible(f"{figure}, {state_text}" if figure else state_text))
    bar = _bar(evidence, page, kind)
    return (
        f'<tr><td style="{_CELL};white-space:nowrap">{escape(label)}</td><td style="{_CELL}">{bar}</td>'
        f'<td style="{_CELL}">{text}</td></tr>\n'
    )


def _bar(evidence: float | None, page: bool, kind: str) -> str:
    colour = _COLOURS[kind]
    # Unknown evidence is a dashed frame: an empty bar would be a zero.
    if not page and (evidence is None or math.isnan(evidence)):
        dashed = f"border:1px dashed {colour};{_TINY}"
        return _frame(f'<td width="{_BAR_WIDTH}" height="10" style="{dashed}">&nbsp;</td>')
    filled_width = _BAR_WIDTH if page else round(_BAR_WIDTH * min(max(evidence or 0.0, 0.0), 1.0))
    cells = [
        f'<td width="{width}" height="12" bgcolor="{shade}" style="{_TINY}">&nbsp;</td>'
        for width, shade in ((filled_width, colour), (_BAR_WIDTH - filled_width, "#b9c2ca"))
        if width
    ]
    return _frame("".join(cells))


def _frame(cells: str) -> str:
    return (
        f'<table role="presentation" cellpadding="0" cellspacing="0" width="{_BAR_WIDTH}">'
        f"<tr>{cells}</tr></table>"
    )
