"""Delivering the outbox: at least once, in order, one slow receiver delaying nobody else.

A row is marked ``sending`` before the attempt, so that a crash in between is visible: it is then sent again
with the same key and marked as a possible duplicate, as is one whose receiver did not answer. Each
notifier has a thread of its own. A receiver that asks to wait is left alone until then, with all messages.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from driftwatch.daemon.status.snapshot import SinkView
from driftwatch.errors import StoreError
from driftwatch.notify import base
from driftwatch.notify.base import Delivery, Notifier
from driftwatch.store.outbox import LONGEST_WAIT, OutboxRow

_LOG = logging.getLogger(__name__)
_NANOSECONDS = 1_000_000_000
_FIRST_WAIT = 1.0
_LONGEST_BACKOFF = 600.0
# A message is given up when it is old and was tried often: one that is merely old waited out a standstill.
_GIVE_UP_AFTER = 86_400.0
_GIVE_UP_ATTEMPTS = 10
_TICK = 1.0
_FOREVER = 1 << 62

#: Reasons of failed attempts, and of messages nobody will try again. Closed, so that all start at 0.
REASONS = (*base.REASONS, "bug", "gave_up")


class Outbox(Protocol):
    """Where messages wait. Times are nanoseconds. Every change is committed when the call returns.

    Called from one thread per notifier; implementations lock. Everything may raise ``StoreError``.
    """

    def due(self, now: int) -> list[OutboxRow]:
        """Rows pending with ``next_at <= now``, untried, or left in ``sending``, oldest first.

        A ``next_at`` beyond ``now + LONGEST_WAIT`` is due too: the clock was set back. A later row of the
        same (monitor, segment, sink) is not due before the earlier one is delivered or dead. The firing
        message of a muted incident is not due before the mute or the incident ends; others pass it.
        """

    def sending(self, number: int, now: int) -> None:
        """An attempt begins; counts it."""

    def delivered(self, number: int, now: int) -> None:
        """The receiver has it."""

    def retry(self, number: int, next_at: int, reason: str) -> None:
        """Pending again, not before ``next_at``."""

    def dead(self, number: int, reason: str) -> None:
        """Nobody will try again."""

    def firing(self, sink: str) -> list[OutboxRow]:
        """Delivered firing messages of incidents for which no resolve is queued or delivered.

        One that is merely queued counts: it may have arrived, and a refresh would open the alert again. Those
        of an incident that is muted now say until when.
        """

    def waiting(self, sink: str) -> int:
        """How many messages of a sink are neither delivered nor dead, nor held by a mute."""


def backoff(attempts: int, rng: random.Random) -> float:
    """Seconds to wait after ``attempts`` failed ones: 1 s doubling to 10 min, with full jitter.

    Never under a twentieth of the step, so that a lucky draw is no busy loop.

    >>> rng = random.Random(7)
    >>> all(0.05 <= backoff(1, rng) <= 1 for _ in range(99)), backoff(2000, rng) <= 600
    (True, True)
    """
    step = min(_LONGEST_BACKOFF, _FIRST_WAIT * 2.0 ** min(max(attempts - 1, 0), 30))
    return max(step / 20, rng.random() * step)


class SinkWorker:
    """One notifier's deliveries: what is due, then what must be refreshed."""

    def __init__(self, sink: str, notifier: Notifier, outbox: Outbox, rng: random.Random) -> None:
        self.sink = sink
        self._notifier = notifier
        self._outbox = outbox
        self._rng = rng
        self._refreshed_at: int | None = None
        # From when until when (nanoseconds) the receiver asked to be left alone.
        self._left_alone = (0, 0)
        # Keys and ends of the mutes the receiver knows of.
        self._muted: set[tuple[str, int]] = set()
        # What became of a message, as long as the store could not be told (a full disk).
        self._untold: dict[int, Callable[[], None]] = {}
        self._first_failure: dict[int, int] = {}
        self.delivered = 0
        self.failed: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self.store_errors = 0

    def deliver_once(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        """One pass. Raises ``StoreError`` when the outbox cannot be read."""
        self._tell_store()
        if self._waits(clock()):
            return
        held: set[tuple[str, str | None]] = set()
        for row in self._outbox.due(clock()):
            place = (row.message.monitor, row.message.segment)
            if row.sink != self.sink or row.id in self._untold or place in held:
                continue
            if stopping():
                return
            if not self._deliver(row, clock):
                held.add(place)
            if self._waits(clock()):
                return
        self._refresh(clock, stopping)

    def _waits(self, now: int) -> bool:
        """A clock that was set back ends the wait."""
        begun, ends = self._left_alone
        return begun <= now < ends

    def _deliver(self, row: OutboxRow, clock: Callable[[], int]) -> bool:
        now = clock()
        uncertain = row.state == "sending" or row.reason in base.UNCERTAIN
        message = replace(row.message, possible_duplicate=True) if uncertain else row.message
        try:
            self._outbox.sending(row.id, now)
        except StoreError as error:
            # A full disk must not keep a page back: the message is committed, only the attempt is not.
            self.store_errors += 1
            _LOG.error(
                "cannot record an attempt, sending anyway", extra={"sink": self.sink, "error": str(error)}
            )
        answer = self._attempt(replace(row, message=message), now)
        now = clock()
        if answer.delivered:
            self.delivered += 1
            self._first_failure.pop(row.id, None)
            self._record(row.id, lambda: self._outbox.delivered(row.id, now))
            return True
        begun = self._first_failure.setdefault(row.id, now) if row.queued_at is None else row.queued_at
        old = now - begun >= _GIVE_UP_AFTER * _NANOSECONDS
        too_late = old and row.attempts + 1 >= _GIVE_UP_ATTEMPTS
        if not answer.retryable or too_late:
            self._first_failure.pop(row.id, None)
            self.failed["gave_up"] += 1
            self._record(row.id, lambda: self._outbox.dead(row.id, answer.reason))
            _LOG.error(
                "message given up", extra={"sink": self.sink, "key": message.key, "reason": answer.reason}
            )
            return True
        next_at = now + int(self._wait(row.attempts + 1, answer) * _NANOSECONDS)
        self._record(row.id, lambda: self._outbox.retry(row.id, next_at, answer.reason))
        return False

    def _wait(self, attempts: int, answer: Delivery) -> float:
        asked = min(answer.retry_after or 0.0, LONGEST_WAIT)
        return max(backoff(attempts, self._rng), asked)

    def _attempt(self, row: OutboxRow, now: int) -> Delivery:
        try:
            answer = self._notifier.send(row.message, now)
        except Exception:  # noqa: BLE001 - a supervisor: a notifier's bug must not end the thread
            _LOG.exception("notifier failed", extra={"sink": self.sink, "key": row.message.key})
            answer = Delivery(delivered=False, retryable=True, reason="bug")
        facts = {"sink": self.sink, "key": row.message.key, "detail": answer.detail}
        if answer.delivered:
            _LOG.info("message delivered", extra=facts)
        else:
            self.failed[answer.reason if answer.reason in REASONS else "rejected"] += 1
            if answer.reason == "rate_limited" and answer.retry_after:
                asked = int(min(answer.retry_after, LONGEST_WAIT) * _NANOSECONDS)
                self._left_alone = (now, now + asked)
            _LOG.warning("message not delivered", extra={**facts, "reason": answer.reason})
        return answer

    def _record(self, number: int, tell: Callable[[], None]) -> None:
        self._untold[number] = tell
        try:
            tell()
        except StoreError as error:
            self.store_errors += 1
            _LOG.error("cannot record a delivery", extra={"sink": self.sink, "error": str(error)})
        else:
            del self._untold[number]

    def _tell_store(self) -> None:
        for number, tell in list(self._untold.items()):
            self._record(number, tell)

    def _refresh(self, clock: Callable[[], int], stopping: Callable[[], bool]) -> None:
        """Send firing messages again: at the first pass after a start, then every ``refreshes`` seconds.

        A muted one is sent once, to say so, and again when the mute is over.
        """
        every = self._notifier.refreshes
        now = clock()
        if every is None:
            return
        if self._refreshed_at is not None and 0 <= now - self._refreshed_at < every * _NANOSECONDS:
            return
        self._refreshed_at = now
        for row in self._outbox.firing(self.sink):
            if stopping():
                return
            until = row.message.muted_until
            mute = None if until is None else (row.message.key, until)
            if mute in self._muted:
                continue
            answer = self._attempt(row, clock())
            # A member that missed it would take the alert for resolved when its time is over.
            if mute is not None and answer.delivered and not answer.retryable:
                self._muted.add(mute)
            if not answer.delivered and answer.reason in ("timeout", "connection", "cut_off", "rate_limited"):
                # It is down: waiting for each message in turn would keep new ones back.
                return

    def view(self) -> SinkView:
        """The counters, since the start."""
        try:
            waiting = self._outbox.waiting(self.sink)
        except StoreError:
            waiting = len(self._first_failure) + len(self._untold)
        failed = tuple(sorted(self.failed.items()))
        return SinkView(name=self.sink, delivered=self.delivered, failed=failed, pending=waiting)


class DeliveryLoop:
    """A thread per notifier over one outbox.

    ``clock`` gives nanoseconds since 1970; ``rng`` jitters the waits.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifiers: Mapping[str, Notifier],
        *,
        clock: Callable[[], int],
        rng: random.Random,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._workers = [SinkWorker(sink, notifiers[sink], outbox, rng) for sink in sorted(notifiers)]
        self._stopping = threading.Event()
        self._wakes = {worker.sink: threading.Event() for worker in self._workers}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads. Messages of notifiers no longer configured are given up, and logged."""
        self._bury_orphans()
        for worker in self._workers:
            thread = threading.Thread(
                target=self._run, args=(worker,), name=f"deliver-{worker.sink}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Something was put into the outbox: look now."""
        for event in self._wakes.values():
            event.set()

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop within ``timeout`` seconds; False when an attempt was still under way.

        What was under way stays ``sending`` in the outbox and is sent again after the next start.
        """
        self._stopping.set()
        self.wake()
        ends = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def deliver_once(self, now: int) -> None:
        """One pass over all notifiers in this thread, at the moment ``now``. Raises ``StoreError``."""
        for worker in self._workers:
            worker.deliver_once(lambda: now, self._stopping.is_set)

    @property
    def alive(self) -> bool:
        """True while every thread runs."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def store_errors(self) -> int:
        """How often the outbox could not be read or written since the start."""
        return sum(worker.store_errors for worker in self._workers)

    def views(self) -> tuple[SinkView, ...]:
        """Counters of every notifier, for the snapshot."""
        return tuple(worker.view() for worker in self._workers)

    def _bury_orphans(self) -> None:
        try:
            for row in self._outbox.due(_FOREVER):
                if row.sink not in self._wakes:
                    self._outbox.dead(row.id, "sink_removed")
                    _LOG.error(
                        "message for a notifier that is no longer configured", extra={"sink": row.sink}
                    )
        except StoreError as error:
            _LOG.error("cannot read the outbox", extra={"error": str(error)})

    def _run(self, worker: SinkWorker) -> None:
        wake = self._wakes[worker.sink]
        while not self._stopping.is_set():
            try:
                worker.deliver_once(self._clock, self._stopping.is_set)
            except StoreError as error:
                worker.store_errors += 1
                _LOG.error("cannot read the outbox", extra={"sink": worker.sink, "error": str(error)})
            except Exception:  # noqa: BLE001 - a supervisor: no message may be lost to a bug here
                _LOG.exception("delivery failed", extra={"sink": worker.sink})
            wake.wait(_TICK)
            wake.clear()
