"""The segment states: the current one, checkpoints, and the initial one of each rebased reference."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from driftwatch.store.database import Database

#: (segment, decided until, bytes).
SegmentStates = Sequence[tuple[str | None, int, bytes]]


class StateTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def current(self, monitor: str, segment: str | None) -> bytes | None:
        rows = self._db.query(
            "SELECT content FROM tracks WHERE monitor = ? AND segment = ?", (monitor, segment or "")
        )
        return rows[0][0] if rows else None

    def of_monitor(self, monitor: str) -> list[tuple[str | None, bytes]]:
        """Return the current state of every segment that ever had one."""
        rows = self._db.query(
            "SELECT segment, content FROM tracks WHERE monitor = ? ORDER BY segment", (monitor,)
        )
        return [(row[0] or None, row[1]) for row in rows]

    def checkpoint_before(self, monitor: str, segment: str | None, judged: int) -> tuple[int, bytes] | None:
        """Return the newest state stored before a place in the order of judging, and its own place."""
        rows = self._db.query(
            "SELECT coalesce(judged, decided_until), content FROM checkpoints WHERE monitor = ?"
            " AND segment = ? AND coalesce(judged, decided_until) < ? ORDER BY id DESC LIMIT 1",
            (monitor, segment or "", judged),
        )
        return (int(rows[0][0]), rows[0][1]) if rows else None

    def initial(self, monitor: str, fingerprint: str, segment: str | None) -> bytes | None:
        """Return the segment state with which a rebased reference began; None for a built one."""
        rows = self._db.query(
            "SELECT content FROM beginnings WHERE monitor = ? AND fingerprint = ? AND segment = ?",
            (monitor, fingerprint, segment or ""),
        )
        return rows[0][0] if rows else None

    @staticmethod
    def write(
        connection: sqlite3.Connection,
        monitor: str,
        states: SegmentStates,
        *,
        checkpoint: bool,
        judged: int | None = None,
    ) -> None:
        """Replace the current states; with ``checkpoint``, a replay can start from them too.

        ``judged`` is their place in the order of judging, None where that is what they are decided until.
        """
        for segment, until, content in states:
            key = (monitor, segment or "")
            connection.execute("INSERT OR REPLACE INTO tracks VALUES (?, ?, ?)", (*key, content))
            if checkpoint:
                connection.execute(
                    "INSERT INTO checkpoints (monitor, segment, decided_until, content, judged)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (*key, until, content, None if judged == until else judged),
                )

    @staticmethod
    def write_initial(
        connection: sqlite3.Connection, monitor: str, fingerprint: str, states: SegmentStates
    ) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO beginnings VALUES (?, ?, ?, ?)",
            [(monitor, fingerprint, segment or "", content) for segment, _, content in states],
        )
