"""A backtest as one SVG file: evidence over time with its pages, and the smallest faults it would catch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from driftwatch import words
from driftwatch.backtest import Backtest
from driftwatch.daemon.charts import TALL, WIDE, timeline_parts
from driftwatch.daemon.svg import rect, svg, text
from driftwatch.errors import ConfigError
from driftwatch.sensitivity import SIZES, Caught, Sensitivity
from driftwatch.trails import shortened

#: Windows drawn apart; of a longer history neighbours share a place.
MOST = 360
_ROW, _HEAD, _LEFT, _BAR = 18.0, 34.0, 232.0, 240.0

#: Colours as on the web page; plain values, for programs that draw SVG without custom properties.
_STYLE = """<style>
svg { background: #ffffff; font: 11px system-ui, sans-serif; }
text { fill: #1c2126; } .head { font-size: 15px; font-weight: 650; } .tick { fill: #5b6570; }
.axis { stroke: #5b6570; } .limit { stroke: #a8201a; stroke-dasharray: 4 3; }
.pageline { stroke: #a8201a; opacity: 0.45; } .page { fill: #a8201a; }
.line { fill: none; stroke: #33475b; stroke-width: 1.5; stroke-linejoin: round; } .dot { fill: #33475b; }
.area { fill: #dfe6ec; } .fill { fill: #33475b; } rect.moved { fill: #a8201a; }
rect.same { fill: #1f6b3a; opacity: 0.6; }
rect.blind { fill: #fdf1d8; stroke: #7a5200; stroke-width: 0.7; stroke-dasharray: 2 2; }
</style>"""


def picture(results: Sequence[Backtest]) -> str:
    """The whole file, one part per monitor. Every text from data is escaped."""
    parts, top = [_STYLE], 0.0
    for result in results:
        drawn, height = _monitor(result)
        parts.append(f'<g transform="translate(0 {top:g})">{"".join(drawn)}</g>')
        top += height
    drawing = svg(WIDE, max(top, 1.0), "backtest", "timeline", parts)
    return str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def draw(results: Sequence[Backtest], path: Path) -> None:
    """Write the file, in the place of one that is there. Raises ``ConfigError`` where that fails."""
    try:
        path.write_text(picture(results), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--picture: {path}: expected a file that can be written. {error}.") from error


def _monitor(result: Backtest) -> tuple[list[str], float]:
    """Everything of one monitor, and how high it is."""
    told, pages = result.prediction, len(result.pages)
    head = f"{result.monitor}: {words.plural(pages, 'page')} in {told.seconds / 86400:.0f} days"
    if told.interval is not None:
        low, high = map(words.number, told.interval)
        head += f", {words.number(told.per_quarter)} in 90 days ({low} to {high})"
    parts, top = [text(8, 22, head, "head")], _HEAD
    trail = shortened([item for item in result.verdicts if item.segment is None], MOST)
    if trail:
        drawn = "".join(timeline_parts(trail, trail[0][0]))
        parts.append(f'<g transform="translate(0 {top:g})">{drawn}</g>')
        top += TALL
    if result.injected is not None and result.injected.caught:
        rows = _faults(result.injected)
        parts.append(f'<g transform="translate(0 {top:g})">{"".join(rows)}</g>')
        top += _HEAD + _ROW * len(result.injected.caught)
    return parts, top + 12


def _faults(found: Sensitivity) -> list[str]:
    said = f"smallest fault that would have paged within {words.plural(found.within, 'window')}"
    parts = [text(8, 16, said, "head")]
    for number, caught in enumerate(found.caught):
        parts += _fault(caught, _HEAD - 6 + number * _ROW)
    return parts


def _fault(caught: Caught, top: float) -> list[str]:
    name = words.shortened(words.visible(caught.column), 26)
    parts = [text(_LEFT - 8, top + 12, f"{name}, {caught.fault}", "", "end")]
    sizes, smallest = SIZES[caught.fault], caught.smallest
    if smallest is None:
        said = caught.reason or f"not even {caught.fault.words(sizes[-1])}"
        return [*parts, rect(_LEFT, top + 2, _BAR, 12, "blind", said), text(_LEFT + _BAR + 8, top + 12, said)]
    wide = _BAR * (sizes.index(smallest.size) + 1) / (len(sizes) + 1)
    said = f"{caught.fault.words(smallest.size)}, in window {smallest.delay}"
    return [*parts, rect(_LEFT, top + 2, wide, 12, "fill", said), text(_LEFT + wide + 8, top + 12, said)]
