"""The verdicts of decided windows, and the configurations that they were decided with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from driftwatch.core.schema import Span
from driftwatch.store.database import Database
from driftwatch.store.records import StoredCut

#: (segment, window end, JSON object).
StoredVerdicts = Sequence[tuple[str | None, int, Mapping[str, Any]]]
#: The segments of a monitor (?1), from one to the next: without a segment, SQLite reads all of its verdicts.
_SEGMENTS = (
    "WITH RECURSIVE segments (name) AS (SELECT min(segment) FROM verdicts WHERE monitor = ?1 UNION ALL"
    " SELECT (SELECT min(segment) FROM verdicts WHERE monitor = ?1 AND segment > name)"
    " FROM segments WHERE name IS NOT NULL)"
)
#: ?2: the end of a window.
_OF_WINDOW = f"monitor = ?1 AND window_end = ?2 AND segment IN ({_SEGMENTS} SELECT name FROM segments)"  # noqa: S608 - constant
_DELETE = f"DELETE FROM verdicts WHERE {_OF_WINDOW}"  # noqa: S608 - constant
_CONTENTS = f"SELECT segment, content FROM verdicts WHERE {_OF_WINDOW}"  # noqa: S608 - constant
_LAST_END = (
    f"{_SEGMENTS} SELECT max((SELECT max(window_end) FROM verdicts WHERE monitor = ?1"  # noqa: S608 - constant
    " AND segment = name)) FROM segments"
)


class VerdictTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, monitor: str, segment: str | None, end: int) -> dict[str, Any] | None:
        rows = self._db.query(
            "SELECT content FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?",
            (monitor, segment or "", end),
        )
        return json.loads(rows[0][0]) if rows else None

    def newest(
        self, monitor: str, segment: str | None, *, end_above: int = -(1 << 62), limit: int = 400
    ) -> list[dict[str, Any]]:
        """Return the newest verdicts of windows that end after ``end_above``, oldest first."""
        rows = self._db.query(
            "SELECT content FROM verdicts WHERE monitor = ? AND segment = ? AND window_end > ?"
            " ORDER BY window_end DESC LIMIT ?",
            (monitor, segment or "", end_above, limit),
        )
        return [json.loads(row[0]) for row in reversed(rows)]

    def decided_at(self, monitor: str, segment: str | None, window_end: int) -> int | None:
        """Return when the window was decided (nanoseconds), or None when undecided."""
        rows = self._db.query(
            "SELECT decided_at FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?",
            (monitor, segment or "", window_end),
        )
        return int(rows[0][0]) if rows else None

    def count_judged(self, monitor: str, segment: str | None, until: int, limit: int) -> int:
        """Count windows of known and calibrating states that end by ``until``, at most ``limit``."""
        rows = self._db.query(
            "SELECT count(*) FROM (SELECT 1 FROM verdicts WHERE monitor = ? AND segment = ?"
            " AND window_end <= ? AND state IN ('ok', 'drifting', 'broken', 'calibrating') LIMIT ?)",
            (monitor, segment or "", until, limit),
        )
        return int(rows[0][0])

    def first_end(self, monitor: str) -> int | None:
        """Return the end of the oldest decided window that is stored."""
        rows = self._db.query(
            "SELECT window_end FROM verdicts WHERE monitor = ? AND segment = '' ORDER BY window_end LIMIT 1",
            (monitor,),
        )
        return int(rows[0][0]) if rows else None

    def first_commit(self, monitor: str) -> int | None:
        """Return when a check of the monitor was first stored (nanoseconds); retention keeps that."""
        rows = self._db.query("SELECT min(first_at) FROM configurations WHERE monitor = ?", (monitor,))
        moment: int | None = rows[0][0]
        return moment

    def oldest_end(self, monitor: str, segment: str | None) -> int | None:
        """Return the end of the oldest stored window that did not page: retention keeps the others."""
        rows = self._db.query(
            "SELECT window_end FROM verdicts WHERE monitor = ? AND segment = ? AND page = 0"
            " ORDER BY window_end LIMIT 1",
            (monitor, segment or ""),
        )
        return int(rows[0][0]) if rows else None

    def last_end(self, monitor: str) -> int | None:
        """Return the end of the newest decided window."""
        rows = self._db.query(_LAST_END, (monitor,))
        end: int | None = rows[0][0]
        return end

    def ends(self, monitor: str, within: Span) -> list[int]:
        """Return the ends of decided windows after the start of a span and up to its end, oldest first."""
        rows = self._db.query(
            "SELECT window_end FROM verdicts WHERE monitor = ? AND segment = '' AND window_end > ?"
            " AND window_end <= ? ORDER BY window_end",
            (monitor, within.start, within.end),
        )
        return [int(row[0]) for row in rows]

    def cuts(self, monitor: str, within: Span) -> list[StoredCut]:
        """Return the decided windows that overlap a span."""
        # SQLite takes these few values out of a text that has hundreds of statistics.
        rows = self._db.query(
            "SELECT json_extract(content, '$.window.start') AS start, window_end,"
            " json_extract(content, '$.configuration') AS configuration,"
            " json_extract(content, '$.reference') AS reference, json_extract(content, '$.tiles') AS tiles"
            " FROM verdicts WHERE monitor = ?1 AND segment = '' AND window_end > ?2 AND window_end <="
            " coalesce((SELECT min(window_end) FROM verdicts WHERE monitor = ?1 AND segment = ''"
            " AND window_end >= ?3), ?3)",
            (monitor, within.start, within.end),
        )
        return [
            StoredCut(
                window=Span(start=row["start"], end=row["window_end"]),
                configuration=row["configuration"],
                reference=row["reference"],
                tiles=tuple((start, version) for start, version in json.loads(row["tiles"])),
            )
            for row in rows
            if row["start"] < within.end
        ]

    @staticmethod
    def write(
        connection: sqlite3.Connection,
        monitor: str,
        verdicts: StoredVerdicts,
        now: int,
        judged: int | None = None,
    ) -> None:
        """Write verdicts; ``judged`` is their place in the order of judging, None where that is their end."""
        connection.executemany(
            "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    monitor, segment or "", end, content["state"], content["evidence"],
                    int(content["page"]), now, json.dumps(content, ensure_ascii=True), judged,
                )
                for segment, end, content in verdicts
            ],
        )  # fmt: skip

    @staticmethod
    def delete(connection: sqlite3.Connection, monitor: str, end: int) -> None:
        connection.execute(_DELETE, (monitor, end))

    @staticmethod
    def mark_final(connection: sqlite3.Connection, monitor: str, end: int) -> None:
        for segment, content in connection.execute(_CONTENTS, (monitor, end)).fetchall():
            final = {name: value for name, value in json.loads(content).items() if name != "owed"}
            connection.execute(
                "UPDATE verdicts SET content = ? WHERE monitor = ? AND window_end = ? AND segment = ?",
                (json.dumps(final, ensure_ascii=True), monitor, end, segment),
            )

    @staticmethod
    def write_configuration(
        connection: sqlite3.Connection, monitor: str, configuration: tuple[str, str], now: int
    ) -> None:
        fingerprint, content = configuration
        connection.execute(
            "INSERT OR IGNORE INTO configurations VALUES (?, ?, ?, ?)", (monitor, fingerprint, now, content)
        )
