"""Backtests over stored tiles and over files: the cost of a window, and the bytes it stores."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import CACHE, Line, Options, children, cpu_of, measure_time
from line_small import warm_up
from line_wide import decode
from scipy.special import ndtri, stdtr
from worlds import HOUR, START, UNIVARIATE, World, numbers, world

from driftwatch.core.plugins import load
from driftwatch.core.schema import Span
from driftwatch.decide.baseline.score_model import DEGREES_OF_FREEDOM, fit_score_model
from driftwatch.decide.segment_state import SegmentState
from driftwatch.summary.serial import encode_summary
from driftwatch.summary.summary import Summary

WINDOWS, COLUMNS, ROWS = 8_760, 50, 2_300
#: Different windows, so that no memo serves; windows after which a history is full.
WEEK, FULL_HISTORY = 168, 420
#: Windows between two fits of a full history.
REFIT_WINDOWS = 100
#: A file a day; days of a year that are read without ``--full``; different days that are generated.
DAY, QUICK_DAYS, DISTINCT_DAYS = 24 * HOUR, 28, 8


def decisions(options: Options) -> Iterator[Line]:
    """Point 6: a year of hours. Without ``--full`` some windows of a warm state, scaled to the year."""
    monitor = world(COLUMNS, hours=48, detectors=UNIVARIATE)
    week = [
        monitor.summary(
            numbers(ROWS, COLUMNS, seed=20 + place, start=START + place * HOUR), START + place * HOUR
        )
        for place in range(WEEK)
    ]
    warm_state, _ = _decide_windows(monitor, week, monitor.segment_state, 0, FULL_HISTORY)
    count, pages = WINDOWS if options.full else 200, 0
    segment_state, first = (monitor.segment_state, 0) if options.full else (warm_state, FULL_HISTORY)

    def replay() -> None:
        nonlocal pages
        _, pages = _decide_windows(monitor, week, segment_state, first, count)

    timing = measure_time(replay, 1 if options.full else options.runs, warm=0)
    arithmetic_timing = measure_time(partial(_arithmetic, warm_state), options.runs, calls=50)
    fit_timing = measure_time(lambda: fit_score_model(warm_state.scores), options.runs)
    filter_timing = measure_time(partial(_run_filters, warm_state), options.runs)
    yield Line(
        name="history.decisions",
        what=f"{WINDOWS:,} hourly windows x {COLUMNS} columns decided over stored tiles",
        value=timing.cpu / count * WINDOWS,
        target=15.0,
        floor=(arithmetic_timing.cpu + filter_timing.cpu / REFIT_WINDOWS) * WINDOWS,
        floor_is="the history's means and spreads, the bets' logs and tails, the filters of the laws: "
        "numpy on arrays that lie ready",
        wall=timing.wall / count * WINDOWS,
        beside={
            "ms a window": 1e3 * timing.cpu / count,
            "ms of it for the laws": 1e3 * fit_timing.cpu / REFIT_WINDOWS,
            "ms a window with 20 columns": 1e3 * _window_seconds(20),
            "pages": str(pages),
        },
    )


def _decide_windows(
    monitor: World, week: list[Summary], segment_state: SegmentState, first: int, count: int
) -> tuple[SegmentState, int]:
    """The segment state after ``count`` hours that repeat one week, and the number of pages."""
    pages = 0
    for place in range(first, first + count):
        start = START + place * HOUR
        window = replace(week[place % len(week)], span=Span(start=start, end=start + HOUR))
        evaluation = monitor.judge(window, segment_state, gauges=False)
        segment_state, pages = evaluation.segment_state, pages + evaluation.verdict.page
    return segment_state, pages


def _window_seconds(columns: int) -> float:
    """CPU seconds of a window of few columns: the cost of the calls, however short their arrays are."""
    monitor = world(columns, hours=48, detectors=UNIVARIATE)
    segment_state = warm_up(monitor, ROWS, columns, 420)
    window = monitor.summary(numbers(ROWS, columns, seed=20, start=START + 420 * HOUR), START + 420 * HOUR)
    return measure_time(lambda: monitor.judge(window, segment_state, gauges=False), 5, calls=100).cpu


def _arithmetic(segment_state: SegmentState) -> None:
    """The arithmetic that every decision of one window needs, on arrays of its size."""
    scores, log_m = segment_state.scores, segment_state.shares.log_m
    weights, values = np.ones(len(scores.values)), np.nan_to_num(scores.values)
    deviations = values - np.einsum("n,nk->k", weights, values)
    np.multiply(deviations, deviations, out=deviations)
    np.einsum("n,nk->k", weights, deviations)
    stdtr(
        np.full((len(DEGREES_OF_FREEDOM), 1), 30.0), np.ones((len(DEGREES_OF_FREEDOM), len(scores.keys) // 2))
    )
    ndtri(np.full((len(scores.keys), 2), 0.5))
    for array in (np.ones_like(log_m), np.ones_like(log_m[:, :1])):
        np.log(array)
    for array in (np.ones_like(log_m), np.ones_like(scores.log_m)):
        np.log1p(np.exp(array))


def _run_filters(segment_state: SegmentState) -> None:
    """Filter the history with each of 25 memories."""
    values = np.nan_to_num(segment_state.scores.values)
    level, work, square = (np.zeros((25, values.shape[1])) for _ in range(3))
    for row in values:
        np.subtract(row, level, out=work)
        np.multiply(level, 0.5, out=level)
        np.add(level, work, out=level)
        np.multiply(work, work, out=work)
        np.add(square, work, out=square)


def size(options: Options) -> Iterator[Line]:
    """Point 6: bytes of a stored window of 50 columns."""
    monitor = world(COLUMNS, hours=48)
    window = monitor.summary(numbers(ROWS, COLUMNS, seed=20)).drop_sample()
    counts = len(encode_summary(replace(window, sums=None)))
    yield Line(
        name="history.size",
        what=f"counts of one window of {COLUMNS} columns, stored",
        value=counts / 1000,
        unit="kB",
        target=20.0,
        beside={"kB with sums": len(encode_summary(window)) / 1000},
    )


def _days(count: int) -> Path:
    """A folder with a Parquet file for each day; a few days of values repeat at later times."""
    folder = CACHE / f"year-{count}"
    rows = 24 * ROWS
    tables: list[pa.Table] = []
    for day in range(count):
        path = folder / f"{day:03}.parquet"
        if path.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        while len(tables) < DISTINCT_DAYS:
            tables.append(pa.Table.from_batches(numbers(rows, COLUMNS, seed=40 + len(tables))))
        starts = START + day * DAY + np.arange(rows) * (DAY // rows)
        times = pa.array(starts.astype("datetime64[ns]"), pa.timestamp("ns", "UTC"))
        draft = path.with_suffix(".draft")
        pq.write_table(tables[day % DISTINCT_DAYS].set_column(0, "at", times), draft)
        draft.rename(path)
    return folder


def _replay_days(monitor: World, folder: Path, days: int) -> tuple[float, float, float]:
    """CPU seconds of the daemon and of its reader, and wall seconds, of one backtest over the files."""
    from driftwatch.backtest.run import backtest
    from driftwatch.engines.local.pool import ReaderPool

    settings: dict[str, Any] = {"type": "files", "path": str(folder), "time_column": "at"}
    source = load("sources", "files").CONFIG.model_validate(settings)
    config = monitor.config.model_copy(update={"source": source})
    readers = ReaderPool(1)
    readers.ping()
    (reader,) = children(os.getpid())
    cpu_start, wall_start = (time.process_time(), cpu_of(reader)), time.perf_counter()
    try:
        blocks = partial(_blocks, monitor)
        backtest(
            config, monitor.build.reference, blocks, readers,
            start=START, end=START + days * DAY, gauges=False,
        )  # fmt: skip
        wall = time.perf_counter() - wall_start
        return time.process_time() - cpu_start[0], cpu_of(reader) - cpu_start[1], wall
    finally:
        readers.close(10)


def _blocks(monitor: World, _segment: str | None) -> tuple[Any, ...]:
    return monitor.build.blocks


def files(options: Options) -> Iterator[Line]:
    """Point 6: a year of hours from daily files. Without ``--full`` some of its days, scaled to the year."""
    days = WINDOWS // 24 if options.full else QUICK_DAYS
    folder = _days(days)
    year = WINDOWS / 24 / days
    decode_timing = measure_time(
        lambda: [decode(path) for path in sorted(folder.glob("*.parquet"))], 1, warm=0
    )
    for name, detectors, target in (("files", UNIVARIATE, 60.0), ("files.joint", None, None)):
        daemon_cpu, reader_cpu, wall = _replay_days(
            world(COLUMNS, hours=48, detectors=detectors), folder, days
        )
        yield Line(
            name=f"history.{name}",
            what=f"a year of daily Parquet files tested, {WINDOWS * ROWS / 1e6:.0f} million rows x {COLUMNS}"
            + ("" if detectors else ", with mmd and correlation"),
            value=wall * year,
            unit="s wall",
            target=target,
            floor=decode_timing.cpu * year,
            floor_is="decoding",
            wall=wall * year,
            beside={
                "reader's CPU": reader_cpu * year,
                "decisions' CPU": daemon_cpu * year,
                "days read": f"{days}",
            },
        )


LINES = {"history.decisions": decisions, "history.size": size, "history.files": files}
