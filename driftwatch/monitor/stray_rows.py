"""Counts rows that were read and lie before the history or in the future."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from driftwatch.config.models import MonitorConfig, WindowConfig
from driftwatch.core.history_range import DAY_SECONDS, stray_rows
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import window_at
from driftwatch.monitor.reading import Reading
from driftwatch.store.history import History

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import TilesRead


def present_of(config: MonitorConfig, now: int) -> int:
    """Return the moment from which on event times are in the future."""
    return now + config.window.lag * NANOSECONDS


def past_of(config: MonitorConfig, history: History, window: Span, now: int) -> Span:
    """Return the span from the monitor's first decided window to the present."""
    first_end = history.verdicts.first_end(config.name)
    first = window if first_end is None else window_at(first_end - 1, config.window.length, config.timezone)
    return Span(start=min(first.start, window.start), end=max(present_of(config, now), window.end))


def with_strays(
    reading: Reading, tiles_read: TilesRead, rows: int, span: Span, window: WindowConfig
) -> Reading:
    """Add the strays of a read that gave so many ``rows`` of a span."""
    before_history_rows, future_rows = stray_rows(
        tiles_read.early_rows,
        tiles_read.future_rows,
        rows * DAY_SECONDS / span.seconds,
        window.min_rows * DAY_SECONDS / window.length,
    )
    return replace(reading, before_history_rows=before_history_rows, future_rows=future_rows)
