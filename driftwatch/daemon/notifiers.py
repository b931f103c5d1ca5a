"""Opens the configured notifiers and runs the threads that deliver to them."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import replace

from driftwatch.core import plugins
from driftwatch.daemon.delivery import MAX_ATTEMPT_SECONDS, DeliveryLoop
from driftwatch.daemon.own_health.announcements import Announcements
from driftwatch.daemon.own_health.loops.heartbeat import Moment
from driftwatch.daemon.own_health.loops.loop_supervisor import Revival
from driftwatch.daemon.own_health.own_health import LoopHealth
from driftwatch.daemon.status.snapshot import SinkView
from driftwatch.monitor.session import Session
from driftwatch.notify.base import Delivery, Message, Notifier
from driftwatch.store.outbox import OutboxTable


def open_notifiers(session: Session) -> dict[str, Notifier]:
    return {
        item.sink: plugins.load("notify", item.type).open_notifier(item) for item in session.config.notify
    }


def _loop(
    session: Session, notifiers: Mapping[str, Notifier], announcements: Announcements | None = None
) -> DeliveryLoop:
    return DeliveryLoop(
        OutboxTable(session.database, session.clock.now),
        notifiers,
        clock=session.clock.now,
        steady=session.clock.steady,
        rng=random.Random(),  # noqa: S311 - spreads retries, protects nothing
        announcements=announcements,
    )


class Senders:
    def __init__(self, session: Session) -> None:
        self.announcements = Announcements()
        self._loop = _loop(session, open_notifiers(session), self.announcements)
        self._loop.count()

    def start(self) -> None:
        self._loop.start()

    def wake(self) -> None:
        self._loop.wake()

    def announce(self, message: Message, sinks: Collection[str] | None = None) -> None:
        """Send a message to every notifier, or to those named, from memory and without the store.

        At least once while the process lives, with retries, and never twice for one state of its key.
        """
        self.announcements.add(message, self._loop.sinks if sinks is None else sinks)
        self._loop.wake()

    @property
    def sinks(self) -> tuple[str, ...]:
        return self._loop.sinks

    def drain(self, seconds: float) -> bool:
        """Wait until every announced message has left; False means that ``seconds`` passed first."""
        return self.announcements.drain(self._loop.sinks, seconds)

    def reconfigure(self, session: Session) -> None:
        """Replace the notifiers after the running attempt.

        An error in opening one is raised and leaves the old ones running.
        """
        replacement = _loop(session, open_notifiers(session), self.announcements)
        replacement.count()
        self._loop.stop(MAX_ATTEMPT_SECONDS)
        self._loop = replacement
        self._loop.start()

    def stop(self, seconds: float) -> None:
        """Stop delivery; an interrupted message is sent again after the next start under the same key."""
        self._loop.stop(seconds)

    def loops(self, moment: Moment) -> tuple[LoopHealth, ...]:
        return self._loop.loops(moment)

    def revive(self) -> Revival:
        return self._loop.revive()

    @property
    def store_errors(self) -> int:
        return self._loop.store_errors

    def views(self) -> tuple[SinkView, ...]:
        return self._loop.views()


class _OneOffNotifier:
    # For single checks without a daemon: a firing alert must last until the next check.
    def __init__(self, notifier: Notifier, again_within: Mapping[str, float]) -> None:
        self.refresh_seconds = notifier.refresh_seconds
        self._notifier = notifier
        self._again_within = again_within

    def send(self, message: Message, now: int) -> Delivery:
        seconds = self._again_within.get(message.monitor)
        return self._notifier.send(replace(message, again_within=seconds), now)


def deliver_waiting(session: Session) -> None:
    """Attempt every waiting message once, in this thread, and refresh firing ones."""
    windows = {item.name: item.window for item in session.config.monitors}
    # Seconds that alerts last: checks run once per window, and one may be missed.
    again_within = {name: 2.0 * window.length + window.lag for name, window in windows.items()}
    notifiers = {
        sink: _OneOffNotifier(notifier, again_within) for sink, notifier in open_notifiers(session).items()
    }
    _loop(session, notifiers).deliver_once(session.clock.now())
