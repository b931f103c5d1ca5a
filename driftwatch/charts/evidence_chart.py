"""Charts of evidence over windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape

from driftwatch.charts.svg import line, rect, svg, text
from driftwatch.core.schema import NANOSECONDS
from driftwatch.results import text_format
from driftwatch.results.evidence_trail import Trail

#: (index in a trail, label of the reference that came into force there).
ReferenceChange = tuple[int, str]

# No ``style`` attribute: the pages' content security policy forbids it. No script is needed: ``charts.js``
# adds zoom and a reading under the pointer.

#: Pixels.
TIMELINE_WIDTH, TIMELINE_HEIGHT = 720.0, 196.0
_SPARKLINE_WIDTH = 160.0
#: Pixels: a line to the right of this has its label on the left; an upper bound of the width of a letter.
_LABEL_LEFT_FROM, _LETTER_WIDTH = TIMELINE_WIDTH / 5, 6.5


def _runs(trail: Trail) -> list[list[tuple[int, float]]]:
    # Runs of (index, evidence): no line is drawn over a gap.
    runs: list[list[tuple[int, float]]] = [[]]
    for index, (_, evidence, _, _) in enumerate(trail):
        if evidence is None:
            runs.append([])
        else:
            runs[-1].append((index, min(max(evidence, 0.0), 1.0)))
    return [run for run in runs if run]


def sparkline(trail: Trail, max_windows: int = 60) -> Markup:
    """Draw the evidence of the newest windows, with the page limit on top; ``BLIND`` states are hatched."""
    trail = trail[-max_windows:]
    if not trail:
        return Markup()
    step, height = _SPARKLINE_WIDTH / len(trail), 36.0
    parts = [line(0, 4, _SPARKLINE_WIDTH, 4, "limit")]
    parts += _blind_spots(trail, step, 0, 4, height - 4)
    parts += [_page_mark((n + 0.5) * step, 4, 4) for n, (*_, page) in enumerate(trail) if page]
    parts += _evidence_lines(trail, step, 0, 4, height - 4)
    return svg(_SPARKLINE_WIDTH, height, "evidence over the newest windows", "spark", parts)


def _blind_spots(trail: Trail, step: float, left: float, top: float, bottom: float) -> list[str]:
    parts, start = [], None
    kinds = [text_format.state_kind(state) for _, _, state, _ in trail]
    for n, kind in enumerate([*kinds, text_format.SAME]):
        if kind == text_format.BLIND:
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
    changes: Sequence[ReferenceChange] = (),
    url: Callable[[int], str] | None = None,
) -> Markup:
    """Draw evidence by window, with states and dates below it; pages are triangles, linked by ``url``."""
    if not trail:
        return Markup()
    pages = sum(page for *_, page in trail)
    windows_text, pages_text = (
        text_format.format_count(len(trail), "window"),
        text_format.format_count(pages, "page"),
    )
    title = f"evidence in {windows_text}, {pages_text}"
    parts = timeline_parts(trail, now, onset, changes, url)
    return svg(TIMELINE_WIDTH, TIMELINE_HEIGHT, title, "timeline", parts, group=url is not None)


def timeline_parts(
    trail: Trail,
    now: int,
    onset: int | None = None,
    changes: Sequence[ReferenceChange] = (),
    url: Callable[[int], str] | None = None,
) -> list[str]:
    """Return the elements of a timeline; ``trail`` must not be empty."""
    left, right, top, bottom = 52.0, TIMELINE_WIDTH - 8, 24.0, 150.0
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
        state_text = next((label for key, label in text_format.STATE_WORDS.items() if key == state), state)
        evidence_text = text_format.format_number(evidence)
        title = f"window to {text_format.format_time(end)}: {state_text}, evidence {evidence_text}"
        parts.append(
            rect(left + n * step, bottom + 6, max(step - 1, 0.6), 14, text_format.state_kind(state), title)
        )
        if page:
            x = left + (n + 0.5) * step
            parts.append(line(x, top, x, bottom, "pageline"))
            parts.append(_link(_page_mark(x, top - 9, 6), end, url))
    parts += _changes(changes, left, step, bottom)
    parts += _onset(trail, onset, left, step, bottom)
    parts += _dates(trail, now, left, step, bottom + 36)
    return parts


def _link(mark: str, end: int, url: Callable[[int], str] | None) -> str:
    if url is None:
        return mark
    label = escape(f"the page of {text_format.format_time(end)}")
    return f'<a href="{escape(url(end))}" aria-label="{label}">{mark}</a>'


def _onset(trail: Trail, onset: int | None, left: float, step: float, bottom: float) -> list[str]:
    if onset is None or onset < trail[0][0]:
        return []
    first = next((n for n, (end, *_) in enumerate(trail) if end > onset), None)
    return [] if first is None else _moment(left + first * step, bottom, "began", "onset", 104)


def _changes(changes: Sequence[ReferenceChange], left: float, step: float, bottom: float) -> list[str]:
    # Each label has its own height, and is left out where it would overlap itself.
    parts: list[str] = []
    heights = {label: 88 - 16 * n for n, label in enumerate(dict.fromkeys(label for _, label in changes))}
    ends = dict.fromkeys(heights, 0.0)
    for index, label in changes:
        x, label_width = left + index * step, _LETTER_WIDTH * len(label)
        label_start = x - 4 - label_width if x > _LABEL_LEFT_FROM else x + 4
        line_part, label_part = _moment(x, bottom, label, "newreference", heights[label])
        parts.append(line_part)
        if label_start >= ends[label]:
            parts.append(label_part)
            ends[label] = label_start + label_width
    return parts


def _moment(x: float, bottom: float, label: str, css: str, height: float) -> list[str]:
    anchor, label_x = ("end", x - 4) if x > _LABEL_LEFT_FROM else ("start", x + 4)
    y = bottom - height
    return [line(x, y - 8, x, bottom + 22, css), text(label_x, y, label, "tick said", anchor)]


def _dates(trail: Trail, now: int, left: float, step: float, y: float) -> list[str]:
    indices = sorted({0, len(trail) - 1, *(round((len(trail) - 1) * share) for share in (0.25, 0.5, 0.75))})
    indices = indices if len(trail) > 4 else list(range(len(trail)))
    labels = date_labels([trail[n][0] for n in indices], now)
    parts = []
    for n, label in zip(indices, labels, strict=True):
        anchor = "start" if n == 0 and len(trail) > 1 else "end" if n == len(trail) - 1 else "middle"
        x = left + (n + (0 if anchor == "start" else 1 if anchor == "end" else 0.5)) * step
        parts.append(text(x, y, label, "tick", anchor))
    return parts


def date_labels(ends: Sequence[int], now: int) -> list[str]:
    """Format day and month, with the year where it changes and the time if days repeat.

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
        day if moment.year == previous_year else f"{day} {moment.year}"
        for day, moment, previous_year in zip(days, moments, years, strict=False)
    ]
