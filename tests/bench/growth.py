"""CPU time by rows, by columns and by windows, printed and drawn as the README's picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness import measure_time
from worlds import HOUR, START, UNIVARIATE, numbers, world

from driftwatch.decide.segment_state import SegmentState

PICTURE = Path(__file__).parents[2] / "deploy" / "screenshots" / "growth.svg"
Points = list[tuple[float, float]]
#: Windows that a decision is measured over: as many as lie between two fits of a full history.
TIMED_DECISIONS = 40


def by_rows(sizes: Sequence[int]) -> Points:
    """CPU milliseconds of a check of 20 columns, from memory."""
    monitor = world(20, detectors=UNIVARIATE)
    points = []
    for rows in sizes:
        batches = numbers(rows, 20, seed=2)
        timing = measure_time(lambda batches=batches: monitor.judge(monitor.summary(iter(batches))), 3)
        points.append((float(rows), 1e3 * timing.cpu))
    return points


def by_columns(sizes: Sequence[int]) -> Points:
    """CPU milliseconds of a check of 10,000 rows, from memory."""
    points = []
    for columns in sizes:
        monitor = world(columns, rows=20_000, detectors=UNIVARIATE)
        batches = numbers(10_000, columns, seed=2)
        timing = measure_time(
            lambda monitor=monitor, batches=batches: monitor.judge(monitor.summary(iter(batches))), 3, calls=3
        )
        points.append((float(columns), 1e3 * timing.cpu))
    return points


def by_windows(sizes: Sequence[int]) -> Points:
    """CPU milliseconds of one decision after so many windows, 20 columns.

    It is the mean of the next ``TIMED_DECISIONS``, during which the score model is fitted as often as usual.
    """
    from dataclasses import replace

    from driftwatch.core.schema import Span

    monitor = world(20, hours=48, detectors=UNIVARIATE)
    summary = monitor.summary(numbers(1000, 20, seed=5))
    segment_state, points = monitor.segment_state, []

    def judge(segment_state: SegmentState, first: int, count: int) -> SegmentState:
        for place in range(first, first + count):
            start = START + place * HOUR
            window = replace(summary, span=Span(start=start, end=start + HOUR))
            segment_state = monitor.judge(window, segment_state).segment_state
        return segment_state

    n_decided = 0
    for place in sizes:
        segment_state, n_decided = judge(segment_state, n_decided, place - n_decided), place
        timing = measure_time(partial(judge, segment_state, place, TIMED_DECISIONS), 3)
        points.append((float(place), 1e3 * timing.cpu / TIMED_DECISIONS))
    return points


def panel(title: str, unit: str, points: Points, left: int) -> str:
    """SVG of one curve on linear axes that begin at 0."""
    width, height, top = 240, 150, 40
    max_x, max_y = max(x for x, _ in points), max(y for _, y in points) * 1.1
    positions = [(left + width * x / max_x, top + height * (1 - y / max_y)) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in positions)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#2f6db5"/>' for x, y in positions)
    return (
        f'<text x="{left}" y="24" font-weight="bold">{title}</text>'
        f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#888"/>'
        f'<polyline points="{line}" fill="none" stroke="#2f6db5" stroke-width="2"/>{dots}'
        f'<text x="{left + 4}" y="{top + 10}" fill="#666">{max_y:.0f} ms CPU</text>'
        f'<text x="{left + width}" y="{top + height + 16}" text-anchor="end" fill="#666">'
        f"{max_x:,.0f} {unit}</text>"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    panels = (
        ("20 columns, rows", "rows", by_rows((10_000, 50_000, 100_000, 200_000, 400_000))),
        ("10,000 rows, columns", "columns", by_columns((10, 25, 50, 100, 200))),
        ("one decision, windows before it", "windows", by_windows((0, 50, 100, 200, 400, 600, 800))),
    )
    for title, unit, points in panels:
        print(f"{title}: " + ", ".join(f"{x:,.0f} {unit} {y:.1f} ms" for x, y in points))
    curves = "".join(panel(*item, 20 + 290 * place) for place, item in enumerate(panels))
    options.out.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 220" font-family="sans-serif" '
        f'font-size="12"><rect width="880" height="220" fill="#fff"/>{curves}</svg>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
