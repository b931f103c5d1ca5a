"""Stores references built for a backtest with settings that are not in force, one per monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from driftwatch.store.database import Database
from driftwatch.summary.reference import Reference
from driftwatch.summary.serial import decode_reference, decode_summary, encode_reference, encode_summary
from driftwatch.summary.summary import Summary

BlocksBySegment = Mapping[str | None, Sequence[Summary]]


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
