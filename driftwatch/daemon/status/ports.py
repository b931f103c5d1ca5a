"""The interface to the running daemon that the web needs."""

from __future__ import annotations

from typing import Protocol

from driftwatch.daemon.status.history_view import HistoryView
from driftwatch.daemon.status.snapshot import Snapshot


class RunningDaemon(Protocol):
    """The running daemon, thread-safe; its history exists once it has started."""

    @property
    def past(self) -> HistoryView: ...

    def snapshot(self) -> Snapshot: ...

    def now(self) -> int:
        """Return the time in nanoseconds since 1970 UTC."""

    def reload(self) -> tuple[str, ...]:
        """Read the configuration again and return notes on settings that need a restart.

        Raises ``DriftwatchError`` and keeps the old configuration.
        """
