"""Freezes the cells of watched columns from a profile.

Levels and values pass through the encoder of production rows, so that a cell means the same on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.arrow.profile_values import PREFIX_CHARS
from driftwatch.columns.infer import MAX_LEVELS
from driftwatch.columns.profile import ColumnProfile, Profile, TypeFamily
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Column, Kind
from driftwatch.core.spellings import Form, rounded
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.grid import MAX_EXACT_VALUES, Grid, LevelGrid, NumericGrid, numeric_grid
from driftwatch.summary.plan import OTHER_SEGMENT

#: Values that a quantile grid is made from, copies of sampled rows included.
_MAX_GRID_VALUES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenGrids:
    #: By column name.
    grids: Mapping[str, Grid]
    #: What the grids do not hold.
    notes: tuple[str, ...]


def freeze_grids(profile: Profile, columns: Sequence[Column], timezone: str) -> FrozenGrids:
    """Freeze the cells of every column. O(k log k) per column for a sample of ``k`` rows."""
    grids: dict[str, Grid] = {}
    notes: list[str] = []
    for column in columns:
        if column.kind.ordered:
            grids[column.name] = _numeric_grid(profile, column, timezone)
            continue
        counts = level_counts(profile, column, timezone)
        grids[column.name] = LevelGrid(
            levels=tuple(level for level, _ in counts[:MAX_LEVELS]),
            form=_form(profile.column(column.name)),
        )
        if len(counts) > MAX_LEVELS:
            notes.append(
                f"column {column.name!r} has more than {MAX_LEVELS:,} levels: the most frequent have a cell "
                "each, all others count as unseen in the reference too"
            )
    return FrozenGrids(grids=grids, notes=tuple(notes))


def _form(column_profile: ColumnProfile | None) -> Form:
    if column_profile is None or not column_profile.n_present:
        return Form.TEXT
    if column_profile.family.is_number and not column_profile.is_duration:
        return {"e": Form.HALF, "f": Form.SINGLE, "d": Form.NUMBER}[column_profile.precision]
    return _FORM_OF_FAMILY.get(column_profile.family, Form.TEXT)


def level_counts(profile: Profile, column: Column, timezone: str) -> list[tuple[str, int]]:
    """Return a column's levels with their rows, most frequent first, then by name."""
    column_profile = profile.column(column.name)
    if column_profile is None:
        return []
    # Exact when the profile holds every distinct value; else from the sampled rows.
    is_listed = column_profile.family.is_number or column_profile.family in (
        TypeFamily.TEXT,
        TypeFamily.BOOLEAN,
    )
    if (
        is_listed
        and column_profile.is_exact
        and not profile.is_complete
        and column_profile.max_length <= PREFIX_CHARS
    ):
        values, weights = _distinct_array(column_profile), column_profile.counts
    else:
        values, weights = profile.sample[column.name], profile.weights
    if column_profile.precision != "d" and pa.types.is_floating(values.type):
        # Batches of double precision beside single are met in the narrower.
        values = values.cast(pa.float16() if column_profile.precision == "e" else pa.float32())
    encoded_levels = _encode_values(values, replace(column, kind=_level_kind(column.kind)), timezone)
    if not isinstance(encoded_levels, Levels):
        return []
    usable = encoded_levels.codes >= 0
    rows = np.zeros(len(encoded_levels.levels), dtype=np.int64)
    np.add.at(rows, encoded_levels.codes[usable], weights[usable])
    rows_by_level: dict[str, int] = {}
    for level, n_rows in zip(encoded_levels.levels, rows.tolist(), strict=True):
        if n_rows:
            rows_by_level[level] = rows_by_level.get(level, 0) + n_rows
    return sorted(rows_by_level.items(), key=lambda item: (-item[1], item[0]))


def segment_levels(profile: Profile, name: str, max_levels: int, timezone: str) -> tuple[str, ...]:
    counts = level_counts(profile, Column(name=name, kind=Kind.CATEGORICAL), timezone)
    # A level named ``other`` falls to the rest.
    return tuple(level for level, _ in counts if level != OTHER_SEGMENT)[:max_levels]


def _level_kind(kind: Kind) -> Kind:
    return Kind.CATEGORICAL if kind.ordered else kind


def _numeric_grid(profile: Profile, column: Column, timezone: str) -> NumericGrid:
    column_profile = profile.column(column.name)
    is_plain_number = (
        column_profile is not None and column.kind is Kind.NUMERIC and column_profile.family.is_number
    )
    if (
        is_plain_number
        and column_profile is not None
        and column_profile.is_exact
        and column_profile.n_distinct <= MAX_EXACT_VALUES
    ):
        values = _encode_numbers(_distinct_array(column_profile), column, timezone)
        return _narrow_grid(_expand(values, column_profile.counts), column_profile.precision)
    precision = "d" if column_profile is None or not is_plain_number else column_profile.precision
    values = _encode_numbers(profile.sample[column.name], column, timezone)
    usable = ~np.isnan(values)
    grid_values = _expand(values[usable], profile.weights[usable])
    if (
        is_plain_number
        and column_profile is not None
        and column_profile.minimum is not None
        and column_profile.maximum is not None
    ):
        grid_values = np.append(grid_values, [column_profile.minimum, column_profile.maximum])
    grid = _narrow_grid(grid_values, precision)
    return grid if profile.is_complete else replace(grid, exact=False)


def _narrow_grid(values: Float64Array, precision: str) -> NumericGrid:
    return replace(numeric_grid(rounded(values, precision)), precision=precision)


def _expand(values: Float64Array, weights: Int64Array) -> Float64Array:
    total = int(weights.sum())
    if total > _MAX_GRID_VALUES:
        # Thin the values evenly.
        weights = np.maximum(1, weights * _MAX_GRID_VALUES // total)
    return np.repeat(values, weights)


def _encode_numbers(values: Any, column: Column, timezone: str) -> Float64Array:
    encoded_values = _encode_values(values, column, timezone)
    return (
        encoded_values.values_with_nan().astype(np.float64)
        if isinstance(encoded_values, Numbers)
        else np.empty(0)
    )


def _encode_values(values: Any, column: Column, timezone: str) -> Numbers | Levels:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    batch = pa.RecordBatch.from_arrays([array], names=[column.name])
    encoded_batch: Batch = encode(
        batch,
        columns=(column,),
        carried=(),
        time_column=None,
        timezone=timezone,
        segment_column=None,
        salt=0,
    )
    return encoded_batch.columns[column.name]


def _distinct_array(column_profile: ColumnProfile) -> pa.Array:
    # In the type that the values were read as.
    values = column_profile.values
    if column_profile.family is TypeFamily.TEXT or values.dtype == object:
        return pa.array([str(value) for value in values], type=pa.large_string())
    array = pa.array(values)
    if len(column_profile.types) != 1:
        return array
    data_type = (
        pa.type_for_alias(column_profile.types[0]) if column_profile.types[0] in _NUMERIC_TYPES else None
    )
    if column_profile.family is TypeFamily.BOOLEAN:
        return array.cast(pa.bool_())
    return array if data_type is None else array.cast(data_type, safe=False)


_FORM_OF_FAMILY = {TypeFamily.BOOLEAN: Form.BOOLEAN, TypeFamily.TIMESTAMP: Form.TIME}
_NUMERIC_TYPES = frozenset(
    ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double", "halffloat")
)
