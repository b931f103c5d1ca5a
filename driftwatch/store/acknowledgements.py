"""What people said about incidents: asked through the store, applied by whoever owns the monitor."""

from __future__ import annotations

from dataclasses import dataclass

from driftwatch.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """One request. ``verdict`` is fixed, accepted or muted; ``incident`` empty means every open one."""

    id: int
    monitor: str
    incident: str
    verdict: str
    until: int | None
    note: str
    who: str
    asked_at: int
    applied_at: int | None
    outcome: str


class Acknowledgements:
    """The audit trail of acknowledgements: rows are only ever added and marked applied."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def ask(
        self, monitor: str, incident: str, verdict: str, *, until: int | None, note: str, who: str, now: int
    ) -> int:
        """Add a request and return its number."""
        with self._db.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO acknowledgements (monitor, incident, verdict, until, note, who, asked_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (monitor, incident, verdict, until, note, who, now),
            )
            return int(cursor.lastrowid or 0)

    def pending(self, monitor: str) -> list[Acknowledgement]:
        """Requests nobody applied yet, oldest first."""
        rows = self._db.query(
            "SELECT * FROM acknowledgements WHERE monitor = ? AND applied_at IS NULL ORDER BY id", (monitor,)
        )
        return [Acknowledgement(**dict(row)) for row in rows]

    def get(self, number: int) -> Acknowledgement | None:
        """One request."""
        rows = self._db.query("SELECT * FROM acknowledgements WHERE id = ?", (number,))
        return Acknowledgement(**dict(rows[0])) if rows else None
