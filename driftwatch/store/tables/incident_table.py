"""The incidents, open and resolved."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from driftwatch.notify.base import IncidentKind
from driftwatch.store.acknowledgements import ACCEPTED
from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database
from driftwatch.store.mended_messages import mended_incident, segments_of
from driftwatch.store.outbox import message_from_json, message_to_json
from driftwatch.store.records import StoredIncident

_SEAL = SEALS["incidents"]


class IncidentTable:
    """A damaged incident is told from what is left of it: its receivers must learn of its end."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of_monitor(self, monitor: str, *, only_open: bool = True) -> list[StoredIncident]:
        """Return the monitor's incidents, oldest first."""
        rows = self._db.query(
            f"SELECT * FROM incidents WHERE monitor = ? {'AND resolved_at IS NULL' if only_open else ''}"  # noqa: S608 - a constant, nothing from outside
            " ORDER BY opened_at, key",
            (monitor,),
        )
        return [self._incident(row) for row in rows]

    def newest_accepted(self, monitor: str, limit: int) -> list[StoredIncident]:
        """Return those of the monitor's newest acceptance, with which the reference was rebased."""
        rows = self._db.query(
            "SELECT * FROM incidents WHERE monitor = ? AND resolution = ? AND kind <> ?"
            " ORDER BY resolved_at DESC, key LIMIT ?",
            (monitor, ACCEPTED, IncidentKind.BLIND, limit),
        )
        incidents = [self._incident(row) for row in rows]
        return [item for item in incidents if item.resolved_at == incidents[0].resolved_at]

    def get(self, key: str) -> StoredIncident | None:
        rows = self._db.query("SELECT * FROM incidents WHERE key = ?", (key,))
        return self._incident(rows[0]) if rows else None

    def _incident(self, row: sqlite3.Row) -> StoredIncident:
        stored = self._db.damage.readable(_SEAL, row, stored_incident)
        if stored is not None:
            return stored
        return mended_incident(self._db, row, message_from_json, message_to_json)

    def monitors(self) -> frozenset[str]:
        """Return the monitors with an open incident."""
        rows = self._db.query("SELECT DISTINCT monitor FROM incidents WHERE resolved_at IS NULL")
        return frozenset(row[0] for row in rows)

    @staticmethod
    def open(connection: sqlite3.Connection, incidents: Sequence[StoredIncident]) -> None:
        for item in incidents:
            connection.execute(
                f"{_SEAL.insert('muted_until', 'segments')} ON CONFLICT DO NOTHING",
                _SEAL.values(*_cells(item), unsealed=(item.muted_until, _segments_text(item))),
            )

    @staticmethod
    def update(connection: sqlite3.Connection, incidents: Sequence[StoredIncident]) -> None:
        """Replace open incidents, but for their mutes."""
        marks = ", ".join(f"{name} = ?" for name in (*_SEAL.cells, "checksum", "segments"))
        for item in incidents:
            connection.execute(
                f"UPDATE incidents SET {marks} WHERE key = ? AND resolved_at IS NULL",  # noqa: S608 - constant
                (*_SEAL.values(*_cells(item), unsealed=(_segments_text(item),)), item.key),
            )

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


def _cells(item: StoredIncident) -> tuple[object, ...]:
    return (
        item.key, item.monitor, item.segment or "", item.kind, json.dumps(item.columns), item.opened_at,
        item.onset, item.content,
    )  # fmt: skip


def _segments_text(item: StoredIncident) -> str | None:
    return json.dumps(item.segments) if item.segments else None


def stored_incident(row: sqlite3.Row) -> StoredIncident:
    if row["checksum"] is None:
        # Whoever ends the incident words its message from the content.
        message_from_json(row["content"])
    cells = {name: row[name] for name in StoredIncident.__dataclass_fields__}
    return StoredIncident(
        **{
            **cells,
            "segment": row["segment"] or None,
            "columns": tuple(json.loads(row["columns"])),
            "segments": segments_of(row["segments"]),
        }
    )
