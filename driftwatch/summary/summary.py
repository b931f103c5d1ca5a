"""The mergeable summary of some rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Any, TypeVar

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array, UInt64Array
from driftwatch.core.schema import Column, Span
from driftwatch.errors import SummaryMismatch
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.plan import Plan
from driftwatch.summary.projection import Sums
from driftwatch.summary.sample import RowSample, smallest

T = TypeVar("T")
#: Has work done on the numbers below a count, in shares: one, or some that threads do beside each other.
Shares = Callable[[Callable[[Iterable[int]], T], int], list[T]]


def alone(work: Callable[[Iterable[int]], T], count: int) -> list[T]:
    """All of it in one share."""
    return [work(range(count))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is kept of the rows of one span.

    Open (``sample`` set): parts add exactly, for any split and order. Sealed (``sums`` set): tiles add
    in time order. Adds only to a summary of the same plan.
    """

    plan: str
    span: Span
    rows: int
    counts: Mapping[str, Counts]
    sample: RowSample | None = None
    sums: Sums | None = None
    worked: dict[Hashable, Any] | None = field(default=None, compare=False, repr=False)

    def with_room(self) -> Summary:
        """The same, with room for what several detectors work out of it; it goes when this copy does."""
        return replace(self, worked={})

    @classmethod
    def zero(cls, plan: Plan, span: Span) -> Summary:
        """Summary of no rows."""
        return cls(
            plan=plan.fingerprint,
            span=span,
            rows=0,
            counts=ColumnCounts.of(
                {column.name: Counts.zero(plan.grids[column.name]) for column in plan.columns}
            ),
            sample=RowSample.zero(len(plan.columns), plan.sample_rows) if plan.sample_rows else None,
        )

    @classmethod
    def of(
        cls,
        plan: Plan,
        batch: Batch,
        span: Span,
        shares: Shares[dict[str, Counts]] = alone,
        upto: np.uint64 | None = None,
    ) -> Summary:
        """Summarise rows in memory. Cost: one sort per numeric column, one ``bincount`` per other.

        ``shares`` splits the columns over threads: the result is the same. ``upto`` is that of the sample
        that this one's will be added to.
        """

        def count(columns: Iterable[Column]) -> dict[str, Counts]:
            room = np.empty(batch.rows)
            found = {}
            for column in columns:
                grid, values = plan.grids[column.name], batch.columns.get(column.name)
                found[column.name] = (
                    Counts.of_absent(grid, batch.rows) if values is None else Counts.of(grid, values, room)
                )
            return found

        # Sorts run beside each other; counting levels keeps the interpreter, and who waits for it costs more.
        ordered = [column for column in plan.columns if column.kind.ordered]
        counts = count(column for column in plan.columns if not column.kind.ordered)
        for part in shares(lambda places: count(ordered[at] for at in places), len(ordered)):
            counts |= part
        names = [column.name for column in plan.columns]
        return cls(
            plan=plan.fingerprint,
            span=span,
            rows=batch.rows,
            counts=ColumnCounts.of({name: counts[name] for name in names}),
            sample=None if batch.content is None else _sample(plan, batch, batch.content, upto),
        )

    def seal(self, plan: Plan) -> Summary:
        """Compute the sums of the sample. The sample stays until ``drop_sample``."""
        if self.sample is None or plan.projection is None:
            return self
        return replace(self, sums=Sums.of(plan.projection, self.sample))

    def drop_sample(self) -> Summary:
        """The summary without any row in it."""
        return replace(self, sample=None)

    def __add__(self, other: Summary) -> Summary:
        self._check(other)
        return Summary(
            plan=self.plan,
            span=Span(start=min(self.span.start, other.span.start), end=max(self.span.end, other.span.end)),
            rows=self.rows + other.rows,
            counts=ColumnCounts.of(self.counts) + ColumnCounts.of(other.counts),
            sample=None if self.sample is None or other.sample is None else self.sample + other.sample,
            sums=None if self.sums is None or other.sums is None else self.sums + other.sums,
        )

    def __sub__(self, other: Summary) -> Summary:
        """The summary without the rows of ``other``; the sample cannot be taken back and is dropped."""
        self._check(other)
        return Summary(
            plan=self.plan,
            span=self.span,
            rows=self.rows - other.rows,
            counts=ColumnCounts.of(self.counts) - ColumnCounts.of(other.counts),
            sums=None if self.sums is None or other.sums is None else self.sums - other.sums,
        )

    def _check(self, other: Summary) -> None:
        if self.plan != other.plan:
            raise SummaryMismatch(
                f"a summary on plan {self.plan[:12]} cannot be combined with one on plan {other.plan[:12]}: "
                "their cells differ."
            )


def total(summaries: Iterable[Summary]) -> Summary:
    """Sum of one or more summaries, added in time order."""
    ordered = sorted(summaries, key=lambda summary: (summary.span.start, summary.span.end))
    first = ordered[0]
    if len(ordered) == 1:
        return first
    for other in ordered[1:]:
        first._check(other)
    samples, sums = [item.sample for item in ordered], [item.sums for item in ordered]
    return Summary(
        plan=first.plan,
        span=Span(start=first.span.start, end=max(item.span.end for item in ordered)),
        rows=sum(item.rows for item in ordered),
        counts=ColumnCounts.total([ColumnCounts.of(item.counts) for item in ordered]),
        sample=reduce(add, samples) if all(item is not None for item in samples) else None,
        sums=reduce(add, sums) if all(item is not None for item in sums) else None,
    )


def _sample(plan: Plan, batch: Batch, content: UInt64Array, upto: np.uint64 | None) -> RowSample:
    hashes, weights, places = smallest(content, plan.sample_rows, upto)
    return RowSample(hashes=hashes, weights=weights, rows=_rows(plan, batch, places), limit=plan.sample_rows)


def _rows(plan: Plan, batch: Batch, places: Int64Array) -> Float64Array:
    """What the sample keeps of these rows."""
    rows = np.full((len(places), len(plan.columns)), np.nan)
    null = np.zeros(batch.rows, dtype=bool)
    for position, name in enumerate(column.name for column in plan.columns):
        column, grid = batch.columns.get(name), plan.grids[name]
        if isinstance(column, Numbers):
            rows[:, position] = column.values[places]
            if column.nulls is not None:
                null[column.nulls] = True
                rows[null[places], position] = np.nan
                null[column.nulls] = False
        elif isinstance(column, Levels):
            if not isinstance(grid, LevelGrid):
                raise SummaryMismatch(f"column {name!r} has levels, but its grid is numeric.")
            cells = grid.index(column.take(places))
            rows[:, position] = np.where(cells < 0, np.nan, cells)
    # One zero and one NaN, so that equal rows are equal in every bit.
    rows += 0.0
    rows[np.isnan(rows)] = np.nan
    return rows
