"""Situations from public bug reports and foreign data: a reference, production, and what is right.

Each stands for its kind. Production differs from its first day on, unless it says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

FIRST_DAY = datetime(2026, 3, 1, tzinfo=UTC)
REFERENCE_DAYS, PRODUCTION_DAYS, ROWS = 30, 6, 300


class Right(StrEnum):
    #: A page in the first window that names the column.
    PAGE = "page"
    #: No page, and every window ``ok`` or ``calibrating``.
    QUIET = "quiet"
    #: No page, and no window is called ``ok``.
    UNWATCHED = "unwatched"


Columns = dict[str, Any]
#: From a generator of random numbers and the rows to columns.
Make = Callable[[np.random.Generator, int], Columns]


@dataclass(frozen=True, kw_only=True)
class FieldCase:
    name: str
    reference: Make
    production: Make
    right: Right
    #: The column that a page names, or that is unwatched.
    column: str = ""
    #: In the text of the page.
    text: str = ""
    suffix: str = ".parquet"
    #: Settings of the columns.
    columns: Mapping[str, Any] = field(default_factory=dict)
    #: Further keys under reference and source.
    reading: Mapping[str, Any] = field(default_factory=dict)
    #: Rows of production in days beyond the usual ones.
    stray: tuple[datetime, ...] = ()
    #: Rows of production for one of the reference.
    traffic: float = 1.0
    #: False where ``compare`` finds by itself how the values are written, which a configuration declares.
    comparable: bool = True
    #: The event time as text or number instead of a timestamp.
    time: Callable[[datetime], Any] | None = None

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write reference and production, and return their paths."""
        paths = folder / f"reference{self.suffix}", folder / f"production{self.suffix}"
        start = FIRST_DAY - timedelta(days=REFERENCE_DAYS)
        self._write(paths[0], self.reference, start, REFERENCE_DAYS, ROWS, 1, ())
        rows = round(ROWS * self.traffic)
        self._write(paths[1], self.production, FIRST_DAY, PRODUCTION_DAYS, rows, 2, self.stray)
        return paths

    def _write(
        self,
        path: Path,
        make: Make,
        start: datetime,
        days: int,
        rows: int,
        seed: int,
        stray: tuple[datetime, ...],
    ) -> None:
        moments = [
            start + timedelta(days=day, seconds=row * (86400 // rows))
            for day in range(days)
            for row in range(rows)
        ]
        moments[: len(stray)] = stray
        columns = make(np.random.default_rng(seed), len(moments))
        times = pa.array(moments, pa.timestamp("us", "UTC"))
        if self.time is not None:
            times = pa.array([self.time(moment) for moment in moments])
        write_table(path, pa.table({"ts": times, **columns}))

    def config(self, folder: Path) -> Path:
        """Write a configuration with one monitor."""
        reference, production = self.write(folder)
        monitor = {
            "name": "m",
            "reference": {"path": str(reference), "time_column": "ts", **self.reading},
            "source": {"type": "files", "path": str(production), "time_column": "ts", **self.reading},
            "window": {"length": "1d", "min_rows": 100},
            "columns": dict(self.columns),
        }
        path = folder / "driftwatch.yaml"
        path.write_text(
            json.dumps({"version": 1, "storage": {"path": str(folder / "store")}, "monitors": [monitor]})
        )
        return path


def write_table(path: Path, table: pa.Table) -> None:
    if path.suffix == ".csv":
        pacsv.write_csv(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, default=_json_time) + "\n" for row in table.to_pylist()))
    else:
        pq.write_table(table, path)


def _json_time(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _numbers(**further: Make) -> Make:
    """Eleven ordinary columns, and ``further`` ones: one unwatched column is below a tenth."""

    def make(rng: np.random.Generator, rows: int) -> Columns:
        columns: Columns = {f"x{number}": rng.normal(size=rows) for number in range(11)}
        for name, column in further.items():
            columns[name] = column(rng, rows)
        return columns

    return make


def _one(name: str, column: Callable[[np.random.Generator, int], Any]) -> Make:
    return lambda rng, rows: {"x": rng.normal(size=rows), name: column(rng, rows)}


def _rates(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.choice([0.1, 0.2, 0.3], rows)


def _flags(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.random(rows) < 0.3


def _amounts(factor: float) -> Callable[[np.random.Generator, int], list[str]]:
    return lambda rng, rows: [f"{value:,.2f}" for value in rng.lognormal(7, 1, rows) * factor]


def _ages(factor: float) -> Make:
    def make(rng: np.random.Generator, rows: int) -> Columns:
        ages, ids = rng.normal(40, 9, rows) * factor, [{"v": int(n)} for n in rng.integers(0, 9, rows)]
        requests = [{"age": float(age), "client": item} for age, item in zip(ages, ids, strict=True)]
        return {"latency": rng.normal(9, 1, rows), "request": requests}

    return make


def _vectors(sign: float) -> Callable[[np.random.Generator, int], list[list[float]]]:
    def make(rng: np.random.Generator, rows: int) -> list[list[float]]:
        vectors = rng.normal(size=(rows, 8)) + sign * 3
        normed: list[list[float]] = (vectors / np.linalg.norm(vectors, axis=1)[:, None]).tolist()
        return normed

    return make


def _with_errors(rng: np.random.Generator, rows: int) -> list[str]:
    values = rng.normal(50, 5, rows)
    return [
        "ERR" if is_error else f"{value:.3f}"
        for value, is_error in zip(values, rng.random(rows) < 0.3, strict=True)
    ]


def _payments(rng: np.random.Generator, rows: int) -> list[str]:
    return rng.choice(["card", "cash", "invoice"], rows).tolist()


def _with_gift_cards(rng: np.random.Generator, rows: int) -> list[str]:
    return [
        "GIFT_CARD" if is_new else level
        for level, is_new in zip(_payments(rng, rows), rng.random(rows) < 0.33, strict=True)
    ]


def _constant(value: Any) -> Callable[[np.random.Generator, int], Any]:
    return lambda _rng, rows: [value] * rows


def _decimals(rng: np.random.Generator, rows: int) -> list[Decimal]:
    return [Decimal(int(cents)) / 100 for cents in rng.integers(1, 400, rows)]


def _durations(factor: int) -> Callable[[np.random.Generator, int], pa.Array]:
    return lambda rng, rows: pa.array(rng.integers(1000, 9000, rows) * factor, pa.duration("ms"))


FIELD_CASES = (
    FieldCase(
        name="doubles served as float32",
        right=Right.QUIET,
        reference=_one("rate", _rates),
        production=_one("rate", lambda g, n: _rates(g, n).astype(np.float32)),
    ),
    FieldCase(
        name="a flag served as 0 and 1",
        right=Right.QUIET,
        reference=_one("flag", _flags),
        production=_one("flag", lambda g, n: _flags(g, n).astype(np.int64)),
    ),
    FieldCase(
        name="a flag served as text",
        right=Right.QUIET,
        reference=_one("flag", _flags),
        production=_one("flag", lambda g, n: [str(bool(v)) for v in _flags(g, n)]),
    ),
    FieldCase(
        name="whole numbers that became floats because of nulls",
        right=Right.QUIET,
        reference=_one("n", lambda g, n: g.integers(0, 9, n)),
        production=_one(
            "n", lambda g, n: pa.array([None if g.random() < 0.01 else float(v) for v in g.integers(0, 9, n)])
        ),
    ),
    FieldCase(
        name="decimals against doubles",
        right=Right.QUIET,
        reference=_one("price", lambda g, n: [float(v) for v in _decimals(g, n)]),
        production=_one("price", _decimals),
    ),
    FieldCase(
        name="a duration times ten",
        right=Right.PAGE,
        column="wait",
        reference=_one("wait", _durations(1)),
        production=_one("wait", _durations(10)),
    ),
    FieldCase(
        name="three of ten numbers became ERR",
        right=Right.PAGE,
        column="temperature",
        text="another type",
        reference=_one("temperature", lambda g, n: [f"{v:.3f}" for v in g.normal(50, 5, n)]),
        production=_one("temperature", _with_errors),
        suffix=".csv",
    ),
    FieldCase(
        name="a constant text changed",
        right=Right.PAGE,
        column="currency",
        reference=_one("currency", _constant("EUR")),
        production=_one("currency", _constant("USD")),
    ),
    FieldCase(
        name="a constant number changed",
        right=Right.PAGE,
        column="version",
        reference=_one("version", _constant(7.5)),
        production=_one("version", _constant(8.5)),
    ),
    FieldCase(
        name="a constant lost three of ten values",
        right=Right.PAGE,
        column="currency",
        text="missing",
        reference=_one("currency", _constant("EUR")),
        production=_one("currency", lambda g, n: [None if g.random() < 0.3 else "EUR" for _ in range(n)]),
    ),
    FieldCase(
        name="a constant that stays",
        right=Right.QUIET,
        reference=_one("currency", _constant("EUR")),
        production=_one("currency", _constant("EUR")),
    ),
    FieldCase(
        name="a column without values got some",
        right=Right.PAGE,
        column="late",
        reference=_one("late", lambda _g, n: pa.nulls(n, pa.float64())),
        production=_one("late", lambda g, n: g.normal(size=n)),
    ),
    FieldCase(
        name="nested inputs times a thousand",
        right=Right.PAGE,
        column="request.age",
        reference=_ages(1),
        production=_ages(1000),
        suffix=".jsonl",
    ),
    FieldCase(
        name="nested inputs times a thousand, in Parquet",
        right=Right.PAGE,
        column="request.age",
        reference=_ages(1),
        production=_ages(1000),
    ),
    FieldCase(
        name="unit vectors turned round",
        right=Right.UNWATCHED,
        column="emb",
        reference=_one("emb", _vectors(1)),
        production=_one("emb", _vectors(-1)),
    ),
    FieldCase(
        name="one vector of twelve columns that is named",
        right=Right.UNWATCHED,
        column="emb",
        reference=_numbers(emb=_vectors(1)),
        production=_numbers(emb=_vectors(-1)),
        columns={"emb": {"role": "feature"}},
    ),
    FieldCase(
        name="numbers with thousands, undeclared",
        comparable=False,
        right=Right.UNWATCHED,
        column="amount",
        reference=_one("amount", _amounts(1)),
        production=_one("amount", _amounts(5)),
        suffix=".csv",
    ),
    FieldCase(
        name="numbers with thousands, declared",
        right=Right.PAGE,
        column="amount",
        reference=_one("amount", _amounts(1)),
        production=_one("amount", _amounts(5)),
        suffix=".csv",
        reading={"thousands": ","},
    ),
    FieldCase(
        name="one row of 1970, one of 2199, one of a year ago",
        right=Right.QUIET,
        reference=_one("y", lambda g, n: g.normal(size=n)),
        production=_one("y", lambda g, n: g.normal(size=n)),
        stray=(
            datetime(1970, 1, 1, tzinfo=UTC),
            datetime(2199, 1, 1, tzinfo=UTC),
            FIRST_DAY - timedelta(days=360),
        ),
    ),
    FieldCase(
        name="a new level takes a third",
        right=Right.PAGE,
        column="payment",
        text="GIFT_CARD",
        reference=_one("payment", _payments),
        production=_one("payment", _with_gift_cards),
    ),
    FieldCase(
        name="twice the rows of the test set",
        right=Right.QUIET,
        traffic=2.1,
        reference=_one("y", lambda g, n: g.normal(size=n)),
        production=_one("y", lambda g, n: g.normal(size=n)),
    ),
    FieldCase(
        name="days as numbers",
        right=Right.QUIET,
        reference=_one("y", lambda g, n: g.normal(size=n)),
        production=_one("y", lambda g, n: g.normal(size=n)),
        time=lambda moment: int(moment.strftime("%Y%m%d")),
    ),
    FieldCase(
        name="seconds as digits",
        right=Right.QUIET,
        reference=_one("y", lambda g, n: g.normal(size=n)),
        production=_one("y", lambda g, n: g.normal(size=n)),
        time=lambda moment: moment.strftime("%Y%m%d%H%M%S"),
    ),
)
