"""Delivers the messages of one notifier: at least once and in order.

A row is marked ``sending`` before the attempt, so that a crash in between is visible. Such a row, or one
whose receiver did not answer, is sent again with the same key, as a possible duplicate.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.status.snapshot import SinkView
from driftwatch.errors import StoreError
from driftwatch.notify import base
from driftwatch.notify.base import Delivery, Notifier
from driftwatch.store.outbox import MAX_BACKOFF_SECONDS, OutboxRow

log = logging.getLogger(__name__)
T = TypeVar("T")

_MIN_BACKOFF_SECONDS = 1.0
_MAX_JITTERED_BACKOFF_SECONDS = 600.0
#: A message is given up when it is this old and was tried this often; age alone may come from an outage.
_GIVE_UP_SECONDS = 86_400.0
_GIVE_UP_ATTEMPTS = 10
#: Reasons after which a refresh ends: a timeout per message would delay new ones.
_UNREACHABLE_REASONS = ("timeout", "connection", "cut_off", "rate_limited")
_BUG = Delivery(delivered=False, retryable=True, reason="bug")

#: Every reason of a failed attempt or an abandoned message: a closed list, so that all counters start at 0.
REASONS = (*base.REASONS, "bug", "gave_up")


class Outbox(Protocol):
    """The queue of messages. Every change is committed when the call returns; times are nanoseconds.

    Called from one thread per notifier, so implementations are thread-safe. Every method may raise
    ``StoreError``.
    """

    def due(self, now: int) -> list[OutboxRow]:
        """Return, in order, rows that are untried, left in ``sending``, or pending with ``next_at <= now``.

        A ``next_at`` beyond ``now + MAX_BACKOFF_SECONDS`` is due too: the clock was set back. A row is not
        due before earlier ones of its (monitor, segment, sink) are delivered or dead. The firing message of a
        muted incident is not due before the mute or the incident ends; others overtake it.
        """

    def begin_attempt(self, number: int, now: int) -> None:
        """Record and count an attempt before it is made."""

    def delivered(self, number: int, now: int) -> None: ...

    def retry(self, number: int, next_at: int, reason: str) -> None: ...

    def dead(self, number: int, reason: str) -> None: ...

    def firing(self, sink: str) -> list[OutboxRow]:
        """Return delivered firing messages of incidents without a queued or delivered resolve message.

        A queued one may have arrived, and sending the alert again would reopen it. Messages of a muted
        incident carry ``muted_until``.
        """

    def waiting(self, sink: str) -> int:
        """Return the number of messages that are neither delivered, dead, nor muted."""


def backoff(attempts: int, rng: random.Random) -> float:
    """Return the seconds to wait after ``attempts`` failures: 1 s doubling to 10 min, with full jitter.

    >>> rng = random.Random(7)
    >>> all(0.05 <= backoff(1, rng) <= 1 for _ in range(99)), backoff(2000, rng) <= 600
    (True, True)
    """
    step = min(_MAX_JITTERED_BACKOFF_SECONDS, _MIN_BACKOFF_SECONDS * 2.0 ** min(max(attempts - 1, 0), 30))
    # At least a twentieth of the step, so that a small draw causes no busy loop.
    return max(step / 20, rng.random() * step)


class _Ages:
    """Ages of rows that failed: at their first failure by the clock, from then on by the steady one."""

    def __init__(self) -> None:
        # By row: when it was queued, and the steady time at which it was of no age.
        self._beginnings: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._beginnings)

    def age(self, row: OutboxRow, now: int, moment: int) -> int:
        """Return the nanoseconds since the row was queued, or its mute ended."""
        queued_at = row.queued_at or 0
        if row.id not in self._beginnings or self._beginnings[row.id][0] != queued_at:
            self._beginnings[row.id] = (queued_at, moment - max(now - (queued_at or now), 0))
        return moment - self._beginnings[row.id][1]

    def forget(self, row: OutboxRow) -> None:
        self._beginnings.pop(row.id, None)


class SinkWorker:
    """Delivers one notifier's due messages, then refreshes firing ones."""

    def __init__(
        self,
        sink: str,
        notifier: Notifier,
        outbox: Outbox,
        rng: random.Random,
        steady: Callable[[], int] | None = None,  # nanoseconds by which waits are measured; None: the clock
    ) -> None:
        self.sink = sink
        self._notifier = notifier
        self._outbox = outbox
        self._rng = rng
        self._steady = steady
        self._refreshed_at: int | None = None
        # Start and end of the pause that the receiver asked for, steady; no message is sent in it.
        self._pause = (0, 0)
        # (key, end) of the mutes that the receiver has been notified of.
        self._notified_mutes: set[tuple[str, int]] = set()
        # Outcomes that the store could not record yet (a full disk), by row.
        self._unrecorded: dict[int, Callable[[], None]] = {}
        self._ages = _Ages()
        self.delivered = 0
        self.failed: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        #: Failed reads and writes of the outbox since the start.
        self.store_errors = 0

    def run_round(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        """Deliver due messages once; what fails is logged, and the next round tries again."""
        self._supervise("delivery", lambda: self._deliver_if_readable(clock, stopping), None)

    def _supervise(self, what: str, work: Callable[[], T], failure: T) -> T:
        try:
            return work()
        except Exception:  # supervisor: a bug, also a notifier's, ends no thread and loses no message
            log.exception("%s failed", what, extra={"sink": self.sink})
            return failure

    def _deliver_if_readable(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        try:
            self.deliver_once(clock, stopping)
        except StoreError as error:
            self.store_errors += 1
            log.error("cannot read the outbox", extra={"sink": self.sink, "error": str(error)})

    def deliver_once(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        """Deliver due messages once. Raises ``StoreError`` when the outbox cannot be read."""
        self._record_outcomes()
        if self._is_paused(self._moment(clock)):
            return
        blocked: set[tuple[str, str | None]] = set()
        for row in self._outbox.due(clock()):
            queue = (row.message.monitor, row.message.segment)
            if row.sink != self.sink or row.id in self._unrecorded or queue in blocked:
                continue
            if stopping():
                return
            if not self._deliver(row, clock):
                blocked.add(queue)
            if self._is_paused(self._moment(clock)):
                return
        self._refresh(clock, stopping)

    def _moment(self, clock: Callable[[], int]) -> int:
        return clock() if self._steady is None else self._steady()

    def _is_paused(self, moment: int) -> bool:
        start, end = self._pause
        # A clock that was set back ends the pause.
        return start <= moment < end

    def _deliver(self, row: OutboxRow, clock: Callable[[], int]) -> bool:
        now = clock()
        uncertain = row.state == "sending" or row.reason in base.UNCERTAIN_REASONS
        message = replace(row.message, possible_duplicate=True) if uncertain else row.message
        try:
            self._outbox.begin_attempt(row.id, now)
        except StoreError as error:
            # A full disk must not delay a page: the message is committed, only the attempt is not.
            self.store_errors += 1
            log.error(
                "cannot record an attempt, sending anyway", extra={"sink": self.sink, "error": str(error)}
            )
        answer = self._attempt(replace(row, message=message), clock)
        now = clock()
        if answer.delivered:
            self.delivered += 1
            self._ages.forget(row)
            self._record(row.id, lambda: self._outbox.delivered(row.id, now))
            return True
        is_old = self._ages.age(row, now, self._moment(clock)) >= _GIVE_UP_SECONDS * NANOSECONDS
        is_hopeless = is_old and row.attempts + 1 >= _GIVE_UP_ATTEMPTS
        if not answer.retryable or is_hopeless:
            self._ages.forget(row)
            self.failed["gave_up"] += 1
            self._record(row.id, lambda: self._outbox.dead(row.id, answer.reason))
            log.error(
                "message given up", extra={"sink": self.sink, "key": message.key, "reason": answer.reason}
            )
            return True
        next_at = now + int(self._wait(row.attempts + 1, answer) * NANOSECONDS)
        self._record(row.id, lambda: self._outbox.retry(row.id, next_at, answer.reason))
        return False

    def _wait(self, attempts: int, answer: Delivery) -> float:
        requested = min(answer.retry_after or 0.0, MAX_BACKOFF_SECONDS)
        return max(backoff(attempts, self._rng), requested)

    def _attempt(self, row: OutboxRow, clock: Callable[[], int]) -> Delivery:
        answer = self._supervise("notifier", lambda: self._notifier.send(row.message, clock()), _BUG)
        facts = {"sink": self.sink, "key": row.message.key, "detail": answer.detail}
        if answer.delivered:
            log.info("message delivered", extra=facts)
        else:
            self.failed[answer.reason if answer.reason in REASONS else "rejected"] += 1
            if answer.reason == "rate_limited" and answer.retry_after:
                pause = int(min(answer.retry_after, MAX_BACKOFF_SECONDS) * NANOSECONDS)
                moment = self._moment(clock)
                self._pause = (moment, moment + pause)
            log.warning("message not delivered", extra={**facts, "reason": answer.reason})
        return answer

    def _record(self, number: int, write: Callable[[], None]) -> None:
        self._unrecorded[number] = write
        try:
            write()
        except StoreError as error:
            self.store_errors += 1
            log.error("cannot record a delivery", extra={"sink": self.sink, "error": str(error)})
        else:
            del self._unrecorded[number]

    def _record_outcomes(self) -> None:
        for number, write in list(self._unrecorded.items()):
            self._record(number, write)

    def _refresh(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        interval = self._notifier.refresh_seconds
        moment = self._moment(clock)
        if interval is None:
            return
        if self._refreshed_at is not None and 0 <= moment - self._refreshed_at < interval * NANOSECONDS:
            return
        self._refreshed_at = moment
        for row in self._outbox.firing(self.sink):
            if stopping():
                return
            until = row.message.muted_until
            # A muted message is sent once, to report the mute, and again when the mute ends.
            mute = None if until is None else (row.message.key, until)
            if mute in self._notified_mutes:
                continue
            answer = self._attempt(row, clock)
            # A member of the receiver without it would resolve the alert at its timeout.
            if mute is not None and answer.delivered and not answer.retryable:
                self._notified_mutes.add(mute)
            if not answer.delivered and answer.reason in _UNREACHABLE_REASONS:
                return

    def view(self) -> SinkView:
        try:
            waiting = self._outbox.waiting(self.sink)
        except StoreError:
            waiting = len(self._ages) + len(self._unrecorded)
        failed = tuple(sorted(self.failed.items()))
        return SinkView(name=self.sink, delivered=self.delivered, failed=failed, pending=waiting)
