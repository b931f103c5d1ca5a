"""What is due at a time: closed windows that are not decided, and a refresh of the gauges.

And what a clock that was set changes of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftwatch.config.models import WindowConfig
from driftwatch.core.history_range import DAY_SECONDS
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import boundary_after, due_windows, newest_closed_window, sliding_window
from driftwatch.daemon.own_health.clock.clock_belief import MAX_SLEW_SECONDS
from driftwatch.daemon.own_health.clock.clock_watch import TrustedClock
from driftwatch.daemon.status.monitor_slot import MonitorSlot

#: Searches for late rows between two windows, and the seconds between two searches at least.
_SEARCHES, _MIN_SEARCH_SECONDS = 4, 600
_ALL_TIME = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    #: Oldest first.
    windows: tuple[Span, ...]
    #: Older windows that the limit leaves out.
    skipped: int


def backlog(window: WindowConfig, timezone: str, last_end: int | None, now: int, limit: int) -> Backlog:
    """Return the closed windows after ``last_end``, at most the ``limit`` newest."""
    n_passed = 0
    if last_end is not None and window.length < DAY_SECONDS:
        # After a clock of 1970 there are millions, and this is asked at every tick.
        closed_for = now - window.lag * NANOSECONDS - last_end
        n_passed = max(closed_for // (window.length * NANOSECONDS) - limit - 2, 0)
        last_end += n_passed * window.length * NANOSECONDS
    windows = due_windows(last_end, now, window.length, window.lag, timezone)
    skipped = max(len(windows) - limit, 0)
    return Backlog(windows=tuple(windows[skipped:]), skipped=n_passed + skipped)


def due_refresh(
    window: WindowConfig, timezone: str, last_end: int | None, last_refresh: int, now: int
) -> Span | None:
    """Return the newest sliding window that ends after the newest decided window and the last refresh."""
    if window.step == window.length:
        return None
    end = newest_closed_window(now, window.step, window.lag, timezone).end
    if end <= max(last_refresh, last_end or 0):
        return None
    return sliding_window(end, window.length, window.step, timezone)


def late_search_time(window: WindowConfig, now: int) -> int:
    """Return when the newest decided window is searched for late rows again."""
    return now + max(window.length // _SEARCHES, _MIN_SEARCH_SECONDS) * NANOSECONDS


def is_set_back(slot: MonitorSlot, now: int) -> bool:
    """Whether windows are decided that end in the future, and it is not known yet which one is next."""
    if slot.last_end is None or slot.last_end == slot.furthest_end:
        return False
    return slot.last_end > _newest_end(slot, now)


def follow_clock(slot: MonitorSlot, clock: TrustedClock) -> None:
    """Go on by a clock that was set as if it had not been. Raises ``StoreError``."""
    name = slot.monitor.config.name
    # How long a machine was off is not known: an owed window waited for the longest gap at most.
    offset = None if clock.is_new_boot() else clock.offset(name)
    if offset is not None and slot.clock_offset is not None:
        _move_waits(slot, offset - slot.clock_offset)
    slot.clock_offset = offset
    now = clock.steady() + clock.offset(name)
    if is_set_back(slot, now):
        _go_back(slot, now)
    if slot.furthest_end is not None:
        _pass_decided(slot, now)


def _newest_end(slot: MonitorSlot, now: int) -> int:
    config = slot.monitor.config
    return newest_closed_window(now, config.window.length, config.window.lag, config.timezone).end


def _move_waits(slot: MonitorSlot, by: int) -> None:
    if abs(by) <= MAX_SLEW_SECONDS * NANOSECONDS:
        return
    monitor = slot.monitor
    monitor.history.move_waits(monitor.config.name, by)
    for end, look in monitor.owed_looks.items():
        monitor.owed_looks[end] = replace(look, at=look.at + by)


def _go_back(slot: MonitorSlot, now: int) -> None:
    """Go on after the newest window that is decided and closed: there may be others before the last one."""
    name, verdicts = slot.monitor.config.name, slot.monitor.history.verdicts
    slot.furthest_end = max(slot.last_end or 0, slot.furthest_end or 0)
    slot.last_refresh = 0
    ends = verdicts.ends(name, Span(start=-_ALL_TIME, end=_newest_end(slot, now)))
    if not ends and verdicts.count_judged(name, None, _ALL_TIME, 1):
        # The clock shows a time before the history, which had rows: nothing is due until it comes.
        slot.last_end = slot.furthest_end
    else:
        slot.last_end = ends[-1] if ends else None


def _pass_decided(slot: MonitorSlot, now: int) -> None:
    config, verdicts = slot.monitor.config, slot.monitor.history.verdicts
    if slot.last_end is not None:
        for end in verdicts.ends(config.name, Span(start=slot.last_end, end=_newest_end(slot, now))):
            if end != boundary_after(slot.last_end, 1, config.window.length, config.timezone):
                break
            slot.last_end = end
        if slot.furthest_end is not None and _newest_end(slot, now) >= slot.furthest_end <= slot.last_end:
            slot.furthest_end = None
