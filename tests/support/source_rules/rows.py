"""Which rows come."""

from __future__ import annotations

import contextlib
import gc
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from source_stands import Stand
from source_tables import (
    DAY,
    FOLD,
    GAP,
    HOUR,
    SECOND,
    START,
    TIMES,
    VALUES,
    hours,
    repeated,
    rows_in,
    rows_of,
    rows_of_table,
    span,
    table,
)

from driftwatch.core.schema import Kind, Span
from driftwatch.engines.local.count import summarise
from source_rules.rule import cut, days, filled, opened, pieces, plan_of, rule, tiles


@rule("each exactly once")
def every_row_comes_once(stand: Stand) -> None:
    content = days(4)
    source = filled(stand, content)
    assert rows_of(source.read(None, None), None, columns=["x", "c"]) == rows_of_table(content, None)
    part = span(5, 60)
    assert rows_of(source.read(part, ["x", "c"]), part) == rows_of_table(content, part)


@rule("the rows of ``[start, end)``")
def rows_at_the_start_are_in_and_at_the_end_are_not(stand: Stand) -> None:
    """In every form of times: by rows, and by what the engine counts."""
    steps = (0, 1, 999, 1000, 10**6, SECOND - 1, SECOND, HOUR // 2, HOUR - 1, HOUR, 90 * 60 * SECOND)
    walls = sorted({base + sign * step for base in (START, GAP, FOLD) for step in steps for sign in (1, -1)})
    for form in sorted(stand.times):
        times = TIMES[form]
        content = pa.table({"t": times.array(walls), "x": pa.array(range(len(walls)))})
        instants = times.instants(walls)
        source = filled(stand, content, timezone=times.timezone)
        edges = sorted(set(instants))
        for low in range(0, len(edges) - 1, max(len(edges) // 4, 1)):
            start, end = edges[low], edges[min(low + 3, len(edges) - 1)]
            for part in (Span(start=start, end=end), Span(start=start + 1, end=end + 1)):
                rows = rows_of(source.read(part, ["x"]), part, times.timezone)
                assert rows == rows_of_table(content, part, times.timezone), f"{form}: {part}"
        whole = source.read(Span(start=edges[0], end=edges[-1]), ["x"])
        counted = summarise(plan_of(["x"], times.timezone), whole.batches, edges)
        by_tile = {start: summary.rows for (start, _), summary in counted.tiles.items()}
        assert by_tile == {edge: instants.count(edge) for edge in edges[:-1]}, form


@rule("each exactly once")
def equal_rows_stay_apart(stand: Stand) -> None:
    walls = [START + hour * HOUR for hour in (0, 0, 0, 1, 1, 30)]
    times = TIMES["zoned microseconds"].array(walls)
    content = pa.table({"t": times, "x": pa.array([7, 7, 7, 7, 7, 7])})
    rows = rows_of(filled(stand, content).read(None, ["x"]), None)
    assert sorted(rows.values()) == [1, 2, 3]


@rule("in any order and any batches")
def the_order_of_rows_changes_no_count(stand: Stand) -> None:
    content = days(5)
    edges = [START + day * DAY for day in (1, 2, 3)]
    plan = plan_of(["x", "c"])
    counts = []
    for step in (1, 7, 11):
        source = filled(stand, content.take([place * step % len(content) for place in range(len(content))]))
        counts.append(
            tiles(plan, source.read(Span(start=edges[0], end=edges[-1]), ["x", "c"]).batches, edges)
        )
    assert counts[0] == counts[1] == counts[2]


@rule("in any order and any batches")
def any_cut_of_a_span_gives_the_same_counts(stand: Stand) -> None:
    """To the bit, with values whose type depends on their neighbours."""
    names = sorted(stand.values)
    walls = [START + place * DAY // 10 for place in range(30)]
    content = table(walls, **{name: repeated(VALUES[name], len(walls)) for name in names})
    source = filled(stand, content)
    plans = [plan_of(["x", *names], kind=kind) for kind in (Kind.NUMERIC, Kind.CATEGORICAL)]
    edges = [START, START + DAY, START + 2 * DAY, START + 3 * DAY]
    whole = Span(start=edges[0], end=edges[-1])
    expected = [tiles(plan, source.read(whole, ["x", *names]).batches, edges) for plan in plans]

    @hypothesis_settings(
        max_examples=12, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(st.integers(START + 1, edges[-1] - 1), max_size=6, unique=True))
    def holds(cuts: list[int]) -> None:
        parts = pieces(sorted([edges[0], *cuts, edges[-1]]))
        batches = [batch for part in parts for batch in cut(source.read(part, ["x", *names]).batches, part)]
        assert sum(batch.num_rows for batch in batches) == len(walls)
        assert [tiles(plan, iter(batches), edges) for plan in plans] == expected

    holds()


@rule("A span may have no rows")
def a_span_without_rows_is_no_error(stand: Stand) -> None:
    source = filled(stand, hours(0, 1, 50, 51))
    for part in (span(10, 40), span(-900, -800), span(900, 1000), Span(start=START + 1, end=START + 2)):
        assert rows_of(source.read(part, ["x"]), part) == {}
        assert source.version(part) == source.read(part, None).version


@rule("A span may have no rows")
def a_source_without_rows_is_no_error(stand: Stand) -> None:
    source = filled(stand, hours().slice(0, 0))
    for part in (None, span(0, 24)):
        assert rows_of(source.read(part, ["x"]), part) == {}
        assert source.version(part) == source.read(part, None).version
    assert source.extent() is None


#: How long a file counts as closing.
_SECONDS_OPEN = 1.0


def open_files() -> Counter[str]:
    """How many files of a name, sockets and pipes this process has open."""
    names: Counter[str] = Counter()
    for descriptor in Path("/proc/self/fd").iterdir():
        # The descriptor of this very listing is closed by then.
        with contextlib.suppress(FileNotFoundError):
            names[str(descriptor.readlink()).partition("[")[0]] += 1
    return names


@rule("A reading that is broken off leaves nothing behind")
def a_reading_broken_off_and_begun_again_is_whole(stand: Stand) -> None:
    content = days(6, per_day=400)
    source = filled(stand, content)
    open_before = open_files()
    for ends in ("unread", "closed", "thrown", "dropped"):
        batches = source.read(None, ["x", "c"]).batches
        if ends != "unread":
            next(batches)
        if ends == "closed":
            batches.close()  # type: ignore[attr-defined]
        elif ends == "thrown":
            _throw(batches)
        del batches
        gc.collect()
        # A thread of an earlier test may open and close a file meanwhile; one that is left open stays.
        deadline = time.monotonic() + _SECONDS_OPEN
        while (left := open_files() - open_before) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, f"{ends}: it leaves a file open: {dict(left)}"
        assert rows_of(source.read(None, ["x", "c"]), None) == rows_of_table(content, None), ends


def _throw(batches: Iterator[pa.RecordBatch]) -> None:
    try:
        batches.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    except KeyboardInterrupt:
        return
    except StopIteration:
        pass
    raise AssertionError("an interrupt amid a reading is swallowed")


@rule("several may run at once")
def readings_at_once_do_not_disturb_each_other(stand: Stand) -> None:
    content = days(4)
    source = filled(stand, content)
    wanted = [None, span(0, 30), None, span(20, 96)]
    readings = [source.read(part, ["x", "c"]).batches for part in wanted]
    batches: list[list[pa.RecordBatch]] = [[] for _ in wanted]
    going = list(range(len(wanted)))
    while going:
        for place in list(going):
            batch = next(readings[place], None)
            source.version(wanted[place])
            if batch is None:
                going.remove(place)
            else:
                batches[place].append(batch)
    for part, read in zip(wanted, batches, strict=True):
        assert rows_in(read, part) == rows_of_table(content, part)


@rule("the rows of ``[start, end)``")
def the_widest_span_has_every_row(stand: Stand) -> None:
    widest = Span(start=-(1 << 63), end=(1 << 63) - 1)
    for form in sorted(stand.times):
        times = TIMES[form]
        walls = [START, -40 * 365 * DAY, START + 200 * 365 * DAY, -250 * 365 * DAY]
        content = pa.table({"t": times.array(walls), "x": pa.array(range(len(walls)))})
        source = filled(stand, content, timezone=times.timezone)
        rows = rows_of(source.read(widest, ["x"]), widest, times.timezone)
        assert rows == rows_of_table(content, None, times.timezone), form


@rule("Rows outside the span, or without a usable time, may come too: engines drop them")
def rows_without_a_time_are_in_no_span(stand: Stand) -> None:
    content = hours(0, 1, 2, 30, 31)
    times = content.column("t").to_pylist()
    content = content.set_column(
        0, "t", pa.array([times[0], None, times[2], None, times[4]], content.schema[0].type)
    )
    source = filled(stand, content)
    assert rows_of(source.read(None, ["x"]), None) == rows_of_table(content, None), "all are read"
    for part in (span(0, 1), span(2, 40), span(-90, 90)):
        assert rows_of(source.read(part, ["x"]), part) == rows_of_table(content, part)


@rule("Rows come with times and values as they are stored")
def a_time_zone_of_the_source_is_that_of_its_times(stand: Stand) -> None:
    """Around both changes of the clocks, half hours of local time are where the zone puts them."""
    forms = sorted(form for form in stand.times if TIMES[form].timezone != "UTC")
    for form in forms:
        times = TIMES[form]
        for base in (GAP, FOLD):
            walls = [base + step * HOUR // 2 for step in range(-6, 7)]
            content = pa.table({"t": times.array(walls), "x": pa.array(range(len(walls)))})
            source = filled(stand, content, timezone=times.timezone)
            instants = times.instants(walls)
            edges = list(range(min(instants), max(instants) + HOUR, HOUR // 2))
            counted = summarise(
                plan_of(["x"], times.timezone),
                source.read(Span(start=edges[0], end=edges[-1]), ["x"]).batches,
                edges,
            )
            rows = {start: summary.rows for (start, _), summary in counted.tiles.items()}
            assert rows == {edge: instants.count(edge) for edge in edges[:-1]}, form
            assert opened(stand, timezone=times.timezone).extent() == Span(
                start=min(instants), end=max(instants) + 1
            )
