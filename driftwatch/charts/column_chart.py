"""Charts of one column, and a meter of evidence."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from driftwatch.charts.bars import LevelBar, NumericBars
from driftwatch.charts.svg import line, rect, svg, text
from driftwatch.core.arrays import Float64Array
from driftwatch.results import text_format


def histogram(bars: NumericBars, name: str) -> Markup:
    """Draw reference bars and an outline of the window, with rows beyond the range at both ends."""
    width, height, top, bottom, side = 360.0, 150.0, 16.0, 122.0, 26.0
    shares = [bars.reference] if bars.window is None else [bars.reference, bars.window]
    peak = max(float(share.max()) for share in shares) or 1.0
    inner = (width - 2 * side) / (len(bars.edges) - 1)
    boxes = [(1.0, side - 7)]
    boxes += [(side + n * inner, inner) for n in range(len(bars.edges) - 1)]
    boxes.append((width - side + 6, side - 7))
    scale = (bottom - top) / peak
    parts = []
    for (x, bar_width), share in zip(boxes, bars.reference, strict=True):
        parts.append(rect(x, bottom - share * scale, bar_width - 0.5, share * scale, "reference"))
    if bars.window is not None:
        parts += _outline(boxes, bars.window * scale, bottom)
    parts.append(line(0, bottom, width, bottom, "axis"))
    parts += _bar_titles(boxes, bars, top, bottom)
    low, high = float(bars.edges[0]), float(bars.edges[-1])
    for n, (value, label) in enumerate(bars.ticks):
        x = side + (value - low) / (high - low) * (width - 2 * side)
        anchors = {0: "start", len(bars.ticks) - 1: "end"} if len(bars.ticks) == 3 else {}
        parts.append(text(x, bottom + 14, label, "tick", anchors.get(n, "middle")))
    parts.append(text(0, bottom + 26, "below", "tick"))
    parts.append(text(width, bottom + 26, "above", "tick", "end"))
    parts.append(text(0, 10, f"{text_format.format_percent(peak)} of rows", "tick"))
    return svg(width, height, f"{name}: reference and newest window", "chart", parts)


def _outline(boxes: list[tuple[float, float]], heights: Float64Array, bottom: float) -> list[str]:
    parts = []
    for part in (slice(0, 1), slice(1, -1), slice(-1, None)):
        points = []
        for (x, bar_width), height in zip(boxes[part], heights[part], strict=True):
            points += [f"{x:.1f},{bottom - height:.1f}", f"{x + bar_width:.1f},{bottom - height:.1f}"]
        first, last = boxes[part][0], boxes[part][-1]
        foot = f"{last[0] + last[1]:.1f},{bottom:.1f}"
        parts.append(
            f'<polyline points="{first[0]:.1f},{bottom:.1f} {" ".join(points)} {foot}" class="window"/>'
        )
    return parts


def _bar_titles(boxes: list[tuple[float, float]], bars: NumericBars, top: float, bottom: float) -> list[str]:
    parts = []
    for n, (x, bar_width) in enumerate(boxes):
        window_share = None if bars.window is None else float(bars.window[n])
        title = (
            f"reference {text_format.format_percent(float(bars.reference[n]))}, "
            f"now {text_format.format_percent(window_share)}"
        )
        parts.append(rect(x, top, bar_width, bottom - top, "hover", title))
    return parts


def level_chart(bars: Sequence[LevelBar], name: str) -> Markup:
    """Draw two bars per level, reference above window, each with its share."""
    left, width, row = 128.0, 360.0, 30.0
    peak = max([bar.reference for bar in bars] + [bar.window or 0.0 for bar in bars]) or 1.0
    scale = (width - left - 56) / peak
    parts = []
    for n, bar in enumerate(bars):
        y = n * row + 4
        css = "tick rest" if bar.is_aggregate else "tick level"
        label = text_format.truncate(text_format.escape_invisible(bar.label), 20)
        window_share = bar.window or 0.0
        parts.append(text(left - 8, y + 15, label, css, "end"))
        parts.append(rect(left, y + 1, bar.reference * scale, 9, "reference"))
        parts.append(rect(left, y + 12, window_share * scale, 9, "window"))
        parts.append(
            text(left + bar.reference * scale + 4, y + 9, text_format.format_percent(bar.reference), "tick")
        )
        parts.append(
            text(left + window_share * scale + 4, y + 21, text_format.format_percent(bar.window), "tick now")
        )
        parts.append(rect(0, y, width, row - 4, "hover", bar.label))
    return svg(width, len(bars) * row + 4, f"{name}: reference and newest window", "chart", parts)


def meter(evidence: float | None) -> Markup:
    """Draw evidence as a bar that is full when a page is sent."""
    width, height = 96.0, 12.0
    if evidence is None:
        parts = [rect(0.5, 0.5, width - 1, height - 1, "blind")]
        return svg(width, height, "evidence unknown", "meter", parts)
    share = min(max(evidence, 0.0), 1.0)
    parts = [
        rect(0.5, 0.5, width - 1, height - 1, "frame"),
        rect(0.5, 0.5, share * (width - 1), height - 1, "fill"),
    ]
    return svg(width, height, f"evidence {text_format.format_number(evidence)}, a page at 1", "meter", parts)
