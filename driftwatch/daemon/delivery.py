"""Runs one delivery thread per notifier, so that no slow receiver delays another."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping

from driftwatch.daemon.own_health.announcements import Announcements
from driftwatch.daemon.own_health.loops.heartbeat import STORE_STEP_SECONDS, Heartbeat, Moment
from driftwatch.daemon.own_health.loops.loop_supervisor import Revival
from driftwatch.daemon.own_health.own_health import LoopHealth
from driftwatch.daemon.sink_worker import Outbox, SinkWorker
from driftwatch.daemon.status.snapshot import SinkView
from driftwatch.errors import StoreError
from driftwatch.notify.base import Delivery, Message, Notifier

log = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
_END_OF_TIME = 1 << 62
#: The longest attempt, including the resolution of the receiver's host name.
MAX_ATTEMPT_SECONDS = 15.0


class _WatchedNotifier:
    """Marks the begin and the end of every attempt, so that one that hangs is told from a slow store."""

    def __init__(self, notifier: Notifier, heartbeat: Heartbeat) -> None:
        self.refresh_seconds = notifier.refresh_seconds
        self._notifier = notifier
        self._heartbeat = heartbeat

    def send(self, message: Message, now: int) -> Delivery:
        self._heartbeat.beat(MAX_ATTEMPT_SECONDS)
        answer = self._notifier.send(message, now)
        self._heartbeat.beat()
        return answer


class DeliveryLoop:
    def __init__(
        self,
        outbox: Outbox,
        notifiers: Mapping[str, Notifier],
        *,
        clock: Callable[[], int],  # nanoseconds since 1970
        rng: random.Random,  # the jitter of the waits
        announcements: Announcements | None = None,
        steady: Callable[[], int] | None = None,  # nanoseconds by which waits are measured; None: the clock
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._heartbeats = {sink: Heartbeat(f"deliver-{sink}", STORE_STEP_SECONDS) for sink in notifiers}
        self._workers = [
            SinkWorker(
                sink,
                _WatchedNotifier(notifiers[sink], self._heartbeats[sink]),
                outbox,
                rng,
                steady,
                announcements,
            )
            for sink in sorted(notifiers)
        ]
        self._stopping = threading.Event()
        self._wakes = {worker.sink: threading.Event() for worker in self._workers}
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Start the threads; messages of removed notifiers are given up and logged."""
        self._give_up_orphans()
        for worker in self._workers:
            self._start_thread(worker)

    def _start_thread(self, worker: SinkWorker) -> None:
        name = f"deliver-{worker.sink}"
        thread = threading.Thread(target=self._run, args=(worker,), name=name, daemon=True)
        self._heartbeats[worker.sink].beat()
        self._threads[worker.sink] = thread
        thread.start()

    def loops(self, moment: Moment) -> tuple[LoopHealth, ...]:
        return tuple(self._heartbeats[sink].health(moment) for sink in list(self._threads))

    def revive(self) -> Revival:
        """Start dead threads again; the message of an interrupted attempt is sent again under its key."""
        names = []
        for worker in self._workers:
            thread = self._threads.get(worker.sink)
            if thread is not None and not thread.is_alive() and not self._stopping.is_set():
                self._start_thread(worker)
                names.append(thread.name)
        return Revival(restarted=tuple(names))

    @property
    def sinks(self) -> tuple[str, ...]:
        return tuple(self._wakes)

    def count(self) -> None:
        """Count what waits, where no thread delivers; otherwise each does after every round."""
        for worker in self._workers:
            try:
                worker.count()
            except StoreError as error:
                log.error("cannot read the outbox", extra={"sink": worker.sink, "error": str(error)})

    def wake(self) -> None:
        if not self._threads:
            self.count()
        for event in self._wakes.values():
            event.set()

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop within ``timeout`` seconds; False means that an attempt was still running.

        Its message stays ``sending`` in the outbox and is sent again after the next start.
        """
        self._stopping.set()
        self.wake()
        deadline = time.monotonic() + timeout
        threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def deliver_once(self, now: int) -> None:
        """Deliver once for all notifiers in this thread. Raises ``StoreError``."""
        for worker in self._workers:
            worker.deliver_once(lambda: now, self._stopping.is_set)

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads.values())

    @property
    def store_errors(self) -> int:
        return sum(worker.store_errors for worker in self._workers)

    def views(self) -> tuple[SinkView, ...]:
        return tuple(worker.view() for worker in self._workers)

    def _give_up_orphans(self) -> None:
        try:
            for row in self._outbox.due(_END_OF_TIME):
                if row.sink not in self._wakes:
                    self._outbox.dead(row.id, "sink_removed")
                    log.error("message for a notifier that is no longer configured", extra={"sink": row.sink})
        except StoreError as error:
            log.error("cannot read the outbox", extra={"error": str(error)})

    def _run(self, worker: SinkWorker) -> None:
        wake, heartbeat = self._wakes[worker.sink], self._heartbeats[worker.sink]
        while not self._stopping.is_set():
            heartbeat.beat()
            worker.run_round(self._clock, self._stopping.is_set)
            wake.wait(_POLL_SECONDS)
            wake.clear()
