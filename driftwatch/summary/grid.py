"""The frozen cells of a column. Cells never move with the data.

A numeric grid has ``k`` edges and ``2k + 1`` cells: a point cell for each edge and the open gap between
neighbours. Half-open bins would be wrong as soon as a window's value ties with a reference value: with
point cells both ``F(x)`` and ``F(x-)`` are exact at every edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np

from driftwatch.core.arrays import Float32Array, Float64Array, Int64Array
from driftwatch.core.spellings import Form, narrower, numbers_spelled, rounded, time_spelled, truth_spelled
from driftwatch.summary.batch import Levels

_DIGIT_OF_TRUTH = {"false": "0", "true": "1"}
#: Numpy characters of floats, the narrowest first.
_PRECISIONS = "efd"
#: Quantile edges of a stored numeric grid; the KS bracket is no wider than the largest gap, about 1/255.
MAX_QUANTILE_EDGES = 255
#: A column with at most this many distinct values has all of them as edges, so its KS is exact.
MAX_EXACT_VALUES = 256
#: Frozen edges beyond the reference's range: steps up to one width of it, where seasons and accepted shifts
#: lie, then 10, ... 10^5 times its width (or its largest value), which tell x10 from x1000.
OUTER_STEPS, OUTER_DECADES = 16, 6
#: Maximum number of share streams of an ordered column: rows at or below quantiles of the reference.
MAX_STREAM_EDGES = 7
#: Edges up to which a column's lower bounds stay in memory from one batch to the next.
_MAX_CACHED_EDGES = 1 << 12


@dataclass(frozen=True, kw_only=True, eq=False)
class NumericGrid:
    #: Strictly increasing.
    edges: Float64Array
    #: Indices of the edges at the reference's minimum and maximum.
    first: int
    last: int
    #: The edges hold every distinct value of the reference.
    exact: bool
    #: Indices of the edges of the share streams. Part of the plan, so that a stream is the same in every
    #: window, in every segment and with any block left out of the reference.
    stream_edges: tuple[int, ...] = ()
    #: The narrowest type of the reference's values: ``e``, ``f`` or ``d`` for 16, 32 or 64 bits. Values are
    #: compared in the narrower of this type and their own, so that .1 is .1 on both sides.
    precision: str = "d"

    @property
    def n_cells(self) -> int:
        return 2 * len(self.edges) + 1

    def count(self, sorted_values: Float64Array | Float32Array, precision: str = "d") -> Int64Array:
        """Count sorted values by cell in O(k log n); NaNs, which sort last, are in no cell."""
        bounds = self.bounds(sorted_values, precision)
        return bounds[1:] - bounds[:-1]

    def bounds(self, sorted_values: Float64Array | Float32Array, precision: str = "d") -> Int64Array:
        """Return where each cell starts in sorted values and, last, where NaNs start.

        ``precision`` is that of the values when they come in a wider type.
        """
        narrowest = min((self.precision, precision, sorted_values.dtype.char), key=_PRECISIONS.index)
        bounds = np.empty(2 * len(self.edges) + 2, dtype=np.int64)
        bounds[0] = 0
        bounds[1:] = _round(sorted_values, narrowest).searchsorted(self._lower_bounds(narrowest))
        return bounds

    def cells_of(self, values: Float64Array, precision: str = "d") -> Int64Array:
        """Return the cell that counts each value, in any order; NaNs are in the last."""
        narrowest = min((self.precision, precision), key=_PRECISIONS.index)
        cells = self._lower_bounds(narrowest).searchsorted(_round(values, narrowest), side="right")
        return np.minimum(cells, self.n_cells - 1)

    def _lower_bounds(self, precision: str) -> Float64Array | Float32Array:
        if len(self.edges) > _MAX_CACHED_EDGES or precision == "e":
            return _cell_lower_bounds(self.edges, precision)
        return self._single_bounds if precision == "f" else self._double_bounds

    @cached_property
    def _double_bounds(self) -> Float64Array | Float32Array:
        return _cell_lower_bounds(self.edges, "d")

    @cached_property
    def _single_bounds(self) -> Float64Array | Float32Array:
        return _cell_lower_bounds(self.edges, "f")


@dataclass(frozen=True, kw_only=True)
class LevelGrid:
    """Cells of the reference's levels, most frequent first, and one last cell for all unseen levels."""

    levels: tuple[str, ...]
    #: The type of the reference's values, which decides what their texts stand for.
    form: Form = Form.TEXT

    @property
    def n_cells(self) -> int:
        return len(self.levels) + 1

    def index(self, column: Levels) -> Int64Array:
        """Return the cell of each row; negative for rows without a level."""
        return self._cells_by_code(column)[column.codes]

    @cached_property
    def _cell_by_level(self) -> Mapping[str, int]:
        return {level: cell for cell, level in enumerate(self.levels)}

    def _cells_by_code(self, column: Levels) -> Int64Array:
        return column.table(self, lambda levels: self._cells(levels, column.form))

    def _cells(self, levels: tuple[str, ...], form: Form) -> Int64Array:
        # This runs for every file, because each has its own dictionary.
        unseen = len(self.levels)
        cells = np.fromiter(
            map(self._cell_by_level.get, levels, repeat(unseen)), dtype=np.int64, count=len(levels)
        )
        if self.levels and not (form is self.form is Form.TEXT):
            new = np.flatnonzero(cells == unseen)
            cells[new] = self._equal_cells([levels[position] for position in new], form)
        return np.append(cells, [-2, -1])

    def _equal_cells(self, levels: Sequence[str], form: Form) -> Int64Array:
        """Return the cell of the value that each level stands for, whatever its type; else that of unseen."""
        unseen, forms = len(self.levels), (self.form, form)
        cells = np.full(len(levels), unseen, dtype=np.int64)
        if self.form.is_number or form.is_number:
            precision = narrower(*forms)
            cell_by_number = _first_cells(rounded(self._numbers, precision).tolist())
            spelled = (
                [_DIGIT_OF_TRUTH.get(level, level) for level in levels] if form is Form.BOOLEAN else levels
            )
            values = rounded(numbers_spelled(spelled), precision).tolist()
            cells[:] = [cell_by_number.get(value, unseen) for value in values]
        if self._truths and Form.TIME not in forms:
            truths = [self._truths.get(truth_spelled(level), unseen) for level in levels]
            cells = np.where(cells == unseen, truths, cells)
        if Form.TIME in forms:
            cell_by_time = _first_cells([time_spelled(level) for level in self.levels])
            cells[:] = [cell_by_time.get(time_spelled(level), unseen) for level in levels]
        return cells

    @cached_property
    def _numbers(self) -> Float64Array:
        return numbers_spelled(self.levels)

    @cached_property
    def _truths(self) -> Mapping[bool | None, int]:
        # Only a column of truths alone: "y" among other letters is a letter.
        truths = [truth_spelled(level) for level in self.levels]
        return {} if None in truths else _first_cells(truths)

    def sum_by_cell(self, column: Levels, rows_by_code: Int64Array) -> Int64Array:
        counts = np.zeros(self.n_cells, dtype=np.int64)
        np.add.at(counts, self._cells_by_code(column)[: len(rows_by_code)], rows_by_code)
        return counts


def _first_cells(values: Sequence[Any]) -> dict[Any, int]:
    # Of equal values the most frequent level, which comes first, has the cell.
    return {value: cell for cell, value in reversed(list(enumerate(values)))}


Grid = NumericGrid | LevelGrid


def _round(values: Float64Array | Float32Array, precision: str) -> Float64Array | Float32Array:
    # Values of 16 bits are held in 32: numpy sorts and searches them faster.
    if precision == values.dtype.char:
        return values
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(precision).astype(np.float32)


def _cell_lower_bounds(edges: Float64Array, precision: str) -> Float64Array | Float32Array:
    """Return the least value of each edge's cell and of the gap above it; NaN if there is none, and last.

    A cell holds what rounds to its edge; of edges that round alike the last has it.
    """
    near = _round(edges, precision).copy()
    high, low = near.dtype.type(np.inf), near.dtype.type(-np.inf)
    lower_bounds = np.full(2 * len(edges) + 1, np.nan, dtype=near.dtype)
    # No value is an edge beyond the type's range: an infinity lies beyond it.
    is_above, is_below = (near == high) & (edges < high), (near == low) & (edges > low)
    near[is_below] = np.nextafter(low, high)
    with np.errstate(over="ignore", under="ignore"):
        next_value = np.where(near == high, near.dtype.type(np.nan), np.nextafter(near, high))
    is_repeated = np.append(near[:-1] == near[1:], False)
    next_value[is_repeated | is_above | is_below] = near[is_repeated | is_above | is_below]
    # The first cell has no lower bound.
    lower_bounds[:-1:2], lower_bounds[1::2] = near, next_value
    return lower_bounds


def numeric_grid(
    values: Float64Array,
    *,
    quantile_edges: int = MAX_QUANTILE_EDGES,
    max_exact_values: int = MAX_EXACT_VALUES,
) -> NumericGrid:
    """Freeze edges from NaN-free reference values, all or a sample.

    If there are few distinct values, all are edges, else quantiles, which include all very frequent values.
    The extremes are always edges, with ``OUTER_STEPS + OUTER_DECADES - 1`` more beyond each.

    >>> grid = numeric_grid(np.array([1.0, 2.0, 2.0, 4.0]))
    >>> grid.edges[grid.first : grid.last + 1]
    array([1., 2., 4.])
    >>> grid.count(np.array([2.0, 3.0, 9.0]))[2 * grid.first : 2 * grid.last + 2]
    array([0, 0, 0, 1, 1, 0])
    """
    sorted_values = values + 0.0
    sorted_values.sort()
    is_start = np.ones(len(sorted_values), dtype=bool)
    np.not_equal(sorted_values[1:], sorted_values[:-1], out=is_start[1:])
    distinct = sorted_values[np.flatnonzero(is_start)]
    exact = len(distinct) <= max_exact_values
    if exact:
        inner = distinct
    else:
        ranks = np.linspace(0, len(sorted_values) - 1, quantile_edges).round().astype(np.int64)
        inner = np.unique(sorted_values[ranks])
    finite = inner[np.isfinite(inner)]
    if not len(finite):
        return NumericGrid(
            edges=inner,
            first=0,
            last=len(inner) - 1,
            exact=exact,
            stream_edges=_stream_edges(sorted_values, inner),
        )
    low, high = finite[0], finite[-1]
    with np.errstate(over="ignore"):
        width = max(high - low, abs(high), abs(low), 1e-12) if high > low else max(abs(high), 1.0)
        steps = np.arange(1, OUTER_STEPS + 1) / OUTER_STEPS
        reach = width * np.concatenate([steps, 10.0 ** np.arange(1, OUTER_DECADES)])
        outer = np.concatenate([low - reach, high + reach])
    outer = outer[np.isfinite(outer)]
    edges = np.union1d(inner, outer)
    first, last = (int(np.searchsorted(edges, edge)) for edge in (inner[0], inner[-1]))
    return NumericGrid(
        edges=edges, first=first, last=last, exact=exact, stream_edges=_stream_edges(sorted_values, edges)
    )


def _stream_edges(sorted_values: Float64Array, edges: Float64Array) -> tuple[int, ...]:
    # Quantile edges, unless nearly no or nearly all rows are at or below them.
    if not len(sorted_values):
        return ()
    ranks = (
        np.ceil(len(sorted_values) * np.arange(1, MAX_STREAM_EDGES + 1) / (MAX_STREAM_EDGES + 1)).astype(
            np.int64
        )
        - 1
    )
    edge_indices = np.unique(np.searchsorted(edges, sorted_values[ranks]))
    edge_indices = edge_indices[edge_indices < len(edges)]
    share = np.searchsorted(sorted_values, edges[edge_indices], side="right") / len(sorted_values)
    return tuple(int(index) for index in edge_indices[(share > 0.001) & (share < 0.999)])
