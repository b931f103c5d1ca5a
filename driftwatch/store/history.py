"""Stores references, tiles, verdicts, segment states and incidents, in one transaction per check."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from driftwatch.store.database import Database
from driftwatch.store.records import CheckRecord, StoredIncident, StoredSelftest, StoredTile, StoredTrial
from driftwatch.store.selftests import read_selftest, read_trials, write_selftest
from driftwatch.summary.reference import Reference
from driftwatch.summary.serial import (
    decode_reference,
    decode_summary,
    encode_reference,
    encode_summary,
)
from driftwatch.summary.summary import Summary

#: Windows between two stored segment states: a replay starts from the nearest one.
CHECKPOINT_WINDOWS = 64

#: The newest version of each tile of one (monitor, segment, plan) in a span. All segments of a slice share
#: one version: a segment without rows in that version has no tile.
_NEWEST_TILES = (
    "FROM tiles t WHERE t.monitor = ? AND t.segment = ? AND t.start >= ? AND t.start < ? AND t.plan = ?"
    " AND t.version = (SELECT max(w.version) FROM tiles w WHERE w.monitor = t.monitor AND w.segment = ''"
    " AND w.start = t.start AND w.plan = t.plan) ORDER BY t.start"
)


class History:
    def __init__(self, database: Database) -> None:
        self._db = database

    def commit(self, record: CheckRecord) -> bool:
        """Write all changes of one check or none; False when one of its windows is already decided."""
        with self._db.transaction() as connection:
            for segment, end, _ in record.verdicts:
                decided = connection.execute(
                    "SELECT 1 FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?",
                    (record.monitor, segment or "", end),
                ).fetchone()
                if decided:
                    return False
            self._write_window(connection, record)
            self._write_incidents(connection, record)
            if record.configuration is not None:
                connection.execute(
                    "INSERT OR IGNORE INTO configurations VALUES (?, ?, ?, ?)",
                    (record.monitor, record.configuration[0], record.now, record.configuration[1]),
                )
            if record.selftest is not None:
                write_selftest(connection, record.monitor, record.selftest)
            if record.reference is not None:
                reference, source_key = record.reference
                self._write_reference(connection, reference, source_key, record.now)
                connection.executemany(
                    "INSERT OR REPLACE INTO beginnings VALUES (?, ?, ?, ?)",
                    [
                        (record.monitor, reference.fingerprint, segment or "", content)
                        for segment, _, content in record.segment_states
                    ],
                )
        return True

    def _write_window(self, connection: Any, record: CheckRecord) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    record.monitor, tile.segment or "", tile.start, tile.version, tile.summary.plan,
                    tile.source_version, tile.summary.rows, encode_summary(tile.summary),
                )
                for tile in record.tiles
            ],
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    record.monitor, segment or "", end, content["state"], content["evidence"],
                    int(content["page"]), record.now, json.dumps(content, ensure_ascii=True),
                )
                for segment, end, content in record.verdicts
            ],
        )  # fmt: skip
        for segment, until, content in record.segment_states:
            key = (record.monitor, segment or "")
            connection.execute("INSERT OR REPLACE INTO tracks VALUES (?, ?, ?)", (*key, content))
            if record.checkpoint:
                connection.execute(
                    "INSERT INTO checkpoints (monitor, segment, decided_until, content) VALUES (?, ?, ?, ?)",
                    (*key, until, content),
                )

    def _write_incidents(self, connection: Any, record: CheckRecord) -> None:
        for item in record.opened:
            connection.execute(
                "INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?) ON CONFLICT DO NOTHING",
                (
                    item.key, item.monitor, item.segment or "", item.kind, json.dumps(item.columns),
                    item.opened_at, item.onset, item.muted_until, item.content,
                ),
            )  # fmt: skip
        for key, resolution in record.resolved:
            connection.execute(
                "UPDATE incidents SET resolved_at = ?, resolution = ? WHERE key = ? AND resolved_at IS NULL",
                (record.now, resolution, key),
            )
        for sink, key, kind, segment, message in record.messages:
            connection.execute(
                "INSERT INTO outbox (sink, key, kind, monitor, segment, message, next_at, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (sink, key, kind, record.monitor, segment or "", message, record.now, record.now),
            )
        for key, until in record.muted:
            connection.execute("UPDATE incidents SET muted_until = ? WHERE key = ?", (until, key))
        for number, outcome in record.acknowledged:
            connection.execute(
                "UPDATE acknowledgements SET applied_at = ?, outcome = ? WHERE id = ?",
                (record.now, outcome, number),
            )

    def _write_reference(self, connection: Any, reference: Reference, source_key: str, now: int) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO reference_versions VALUES (?, ?, ?, ?, NULL, ?)",
            (reference.fingerprint, reference.monitor, source_key, now, encode_reference(reference)),
        )
        connection.execute(
            "INSERT OR REPLACE INTO active_references VALUES (?, ?, ?)",
            (reference.monitor, reference.fingerprint, now),
        )

    def store_reference(
        self, reference: Reference, source_key: str, blocks: Mapping[str | None, Sequence[Summary]], now: int
    ) -> None:
        """Store a built reference with its blocks and make it active."""
        with self._db.transaction() as connection:
            self._write_reference(connection, reference, source_key, now)
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

    def active_reference(self, monitor: str) -> tuple[Reference, str, int] | None:
        """Return the active reference, the key of its data and settings, and since when it is active (ns)."""
        rows = self._db.query(
            "SELECT r.content, r.source_key, a.since FROM active_references a JOIN reference_versions r"
            " ON r.monitor = a.monitor AND r.fingerprint = a.fingerprint WHERE a.monitor = ?",
            (monitor,),
        )
        return (decode_reference(rows[0][0]), rows[0][1], rows[0][2]) if rows else None

    def reference(self, monitor: str, fingerprint: str) -> Reference | None:
        rows = self._db.query(
            "SELECT content FROM reference_versions WHERE monitor = ? AND fingerprint = ?",
            (monitor, fingerprint),
        )
        return decode_reference(rows[0][0]) if rows else None

    def built_reference(self, monitor: str, source_key: str) -> Reference | None:
        """Return the newest reference built, not rebased, from the data and settings of ``source_key``."""
        rows = self._db.query(
            "SELECT content FROM reference_versions WHERE monitor = ? AND source_key = ? AND fingerprint"
            " NOT IN (SELECT fingerprint FROM beginnings WHERE monitor = ?) ORDER BY stored_at DESC LIMIT 1",
            (monitor, source_key, monitor),
        )
        return decode_reference(rows[0][0]) if rows else None

    def initial_state(self, monitor: str, fingerprint: str, segment: str | None) -> bytes | None:
        """Return the segment state with which a rebased reference began; None for a built one."""
        rows = self._db.query(
            "SELECT content FROM beginnings WHERE monitor = ? AND fingerprint = ? AND segment = ?",
            (monitor, fingerprint, segment or ""),
        )
        return rows[0][0] if rows else None

    def blocks(self, monitor: str, fingerprint: str, segment: str | None) -> list[Summary]:
        """Return the reference's blocks, oldest first."""
        rows = self._db.query(
            "SELECT content FROM blocks WHERE monitor = ? AND fingerprint = ? AND segment = ? ORDER BY start",
            (monitor, fingerprint, segment or ""),
        )
        return [decode_summary(row[0]) for row in rows]

    def tiles(self, monitor: str, segment: str | None, start: int, end: int, plan: str) -> list[StoredTile]:
        """Return the newest version of each tile of a plan in ``[start, end)``, oldest first."""
        rows = self._db.query(
            f"SELECT t.start, t.version, t.source_version, t.content {_NEWEST_TILES}",
            (monitor, segment or "", start, end, plan),
        )
        return [_tile(segment, row) for row in rows]

    def tile_keys(
        self, monitor: str, segment: str | None, start: int, end: int, plan: str
    ) -> list[tuple[int, int, str]]:
        """Return (start, version, source version) of the tiles that ``tiles`` returns."""
        rows = self._db.query(
            f"SELECT t.start, t.version, t.source_version {_NEWEST_TILES}",
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

    def tile(self, monitor: str, segment: str | None, start: int, version: int) -> StoredTile | None:
        rows = self._db.query(
            "SELECT start, version, source_version, content FROM tiles WHERE monitor = ? AND segment = ?"
            " AND start = ? AND version = ?",
            (monitor, segment or "", start, version),
        )
        return _tile(segment, rows[0]) if rows else None

    def decided_at(self, monitor: str, segment: str | None, window_end: int) -> int | None:
        """Return when the window was decided (nanoseconds), or None when undecided."""
        rows = self._db.query(
            "SELECT decided_at FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?",
            (monitor, segment or "", window_end),
        )
        return int(rows[0][0]) if rows else None

    def verdict(self, monitor: str, segment: str | None, end: int) -> dict[str, Any] | None:
        rows = self._db.query(
            "SELECT content FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?",
            (monitor, segment or "", end),
        )
        return json.loads(rows[0][0]) if rows else None

    def verdicts(
        self, monitor: str, segment: str | None, *, end_above: int = -(1 << 62), limit: int = 400
    ) -> list[dict[str, Any]]:
        """Return the newest verdicts of windows that end after ``end_above``, oldest first."""
        rows = self._db.query(
            "SELECT content FROM verdicts WHERE monitor = ? AND segment = ? AND window_end > ?"
            " ORDER BY window_end DESC LIMIT ?",
            (monitor, segment or "", end_above, limit),
        )
        return [json.loads(row[0]) for row in reversed(rows)]

    def last_end(self, monitor: str) -> int | None:
        """Return the end of the newest decided window."""
        rows = self._db.query("SELECT max(window_end) FROM verdicts WHERE monitor = ?", (monitor,))
        end: int | None = rows[0][0]
        return end

    def segment_state(self, monitor: str, segment: str | None) -> bytes | None:
        rows = self._db.query(
            "SELECT content FROM tracks WHERE monitor = ? AND segment = ?", (monitor, segment or "")
        )
        return rows[0][0] if rows else None

    def checkpoint_before(self, monitor: str, segment: str | None, end: int) -> bytes | None:
        """Return the newest stored segment state that precedes the window ending at ``end``."""
        rows = self._db.query(
            "SELECT content FROM checkpoints WHERE monitor = ? AND segment = ? AND decided_until < ?"
            " ORDER BY id DESC LIMIT 1",
            (monitor, segment or "", end),
        )
        return rows[0][0] if rows else None

    def incidents(self, monitor: str, *, only_open: bool = True) -> list[StoredIncident]:
        """Return the monitor's incidents, oldest first."""
        rows = self._db.query(
            f"SELECT * FROM incidents WHERE monitor = ? {'AND resolved_at IS NULL' if only_open else ''}"  # noqa: S608 - a constant, nothing from outside
            " ORDER BY opened_at, key",
            (monitor,),
        )
        return [
            StoredIncident(
                **{
                    **dict(row),
                    "segment": row["segment"] or None,
                    "columns": tuple(json.loads(row["columns"])),
                }
            )
            for row in rows
        ]

    def selftest(self, monitor: str) -> StoredSelftest:
        return read_selftest(self._db, monitor)

    def trials(self, monitor: str) -> list[StoredTrial]:
        return read_trials(self._db, monitor)

    def forget(self, tile_cutoff: int, verdict_cutoff: int) -> None:
        """Delete rows older than the retention cutoffs (nanoseconds)."""
        with self._db.transaction() as connection:
            for sql, cutoff in (
                ("DELETE FROM tiles WHERE start < ?", tile_cutoff),
                ("DELETE FROM checkpoints WHERE decided_until < ?", tile_cutoff),
                # A verdict that paged stays: a post-mortem links to it. The page budget bounds their number.
                ("DELETE FROM verdicts WHERE window_end < ? AND page = 0", verdict_cutoff),
                ("DELETE FROM incidents WHERE resolved_at < ?", verdict_cutoff),
                ("DELETE FROM selftest_trials WHERE ended_at < ?", verdict_cutoff),
                (
                    # A refresh sends messages of an open incident again: without them its alert ends.
                    "DELETE FROM outbox WHERE state IN ('delivered', 'dead') AND created_at < ?"
                    " AND key NOT IN (SELECT key FROM incidents WHERE resolved_at IS NULL)",
                    tile_cutoff,
                ),
            ):
                connection.execute(sql, (cutoff,))


def _tile(segment: str | None, row: Any) -> StoredTile:
    return StoredTile(
        segment=segment,
        start=row[0],
        version=row[1],
        source_version=row[2],
        summary=decode_summary(row[3]),
    )
