"""Evidence over windows as SVG text: pure functions, every text escaped, colours left to the style sheet.

No ``style`` attribute, which the pages' content security policy forbids, and no need of a script:
``charts.js`` adds zoom and a reading under the pointer where there is one. A drawing that leaves the page
takes its colours along (``svg.standalone``). Each carries a title for screen readers; what a colour says, a
shape or a word says too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape

from driftwatch.charts.svg import line, rect, svg, text
from driftwatch.core.schema import NANOSECONDS
from driftwatch.results import words
from driftwatch.results.evidence_trail import Trail

#: (place in a trail, what began there).
Change = tuple[int, str]

#: Width of a timeline and its height.
WIDE, TALL = 720.0, 196.0
_NARROW = 160.0
#: To the right of it the word of a line stands on its left; and the width of a letter, amply.
_BESIDE, _LETTER = WIDE / 5, 6.5


def _runs(trail: Trail) -> list[list[tuple[int, float]]]:
    """Stretches of known evidence as (position, evidence): a line is never drawn over a gap."""
    runs: list[list[tuple[int, float]]] = [[]]
    for position, (_, evidence, _, _) in enumerate(trail):
        if evidence is None:
            runs.append([])
        else:
            runs[-1].append((position, min(max(evidence, 0.0), 1.0)))
    return [run for run in runs if run]


def sparkline(trail: Trail, most: int = 60) -> Markup:
    """Evidence of the newest windows, a page at the top; windows that could not look are hatched."""
    trail = trail[-most:]
    if not trail:
        return Markup()
    step, height = _NARROW / len(trail), 36.0
    parts = [line(0, 4, _NARROW, 4, "limit")]
    parts += _blind_spots(trail, step, 0, 4, height - 4)
    parts += [_page_mark((n + 0.5) * step, 4, 4) for n, (*_, page) in enumerate(trail) if page]
    parts += _evidence_lines(trail, step, 0, 4, height - 4)
    return svg(_NARROW, height, "evidence over the newest windows", "spark", parts)


def _blind_spots(trail: Trail, step: float, left: float, top: float, bottom: float) -> list[str]:
    parts, start = [], None
    kinds = [words.kind_of(state) for _, _, state, _ in trail]
    for n, kind in enumerate([*kinds, words.SAME]):
        if kind == words.BLIND:
            start = n if start is None else start
        elif start is not None:
            parts.append(rect(left + start * step, top, (n - start) * step, bottom - top, "blind"))
            start = None
    return parts


def _page_mark(x: float, y: float, size: float) -> str:
    points = f"{x:.1f},{y + size:.1f} {x - size:.1f},{y - size:.1f} {x + size:.1f},{y - size:.1f}"
    return f'<polygon points="{points}" class="page"/>'


def _evidence_lines(trail: Trail, step: float, left: float, top: float, bottom: float) -> list[str]:
    parts = []
    for run in _runs(trail):
        points = [(left + (n + 0.5) * step, bottom - value * (bottom - top)) for n, value in run]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        first, last = points[0][0], points[-1][0]
        if len(points) == 1:
            parts.append(f'<circle cx="{first:.1f}" cy="{points[0][1]:.1f}" r="1.5" class="dot"/>')
            continue
        parts.append(
            f'<polygon points="{first:.1f},{bottom:.1f} {path} {last:.1f},{bottom:.1f}" class="area"/>'
        )
        parts.append(f'<polyline points="{path}" class="line"/>')
    return parts


def timeline(
    trail: Trail,
    now: int,
    onset: int | None = None,
    changes: Sequence[Change] = (),
    url: Callable[[int], str] | None = None,
) -> Markup:
    """Evidence window by window, a strip of states beneath, pages as triangles, dates at the foot.

    ``changes`` are places where another reference came into force; ``url`` links each page to its window.
    """
    if not trail:
        return Markup()
    pages = sum(page for *_, page in trail)
    title = f"evidence in {words.plural(len(trail), 'window')}, {words.plural(pages, 'page')}"
    parts = timeline_parts(trail, now, onset, changes, url)
    return svg(WIDE, TALL, title, "timeline", parts, group=url is not None)


def timeline_parts(
    trail: Trail,
    now: int,
    onset: int | None = None,
    changes: Sequence[Change] = (),
    url: Callable[[int], str] | None = None,
) -> list[str]:
    """What a timeline is drawn of, ``WIDE`` and ``TALL``; at least one window."""
    left, right, top, bottom = 52.0, WIDE - 8, 24.0, 150.0
    step = (right - left) / len(trail)
    parts = [
        line(left, top, right, top, "limit"),
        line(left, bottom, right, bottom, "axis"),
        text(left - 6, top + 4, "a page", "tick", "end"),
        text(left - 6, bottom + 2, "0", "tick", "end"),
        text(left - 6, bottom + 17, "state", "tick", "end"),
    ]
    parts += _blind_spots(trail, step, left, top, bottom)
    parts += _evidence_lines(trail, step, left, top, bottom)
    for n, (end, evidence, state, page) in enumerate(trail):
        said = next((told for known, told in words.STATE_WORDS.items() if known == state), state)
        title = f"window to {words.instant(end)}: {said}, evidence {words.number(evidence)}"
        parts.append(rect(left + n * step, bottom + 6, max(step - 1, 0.6), 14, words.kind_of(state), title))
        if page:
            x = left + (n + 0.5) * step
            parts.append(line(x, top, x, bottom, "pageline"))
            parts.append(_linked(_page_mark(x, top - 9, 6), end, url))
    parts += _changes(changes, left, step, bottom)
    parts += _onset(trail, onset, left, step, bottom)
    parts += _dates(trail, now, left, step, bottom + 36)
    return parts


def _linked(mark: str, end: int, url: Callable[[int], str] | None) -> str:
    if url is None:
        return mark
    label = escape(f"the page of {words.instant(end)}")
    return f'<a href="{escape(url(end))}" aria-label="{label}">{mark}</a>'


def _onset(trail: Trail, onset: int | None, left: float, step: float, bottom: float) -> list[str]:
    if onset is None or onset < trail[0][0]:
        return []
    first = next((n for n, (end, *_) in enumerate(trail) if end > onset), None)
    return [] if first is None else _moment(left + first * step, bottom, "began", "onset", 104)


def _changes(changes: Sequence[Change], left: float, step: float, bottom: float) -> list[str]:
    """A line each. Every word has a height of its own, and is left out where it would lie on itself."""
    parts: list[str] = []
    heights = {what: 88 - 16 * n for n, what in enumerate(dict.fromkeys(what for _, what in changes))}
    ends = dict.fromkeys(heights, 0.0)
    for place, what in changes:
        x, wide = left + place * step, _LETTER * len(what)
        begins = x - 4 - wide if x > _BESIDE else x + 4
        drawn, word = _moment(x, bottom, what, "newreference", heights[what])
        parts.append(drawn)
        if begins >= ends[what]:
            parts.append(word)
            ends[what] = begins + wide
    return parts


def _moment(x: float, bottom: float, what: str, css: str, height: float) -> list[str]:
    """A line through the drawing, and its word where there is room for it, ``height`` above ``bottom``."""
    anchor, beside = ("end", x - 4) if x > _BESIDE else ("start", x + 4)
    y = bottom - height
    return [line(x, y - 8, x, bottom + 22, css), text(beside, y, what, "tick said", anchor)]


def _dates(trail: Trail, now: int, left: float, step: float, y: float) -> list[str]:
    shown = sorted({0, len(trail) - 1, *(round((len(trail) - 1) * share) for share in (0.25, 0.5, 0.75))})
    shown = shown if len(trail) > 4 else list(range(len(trail)))
    labels = date_labels([trail[n][0] for n in shown], now)
    parts = []
    for n, label in zip(shown, labels, strict=True):
        anchor = "start" if n == 0 and len(trail) > 1 else "end" if n == len(trail) - 1 else "middle"
        x = left + (n + (0 if anchor == "start" else 1 if anchor == "end" else 0.5)) * step
        parts.append(text(x, y, label, "tick", anchor))
    return parts


def date_labels(ends: Sequence[int], now: int) -> list[str]:
    """Short dates of moments in order: a day, the year where it changes, the hour when days would repeat.

    >>> date_labels([0, 86400 * NANOSECONDS], 0), date_labels([0, 3600 * NANOSECONDS], 0)
    (['1 Jan', '2 Jan'], ['1 Jan 00:00', '1 Jan 01:00'])
    """
    moments = [datetime.fromtimestamp(end // NANOSECONDS, tz=UTC) for end in ends]
    days = [f"{moment.day} {moment:%b}" for moment in moments]
    if len(set(days)) < len(days):
        days = [f"{day} {moment:%H:%M}" for day, moment in zip(days, moments, strict=True)]
    this_year = datetime.fromtimestamp(now // NANOSECONDS, tz=UTC).year
    if all(moment.year == this_year for moment in moments):
        return days
    years = [None, *(moment.year for moment in moments)]
    return [
        day if moment.year == before else f"{day} {moment.year}"
        for day, moment, before in zip(days, moments, years, strict=False)
    ]
