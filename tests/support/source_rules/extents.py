"""Oldest and newest event times, and time columns that are none."""

from __future__ import annotations

import pyarrow as pa
from source_stands import Stand
from source_tables import DAY, HOUR, START, TIMES, hours, span

from driftwatch.core.schema import Span
from driftwatch.errors import SchemaMismatch
from driftwatch.sources.base import Source
from source_rules.rule import filled, mismatch, opened, raising, rule


@rule("the oldest event time, and the newest plus one nanosecond")
def the_extent_is_the_oldest_and_the_newest_time(stand: Stand) -> None:
    for form in sorted(stand.times):
        times = TIMES[form]
        walls = [
            START + step
            for step in (5 * HOUR, 3 * HOUR + 1, 3 * HOUR, 9 * DAY, 4 * HOUR, 9 * DAY + 999, 9 * DAY)
        ]
        for rows in (walls, walls[:1], walls[3:6], [-wall for wall in walls]):
            content = pa.table({"t": times.array(rows), "x": pa.array(range(len(rows)))})
            instants = times.instants(rows)
            extent = filled(stand, content, timezone=times.timezone).extent()
            assert extent == Span(start=min(instants), end=max(instants) + 1), form


@rule("None without any usable time")
def times_that_cannot_be_used_are_in_no_extent(stand: Stand) -> None:
    """Year 1 and year 9999 stand for "never" in many tables; nanoseconds reach from 1677 to 2262."""
    microseconds = pa.timestamp("us", "UTC")
    never = [-62_135_596_800_000_000, 253_402_300_799_999_999]
    for good in ([], [START // 1000, START // 1000 + 5]):
        ticks = [*never, None, *good]
        content = pa.table(
            {"t": pa.array(ticks, pa.int64()).cast(microseconds), "x": pa.array(range(len(ticks)))}
        )
        extent = filled(stand, content).extent()
        assert extent == (Span(start=START, end=START + 5001) if good else None)


@rule("Raises ``SchemaMismatch`` without a time column")
def an_extent_needs_a_time_column(stand: Stand) -> None:
    stand.put(hours(0, 1))
    try:
        source = opened(stand, time_column=None)
    except ValueError:
        return
    with raising(SchemaMismatch, "without a time column") as texts:
        source.extent()
    assert "time_column" in texts[0]


@rule("A time column that is missing")
def a_time_column_that_is_not_there_is_named(stand: Stand) -> None:
    source = filled(stand, hours(0, 1), time_column="nowhere")
    _check_mismatch(stand, source, "nowhere")


@rule("or holds no times", needs=lambda stand: stand.timeless is not None)
def a_time_column_of_another_type_is_named(stand: Stand) -> None:
    content = hours(0, 1).append_column("flag", stand.timeless)
    source = filled(stand, content, time_column="flag")
    _check_mismatch(stand, source, "flag")


def _check_mismatch(stand: Stand, source: Source, column: str) -> None:
    with raising(SchemaMismatch, "extent") as texts:
        source.extent()
    assert f"'{column}'" in texts[0]
    assert any(place in texts[0] for place in stand.places), texts[0]
    for part in (span(0, 24), None):
        assert f"'{column}'" in mismatch(source, part, ["x"])
