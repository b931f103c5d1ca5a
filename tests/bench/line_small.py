"""Small and frequent windows, in a warm daemon."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from harness import Line, Options, measure_time
from worlds import HOUR, START, UNIVARIATE, World, numbers, numbers_of, world

from driftwatch.decide.segment_state import SegmentState
from driftwatch.monitor.evaluation.window_verdict import render_gauges
from driftwatch.results.gauges import Gauges
from driftwatch.summary.summary import Summary, total

#: Windows decided before the measured one: a month of hours.
WARM_WINDOWS = 720


def warm_up(monitor: World, rows: int, columns: int, windows: int = WARM_WINDOWS) -> SegmentState:
    """The segment state after ``windows`` windows, of which eight are different and repeat."""
    segment_state = monitor.segment_state
    summaries = [
        monitor.summary(
            numbers(rows, columns, seed=10 + place, start=START + place * HOUR), START + place * HOUR
        )
        for place in range(8)
    ]
    from dataclasses import replace

    from driftwatch.core.schema import Span

    for place in range(windows):
        start = START + place * HOUR
        window = replace(summaries[place % len(summaries)], span=Span(start=start, end=start + HOUR))
        segment_state = monitor.judge(window, segment_state, gauges=False).segment_state
    return segment_state


def measure_window(monitor: World, window: Summary, segment_state: SegmentState) -> tuple[Gauges, ...]:
    """Streams and gauges of one window."""
    return numbers_of(monitor.evaluator.measure(window, segment_state))


def _rows_to_verdict(name: str, rows: int, columns: int, target: float, options: Options) -> Iterator[Line]:
    monitor = world(columns, hours=48, detectors=UNIVARIATE)
    start = START + WARM_WINDOWS * HOUR
    # One of the warm-up windows: a page, which names columns, costs more than a usual check.
    batches = numbers(rows, columns, seed=10, start=start)
    column_values = [column.to_numpy(zero_copy_only=False) for column in batches[0].columns[1:]]
    segment_state = warm_up(monitor, rows, columns)
    window = monitor.summary(iter(batches), start)
    if monitor.judge(window, segment_state).verdict.page:
        raise RuntimeError("expected a window that pages for nothing. Got a page.")
    runs, calls = max(options.runs, 5), max(1, 200_000 // (rows * columns) + 1)
    count_timing = measure_time(lambda: monitor.summary(iter(batches), start), runs, calls=calls)
    measure_timing = measure_time(lambda: measure_window(monitor, window, segment_state), runs, calls=calls)
    judge_timing = measure_time(lambda: monitor.judge(window, segment_state), runs, calls=calls)
    render_timing = measure_time(
        lambda: render_gauges(monitor.judge(window, segment_state).verdict), runs, calls=calls
    )
    sort_timing = measure_time(lambda: [np.sort(column) for column in column_values], runs, calls=calls)
    yield Line(
        name=name,
        what=f"{rows:,} x {columns}, rows to decided verdict, univariate",
        value=count_timing.cpu + judge_timing.cpu,
        target=target,
        floor=sort_timing.cpu,
        floor_is="one sort per column",
        wall=count_timing.wall + judge_timing.wall,
        beside={
            "counting": count_timing.cpu,
            "statistics": measure_timing.cpu,
            "deciding": judge_timing.cpu - measure_timing.cpu,
            "objects and words, once somebody reads them": render_timing.cpu - judge_timing.cpu,
        },
    )


def small(options: Options) -> Iterator[Line]:
    """Point 2: 10,000 x 100, and the cost of the joint statistics."""
    yield from _rows_to_verdict("small.10000x100", 10_000, 100, 0.020, options)
    start = START + WARM_WINDOWS * HOUR
    batches = numbers(10_000, 100, seed=5, start=start)
    joint, univariate = (
        partial(_judge, world(100, hours=48, detectors=detectors), batches, start)
        for detectors in (None, UNIVARIATE)
    )
    for work in (joint, univariate):
        work()
    # In turn: the difference of two medians has the noise of all the time between them.
    pairs = [
        (measure_time(joint, 1, warm=0).cpu, measure_time(univariate, 1, warm=0).cpu)
        for _ in range(3 * options.runs)
    ]
    yield Line(
        name="small.joint",
        what="what mmd and correlation add to 10,000 x 100",
        value=max(statistics.median(first - second for first, second in pairs), 0.0),
        beside={"with them": statistics.median(first for first, _ in pairs)},
    )


def _judge(monitor: World, batches: Any, start: int) -> None:
    monitor.judge(monitor.summary(iter(batches), start))


def tiny(options: Options) -> Iterator[Line]:
    """Point 2: 500 x 20."""
    yield from _rows_to_verdict("small.500x20", 500, 20, 0.003, options)


def tiles(options: Options) -> Iterator[Line]:
    """Point 2: a gauge refresh over stored tiles, between two decisions of a daemon."""
    monitor = world(100, hours=48, detectors=UNIVARIATE)
    for count in (24, 168):
        yield _tiles(monitor, count, options)


def _tiles(monitor: World, count: int, options: Options) -> Line:
    from driftwatch.summary.moving_sum import MovingSum
    from driftwatch.summary.serial import decode_summary, encode_summary

    starts = [START + place * HOUR for place in range(count + 1)]
    summaries = [
        monitor.summary(numbers(500, 100, seed=5, start=start), start).drop_sample() for start in starts
    ]
    tiles = {(start, 1): encode_summary(summary) for start, summary in zip(starts, summaries, strict=True)}
    moving_sum, keys = MovingSum(), list(tiles)
    steps = cycle([keys[1:], keys[:-1]])

    def move_on() -> Any:
        """Decode and add one tile, decode and subtract another."""
        return moving_sum.total(next(steps), lambda key: decode_summary(tiles[key]))

    window, cells = move_on(), np.concatenate([item.cells for item in summaries[0].counts.values()])
    measure_gauges = partial(monitor.evaluator.gauges, window)
    # Many calls, as for its floor: of a few calls the first, with a cold cache, would be half of the time.
    move_timing = measure_time(move_on, options.runs, warm=2, calls=50)
    measure_timing = measure_time(lambda: measure_gauges().numbers, options.runs, calls=50)
    render_timing = measure_time(lambda: tuple(measure_gauges()), options.runs, calls=4)
    total_timing = measure_time(lambda: total(summaries[1:]), options.runs)
    decode_timing = measure_time(lambda: decode_summary(tiles[keys[0]]), options.runs, calls=50)
    add_timing = measure_time(lambda: cells + cells - cells, options.runs, calls=50)
    return Line(
        name=f"small.tiles{count}",
        what=f"a window of {count} stored tiles of 100 columns moved on by one and measured",
        value=move_timing.cpu + measure_timing.cpu,
        target=0.001,
        floor=add_timing.cpu + 2 * decode_timing.cpu,
        floor_is="two tiles decoded, one added, one taken away",
        wall=move_timing.wall + measure_timing.wall,
        beside={
            "moving on": move_timing.cpu,
            "statistics": measure_timing.cpu,
            "objects and words, once somebody reads them": render_timing.cpu - measure_timing.cpu,
            "all tiles added up anew": total_timing.cpu,
            "and decoded": decode_timing.cpu * count,
        },
    )


LINES = {"small.10000x100": small, "small.500x20": tiny, "small.tiles": tiles}
