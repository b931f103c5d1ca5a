"""Numbers and texts of ISO 8601's basic format as event times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.columns.arrow.event_time import event_times, ordered_by_time
from driftwatch.core.schema import Span
from driftwatch.sources._sqltime import predicates


def times(values: Any, timezone: str = "UTC") -> list[str | None]:
    nanoseconds, usable = event_times(pa.array(values), timezone)
    return [
        datetime.fromtimestamp(int(time) / 1e9, tz=UTC).isoformat() if good else None
        for time, good in zip(nanoseconds, usable, strict=True)
    ]


NUMBERS = st.integers(-(1 << 62), 1 << 62) | st.integers(-(10**9), 3 * 10**9) | st.integers(10**7, 10**8)
HOURS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 12, 31)).map(lambda t: int(f"{t:%Y%m%d%H}"))
NUMBERS |= HOURS | st.integers(1_990_000_000, 2_110_000_000)
DAY, MOMENT = "2026-03-01T00:00:00+00:00", "2026-03-01T12:30:00+00:00"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (20260301, DAY), (20260301123000, MOMENT), (202603011230, MOMENT), (20260301123000000, MOMENT),
        ("20260301", DAY), ("20260301123000", MOMENT), ("20260301T123000Z", MOMENT),
        ("20260301T1330+0100", MOMENT), (20260301.0, DAY), (20260301123000.0, MOMENT),
        (2026030112, "2026-03-01T12:00:00+00:00"), ("2026030100", DAY), (2026030100.0, DAY),
        (2026030124, "2034-03-15T10:08:44+00:00"), (2026130100, "2034-03-16T13:55:00+00:00"),
        (1989123123, "2033-01-12T06:12:03+00:00"), (2101010100, "2036-07-30T05:55:00+00:00"),
        (2026030112.5, "2034-03-15T10:08:32.500000+00:00"),
        (20261345, None), (20260230, None), (20260301256000, None), (20260301.5, None), ("20261345", None),
        (1_772_368_200, MOMENT), (1_772_368_200_000, MOMENT), (0, "1970-01-01T00:00:00+00:00"),
        (18991231, "1970-08-08T19:20:31+00:00"), (21010101, "1970-09-01T04:08:21+00:00"),
        (-20260301, "1969-05-11T12:08:19+00:00"),
    ],
)  # fmt: skip
def test_a_number_that_spells_a_date_is_one(value: Any, expected: str | None) -> None:
    """Whatever stands beside it."""
    other: Any = "2026-03-05" if isinstance(value, str) else type(value)(1_772_000_000)
    assert times([value]) == [expected]
    assert times([other, value, None])[1:] == [expected, None]


def test_a_date_begins_in_its_zone() -> None:
    assert times([20260301], "America/New_York") == ["2026-03-01T05:00:00+00:00"]
    assert times(["20260301", "2026-03-01"], "America/New_York") == ["2026-03-01T05:00:00+00:00"] * 2


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)), st.integers(0, 86_399))
def test_every_moment_comes_back(day: date, second: int) -> None:
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    values = [int(moment.strftime(form)) for form in ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H")]
    assert times(values)[2] == moment.isoformat()
    if day.year >= 1990:
        assert times(values)[3] == moment.replace(minute=0, second=0).isoformat()
    assert times(values)[0] == datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat()


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(NUMBERS, min_size=2, max_size=6))
def test_numbers_said_to_be_in_order_are(values: list[int]) -> None:
    ordered = sorted(values)
    if not ordered_by_time(ordered[0], ordered[-1]):
        return
    nanoseconds, usable = event_times(pa.array(ordered), "UTC")
    usable_times = nanoseconds[usable].tolist()
    assert usable_times == sorted(usable_times)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1_990_000_000, 2_110_000_000) | HOURS, min_size=1, max_size=6), st.integers(0, 400)
)
def test_a_database_is_asked_for_every_hour_of_a_span(values: list[int], days: int) -> None:
    nanoseconds, _ = event_times(pa.array(values), "America/New_York")
    start = int(nanoseconds[0]) - days * 3_600_000_000_000
    span = Span(start=start, end=start + (days + 1) * 7_200_000_000_000)
    bounds = predicates([min(values), max(values)], span, "America/New_York")
    assert bounds is not None
    for value, time in zip(values, nanoseconds.tolist(), strict=True):
        if span.start <= time < span.end:
            assert any(low <= value < high for low, high in bounds), value
