"""What the daemon itself has not been able to do lately: a bounded list in memory, newest first."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

#: Troubles that are listed; older ones are dropped, those that ended first.
MAX_TROUBLES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    #: The part of the daemon, such as ``store`` or ``loop deliver-pagerduty``.
    subject: str
    #: What it could not do, as a sentence for people, without secrets or rows.
    words: str
    #: Nanoseconds since 1970.
    began_at: int
    #: None while it lasts.
    ended_at: int | None = None


class Troubles:
    """Thread-safe; times are nanoseconds since 1970."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By subject while they last.
        self._current: dict[str, Trouble] = {}
        self._ended: list[Trouble] = []

    def begin(self, subject: str, words: str, now: int) -> None:
        """Note a trouble that lasts until ``end``; one of the same subject goes on with the new words."""
        with self._lock:
            current = self._current.get(subject)
            began_at = now if current is None else current.began_at
            self._current[subject] = Trouble(subject=subject, words=words, began_at=began_at)

    def end(self, subject: str, now: int) -> None:
        with self._lock:
            current = self._current.pop(subject, None)
            if current is not None:
                self._add(replace(current, ended_at=now))

    def note(self, subject: str, words: str, now: int) -> None:
        """Note what happened once and is over."""
        with self._lock:
            self._add(Trouble(subject=subject, words=words, began_at=now, ended_at=now))

    def _add(self, trouble: Trouble) -> None:
        # The caller holds the lock.
        self._ended = [*self._ended, trouble][-MAX_TROUBLES:]

    def all(self) -> tuple[Trouble, ...]:
        """Return those that last, then those that ended, each newest first."""
        with self._lock:
            current = sorted(self._current.values(), key=lambda item: item.began_at, reverse=True)
            return (*current, *reversed(self._ended))[:MAX_TROUBLES]
