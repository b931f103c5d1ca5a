"""The row sample in plain Python: hashes of whole rows, modulo 2^64, and the smallest of them."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from plain_engine import Row, cell_of, cell_of_level, count, named_of, tiles_of
from plain_values import (
    MASK,
    PREFIX_CHARS,
    UNITS,
    Moment,
    bytes_hash,
    decimal_float,
    mix,
    rounded,
    text_of_bytes,
)

import driftwatch.summary.named_rows as named_rows
from driftwatch.engines.base import Counted
from driftwatch.summary.grid import LevelGrid, NumericGrid
from driftwatch.summary.named_rows import NamedRows
from driftwatch.summary.plan import Plan
from driftwatch.summary.projection import Sums
from driftwatch.summary.sample import RowSample
from driftwatch.summary.summary import Summary

MISSING = 0x6D697373696E6721
MAX_EXACT_FLOAT = 2**53


def count_with_sample(
    plan: Plan, batches: Sequence[pa.RecordBatch], edges: Sequence[int], *, seal: bool
) -> Counted:
    """What an engine with every capability returns."""
    counted, tiles = count(plan, batches, edges, seal=seal), tiles_of(plan, batches, edges)[0]
    summaries = {}
    for key, summary in counted.tiles.items():
        sample = sample_of(plan, tiles[key])
        sums = Sums.from_sample(plan.projection, sample) if seal and plan.projection is not None else None
        numbers = numbers_of(plan, summary, sample) if seal else {}
        summaries[key] = replace(summary, sample=sample, sums=sums, named={**summary.named, **numbers})
    return replace(counted, tiles=summaries)


def numbers_of(plan: Plan, summary: Summary, sample: RowSample) -> dict[str, NamedRows]:
    """Frequent numbers inside gaps, by column."""
    numbers = {}
    for place, (name, counts) in enumerate(summary.counts.items()):
        grid = plan.grids[name]
        if isinstance(grid, LevelGrid):
            continue
        cells = counts.cells.tolist()
        weights: Counter[float] = Counter()
        for value, weight in zip(sample.rows[:, place].tolist(), sample.weights.tolist(), strict=True):
            if not math.isnan(value):
                weights[value] += weight
        gaps = {value: gap_of(grid, cells, value, weight) for value, weight in weights.items()}
        sampled: Counter[int] = Counter()
        for value, gap in gaps.items():
            if gap is not None:
                sampled[gap] += weights[value]
        rows = {
            float_bits(value): (2 * cells[gap] * weights[value] + sampled[gap]) // (2 * sampled[gap])
            for value, gap in gaps.items()
            if gap is not None
        }
        present = sum(cells)
        frequent = [
            key
            for key in sorted(rows, key=lambda key: (-rows[key], key))
            if rows[key] >= named_rows.MIN_NUMBER_ROWS and rows[key] * named_rows.NUMBER_RATIO >= present
        ]
        keys = sorted(frequent[: named_rows.SEALED_NUMBERS])
        if named := named_of(keys, [rows[key] for key in keys]):
            numbers[name] = named
    return numbers


def gap_of(grid: NumericGrid, cells: Sequence[int], value: float, weight: int) -> int | None:
    """The gap that counted a sampled value.

    The sample does not tell the type that a value came in. One that a narrower type holds was counted at the
    edge that it is in that type, if that edge's cell has its rows.
    """
    edges = grid.edges.tolist()
    gap = cell_of(edges, value, grid.precision)
    if gap % 2:
        return None
    for precision in "fe":
        point = cell_of(edges, value, min(grid.precision, precision, key="efd".index))
        if rounded(value, precision) == value and point % 2 and cells[point] >= weight:
            return None
    return gap


def sample_of(plan: Plan, rows: Iterable[Row]) -> RowSample:
    weights: dict[int, int] = {}
    values: dict[int, list[float]] = {}
    for row in rows:
        key = row_hash(plan, row)
        weights[key] = weights.get(key, 0) + 1
        values[key] = [sample_value(plan, name, value) for name, value in row.values.items()]
    smallest = sorted(weights)[: plan.sample_rows]
    return RowSample(
        hashes=np.array(smallest, dtype=np.uint64),
        weights=np.array([weights[key] for key in smallest], dtype=np.int64),
        rows=np.array([values[key] for key in smallest], dtype=np.float64).reshape(-1, len(plan.columns)),
        limit=plan.sample_rows,
    )


def sample_value(plan: Plan, name: str, value: Any) -> float:
    grid = plan.grids[name]
    if isinstance(value, type):
        return math.nan
    if isinstance(grid, LevelGrid):
        return float(cell_of_level(grid, value))
    return float(value) + 0.0


def row_hash(plan: Plan, row: Row) -> int:
    total = 0
    for position, value in enumerate(row.values.values()):
        if isinstance(value, type):
            item = MISSING
        elif isinstance(value, str):
            item = bytes_hash(value.encode("utf-8", "surrogatepass"))
        else:
            bits = float_bits(value)
            item = bits ^ (bits >> 32)
        total += item * factor(position)
    for position, name in enumerate(plan.identity_columns, len(plan.columns)):
        item = (
            mix(row.time & MASK)
            if name == plan.time_column and row.time is not None
            else identity_hash(row.identity.get(name))
        )
        total += item * factor(position)
    return mix((total & MASK) ^ mix(plan.salt & MASK))


def identity_hash(value: Any) -> int:
    """1 equals 1.0, times are equal in any unit."""
    if isinstance(value, Moment):
        value = (value.ticks * UNITS[value.unit] + 2**63) % 2**64 - 2**63
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return MISSING
    if isinstance(value, str | bytes):
        text = text_of_bytes(value)
        return mix(bytes_hash(text[:PREFIX_CHARS].encode()) ^ mix(len(text)))
    if isinstance(value, int) and abs(value) > MAX_EXACT_FLOAT:
        return mix(value & MASK)
    if isinstance(value, Decimal):
        value = decimal_float(value)
    return mix(float_bits(float(value)))


def factor(position: int) -> int:
    return mix(position) | 1


def float_bits(value: float) -> int:
    bits: int = struct.unpack("<Q", struct.pack("<d", value + 0.0))[0]
    return bits
