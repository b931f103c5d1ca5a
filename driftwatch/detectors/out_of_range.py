"""Share of rows outside the reference's range."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.detectors._support import column_pair, effect_text, p_values
from driftwatch.detectors._support.cell_arrays import ReferenceCells
from driftwatch.detectors._support.column_batch import batch_of
from driftwatch.detectors.base import (
    BatchDetector,
    ColumnBatch,
    ColumnPair,
    Detector,
    OrderedDetector,
    WindowContext,
)
from driftwatch.results.gauges import Gauges
from driftwatch.results.streams import Streams

#: Tolerated share of rows at either end at the default ``tolerance``: fewer do not justify a page.
TOLERANCE = 0.005
#: An excess of rows near the ends below this is never evidence: one row in a thousand where there were none.
FLOOR = 0.06
#: An excess of rows outside below this is never evidence: one in two hundred where there were none.
OUTSIDE_FLOOR = 0.14
#: Rows expected near the ends of a normal window from which on their number is a score.
MIN_END_ROWS = 5.0
#: Edges that a range needs; with fewer its outermost gaps hold more than a few rows.
_MIN_INNER_EDGES = 64
#: Part of the rows newly outside from which on one value stands for them.
_MIN_VALUE_PART = 0.8
#: Increase of the rows outside that a page tells beside another detector's effect, and its chance.
_MIN_PAGE_INCREASE, _MAX_PAGE_P_VALUE = 0.02, 1e-4
_LABELS = ("below", "above", "low", "high")


class OutOfRange(BatchDetector, OrderedDetector):
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
    comparable = True
    is_share = True
    display_rank = 20

    def measure_all(self, batch: ColumnBatch) -> Gauges:
        reference_outlying, window_outlying = _batch_outlying(batch)
        n_reference_outside, n_window_outside = (
            reference_outlying[:, :2].sum(axis=1),
            window_outlying[:, :2].sum(axis=1),
        )
        return self.gauges(
            batch,
            n_window_outside / np.maximum(batch.m, 1),
            p_value=p_values.rate_increase(2 + n_reference_outside, batch.n, n_window_outside, batch.m),
            effect=lambda k: _effect(batch, k, reference_outlying[k].tolist(), window_outlying[k].tolist()),
            undefined=batch.empty_sides(),
        )

    def page_fact(self, pair: ColumnPair) -> str:
        batch = batch_of(pair.context, [pair.column.name])
        reference_outlying, window_outlying = (item[0].tolist() for item in _batch_outlying(batch))
        n_reference, n_window = sum(reference_outlying[:2]), sum(window_outlying[:2])
        increase = n_window / max(pair.m, 1) - n_reference / max(pair.n, 1)
        p_value = p_values.rate_increase(2 + n_reference, pair.n, n_window, pair.m)[0]
        if pair.empty_side or increase < _MIN_PAGE_INCREASE or p_value > _MAX_PAGE_P_VALUE:
            return ""
        return _outside_text(batch, 0, reference_outlying, window_outlying)

    def streams_all(self, batch: ColumnBatch) -> Streams:
        """Return shares of rows below and above the range, and near its ends (outermost gap included).

        They have their own tolerance, because the reference has almost none. The score *outside* counts rows
        below or above: a few every other day are exceptional in a column that never had any. The score *ends*
        counts rows near the ends, if enough are expected: some columns have single days far out, and the
        baseline learns which.
        """
        context, cells = batch.context, batch.cells
        names, rows = context.comparable_columns(batch.names)
        block_rows = context.reference.block_rows or 0.0
        reference_streams, used, end_columns = context.reference_context.memo.last(
            self.name,
            (names, block_rows),
            lambda: _reference_streams(context, names, rows, block_rows),
        )
        outlying, m = context.once("outlying rows", _window_outlying)[rows], cells.m[rows]
        n_beyond = context.once("rows beyond", _rows_beyond)[rows].sum(axis=1)
        outside = [
            column_pair.rare_arcsine(count, n_rows)
            for count, n_rows in zip(n_beyond.tolist(), m.tolist(), strict=True)
        ]
        end_counts = zip(outlying[end_columns, 2:].sum(axis=1).tolist(), m[end_columns].tolist(), strict=True)
        ends = [column_pair.arcsine(count, n_rows) for count, n_rows in end_counts]
        return replace(
            reference_streams,
            successes=outlying[used],
            trials=np.repeat(m, used.sum(axis=1)),
            value=np.array(outside + ends, dtype=np.float64) - reference_streams.value,
        )


def _reference_streams(
    context: WindowContext, names: tuple[str, ...], rows: Int64Array, block_rows: float
) -> tuple[Streams, BoolArray, Int64Array]:
    name, outlying, n = (
        OutOfRange.name,
        _reference_outlying(context)[rows],
        context.cells.n[rows],
    )
    has_ends = _range(context).has_ends[rows]
    # ``[column, share]``: only some columns have shares of rows near the ends.
    used = np.ones(outlying.shape, dtype=np.bool_)
    used[:, 2:] = has_ends[:, None]
    end_counts = outlying[:, 2:].sum(axis=1)
    end_columns = np.flatnonzero(has_ends & (end_counts / n * block_rows >= MIN_END_ROWS))
    angles = [
        column_pair.arcsine(count, n_rows)
        for count, n_rows in zip(end_counts[end_columns].tolist(), n[end_columns].tolist(), strict=True)
    ]
    reference_streams = Streams(
        targets=tuple((name, column) for column in names),
        share_keys=tuple((name, column, "") for column in names),
        labels=tuple(_LABELS if with_ends else _LABELS[:2] for with_ends in has_ends.tolist()),
        successes=outlying[used],
        trials=np.repeat(n, used.sum(axis=1)),
        reference=(outlying / n[:, None])[used],
        reference_trials=n,
        tolerance=np.full(len(names), TOLERANCE),
        bursts=np.ones(len(names), dtype=np.bool_),
        ordered=np.zeros(len(names), dtype=np.bool_),
        score_keys=(
            *((name, column, "outside") for column in names),
            *((name, names[k], "ends") for k in end_columns.tolist()),
        ),
        value=np.array([0.0] * len(names) + angles, dtype=np.float64),
        floor=np.repeat([OUTSIDE_FLOOR, FLOOR], [len(names), len(end_columns)]),
        signed=np.zeros(len(names) + len(end_columns), dtype=np.bool_),
    )
    return reference_streams, used, end_columns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Range:
    """Cells in which the reference's range begins and ends."""

    #: ``[column, 4]``: indices into flattened cumulative sums, of the rows below the range, up to its last
    #: edge, up to its second edge, and below its last but one.
    cell: Int64Array
    #: ``[column]``: streams of rows near the ends exist.
    has_ends: BoolArray
    #: ``[column]``: there is no edge.
    edgeless: BoolArray

    @classmethod
    def from_reference(cls, reference: ReferenceCells) -> _Range:
        first, last = (
            np.array([getattr(grid, end) for grid in reference.grids], dtype=np.int64)
            for end in ("first", "last")
        )
        # Where the edges are all values of a column, its end values may be as frequent as any.
        exact = np.array([grid.exact for grid in reference.grids], dtype=np.bool_)
        has_ends, edgeless = ~exact & (last - first >= _MIN_INNER_EDGES), last < 0
        cell = np.stack([2 * first, 2 * last + 1, 2 * (first + 1) + 1, 2 * (last - 1)], axis=1)
        usable = np.stack([~edgeless, ~edgeless, has_ends, has_ends], axis=1)
        first_cells = reference.cumulative.shape[1] * np.arange(len(reference.grids))[:, None]
        return cls(cell=np.where(usable, cell, 0) + first_cells, has_ends=has_ends, edgeless=edgeless)


def _outlying_rows(cumulative: Int64Array, limits: _Range) -> Int64Array:
    # ``[column, 4]``: rows below the range, above it, up to its second edge, from its last but one.
    counts, n_rows = cumulative.take(limits.cell), cumulative[:, -1]
    below, above = (
        np.where(limits.edgeless, 0, counts[:, 0]),
        np.where(limits.edgeless, n_rows, n_rows - counts[:, 1]),
    )
    return np.stack([below, above, counts[:, 2], n_rows - counts[:, 3]], axis=1)


def _range(context: WindowContext) -> _Range:
    return context.once_for_reference("range", _Range.from_reference)


def _reference_outlying(context: WindowContext) -> Int64Array:
    return context.once_for_reference(
        "outlying rows", lambda reference: _outlying_rows(reference.cumulative, _range(context))
    )


def _window_outlying(context: WindowContext) -> Int64Array:
    return _outlying_rows(context.cells.window_cumulative, _range(context))


def _effect(batch: ColumnBatch, k: int, reference_outlying: list[int], window_outlying: list[int]) -> str:
    n, m, limits = (
        int(batch.n[k]),
        int(batch.m[k]),
        _range(batch.context),
    )
    reference_share, window_share = sum(reference_outlying[:2]) / n, sum(window_outlying[:2]) / m
    # Rows near an end are described where they are most of the increase.
    if limits.has_ends[batch.row[k]]:
        shares = [
            (reference_count / n, window_count / m)
            for reference_count, window_count in zip(reference_outlying[2:], window_outlying[2:], strict=True)
        ]
        end = max((0, 1), key=lambda index: shares[index][1] - shares[index][0])
        if shares[end][1] - shares[end][0] > 2 * max(window_share - reference_share, 0.0):
            return f"among the reference's {('lowest', 'highest')[end]} " + effect_text.share_change(
                *shares[end]
            )
    return _outside_text(batch, k, reference_outlying, window_outlying)


def _outside_text(
    batch: ColumnBatch, k: int, reference_outlying: list[int], window_outlying: list[int]
) -> str:
    reference_share = sum(reference_outlying[:2]) / int(batch.n[k])
    window_share = sum(window_outlying[:2]) / int(batch.m[k])
    side = "below" if window_outlying[0] > window_outlying[1] else "above"
    place = f"{side} the reference's range " if window_share else "outside the reference's range "
    value_text = _outside_value(batch, k, window_share - reference_share)
    return place + effect_text.share_change(reference_share, window_share) + value_text


def _outside_value(batch: ColumnBatch, k: int, increase: float) -> str:
    # The one value that nearly all of the increase is.
    pair = batch.pair(k)
    common, grid = effect_text.common_value(pair), batch.cells.reference.grids[batch.row[k]]
    if common is None or not len(grid.edges) or common.increase < _MIN_VALUE_PART * increase:
        return ""
    if grid.edges[grid.first] <= common.value <= grid.edges[grid.last]:
        return ""
    return f", {effect_text.common_value_text(pair.column.kind, common)}"


def _batch_outlying(batch: ColumnBatch) -> tuple[Int64Array, Int64Array]:
    context, row = batch.context, batch.row
    window_outlying = context.once("outlying rows", _window_outlying)[row]
    # A segment's range is narrower than that of all rows, in which the cells lie; rows beyond it are outside.
    window_outlying[:, :2] = np.maximum(
        window_outlying[:, :2], context.once("rows beyond", _rows_beyond)[row]
    )
    return _reference_outlying(context)[row], window_outlying


def _rows_beyond(context: WindowContext) -> Int64Array:
    # Window rows below the lowest and above the highest cell with reference rows.
    # A block of the reference itself is compared with the range of the other blocks.
    cells, extreme_cells = context.cells, context.once_for_reference("extreme cells", _extreme_cells)
    rows = np.arange(len(cells.m))
    below = np.where(extreme_cells[0] > 0, cells.window_cumulative[rows, extreme_cells[0] - 1], 0)
    return np.stack([below, cells.m - cells.window_cumulative[rows, extreme_cells[1]]], axis=1)


def _extreme_cells(reference: ReferenceCells) -> tuple[Int64Array, Int64Array]:
    lowest, highest = (
        (reference.cumulative == 0).sum(axis=1),
        (reference.cumulative < reference.n[:, None]).sum(axis=1),
    )
    last = reference.cumulative.shape[1] - 1
    return np.minimum(lowest, last), np.minimum(highest, last)


DETECTOR: Detector = OutOfRange()
