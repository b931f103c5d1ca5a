"""The references: those in force, now and earlier, with their blocks, and those built for backtests only."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from driftwatch.store.database import Database
from driftwatch.store.records import ActiveReference
from driftwatch.summary.reference import Reference
from driftwatch.summary.serial import decode_reference, decode_summary, encode_reference, encode_summary
from driftwatch.summary.summary import Summary

BlocksBySegment = Mapping[str | None, Sequence[Summary]]


class ReferenceTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def active(self, monitor: str) -> ActiveReference | None:
        rows = self._db.query(
            "SELECT r.content, r.source_key, a.since FROM active_references a JOIN reference_versions r"
            " ON r.monitor = a.monitor AND r.fingerprint = a.fingerprint WHERE a.monitor = ?",
            (monitor,),
        )
        if not rows:
            return None
        content, source_key, since = rows[0]
        return ActiveReference(reference=decode_reference(content), source_key=source_key, since=since)

    def get(self, monitor: str, fingerprint: str) -> Reference | None:
        rows = self._db.query(
            "SELECT content FROM reference_versions WHERE monitor = ? AND fingerprint = ?",
            (monitor, fingerprint),
        )
        return decode_reference(rows[0][0]) if rows else None

    def active_fingerprint(self, monitor: str) -> str | None:
        rows = self._db.query("SELECT fingerprint FROM active_references WHERE monitor = ?", (monitor,))
        return rows[0][0] if rows else None

    def activate(self, monitor: str, fingerprint: str, now: int) -> None:
        """Make a stored reference active."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO active_references VALUES (?, ?, ?)", (monitor, fingerprint, now)
            )

    def source_key(self, monitor: str, fingerprint: str) -> str:
        """Return the hash of the data and settings of a stored reference; empty when it is not stored."""
        rows = self._db.query(
            "SELECT source_key FROM reference_versions WHERE monitor = ? AND fingerprint = ?",
            (monitor, fingerprint),
        )
        return rows[0][0] if rows else ""

    def built(self, monitor: str, source_key: str) -> Reference | None:
        """Return the newest reference built, not rebased, from the data and settings of ``source_key``."""
        rows = self._db.query(
            "SELECT content FROM reference_versions WHERE monitor = ? AND source_key = ? AND fingerprint"
            " NOT IN (SELECT fingerprint FROM beginnings WHERE monitor = ?) ORDER BY stored_at DESC LIMIT 1",
            (monitor, source_key, monitor),
        )
        return decode_reference(rows[0][0]) if rows else None

    def blocks(self, monitor: str, fingerprint: str, segment: str | None) -> list[Summary]:
        """Return the reference's blocks, oldest first."""
        rows = self._db.query(
            "SELECT content FROM blocks WHERE monitor = ? AND fingerprint = ? AND segment = ? ORDER BY start",
            (monitor, fingerprint, segment or ""),
        )
        return [decode_summary(row[0]) for row in rows]

    def store(self, reference: Reference, source_key: str, blocks: BlocksBySegment, now: int) -> None:
        """Store a built reference with its blocks and make it active."""
        with self._db.transaction() as connection:
            self.write(connection, reference, source_key, now)
            # Another window length can cut the same reference into other blocks.
            connection.execute(
                "DELETE FROM blocks WHERE monitor = ? AND fingerprint = ?",
                (reference.monitor, reference.fingerprint),
            )
            for segment, items in blocks.items():
                connection.executemany(
                    "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?)",
                    [
                        (
                            reference.monitor, reference.fingerprint, segment or "", item.span.start,
                            encode_summary(item),
                        )
                        for item in items
                    ],
                )  # fmt: skip

    @staticmethod
    def write(connection: sqlite3.Connection, reference: Reference, source_key: str, now: int) -> None:
        """Store a reference without blocks and make it active."""
        connection.execute(
            "INSERT OR REPLACE INTO reference_versions VALUES (?, ?, ?, ?, NULL, ?)",
            (reference.fingerprint, reference.monitor, source_key, now, encode_reference(reference)),
        )
        connection.execute(
            "INSERT OR REPLACE INTO active_references VALUES (?, ?, ?)",
            (reference.monitor, reference.fingerprint, now),
        )


class BacktestReferences:
    """References stored apart from the history's, because no recorded verdict depends on them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, monitor: str, source_key: str) -> tuple[Reference, BlocksBySegment] | None:
        """Return the stored reference and its blocks, oldest first; None when ``source_key`` differs."""
        rows = self._db.query(
            "SELECT segment, content FROM trial_references WHERE monitor = ? AND source_key = ?"
            " ORDER BY part",
            (monitor, source_key),
        )
        if not rows:
            return None
        blocks: dict[str | None, list[Summary]] = {}
        for segment, content in rows[1:]:
            blocks.setdefault(segment or None, []).append(decode_summary(content))
        return decode_reference(rows[0][1]), blocks

    def exists(self, monitor: str) -> bool:
        return bool(self._db.query("SELECT 1 FROM trial_references WHERE monitor = ? LIMIT 1", (monitor,)))

    def store(self, reference: Reference, source_key: str, blocks: BlocksBySegment) -> None:
        parts = [("", encode_reference(reference))]
        parts += [
            (segment or "", encode_summary(block)) for segment, items in blocks.items() for block in items
        ]
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM trial_references WHERE monitor = ?", (reference.monitor,))
            connection.executemany(
                "INSERT INTO trial_references VALUES (?, ?, ?, ?, ?)",
                [
                    (reference.monitor, part, source_key, segment, content)
                    for part, (segment, content) in enumerate(parts)
                ],
            )
