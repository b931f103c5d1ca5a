"""The incidents, open and resolved."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from driftwatch.store.database import Database
from driftwatch.store.records import StoredIncident


class IncidentTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def of_monitor(self, monitor: str, *, only_open: bool = True) -> list[StoredIncident]:
        """Return the monitor's incidents, oldest first."""
        rows = self._db.query(
            f"SELECT * FROM incidents WHERE monitor = ? {'AND resolved_at IS NULL' if only_open else ''}"  # noqa: S608 - a constant, nothing from outside
            " ORDER BY opened_at, key",
            (monitor,),
        )
        return [_stored_incident(row) for row in rows]

    def get(self, key: str) -> StoredIncident | None:
        rows = self._db.query("SELECT * FROM incidents WHERE key = ?", (key,))
        return _stored_incident(rows[0]) if rows else None

    def monitors(self) -> frozenset[str]:
        """Return the monitors with an open incident."""
        rows = self._db.query("SELECT DISTINCT monitor FROM incidents WHERE resolved_at IS NULL")
        return frozenset(row[0] for row in rows)

    @staticmethod
    def open(connection: sqlite3.Connection, incidents: Sequence[StoredIncident]) -> None:
        for item in incidents:
            connection.execute(
                "INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?) ON CONFLICT DO NOTHING",
                (
                    item.key, item.monitor, item.segment or "", item.kind, json.dumps(item.columns),
                    item.opened_at, item.onset, item.muted_until, item.content,
                ),
            )  # fmt: skip

    @staticmethod
    def resolve(connection: sqlite3.Connection, resolutions: Sequence[tuple[str, str]], now: int) -> None:
        """Resolve open incidents, each by its key and the resolution to record."""
        for key, resolution in resolutions:
            connection.execute(
                "UPDATE incidents SET resolved_at = ?, resolution = ? WHERE key = ? AND resolved_at IS NULL",
                (now, resolution, key),
            )

    @staticmethod
    def mute(connection: sqlite3.Connection, mutes: Sequence[tuple[str, int | None]]) -> None:
        """Mute incidents, each until its time; None ends the mute."""
        for key, until in mutes:
            connection.execute("UPDATE incidents SET muted_until = ? WHERE key = ?", (until, key))


def _stored_incident(row: sqlite3.Row) -> StoredIncident:
    return StoredIncident(
        **{
            **dict(row),
            "segment": row["segment"] or None,
            "columns": tuple(json.loads(row["columns"])),
        }
    )
