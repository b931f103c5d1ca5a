"""The owed windows: closed, without a verdict on their rows, and still waiting for these."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from driftwatch.core.schema import Span
from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database
from driftwatch.store.records import OwedWindow
from driftwatch.store.tables.verdict_table import VerdictTable

_SEAL = SEALS["owed_windows"]
_INSERT = (
    f"{_SEAL.insert('waited', 'answered_at')}"
    " ON CONFLICT DO UPDATE SET answered_at = coalesce(answered_at, excluded.answered_at)"
)
#: Nanoseconds: no window is as long as ten years.
_MAX_SPAN = 3_653 * 86_400 * 1_000_000_000
_HOLDS = "SELECT 1 FROM owed_windows WHERE monitor = ? AND window_end = ?"


class OwedTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def of_monitor(self, monitor: str) -> list[OwedWindow]:
        """Return the monitor's owed windows, oldest first."""
        rows = self._db.query(
            f"SELECT {_SEAL.of('o')}, waited, answered_at, coalesce(state, '') AS state"  # noqa: S608 - constant
            " FROM owed_windows o LEFT JOIN verdicts v ON v.monitor = o.monitor AND v.segment = ''"
            " AND v.window_end = o.window_end WHERE o.monitor = ? ORDER BY o.window_end",
            (monitor,),
        )
        damage = self._db.damage
        windows = [damage.readable(_SEAL, row, _owed_window) or self._recovered(row) for row in rows]
        return [window for window in windows if window is not None]

    def _recovered(self, row: sqlite3.Row) -> OwedWindow | None:
        # The verdict on it says the same; how long it waited is not known any more.
        data = VerdictTable(self._db).get(row["monitor"], None, row["window_end"])
        window = None if data is None else Span(**data["window"])
        if window is None or window.end != row["window_end"]:
            return None
        return OwedWindow(window=window, state=row["state"])

    def count(self, monitor: str) -> int:
        return int(self._db.query("SELECT count(*) FROM owed_windows WHERE monitor = ?", (monitor,))[0][0])

    def holds_window(self, monitor: str, end: int) -> bool:
        return bool(self._db.query(_HOLDS, (monitor, end)))

    def holds_newer(self, monitor: str, end: int) -> bool:
        query = "SELECT 1 FROM owed_windows WHERE monitor = ? AND window_end > ? LIMIT 1"
        return bool(self._db.query(query, (monitor, end)))

    def wait(self, monitor: str, now: int, *, answered: bool, max_gap: int, patience: int) -> list[int]:
        """Add the time since the source's last answer to every owed window, if it answered again.

        A gap counts at most ``max_gap``, in nanoseconds: nobody looked meanwhile. Windows that have waited
        for ``patience`` are owed no longer; their ends are returned.
        """
        gap = "min(max(? - coalesce(answered_at, ?), 0), ?)"
        with self._db.transaction() as connection:
            if not answered:
                connection.execute("UPDATE owed_windows SET answered_at = NULL WHERE monitor = ?", (monitor,))
                return []
            connection.execute(
                f"UPDATE owed_windows SET waited = waited + {gap}, answered_at = ? WHERE monitor = ?",  # noqa: S608 - constant
                (now, now, max_gap, now, monitor),
            )
            rows = connection.execute(
                "DELETE FROM owed_windows WHERE monitor = ? AND waited >= ? RETURNING window_end",
                (monitor, patience),
            ).fetchall()
            ends = sorted(int(row[0]) for row in rows)
            for end in ends:
                VerdictTable.mark_final(connection, monitor, end)
            return ends

    @staticmethod
    def move_answers(connection: sqlite3.Connection, monitor: str, by: int) -> None:
        connection.execute(
            "UPDATE owed_windows SET answered_at = answered_at + ? WHERE monitor = ?", (by, monitor)
        )

    def replace(self, monitor: str, end: int, windows: Sequence[OwedWindow]) -> None:
        """Make the verdict of the owed window ending at ``end`` final, and owe these instead."""
        with self._db.transaction() as connection:
            self.delete(connection, monitor, end)
            VerdictTable.mark_final(connection, monitor, end)
            for item in windows:
                self.write(connection, monitor, item)

    @staticmethod
    def holds(connection: sqlite3.Connection, monitor: str, end: int) -> bool:
        return connection.execute(_HOLDS, (monitor, end)).fetchone() is not None

    @staticmethod
    def write(connection: sqlite3.Connection, monitor: str, owed: OwedWindow) -> None:
        """Add an owed window; of one that is owed already only the source's answer changes."""
        connection.execute(
            _INSERT,
            _SEAL.values(
                monitor, owed.window.end, owed.window.start, unsealed=(owed.waited, owed.answered_at)
            ),
        )

    @staticmethod
    def delete(connection: sqlite3.Connection, monitor: str, end: int) -> None:
        connection.execute("DELETE FROM owed_windows WHERE monitor = ? AND window_end = ?", (monitor, end))


def _owed_window(row: sqlite3.Row) -> OwedWindow:
    start, end = row["window_start"], row["window_end"]
    # A span that nothing was ever decided by would be cut into any number of windows.
    if not 0 < end - start <= _MAX_SPAN:
        raise ValueError(f"a window from {start} to {end}")
    answered_at = row["answered_at"]
    return OwedWindow(
        window=Span(start=start, end=end),
        waited=int(row["waited"]),
        answered_at=None if answered_at is None else int(answered_at),
        state=row["state"],
    )
