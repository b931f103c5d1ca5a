"""Backtests over stored tiles: what one window costs, and what it keeps."""

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
from harness import CACHE, Line, Options, children, cpu_of, timed
from line_small import warmed
from line_wide import decode
from scipy.special import ndtri, stdtr
from worlds import HOUR, START, UNIVARIATE, World, numbers, world

from driftwatch.core.plugins import load
from driftwatch.core.schema import Span
from driftwatch.decide.baseline.score_model import DEGREES, learn
from driftwatch.decide.state import SegmentState
from driftwatch.summary.serial import encode_summary
from driftwatch.summary.summary import Summary

WINDOWS, COLUMNS, ROWS = 8_760, 50, 2_300
#: Windows that differ, so that none is memorised, and from which on a history is full.
WEEK, FULL = 168, 420
#: Windows between two learnings of a full history.
RELEARNED = 100
#: A file a day. Days of a year that are read without ``--full``; different days that are drawn.
DAY, SOME_DAYS, DRAWN = 24 * HOUR, 28, 8


def decisions(options: Options) -> Iterator[Line]:
    """Point 6: a year of hours. Without ``--full`` some windows of a warm track, told for the year."""
    one = world(COLUMNS, hours=48, detectors=UNIVARIATE)
    week = [
        one.summary(numbers(ROWS, COLUMNS, seed=20 + place, start=START + place * HOUR), START + place * HOUR)
        for place in range(WEEK)
    ]
    learned, _ = _decided(one, week, one.segment_state, 0, FULL)
    count, pages = WINDOWS if options.full else 200, 0
    segment_state, first = (one.segment_state, 0) if options.full else (learned, FULL)

    def replay() -> None:
        nonlocal pages
        _, pages = _decided(one, week, segment_state, first, count)

    ours = timed(replay, 1 if options.full else options.runs, warm=0)
    alone = timed(partial(_arithmetic, learned), options.runs, calls=50)
    learning = timed(lambda: learn(learned.scores), options.runs)
    filtering = timed(partial(_filtered, learned), options.runs)
    yield Line(
        name="history.decisions",
        what=f"{WINDOWS:,} hourly windows x {COLUMNS} columns decided over stored tiles",
        value=ours.cpu / count * WINDOWS,
        target=15.0,
        floor=(alone.cpu + filtering.cpu / RELEARNED) * WINDOWS,
        floor_is="the history's means and spreads, the bets' logs and tails, the filters of the laws: "
        "numpy on arrays that lie ready",
        wall=ours.wall / count * WINDOWS,
        beside={
            "ms a window": 1e3 * ours.cpu / count,
            "ms of it for the laws": 1e3 * learning.cpu / RELEARNED,
            "ms a window with 20 columns": 1e3 * _of_few(20),
            "pages": str(pages),
        },
    )


def _decided(
    one: World, week: list[Summary], segment_state: SegmentState, first: int, count: int
) -> tuple[SegmentState, int]:
    """The track after so many hours, the same week again and again, and how many of them paged."""
    pages = 0
    for place in range(first, first + count):
        start = START + place * HOUR
        window = replace(week[place % len(week)], span=Span(start=start, end=start + HOUR))
        decision = one.judge(window, segment_state, gauges=False)[0]
        segment_state, pages = decision.segment_state, pages + decision.page
    return segment_state, pages


def _of_few(columns: int) -> float:
    """CPU seconds of a window of few columns: what the calls cost, however short their arrays are."""
    one = world(columns, hours=48, detectors=UNIVARIATE)
    segment_state = warmed(one, ROWS, columns, 420)
    window = one.summary(numbers(ROWS, columns, seed=20, start=START + 420 * HOUR), START + 420 * HOUR)
    return timed(lambda: one.judge(window, segment_state, gauges=False), 5, calls=100).cpu


def _arithmetic(segment_state: SegmentState) -> None:
    """What no decision of one window can do without, on arrays of the size that it has."""
    scores, log_m = segment_state.scores, segment_state.shares.log_m
    weights, values = np.ones(len(scores.values)), np.nan_to_num(scores.values)
    apart = values - np.einsum("n,nk->k", weights, values)
    np.multiply(apart, apart, out=apart)
    np.einsum("n,nk->k", weights, apart)
    stdtr(np.full((len(DEGREES), 1), 30.0), np.ones((len(DEGREES), len(scores.keys) // 2)))
    ndtri(np.full((len(scores.keys), 2), 0.5))
    for array in (np.ones_like(log_m), np.ones_like(log_m[:, :1])):
        np.log(array)
    for array in (np.ones_like(log_m), np.ones_like(scores.log_m)):
        np.log1p(np.exp(array))


def _filtered(segment_state: SegmentState) -> None:
    """The steps of a filter over the history for each of 25 memories."""
    values = np.nan_to_num(segment_state.scores.values)
    level, work, square = (np.zeros((25, values.shape[1])) for _ in range(3))
    for row in values:
        np.subtract(row, level, out=work)
        np.multiply(level, 0.5, out=level)
        np.add(level, work, out=level)
        np.multiply(work, work, out=work)
        np.add(square, work, out=square)


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


def _days(count: int) -> Path:
    """A folder with a Parquet file for each day: a few days of values, again and again at later times."""
    folder = CACHE / f"year-{count}"
    rows = 24 * ROWS
    drawn: list[pa.Table] = []
    for day in range(count):
        path = folder / f"{day:03}.parquet"
        if path.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        while len(drawn) < DRAWN:
            drawn.append(pa.Table.from_batches(numbers(rows, COLUMNS, seed=40 + len(drawn))))
        at = START + day * DAY + np.arange(rows) * (DAY // rows)
        times = pa.array(at.astype("datetime64[ns]"), pa.timestamp("ns", "UTC"))
        draft = path.with_suffix(".draft")
        pq.write_table(drawn[day % DRAWN].set_column(0, "at", times), draft)
        draft.rename(path)
    return folder


def _replayed(one: World, folder: Path, days: int) -> tuple[float, float, float]:
    """CPU of the daemon's side and of its reader, and wall seconds, of one backtest over the files."""
    from driftwatch.backtest.run import backtest
    from driftwatch.engines.local.pool import ReaderPool

    given: dict[str, Any] = {"type": "files", "path": str(folder), "time_column": "at"}
    source = load("sources", "files").CONFIG.model_validate(given)
    config = one.config.model_copy(update={"source": source})
    readers = ReaderPool(1)
    readers.ping()
    (reader,) = children(os.getpid())
    before, began = (time.process_time(), cpu_of(reader)), time.perf_counter()
    try:
        blocks = partial(_blocks, one)
        backtest(
            config, one.built.reference, blocks, readers,
            start=START, end=START + days * DAY, gauges=False,
        )  # fmt: skip
        wall = time.perf_counter() - began
        return time.process_time() - before[0], cpu_of(reader) - before[1], wall
    finally:
        readers.close(10)


def _blocks(one: World, _segment: str | None) -> tuple[Any, ...]:
    return one.built.blocks


def files(options: Options) -> Iterator[Line]:
    """Point 6: a year of hours from daily files. Without ``--full`` some of its days, told for the year."""
    days = WINDOWS // 24 if options.full else SOME_DAYS
    folder = _days(days)
    year = WINDOWS / 24 / days
    read = timed(lambda: [decode(path) for path in sorted(folder.glob("*.parquet"))], 1, warm=0)
    for name, detectors, target in (("files", UNIVARIATE, 60.0), ("files.joint", None, None)):
        own, reader, wall = _replayed(world(COLUMNS, hours=48, detectors=detectors), folder, days)
        yield Line(
            name=f"history.{name}",
            what=f"a year of daily Parquet files tested, {WINDOWS * ROWS / 1e6:.0f} million rows x {COLUMNS}"
            + ("" if detectors else ", with mmd and correlation"),
            value=wall * year,
            unit="s wall",
            target=target,
            floor=read.cpu * year,
            floor_is="decoding",
            wall=wall * year,
            beside={"reader's CPU": reader * year, "decisions' CPU": own * year, "days read": f"{days}"},
        )


LINES = {"history.decisions": decisions, "history.size": size, "history.files": files}
