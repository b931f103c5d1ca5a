"""What the daemon says about itself: messages in memory, which leave while the store fails.

At least once with their key while the process lives, in order per notifier, never twice for one state of a
key.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from driftwatch.notify.base import Message

log = logging.getLogger(__name__)

#: Messages that wait for one notifier, at most: as many incidents may end at once. The oldest gives way.
MAX_WAITING = 1000
#: States of keys that are remembered over all notifiers, so that none is announced twice.
_MAX_STATES = 20_000


@dataclass(slots=True, kw_only=True)
class Announcement:
    message: Message
    #: On the monotonic clock, in seconds.
    added_at: float
    due_at: float
    attempts: int = 0
    #: Why the last attempt failed.
    reason: str = ""


class Announcements:
    """Thread-safe. One object serves the notifiers over all reloads."""

    def __init__(self) -> None:
        #: Called with a notifier's name and what it took.
        self.on_delivered: Callable[[str, Message], None] = lambda _sink, _message: None
        self._lock = threading.Lock()
        self._queues: dict[str, deque[Announcement]] = {}
        #: By (notifier, key), whether the newest message was a resolve.
        self._states: OrderedDict[tuple[str, str], bool] = OrderedDict()
        #: What was delivered and is not over, by notifier and key.
        self._firing: dict[str, dict[str, Message]] = {}

    def add(self, message: Message, sinks: Collection[str]) -> None:
        now = time.monotonic()
        with self._lock:
            for sink in sinks:
                state = (sink, message.key)
                if self._states.get(state) is message.resolved:
                    continue
                self._states[state] = message.resolved
                if len(self._states) > _MAX_STATES:
                    self._states.popitem(last=False)
                queue = self._queues.setdefault(sink, deque())
                queue.append(Announcement(message=message, added_at=now, due_at=now))
                if len(queue) > MAX_WAITING:
                    log.error("message given up", extra={"sink": sink, "key": queue.popleft().message.key})

    def adopt(self, message: Message, sinks: Collection[str]) -> None:
        """Take a message for delivered: an earlier process sent it."""
        with self._lock:
            for sink in sinks:
                self._states[(sink, message.key)] = message.resolved
                self._firing.setdefault(sink, {})[message.key] = message

    def next(self, sink: str) -> Announcement | None:
        """Return the oldest message of a notifier; None when there is none or it waits for a retry."""
        with self._lock:
            queue = self._queues.get(sink)
            return queue[0] if queue and queue[0].due_at <= time.monotonic() else None

    def retry(self, item: Announcement, seconds: float, reason: str) -> None:
        with self._lock:
            item.attempts, item.reason = item.attempts + 1, reason
            item.due_at = time.monotonic() + seconds

    def finish(self, sink: str, item: Announcement, *, delivered: bool) -> None:
        """Take a message from its queue: it was delivered, or another attempt cannot succeed."""
        message = item.message
        with self._lock:
            queue = self._queues.get(sink, deque())
            if item in queue:
                queue.remove(item)
            firing = self._firing.setdefault(sink, {})
            if message.resolved:
                firing.pop(message.key, None)
            elif delivered:
                firing[message.key] = message
        if delivered:
            self.on_delivered(sink, message)

    def firing(self, sink: str) -> tuple[Message, ...]:
        """Return what a notifier that forgets has to be sent again."""
        with self._lock:
            ended = {item.message.key for item in self._queues.get(sink, ()) if item.message.resolved}
            return tuple(item for key, item in self._firing.get(sink, {}).items() if key not in ended)

    def waiting(self, sink: str) -> int:
        with self._lock:
            return len(self._queues.get(sink, ()))

    def drain(self, sinks: Collection[str], seconds: float) -> bool:
        """Wait until all of them are delivered or given up; False means that ``seconds`` passed first."""
        deadline = time.monotonic() + seconds
        while any(self.waiting(sink) for sink in sinks):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True
