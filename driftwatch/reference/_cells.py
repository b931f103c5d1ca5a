"""Freezing the cells of every watched column from a profile.

Levels and values pass through the same encoder as production rows, so a cell means the same on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.arrow.profile_values import PREFIX
from driftwatch.columns.infer import MAX_LEVELS
from driftwatch.columns.profile import ColumnProfile, Profile, Shape
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Column, Kind
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.grid import FEW_VALUES, Grid, LevelGrid, NumericGrid, numeric_grid
from driftwatch.summary.plan import OTHER

#: Values a quantile grid is made from, copies of sampled rows counted.
_SPREAD = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The grids by column name, and notes on what they do not hold."""

    grids: dict[str, Grid]
    notes: tuple[str, ...]


def freeze(profile: Profile, columns: Sequence[Column], timezone: str) -> Frozen:
    """Freeze the cells of ``columns``. O(k log k) per column for a sample of ``k`` rows."""
    grids: dict[str, Grid] = {}
    notes: list[str] = []
    for column in columns:
        if column.kind.ordered:
            grids[column.name] = _numeric(profile, column, timezone)
            continue
        shares = level_shares(profile, column, timezone)
        grids[column.name] = LevelGrid(levels=tuple(level for level, _ in shares[:MAX_LEVELS]))
        if len(shares) > MAX_LEVELS:
            notes.append(
                f"column {column.name!r} has more than {MAX_LEVELS:,} levels: the most frequent have a cell "
                "each, all others count as unseen in the reference too"
            )
    return Frozen(grids=grids, notes=tuple(notes))


def level_shares(profile: Profile, column: Column, timezone: str) -> list[tuple[str, int]]:
    """Levels with their rows, most frequent first, then by name.

    Exact as long as the profile kept every distinct value; else from the sampled rows.
    """
    looked = profile.column(column.name)
    if looked is None:
        return []
    listed = looked.shape.number or looked.shape in (Shape.TEXT, Shape.BOOLEAN)
    if listed and looked.exact and not profile.complete and looked.max_length <= PREFIX:
        values, weights = _distinct(looked), looked.counts
    else:
        values, weights = profile.sample[column.name], profile.weights
    coded = _encode_one(values, replace(column, kind=_levelled(column.kind)), timezone)
    if not isinstance(coded, Levels):
        return []
    usable = coded.codes >= 0
    rows = np.zeros(len(coded.levels), dtype=np.int64)
    np.add.at(rows, coded.codes[usable], weights[usable])
    counted: dict[str, int] = {}
    for level, number in zip(coded.levels, rows.tolist(), strict=True):
        if number:
            counted[level] = counted.get(level, 0) + number
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def segment_levels(profile: Profile, name: str, most: int, timezone: str) -> tuple[str, ...]:
    """The ``most`` most frequent levels of a column; a level named ``other`` falls to the rest."""
    shares = level_shares(profile, Column(name=name, kind=Kind.CATEGORICAL), timezone)
    return tuple(level for level, _ in shares if level != OTHER)[:most]


def _levelled(kind: Kind) -> Kind:
    return Kind.CATEGORICAL if kind.ordered else kind


def _numeric(profile: Profile, column: Column, timezone: str) -> NumericGrid:
    looked = profile.column(column.name)
    plain = looked is not None and column.kind is Kind.NUMERIC and looked.shape.number
    if plain and looked is not None and looked.exact and looked.distinct <= FEW_VALUES:
        return numeric_grid(_repeat(_numbers(_distinct(looked), column, timezone), looked.counts))
    values = _numbers(profile.sample[column.name], column, timezone)
    usable = ~np.isnan(values)
    spread = _repeat(values[usable], profile.weights[usable])
    if plain and looked is not None and looked.minimum is not None and looked.maximum is not None:
        spread = np.append(spread, [looked.minimum, looked.maximum])
    grid = numeric_grid(spread)
    return grid if profile.complete else replace(grid, exact=False)


def _repeat(values: Float64Array, weights: Int64Array) -> Float64Array:
    """Each value as often as its row was met, thinned evenly when that would be too many."""
    together = int(weights.sum())
    if together > _SPREAD:
        weights = np.maximum(1, weights * _SPREAD // together)
    return np.repeat(values, weights)


def _numbers(values: Any, column: Column, timezone: str) -> Float64Array:
    coded = _encode_one(values, column, timezone)
    return coded.marked().astype(np.float64) if isinstance(coded, Numbers) else np.empty(0)


def _encode_one(values: Any, column: Column, timezone: str) -> Numbers | Levels:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    batch = pa.RecordBatch.from_arrays([array], names=[column.name])
    coded: Batch = encode(
        batch,
        columns=(column,),
        carried=(),
        time_column=None,
        timezone=timezone,
        segment_column=None,
        salt=0,
    )
    return coded.columns[column.name]


def _distinct(looked: ColumnProfile) -> pa.Array:
    """The distinct values in the type they were read as."""
    values = looked.values
    if looked.shape is Shape.TEXT or values.dtype == object:
        return pa.array([str(value) for value in values], type=pa.large_string())
    array = pa.array(values)
    if len(looked.types) != 1:
        return array
    kind = pa.type_for_alias(looked.types[0]) if looked.types[0] in _SIMPLE else None
    if looked.shape is Shape.BOOLEAN:
        return array.cast(pa.bool_())
    return array if kind is None else array.cast(kind, safe=False)


_SIMPLE = frozenset(
    ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double", "halffloat")
)
