"""Looks at past windows again: at owed ones, and at decided ones for rows that came late.

An owed window is judged when its rows come, whatever was judged meanwhile, and is given up when the source
has answered for the monitor's patience without them. Rows that come after a window was decided are judged as
a part of their own once there are enough; a correction in place changes no verdict, and is counted.

Why the promise of ``driftwatch.decide`` holds: the recursion takes windows in the order in which they are
judged. Which one is next follows from which rows there are, never from what is in them, so that each window's
null holds given all that was judged before; its budget is that of its own time, and is spent once.

Only versions are compared, in one call, until one of them changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from driftwatch.config.models import WindowConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import window_at, window_boundaries
from driftwatch.errors import DataError, SourceUnavailable, StoreDamaged
from driftwatch.monitor.check import Monitor, Outcome, OwedLook, opens_blind_incident
from driftwatch.monitor.evaluation.could_not_look import opens_incident
from driftwatch.monitor.past.decided_windows import DecidedWindow, decided_windows
from driftwatch.monitor.past.empty_windows import EmptyWindows
from driftwatch.monitor.past.late_parts import LateData, reread
from driftwatch.results.results import Reason, State
from driftwatch.store.records import OwedWindow

#: Seconds between two answers of a source that count as waiting at most, and the part of the patience that
#: they are at most, unless one window is longer: nobody looked meanwhile, or the clock was set.
_MAX_WAIT_SECONDS, _MAX_WAIT_PART = 86_400, 4
#: Failed reads of an owed window before it hides no other and waits for a change, or so many seconds: three
#: timeouts in a minute do not say that its rows cannot be read tomorrow.
_MAX_FAILURES, _RETRY_SECONDS = 3, 3600
#: Failures that may pass without a change of the data.
PASSING_FAILURES = frozenset({Reason.SOURCE_UNAVAILABLE, Reason.SOURCE_TIMEOUT, Reason.READER_DIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An owed window that was checked, or late data of a decided one."""

    window: Span
    outcome: Outcome | None = None
    late_data: LateData | None = None


def windows_to_reread(newest: Span, window: WindowConfig, timezone: str, now: int) -> list[Span]:
    """Return decided windows at 1, 2, 4, ... windows before the newest one, oldest first.

    Each window is so looked at about ``log2`` times within the patience, at twice its age each time: what is
    late by some time is found by twice that time.
    """
    horizon, half, distance = _horizon(window, now), window.length * NANOSECONDS // 2, 1
    windows: list[Span] = []
    while True:
        # Its middle, since a day has 23 or 25 hours when clocks change.
        middle = newest.start - (distance - 1) * window.length * NANOSECONDS - half
        if middle < horizon:
            return windows[::-1]
        windows.append(window_at(middle, window.length, timezone))
        distance *= 2


def windows_within_patience(newest_end: int, window: WindowConfig, timezone: str, now: int) -> list[Span]:
    """Return all windows up to the newest decided one that late rows may still reach, oldest first."""
    windows, end, horizon = list[Span](), newest_end, _horizon(window, now)
    while end > horizon:
        windows.append(window_at(end - 1, window.length, timezone))
        end = windows[-1].start
    return windows[::-1]


def _horizon(window: WindowConfig, now: int) -> int:
    return now - (window.lag + window.patience_seconds) * NANOSECONDS


class _Round:
    """Looks at the past windows of a monitor; what they depend on is read once for many windows."""

    def __init__(
        self, monitor: Monitor, now: int, owed: Iterable[OwedWindow], versions: Mapping[Span, str]
    ) -> None:
        self._monitor, self._now, self._versions = monitor, now, versions
        #: The next owed windows would fail as well.
        self.is_over = False
        self._refresh()
        empty = [item.window for item in owed if self._is_worth_a_look(item) and self._was_empty(item)]
        self._empty = EmptyWindows(monitor, empty)

    def _refresh(self) -> None:
        self._state = self._monitor.segment_state(None)
        self._last_end = self._monitor.history.verdicts.last_end(self._monitor.config.name)

    def check(self, window: Span) -> Outcome:
        outcome = self._monitor.check(window, self._now)
        self._refresh()
        return outcome

    def look_at_owed(self, owed: OwedWindow) -> Look | None:
        if not self._is_worth_a_look(owed):
            return None
        if self._empty.holds(owed.window):
            self._remember(owed.window, is_behind=owed.state == State.STALE)
            return None
        outcome = self.check(owed.window)
        look = Look(window=owed.window, outcome=outcome)
        failure, earlier = outcome.failure, self._monitor.owed_looks.pop(owed.window.end, None)
        if failure is None:
            return look
        failures = 1 + (earlier.failures if earlier is not None else 0)
        may_pass = failure in PASSING_FAILURES
        self._remember(
            owed.window,
            failures=failures,
            is_settled=not may_pass or failures >= _MAX_FAILURES,
            has_failed=outcome.verdicts[0].state is State.SOURCE_ERROR,
            is_behind=failure is Reason.SOURCE_BEHIND,
        )
        # A source may change with every look, and one window of it be too much to read for ever.
        self.is_over = failure is Reason.SOURCE_UNAVAILABLE or (may_pass and failures < _MAX_FAILURES)
        return look

    def look_at_decided(self, decided: DecidedWindow) -> Look | None:
        monitor, window = self._monitor, decided.window
        if not any(self._has_changed(span, version) for span, version in decided.versions.items()):
            return None
        try:
            late_data = reread(monitor, decided, self._now)
        except SourceUnavailable:
            raise
        except (DataError, StoreDamaged) as error:
            # Others are looked at, and this one again at its next look.
            return Look(window=window, late_data=LateData(window=window, error=str(error)))
        monitor.slice_versions.update({span: self._versions[span] for span in decided.versions})
        return None if late_data is None else Look(window=window, late_data=late_data)

    def opens_incident(self, window: Span) -> bool:
        overdue = self._monitor.overdue(window, self._now)
        is_due = opens_incident(window, overdue, self._last_end, self._state)
        return is_due and opens_blind_incident(self._monitor, window, self._now)

    def _has_changed(self, span: Span, stored: str) -> bool:
        # A version may change with other data, and the rows be the same: those are not stored again.
        newest = self._monitor.slice_versions.get(span, stored) if stored else stored
        return self._versions[span] != newest

    def _is_worth_a_look(self, owed: OwedWindow) -> bool:
        look = self._monitor.owed_looks.get(owed.window.end)
        if look is None or look.version != self._versions[owed.window] or not look.is_settled:
            return True
        if look.has_failed and abs(self._now - look.at) >= _RETRY_SECONDS * NANOSECONDS:
            return True
        return (look.is_behind and not self._is_newest(owed)) or self.opens_incident(owed.window)

    def _was_empty(self, owed: OwedWindow) -> bool:
        # And would get the same verdict without rows.
        is_same = owed.state == State.NO_DATA or (owed.state == State.STALE and self._is_newest(owed))
        return is_same and not self.opens_incident(owed.window)

    def _is_newest(self, owed: OwedWindow) -> bool:
        decided_until = self._state.decided_until
        return decided_until is None or decided_until <= owed.window.end

    def _remember(
        self,
        window: Span,
        *,
        failures: int = 0,
        is_settled: bool = True,
        has_failed: bool = False,
        is_behind: bool = False,
    ) -> None:
        self._monitor.owed_looks[window.end] = OwedLook(
            at=self._now,
            version=self._versions[window],
            failures=failures,
            is_settled=is_settled,
            has_failed=has_failed,
            is_behind=is_behind,
        )


def look_again(
    monitor: Monitor, now: int, decided: Sequence[Span] = (), *, with_owed: bool = True
) -> Iterator[Look]:
    """Look at owed windows, and ``decided`` ones for late rows, oldest first. Raises the source's errors."""
    _recut(monitor)
    owed = {item.window.end: item for item in monitor.history.owed.of_monitor(monitor.config.name)}
    rereads = {
        item.window.end: item for item in decided_windows(monitor, decided) if item.window.end not in owed
    }
    owed = owed if with_owed else {}
    spans = [item.window for item in owed.values()]
    spans += [span for item in rereads.values() for span in item.versions]
    if not spans:
        return
    try:
        versions = _versions(monitor, spans)
    except DataError:
        _wait(monitor, now, answered=False)
        # The check finds the same failure, and opens the incident that is due.
        looks = _Round(monitor, now, (), {})
        for item in owed.values():
            if looks.opens_incident(item.window):
                yield Look(window=item.window, outcome=looks.check(item.window))
        raise
    looks = _Round(monitor, now, owed.values(), versions)
    for end in sorted(owed.keys() | rereads.keys()):
        look = looks.look_at_owed(owed[end]) if end in owed else looks.look_at_decided(rereads[end])
        if look is not None:
            yield look
        if looks.is_over:
            _wait(monitor, now, answered=False)
            return
    if with_owed:
        _wait(monitor, now, answered=True)
    _drop_old_versions(monitor, now)


def _drop_old_versions(monitor: Monitor, now: int) -> None:
    horizon = _horizon(monitor.config.window, now)
    for span in [span for span in monitor.slice_versions if span.start < horizon]:
        del monitor.slice_versions[span]


def _recut(monitor: Monitor) -> None:
    """Cut owed windows of another length anew; what fits none of today's is owed no longer."""
    config, owed_table = monitor.config, monitor.history.owed
    length, timezone = config.window.length, config.timezone
    for item in owed_table.of_monitor(config.name):
        span = item.window
        if window_at(span.start, length, timezone) == span:
            continue
        edges = window_boundaries(length, timezone, span.start, span.end)
        windows = [Span(start=start, end=end) for start, end in pairwise(edges)]
        inner = [window for window in windows if span.start <= window.start and window.end <= span.end]
        owed_table.replace(config.name, span.end, [replace(item, window=window) for window in inner])


def _versions(monitor: Monitor, spans: Sequence[Span]) -> Mapping[Span, str]:
    config = monitor.config
    limits = config.limits
    versions = monitor.readers.versions(
        config.source, spans, seconds=limits.seconds, memory=int(limits.memory)
    )
    return dict(zip(spans, versions, strict=True))


def _wait(monitor: Monitor, now: int, *, answered: bool) -> None:
    window = monitor.config.window
    longest = max(window.length, min(_MAX_WAIT_SECONDS, window.patience_seconds // _MAX_WAIT_PART))
    ends = monitor.history.owed.wait(
        monitor.config.name,
        now,
        answered=answered,
        max_gap=longest * NANOSECONDS,
        patience=window.patience_seconds * NANOSECONDS,
    )
    for end in ends:
        monitor.owed_looks.pop(end, None)
