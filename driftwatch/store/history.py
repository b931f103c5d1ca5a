"""What was seen and decided: references, tiles, verdicts, tracks, incidents."""

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

#: Every so many windows the whole track is kept, so that a verdict can be replayed from near by.
CHECKPOINT_EVERY = 64

#: The newest version of each tile of a monitor's segment between two moments, of one plan.
_NEWEST = (
    "FROM tiles t WHERE t.monitor = ? AND t.segment = ? AND t.start >= ? AND t.start < ? AND t.plan = ?"
    " AND t.version = (SELECT max(w.version) FROM tiles w WHERE w.monitor = t.monitor AND w.segment = ''"
    " AND w.start = t.start AND w.plan = t.plan) ORDER BY t.start"
)


class History:
    """Reading and writing the history through one ``Database``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def commit(self, record: CheckRecord) -> bool:
        """Write one check: all of it or nothing.

        False, and nothing changed, when one of its windows was decided before.
        """
        with self._db.transaction() as connection:
            for segment, end, _ in record.verdicts:
                known = connection.execute(
                    "SELECT 1 FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?",
                    (record.monitor, segment or "", end),
                ).fetchone()
                if known:
                    return False
            self._write_facts(connection, record)
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

    def _write_facts(self, connection: Any, record: CheckRecord) -> None:
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
        """Store a freshly built reference with its blocks and make it the monitor's active one."""
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
        """The monitor's active reference, the key of what it was built from, and since when."""
        rows = self._db.query(
            "SELECT r.content, r.source_key, a.since FROM active_references a JOIN reference_versions r"
            " ON r.monitor = a.monitor AND r.fingerprint = a.fingerprint WHERE a.monitor = ?",
            (monitor,),
        )
        return (decode_reference(rows[0][0]), rows[0][1], rows[0][2]) if rows else None

    def reference(self, monitor: str, fingerprint: str) -> Reference | None:
        """A stored reference version."""
        rows = self._db.query(
            "SELECT content FROM reference_versions WHERE monitor = ? AND fingerprint = ?",
            (monitor, fingerprint),
        )
        return decode_reference(rows[0][0]) if rows else None

    def built_reference(self, monitor: str, source_key: str) -> Reference | None:
        """The newest version that was built from what the key stands for, and not rebased since."""
        rows = self._db.query(
            "SELECT content FROM reference_versions WHERE monitor = ? AND source_key = ? AND fingerprint"
            " NOT IN (SELECT fingerprint FROM beginnings WHERE monitor = ?) ORDER BY stored_at DESC LIMIT 1",
            (monitor, source_key, monitor),
        )
        return decode_reference(rows[0][0]) if rows else None

    def beginning(self, monitor: str, fingerprint: str, segment: str | None) -> bytes | None:
        """The track a rebased reference came into force with; None when the reference was built."""
        rows = self._db.query(
            "SELECT content FROM beginnings WHERE monitor = ? AND fingerprint = ? AND segment = ?",
            (monitor, fingerprint, segment or ""),
        )
        return rows[0][0] if rows else None

    def blocks(self, monitor: str, fingerprint: str, segment: str | None) -> list[Summary]:
        """The reference's own blocks, oldest first."""
        rows = self._db.query(
            "SELECT content FROM blocks WHERE monitor = ? AND fingerprint = ? AND segment = ? ORDER BY start",
            (monitor, fingerprint, segment or ""),
        )
        return [decode_summary(row[0]) for row in rows]

    def tiles(self, monitor: str, segment: str | None, start: int, end: int, plan: str) -> list[StoredTile]:
        """Newest version of each stored tile of a plan in ``[start, end)``, oldest first.

        A version of a slice is all of its segments together: one that has no rows in it any more has no tile.
        """
        rows = self._db.query(
            f"SELECT t.start, t.version, t.source_version, t.content {_NEWEST}",
            (monitor, segment or "", start, end, plan),
        )
        return [_tile(segment, row) for row in rows]

    def listed(
        self, monitor: str, segment: str | None, start: int, end: int, plan: str
    ) -> list[tuple[int, int, str]]:
        """Start, version and version of the source's data of the tiles that ``tiles`` gives."""
        rows = self._db.query(
            f"SELECT t.start, t.version, t.source_version {_NEWEST}",
            (monitor, segment or "", start, end, plan),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def newest_versions(self, monitor: str, start: int, end: int) -> dict[int, int]:
        """Number of the newest version of each slice in ``[start, end)``, of whatever plan."""
        rows = self._db.query(
            "SELECT start, max(version) FROM tiles WHERE monitor = ? AND segment = '' AND start >= ?"
            " AND start < ? GROUP BY start",
            (monitor, start, end),
        )
        return {row[0]: row[1] for row in rows}

    def tile(self, monitor: str, segment: str | None, start: int, version: int) -> StoredTile | None:
        """One version of one tile."""
        rows = self._db.query(
            "SELECT start, version, source_version, content FROM tiles WHERE monitor = ? AND segment = ?"
            " AND start = ? AND version = ?",
            (monitor, segment or "", start, version),
        )
        return _tile(segment, rows[0]) if rows else None

    def decided_at(self, monitor: str, segment: str | None, window_end: int) -> int | None:
        """When a window was decided, nanoseconds; None when it was not."""
        rows = self._db.query(
            "SELECT decided_at FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?",
            (monitor, segment or "", window_end),
        )
        return int(rows[0][0]) if rows else None

    def verdict(self, monitor: str, segment: str | None, end: int) -> dict[str, Any] | None:
        """One stored verdict as JSON."""
        rows = self._db.query(
            "SELECT content FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?",
            (monitor, segment or "", end),
        )
        return json.loads(rows[0][0]) if rows else None

    def verdicts(
        self, monitor: str, segment: str | None, *, after: int = -(1 << 62), limit: int = 400
    ) -> list[dict[str, Any]]:
        """The newest ``limit`` verdicts with a window end beyond ``after``, oldest first."""
        rows = self._db.query(
            "SELECT content FROM verdicts WHERE monitor = ? AND segment = ? AND window_end > ?"
            " ORDER BY window_end DESC LIMIT ?",
            (monitor, segment or "", after, limit),
        )
        return [json.loads(row[0]) for row in reversed(rows)]

    def last_end(self, monitor: str) -> int | None:
        """End of the newest decided window."""
        rows = self._db.query("SELECT max(window_end) FROM verdicts WHERE monitor = ?", (monitor,))
        end: int | None = rows[0][0]
        return end

    def segment_state(self, monitor: str, segment: str | None) -> bytes | None:
        """The newest track of a (monitor, segment)."""
        rows = self._db.query(
            "SELECT content FROM tracks WHERE monitor = ? AND segment = ?", (monitor, segment or "")
        )
        return rows[0][0] if rows else None

    def checkpoint_before(self, monitor: str, segment: str | None, end: int) -> bytes | None:
        """The newest kept track that had not yet decided the window ending at ``end``."""
        rows = self._db.query(
            "SELECT content FROM checkpoints WHERE monitor = ? AND segment = ? AND decided_until < ?"
            " ORDER BY id DESC LIMIT 1",
            (monitor, segment or "", end),
        )
        return rows[0][0] if rows else None

    def incidents(self, monitor: str, *, only_open: bool = True) -> list[StoredIncident]:
        """The monitor's incidents, oldest first."""
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
        """What is known of a monitor's self-test."""
        return read_selftest(self._db, monitor)

    def trials(self, monitor: str) -> list[StoredTrial]:
        """The trials of a monitor's self-test that ended, oldest first."""
        return read_trials(self._db, monitor)

    def forget(self, tiles_before: int, verdicts_before: int) -> None:
        """Retention: drop old tiles, verdicts, ended trials, checkpoints and delivered messages.

        A verdict that paged stays: its link is in somebody's post-mortem, and the page budget bounds them.
        """
        with self._db.transaction() as connection:
            for sql, before in (
                ("DELETE FROM tiles WHERE start < ?", tiles_before),
                ("DELETE FROM checkpoints WHERE decided_until < ?", tiles_before),
                ("DELETE FROM verdicts WHERE window_end < ? AND page = 0", verdicts_before),
                ("DELETE FROM incidents WHERE resolved_at < ?", verdicts_before),
                ("DELETE FROM selftest_trials WHERE ended_at < ?", verdicts_before),
                (
                    # Messages of an open incident are what its refresh sends: dropped, its alert would end.
                    "DELETE FROM outbox WHERE state IN ('delivered', 'dead') AND created_at < ?"
                    " AND key NOT IN (SELECT key FROM incidents WHERE resolved_at IS NULL)",
                    tiles_before,
                ),
            ):
                connection.execute(sql, (before,))


def _tile(segment: str | None, row: Any) -> StoredTile:
    return StoredTile(
        segment=segment,
        start=row[0],
        version=row[1],
        source_version=row[2],
        summary=decode_summary(row[3]),
    )
