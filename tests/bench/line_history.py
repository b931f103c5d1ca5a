"""Backtests over stored tiles: what one window costs, and what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness import Line, Options, timed
from line_small import warmed
from worlds import HOUR, START, UNIVARIATE, numbers, world

from driftwatch.summary.schema import Span
from driftwatch.summary.serial import encode_summary

WINDOWS, COLUMNS, ROWS = 8_760, 50, 2_300


def decisions(options: Options) -> Iterator[Line]:
    """Point 6: a year of hours. Without ``--full`` some windows of a warm track, told for the year."""
    one = world(COLUMNS, hours=48, detectors=UNIVARIATE)
    parts = [
        one.summary(numbers(ROWS, COLUMNS, seed=20 + place, start=START + place * HOUR), START + place * HOUR)
        for place in range(8)
    ]
    count = WINDOWS if options.full else 200
    track = one.track if options.full else warmed(one, ROWS, COLUMNS, 420)
    first = 0 if options.full else 420

    def replay() -> None:
        now = track
        for place in range(first, first + count):
            start = START + place * HOUR
            window = replace(parts[place % len(parts)], span=Span(start=start, end=start + HOUR))
            now = one.judge(window, now, gauges=False)[0].track

    ours = timed(replay, 1 if options.full else options.runs, warm=0)
    yield Line(
        name="history.decisions",
        what=f"{WINDOWS:,} hourly windows x {COLUMNS} columns decided over stored tiles",
        value=ours.cpu / count * WINDOWS,
        target=15.0,
        wall=ours.wall / count * WINDOWS,
        beside={"ms a window": 1e3 * ours.cpu / count},
    )


def size(options: Options) -> Iterator[Line]:
    """Point 6: what a stored window of 50 columns takes."""
    one = world(COLUMNS, hours=48)
    window = one.summary(numbers(ROWS, COLUMNS, seed=20)).drop_sample()
    counts = len(encode_summary(replace(window, sums=None)))
    yield Line(
        name="history.size",
        what=f"counts of one window of {COLUMNS} columns, stored",
        value=counts / 1000,
        unit="kB",
        target=20.0,
        beside={"kB with sums": len(encode_summary(window)) / 1000},
    )


LINES = {"history.decisions": decisions, "history.size": size}
