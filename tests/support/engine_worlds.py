"""Plans and rows for the contract of engines: every kind in every Arrow type, hostile values, odd batches.

Hypothesis draws the structure, and a seed for the values.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st

from driftwatch.core.schema import Column, Kind, Span
from driftwatch.core.spellings import Form
from driftwatch.engines.base import SourceRows
from driftwatch.sources.base import Reading, SourceConfig
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid, numeric_grid
from driftwatch.summary.plan import Plan, Segmentation
from driftwatch.summary.projection import Projection
from driftwatch.summary.serial import with_fingerprint

Values = Callable[[random.Random], Any]
Flavour = tuple[pa.DataType, Values]

MAX_ROWS, MAX_BATCHES = 12, 4
SECOND = 10**9
#: An hour that is skipped in Berlin, and one that comes twice.
GAP, FOLD = 1_711_846_800, 1_729_987_200
EDGE_NUMBERS = [
    0.0, -0.0, 1.0, 2.0, 2.5, 0.1, math.nextafter(1.0, 2.0), 5e-324, -5e-324, 1e308, -1e308, 16777217.0,
    math.inf, -math.inf,
]  # fmt: skip
TIMES = [0, 1, -1, 999_999_999, 86_400 * SECOND, 1_700_000_000_123_456_789, GAP * SECOND, FOLD * SECOND]
NUMBER_TEXTS = [
    "1", "+2.5", "-0", ".1", "1.", "1e308", "1e999", "nan", "-INF", "Infinity", "", " ", " 2 ", "\t1\n", "x",
    "1,5", "0x10", "1_0", "1e", "--1", "٣", "1\u00a0", "\u20071", "1\x1f", "1\x85", "\u180e1",
    "9" * 400, "0.1", "2.5e0", "00:00:01", "00:00:02.5", "12:34", "25:10:00", "24:60:00", "1:02", "00:00:1",
    "00:00:00.1234567891", "0 days 00:00:01", "1 day 00:00:00.1", "PT1S", "PT2.5S", "P1DT2H", "P1D", "PT",
    "pt1s", "P1DT", "-00:00:01", "00:00:01\n", "PT999999999H",
]  # fmt: skip
LEVELS = ["a", "b", "3", "3.5", "true", "", "é", "other", "1970-01-01", "x" * 512]
LEVEL_TEXTS = [*LEVELS, "x" * 513, "zz", "A", "a ", "\x00", "e\u0301", "😀"]
TIME_TEXTS = [
    "1970-01-01", "1970-01-01T00:00:01Z", "2024-03-31 02:30:00", "2024-10-27T02:30:00.5", "2024-02-30",
    "2024-01-01T10", "2024-01-01 10:20", "2024-01-01T10:20:30+02:00", "2024-01-01T10:20:30-0530", "soon",
    "2024-01-01T10:20:30.123456789Z", "2024-01-01T10:20:30,5", "20240101", "-5", "24-01-01", "", "0", "1.5",
    "1970-01-01T24:00:00", "1970-01-01T23:59:60", "1970-01-01 00:00:00 UTC", "1700000000123", "1700000000",
    " 1970-01-02 ", "1e9", "2024-01-01T10:20:30.1234567891", "2024-1-1", "2024-01-01T1:02",
    "9223372036854775807", "1970-01-01T00Z", "20240229", "20230229", "202403310230", "20241027023000123",
    "20240331 02:30", "20240331T023000Z", "20230229 00:00", "020240331", "-20240331",
    "20240230", "20240101T10", "202403311030", "20241027023000", "2024033102", "2024102725",
]  # fmt: skip


def one_of(*choices: Any) -> Values:
    return lambda rng: rng.choice(choices)


def either(*makers: Values) -> Values:
    return lambda rng: rng.choice(makers)(rng)


def integers(low: int, high: int) -> Values:
    return lambda rng: rng.randint(low, high)


def floats(rng: random.Random) -> float:
    value: float = rng.choice([*EDGE_NUMBERS, math.nan, rng.gauss(0, 2), round(rng.gauss(1, 1), 1)])
    return rng.choice([value, value, math.ldexp(rng.uniform(-1, 1), rng.randint(-1073, 1023))])


def floats_32(rng: random.Random) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(floats(rng)))


def decimals(scale: int) -> Values:
    return lambda rng: Decimal(
        rng.choice([rng.randint(-30_000, 30_000), rng.randint(-(10**15), 10**15)])
    ).scaleb(-scale)


def number_text(rng: random.Random) -> str:
    return rng.choice([*NUMBER_TEXTS, repr(floats(rng))])


def level_text(rng: random.Random) -> str:
    return rng.choice([*LEVEL_TEXTS, "".join(rng.choices("ab é\U0001f600\t", k=rng.randint(0, 4)))])


def time_text(rng: random.Random) -> str:
    day = f"{rng.randint(1900, 2100)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    clock = f"{day} {rng.randint(0, 23):02}:00:01"
    return rng.choice([*TIME_TEXTS, clock, clock.replace(" ", "T") + "Z"])


def ticks(rng: random.Random) -> int:
    near: int = rng.choice(TIMES) + rng.choice([0, 0, 1, -1, SECOND, -SECOND, 1800 * SECOND])
    return rng.choice([near, near, rng.randint(-(2**62), 2**62)])


def calendar_number(rng: random.Random) -> int:
    """A date as a number of 8, 12, 14 or 17 digits, at times one that the calendar does not have."""
    day = f"{rng.choice([1899, 1900, 2024, 2100, 2101])}{rng.choice([0, 2, 3, 12, 13]):02}"
    day += f"{rng.choice([0, 1, 29, 31, 32]):02}"
    clock = f"{rng.choice([0, 2, 23, 24]):02}{rng.choice([0, 30, 60]):02}{rng.choice([0, 59, 60]):02}789"
    return int((day + clock)[: rng.choice([8, 12, 14, 17])])


def in_bytes(texts: Values) -> Values:
    return lambda rng: rng.choice([texts(rng).encode(), texts(rng).encode(), b"\xff1", b""])


def in_unit(unit: str) -> Values:
    factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    return lambda rng: ticks(rng) // factor


def lists_of(values: Values, *, size: int | None = None) -> Values:
    return lambda rng: [values(rng) for _ in range(rng.randint(0, 3) if size is None else size)]


def dictionary(values: pa.DataType) -> pa.DataType:
    return pa.dictionary(pa.int32(), values)


WRONG: list[Flavour] = [
    (pa.struct([("x", pa.int64())]), one_of({"x": 1})),
    (pa.struct([]), one_of({})),
    (pa.list_(pa.string()), one_of(["x"], [])),
    (pa.null(), one_of(None)),
]
EVENT_TIMES: list[Flavour] = [
    (pa.timestamp("ns"), in_unit("ns")),
    (pa.timestamp("us", "UTC"), in_unit("us")),
    (pa.timestamp("ms", "Europe/Berlin"), in_unit("ms")),
    (pa.timestamp("s"), in_unit("s")),
    (pa.date32(), integers(-5, 5)),
    (pa.date64(), lambda rng: rng.randint(-5, 5) * 86_400_000),
    (pa.string(), time_text),
    (pa.large_string(), time_text),
    (pa.string_view(), time_text),
    (pa.string(), lambda rng: str(ticks(rng))),
    (pa.string(), lambda rng: str(calendar_number(rng))),
    (pa.int64(), either(ticks, calendar_number, one_of(2**63 - 1, -(2**63), 2**63 - 2))),
    (pa.uint64(), one_of(0, 1, 2**63, 2**64 - 1, 1_700_000_000)),
    (pa.int32(), either(integers(-100, 100), one_of(20240229, 20230229, 20240331))),
    (pa.float64(), either(floats, lambda rng: ticks(rng) / SECOND)),
    (pa.float64(), lambda rng: calendar_number(rng) + rng.choice([0.0, 0.0, 0.5])),
    (pa.decimal128(20, 1), lambda rng: Decimal(calendar_number(rng)) + rng.choice([0, 0, Decimal("0.5")])),
    (pa.float32(), floats_32),
    (dictionary(pa.string()), time_text),
    (dictionary(pa.float64()), floats),
    (dictionary(pa.timestamp("us")), in_unit("us")),
]
FLAVOURS: dict[Kind, list[Flavour]] = {
    Kind.NUMERIC: [
        *[(pa.float64(), floats)] * 4,
        (pa.float32(), floats_32),
        (pa.float16(), one_of(0.0, 1.0, -2.5, math.inf, math.nan)),
        (pa.int64(), either(integers(-3, 3), integers(-(2**63), 2**63 - 1))),
        (pa.uint64(), either(integers(0, 3), integers(0, 2**64 - 1))),
        (pa.int8(), integers(-3, 3)),
        (pa.bool_(), one_of(True, False)),
        (pa.decimal128(20, 4), decimals(4)),
        (pa.decimal128(38, 9), decimals(9)),
        (pa.string(), number_text),
        (pa.large_string(), number_text),
        (pa.string_view(), number_text),
        (pa.binary(), in_bytes(number_text)),
        (dictionary(pa.string()), number_text),
        (dictionary(pa.float64()), floats),
        (pa.run_end_encoded(pa.int32(), pa.float64()), floats),
        (pa.timestamp("us"), in_unit("us")),
        (pa.duration("ns"), ticks),
        (pa.time32("ms"), integers(0, 86_399_999)),
        *WRONG,
    ],
    Kind.CATEGORICAL: [
        (pa.string(), level_text),
        (pa.large_string(), level_text),
        (pa.string_view(), level_text),
        (dictionary(pa.string()), level_text),
        (pa.binary(), in_bytes(level_text)),
        (pa.int64(), integers(-4, 4)),
        (pa.uint8(), integers(0, 4)),
        (pa.float64(), one_of(3.0, 3.5, -0.0, math.nan, 1e15, 1e16, 0.1, math.inf)),
        (pa.float32(), one_of(3.0, 3.5, 0.1, 0.0, math.nan)),
        (pa.float16(), one_of(3.0, 0.1, 1.0)),
        (pa.duration("ms"), integers(-5, 5000)),
        (pa.time64("us"), integers(0, 10**9)),
        (pa.string(), one_of("True", "FALSE", "t", "0.0", "1", "003", "1e16", "3\x1f", "\u00a03.5", "3\n")),
        (dictionary(pa.float64()), one_of(3.0, 3.5, math.nan)),
        (pa.decimal128(20, 4), decimals(4)),
        (pa.bool_(), one_of(True, False)),
        (pa.date32(), integers(-5, 5)),
        (pa.timestamp("ms"), integers(-5000, 5000)),
        (pa.timestamp("ns", "UTC"), integers(-5000, 10**12)),
        (pa.timestamp("us", "Europe/Berlin"), integers(-5000, 10**12)),
        *WRONG,
    ],
    Kind.DATETIME: [
        *EVENT_TIMES,
        (pa.binary(), in_bytes(time_text)),
        (pa.bool_(), one_of(True, False)),
        *WRONG,
    ],
    Kind.TEXT: [
        (pa.string(), level_text),
        (pa.large_string(), level_text),
        (dictionary(pa.string()), level_text),
        (pa.binary(), in_bytes(level_text)),
        (pa.int64(), integers(-1000, 1000)),
        (pa.bool_(), one_of(True, False)),
        *WRONG,
    ],
    Kind.VECTOR: [
        (pa.list_(pa.float64()), lists_of(either(floats, integers(0, 3), one_of(None)))),
        (pa.large_list(pa.float32()), lists_of(floats_32)),
        (pa.list_(pa.int64(), 2), lists_of(integers(-9, 9), size=2)),
        (pa.string(), level_text),
        *WRONG,
    ],
}
FLAVOURS[Kind.BOOLEAN] = FLAVOURS[Kind.CATEGORICAL]
COLUMNS = {
    "n": Kind.NUMERIC, "m": Kind.NUMERIC, "c": Kind.CATEGORICAL, "f": Kind.BOOLEAN, "d": Kind.DATETIME,
    "s": Kind.TEXT, "v": Kind.VECTOR,
}  # fmt: skip
IDENTITIES: list[Flavour] = [
    (pa.int64(), either(integers(0, 3), one_of(2**53 + 1, -(2**62)))),
    (pa.string(), one_of("x" * 512, "x" * 513, "", "é")),
    (pa.string_view(), level_text),
    (pa.float64(), floats),
    (pa.uint64(), one_of(0, 2**53, 2**64 - 1)),
    (pa.bool_(), one_of(True, False)),
    (pa.decimal128(20, 4), decimals(4)),
    (pa.timestamp("ms"), in_unit("ms")),
    (pa.date32(), integers(0, 5)),
    (dictionary(pa.string()), one_of("a", "b")),
    (pa.null(), one_of(None)),
]


@dataclass(frozen=True)
class World:
    """One example: what is planned, and rows in one order and split."""

    plan: Plan
    batches: list[pa.RecordBatch]
    edges: list[int]
    seed: int

    def rearranged(self) -> list[pa.RecordBatch]:
        """The same rows, cut and ordered in another way; some texts are dictionary-encoded."""
        rng = random.Random(self.seed)
        parts = []
        for batch in self.batches:
            cuts = sorted(rng.randint(0, batch.num_rows) for _ in range(rng.randint(0, 3)))
            edges = [0, *cuts, batch.num_rows]
            parts += [batch.slice(low, high - low) for low, high in pairwise(edges)]
        rng.shuffle(parts)
        return [encoded(part) if rng.random() < 0.3 else part for part in parts]


def encoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [
        array.dictionary_encode() if pa.types.is_string(array.type) else array for array in batch.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


@dataclass
class ListSource:
    """A source of given batches, which notes what an engine did with it."""

    batches: Sequence[pa.RecordBatch]
    calls: list[str] = field(default_factory=list)
    error: Exception | None = None

    def version(self, span: Span | None) -> str:
        self.calls.append("version")
        return "v1"

    def versions(self, spans: Sequence[Span | None]) -> list[str]:
        return ["v1" for _ in spans]

    def read(self, span: Span | None, columns: Sequence[str] | None) -> Reading:
        self.calls.append("read")
        return Reading(batches=self._batches(), version="v1")

    def _batches(self) -> Iterator[pa.RecordBatch]:
        yield from self.batches
        if self.error is not None:
            raise self.error
        self.calls.append("end")

    def extent(self) -> Span | None:
        return None


def source_rows(batches: Sequence[pa.RecordBatch] | ListSource, *, max_rows: int = 10**6) -> SourceRows:
    source = batches if isinstance(batches, ListSource) else ListSource(batches)
    settings = SourceConfig(type="list")
    return SourceRows(settings=settings, source=source, span=None, columns=(), max_rows=max_rows)


@st.composite
def worlds(draw: Any, *, sampled: bool = False) -> World:
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4, unique=True))
    segment = draw(st.sampled_from([None, None, "c", "g", "n"]))
    timed = draw(st.booleans())
    rng = draw(st.randoms(use_true_random=True))
    columns = tuple(Column(name=name, kind=COLUMNS[name]) for name in names)
    plan = Plan(
        columns=columns,
        grids={column.name: grid_of(column.kind, rng) for column in columns},
        identity_columns=(*(("t",) if timed else ()), "id") if sampled else (),
        time_column="t" if timed else None,
        timezone=draw(st.sampled_from(["UTC", "UTC", "Europe/Berlin", "America/New_York"])),
        segmentation=None if segment is None else Segmentation(column=segment, levels=("a", "3", "")),
        projection=projection_of(columns) if sampled else None,
        sample_rows=rng.randint(1, 9) if sampled else 0,
        salt=rng.getrandbits(64),
    )
    edges = sorted({ticks(rng) for _ in range(5)} | {0, 1}) if timed else [0, 1]
    needed = sorted({*names, "id", *([segment] if segment else []), *(["t"] if timed else [])})
    batches = [batch_of(needed, rng) for _ in range(draw(st.integers(0, MAX_BATCHES)))]
    return World(plan=with_fingerprint(plan), batches=batches, edges=edges, seed=rng.getrandbits(32))


def batch_of(names: list[str], rng: random.Random) -> pa.RecordBatch:
    rows = rng.choice([0, 1, MAX_ROWS, rng.randint(2, MAX_ROWS)])
    # Batches without any wanted column have rows too.
    arrays: dict[str, pa.Array] = {"filler": pa.array(range(rows), pa.int64())}
    for name in names:
        if rng.random() < 0.08:
            continue
        flavours = {"t": EVENT_TIMES, "id": IDENTITIES, "g": FLAVOURS[Kind.CATEGORICAL]}.get(name)
        data_type, values = rng.choice(flavours or FLAVOURS[COLUMNS[name]])
        # Few distinct values, so that rows repeat.
        pool = [values(rng) for _ in range(rng.randint(1, 5))] + [None] * rng.randint(0, 1)
        arrays[name] = array_of([rng.choice(pool) for _ in range(rows)], data_type)
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def array_of(values: list[Any], data_type: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(data_type):
        return array_of(values, data_type.value_type).dictionary_encode()
    if pa.types.is_run_end_encoded(data_type):
        return pc.run_end_encode(pa.array(values, data_type.value_type))
    if pa.types.is_float16(data_type):
        values = [None if value is None else np.float16(value) for value in values]
    return pa.array(values, data_type)


def grid_of(kind: Kind, rng: random.Random) -> Grid:
    if not kind.ordered:
        pool = rng.choice([LEVELS, ["0", "1", "0.1", "1e+16", "3"], ["True", "no"], ["false", "true"]])
        levels = tuple(rng.sample(pool, rng.randint(0, min(6, len(pool)))))
        return LevelGrid(levels=levels, form=rng.choice(list(Form)))
    values: list[float] = [float(rng.randint(0, 6)) for _ in range(4)]
    if kind in (Kind.NUMERIC, Kind.VECTOR):
        values = [value for value in (floats(rng) for _ in range(9)) if not math.isnan(value)] or [1.0]
    elif kind is Kind.DATETIME:
        values = [float(ticks(rng)) / 1e9 for _ in range(6)]
    precision = rng.choice("dddfe")
    with np.errstate(over="ignore"):
        edges = np.array(values).astype(precision).astype(np.float64)
    if rng.random() < 0.5:
        return replace(numeric_grid(edges), precision=precision)
    return NumericGrid(edges=np.unique(edges + 0.0), first=0, last=0, exact=True, precision=precision)


def projection_of(columns: tuple[Column, ...]) -> Projection:
    width = len(columns)
    return Projection(
        inputs=np.array([[place, -1 if item.kind.ordered else 0] for place, item in enumerate(columns)]),
        center=np.zeros(width),
        scale=np.ones(width),
        frequencies=np.linspace(-1, 1, width * 4, dtype=np.float32).reshape(width, 4),
        pairs=np.array([[0, width - 1]]),
    )
