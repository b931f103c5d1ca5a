"""The rows of the recorded histories, as files with fixed names, bytes and times of change."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from driftwatch.cli.demo.data import write_stream

Numbers = npt.NDArray[np.float64]

#: The stored version of a file holds its time of change, so every file gets this one (nanoseconds).
CHANGED_AT = 1_400_000_000_000_000_000
HOUR = 3600 * 10**9
#: A subset of a public data set; ``car_loan.md`` says where it comes from and what was changed.
CAR_LOAN = Path(__file__).with_name("car_loan.parquet")

#: The generated stream is written in slices of three hours, two a window. Production begins at slice 0.
SLICE = 3 * HOUR
GENERATED_START = int(datetime(2024, 3, 14, tzinfo=UTC).timestamp()) * 10**9
REFERENCE_SLICES = 28 * 8
#: Slices without rows, with a few rows, with a damaged file beside them, and whose second half comes late.
GAP_SLICES, SPARSE_SLICES, DAMAGED_SLICES = range(114, 116), range(118, 120), range(122, 124)
LATE_SLICE = 127
_SEED = 2013
_REGIONS = ("north", "south", "west", "east", "isle")


def write_flights(folder: Path) -> None:
    """Write the flights of New York as the demo does."""
    write_stream(folder)
    date_files(folder)


def write_loan(folder: Path) -> None:
    """Write the car loan: its reference as Parquet, its analysis as one CSV a month."""
    table = pq.read_table(CAR_LOAN)
    reference = pc.equal(table["side"], "reference")
    pq.write_table(table.filter(reference).drop_columns("side"), folder / "reference.parquet")
    analysis = table.filter(pc.invert(reference)).drop_columns("side")
    months = pc.strftime(analysis["timestamp"], format="%Y-%m")
    (folder / "production").mkdir()
    for month in sorted(set(months.to_pylist())):
        part = analysis.filter(pc.equal(months, month))
        pacsv.write_csv(part, folder / "production" / f"{month}.csv")
    date_files(folder)


def write_generated(folder: Path) -> None:
    """Write the generated reference; production is written slice by slice."""
    parts = [_slice(number) for number in range(-REFERENCE_SLICES, 0)]
    pq.write_table(pa.concat_tables(parts), folder / "reference.parquet")
    (folder / "production").mkdir()
    date_files(folder)


def write_slice(folder: Path, number: int) -> None:
    """Write production's files of one slice, with a damaged or a late one where the plan has them."""
    if number == LATE_SLICE + 1:
        table = _slice(LATE_SLICE)
        _write(table.slice(table.num_rows // 2), _place(folder, LATE_SLICE, "-late"))
    if number in GAP_SLICES:
        return
    table = _slice(number)
    if number in SPARSE_SLICES:
        table = table.slice(0, 8)
    if number == LATE_SLICE:
        table = table.slice(0, table.num_rows // 2)
    if number in DAMAGED_SLICES:
        _place(folder, number, "-damaged").with_suffix(".parquet").write_bytes(b"PAR1 and no more of it")
    _write(table, _place(folder, number))
    date_files(folder / "production")


def _place(folder: Path, number: int, ending: str = "") -> Path:
    """A slice's file lies in a folder of its day; every third day has JSON lines."""
    moment = datetime.fromtimestamp((GENERATED_START + number * SLICE) // 10**9, tz=UTC)
    day = folder / "production" / f"date={moment:%Y-%m-%d}"
    day.mkdir(exist_ok=True)
    return day / f"{moment:%H}{ending}.{'jsonl' if moment.day % 3 == 0 else 'parquet'}"


def date_files(folder: Path) -> None:
    """Give every file below the folder the same time of change."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(CHANGED_AT, CHANGED_AT))


def _write(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    lines = [json.dumps(row, default=_iso) for row in table.to_pylist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _iso(moment: Any) -> str:
    return str(moment.isoformat())


def _slice(number: int) -> pa.Table:
    """A slice has rows that depend on its number alone; ``_shifts`` moves some of them."""
    random = np.random.default_rng([_SEED, number + REFERENCE_SLICES])
    hour = number % 8 * 3
    rows = 80 + 10 * (hour % 12)
    region = random.choice(5, rows, p=[0.4, 0.25, 0.2, 0.1, 0.05])
    shifts = _shifts(number, region == 1)
    load = random.standard_normal(rows) + (hour - 10) / 8 + shifts["load"]
    price = random.standard_normal(rows) * 3 + load + 3 * shifts["price"]
    kind = np.minimum(random.integers(0, 6, rows), 3 + random.integers(0, 3, rows))
    kind = np.where(random.random(rows) < shifts["kind"], 5, kind)
    when = GENERATED_START + number * SLICE + np.sort(random.integers(0, 3 * 3600 * 1000, rows)) * 10**6
    birth = when // 86_400_000_000_000 - random.integers(6000, 25000, rows)
    place = random.standard_normal((rows, 3)).round(3) + shifts["place"][:, None]
    words = random.integers(3, 30, rows)
    return pa.table(
        {
            "when": pa.array(when // 1000, pa.timestamp("us", "UTC")),
            "region": [_REGIONS[item] for item in region],
            "load": load.round(4),
            "price": pa.array(price.round(2), mask=random.random(rows) < 0.03),
            "items": random.binomial(12, 0.3, rows),
            "kind": [f"kind {item}" for item in kind],
            "member": random.random(rows) < 0.6,
            "born": pa.array(birth.astype(np.int32), pa.int32()).cast(pa.date32()),
            "note": pa.array(
                [f"parcel {item} " + "left at the door " * item for item in words], mask=shifts["note"] > 0
            ),
            "place": pa.array(place.tolist(), pa.list_(pa.float64())),
            "ticket": [f"{number + REFERENCE_SLICES:04}-{item:04}" for item in range(rows)],
        }
    )


def _shifts(number: int, south: npt.NDArray[np.bool_]) -> Mapping[str, Numbers]:
    """Each row of a slice has a shift of each column."""
    zeros = np.zeros(len(south))
    return {
        "load": zeros + 1.0 * (24 <= number < 36),
        "price": np.where(south, 1.5, 0.0) * (number >= 48),
        "kind": zeros + 0.4 * (72 <= number < 92),
        "note": zeros + (104 <= number < 110),
        "place": zeros + 2.0 * (number >= 132),
    }
