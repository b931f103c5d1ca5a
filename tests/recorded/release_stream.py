"""Rows of the life behind a release's store, as files whose time of change is their arrival."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftwatch.core.windows import parse_time

#: Rows come in slices of three hours, two a window. Production begins at slice 0, the store ends at ``CUT``.
SLICE_SECONDS = 3 * 3600
START = parse_time("2024-03-17T00:00") // 10**9
SLICES = 120
#: Slices of each reference.
REFERENCE_SLICES = {"shop": 60, "sensors": 16, "payments": 104}
#: A slice whose second half comes three slices later, and slices without rows.
LATE_SLICE, GAP_SLICES = 66, range(84, 88)
_SEED, _FIRST = 2024, 1000

Rows = Sequence[Mapping[str, Any]]


def end_of(number: int) -> int:
    """The end of a slice, in seconds since 1970 UTC: its file arrives then."""
    return START + (number + 1) * SLICE_SECONDS


def write_life(folder: Path) -> None:
    """Write all files of the life; the time of change of each is the second at which it arrives."""
    for name in ("shop/production", "sensors", "payments"):
        (folder / name).mkdir(parents=True)
    for name, rows in (("shop", _shop), ("sensors", _sensors)):
        table = pa.Table.from_pylist(_reference(name, rows))
        pq.write_table(table, folder / name / "reference.parquet", compression="zstd")
    payments = _reference("payments", _payments)
    (folder / "payments" / "reference.csv").write_text(_csv(payments, ";"), encoding="utf-8")
    _write_database(folder / "payments" / "payments.sqlite")
    for path in folder.rglob("*"):
        os.utime(path, (START, START))
    for number in range(SLICES):
        _write_slice(folder, number)


def _reference(name: str, rows: Callable[[int], Rows]) -> Rows:
    return [row for number in range(-REFERENCE_SLICES[name], 0) for row in rows(number)]


def _write_slice(folder: Path, number: int) -> None:
    if number in GAP_SLICES:
        return
    moment = datetime.fromtimestamp(end_of(number) - SLICE_SECONDS, tz=UTC)
    day = folder / "shop" / "production" / f"date={moment:%Y-%m-%d}"
    day.mkdir(exist_ok=True)
    rows = _shop(number)
    if number == LATE_SLICE:
        _write(day / f"{moment:%H}-late.csv", _csv(rows[len(rows) // 2 :], ","), number + 3)
        rows = rows[: len(rows) // 2]
    _write(day / f"{moment:%H}.csv", _csv(rows, ","), number)
    if number % 2:
        lines = [json.dumps(row, default=str) for part in (number - 1, number) for row in _sensors(part)]
        _write(folder / "sensors" / f"{number // 2:03}.jsonl", "\n".join(lines) + "\n", number)


def _write(path: Path, text: str, number: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (end_of(number), end_of(number)))


def _csv(rows: Rows, delimiter: str) -> str:
    lines = [
        list(rows[0]),
        *(["" if value is None else str(value) for value in row.values()] for row in rows),
    ]
    return "".join(delimiter.join(line) + "\n" for line in lines)


def _write_database(path: Path) -> None:
    rows = [tuple(map(str, row.values())) for number in range(SLICES) for row in _payments(number)]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE payments (at TEXT, amount REAL, card TEXT)")
        connection.executemany("INSERT INTO payments VALUES (?, ?, ?)", rows)
        connection.commit()
        connection.execute("VACUUM")


def _generator(monitor: int, number: int) -> np.random.Generator:
    return np.random.default_rng([_SEED, monitor, number + _FIRST])


def _times(random: np.random.Generator, number: int, rows: int) -> list[datetime]:
    start = datetime.fromtimestamp(end_of(number) - SLICE_SECONDS, tz=UTC)
    seconds = np.sort(random.integers(0, SLICE_SECONDS, rows))
    return [start + timedelta(seconds=int(second)) for second in seconds]


def _shop(number: int) -> Rows:
    """Prices of the south are higher from slice 22, kinds are others from 42 to 57, brands from 92."""
    random = _generator(1, number)
    rows = 36 + 4 * (number % 8)
    north = random.random(rows) < 0.6
    price = random.gamma(4, 5, rows) * np.where(north | (number < 22), 1.0, 2.2)
    kind = random.binomial(14, 0.25 if 42 <= number < 58 else 0.5, rows)
    brand = random.geometric(0.25 if number >= 92 else 0.1, rows).clip(0, 30)
    times = _times(random, number, rows)
    return [
        {
            "at": times[row],
            "basket": f"b{number + _FIRST:04}{row:03}",
            "region": "north" if north[row] else ("south", "isle")[row % 5 == 0],
            "price": None if random.random() < 0.03 else float(price[row].round()),
            "kind": f"k{kind[row]}",
            "brand": f"brand {brand[row]}",
        }
        for row in range(rows)
    ]


def _sensors(number: int) -> Rows:
    """Humidity is not there from slice 50 to 79, temperature rises from slice 96."""
    random = _generator(2, number)
    rows = 20
    heat = random.standard_normal(rows) + 1.2 * (number >= 96)
    damp = 0.6 * heat + 0.8 * random.standard_normal(rows)
    times = _times(random, number, rows)
    return [
        {
            "at": times[row],
            "temperature": float((18 + 4 * heat[row]).round()),
            "humidity": None if 50 <= number < 80 else float((60 + 10 * damp[row]).round()),
            "pressure": int(1013 + 6 * random.standard_normal()),
        }
        for row in range(rows)
    ]


def _payments(number: int) -> Rows:
    """About 15 rows a slice, too few for a window; amounts are twice as high from slice 102."""
    random = _generator(3, number)
    rows = int(random.integers(10, 20))
    amounts = random.gamma(2, 20, rows) * (1 + (number >= 102))
    cards = random.choice(["debit", "credit", "gift"], rows, p=[0.5, 0.4, 0.1])
    return [
        {"at": moment.replace(tzinfo=None), "amount": float(amount.round()), "card": str(card)}
        for moment, amount, card in zip(_times(random, number, rows), amounts, cards, strict=True)
    ]
