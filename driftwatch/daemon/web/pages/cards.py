"""Columns as they are drawn: two sides on the same frozen cells, quantiles of both, a trend, statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from driftwatch.charts import bars, column_chart
from driftwatch.core.schema import Column, Kind
from driftwatch.daemon.status.column_order import COMPARABLE, effects_of
from driftwatch.daemon.status.history_view import Trend
from driftwatch.daemon.web.pages import trend_lines
from driftwatch.results import words
from driftwatch.results.results import NamedColumn, Statistic, Verdict
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.summary import Summary

#: Columns on one page; with the longest names and most cells a page of them stays below 300 kB.
PER_PAGE = 18

_QUANTILES = ((0.05, "5 %"), (0.25, "25 %"), (0.5, "median"), (0.75, "75 %"), (0.95, "95 %"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """One quantile on both sides, as text; empty where a side has no value."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One column: how it looked on the first side and how it looks on the second."""

    column: Column
    url: str
    named: NamedColumn | None
    broken: str
    effects: tuple[str, ...]
    drawing: Markup
    quantiles: tuple[Quantile, ...]
    trend: Markup
    trend_of: str
    statistics: tuple[Statistic, ...]
    missing: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What is compared: counts ``before`` and ``after`` on the cells of ``grids``; None is not at hand."""

    columns: Mapping[str, Column]
    grids: Mapping[str, Grid]
    before: Summary | None
    after: Summary | None

    def counts(self, name: str) -> tuple[Counts | None, Counts | None]:
        """Counts of one column on both sides."""
        return (
            None if self.before is None else self.before.counts.get(name),
            None if self.after is None else self.after.counts.get(name),
        )


def cards_of(
    sides: Sides,
    names: Sequence[str],
    url: Callable[[str], str],
    verdict: Verdict | None = None,
    trends: Mapping[tuple[str, str], Trend] | None = None,
) -> list[Card]:
    """The cards of some columns, in the order given."""
    by_column: dict[str, list[Statistic]] = {name: [] for name in names}
    for item in () if verdict is None else verdict.statistics:
        if item.column in by_column:
            by_column[str(item.column)].append(item)
    return [_card(sides, name, url(name), verdict, by_column[name], trends or {}) for name in names]


def _card(
    sides: Sides,
    name: str,
    url: str,
    verdict: Verdict | None,
    here: list[Statistic],
    trends: Mapping[tuple[str, str], Trend],
) -> Card:
    named = None if verdict is None else next((i for i in verdict.named if i.column == name), None)
    broken = None if verdict is None else next((i for i in verdict.breakages if i.column == name), None)
    effects = [named.effect] if named is not None else []
    effects += effects_of(here)
    column, grid = sides.columns[name], sides.grids.get(name)
    before, after = sides.counts(name)
    leading = _leading(named, here, name, trends)
    return Card(
        column=column,
        url=url,
        named=named,
        broken="" if broken is None else broken.detail,
        effects=tuple(dict.fromkeys(effect for effect in effects if effect)),
        drawing=drawing(column, grid, before, after),
        quantiles=quantiles(column.kind, grid, before, after),
        trend=trend_lines.trend(trends[name, leading], f"{name}, {leading}") if leading else Markup(),
        trend_of=leading,
        statistics=tuple(here),
        missing=(_missing(before), _missing(after)),
    )


def _leading(
    named: NamedColumn | None, here: Sequence[Statistic], name: str, trends: Mapping[tuple[str, str], Trend]
) -> str:
    """The detector whose trend says most: the one a page names, else the one that is furthest away now."""
    if named is not None and (name, named.detector) in trends:
        return named.detector
    known = [item for item in here if item.detector in COMPARABLE and item.value is not None]
    known = [item for item in known if (name, item.detector) in trends]
    return max(known, key=lambda item: abs(item.value or 0.0)).detector if known else ""


def _missing(counts: Counts | None) -> float | None:
    return None if counts is None or not counts.rows else counts.missing / counts.rows


def drawing(column: Column, grid: Grid | None, before: Counts | None, after: Counts | None) -> Markup:
    """Both sides on the same cells; empty when either is not at hand."""
    if before is None or after is None:
        return Markup()
    if isinstance(grid, LevelGrid):
        return column_chart.levels(bars.level_bars(grid, before, after), column.name)
    if isinstance(grid, NumericGrid):
        numeric = bars.numeric_bars(grid, before, after, column.kind)
        return Markup() if numeric is None else column_chart.histogram(numeric, column.name)
    return Markup()


def quantiles(
    kind: Kind, grid: Grid | None, before: Counts | None, after: Counts | None
) -> tuple[Quantile, ...]:
    """Quantiles of an ordered column on both sides; a side without values leaves its text empty."""
    if not isinstance(grid, NumericGrid) or before is None or after is None:
        return ()
    shares = np.array([share for share, _ in _QUANTILES])
    old, new = (bars.quantiles_of(grid, side, shares) if side.present else None for side in (before, after))
    if old is None and new is None:
        return ()
    width = float(np.ptp(old)) if old is not None else float(np.ptp(new)) if new is not None else 0.0
    return tuple(
        Quantile(
            name=name,
            before="" if old is None else words.axis_value(float(old[n]), kind, width),
            after="" if new is None else words.axis_value(float(new[n]), kind, width),
        )
        for n, (_, name) in enumerate(_QUANTILES)
    )
