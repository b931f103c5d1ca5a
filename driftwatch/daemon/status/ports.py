"""What the web needs of the running daemon."""

from __future__ import annotations

from typing import Protocol

from driftwatch.daemon.status.history_view import Past
from driftwatch.daemon.status.snapshot import Snapshot


class State(Protocol):
    """Every method may be called from several threads. The history is there once the daemon has started."""

    @property
    def past(self) -> Past:
        """The history."""

    def snapshot(self) -> Snapshot:
        """The newest snapshot."""

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""

    def reload(self) -> tuple[str, ...]:
        """Read the configuration again; what takes effect only later is returned.

        Raises ``DriftwatchError`` and keeps the old one.
        """
