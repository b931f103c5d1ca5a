"""Delivers the messages of one notifier: at least once and in order.

A row is marked ``sending`` before the attempt, so that a crash in between is visible. Such a row, or one
whose receiver did not answer, is sent again with the same key, as a possible duplicate.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.own_health.announcements import Announcements
from driftwatch.daemon.status.snapshot import SinkView
from driftwatch.errors import StoreError
from driftwatch.notify import base
from driftwatch.notify.base import Delivery, Message, Notifier
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


def _moment(steady: Callable[[], int] | None, clock: Callable[[], int]) -> int:
    return clock() if steady is None else steady()


def _wait(attempts: int, answer: Delivery, rng: random.Random) -> float:
    requested = min(answer.retry_after or 0.0, MAX_BACKOFF_SECONDS)
    return max(backoff(attempts, rng), requested)


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


class Outcomes:
    """Outcomes of attempts by row; what the store cannot record (a full disk) is recorded later."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._writes: dict[int, Callable[[], None]] = {}
        #: Rows whose message is done with, which the store does not know.
        self.ended: set[int] = set()
        self.store_errors = 0

    def __contains__(self, number: int) -> bool:
        return number in self._writes

    def record(self, number: int, write: Callable[[], None], *, is_end: bool = False) -> None:
        self._writes[number] = write
        if is_end:
            self.ended.add(number)
        self._try(number)

    def record_again(self) -> None:
        for number in list(self._writes):
            self._try(number)

    def _try(self, number: int) -> None:
        try:
            self._writes[number]()
        except StoreError as error:
            self.store_errors += 1
            log.error("cannot record a delivery", extra={"sink": self._sink, "error": str(error)})
        else:
            del self._writes[number]
            self.ended.discard(number)


class SinkWorker:
    """Delivers one notifier's announcements, then due messages, then refreshes firing ones."""

    def __init__(
        self,
        sink: str,
        notifier: Notifier,
        outbox: Outbox,
        rng: random.Random,
        steady: Callable[[], int] | None = None,  # nanoseconds by which waits are measured; None: the clock
        announcements: Announcements | None = None,
    ) -> None:
        self.sink = sink
        self._notifier = notifier
        self._outbox = outbox
        self._rng = rng
        self._steady = steady
        self._announcements = announcements or Announcements()
        #: Messages that wait, as of the last round: nobody who asks reads the store.
        self._waiting = 0
        # On the monotonic clock.
        self._reminded_at = time.monotonic()
        self._refreshed_at: int | None = None
        # Start and end of the pause that the receiver asked for, steady; no message is sent in it.
        self._pause = (0, 0)
        # (key, end) of the mutes that the receiver has been notified of.
        self._notified_mutes: set[tuple[str, int]] = set()
        self._outcomes = Outcomes(sink)
        self._ages = _Ages()
        self.delivered = 0
        self.failed: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._store_errors = 0

    @property
    def store_errors(self) -> int:
        """Return the failed reads and writes of the outbox since the start."""
        return self._store_errors + self._outcomes.store_errors

    def run_round(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        """Deliver due messages once; what fails is logged, and the next round tries again."""
        self._supervise("announcement", lambda: self._announce(clock, stopping), None)
        self._supervise("delivery", lambda: self.deliver_once(clock, stopping), None)

    def _supervise(self, what: str, work: Callable[[], T], failure: T) -> T:
        try:
            return work()
        except StoreError as error:
            self._store_errors += 1
            log.error("cannot read the outbox", extra={"sink": self.sink, "error": str(error)})
            return failure
        except (Exception, SystemExit):  # supervisor: a notifier's bug ends no thread, loses no message
            log.exception("%s failed", what, extra={"sink": self.sink})
            return failure

    def _announce(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        while (item := self._announcements.next(self.sink)) is not None:
            if stopping() or self._is_paused(clock):
                return
            uncertain = item.reason in base.UNCERTAIN_REASONS
            answer = self._attempt(replace(item.message, possible_duplicate=uncertain), clock)
            is_old = time.monotonic() - item.added_at >= _GIVE_UP_SECONDS
            is_hopeless = is_old and item.attempts + 1 >= _GIVE_UP_ATTEMPTS
            if answer.delivered:
                self.delivered += 1
            elif answer.retryable and not is_hopeless:
                self._announcements.retry(item, _wait(item.attempts + 1, answer, self._rng), answer.reason)
                return
            else:
                self._report_loss(item.message, answer)
            self._announcements.finish(self.sink, item, delivered=answer.delivered)
        self._remind(clock, stopping)

    def _remind(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        """Send again what the daemon says of itself, to a receiver that would take silence for its end."""
        interval, now = self._notifier.refresh_seconds, time.monotonic()
        if interval is None or now - self._reminded_at < interval:
            return
        self._reminded_at = now
        for message in self._announcements.firing(self.sink):
            if stopping():
                return
            self._attempt(message, clock)

    def _report_loss(self, message: Message, answer: Delivery) -> None:
        self.failed["gave_up"] += 1
        log.error("message given up", extra={"sink": self.sink, "key": message.key, "reason": answer.reason})

    def deliver_once(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        """Deliver due messages once. Raises ``StoreError`` when the outbox cannot be read."""
        self._outcomes.record_again()
        self._deliver_due(clock, stopping)
        self.count()

    def count(self) -> None:
        """Count the messages that wait. Raises ``StoreError``."""
        self._waiting = self._outbox.waiting(self.sink) - len(self._outcomes.ended)

    def _deliver_due(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        if self._is_paused(clock):
            return
        blocked: set[tuple[str, str | None]] = set()
        for row in self._outbox.due(clock()):
            queue = (row.message.monitor, row.message.segment)
            if row.sink != self.sink or row.id in self._outcomes or queue in blocked:
                continue
            if stopping():
                return
            if not self._deliver(row, clock):
                blocked.add(queue)
            if self._is_paused(clock):
                return
        self._refresh(clock, stopping)

    def _is_paused(self, clock: Callable[[], int]) -> bool:
        start, end = self._pause
        # A clock that was set back ends the pause.
        return start <= _moment(self._steady, clock) < end

    def _deliver(self, row: OutboxRow, clock: Callable[[], int]) -> bool:
        now = clock()
        uncertain = row.state == "sending" or row.reason in base.UNCERTAIN_REASONS
        message = replace(row.message, possible_duplicate=True) if uncertain else row.message
        try:
            self._outbox.begin_attempt(row.id, now)
        except StoreError as error:
            # A full disk must not delay a page: the message is committed, only the attempt is not.
            self._store_errors += 1
            log.error(
                "cannot record an attempt, sending anyway", extra={"sink": self.sink, "error": str(error)}
            )
        answer = self._attempt(message, clock)
        now = clock()
        if answer.delivered:
            self.delivered += 1
            self._ages.forget(row)
            self._outcomes.record(row.id, lambda: self._outbox.delivered(row.id, now), is_end=True)
            return True
        age = self._ages.age(row, now, _moment(self._steady, clock))
        is_old = age >= _GIVE_UP_SECONDS * NANOSECONDS
        is_hopeless = is_old and row.attempts + 1 >= _GIVE_UP_ATTEMPTS
        if not answer.retryable or is_hopeless:
            self._ages.forget(row)
            self._outcomes.record(row.id, lambda: self._outbox.dead(row.id, answer.reason), is_end=True)
            self._report_loss(message, answer)
            return True
        next_at = now + int(_wait(row.attempts + 1, answer, self._rng) * NANOSECONDS)
        self._outcomes.record(row.id, lambda: self._outbox.retry(row.id, next_at, answer.reason))
        return False

    def _attempt(self, message: Message, clock: Callable[[], int]) -> Delivery:
        answer = self._supervise("notifier", lambda: self._notifier.send(message, clock()), _BUG)
        facts = {"sink": self.sink, "key": message.key, "detail": answer.detail}
        if answer.delivered:
            log.info("message delivered", extra=facts)
        else:
            self.failed[answer.reason if answer.reason in REASONS else "rejected"] += 1
            if answer.reason == "rate_limited" and answer.retry_after:
                pause = int(min(answer.retry_after, MAX_BACKOFF_SECONDS) * NANOSECONDS)
                moment = _moment(self._steady, clock)
                self._pause = (moment, moment + pause)
            log.warning("message not delivered", extra={**facts, "reason": answer.reason})
        return answer

    def _refresh(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        interval = self._notifier.refresh_seconds
        moment = _moment(self._steady, clock)
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
            answer = self._attempt(row.message, clock)
            # A member of the receiver without it would resolve the alert at its timeout.
            if mute is not None and answer.delivered and not answer.retryable:
                self._notified_mutes.add(mute)
            if not answer.delivered and answer.reason in _UNREACHABLE_REASONS:
                return

    def view(self) -> SinkView:
        """Return the counters from memory: whoever asks never waits for the store."""
        waiting = max(self._waiting, 0) + self._announcements.waiting(self.sink)
        failed = tuple(sorted(self.failed.items()))
        return SinkView(name=self.sink, delivered=self.delivered, failed=failed, pending=waiting)
