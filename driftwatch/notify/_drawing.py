"""Evidence drawn so that every mail program shows it: a table whose cells are the bars.

Drawings do not get through: Gmail and Outlook take SVG out of a mail. Table cells with a width and a colour
of their own are left alone, and the words beside them are read aloud. Every colour reads on white and black.
"""

from __future__ import annotations

import math
from html import escape

from driftwatch.charts.evidence_chart import date_labels
from driftwatch.results import words
from driftwatch.results.evidence_trail import Place, Trail

#: Windows that fit beneath the words on a telephone.
MOST = 10
_WIDE = 90
_COLOURS = {words.MOVED: "#cc4037", words.SAME: "#5f7a94", words.BLIND: "#9a7425"}
_HEADS = ("Window to, UTC", "Evidence, full at a page", "")
_TINY = "font-size:1px;line-height:1px"
_CELL = "padding:1px 8px 1px 0;text-align:left;font-size:13px"


def evidence_table(trail: Trail, now: int) -> str:
    """The newest windows as HTML, newest first; the empty text when there are none."""
    shown = trail[-MOST:]
    if not shown:
        return ""
    labels = date_labels([end for end, *_ in shown], now)
    rows = [_row(place, label) for place, label in zip(shown, labels, strict=True)]
    heads = "".join(f'<th scope="col" style="{_CELL}">{head}</th>' for head in _HEADS)
    return (
        f'<table cellpadding="0" cellspacing="0" style="border-collapse:collapse">\n<tr>{heads}</tr>\n'
        f"{''.join(reversed(rows))}</table>\n"
    )


def _row(place: Place, label: str) -> str:
    _, evidence, state, page = place
    kind = words.kind_of(state)
    said = next((told for known, told in words.STATE_WORDS.items() if known == state), state)
    figure = "a page" if page else "" if evidence is None else words.number(evidence)
    told = escape(words.visible(f"{figure}, {said}" if figure else said))
    bar = _bar(evidence, page, kind)
    return (
        f'<tr><td style="{_CELL};white-space:nowrap">{escape(label)}</td><td style="{_CELL}">{bar}</td>'
        f'<td style="{_CELL}">{told}</td></tr>\n'
    )


def _bar(evidence: float | None, page: bool, kind: str) -> str:
    """Of unknown evidence a dashed frame, never an empty bar, which would be a zero."""
    colour = _COLOURS[kind]
    if not page and (evidence is None or math.isnan(evidence)):
        dashed = f"border:1px dashed {colour};{_TINY}"
        return _frame(f'<td width="{_WIDE}" height="10" style="{dashed}">&nbsp;</td>')
    filled = _WIDE if page else round(_WIDE * min(max(evidence or 0.0, 0.0), 1.0))
    cells = [
        f'<td width="{wide}" height="12" bgcolor="{shade}" style="{_TINY}">&nbsp;</td>'
        for wide, shade in ((filled, colour), (_WIDE - filled, "#b9c2ca"))
        if wide
    ]
    return _frame("".join(cells))


def _frame(cells: str) -> str:
    return (
        f'<table role="presentation" cellpadding="0" cellspacing="0" width="{_WIDE}"><tr>{cells}</tr></table>'
    )
