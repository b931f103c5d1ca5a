"""Rows that the contract of sources is checked on, and what is compared of those that come back."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.schema import Span
from driftwatch.sources.base import Reading

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
#: 2013-04-01T00:00:00Z
START = 15796 * DAY
#: Wall times around which New York's clocks change: 2013-03-10 02:00 never is, 2013-11-03 01:00 is twice.
GAP = 15774 * DAY + 2 * HOUR
FOLD = 16012 * DAY + HOUR
NEW_YORK = "America/New_York"
_EPOCH = datetime(1970, 1, 1)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """One way to write event times down. ``array`` takes wall times in nanoseconds."""

    array: Callable[[list[int]], pa.Array]
    timezone: str = "UTC"

    def instants(self, walls: list[int]) -> list[int]:
        times, usable = event_times(self.array(walls), self.timezone)
        assert usable.all()
        return [int(time) for time in times]


def _stamps(unit: str, zone: str | None) -> Callable[[list[int]], pa.Array]:
    def array(walls: list[int]) -> pa.Array:
        return pa.array(walls).cast(pa.timestamp("ns", zone)).cast(pa.timestamp(unit, zone), safe=False)

    return array


def _numbers(unit: int) -> Callable[[list[int]], pa.Array]:
    return lambda walls: pa.array([wall // unit for wall in walls])


def _moment(wall: int) -> datetime:
    return _EPOCH + timedelta(microseconds=wall // 1000)


def _forms(walls: list[int]) -> pa.Array:
    """ISO 8601 in every form that writers use, each row in another one; all of the same instant."""
    texts = []
    for place, wall in enumerate(walls):
        moment = _moment(wall)
        texts.append(
            (
                f"{moment.isoformat()}Z",
                f"{(moment + timedelta(hours=5.5)).isoformat(sep=' ')}+05:30",
                f"{moment.isoformat(sep=' ')} UTC",
                f"{(moment - timedelta(hours=8)).isoformat()}-0800",
                moment.isoformat(sep=" "),
                f"{(moment + timedelta(hours=14)).isoformat()}+14",
            )[place % 6]
        )
    return pa.array(texts)


#: Every form in which a source may keep event times.
TIMES: dict[str, Times] = {
    "zoned microseconds": Times(array=_stamps("us", "UTC")),
    "nanoseconds": Times(array=_stamps("ns", "UTC")),
    "local microseconds": Times(array=_stamps("us", None), timezone=NEW_YORK),
    "dates": Times(array=lambda walls: pa.array([_moment(wall).date() for wall in walls])),
    "local dates": Times(
        array=lambda walls: pa.array([_moment(wall).date() for wall in walls]), timezone=NEW_YORK
    ),
    "whole seconds": Times(array=_numbers(SECOND)),
    "whole milliseconds": Times(array=_numbers(10**6)),
    "whole microseconds": Times(array=_numbers(1000)),
    "whole nanoseconds": Times(array=_numbers(1)),
    "seconds with fractions": Times(array=lambda walls: pa.array([wall / SECOND for wall in walls])),
    "decimal seconds": Times(
        array=lambda walls: pa.array([Decimal(wall // 1000) / 10**6 for wall in walls], pa.decimal128(20, 6))
    ),
    "numbers of several units": Times(
        array=lambda walls: pa.array(
            [wall // (SECOND, 10**6, 1000, 1)[place % 4] for place, wall in enumerate(walls)]
        )
    ),
    "texts with a zone": Times(array=lambda walls: pa.array([f"{_moment(w).isoformat()}Z" for w in walls])),
    "texts of local times": Times(
        array=lambda walls: pa.array([_moment(wall).isoformat(sep=" ") for wall in walls]), timezone=NEW_YORK
    ),
    "texts of several forms": Times(array=_forms),
}

#: Columns of values by what is hard about them.
VALUES: dict[str, pa.Array] = {
    "int64": pa.array([0, -1, 2**53 + 1, 2**63 - 1, -(2**63), None]),
    "floats": pa.array([0.1, 1e308, 5e-324, -1.5, 3.0, 1 / 3, None]),
    "NaN beside null": pa.array([float("nan"), None, 1.5]),
    "infinity": pa.array([float("inf"), float("-inf"), 1.5]),
    "negative zero": pa.array([-0.0, 0.0, 1.5]),
    "booleans": pa.array([True, False, None]),
    "decimals": pa.array([Decimal("0.1"), Decimal("-12345678901234567890.123456789"), None]),
    "dates": pa.array([date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31), None]),
    "local times": pa.array(
        [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(1969, 12, 31, 23, 59), None]
    ),
    "zoned times": pa.array(
        [datetime(2013, 3, 10, 7, tzinfo=UTC), datetime(1900, 1, 1, 0, 0, 0, 1, tzinfo=UTC), None]
    ),
    "texts": pa.array(
        ["a", "Zürich", "Zu\u0308rich", " blank ", "'; DROP TABLE rows; --", 'quo"te', "a,b;c\\d",
         "%(x)s :y {z}",
         "😀👩‍👩‍👧", "\u202egnp.exe", "\ufeffmark", "x" * 70_000, None]
    ),
    "control characters": pa.array(["\x01\x1b[31m\x7f", "tab\tand\nline\r\nend", "\u2028", "a", None]),
    "an empty text beside null": pa.array(["", None, "a"]),
    "words for null": pa.array(["NA", "N/A", "null", "NULL", "nan", "NaN", "None", "a"]),
    "texts of numbers": pa.array(["1", "01", "1e5", "true", "2013-04-01", "a"]),
    "only nulls": pa.array([None, None], pa.float64()),
}  # fmt: skip

#: Names of columns: for SQL, CSV, JSON, shells and terminals.
NAMES = (
    'quo"te', "'; DROP TABLE rows; --", "a.b", "c[0]", "per%cent %(x)s", ":colon", "tab\tline\nend", "Zürich",
    "😀", "\u202eright", " blank ", "select", "-1", "a,b;c", "back\\slash", "{brace}", "x" * 60,
)  # fmt: skip


def table(walls: Sequence[int], **columns: pa.Array | list[Any]) -> pa.Table:
    """Rows with times in microseconds UTC and a number of their own."""
    times = TIMES["zoned microseconds"].array(list(walls))
    return pa.table({"t": times, "x": pa.array(range(len(walls)), pa.int64()), **columns})


def hours(*numbers: int, **columns: pa.Array | list[Any]) -> pa.Table:
    """Rows at that many hours after ``START``."""
    return table([START + number * HOUR for number in numbers], **columns)


def span(start: int, end: int) -> Span:
    """From one hour after ``START`` to another."""
    return Span(start=START + start * HOUR, end=START + end * HOUR)


def repeated(values: pa.Array, rows: int) -> pa.Array:
    return values.take(pa.array([row % len(values) for row in range(rows)]))


def value_key(value: Any) -> Any:
    """What must be equal of a value: the exact number, the instant, the text to the letter."""
    if value is None or isinstance(value, bool | str | bytes):
        return (type(value).__name__, value)
    if isinstance(value, datetime):
        return ("zoned" if value.tzinfo else "local", value.astimezone(UTC) if value.tzinfo else value)
    if isinstance(value, date):
        return ("date", value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return ("number", repr(value))
    if isinstance(value, float) and value == 0:
        return ("number", repr(value) if repr(value)[0] == "-" else Fraction(0))
    if isinstance(value, int | float | Decimal):
        return ("number", Fraction(value))
    return (type(value).__name__, repr(value))


def rows_in(
    batches: Iterable[pa.RecordBatch],
    within: Span | None,
    timezone: str = "UTC",
    *,
    columns: Sequence[str] | None = None,
) -> Counter[Row]:
    """Rows as (time, (name, value)...), the time None where it is not usable; only those of ``within``.

    Values are those of ``columns``, or of all but the time column.
    """
    rows: Counter[Row] = Counter()
    for batch in batches:
        names = batch.schema.names
        assert len(set(names)) == len(names), f"a column comes twice: {names}"
        assert "t" in names, f"without the time column: {names}"
        times, usable = event_times(batch.column(names.index("t")), timezone)
        kept = sorted(set(names) - {"t"} if columns is None else columns)
        texts = {
            name: [value_key(value) for value in batch.column(names.index(name)).to_pylist()] for name in kept
        }
        for row in range(batch.num_rows):
            time = int(times[row]) if usable[row] else None
            if within is not None and (time is None or not within.start <= time < within.end):
                continue
            rows[time, *((name, texts[name][row]) for name in kept)] += 1
    return rows


def rows_of_table(content: pa.Table, within: Span | None, timezone: str = "UTC") -> Counter[Row]:
    return rows_in(content.to_batches(), within, timezone)


def rows_of(
    reading: Reading, within: Span | None, timezone: str = "UTC", *, columns: Sequence[str] | None = None
) -> Counter[Row]:
    """The rows of a reading in which every piece could be read."""
    rows = rows_in(reading.batches, within, timezone, columns=columns)
    assert reading.rejected == [], reading.rejected
    return rows


def digest(rows: Counter[Row]) -> str:
    return hashlib.sha256(repr(sorted(map(repr, rows.elements()))).encode("utf-8", "replace")).hexdigest()
