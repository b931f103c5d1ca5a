"""The working of ``compare``: which columns, on which cells, and the joint samples of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from driftwatch.charts.bars import bars_of
from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.infer import find_time, infer
from driftwatch.columns.profile import Profile, Shape
from driftwatch.comparison.result import ColumnComparison
from driftwatch.core import plugins
from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Column, Kind, Role, Span
from driftwatch.detectors.base import Detector
from driftwatch.errors import ConfigError
from driftwatch.results.results import Statistic
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid, numeric_grid
from driftwatch.summary.plan import Plan
from driftwatch.summary.reference import Provenance, Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    import pyarrow as pa

#: Distinct values of both samples up to which an ordered column is counted on all of them.
MOST_VALUES = 2_000_000
#: Edges of a column with more.
COARSE_EDGES = 4_096
#: Rows a side that the joint detectors look at; the exact one, whose cost is quadratic, at fewer.
JOINT_ROWS, EXACT_ROWS = 10_000, 2_000
_ANY = Span(start=0, end=1)
_SMALL = NumericGrid(edges=np.zeros(1), first=0, last=0, exact=True)
_NOWHERE = Provenance(source="", files=0, built_at=0, time_range=None)

#: Names to compare, or names with the kind they are to be taken for.
Chosen = Sequence[str] | Mapping[str, Kind | str] | None


def kinds_of(looked: Profile, time_column: str | None, columns: Chosen) -> tuple[Column, ...]:
    """Kind and role of every column of the reference. Raises ``ConfigError`` for unknown names and kinds."""
    known = tuple(column.name for column in looked.columns)
    named = () if columns is None else tuple(columns)
    problems = [plugins.unknown("column", name, known) for name in named if name not in known]
    if time_column is not None and time_column not in known:
        problems.append("time_column: " + plugins.unknown("column", time_column, known))
    given: dict[str, tuple[Kind | None, Role | None]] = {name: (None, Role.FEATURE) for name in named}
    if isinstance(columns, Mapping):
        kinds = tuple(kind.value for kind in Kind)
        wrong = {name: kind for name, kind in columns.items() if kind not in kinds}
        problems += [
            f"columns: {name}: " + plugins.unknown("kind", str(kind), kinds) for name, kind in wrong.items()
        ]
        given |= {name: (Kind(kind), Role.FEATURE) for name, kind in columns.items() if name not in wrong}
    if problems:
        raise ConfigError(problems)
    return infer(looked, overrides=given, time=find_time(looked, time_column))


def choose(
    found: Sequence[Column], columns: Chosen, looked: Profile, after: pa.Table
) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """What is compared and what is set aside. A constant is compared once the other sample differs."""
    if columns is not None:
        return tuple(column for column in found if column.name in columns), ()
    compared: list[Column] = []
    aside: list[Column] = []
    for column in found:
        watched = column.role.watched or _constant_moved(column, looked, after)
        (compared if watched else aside).append(column)
    return tuple(compared), tuple(aside)


def _constant_moved(column: Column, looked: Profile, after: pa.Table) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = looked.column(column.name)
    if column.role is not Role.IGNORE or known is None or not known.exact or known.distinct != 1:
        return False
    if known.present < known.rows or column.name not in after.column_names or not after.num_rows:
        return False
    if known.shape is Shape.OTHER:
        return False  # its values are not told apart
    before, some = looked.sample[column.name][0].as_py(), after[column.name].slice(0, JOINT_ROWS)
    if pa.types.is_nested(some.type):
        return any(value != before for value in some.to_pylist())
    now = pc.unique(some).to_pylist()
    return bool(now != [before] or pc.count_distinct(after[column.name], mode="all").as_py() > 1)


def encoded(batch: pa.RecordBatch, columns: Sequence[Column], carried: Sequence[str], salt: int) -> Batch:
    """Rows in the form that can be counted; event time is not looked at."""
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
    before: pa.Table, after: pa.Table, column: Column, detectors: Sequence[Detector]
) -> ColumnComparison:
    """Every gauge of one column, on cells that hold every distinct value of both samples."""
    left, right = _column(before, column), _column(after, column)
    grid, counts = _counted(column, left, right)
    if column.name not in after.column_names:
        counts = counts[0], Counts.of_absent(grid, after.num_rows)
    plan = Plan(columns=(column,), grids={column.name: grid}, fingerprint="compare")
    sides = [
        Summary(plan=plan.fingerprint, span=_ANY, rows=table.num_rows, counts={column.name: item})
        for table, item in zip((before, after), counts, strict=True)
    ]
    return measured(_reference(plan, sides[0], "compare"), sides[1], column, detectors)


def measured(
    reference: Reference, window: Summary, column: Column, detectors: Sequence[Detector]
) -> ColumnComparison:
    """Every gauge that fits one column."""
    before, after = reference.summary.counts[column.name], window.counts[column.name]
    return ColumnComparison(
        column=column,
        missing_reference=share_missing(before),
        missing_current=share_missing(after),
        bars=bars_of(reference.plan.grids[column.name], before, after, column.kind),
        statistics=tuple(
            detector.measure(reference, window, column.name)
            for detector in detectors
            if detector.applies(column, reference)
        ),
    )


def share_missing(counts: Counts) -> float | None:
    """Share of rows without a value; None without rows."""
    return counts.missing / counts.rows if counts.rows else None


def _reference(plan: Plan, summary: Summary, fingerprint: str) -> Reference:
    return Reference(
        monitor="compare", plan=plan, summary=summary, fingerprint=fingerprint, provenance=_NOWHERE
    )


def _column(table: pa.Table, column: Column) -> list[Numbers | Levels]:
    if column.name not in table.column_names:
        return []
    parts = table.select([column.name]).combine_chunks().to_batches()
    return [encoded(part, (column,), (), 0).columns[column.name] for part in parts]


def _counted(
    column: Column, left: Sequence[Numbers | Levels], right: Sequence[Numbers | Levels]
) -> tuple[Grid, tuple[Counts, Counts]]:
    if column.kind.ordered:
        return _exact_cells(_together(left), _together(right))
    grid = _level_grid([part for part in left if isinstance(part, Levels)])
    before, after = (
        sum((Counts.of(grid, part) for part in parts), start=Counts.zero(grid)) for parts in (left, right)
    )
    return grid, (before, after)


def _together(parts: Sequence[Numbers | Levels]) -> Numbers:
    numbers = [part for part in parts if isinstance(part, Numbers)]
    if len(numbers) == 1:
        return numbers[0]
    values = np.concatenate([np.empty(0), *(item.values for item in numbers)])
    nulls, wrong = np.zeros((2, len(values)), dtype=bool)
    first = 0
    for item in numbers:
        rows = slice(first, first + len(item.values))
        if item.nulls is not None:
            nulls[rows][item.nulls] = True
        if item.wrong is not None:
            wrong[rows] = item.wrong
        first = rows.stop
    return Numbers(values=values, nulls=np.flatnonzero(nulls), wrong=wrong)


def _level_grid(parts: Sequence[Levels]) -> LevelGrid:
    """All levels of the reference, most frequent first, then by name."""
    rows: dict[str, int] = {}
    for part in parts:
        usable = part.codes[part.codes >= 0]
        for level, number in zip(
            part.levels, np.bincount(usable, minlength=len(part.levels)).tolist(), strict=True
        ):
            if number:
                rows[level] = rows.get(level, 0) + number
    return LevelGrid(levels=tuple(sorted(rows, key=lambda level: (-rows[level], level))))


def _exact_cells(left: Numbers, right: Numbers) -> tuple[NumericGrid, tuple[Counts, Counts]]:
    sides = [_distinct(left), _distinct(right)]
    edges = np.union1d(sides[0][0], sides[1][0])
    if len(edges) > MOST_VALUES:
        usable = _usable(left)
        grid = numeric_grid(usable, quantiles=COARSE_EDGES)
        return grid, (Counts.of(grid, left), Counts.of(grid, right))
    own = sides[0][0]
    first = int(np.searchsorted(edges, own[0])) if len(own) else 0
    last = int(np.searchsorted(edges, own[-1])) if len(own) else -1
    grid = NumericGrid(edges=edges, first=first, last=last, exact=True)
    made = []
    for numbers, (values, rows) in zip((left, right), sides, strict=True):
        cells = np.zeros(grid.cells, dtype=np.int64)
        cells[2 * np.searchsorted(edges, values) + 1] = rows
        odd = numbers.take(np.flatnonzero(~np.isfinite(numbers.marked())))
        # What is special of them is the same on any grid, and cheap on a small one.
        made.append(Counts(cells=cells, special=Counts.of(_SMALL, odd).special))
    return grid, (made[0], made[1])


def _usable(numbers: Numbers) -> Float64Array:
    values = numbers.marked()
    return values[~np.isnan(values)].astype(np.float64)


def _distinct(numbers: Numbers) -> tuple[Float64Array, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    values, rows = np.unique(numbers.marked() + 0.0, return_counts=True, equal_nan=True)
    usable = ~np.isnan(values)
    return values[usable].astype(np.float64), rows[usable].astype(np.int64)


def compare_jointly(
    before: pa.Table, after: pa.Table, columns: Sequence[Column], detectors: Sequence[Detector], seed: int
) -> tuple[Statistic, ...]:
    """The joint gauges over the columns both samples have, on a uniform sample of rows of each."""
    from driftwatch.reference.choose_projection import choose_projection
    from driftwatch.reference.joint import joint_null

    shared = tuple(column for column in columns if column.name in after.column_names)
    batches = [_drawn(table, shared, (seed, side)) for side, table in enumerate((before, after))]
    grids: dict[str, Grid] = {}
    for column in shared:
        values = batches[0].columns[column.name]
        if isinstance(values, Levels):
            grids[column.name] = _level_grid([values])
        else:
            grids[column.name] = numeric_grid(_usable(values))
    plan = Plan(columns=shared, grids=grids, sample_rows=JOINT_ROWS, fingerprint="compare")
    sides = [Summary.of(plan, batch, _ANY) for batch in batches]
    sample = sides[0].sample or RowSample.zero(len(shared))
    projection = choose_projection(shared, grids, sample, seed)
    plan = replace(plan, projection=projection)
    reference = replace(
        _reference(plan, sides[0].seal(plan), f"compare:{seed}"),
        joint=None if projection is None else joint_null(projection, sample, seed + 1),
    )
    window = sides[1].seal(plan)
    small = replace(reference, summary=_smaller(reference.summary))
    return tuple(
        replace(
            detector.measure(small, _smaller(window), None)
            if detector.name == "mmd_exact"
            else detector.measure(reference, window, None),
            column=None,
        )
        for detector in detectors
    )


def _smaller(summary: Summary) -> Summary:
    if summary.sample is None:
        return summary
    zero = RowSample.zero(summary.sample.rows.shape[1], EXACT_ROWS)
    return replace(summary, sample=summary.sample + zero)


def _drawn(table: pa.Table, columns: Sequence[Column], seed: tuple[int, int]) -> Batch:
    rows = np.arange(table.num_rows)
    if table.num_rows > JOINT_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(table.num_rows, JOINT_ROWS, replace=False))
    picked = table.select([column.name for column in columns]).take(rows).combine_chunks()
    batches = picked.to_batches()
    if not batches:
        import pyarrow as pa

        batches = [pa.RecordBatch.from_pylist([], schema=picked.schema)]
    return encoded(batches[0], columns, (), seed[0])
