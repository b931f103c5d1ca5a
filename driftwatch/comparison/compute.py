"""Selects a comparison's columns and counts both samples on shared cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from driftwatch.charts.bars import column_bars
from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.arrow.type_names import type_name
from driftwatch.columns.infer import find_time_column, infer
from driftwatch.columns.profile import Profile
from driftwatch.columns.set_aside import set_aside_lines
from driftwatch.comparison.minimum_effect import column_detectors_within, joint_is_beyond
from driftwatch.comparison.result import ColumnComparison
from driftwatch.core import plugins
from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Column, Kind, Role, Span, TypeChange
from driftwatch.core.spellings import Form, rounded
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
from driftwatch.errors import ConfigError, NoFeatures
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


@dataclass(frozen=True, slots=True, kw_only=True)
class JointComparison:
    statistics: tuple[Statistic, ...] = ()
    #: Detectors whose difference is not worth knowing.
    within_minimum: frozenset[str] = frozenset()


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
    inferred_columns: Sequence[Column], columns: ColumnSelection
) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Return the columns to compare, and the other ones. Raises ``NoFeatures`` without any to compare."""
    selected_columns = [column for column in inferred_columns if columns is None or column.name in columns]
    compared_columns = tuple(
        column for column in selected_columns if column.role.watched and column.unwatched is None
    )
    ignored_columns = tuple(column for column in selected_columns if column not in compared_columns)
    if not compared_columns:
        raise NoFeatures(
            "expected at least one column that can be compared. Got none ("
            + "; ".join(set_aside_lines(ignored_columns) or ("the reference has no other column",))
            + "). Name columns to compare, with their kind."
        )
    return compared_columns, ignored_columns


def changed_types(
    reference_table: pa.Table, current_table: pa.Table, columns: Sequence[Column]
) -> tuple[TypeChange, ...]:
    """Return the columns whose values came in another type; an all-null column has none."""
    current_types = dict(zip(current_table.schema.names, current_table.schema.types, strict=True))
    reference_types = dict(zip(reference_table.schema.names, reference_table.schema.types, strict=True))
    changes = []
    for column in columns:
        if column.name in current_types:
            names = type_name(reference_types[column.name]), type_name(current_types[column.name])
            if names[0] is not None and names[1] is not None and names[0] != names[1]:
                changes.append(TypeChange(column=column.name, reference=names[0], window=names[1]))
    return tuple(changes)


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
    if not _has_column(current_table, column.name):
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
        within_minimum=column_detectors_within(pair, detectors),
    )


def missing_share(counts: Counts) -> float | None:
    """Return the share of rows without a value, or None if there are no rows."""
    return counts.missing / counts.rows if counts.rows else None


def _make_reference(plan: Plan, summary: Summary, fingerprint: str) -> Reference:
    return Reference(
        monitor="compare", plan=plan, summary=summary, fingerprint=fingerprint, provenance=_NO_PROVENANCE
    )


def _has_column(table: pa.Table, name: str) -> bool:
    # The list of all names would be made anew for every column.
    return bool(table.schema.get_all_field_indices(name))


def _encode_column(table: pa.Table, column: Column) -> list[Numbers | Levels]:
    if not _has_column(table, column.name):
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
    values = np.concatenate([column.values for column in numbers] or [np.empty(0)])
    is_null, is_wrong = np.zeros((2, len(values)), dtype=bool)
    first_row = 0
    for column in numbers:
        rows = slice(first_row, first_row + len(column.values))
        if column.nulls is not None:
            is_null[rows][column.nulls] = True
        if column.wrong_type is not None:
            is_wrong[rows] = column.wrong_type
        first_row = rows.stop
    is_half = bool(numbers) and all(column.half for column in numbers)
    return Numbers(values=values, nulls=np.flatnonzero(is_null), wrong_type=is_wrong, half=is_half)


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
    levels = tuple(sorted(rows_by_level, key=lambda level: (-rows_by_level[level], level)))
    forms = [part.form for part in parts if len(part.levels)]
    return LevelGrid(levels=levels, form=min(forms, key=list(Form).index) if forms else Form.TEXT)


def _exact_cells(
    reference_numbers: Numbers, current_numbers: Numbers
) -> tuple[NumericGrid, tuple[Counts, Counts]]:
    precision = min(reference_numbers.precision, current_numbers.precision, key="efd".index)
    distinct_values = [
        _distinct_values(numbers, precision) for numbers in (reference_numbers, current_numbers)
    ]
    edges = np.union1d(distinct_values[0][0], distinct_values[1][0])
    if len(edges) > MAX_EXACT_VALUES:
        grid_values = _non_nan_values(reference_numbers)
        grid = numeric_grid(rounded(grid_values, precision), quantile_edges=COARSE_EDGES)
        grid = replace(grid, precision=precision)
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


def _distinct_values(
    numbers: Numbers, precision: str
) -> tuple[Float64Array, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    values = rounded(numbers.values_with_nan() + 0.0, precision)
    values, rows = np.unique(values, return_counts=True, equal_nan=True)
    is_number = ~np.isnan(values)
    return values[is_number].astype(np.float64), rows[is_number].astype(np.int64)


def compare_jointly(
    reference_table: pa.Table,
    current_table: pa.Table,
    columns: Sequence[Column],
    detectors: Sequence[JointDetector],
    seed: int,
) -> JointComparison:
    """Run the joint detectors on a uniform row sample of each side, with the shared columns."""
    from driftwatch.reference.choose_projection import choose_projection
    from driftwatch.reference.joint import joint_null

    current_names = frozenset(current_table.column_names)
    shared_columns = tuple(column for column in columns if column.name in current_names)
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
    # Nothing is left out of a comparison.
    projection = None if projection is None else projection.whole
    plan = replace(plan, projection=projection)
    reference = replace(
        _make_reference(plan, summaries[0].seal(plan), f"compare:{seed}"),
        joint=None if projection is None else joint_null(projection, sample, seed + 1),
    )
    window = summaries[1].seal(plan)
    contexts = [_joint_context(detector, reference, window) for detector in detectors]
    return measure_jointly(detectors, contexts)


def measure_jointly(detectors: Sequence[JointDetector], contexts: Sequence[WindowContext]) -> JointComparison:
    pairs = list(zip(detectors, contexts, strict=True))
    return JointComparison(
        statistics=tuple(detector.measure(context) for detector, context in pairs),
        within_minimum=frozenset(
            detector.name for detector, context in pairs if not joint_is_beyond(context, detector)
        ),
    )


def _joint_context(detector: JointDetector, reference: Reference, window: Summary) -> WindowContext:
    rows = detector.max_sample_rows
    if rows is not None:
        reference = replace(reference, summary=_subsample(reference.summary, rows))
        window = _subsample(window, rows)
    return ReferenceContext(reference).window(window)


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
