"""The notifiers of a configuration and the threads that deliver to them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from driftwatch.core import plugins
from driftwatch.daemon.delivery import DeliveryLoop
from driftwatch.daemon.status.snapshot import SinkView
from driftwatch.monitor.session import Session
from driftwatch.notify.base import Delivery, Message, Notifier
from driftwatch.store.outbox import OutboxTable

#: Seconds an attempt can take, with some for its name to be resolved.
_LONGEST_ATTEMPT = 15.0


def open_notifiers(session: Session) -> dict[str, Notifier]:
    """Every configured notifier by the name of its sink."""
    return {
        item.sink: plugins.load("notify", item.type).open_notifier(item) for item in session.config.notify
    }


def _loop(session: Session, notifiers: Mapping[str, Notifier]) -> DeliveryLoop:
    return DeliveryLoop(
        OutboxTable(session.database, session.clock.now),
        notifiers,
        clock=session.clock.now,
        rng=random.Random(),  # noqa: S311 - spreads retries, protects nothing
    )


class Senders:
    """The delivery threads of a running daemon."""

    def __init__(self, session: Session) -> None:
        self._loop = _loop(session, open_notifiers(session))

    def start(self) -> None:
        """Begin delivering."""
        self._loop.start()

    def wake(self) -> None:
        """Something was put into the outbox."""
        self._loop.wake()

    def reconfigure(self, session: Session) -> None:
        """Deliver with another configuration's notifiers; an attempt under way ends first.

        Raises what opening a notifier raises; then the old ones go on.
        """
        fresh = _loop(session, open_notifiers(session))
        self._loop.stop(_LONGEST_ATTEMPT)
        self._loop = fresh
        self._loop.start()

    def stop(self, seconds: float) -> None:
        """Stop; what was under way is sent again after the next start, under the same key."""
        self._loop.stop(seconds)

    @property
    def store_errors(self) -> int:
        """How often the outbox could not be read or written."""
        return self._loop.store_errors

    def views(self) -> tuple[SinkView, ...]:
        """Counters of every sink."""
        return self._loop.views()


class _Seldom:
    """A notifier told only when somebody runs a check: what fires has to last until the next one."""

    def __init__(self, notifier: Notifier, again_within: Mapping[str, float]) -> None:
        self.refreshes = notifier.refreshes
        self._notifier = notifier
        self._again_within = again_within

    def send(self, message: Message, now: int) -> Delivery:
        """Send once, with the seconds until the next check of the message's monitor."""
        again = self._again_within.get(message.monitor)
        return self._notifier.send(replace(message, again_within=again), now)


def deliver_waiting(session: Session) -> None:
    """One attempt for every waiting message, in this thread, and what fires is told again.

    Checks come once a window, and one may be missed: alerts last for two windows and the lag.
    """
    windows = {item.name: item.window for item in session.config.monitors}
    again_within = {name: 2.0 * window.length + window.lag for name, window in windows.items()}
    notifiers = {sink: _Seldom(found, again_within) for sink, found in open_notifiers(session).items()}
    _loop(session, notifiers).deliver_once(session.clock.now())
