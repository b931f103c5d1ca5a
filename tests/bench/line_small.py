"""Small and frequent windows, in a warm daemon."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from harness import Line, Options, timed
from worlds import HOUR, START, UNIVARIATE, World, numbers, numbers_of, world

from driftwatch.decide.state import SegmentState
from driftwatch.monitor.evaluate import gauges, measure, worded
from driftwatch.results.gauges import Gauges
from driftwatch.summary.summary import Summary, total

#: Windows decided before the measured ones: a month of hours.
WARM = 720


def warmed(one: World, rows: int, columns: int, windows: int = WARM) -> SegmentState:
    """The track after many windows; a few different ones, again and again."""
    segment_state = one.segment_state
    some = [
        one.summary(numbers(rows, columns, seed=10 + place, start=START + place * HOUR), START + place * HOUR)
        for place in range(8)
    ]
    from dataclasses import replace

    from driftwatch.core.schema import Span

    for place in range(windows):
        start = START + place * HOUR
        window = replace(some[place % len(some)], span=Span(start=start, end=start + HOUR))
        segment_state = one.judge(window, segment_state, gauges=False)[0].segment_state
    return segment_state


def measured(one: World, window: Summary, segment_state: SegmentState) -> tuple[Gauges, ...]:
    """Streams and gauges of one window."""
    return numbers_of(measure(one.built.reference, window, one.looks, segment_state, one.config))


def _rows_to_verdict(name: str, rows: int, columns: int, target: float, options: Options) -> Iterator[Line]:
    one = world(columns, hours=48, detectors=UNIVARIATE)
    start = START + WARM * HOUR
    # One of those that taught: a page, which looks for names, is not what a check usually costs.
    batches = numbers(rows, columns, seed=10, start=start)
    held = [column.to_numpy(zero_copy_only=False) for column in batches[0].columns[1:]]
    segment_state = warmed(one, rows, columns)
    window = one.summary(iter(batches), start)
    if one.judge(window, segment_state)[0].page:
        raise RuntimeError("expected a window that pages for nothing. Got a page.")
    runs, calls = max(options.runs, 5), max(1, 200_000 // (rows * columns) + 1)
    counting = timed(lambda: one.summary(iter(batches), start), runs, calls=calls)
    measuring = timed(lambda: measured(one, window, segment_state), runs, calls=calls)
    judging = timed(lambda: one.judge(window, segment_state), runs, calls=calls)
    wording = timed(lambda: worded(one.judge(window, segment_state)[1]), runs, calls=calls)
    order = timed(lambda: [np.sort(column) for column in held], runs, calls=calls)
    yield Line(
        name=name,
        what=f"{rows:,} x {columns}, rows to decided verdict, univariate",
        value=counting.cpu + judging.cpu,
        target=target,
        floor=order.cpu,
        floor_is="one sort per column",
        wall=counting.wall + judging.wall,
        beside={
            "counting": counting.cpu,
            "statistics": measuring.cpu,
            "deciding": judging.cpu - measuring.cpu,
            "objects and words, once somebody reads them": wording.cpu - judging.cpu,
        },
    )


def small(options: Options) -> Iterator[Line]:
    """Point 2: 10,000 x 100, and what the joint statistics add."""
    yield from _rows_to_verdict("small.10000x100", 10_000, 100, 0.020, options)
    start = START + WARM * HOUR
    batches = numbers(10_000, 100, seed=5, start=start)
    joint, alone = (
        partial(_judged, world(100, hours=48, detectors=detectors), batches, start)
        for detectors in (None, UNIVARIATE)
    )
    for work in (joint, alone):
        work()
    # In turn: the difference of two medians has the noise of all the time between them.
    both = [(timed(joint, 1, warm=0).cpu, timed(alone, 1, warm=0).cpu) for _ in range(3 * options.runs)]
    yield Line(
        name="small.joint",
        what="what mmd and correlation add to 10,000 x 100",
        value=max(statistics.median(one - other for one, other in both), 0.0),
        beside={"with them": statistics.median(one for one, _ in both)},
    )


def _judged(one: World, batches: Any, start: int) -> None:
    one.judge(one.summary(iter(batches), start))


def tiny(options: Options) -> Iterator[Line]:
    """Point 2: 500 x 20."""
    yield from _rows_to_verdict("small.500x20", 500, 20, 0.003, options)


def tiles(options: Options) -> Iterator[Line]:
    """Point 2: a check over stored tiles, as a daemon refreshes its gauges between two decisions."""
    one = world(100, hours=48, detectors=UNIVARIATE)
    for count in (24, 168):
        yield _tiles(one, count, options)


def _tiles(one: World, count: int, options: Options) -> Line:
    from driftwatch.summary.moving_sum import MovingSum
    from driftwatch.summary.serial import decode_summary, encode_summary

    starts = [START + place * HOUR for place in range(count + 1)]
    parts = [one.summary(numbers(500, 100, seed=5, start=start), start).drop_sample() for start in starts]
    stored = {(start, 1): encode_summary(part) for start, part in zip(starts, parts, strict=True)}
    sliding, keys = MovingSum(), list(stored)
    steps = cycle([keys[1:], keys[:-1]])

    def moved() -> Any:
        """One tile came and one left; both are decoded."""
        return sliding.total(next(steps), lambda key: decode_summary(stored[key]))

    window, cells = moved(), np.concatenate([item.cells for item in parts[0].counts.values()])
    shown = partial(gauges, one.built.reference, window, one.looks)
    # As warm as its floor: of a few calls the first, of a cold cache, would be half of it.
    added = timed(moved, options.runs, warm=2, calls=50)
    measuring = timed(lambda: shown().numbers, options.runs, calls=50)
    wording = timed(lambda: tuple(shown()), options.runs, calls=4)
    anew = timed(lambda: total(parts[1:]), options.runs)
    decoding = timed(lambda: decode_summary(stored[keys[0]]), options.runs, calls=50)
    floor = timed(lambda: cells + cells - cells, options.runs, calls=50)
    return Line(
        name=f"small.tiles{count}",
        what=f"a window of {count} stored tiles of 100 columns moved on by one and measured",
        value=added.cpu + measuring.cpu,
        target=0.001,
        floor=floor.cpu + 2 * decoding.cpu,
        floor_is="two tiles decoded, one added, one taken away",
        wall=added.wall + measuring.wall,
        beside={
            "moving on": added.cpu,
            "statistics": measuring.cpu,
            "objects and words, once somebody reads them": wording.cpu - measuring.cpu,
            "all tiles added up anew": anew.cpu,
            "and decoded": decoding.cpu * count,
        },
    )


LINES = {"small.10000x100": small, "small.500x20": tiny, "small.tiles": tiles}
