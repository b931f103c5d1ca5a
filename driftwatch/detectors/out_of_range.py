"""Share of rows outside the reference's range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.detectors._support import column_pair, effects, p_values
from driftwatch.detectors._support.bases import Ordered
from driftwatch.detectors._support.cell_arrays import ReferenceCells, WindowCells
from driftwatch.detectors._support.column_batch import ColumnBatch
from driftwatch.detectors.base import BatchDetector, Detector
from driftwatch.results.gauges import Gauges
from driftwatch.results.streams import Streams
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Share of rows at either end that is nothing to wake somebody for, at the usual ``tolerance``.
TOLERANCE = 0.005
#: An excess of the rows near the ends by less is never evidence: one row in a thousand where there were none.
FLOOR = 0.06
#: Nor are fewer rows outside than one in two hundred, where there were none.
OUTSIDE_FLOOR = 0.14
#: Rows expected near the ends in a usual window from which on their number has a law worth learning.
EXPECTED = 5.0
#: Edges within the range from which on its outermost gaps hold little.
_FEWEST = 64
_LABELS = ("below", "above", "low", "high")


class OutOfRange(BatchDetector, Ordered):
    """Share of the rows with a value below the reference's smallest or above its largest.

    Null hypothesis: reference and window rows come from one distribution.
    Formula: ``outside / rows with a value``. Under the null the two extremes leave two rows in
    ``n + 1`` outside on average (ties: fewer); the p-value is the one-sided conditional test of two Poisson
    rates with these two and one more as the reference's.
    Source: order statistics, David, Nagaraja 2003; Przyborowski, Wilenski 1940.
    False alarms: below nominal for independent rows; trending columns leave the range by themselves.
    Cost: O(cells).
    Example: the end count of Tukey 1959 (Technometrics 1, "A quick, compact, two-sample test") is how many
    values of each sample lie beyond the other one: 5 below and 5 above. (He adds a half each for the ties of
    14.6 and 15.0, which are not beyond: 11 in all.)

    >>> import driftwatch
    >>> a = {"x": [14.7, 15.3, 16.1, 14.9, 15.1, 14.8, 16.7, 17.3, 14.6, 15.0]}
    >>> b = {"x": [13.9, 14.6, 14.2, 15.0, 14.3, 13.8, 14.7, 14.4]}
    >>> for reference, current in ((a, b), (b, a)):
    ...     result = driftwatch.compare(reference, current, detectors=["out_of_range"])
    ...     result.columns[0].statistics[0].value * result.current_rows
    5.0
    5.0
    """

    name = "out_of_range"
    unit = "share of rows"

    def measured(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Gauges:
        """Shares in [0, 1]."""
        beside = ColumnBatch.of(reference, window, columns)
        before, after = _rows_far_out(beside)
        was, now = before[:, :2].sum(axis=1), after[:, :2].sum(axis=1)
        return self.gauges(
            beside,
            now / np.maximum(beside.m, 1),
            p_value=p_values.more_often(2 + was, beside.n, now, beside.m),
            effect=lambda k: _effect(beside, k, before[k].tolist(), after[k].tolist()),
            undefined=beside.empty(),
        )

    def drawn(self, reference: Reference, window: Summary, columns: Sequence[str]) -> Streams:
        """The shares of rows below and above, and of those near the ends: within or beyond the outermost gap.

        Next to nothing is there in the reference, so their tolerance is their own. One score, *outside*, is
        how many are below or above: a few rows every other day are news to a column that never had any.
        Another, *ends*, is the sum of those near the ends, where enough are expected: single days far out are
        ordinary in some columns, and it learns of which.
        """
        sides = column_pair.sides_of(reference, window, columns)
        names, rows = column_pair.filled(sides, columns)
        block_rows = reference.block_rows or 0.0
        usual, used, scored = sides.before.kept(
            self.name, (names, block_rows), lambda: _usual(sides.before, names, rows, block_rows)
        )
        after, m = sides.once("far", _far)[rows], sides.m[rows]
        beyond = sides.once("beyond", _beyond)[rows].sum(axis=1)
        outside = [column_pair.rare(count, of) for count, of in zip(beyond.tolist(), m.tolist(), strict=True)]
        near = zip(after[scored, 2:].sum(axis=1).tolist(), m[scored].tolist(), strict=True)
        ends = [column_pair.angle(count, of) for count, of in near]
        return replace(
            usual,
            successes=after[used],
            trials=np.repeat(m, used.sum(axis=1)),
            value=np.array(outside + ends, dtype=np.float64) - usual.value,
        )


def _usual(
    before: ReferenceCells, names: tuple[str, ...], rows: Int64Array, block_rows: float
) -> tuple[Streams, BoolArray, Int64Array]:
    """What the streams of these columns have in common in every window, which of the four rows they tell of,
    and which columns have a score of their ends; ``value`` is where scores are usually.
    """
    name, far, n = OutOfRange.name, before.once("far", _far_before)[rows], before.n[rows]
    ended = before.once("range", _Range.of).ended[rows]
    used = np.ones(far.shape, dtype=np.bool_)
    used[:, 2:] = ended[:, None]
    near = far[:, 2:].sum(axis=1)
    scored = np.flatnonzero(ended & (near / n * block_rows >= EXPECTED))
    angles = [
        column_pair.angle(count, of)
        for count, of in zip(near[scored].tolist(), n[scored].tolist(), strict=True)
    ]
    usual = Streams(
        looks=tuple((name, column) for column in names),
        share_keys=tuple((name, column, "") for column in names),
        labels=tuple(_LABELS if known else _LABELS[:2] for known in ended.tolist()),
        successes=far[used],
        trials=np.repeat(n, used.sum(axis=1)),
        reference=(far / n[:, None])[used],
        reference_trials=n,
        tolerance=np.full(len(names), TOLERANCE),
        bursts=np.ones(len(names), dtype=np.bool_),
        ordered=np.zeros(len(names), dtype=np.bool_),
        score_keys=(
            *((name, column, "outside") for column in names),
            *((name, names[k], "ends") for k in scored.tolist()),
        ),
        value=np.array([0.0] * len(names) + angles, dtype=np.float64),
        floor=np.repeat([OUTSIDE_FLOOR, FLOOR], [len(names), len(scored)]),
        signed=np.zeros(len(names) + len(scored), dtype=np.bool_),
    )
    return usual, used, scored


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Range:
    """Cells that the reference's range begins and ends in: ``cell[k, 4]`` of cumulative sums, which hold the
    rows below it, up to it, and up to the first and the last but one edge inside it; columns end to end.

    ``ended[k]`` says that its ends are told of: where the edges are all of its few values they are as
    frequent as any. ``bare[k]`` has no edge.
    """

    cell: Int64Array
    ended: BoolArray
    bare: BoolArray

    @classmethod
    def of(cls, before: ReferenceCells) -> _Range:
        """Of every column."""
        first, last = (
            np.array([getattr(grid, end) for grid in before.grids], dtype=np.int64)
            for end in ("first", "last")
        )
        exact = np.array([grid.exact for grid in before.grids], dtype=np.bool_)
        ended, bare = ~exact & (last - first >= _FEWEST), last < 0
        cell = np.stack([2 * first, 2 * last + 1, 2 * (first + 1) + 1, 2 * (last - 1)], axis=1)
        usable = np.stack([~bare, ~bare, ended, ended], axis=1)
        first_cells = before.upto.shape[1] * np.arange(len(before.grids))[:, None]
        return cls(cell=np.where(usable, cell, 0) + first_cells, ended=ended, bare=bare)


def _far_out(upto: Int64Array, inside: _Range) -> Int64Array:
    """Rows ``[k, 4]`` below and above the range, up to its second edge and from its last but one."""
    found, rows = upto.take(inside.cell), upto[:, -1]
    below, above = np.where(inside.bare, 0, found[:, 0]), np.where(inside.bare, rows, rows - found[:, 1])
    return np.stack([below, above, found[:, 2], rows - found[:, 3]], axis=1)


def _far_before(before: ReferenceCells) -> Int64Array:
    return _far_out(before.upto, before.once("range", _Range.of))


def _far(sides: WindowCells) -> Int64Array:
    return _far_out(sides.window_upto, sides.before.once("range", _Range.of))


def _effect(beside: ColumnBatch, k: int, before: list[int], after: list[int]) -> str:
    """How many rows are outside the range, or near an end of it where that is most of what grew."""
    n, m, inside = int(beside.n[k]), int(beside.m[k]), beside.sides.before.once("range", _Range.of)
    usual, now = sum(before[:2]) / n, sum(after[:2]) / m
    if inside.ended[beside.row[k]]:
        shares = [(was / n, found / m) for was, found in zip(before[2:], after[2:], strict=True)]
        end = max((0, 1), key=lambda place: shares[place][1] - shares[place][0])
        if shares[end][1] - shares[end][0] > 2 * max(now - usual, 0.0):
            return f"among the reference's {('lowest', 'highest')[end]} " + effects.shares(*shares[end])
    side = "below" if after[0] > after[1] else "above"
    where = f"{side} the reference's range " if now else "outside the reference's range "
    return where + effects.shares(usual, now)


def _rows_far_out(beside: ColumnBatch) -> tuple[Int64Array, Int64Array]:
    """The same of some columns, on both sides.

    A segment's own range is narrower than that of all rows, in which the cells lie: beyond it is outside.
    """
    sides, row = beside.sides, beside.row
    after = sides.once("far", _far)[row]
    after[:, :2] = np.maximum(after[:, :2], sides.once("beyond", _beyond)[row])
    return sides.before.once("far", _far_before)[row], after


def _beyond(sides: WindowCells) -> Int64Array:
    """Rows ``[k, 2]`` of the window in cells below the lowest and above the highest of the reference's rows.

    Those outside its range; a block of the reference itself is held against the range of the others.
    """
    known, rows = sides.before.once("filled", _filled), np.arange(len(sides.m))
    below = np.where(known[0] > 0, sides.window_upto[rows, known[0] - 1], 0)
    return np.stack([below, sides.m - sides.window_upto[rows, known[1]]], axis=1)


def _filled(before: ReferenceCells) -> tuple[Int64Array, Int64Array]:
    """The lowest and the highest cell of each column that holds rows."""
    lowest, highest = (before.upto == 0).sum(axis=1), (before.upto < before.n[:, None]).sum(axis=1)
    last = before.upto.shape[1] - 1
    return np.minimum(lowest, last), np.minimum(highest, last)


DETECTOR: Detector = OutOfRange()
