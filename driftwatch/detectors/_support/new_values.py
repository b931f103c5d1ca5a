"""Names of new levels, and the one value that explains a column's change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.detectors._support.column_pair import ColumnPair, pair_of
from driftwatch.detectors._support.effect_format import (
    escape,
    format_percent,
    quote,
    share_change,
)
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.results.results import NewLevel
from driftwatch.summary.grid import LevelGrid
from driftwatch.summary.named_rows import MAX_NAME_CHARS

#: Levels named of a column, and columns of which a verdict names levels.
MAX_NEW_LEVELS, MAX_NEW_COLUMNS = 5, 20
#: A level is named only if it repeats, so that no text holds the value of a single row, and stands out: from
#: so many rows on, and from such a share of all rows, or of those with a new level, on.
MIN_LEVEL_ROWS, MIN_LEVEL_SHARE, MIN_NEW_SHARE = 5, 0.01, 0.05
#: Least increase of a value's share that may explain a change, in shares and in standard errors: it is the
#: largest of hundreds.
MIN_INCREASE, MIN_STANDARD_ERRORS = 0.02, 5.0
#: The same of a fall: one of a value that many rows had.
MIN_FALL = 0.05
#: Kolmogorov's distribution has .001 beyond it: below, the rest of the rows is equal up to noise.
_KOLMOGOROV_LIMIT = 1.95
#: A value is new if the reference had it, or the gap around it, in no larger share: about that of one gap.
_MAX_NEW_SHARE = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonValue:
    """The value of an ordered column whose share grew most, or else fell most."""

    value: float
    share: float
    #: Of a value inside a gap, the gap's.
    reference_share: float
    is_in_gap: bool
    #: ``share`` comes from a row sample: other values lie in the same gap.
    is_estimate: bool
    #: Largest distance of the distributions of all other rows; 0 if it is noise.
    rest: float

    @property
    def increase(self) -> float:
        return self.share - self.reference_share

    @property
    def is_whole_change(self) -> bool:
        return self.rest <= abs(self.increase) / 2

    @property
    def is_part_of_change(self) -> bool:
        """Whether the value is new and the rest changed up to twice as far."""
        return self.rest <= 2 * self.increase and self.reference_share <= _MAX_NEW_SHARE


def new_rows(pair: ColumnPair) -> int:
    """Count the rows whose level has no cell, or no row in a segment's reference."""
    return int(pair.window_counts[-1]) + int(pair.window_counts[:-1][pair.reference_counts[:-1] == 0].sum())


def new_levels(pair: ColumnPair) -> tuple[NewLevel, ...]:
    """Return the largest levels that the reference never had, in order."""
    return tuple(
        NewLevel(column=pair.column.name, level=escape(name, MAX_NAME_CHARS), rows=rows, share=rows / pair.m)
        for name, rows in _largest_new_levels(pair)
    )


def _largest_new_levels(pair: ColumnPair) -> Sequence[tuple[str, int]]:
    n_new = new_rows(pair)
    if n_new * pair.n <= int(pair.reference_counts[-1]) * pair.m:
        return ()
    least = max(MIN_LEVEL_ROWS, min(MIN_LEVEL_SHARE * pair.m, MIN_NEW_SHARE * n_new))
    ranked = sorted(_new_level_rows(pair), key=lambda item: (-item[1], item[0]))
    return [(name, rows) for name, rows in ranked[:MAX_NEW_LEVELS] if rows >= least]


def _new_level_rows(pair: ColumnPair) -> Iterator[tuple[str, int]]:
    is_new = (pair.reference_counts[:-1] == 0) & (pair.window_counts[:-1] > 0)
    for cell in np.flatnonzero(is_new).tolist():
        yield pair.levels[cell], int(pair.window_counts[cell])
    window, reference = (
        summary.named.get(pair.column.name)
        for summary in (pair.context.window, pair.context.reference.summary)
    )
    # An accepted shift, or more levels than cells, leaves levels without a cell in the reference too.
    old_levels = frozenset() if reference is None else frozenset(reference.keys.tolist())
    if window is not None:
        for key, rows, name in zip(window.keys.tolist(), window.rows.tolist(), window.names, strict=True):
            if key not in old_levels:
                yield name, rows


def new_levels_of(context: WindowContext) -> tuple[NewLevel, ...]:
    """Return the new levels of all columns, the column with the largest first."""
    # Most windows have none: only these columns are looked at.
    candidates = dict.fromkeys([*context.window.named, *_columns_with_empty_cells(context)])
    by_column = [
        levels
        for name in candidates
        if isinstance(context.reference.plan.grids[name], LevelGrid)
        and (levels := new_levels(pair_of(context, name)))
    ]
    by_column.sort(key=lambda levels: -levels[0].share)
    return tuple(level for levels in by_column[:MAX_NEW_COLUMNS] for level in levels)


def _columns_with_empty_cells(context: WindowContext) -> Sequence[str]:
    # A segment, or an accepted shift, lacks levels that have a cell.
    reference = context.reference
    return context.reference_context.memo.get(
        "columns with empty cells",
        lambda: [
            name
            for name, grid in reference.plan.grids.items()
            if isinstance(grid, LevelGrid) and not reference.summary.counts[name].cells[:-1].all()
        ],
    )


def new_levels_text(pair: ColumnPair) -> str:
    """Describe new levels, as in ``levels never seen 0 % → 33 %: "x" 33 %``."""
    n_new = new_rows(pair)
    text = "levels never seen " + share_change(int(pair.reference_counts[-1]) / pair.n, n_new / pair.m)
    levels = _largest_new_levels(pair)
    if not levels:
        # A column of free text has nearly as many new levels as rows.
        is_told = n_new >= MIN_LEVEL_ROWS and any(True for _ in _new_level_rows(pair))
        return f"{text}, too many or too rare to name" if is_told else text
    names = ", ".join(f"{quote(name)} {format_percent(rows / pair.m)}" for name, rows in levels)
    rest = " and others" if sum(rows for _, rows in levels) < n_new else ""
    return f"{text}: {names}{rest}"


def common_value(pair: ColumnPair) -> CommonValue | None:
    """Return the value whose share grew most, if it grew by more than noise."""
    has_numbers = pair.column.name in pair.context.window.named
    # Of all columns at once: most have none.
    if not has_numbers and pair.context.once("increases", _largest_increases)[pair.row] < MIN_INCREASE:
        return None
    return pair.context.memo.get(("common value", pair.row), lambda: _common_value(pair))


def _largest_increases(context: WindowContext) -> list[float]:
    cells = context.cells
    n, m = cells.divisors
    window_rows = cells.window_cumulative[:, 1::2] - cells.window_cumulative[:, :-1:2]
    increases = window_rows / m - cells.reference.cells[:, 1::2] / n
    largest: list[float] = increases.max(axis=1, initial=0.0).tolist()
    return largest


def _common_value(pair: ColumnPair) -> CommonValue | None:
    if not pair.n or not pair.m:
        return None
    # Every edge, and the frequent numbers inside gaps.
    values, cells, rows = pair.edges, np.arange(1, len(pair.window_counts), 2), pair.window_counts[1::2]
    named = pair.context.window.named.get(pair.column.name)
    if named is not None:
        values = np.append(values, named.numbers)
        cells = np.append(cells, 2 * pair.edges.searchsorted(named.numbers))
        rows = np.append(rows, named.rows)
    increases = rows / pair.m - pair.reference_counts[cells] / pair.n
    if increases.max(initial=0.0) < MIN_INCREASE:
        return None
    best = int(increases.argmax())
    cell, n_rows, increase = int(cells[best]), int(rows[best]), float(increases[best])
    # Where several values grew, as after a change of unit, none of them is the change.
    if np.delete(increases, best).max(initial=0.0) > increase / 2:
        return None
    pooled = (n_rows + int(pair.reference_counts[cell])) / (pair.n + pair.m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / pair.n + 1 / pair.m))
    if n_rows < MIN_LEVEL_ROWS or increase < MIN_STANDARD_ERRORS * error:
        return None
    return CommonValue(
        value=float(values[best]),
        share=n_rows / pair.m,
        reference_share=float(pair.reference_counts[cell] / pair.n),
        is_in_gap=cell % 2 == 0,
        is_estimate=cell % 2 == 0 and n_rows != int(pair.window_counts[cell]),
        rest=_rest_distance(pair, cell, n_rows, increase),
    )


def lost_value(pair: ColumnPair) -> CommonValue | None:
    """Return the value whose share fell most, if that alone is the change of the column."""
    falls = pair.context.once("falls", _falls)
    cell = 2 * int(falls[pair.row].argmax()) + 1 if falls.shape[1] else 0
    if not cell or falls[pair.row].max() < MIN_FALL:
        return None
    share, reference_share = pair.window_counts[cell] / pair.m, pair.reference_counts[cell] / pair.n
    pooled = (pair.window_counts[cell] + pair.reference_counts[cell]) / (pair.n + pair.m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / pair.n + 1 / pair.m))
    if reference_share - share < MIN_STANDARD_ERRORS * error:
        return None
    value = CommonValue(
        value=float(pair.edges[cell // 2]),
        share=float(share),
        reference_share=float(reference_share),
        is_in_gap=False,
        is_estimate=False,
        rest=_rest_distance(pair, cell, int(pair.window_counts[cell]), float(share - reference_share)),
    )
    return value if value.is_whole_change else None


def _falls(context: WindowContext) -> Float64Array:
    # ``[column, edge]``: by how much the share of each edge's own rows fell.
    (n, m), cells = context.cells.divisors, context.cells
    rows = [np.diff(item, axis=1)[:, ::2] for item in (cells.reference_cumulative, cells.window_cumulative)]
    falls: Float64Array = np.where(m > 0, rows[0] / n - rows[1] / m, 0.0)
    return falls


def _rest_distance(pair: ColumnPair, cell: int, rows: int, increase: float) -> float:
    # Without the value: all of a point, in a gap only its own rows.
    reference_counts, window_counts = pair.reference_counts.copy(), pair.window_counts.copy()
    window_counts[cell] = max(int(window_counts[cell]) - rows, 0)
    if cell % 2:
        reference_counts[cell] = 0
    n, m = int(reference_counts.sum()), int(window_counts.sum())
    if not n or not m:
        return 0.0
    distance = float(np.abs(_distribution(window_counts, m) - _distribution(reference_counts, n)).max())
    noise = _KOLMOGOROV_LIMIT * math.sqrt(1 / n + 1 / m)
    # With few rows a shift of all values is noise too, and one of them grows with it: a new one does not.
    is_new = pair.reference_counts[cell] <= _MAX_NEW_SHARE * pair.n
    return 0.0 if distance <= noise and (is_new or noise <= increase) else distance


def _distribution(counts: Int64Array, rows: int) -> Float64Array:
    return np.asarray(counts.cumsum() / rows)
