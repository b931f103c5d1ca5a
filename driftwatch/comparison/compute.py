"""Selects a comparison's columns and counts both samples on shared cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from driftwatch.charts.bars import column_bars
from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.infer import find_time_column, infer
from driftwatch.columns.profile import Profile, TypeFamily
from driftwatch.comparison.result import ColumnComparison
from driftwatch.core import plugins
from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Column, Kind, Role, Span
from driftwatch.detectors.base import (
    ColumnDetector,
    Detector,
    JointDetector,
    ReferenceContext,
    WindowContext,
    default_detectors,
    get,
    new_levels,
    pair_of,
)
from driftwatch.errors import ConfigError
from driftwatch.results.results import Statistic
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid, numeric_grid
from driftwatch.summary.named_rows import NamedColumns, add_named, unseen_levels
from driftwatch.summary.plan import Plan
from driftwatch.summary.reference import Provenance, Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    import pyarrow as pa

#: Distinct values of both samples up to which an ordered column is counted on all of them.
MAX_EXACT_VALUES = 2_000_000
#: Edges of a column with more.
COARSE_EDGES = 4_096
#: Rows of a batch, to bound memory.
MAX_BATCH_ROWS = 1 << 16
#: Rows of each sample for the joint detectors; some take fewer.
MAX_JOINT_ROWS = 10_000
#: Span of rows whose time does not matter.
NO_SPAN = Span(start=0, end=1)
_ONE_EDGE_GRID = NumericGrid(edges=np.zeros(1), first=0, last=0, exact=True)
_NO_PROVENANCE = Provenance(source="", files=0, built_at=0, time_range=None)

#: Names to compare, or names with the kind to count each as.
ColumnSelection = Sequence[str] | Mapping[str, Kind | str] | None


def infer_columns(
    reference_profile: Profile, time_column: str | None, columns: ColumnSelection
) -> tuple[Column, ...]:
    """Infer the columns' kinds and roles. Raises ``ConfigError`` for unknown columns and kinds."""
    names = tuple(column.name for column in reference_profile.columns)
    selected_names = () if columns is None else tuple(columns)
    problems = [
        plugins.unknown_name_message("column", name, names) for name in selected_names if name not in names
    ]
    if time_column is not None and time_column not in names:
        problems.append("time_column: " + plugins.unknown_name_message("column", time_column, names))
    overrides: dict[str, tuple[Kind | None, Role | None]] = {
        name: (None, Role.FEATURE) for name in selected_names
    }
    if isinstance(columns, Mapping):
        kinds = tuple(kind.value for kind in Kind)
        unknown_kinds = {name: kind for name, kind in columns.items() if kind not in kinds}
        problems += [
            f"columns: {name}: " + plugins.unknown_name_message("kind", str(kind), kinds)
            for name, kind in unknown_kinds.items()
        ]
        overrides |= {
            name: (Kind(kind), Role.FEATURE) for name, kind in columns.items() if name not in unknown_kinds
        }
    if problems:
        raise ConfigError(problems)
    return infer(
        reference_profile, overrides=overrides, time=find_time_column(reference_profile, time_column)
    )


def select_columns(
    inferred_columns: Sequence[Column],
    columns: ColumnSelection,
    reference_profile: Profile,
    current_table: pa.Table,
) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    if columns is not None:
        return tuple(column for column in inferred_columns if column.name in columns), ()
    compared_columns: list[Column] = []
    ignored_columns: list[Column] = []
    for column in inferred_columns:
        # A constant is compared when the current sample differs.
        is_compared = column.role.watched or _constant_differs(column, reference_profile, current_table)
        (compared_columns if is_compared else ignored_columns).append(column)
    return tuple(compared_columns), tuple(ignored_columns)


def _constant_differs(column: Column, reference_profile: Profile, current_table: pa.Table) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    column_profile = reference_profile.column(column.name)
    if (
        column.role is not Role.IGNORE
        or column_profile is None
        or not column_profile.is_exact
        or column_profile.n_distinct != 1
    ):
        return False
    if (
        column_profile.n_present < column_profile.rows
        or column.name not in current_table.column_names
        or not current_table.num_rows
    ):
        return False
    if column_profile.family is TypeFamily.UNSUPPORTED:
        return False  # Its values cannot be distinguished.
    constant, first_values = (
        reference_profile.sample[column.name][0].as_py(),
        current_table[column.name].slice(0, MAX_JOINT_ROWS),
    )
    if pa.types.is_nested(first_values.type):
        return any(value != constant for value in first_values.to_pylist())
    distinct_values = pc.unique(first_values).to_pylist()
    return bool(
        distinct_values != [constant] or pc.count_distinct(current_table[column.name], mode="all").as_py() > 1
    )


def select_detectors(names: Sequence[str] | None, also: Sequence[str]) -> list[Detector]:
    if names is None:
        names = [detector.name for detector in default_detectors() if detector.in_comparison]
    return [get(name) for name in dict.fromkeys((*names, *also))]


def encode_rows(batch: pa.RecordBatch, columns: Sequence[Column], carried: Sequence[str], salt: int) -> Batch:
    return encode(
        batch,
        columns=tuple(columns),
        carried=tuple(carried),
        time_column=None,
        timezone="UTC",
        segment_column=None,
        salt=salt,
    )


def compare_column(
    reference_table: pa.Table, current_table: pa.Table, column: Column, detectors: Sequence[Detector]
) -> ColumnComparison:
    """Compare one column; an ordered one is counted on every distinct value of both samples."""
    reference_parts, current_parts = (
        _encode_column(reference_table, column),
        _encode_column(current_table, column),
    )
    grid, counts = _count_samples(column, reference_parts, current_parts)
    if column.name not in current_table.column_names:
        counts = counts[0], Counts.from_absent(grid, current_table.num_rows)
    plan = Plan(columns=(column,), grids={column.name: grid}, fingerprint="compare")
    summaries = [
        Summary(plan=plan.fingerprint, span=NO_SPAN, rows=table.num_rows, counts={column.name: column_counts})
        for table, column_counts in zip((reference_table, current_table), counts, strict=True)
    ]
    summaries[1] = replace(summaries[1], named=_unseen_levels(column, grid, current_parts))
    reference = ReferenceContext(_make_reference(plan, summaries[0], "compare"))
    return measure_column(reference.window(summaries[1]), column, detectors)


def _unseen_levels(column: Column, grid: Grid, parts: Sequence[Numbers | Levels]) -> NamedColumns:
    if not isinstance(grid, LevelGrid):
        return {}
    levels = [unseen_levels(grid, part) for part in parts if isinstance(part, Levels)]
    return add_named({column.name: named} for named in levels if len(named.keys))


def measure_column(window: WindowContext, column: Column, detectors: Sequence[Detector]) -> ColumnComparison:
    reference, pair = window.reference, pair_of(window, column.name)
    reference_counts, current_counts = (
        reference.summary.counts[column.name],
        window.window.counts[column.name],
    )
    return ColumnComparison(
        column=column,
        missing_reference=missing_share(reference_counts),
        missing_current=missing_share(current_counts),
        bars=column_bars(reference.plan.grids[column.name], reference_counts, current_counts, column.kind),
        statistics=tuple(
            detector.measure(pair)
            for detector in detectors
            if isinstance(detector, ColumnDetector) and detector.applies(column, reference)
        ),
        new_levels=() if column.kind.ordered else new_levels(pair),
    )


def missing_share(counts: Counts) -> float | None:
    """Return the share of rows without a value, or None if there are no rows."""
    return counts.missing / counts.rows if counts.rows else None


def _make_reference(plan: Plan, summary: Summary, fingerprint: str) -> Reference:
    return Reference(
        monitor="compare", plan=plan, summary=summary, fingerprint=fingerprint, provenance=_NO_PROVENANCE
    )


def _encode_column(table: pa.Table, column: Column) -> list[Numbers | Levels]:
    if column.name not in table.column_names:
        return []
    parts = table.select([column.name]).combine_chunks().to_batches()
    return [encode_rows(part, (column,), (), 0).columns[column.name] for part in parts]


def _count_samples(
    column: Column, reference_parts: Sequence[Numbers | Levels], current_parts: Sequence[Numbers | Levels]
) -> tuple[Grid, tuple[Counts, Counts]]:
    if column.kind.ordered:
        return _exact_cells(_concatenate(reference_parts), _concatenate(current_parts))
    grid = _level_grid([part for part in reference_parts if isinstance(part, Levels)])
    reference_counts, current_counts = (
        sum((Counts.from_column(grid, part) for part in parts), start=Counts.zero(grid))
        for parts in (reference_parts, current_parts)
    )
    return grid, (reference_counts, current_counts)


def _concatenate(parts: Sequence[Numbers | Levels]) -> Numbers:
    numbers = [part for part in parts if isinstance(part, Numbers)]
    if len(numbers) == 1:
        return numbers[0]
    values = np.concatenate([np.empty(0), *(column.values for column in numbers)])
    is_null, is_wrong = np.zeros((2, len(values)), dtype=bool)
    first_row = 0
    for column in numbers:
        rows = slice(first_row, first_row + len(column.values))
        if column.nulls is not None:
            is_null[rows][column.nulls] = True
        if column.wrong_type is not None:
            is_wrong[rows] = column.wrong_type
        first_row = rows.stop
    return Numbers(values=values, nulls=np.flatnonzero(is_null), wrong_type=is_wrong)


def _level_grid(parts: Sequence[Levels]) -> LevelGrid:
    # Levels that occur, most frequent first, then by name.
    rows_by_level: dict[str, int] = {}
    for part in parts:
        valid_codes = part.codes[part.codes >= 0]
        for level, n_rows in zip(
            part.levels, np.bincount(valid_codes, minlength=len(part.levels)).tolist(), strict=True
        ):
            if n_rows:
                rows_by_level[level] = rows_by_level.get(level, 0) + n_rows
    return LevelGrid(levels=tuple(sorted(rows_by_level, key=lambda level: (-rows_by_level[level], level))))


def _exact_cells(
    reference_numbers: Numbers, current_numbers: Numbers
) -> tuple[NumericGrid, tuple[Counts, Counts]]:
    distinct_values = [_distinct_values(reference_numbers), _distinct_values(current_numbers)]
    edges = np.union1d(distinct_values[0][0], distinct_values[1][0])
    if len(edges) > MAX_EXACT_VALUES:
        grid_values = _non_nan_values(reference_numbers)
        grid = numeric_grid(grid_values, quantile_edges=COARSE_EDGES)
        return grid, (Counts.from_column(grid, reference_numbers), Counts.from_column(grid, current_numbers))
    reference_values = distinct_values[0][0]
    first = int(np.searchsorted(edges, reference_values[0])) if len(reference_values) else 0
    last = int(np.searchsorted(edges, reference_values[-1])) if len(reference_values) else -1
    grid = NumericGrid(edges=edges, first=first, last=last, exact=True)
    counts = []
    for numbers, (values, rows) in zip((reference_numbers, current_numbers), distinct_values, strict=True):
        cells = np.zeros(grid.n_cells, dtype=np.int64)
        cells[2 * np.searchsorted(edges, values) + 1] = rows
        special_numbers = numbers.take(np.flatnonzero(~np.isfinite(numbers.values_with_nan())))
        # Counts of special values are the same on any grid, and cheap on a small one.
        counts.append(
            Counts(cells=cells, special=Counts.from_column(_ONE_EDGE_GRID, special_numbers).special)
        )
    return grid, (counts[0], counts[1])


def _non_nan_values(numbers: Numbers) -> Float64Array:
    values = numbers.values_with_nan()
    return values[~np.isnan(values)].astype(np.float64)


def _distinct_values(numbers: Numbers) -> tuple[Float64Array, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    values, rows = np.unique(numbers.values_with_nan() + 0.0, return_counts=True, equal_nan=True)
    is_number = ~np.isnan(values)
    return values[is_number].astype(np.float64), rows[is_number].astype(np.int64)


def compare_jointly(
    reference_table: pa.Table,
    current_table: pa.Table,
    columns: Sequence[Column],
    detectors: Sequence[JointDetector],
    seed: int,
) -> tuple[Statistic, ...]:
    """Run the joint detectors on a uniform row sample of each side, with the shared columns."""
    from driftwatch.reference.choose_projection import choose_projection
    from driftwatch.reference.joint import joint_null

    shared_columns = tuple(column for column in columns if column.name in current_table.column_names)
    batches = [
        _sample_rows(table, shared_columns, (seed, number))
        for number, table in enumerate((reference_table, current_table))
    ]
    grids: dict[str, Grid] = {}
    for column in shared_columns:
        values = batches[0].columns[column.name]
        if isinstance(values, Levels):
            grids[column.name] = _level_grid([values])
        else:
            grids[column.name] = numeric_grid(_non_nan_values(values))
    plan = Plan(columns=shared_columns, grids=grids, sample_rows=MAX_JOINT_ROWS, fingerprint="compare")
    summaries = [Summary.from_batch(plan, batch, NO_SPAN) for batch in batches]
    sample = summaries[0].sample or RowSample.zero(len(shared_columns))
    projection = choose_projection(shared_columns, grids, sample, seed)
    plan = replace(plan, projection=projection)
    reference = replace(
        _make_reference(plan, summaries[0].seal(plan), f"compare:{seed}"),
        joint=None if projection is None else joint_null(projection, sample, seed + 1),
    )
    window = summaries[1].seal(plan)
    return tuple(_measure_jointly(detector, reference, window) for detector in detectors)


def _measure_jointly(detector: JointDetector, reference: Reference, window: Summary) -> Statistic:
    rows = detector.max_sample_rows
    if rows is not None:
        reference = replace(reference, summary=_subsample(reference.summary, rows))
        window = _subsample(window, rows)
    return detector.measure(ReferenceContext(reference).window(window))


def _subsample(summary: Summary, rows: int) -> Summary:
    if summary.sample is None:
        return summary
    empty_sample = RowSample.zero(summary.sample.rows.shape[1], rows)
    return replace(summary, sample=summary.sample + empty_sample)


def _sample_rows(table: pa.Table, columns: Sequence[Column], seed: tuple[int, int]) -> Batch:
    rows = np.arange(table.num_rows)
    if table.num_rows > MAX_JOINT_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(table.num_rows, MAX_JOINT_ROWS, replace=False))
    sampled_table = table.select([column.name for column in columns]).take(rows).combine_chunks()
    batches = sampled_table.to_batches()
    if not batches:
        import pyarrow as pa

        batches = [pa.RecordBatch.from_pylist([], schema=sampled_table.schema)]
    return encode_rows(batches[0], columns, (), seed[0])
