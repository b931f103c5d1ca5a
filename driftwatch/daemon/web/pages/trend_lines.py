"""Draws a statistic over windows with its usual band, and correlations on both sides of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from driftwatch.charts.svg import line, rect, svg, text
from driftwatch.daemon.status.trends import Trend
from driftwatch.daemon.web.pages.correlations import CorrelationChange
from driftwatch.results import text_format

_WIDTH, _HEIGHT = 360.0, 64.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 2.0, 300.0, 8.0, 56.0


def trend_chart(trend: Trend, name: str) -> Markup:
    """Draw a statistic over windows, oldest left, with gaps where it was not measured.

    A line marks ``trend.since``; before it another reference was in force.
    """
    values = [value for value in trend.values if value is not None]
    if not values:
        return Markup()
    low, high = _value_range(values, trend.usual)
    step = (_RIGHT - _LEFT) / len(trend.values)

    def y_of(value: float) -> float:
        return _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)

    parts = []
    if trend.usual is not None:
        band_low, band_high = trend.usual
        box = (_LEFT, y_of(band_high), _RIGHT - _LEFT, max(y_of(band_low) - y_of(band_high), 1.0))
        title = f"usual: {text_format.format_number(band_low)} to {text_format.format_number(band_high)}"
        parts.append(rect(*box, "usual", title))
    if trend.since:
        x = _LEFT + trend.since * step
        parts.append(line(x, _TOP - 6, x, _BOTTOM + 6, "newreference"))
    parts.append(line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"))
    points = [(_LEFT + (n + 0.5) * step, value) for n, value in enumerate(trend.values)]
    parts += _polylines([(x, None if value is None else y_of(value)) for x, value in points])
    last_x, last = next((x, value) for x, value in reversed(points) if value is not None)
    parts.append(f'<circle cx="{last_x:.1f}" cy="{y_of(last):.1f}" r="2.5" class="nowdot"/>')
    parts.append(
        text(_RIGHT + 6, min(max(y_of(last) + 4, 12), _HEIGHT - 4), text_format.format_number(last), "now")
    )
    return svg(_WIDTH, _HEIGHT, _description(trend, name, last), "trend", parts)


def _value_range(values: Sequence[float], usual: tuple[float, float] | None) -> tuple[float, float]:
    all_values = [*values, *(usual or ())]
    low, high = min(0.0, *all_values), max(all_values)
    return (low, high) if high > low else (low, low + 1.0)


def _description(trend: Trend, name: str, last: float) -> str:
    band = ""
    if trend.usual is not None:
        low, high = map(text_format.format_number, trend.usual)
        band = f", usually {low} to {high}"
    return (
        f"{name} over {text_format.format_count(len(trend.values), 'window')}: "
        f"now {text_format.format_number(last)}{band}"
    )


def _polylines(points: Sequence[tuple[float, float | None]]) -> list[str]:
    parts, run = [], list[tuple[float, float]]()
    for x, y in [*points, (0.0, None)]:
        if y is not None:
            run.append((x, y))
            continue
        if len(run) == 1:
            parts.append(f'<circle cx="{run[0][0]:.1f}" cy="{run[0][1]:.1f}" r="1.5" class="dot"/>')
        elif run:
            coordinates = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
            parts.append(f'<polyline points="{coordinates}" class="thin"/>')
        run = []
    return parts


def correlation_chart(changes: Sequence[CorrelationChange]) -> Markup:
    """Draw each pair's correlation on both sides, on an axis from -1 to 1."""
    if not changes:
        return Markup()
    left, right, row, top = 12.0, 348.0, 40.0, 4.0

    def x_of(r: float) -> float:
        return left + (r + 1) / 2 * (right - left)

    bottom = top + row * len(changes)
    parts = [line(x_of(0), top, x_of(0), bottom, "middle")]
    for n, change in enumerate(changes):
        y = top + n * row + 26
        name = f"{text_format.truncate(change.left, 24)} and {text_format.truncate(change.right, 24)}"
        first_x, second_x = x_of(change.first_r), x_of(change.second_r)
        parts.append(text(left, y - 10, name, "tick level"))
        label = f"{change.first_r:+.2f} → {change.second_r:+.2f}".replace("-", "−")
        parts.append(text(right, y - 10, label, "tick now", "end"))
        parts.append(line(left, y, right, y, "rail"))
        parts.append(line(first_x, y, second_x, y, "moved"))
        parts.append(f'<circle cx="{first_x:.1f}" cy="{y:.1f}" r="5" class="reference"/>')
        parts.append(f'<circle cx="{second_x:.1f}" cy="{y:.1f}" r="5" class="window"/>')
    for value, anchor in ((-1, "start"), (0, "middle"), (1, "end")):
        parts.append(text(x_of(value), bottom + 12, str(value).replace("-", "−"), "tick", anchor))
    label = "; ".join(
        f"{item.left} and {item.right} {item.first_r:.2f} to {item.second_r:.2f}" for item in changes[:3]
    )
    return svg(360.0, bottom + 18, f"correlations: {label}", "chart pairs", parts)
