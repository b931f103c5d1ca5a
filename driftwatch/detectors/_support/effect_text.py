"""Texts of effects; everything in them that comes from data is truncated and escaped."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np

from driftwatch.core.schema import Kind
from driftwatch.detectors._support.cdf_distance import cdf_distance
from driftwatch.detectors._support.column_batch import BinTable, ColumnBatch, level_table, ordered_table
from driftwatch.detectors._support.column_pair import ColumnPair
from driftwatch.detectors._support.column_quantiles import (
    MEDIAN,
    QUANTILE_SHARES,
    interquartile_ranges,
    reference_quantiles,
    window_quantiles,
)
from driftwatch.detectors._support.effect_format import (
    MAX_LABEL_CHARS,
    escape,
    format_number,
    format_percent,
    quote,
    share_change,
)
from driftwatch.detectors._support.new_values import (
    MIN_STANDARD_ERRORS,
    CommonValue,
    common_value,
    lost_value,
    new_levels,
    new_levels_text,
)
from driftwatch.detectors._support.scale_hint import scale_hint
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.summary.cell_quantiles import Quantiles

__all__ = [
    "MAX_LABEL_CHARS",
    "bin_change",
    "bin_text",
    "common_level_change",
    "common_value",
    "common_value_text",
    "escape",
    "format_number",
    "format_percent",
    "level_change",
    "new_levels_text",
    "ordered_change",
    "quote",
    "share_change",
]

_LOW, _HIGH = 0, len(QUANTILE_SHARES) - 1
#: Largest whole number that is written with all its digits.
_MAX_WHOLE_NUMBER = 1e15
#: A value is told beside a shift of all others if its share grew by so much, and by a part of their distance.
_MIN_NEWS, _MAX_NEWS_RATIO = 0.1, 5.0
#: Change of a level's share from which on a page tells it beside another detector's effect.
_MIN_LEVEL_CHANGE = 0.05
_VALUE_VERBS = {Kind.TEXT: "have length", Kind.VECTOR: "have norm"}
_MEASURE = {Kind.TEXT: " length", Kind.VECTOR: " norm"}


def level_change(pair: ColumnPair) -> str:
    """Describe the level whose share moved most (``"north" 22 % → 41 %``), and new levels."""
    reference_share, window_share = pair.reference_counts / pair.n, pair.window_counts / pair.m
    # Of two levels that moved equally far, the one that grew is described.
    level = int(np.argmax(np.abs(window_share - reference_share) + 1e-12 * (window_share > reference_share)))
    if level == len(pair.levels):
        return new_levels_text(pair)
    change = share_change(float(reference_share[level]), float(window_share[level]))
    text = f"{quote(pair.levels[level])} {change}"
    return f"{text}; {new_levels_text(pair)}" if new_levels(pair) else text


def common_level_change(pair: ColumnPair) -> str:
    """Describe the level of the reference whose share moved most, if it moved by more than noise."""
    counts = pair.reference_counts[:-1], pair.window_counts[:-1]
    change = np.abs(counts[1] / pair.m - counts[0] / pair.n)
    if change.max(initial=0.0) < _MIN_LEVEL_CHANGE:
        return ""
    level = int(change.argmax())
    pooled = (counts[0][level] + counts[1][level]) / (pair.n + pair.m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / pair.n + 1 / pair.m))
    text = share_change(float(counts[0][level] / pair.n), float(counts[1][level] / pair.m))
    return f"{quote(pair.levels[level])} {text}" if change[level] > MIN_STANDARD_ERRORS * error else ""


#: Position of a bin, number of bins, and the bin's share of the reference and of the window.
BinChange = tuple[int, int, float, float]


def bin_change(batch: ColumnBatch, k: int) -> str:
    if k in batch.level_pairs:
        return bin_text(*_bin_changes(level_table(batch.level_pairs[k]))[0])
    changes = batch.context.once("bin changes", lambda context: _bin_changes(ordered_table(context)))
    return bin_text(*changes[batch.row[k]])


def _bin_changes(table: BinTable) -> list[BinChange]:
    reference_share, window_share = (
        table.bins.reference_counts / table.n,
        table.bins.window_counts / table.m,
    )
    bin_index = np.where(table.bins.used, np.abs(window_share - reference_share), -1.0).argmax(axis=1)
    rows = np.arange(len(bin_index))
    position = table.bins.used.cumsum(axis=1)[rows, bin_index] - 1
    fields = (position, table.bins.n_bins, reference_share[rows, bin_index], window_share[rows, bin_index])
    return list(zip(*(field.tolist() for field in fields), strict=True))


def bin_text(position: int, n_bins: int, reference_share: float, window_share: float) -> str:
    """Describe a bin's change; bins are numbered from the lowest or most frequent.

    >>> bin_text(0, 2, 0.5, 0.9)
    'bin 1 of 2: 50 % → 90 %'
    """
    return f"bin {position + 1} of {n_bins}: {share_change(reference_share, window_share)}"


def ordered_change(pair: ColumnPair, *, distance: float | None = None) -> str:
    """Describe the value that explains the change, else that of the median, of a tail, or at the edge that
    separates the sides best.

    ``distance`` is shown in interquartile ranges of the reference. A change of unit is shown only if all
    quantiles agree with it.
    """
    text = pair.context.memo.get(("ordered change", pair.row), lambda: _change_text(pair))
    width = interquartile_ranges(pair.context)[pair.row]
    return text + (
        f", {format_number(distance / width)} of the interquartile range" if distance and width > 0 else ""
    )


def _change_text(pair: ColumnPair) -> str:
    common = common_value(pair) or lost_value(pair)
    if common is None:
        return _ordered_change(pair)
    text = common_value_text(pair.column.kind, common)
    if common.is_whole_change:
        return text
    if common.is_part_of_change:
        return f"{text}, and other values moved"
    # A value that the shift itself makes frequent would be no news.
    is_news = common.increase >= max(_MIN_NEWS, common.rest / _MAX_NEWS_RATIO)
    return f"{_ordered_change(pair)}, and {text}" if is_news else _ordered_change(pair)


def common_value_text(kind: Kind, common: CommonValue) -> str:
    """Describe a value's share, as in ``3 % are -1 (before 0 %)``."""
    verb = _VALUE_VERBS.get(kind, "are")
    about = "about " if common.is_estimate else ""
    limit = "at most " if common.is_in_gap and common.reference_share else ""
    share, reference_share = (
        format_percent(item).replace(".0 %", " %") for item in (common.share, common.reference_share)
    )
    value = _value_text(kind, common.value)
    return f"{about}{share} {verb} {value} (before {limit}{reference_share})"


def _value_text(kind: Kind, value: float) -> str:
    if kind is Kind.DATETIME and math.isfinite(value):
        # With the time of day, unless it is midnight.
        return _date_texts(value, value + (3 * 86400 if value % 86400 == 0 else 0))[0]
    if abs(value) < _MAX_WHOLE_NUMBER and value == int(value):
        return f"{int(value):,}"
    return f"{value:.6g}" if math.isfinite(value) else format_number(value)


def _ordered_change(pair: ColumnPair) -> str:
    context, row = pair.context, pair.row
    reference = reference_quantiles(context).column(row)
    window = window_quantiles(context).column(row)
    width, shift = interquartile_ranges(context)[row], context.once("quantile shifts", _quantile_shifts)[row]
    index, name = MEDIAN, "median"
    if shift[MEDIAN] <= 0.1 * width:
        tail = _LOW if shift[_LOW] > shift[_HIGH] else _HIGH
        if shift[tail] > max(0.25 * width, 2 * shift[MEDIAN]):
            index, name = tail, "p5" if tail == _LOW else "p95"
        elif shift[MEDIAN] <= 0.02 * width and (edge := _edge_text(pair)):
            return edge
    name += _MEASURE.get(pair.column.kind, "")
    left, right = _quantile_texts(pair.column.kind, reference, window, index, width)
    hint = scale_hint(pair, reference) if max(shift[MEDIAN - 1 : MEDIAN + 2]) > 0.2 * width else ""
    return f"{name} {left} → {right}{hint}"


def _quantile_shifts(context: WindowContext) -> list[list[float]]:
    reference, window = (
        reference_quantiles(context).value,
        window_quantiles(context).value,
    )
    # Equal quantiles have a shift of 0, also infinite ones.
    with np.errstate(invalid="ignore", over="ignore"):
        shifts: list[list[float]] = np.where(reference != window, np.abs(window - reference), 0.0).tolist()
    return shifts


def _quantile_texts(
    kind: Kind, reference: Quantiles, window: Quantiles, index: int, width: float
) -> tuple[str, str]:
    values = [float(reference.value[index]), float(window.value[index])]
    if kind is Kind.DATETIME and all(math.isfinite(value) for value in values):
        return _date_texts(values[0], values[1])
    left, right = format_number(values[0]), format_number(values[1])
    low, high = float(window.low[index]), float(window.high[index])
    if high - low > max(width, 0.0) and low < high:
        right = (
            f"below {format_number(high)}"
            if math.isinf(low)
            else f"between {format_number(low)} and {format_number(high)}"
        )
        right = f"above {format_number(low)}" if math.isinf(high) else right
    return left, right


def _date_texts(reference: float, window: float) -> tuple[str, str]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        moments = [epoch + timedelta(seconds=round(value)) for value in (reference, window)]
    except OverflowError:
        return format_number(reference), format_number(window)
    form = "%Y-%m-%d" if abs(window - reference) > 2 * 86400 else "%Y-%m-%dT%H:%M:%SZ"
    return moments[0].strftime(form), moments[1].strftime(form)


def _edge_text(pair: ColumnPair) -> str:
    value, reference_share, window_share, equal = pair.context.once("edge shares", _edge_shares)[pair.row]
    if equal:
        return ""
    is_date = pair.column.kind is Kind.DATETIME
    text = _date_texts(value, value + 3 * 86400)[0] if is_date else format_number(value)
    subject = _MEASURE.get(pair.column.kind, "").strip()
    return f"{subject} at or below {text}: {share_change(reference_share, window_share)}".strip()


def _edge_shares(context: WindowContext) -> list[tuple[float, float, float, bool]]:
    cells = context.cells
    if not cells.edges.shape[1]:
        return [(math.nan, 0.0, 0.0, True)] * len(cells.edges)
    distance, (n, m) = cdf_distance(context), cells.divisors
    # Whole numbers, so that of two edges with equal distances the first is taken.
    numerators = np.rint(distance.absolute[0] * distance.n_pairs[:, None])
    edge, rows = numerators.argmax(axis=1), np.arange(len(numerators))
    # The edge of largest difference, both shares there, and whether they are equal.
    fields = (
        cells.edges[rows, edge],
        cells.reference_cumulative[rows, 2 * edge + 1] / n[:, 0],
        cells.window_cumulative[rows, 2 * edge + 1] / m[:, 0],
        numerators[rows, edge] == 0,
    )
    return list(zip(*(field.tolist() for field in fields), strict=True))
