"""A window with the reference it is compared with, and the arrays that detectors derive from both."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from driftwatch.core.arrays import Int64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.detectors._support.cell_arrays import ReferenceCells, WindowCells
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

T = TypeVar("T")


class LeftOut:
    """The columns of open incidents, which joint detectors leave out: they would hide all others."""

    __slots__ = ("blocks", "columns", "memo", "slot")

    def __init__(
        self,
        columns: frozenset[str],
        slot: int = 0,
        blocks: Callable[[], Iterable[Summary]] = tuple,
        memo: Memo = NO_MEMO,
    ) -> None:
        self.columns = columns
        #: The season slot, and the reference's blocks of it, which tell what is usual without these columns.
        self.slot = slot
        self.blocks = blocks
        #: For what follows from reference, columns and slot.
        self.memo = memo


NOTHING_LEFT_OUT = LeftOut(frozenset())


class ReferenceContext:
    """A reference and what is derived from it alone, for many windows; about three times its size."""

    __slots__ = ("memo", "reference")

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.memo = Memo()

    def window(self, window: Summary, left_out: LeftOut = NOTHING_LEFT_OUT) -> WindowContext:
        return WindowContext(self, window, left_out)

    @property
    def cells(self) -> ReferenceCells:
        return self.memo.get("cells", self._cells)

    def _cells(self) -> ReferenceCells:
        plan = self.reference.plan
        ordered = [item.name for item in plan.columns if isinstance(plan.grids[item.name], NumericGrid)]
        return ReferenceCells.from_reference(self.reference, ordered)

    def rows_of(self, names: tuple[str, ...]) -> Int64Array:
        """Return each column's row in ``cells``, -1 for a column of levels."""
        return self.memo.get(("rows", names), lambda: self.cells.rows_of(names))


class WindowContext:
    """One window. Whoever evaluates it creates the context, hands it to detectors and drops it."""

    __slots__ = ("left_out", "memo", "reference_context", "window")

    def __init__(
        self, reference_context: ReferenceContext, window: Summary, left_out: LeftOut = NOTHING_LEFT_OUT
    ) -> None:
        self.reference_context = reference_context
        self.window = window
        self.left_out = left_out
        self.memo = Memo()

    @property
    def reference(self) -> Reference:
        return self.reference_context.reference

    @property
    def cells(self) -> WindowCells:
        """Cell counts of all ordered columns."""
        return self.memo.get("cells", self._cells)

    def _cells(self) -> WindowCells:
        reference = self.reference_context.cells
        counts = ColumnCounts.from_mapping(self.window.counts)
        positions = self.reference_context.memo.last(
            "positions",
            (counts.layout.names, counts.layout.sizes),
            lambda: counts.cell_positions(reference.row_by_name, reference.cells.shape[1]),
        )
        cumulative = counts.cumulative(positions)
        return WindowCells(reference=reference, window_cumulative=cumulative, m=cumulative[:, -1].copy())

    def once(self, key: Hashable, compute: Callable[[WindowContext], T]) -> T:
        """Return ``compute(self)``, computed once for this window; ``key`` is that of the function alone."""
        return self.memo.get(_full_key(compute, key), lambda: compute(self))

    def once_for_reference(self, key: Hashable, compute: Callable[[ReferenceCells], T]) -> T:
        """Return what ``compute`` derives from the reference's cells, computed once for all windows."""
        context = self.reference_context
        return context.memo.get(_full_key(compute, key), lambda: compute(context.cells))

    def comparable_columns(self, names: Sequence[str]) -> tuple[tuple[str, ...], Int64Array]:
        """Return the ordered columns with a value on both sides, and their rows in ``cells``."""
        return self.memo.get(("comparable", tuple(names)), lambda: _comparable_columns(self.cells, names))


def _full_key(compute: Callable[..., object], key: Hashable) -> Hashable:
    # Detectors of other packages choose keys of their own.
    return compute.__module__, compute.__qualname__, key


def _comparable_columns(cells: WindowCells, names: Sequence[str]) -> tuple[tuple[str, ...], Int64Array]:
    row_by_name, is_comparable = cells.reference.row_by_name, ((cells.n > 0) & (cells.m > 0)).tolist()
    columns = tuple(name for name in names if is_comparable[row_by_name[name]])
    return columns, cells.reference.rows_of(columns)
