"""Draws a backtest as one SVG file: evidence, pages, smallest faults that would page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from driftwatch.backtest.run import Backtest
from driftwatch.backtest.sensitivity import SIZES, FaultSensitivity, Sensitivity
from driftwatch.charts.evidence_chart import TIMELINE_HEIGHT, TIMELINE_WIDTH, timeline_parts
from driftwatch.charts.svg import rect, standalone_svg, svg, text
from driftwatch.errors import ConfigError
from driftwatch.results import text_format
from driftwatch.results.evidence_trail import downsample

#: Most places in the drawing; in a longer history neighbouring windows share a place.
MAX_PLACES = 360
#: Pixels.
_ROW_HEIGHT, _HEAD_HEIGHT, _LABEL_WIDTH, _BAR_WIDTH = 18.0, 34.0, 232.0, 240.0
#: Characters of a column's name, which has to fit _LABEL_WIDTH with its fault.
_MAX_NAME_CHARS = 26


def backtest_svg(results: Sequence[Backtest]) -> str:
    """Return an SVG with one part per monitor; every text from data is escaped."""
    parts, top = list[str](), 0.0
    for result in results:
        monitor_parts, height = _monitor_parts(result)
        parts.append(f'<g transform="translate(0 {top:g})">{"".join(monitor_parts)}</g>')
        top += height
    return standalone_svg(svg(TIMELINE_WIDTH, max(top, 1.0), "backtest", "timeline", parts))


def write_figure(results: Sequence[Backtest], path: Path) -> None:
    """Write or overwrite the SVG file. Raises ``ConfigError`` if that is not possible."""
    try:
        path.write_text(backtest_svg(results), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--picture: {path}: expected a file that can be written. {error}.") from error


def _monitor_parts(result: Backtest) -> tuple[list[str], float]:
    prediction, pages = result.prediction, len(result.pages)
    pages_text = text_format.format_count(pages, "page")
    head = f"{result.monitor}: {pages_text} in {prediction.seconds / 86400:.0f} days"
    if prediction.interval is not None:
        low, high = map(text_format.format_number, prediction.interval)
        head += f", {text_format.format_number(prediction.per_quarter)} in 90 days ({low} to {high})"
    parts, top = [text(8, 22, head, "head")], _HEAD_HEIGHT
    trail = downsample([item for item in result.verdicts if item.segment is None], MAX_PLACES)
    if trail:
        timeline = "".join(timeline_parts(trail, trail[0][0]))
        parts.append(f'<g transform="translate(0 {top:g})">{timeline}</g>')
        top += TIMELINE_HEIGHT
    if result.sensitivity is not None and result.sensitivity.faults:
        rows = _fault_rows(result.sensitivity)
        parts.append(f'<g transform="translate(0 {top:g})">{"".join(rows)}</g>')
        top += _HEAD_HEIGHT + _ROW_HEIGHT * len(result.sensitivity.faults)
    return parts, top + 12


def _fault_rows(sensitivity: Sensitivity) -> list[str]:
    windows_text = text_format.format_count(sensitivity.n_windows, "window")
    head = f"smallest fault that would have paged within {windows_text}"
    parts = [text(8, 16, head, "head")]
    for number, fault in enumerate(sensitivity.faults):
        parts += _fault_row(fault, _HEAD_HEIGHT - 6 + number * _ROW_HEIGHT)
    return parts


def _fault_row(fault: FaultSensitivity, top: float) -> list[str]:
    name = text_format.truncate(text_format.escape_invisible(fault.column), _MAX_NAME_CHARS)
    parts = [text(_LABEL_WIDTH - 8, top + 12, f"{name}, {fault.fault}", "", "end")]
    sizes, smallest = SIZES[fault.fault], fault.smallest_detected
    if smallest is None:
        label = fault.reason or f"not even {fault.fault.size_text(sizes[-1])}"
        bar = rect(_LABEL_WIDTH, top + 2, _BAR_WIDTH, 12, "blind", label)
        return [*parts, bar, text(_LABEL_WIDTH + _BAR_WIDTH + 8, top + 12, label)]
    width = _BAR_WIDTH * (sizes.index(smallest.size) + 1) / (len(sizes) + 1)
    label = f"{fault.fault.size_text(smallest.size)}, in window {smallest.delay}"
    bar = rect(_LABEL_WIDTH, top + 2, width, 12, "fill", label)
    return [*parts, bar, text(_LABEL_WIDTH + width + 8, top + 12, label)]
