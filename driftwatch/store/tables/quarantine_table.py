"""The files that are left out, because they ended their reader when they were read alone."""

from __future__ import annotations

from driftwatch.engines.local.readers.quarantine import QuarantinedPiece
from driftwatch.sources.base import Piece
from driftwatch.store.database import Database


class QuarantineTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def of_source(self, source: str) -> list[QuarantinedPiece]:
        rows = self._db.query(
            "SELECT path, name, size, mtime, reason, conditions, until FROM quarantined_files"
            " WHERE source = ?",
            (source,),
        )
        return [
            QuarantinedPiece(
                source=source,
                piece=Piece(path=row["path"], name=row["name"], size=row["size"], modified=row["mtime"]),
                detail=row["reason"],
                until=row["until"],
                conditions=row["conditions"],
            )
            for row in rows
            # A damaged row is as none: its file is tried again.
            if all(isinstance(row[name], int) for name in ("size", "mtime", "until"))
            and all(isinstance(row[name], str) for name in ("path", "name", "reason", "conditions"))
        ]

    def add(self, item: QuarantinedPiece, now: int) -> None:
        """Add a file in place of one of the same path, and drop those whose time is over."""
        piece = item.piece
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM quarantined_files WHERE until <= ?", (now,))
            file = (piece.path, piece.name, piece.size, piece.modified)
            connection.execute(
                "INSERT OR REPLACE INTO quarantined_files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (item.source, *file, item.detail, item.conditions, item.until),
            )
