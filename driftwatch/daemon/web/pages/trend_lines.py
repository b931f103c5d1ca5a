"""Drawings of change: a statistic over windows with its usual band, pairs of columns between two moments."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from driftwatch.charts.svg import line, rect, svg, text
from driftwatch.daemon.status.history_view import Trend
from driftwatch.daemon.web.pages.correlations import MovedPair
from driftwatch.results import words

_WIDTH, _HEIGHT = 360.0, 64.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 2.0, 300.0, 8.0, 56.0


def trend(found: Trend, name: str) -> Markup:
    """One statistic, oldest window left, its usual band behind; gaps where it was not measured.

    Before ``found.since`` another reference was in force; a line marks the change.
    """
    known = [value for value in found.values if value is not None]
    if not known:
        return Markup()
    low, high = _range(known, found.usual)
    step = (_RIGHT - _LEFT) / len(found.values)

    def up(value: float) -> float:
        return _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)

    parts = []
    if found.usual is not None:
        least, most = found.usual
        box = (_LEFT, up(most), _RIGHT - _LEFT, max(up(least) - up(most), 1.0))
        said = f"usual: {words.number(least)} to {words.number(most)}"
        parts.append(rect(*box, "usual", said))
    if found.since:
        x = _LEFT + found.since * step
        parts.append(line(x, _TOP - 6, x, _BOTTOM + 6, "newreference"))
    parts.append(line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"))
    places = [(_LEFT + (n + 0.5) * step, value) for n, value in enumerate(found.values)]
    parts += _runs([(x, None if value is None else up(value)) for x, value in places])
    last_x, last = next((x, value) for x, value in reversed(places) if value is not None)
    parts.append(f'<circle cx="{last_x:.1f}" cy="{up(last):.1f}" r="2.5" class="nowdot"/>')
    parts.append(text(_RIGHT + 6, min(max(up(last) + 4, 12), _HEIGHT - 4), words.number(last), "now"))
    return svg(_WIDTH, _HEIGHT, _said(found, name, last), "trend", parts)


def _range(known: Sequence[float], usual: tuple[float, float] | None) -> tuple[float, float]:
    """What is drawn: every value and the band, and nothing where there is none of it to see."""
    every = [*known, *(usual or ())]
    low, high = min(0.0, *every), max(every)
    return (low, high) if high > low else (low, low + 1.0)


def _said(found: Trend, name: str, last: float) -> str:
    usual = ""
    if found.usual is not None:
        usual = f", usually {words.number(found.usual[0])} to {words.number(found.usual[1])}"
    return f"{name} over {words.plural(len(found.values), 'window')}: now {words.number(last)}{usual}"


def _runs(places: Sequence[tuple[float, float | None]]) -> list[str]:
    parts, run = [], list[tuple[float, float]]()
    for x, y in [*places, (0.0, None)]:
        if y is not None:
            run.append((x, y))
            continue
        if len(run) == 1:
            parts.append(f'<circle cx="{run[0][0]:.1f}" cy="{run[0][1]:.1f}" r="1.5" class="dot"/>')
        elif run:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
            parts.append(f'<polyline points="{points}" class="thin"/>')
        run = []
    return parts


def pairs(moved: Sequence[MovedPair]) -> Markup:
    """Each pair's correlation before and after, on one axis from -1 to 1."""
    if not moved:
        return Markup()
    left, right, row, top = 12.0, 348.0, 40.0, 4.0

    def across(r: float) -> float:
        return left + (r + 1) / 2 * (right - left)

    bottom = top + row * len(moved)
    parts = [line(across(0), top, across(0), bottom, "middle")]
    for n, pair in enumerate(moved):
        y = top + n * row + 26
        name = f"{words.shortened(pair.left, 24)} and {words.shortened(pair.right, 24)}"
        before, after = across(pair.before), across(pair.after)
        parts.append(text(left, y - 10, name, "tick level"))
        said = f"{pair.before:+.2f} → {pair.after:+.2f}".replace("-", "−")
        parts.append(text(right, y - 10, said, "tick now", "end"))
        parts.append(line(left, y, right, y, "rail"))
        parts.append(line(before, y, after, y, "moved"))
        parts.append(f'<circle cx="{before:.1f}" cy="{y:.1f}" r="5" class="reference"/>')
        parts.append(f'<circle cx="{after:.1f}" cy="{y:.1f}" r="5" class="window"/>')
    for value, anchor in ((-1, "start"), (0, "middle"), (1, "end")):
        parts.append(text(across(value), bottom + 12, str(value).replace("-", "−"), "tick", anchor))
    said = "; ".join(f"{p.left} and {p.right} {p.before:.2f} to {p.after:.2f}" for p in moved[:3])
    return svg(360.0, bottom + 18, f"correlations: {said}", "chart pairs", parts)
