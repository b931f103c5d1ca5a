"""Asks a monitor's source whether a doubted time is right: it then has rows from the time between."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from driftwatch.core.schema import NANOSECONDS, Span, iso
from driftwatch.daemon.own_health.clock.clock_watch import TrustedClock
from driftwatch.errors import DataError
from driftwatch.monitor.check import Monitor
from driftwatch.store.history import History

log = logging.getLogger(__name__)

#: Seconds between two questions to one source.
ASK_SECONDS = 60
#: Seconds by which a producer's clock may be ahead: rows that lie so little beyond the old time prove none.
#: And the seconds that rows may need to the source, beside the window's lag.
_PRODUCER_SKEW_SECONDS = 60
#: Seconds of a period in which rows are counted.
_PERIOD_SECONDS = 60


def compare_with_store(clock: TrustedClock, history: History, monitors: Sequence[str]) -> None:
    """Compare the start's time with the newest one in the store. Raises ``StoreError``."""
    verdicts = history.verdicts
    moments = [verdicts.decided_at(name, None, verdicts.last_end(name) or 0) for name in monitors]
    clock.compare(history.clock.get(), max((item for item in moments if item is not None), default=None))


def ask_source(clock: TrustedClock, monitor: Monitor) -> None:
    """Let the monitor go on to the newest time that ``min_rows`` rows of its source lie beyond.

    It believes the doubted time itself when that is near: rows say nothing of the years after them.
    """
    name, config = monitor.config.name, monitor.config
    question = clock.question(name, ASK_SECONDS)
    if question is None:
        return
    doubt, span = question
    start = span.start + _PRODUCER_SKEW_SECONDS * NANOSECONDS
    moment = _proven_time(monitor, start, span.end) if start < span.end else None
    distance = (config.window.lag + _PRODUCER_SKEW_SECONDS + _PERIOD_SECONDS) * NANOSECONDS
    is_confirmed = moment is not None and span.end - moment <= distance
    clock.answer(name, doubt, moment, is_confirmed=is_confirmed)
    if moment is not None:
        log.info(
            "the source has rows from the time in doubt",
            extra={"monitor": name, "until": iso(moment), "believed": is_confirmed},
        )


def _proven_time(monitor: Monitor, start: int, end: int) -> int | None:
    """Return the newest minute before ``end`` that enough rows lie beyond; None of a source without them."""
    config = monitor.config
    limits, length = config.limits, config.window.length * NANOSECONDS
    seconds, memory = limits.seconds, int(limits.memory)
    try:
        newest = monitor.readers.newest(config.source, end, seconds=seconds, memory=memory)
        if newest is None or newest < start:
            return None
        # All rows only where those of the newest window are too few, beside a row that is astray.
        for first in sorted({max(start, newest - length), start}, reverse=True):
            counts = monitor.readers.row_counts(
                config.source,
                _PERIOD_SECONDS,
                seconds=seconds,
                memory=memory,
                span=Span(start=first, end=end),
            )
            rows = 0
            for number in sorted(counts, reverse=True):
                rows += counts[number]
                if rows >= config.window.min_rows:
                    return max(number * _PERIOD_SECONDS * NANOSECONDS, first)
    except DataError as error:
        log.info("no witness of the time", extra={"monitor": config.name, "error": str(error)})
    return None
