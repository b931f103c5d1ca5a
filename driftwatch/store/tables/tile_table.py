"""The tiles: summaries of aligned time slices, one version per change of a slice's data."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from driftwatch.core.schema import Span
from driftwatch.store.database import Database
from driftwatch.store.records import StoredTile
from driftwatch.summary.serial import decode_summary, encode_summary

#: The newest version of each tile of one (monitor, segment, plan) in a span. All segments of a slice share
#: one version: a segment without rows in that version has no tile.
_NEWEST = (
    "FROM tiles t WHERE t.monitor = ? AND t.segment = ? AND t.start >= ? AND t.start < ? AND t.plan = ?"
    " AND t.version = (SELECT max(w.version) FROM tiles w WHERE w.monitor = t.monitor AND w.segment = ''"
    " AND w.start = t.start AND w.plan = t.plan) ORDER BY t.start"
)


class TileTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def newest(self, monitor: str, segment: str | None, start: int, end: int, plan: str) -> list[StoredTile]:
        """Return the newest version of each tile of a plan in ``[start, end)``, oldest first."""
        rows = self._db.query(
            f"SELECT t.start, t.version, t.source_version, t.content {_NEWEST}",
            (monitor, segment or "", start, end, plan),
        )
        return [_tile(segment, row) for row in rows]

    def newest_keys(
        self, monitor: str, segment: str | None, start: int, end: int, plan: str
    ) -> list[tuple[int, int, str]]:
        """Return (start, version, source version) of the tiles that ``newest`` returns."""
        rows = self._db.query(
            f"SELECT t.start, t.version, t.source_version {_NEWEST}",
            (monitor, segment or "", start, end, plan),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def newest_versions(self, monitor: str, start: int, end: int) -> dict[int, int]:
        """Return the newest version of each slice in ``[start, end)`` over all plans, by its start."""
        rows = self._db.query(
            "SELECT start, max(version) FROM tiles WHERE monitor = ? AND segment = '' AND start >= ?"
            " AND start < ? GROUP BY start",
            (monitor, start, end),
        )
        return {row[0]: row[1] for row in rows}

    def versions(self, monitor: str, start: int, plan: str) -> list[int]:
        """Return the stored versions of a slice in a plan, oldest first."""
        rows = self._db.query(
            "SELECT version FROM tiles WHERE monitor = ? AND segment = '' AND start = ? AND plan = ?"
            " ORDER BY version",
            (monitor, start, plan),
        )
        return [row[0] for row in rows]

    def newest_of_span(self, monitor: str, segment: str | None, span: Span, plan: str) -> StoredTile | None:
        for version in reversed(self.versions(monitor, span.start, plan)):
            tile = self.get(monitor, None, span.start, version)
            if tile is not None and tile.summary.span == span:
                return tile if segment is None else self.get(monitor, segment, span.start, version)
        return None

    def get(self, monitor: str, segment: str | None, start: int, version: int) -> StoredTile | None:
        rows = self._db.query(
            "SELECT start, version, source_version, content FROM tiles WHERE monitor = ? AND segment = ?"
            " AND start = ? AND version = ?",
            (monitor, segment or "", start, version),
        )
        return _tile(segment, rows[0]) if rows else None

    @staticmethod
    def write(connection: sqlite3.Connection, monitor: str, tiles: Sequence[StoredTile]) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    monitor, tile.segment or "", tile.start, tile.version, tile.summary.plan,
                    tile.source_version, tile.summary.rows, encode_summary(tile.summary),
                )
                for tile in tiles
            ],
        )  # fmt: skip


def _tile(segment: str | None, row: sqlite3.Row) -> StoredTile:
    return StoredTile(
        segment=segment,
        start=row[0],
        version=row[1],
        source_version=row[2],
        summary=decode_summary(row[3]),
    )
