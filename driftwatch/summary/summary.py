"""The mergeable summary of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array, UInt64Array
from driftwatch.core.schema import Column, Span
from driftwatch.errors import SummaryMismatch
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.named_rows import NamedColumns, NamedRows, add_named, sealed, unseen_levels
from driftwatch.summary.plan import Plan
from driftwatch.summary.projection import Sums
from driftwatch.summary.sample import RowSample, smallest_hashes

T = TypeVar("T")
#: Calls ``work`` on parts of ``range(count)``, possibly in parallel, and returns the results.
ParallelMap = Callable[[Callable[[Iterable[int]], T], int], list[T]]


def serial_map(work: Callable[[Iterable[int]], T], count: int) -> list[T]:
    return [work(range(count))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Summary of the rows of one span; it can be added only to summaries of the same plan.

    Open summaries (``sample`` set) add exactly, for any split and order of rows; sealed ones (``sums`` set)
    add in time order.
    """

    plan: str
    span: Span
    rows: int
    counts: Mapping[str, Counts]
    sample: RowSample | None = None
    sums: Sums | None = None
    #: Rows of values without a cell, for texts.
    named: NamedColumns = field(default_factory=dict)

    @classmethod
    def zero(cls, plan: Plan, span: Span) -> Summary:
        return cls(
            plan=plan.fingerprint,
            span=span,
            rows=0,
            counts=ColumnCounts.from_mapping(
                {column.name: Counts.zero(plan.grids[column.name]) for column in plan.columns}
            ),
            sample=RowSample.zero(len(plan.columns), plan.sample_rows) if plan.sample_rows else None,
        )

    @classmethod
    def from_batch(
        cls,
        plan: Plan,
        batch: Batch,
        span: Span,
        parallel_map: ParallelMap[dict[str, Counts]] = serial_map,
        max_hash: np.uint64 | None = None,
    ) -> Summary:
        """Summarise a batch, with one sort per numeric column and one ``bincount`` per other.

        ``parallel_map`` splits the columns over threads, with the same result. ``max_hash`` is that of the
        sample to which this one will be added.
        """

        def count(columns: Iterable[Column]) -> dict[str, Counts]:
            buffer = np.empty(batch.rows)
            counts_by_name = {}
            for column in columns:
                grid, values = plan.grids[column.name], batch.columns.get(column.name)
                counts_by_name[column.name] = (
                    Counts.from_absent(grid, batch.rows)
                    if values is None
                    else Counts.from_column(grid, values, buffer)
                )
            return counts_by_name

        # Sorting releases the GIL and runs in threads; counting levels holds it, so it stays on one thread.
        ordered = [column for column in plan.columns if column.kind.ordered]
        counts = count(column for column in plan.columns if not column.kind.ordered)
        for part in parallel_map(
            lambda positions: count(ordered[position] for position in positions), len(ordered)
        ):
            counts |= part
        names = [column.name for column in plan.columns]
        return cls(
            plan=plan.fingerprint,
            span=span,
            rows=batch.rows,
            counts=ColumnCounts.from_mapping({name: counts[name] for name in names}),
            sample=None
            if batch.content_hashes is None
            else _sample(plan, batch, batch.content_hashes, max_hash),
            named=_unseen_levels(plan, batch, counts),
        )

    def seal(self, plan: Plan) -> Summary:
        """Close a complete tile: add the sums of its sample, which itself stays until ``drop_sample``, and
        keep only the largest of the values without a cell.
        """
        named = sealed(self.named, plan.grids, ColumnCounts.from_mapping(self.counts), self.sample)
        if self.sample is None or plan.projection is None:
            return replace(self, named=named)
        return replace(self, named=named, sums=Sums.from_sample(plan.projection, self.sample))

    def drop_sample(self) -> Summary:
        return replace(self, sample=None)

    def __add__(self, right: Summary) -> Summary:
        self._check(right)
        return Summary(
            plan=self.plan,
            span=Span(start=min(self.span.start, right.span.start), end=max(self.span.end, right.span.end)),
            rows=self.rows + right.rows,
            counts=ColumnCounts.from_mapping(self.counts) + ColumnCounts.from_mapping(right.counts),
            sample=None if self.sample is None or right.sample is None else self.sample + right.sample,
            sums=None if self.sums is None or right.sums is None else self.sums + right.sums,
            named=add_named([self.named, right.named]),
        )

    def __sub__(self, right: Summary) -> Summary:
        """Subtract counts and sums; the sample and what is named cannot be subtracted and are dropped."""
        self._check(right)
        return Summary(
            plan=self.plan,
            span=self.span,
            rows=self.rows - right.rows,
            counts=ColumnCounts.from_mapping(self.counts) - ColumnCounts.from_mapping(right.counts),
            sums=None if self.sums is None or right.sums is None else self.sums - right.sums,
        )

    def _check(self, right: Summary) -> None:
        if self.plan != right.plan:
            raise SummaryMismatch(
                f"a summary on plan {self.plan[:12]} cannot be combined with one on plan {right.plan[:12]}: "
                "their cells differ."
            )


def total(summaries: Iterable[Summary]) -> Summary:
    # Float sums depend on the order: tiles are added in time order.
    ordered = sorted(summaries, key=lambda summary: (summary.span.start, summary.span.end))
    first = ordered[0]
    if len(ordered) == 1:
        return first
    for part in ordered[1:]:
        first._check(part)
    samples, sums = [item.sample for item in ordered], [item.sums for item in ordered]
    return Summary(
        plan=first.plan,
        span=Span(start=first.span.start, end=max(item.span.end for item in ordered)),
        rows=sum(item.rows for item in ordered),
        counts=ColumnCounts.total([ColumnCounts.from_mapping(item.counts) for item in ordered]),
        sample=reduce(add, samples) if all(item is not None for item in samples) else None,
        sums=reduce(add, sums) if all(item is not None for item in sums) else None,
        named=add_named([item.named for item in ordered]),
    )


def _unseen_levels(plan: Plan, batch: Batch, counts: Mapping[str, Counts]) -> NamedColumns:
    levels: dict[str, NamedRows] = {}
    for name, column in batch.columns.items():
        grid = plan.grids.get(name)
        if isinstance(grid, LevelGrid) and isinstance(column, Levels) and counts[name].cells[-1]:
            levels[name] = unseen_levels(grid, column)
    return levels


def _sample(plan: Plan, batch: Batch, content_hashes: UInt64Array, max_hash: np.uint64 | None) -> RowSample:
    hashes, weights, positions = smallest_hashes(content_hashes, plan.sample_rows, max_hash)
    return RowSample(
        hashes=hashes, weights=weights, rows=_sample_rows(plan, batch, positions), limit=plan.sample_rows
    )


def _sample_rows(plan: Plan, batch: Batch, positions: Int64Array) -> Float64Array:
    rows = np.full((len(positions), len(plan.columns)), np.nan)
    is_null = np.zeros(batch.rows, dtype=bool)
    for index, name in enumerate(column.name for column in plan.columns):
        column, grid = batch.columns.get(name), plan.grids[name]
        if isinstance(column, Numbers):
            rows[:, index] = column.values[positions]
            if column.nulls is not None:
                is_null[column.nulls] = True
                rows[is_null[positions], index] = np.nan
                is_null[column.nulls] = False
        elif isinstance(column, Levels):
            if not isinstance(grid, LevelGrid):
                raise SummaryMismatch(f"column {name!r} has levels, but its grid is numeric.")
            cells = grid.index(column.take(positions))
            rows[:, index] = np.where(cells < 0, np.nan, cells)
    # One zero and one NaN, so that equal rows are equal bit by bit.
    rows += 0.0
    rows[np.isnan(rows)] = np.nan
    return rows
