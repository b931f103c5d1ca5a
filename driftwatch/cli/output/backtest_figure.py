"""A backtest as one SVG file: evidence over time with its pages, and the smallest faults it would catch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from driftwatch.backtest.run import Backtest
from driftwatch.backtest.sensitivity import SIZES, Caught, Sensitivity
from driftwatch.charts.evidence_chart import TALL, WIDE, timeline_parts
from driftwatch.charts.svg import rect, standalone, svg, text
from driftwatch.errors import ConfigError
from driftwatch.results import words
from driftwatch.results.evidence_trail import shortened

#: Windows drawn apart; of a longer history neighbours share a place.
MOST = 360
_ROW, _HEAD, _LEFT, _BAR = 18.0, 34.0, 232.0, 240.0


def picture(results: Sequence[Backtest]) -> str:
    """The whole file, one part per monitor. Every text from data is escaped."""
    parts, top = list[str](), 0.0
    for result in results:
        drawn, height = _monitor(result)
        parts.append(f'<g transform="translate(0 {top:g})">{"".join(drawn)}</g>')
        top += height
    return standalone(svg(WIDE, max(top, 1.0), "backtest", "timeline", parts))


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
