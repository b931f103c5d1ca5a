"""The references: those in force, now and earlier, with their blocks, and those built for backtests only."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database
from driftwatch.store.records import ActiveReference
from driftwatch.summary.reference import Reference
from driftwatch.summary.serial import decode_reference, decode_summary, encode_reference, encode_summary
from driftwatch.summary.summary import Summary

_VERSION, _ACTIVE, _BLOCK = SEALS["reference_versions"], SEALS["active_references"], SEALS["blocks"]
_TRIAL = SEALS["trial_references"]
BlocksBySegment = Mapping[str | None, Sequence[Summary]]


class ReferenceTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def active(self, monitor: str) -> ActiveReference | None:
        """Return the reference in force; None without a readable one."""
        pointer = self._active_row(monitor)
        if pointer is None:
            return None
        row = self._row(monitor, pointer["fingerprint"])
        reference = None if row is None else self._db.damage.readable(_VERSION, row, _reference)
        if row is None or reference is None:
            return None
        return ActiveReference(reference=reference, source_key=row["source_key"], since=pointer["since"])

    def is_damaged(self, monitor: str) -> bool:
        """Return whether a reference is in force that cannot be read."""
        query = "SELECT 1 FROM active_references WHERE monitor = ?"
        return bool(self._db.query(query, (monitor,))) and self.active(monitor) is None

    def get(self, monitor: str, fingerprint: str) -> Reference | None:
        """Return a stored reference; None for none, and for a damaged one."""
        row = self._row(monitor, fingerprint)
        return None if row is None else self._db.damage.readable(_VERSION, row, _reference)

    def _row(self, monitor: str, fingerprint: str) -> sqlite3.Row | None:
        rows = self._db.query(
            f"SELECT {_VERSION.columns} FROM reference_versions WHERE monitor = ? AND fingerprint = ?",  # noqa: S608 - constant
            (monitor, fingerprint),
        )
        return rows[0] if rows else None

    def _active_row(self, monitor: str) -> sqlite3.Row | None:
        rows = self._db.query(
            f"SELECT {_ACTIVE.columns} FROM active_references WHERE monitor = ?",  # noqa: S608 - constant
            (monitor,),
        )
        return self._db.damage.readable(_ACTIVE, rows[0], lambda row: row) if rows else None

    def active_fingerprint(self, monitor: str) -> str | None:
        row = self._active_row(monitor)
        return None if row is None else row["fingerprint"]

    def activate(self, monitor: str, fingerprint: str, now: int) -> None:
        """Make a stored reference active."""
        with self._db.transaction() as connection:
            self.write_active(connection, monitor, fingerprint, now)

    def parents_at(self, monitor: str, moment: int) -> dict[str, str]:
        """Return the references stored at a time, each with the one it was rebased from; empty if unknown."""
        rows = self._db.query(
            "SELECT fingerprint, parent FROM reference_versions WHERE monitor = ? AND stored_at = ?",
            (monitor, moment),
        )
        return {row[0]: row[1] if isinstance(row[1], str) else "" for row in rows}

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
            f"SELECT {_VERSION.columns} FROM reference_versions WHERE monitor = ? AND source_key = ?"  # noqa: S608 - constant
            " AND fingerprint NOT IN (SELECT fingerprint FROM beginnings WHERE monitor = ?)"
            " ORDER BY stored_at DESC LIMIT 1",
            (monitor, source_key, monitor),
        )
        return self._db.damage.readable(_VERSION, rows[0], _reference) if rows else None

    def blocks(self, monitor: str, fingerprint: str, segment: str | None) -> list[Summary]:
        """Return the reference's blocks, oldest first; what is usual can be learned without a damaged one."""
        rows = self._db.query(
            f"SELECT {_BLOCK.columns} FROM blocks WHERE monitor = ? AND fingerprint = ? AND segment = ?"  # noqa: S608 - constant
            " ORDER BY start",
            (monitor, fingerprint, segment or ""),
        )
        return self._db.damage.all_readable(_BLOCK, rows, _summary)

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
                    _BLOCK.insert(verb="INSERT OR REPLACE"),
                    [
                        _BLOCK.values(
                            reference.monitor, reference.fingerprint, segment or "", item.span.start,
                            encode_summary(item),
                        )
                        for item in items
                    ],
                )  # fmt: skip

    @staticmethod
    def write(
        connection: sqlite3.Connection,
        reference: Reference,
        source_key: str,
        now: int,
        *,
        parent: str | None = None,
    ) -> None:
        """Store a reference without blocks and make it active."""
        connection.execute(
            _VERSION.insert("parent", verb="INSERT OR REPLACE"),
            _VERSION.values(
                reference.fingerprint, reference.monitor, source_key, now, encode_reference(reference),
                unsealed=(parent,),
            ),
        )  # fmt: skip
        ReferenceTable.write_active(connection, reference.monitor, reference.fingerprint, now)

    @staticmethod
    def write_active(connection: sqlite3.Connection, monitor: str, fingerprint: str, now: int) -> None:
        connection.execute(
            _ACTIVE.insert(verb="INSERT OR REPLACE"), _ACTIVE.values(monitor, fingerprint, now)
        )


def _reference(row: sqlite3.Row) -> Reference:
    return decode_reference(row["content"])


def _summary(row: sqlite3.Row) -> Summary:
    return decode_summary(row["content"])


class BacktestReferences:
    """References stored apart from the history's, because no recorded verdict depends on them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, monitor: str, source_key: str) -> tuple[Reference, BlocksBySegment] | None:
        """Return the stored reference and its blocks, oldest first.

        None when ``source_key`` differs or a part is damaged: it is built again.
        """
        rows = self._db.query(
            f"SELECT {_TRIAL.columns} FROM trial_references WHERE monitor = ? AND source_key = ?"  # noqa: S608 - constant
            " ORDER BY part",
            (monitor, source_key),
        )
        if not rows or rows[0]["part"] != 0:
            return None
        damage = self._db.damage
        reference = damage.readable(_TRIAL, rows[0], _reference)
        summaries = damage.all_readable(_TRIAL, rows[1:], _summary)
        if reference is None or len(summaries) < len(rows) - 1:
            return None
        blocks: dict[str | None, list[Summary]] = {}
        for row, summary in zip(rows[1:], summaries, strict=True):
            blocks.setdefault(row["segment"] or None, []).append(summary)
        return reference, blocks

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
                _TRIAL.insert(),
                [
                    _TRIAL.values(reference.monitor, part, source_key, segment, content)
                    for part, (segment, content) in enumerate(parts)
                ],
            )
