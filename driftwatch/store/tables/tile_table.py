"""The tiles: summaries of aligned time slices, one version per change of a slice's data."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from driftwatch.core.schema import Span
from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database
from driftwatch.store.records import StoredTile
from driftwatch.summary.serial import decode_summary, encode_summary

_SEAL = SEALS["tiles"]
_COLUMNS = _SEAL.of("t")
_INSERT = _SEAL.insert(verb="INSERT OR REPLACE")
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
        """Return the newest version of each readable tile of a plan in ``[start, end)``, oldest first."""
        return self.read(monitor, segment, start, end, plan)[0]

    def read(
        self, monitor: str, segment: str | None, start: int, end: int, plan: str
    ) -> tuple[list[StoredTile], frozenset[int]]:
        """Return the same and the starts of damaged tiles."""
        rows = self._db.query(
            f"SELECT {_COLUMNS} {_NEWEST}",
            (monitor, segment or "", start, end, plan),
        )
        tiles = self._db.damage.all_readable(_SEAL, rows, _tile)
        if len(tiles) == len(rows):
            return tiles, frozenset()
        return tiles, frozenset(row["start"] for row in rows) - {tile.start for tile in tiles}

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
            f"SELECT {_SEAL.columns} FROM tiles WHERE monitor = ? AND segment = ?"  # noqa: S608 - constant
            " AND start = ? AND version = ?",
            (monitor, segment or "", start, version),
        )
        return self._db.damage.readable(_SEAL, rows[0], _tile) if rows else None

    def holds(self, monitor: str, segment: str | None, start: int, version: int) -> bool:
        """Return whether a tile is stored, readable or not."""
        rows = self._db.query(
            "SELECT 1 FROM tiles WHERE monitor = ? AND segment = ? AND start = ? AND version = ?",
            (monitor, segment or "", start, version),
        )
        return bool(rows)

    @staticmethod
    def write(connection: sqlite3.Connection, monitor: str, tiles: Sequence[StoredTile]) -> None:
        connection.executemany(
            _INSERT,
            [
                _SEAL.values(
                    monitor, tile.segment or "", tile.start, tile.version, tile.summary.plan,
                    tile.source_version, tile.summary.rows, encode_summary(tile.summary),
                )
                for tile in tiles
            ],
        )  # fmt: skip


def _tile(row: sqlite3.Row) -> StoredTile:
    return StoredTile(
        segment=row["segment"] or None,
        start=row["start"],
        version=row["version"],
        source_version=row["source_version"],
        summary=decode_summary(row["content"]),
    )
