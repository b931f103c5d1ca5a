"""Which monitor each start of the daemon begins with, so that a crash loop starves none of them."""

from __future__ import annotations

from collections.abc import Sequence

from driftwatch.store.database import Database


class StartOrder:
    def __init__(self, database: Database) -> None:
        self._db = database

    def advance(self, monitors: Sequence[str]) -> str:
        """Return the monitor after the one that the last start began with. Raises ``StoreError``.

        A monitor that kills the process is then first in one start of many, not in each.
        """
        rows = self._db.query("SELECT first_monitor FROM daemon_start")
        previous = rows[0][0] if rows else None
        place = monitors.index(previous) + 1 if previous in monitors else 0
        first = monitors[place % len(monitors)]
        with self._db.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO daemon_start VALUES (1, ?)", (first,))
        return first
