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
from worlds import HOUR, START, UNIVARIATE, World, numbers, world

from driftwatch.plugins import load
from driftwatch.summary.schema import Span
from driftwatch.summary.serial import encode_summary

WINDOWS, COLUMNS, ROWS = 8_760, 50, 2_300
#: A file a day. Days of a year that are read without ``--full``; different days that are drawn.
DAY, SOME_DAYS, DRAWN = 24 * HOUR, 28, 8


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
    from driftwatch.backtest import backtest
    from driftwatch.reading.pool import ReaderPool

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
