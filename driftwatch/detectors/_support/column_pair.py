"""One column beside its reference: what a detector looks at.

The ordered cells of a grid with ``k`` edges alternate gap, point, gap, ..., gap. In their cumulative sum an
even index ``2i`` therefore holds the rows below edge ``i`` and an odd index ``2i + 1`` those at or below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Column
from driftwatch.detectors._support.cell_arrays import ReferenceCells, WindowCells
from driftwatch.summary.column_counts import specials
from driftwatch.summary.counts import MISSING, WRONG_TYPE
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

T = TypeVar("T")

#: A cell expected to hold fewer rows of the smaller sample is pooled (Cochran 1954).
RARE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """One column on both sides: cells ``reference`` of ``n`` rows with a value, ``window`` of ``m``.

    An ordered column is row ``row`` of ``sides``.
    """

    column: Column
    grid: Grid
    reference: Int64Array
    window: Int64Array
    n: int
    m: int
    ordered: WindowCells | None = None
    row: int = 0

    @property
    def empty(self) -> str:
        """Why nothing can be compared; empty when it can."""
        return nothing_in(self.n, self.m)

    @property
    def sides(self) -> WindowCells:
        """The ordered columns that this one is worked out with."""
        if self.ordered is None:
            raise TypeError(f"column {self.column.name!r} has levels, not edges.")
        return self.ordered

    @property
    def edges(self) -> Float64Array:
        """Edges of an ordered column."""
        if not isinstance(self.grid, NumericGrid):
            raise TypeError(f"column {self.column.name!r} has levels, not edges.")
        return self.grid.edges

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels of a categorical column."""
        if not isinstance(self.grid, LevelGrid):
            raise TypeError(f"column {self.column.name!r} has edges, not levels.")
        return self.grid.levels


def nothing_in(n: int, m: int) -> str:
    """Which side of ``n`` and ``m`` rows with a value has none; empty when both have some."""
    if not n:
        return "the reference has no row with a value"
    return "" if m else "the window has no row with a value"


def pair(reference: Reference, window: Summary, column: str | None) -> Pair:
    """Both sides of one column. Raises ``KeyError`` for a column the plan does not watch.

    In a window that has room for it all columns are paired at once.
    """
    if column is None:
        raise KeyError("this detector looks at one column, got None")
    if window.worked is None:
        return _pairs(reference, window, [reference.plan.column(column)])[column]
    found: Pair = _kept(
        window, "pairs", reference, lambda: _pairs(reference, window, reference.plan.columns)
    )[column]
    return found


def _kept(summary: Summary, key: str, reference: Reference, make: Callable[[], T]) -> T:
    """What ``make`` gives for a summary with room beside that reference, worked out at the first asking."""
    room = {} if summary.worked is None else summary.worked
    sides = reference.summary.counts, summary.counts
    found = room.get(key)
    # The sides are kept too: a copy with other counts may have come by the same room.
    if found is None or found[0] is not sides[0] or found[1] is not sides[1]:
        found = room[key] = (*sides, make())
    made: T = found[2]
    return made


def sides_of(reference: Reference, window: Summary, names: Sequence[str]) -> WindowCells:
    """The ordered ones of these columns; in a window that has room for it all there are, worked out once."""
    if window.worked is None:
        return WindowCells.of(ReferenceCells.of(reference, _ordered(reference, names)), window)
    return _kept(window, "sides", reference, lambda: WindowCells.of(_before(reference), window))


def _before(reference: Reference) -> ReferenceCells:
    names = [column.name for column in reference.plan.columns]
    return _kept(
        reference.summary,
        "before",
        reference,
        lambda: ReferenceCells.of(reference, _ordered(reference, names)),
    )


def _ordered(reference: Reference, names: Sequence[str]) -> list[str]:
    return [name for name in names if isinstance(reference.plan.grids[name], NumericGrid)]


def tallies(
    reference: Reference, window: Summary, names: tuple[str, ...], sides: WindowCells
) -> tuple[Int64Array, Int64Array]:
    """Missing and all rows ``[2, k]`` of these columns, of the reference and of the window."""
    rows = sides.before.places(names)
    usual = sides.before.kept("tally", names, lambda: _tally(reference.summary, names, rows, sides.n))
    return usual, _tally(window, names, rows, sides.m)


def _tally(side: Summary, names: tuple[str, ...], rows: Int64Array, ordered: Int64Array) -> Int64Array:
    special = specials(side.counts, names)
    if rows.min(initial=0) >= 0:
        valued = ordered[rows]
    else:
        known = zip(names, rows.tolist(), strict=True)
        valued = np.array([ordered[row] if row >= 0 else side.counts[name].present for name, row in known])
    missing = special[:, MISSING].sum(axis=1)
    return np.stack([missing, valued + missing + special[:, WRONG_TYPE]])


def filled(sides: WindowCells, names: Sequence[str]) -> tuple[tuple[str, ...], Int64Array]:
    """Those of the columns that have rows with a value on both sides, and their rows of the sides."""
    return sides.once(("filled", tuple(names)), lambda one: _filled(one, names))


def _filled(sides: WindowCells, names: Sequence[str]) -> tuple[tuple[str, ...], Int64Array]:
    rows, some = sides.before.rows, ((sides.n > 0) & (sides.m > 0)).tolist()
    found = tuple(name for name in names if some[rows[name]])
    return found, np.array([rows[name] for name in found], dtype=np.int64)


def _pairs(reference: Reference, window: Summary, columns: Sequence[Column]) -> dict[str, Pair]:
    sides = sides_of(reference, window, [column.name for column in columns])
    return {column.name: paired(reference, window, column, sides) for column in columns}


def paired(reference: Reference, window: Summary, column: Column, sides: WindowCells) -> Pair:
    """Both sides of one column, whose row of ``sides`` is known when it is ordered."""
    before, after = (side.counts[column.name].cells for side in (reference.summary, window))
    row = sides.before.rows.get(column.name)
    return Pair(
        column=column,
        grid=reference.plan.grids[column.name],
        reference=before,
        window=after,
        n=int(before.sum() if row is None else sides.n[row]),
        m=int(after.sum() if row is None else sides.m[row]),
        ordered=None if row is None else sides,
        row=row or 0,
    )


def pooled(both: Pair) -> tuple[Int64Array, Int64Array]:
    """Levels with rare ones pooled, by counts of both sides together, so that neither side is favoured.

    Rare levels and unseen ones share one cell: which levels are unseen is the reference's doing, and only
    together with the rare is their share the same on both sides when nothing changed. When even that
    cell is rare, it joins the least frequent level.
    """
    together = both.reference + both.window
    share = min(both.n, both.m) / (both.n + both.m)
    own = together * share >= RARE
    own[-1] = False
    before = np.append(both.reference[own], both.reference[~own].sum())
    after = np.append(both.window[own], both.window[~own].sum())
    others = int(before[-1] + after[-1])
    if others * share < RARE and len(before) > 1:
        smallest = int(np.argmin(before[:-1] + after[:-1]))
        before[smallest] += before[-1]
        after[smallest] += after[-1]
        before, after = before[:-1], after[:-1]
    return before, after


def angle(count: int, rows: int) -> float:
    """``2 asin sqrt(count / rows)``: its standard error is ``1 / sqrt(rows)`` for rare and frequent alike.

    Source: Anscombe 1948, with his 3/8.

    >>> round(angle(10, 100) - angle(5, 100), 2)
    0.19
    """
    return 2 * math.asin(math.sqrt((count + 0.375) / (rows + 0.75)))


def rare(count: int, rows: int) -> float:
    """``angle`` of rows that most windows have none of; exactly 0 then, however many rows the window has.

    >>> rare(0, 100), round(rare(1, 1000), 3)
    (0.0, 0.074)
    """
    return angle(count, rows) if count else 0.0
