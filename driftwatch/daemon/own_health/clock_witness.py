"""Asks a monitor's source whether a doubted time is right: it then has rows from the time between."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.daemon.own_health.clock_watch import TrustedClock
from driftwatch.errors import DataError
from driftwatch.monitor.check import Monitor
from driftwatch.store.history import History

log = logging.getLogger(__name__)

#: Seconds between two questions to one source.
ASK_SECONDS = 60
#: Seconds by which a producer's clock may be ahead: rows that lie so little beyond the old time prove none.
_PRODUCER_SKEW_SECONDS = 60
#: Rows are counted in one period, about 30 years.
_PERIOD_SECONDS = 10**9


def compare_with_store(clock: TrustedClock, history: History, monitors: Sequence[str]) -> None:
    """Compare the start's time with the newest one in the store. Raises ``StoreError``."""
    verdicts = history.verdicts
    moments = [verdicts.decided_at(name, None, verdicts.last_end(name) or 0) for name in monitors]
    clock.compare(history.clock.get(), max((item for item in moments if item is not None), default=None))


def ask_source(clock: TrustedClock, monitor: Monitor) -> None:
    """Let the monitor believe a doubted time that ``min_rows`` rows of its source confirm."""
    name, config = monitor.config.name, monitor.config
    question = clock.question(name, ASK_SECONDS)
    if question is None:
        return
    doubt, span = question
    start = span.start + _PRODUCER_SKEW_SECONDS * NANOSECONDS
    rows = 0 if start >= span.end else _rows(monitor, Span(start=start, end=span.end))
    is_confirmed = rows >= config.window.min_rows
    clock.answer(name, doubt, is_confirmed=is_confirmed)
    if is_confirmed:
        log.warning("the source has rows from the time in doubt: it is believed", extra={"monitor": name})


def _rows(monitor: Monitor, span: Span) -> int:
    """Return the rows of a span, counted up to ``min_rows``; 0 of a source that cannot be read."""
    config = monitor.config
    try:
        counts = monitor.readers.row_counts(
            config.source,
            _PERIOD_SECONDS,
            seconds=config.limits.seconds,
            memory=int(config.limits.memory),
            span=span,
            limit=config.window.min_rows,
        )
    except DataError as error:
        log.info("no witness of the time", extra={"monitor": config.name, "error": str(error)})
        return 0
    return sum(counts.values())
