"""Column cards: histograms of both sides on the same cells, quantiles, a trend, statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from driftwatch.charts import bars, column_chart
from driftwatch.core.schema import Column, Kind
from driftwatch.daemon.status.column_order import effects_of
from driftwatch.daemon.status.trends import Trend
from driftwatch.daemon.web.pages import trend_lines
from driftwatch.monitor.column_labels import comparable_size
from driftwatch.results import text_format
from driftwatch.results.results import NamedColumn, Statistic, Verdict
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.summary import Summary

#: Columns on one page: with the longest names and the most cells a page stays below 300 kB.
COLUMNS_PER_PAGE = 18

_QUANTILES = ((0.05, "5 %"), (0.25, "25 %"), (0.5, "median"), (0.75, "75 %"), (0.95, "95 %"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """A quantile of both sides as text, empty where a side has no value."""

    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCard:
    column: Column
    url: str
    named_column: NamedColumn | None
    breakage: str
    effects: tuple[str, ...]
    chart: Markup
    quantiles: tuple[Quantile, ...]
    trend_chart: Markup
    trend_detector: str
    statistics: tuple[Statistic, ...]
    missing_shares: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSummaries:
    """Summaries of two sides, counted on the cells of ``grids``; None when not available."""

    columns: Mapping[str, Column]
    grids: Mapping[str, Grid]
    first: Summary | None
    second: Summary | None

    def counts(self, name: str) -> tuple[Counts | None, Counts | None]:
        return (
            None if self.first is None else self.first.counts.get(name),
            None if self.second is None else self.second.counts.get(name),
        )


def column_cards(
    summaries: ComparedSummaries,
    names: Sequence[str],
    url: Callable[[str], str],
    verdict: Verdict | None = None,
    trends: Mapping[tuple[str, str], Trend] | None = None,
) -> list[ColumnCard]:
    by_column: dict[str, list[Statistic]] = {name: [] for name in names}
    for item in () if verdict is None else verdict.statistics:
        if item.column in by_column:
            by_column[str(item.column)].append(item)
    return [
        _column_card(summaries, name, url(name), verdict, by_column[name], trends or {}) for name in names
    ]


def _column_card(
    summaries: ComparedSummaries,
    name: str,
    url: str,
    verdict: Verdict | None,
    column_statistics: list[Statistic],
    trends: Mapping[tuple[str, str], Trend],
) -> ColumnCard:
    named_column = None if verdict is None else next((i for i in verdict.named if i.column == name), None)
    breakage = None if verdict is None else next((i for i in verdict.breakages if i.column == name), None)
    effects = [named_column.words] if named_column is not None else []
    effects += effects_of(column_statistics)
    column, grid = summaries.columns[name], summaries.grids.get(name)
    first, second = summaries.counts(name)
    trend_detector = _trend_detector(named_column, column_statistics, name, trends)
    return ColumnCard(
        column=column,
        url=url,
        named_column=named_column,
        breakage="" if breakage is None else breakage.detail,
        effects=tuple(dict.fromkeys(effect for effect in effects if effect)),
        chart=chart_of(column, grid, first, second),
        quantiles=quantiles(column.kind, grid, first, second),
        trend_chart=trend_lines.trend_chart(trends[name, trend_detector], f"{name}, {trend_detector}")
        if trend_detector
        else Markup(),
        trend_detector=trend_detector,
        statistics=tuple(column_statistics),
        missing_shares=(_missing_share(first), _missing_share(second)),
    )


def _trend_detector(
    named_column: NamedColumn | None,
    column_statistics: Sequence[Statistic],
    name: str,
    trends: Mapping[tuple[str, str], Trend],
) -> str:
    if named_column is not None and (name, named_column.detector) in trends:
        return named_column.detector
    candidates = [
        item for item in column_statistics if comparable_size(item) >= 0 and (name, item.detector) in trends
    ]
    return max(candidates, key=comparable_size).detector if candidates else ""


def _missing_share(counts: Counts | None) -> float | None:
    return None if counts is None or not counts.rows else counts.missing / counts.rows


def chart_of(column: Column, grid: Grid | None, first: Counts | None, second: Counts | None) -> Markup:
    """Draw a histogram of both sides; it is empty when a side has no counts."""
    if first is None or second is None:
        return Markup()
    if isinstance(grid, LevelGrid):
        level_bars = bars.level_bars(grid, first, second)
        return column_chart.level_chart(level_bars, column.name) if level_bars else Markup()
    if isinstance(grid, NumericGrid):
        numeric = bars.numeric_bars(grid, first, second, column.kind)
        return Markup() if numeric is None else column_chart.histogram(numeric, column.name)
    return Markup()


def quantiles(
    kind: Kind, grid: Grid | None, first: Counts | None, second: Counts | None
) -> tuple[Quantile, ...]:
    if not isinstance(grid, NumericGrid) or first is None or second is None:
        return ()
    shares = np.array([share for share, _ in _QUANTILES])
    first_values, second_values = (
        bars.counted_quantiles(grid, side, shares) if side.present else None for side in (first, second)
    )
    if first_values is None and second_values is None:
        return ()
    width = (
        float(np.ptp(first_values))
        if first_values is not None
        else float(np.ptp(second_values))
        if second_values is not None
        else 0.0
    )
    return tuple(
        Quantile(
            name=name,
            first=""
            if first_values is None
            else text_format.format_axis_value(float(first_values[n]), kind, width),
            second=""
            if second_values is None
            else text_format.format_axis_value(float(second_values[n]), kind, width),
        )
        for n, (_, name) in enumerate(_QUANTILES)
    )
