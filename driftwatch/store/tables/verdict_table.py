"""The verdicts of decided windows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from driftwatch.core.schema import Span
from driftwatch.errors import StoreError, StoreTooNew
from driftwatch.results.results import Verdict
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.store.damage import DECODE_ERRORS, SEALS, checksum, unreadable
from driftwatch.store.database import Database
from driftwatch.store.records import StoredCut

#: (segment, window end, JSON object).
StoredVerdicts = Sequence[tuple[str | None, int, Mapping[str, Any]]]
_SEAL = SEALS["verdicts"]
_ALL = f"SELECT {_SEAL.columns} FROM verdicts"  # noqa: S608 - constant
#: The segments of a monitor (?1), from one to the next: without a segment, SQLite reads all of its verdicts.
_SEGMENTS = (
    "WITH RECURSIVE segments (name) AS (SELECT min(segment) FROM verdicts WHERE monitor = ?1 UNION ALL"
    " SELECT (SELECT min(segment) FROM verdicts WHERE monitor = ?1 AND segment > name)"
    " FROM segments WHERE name IS NOT NULL)"
)
_KEY = "monitor = ? AND segment = ? AND window_end = ?"
#: ?2: the end of a window.
_OF_WINDOW = f"monitor = ?1 AND window_end = ?2 AND segment IN ({_SEGMENTS} SELECT name FROM segments)"  # noqa: S608 - constant
_DELETE = f"DELETE FROM verdicts WHERE {_OF_WINDOW}"  # noqa: S608 - constant
_OF_WINDOW_ALL = f"{_ALL} WHERE {_OF_WINDOW}"
_LAST_END = (
    f"{_SEGMENTS} SELECT max((SELECT max(window_end) FROM verdicts WHERE monitor = ?1"  # noqa: S608 - constant
    " AND segment = name)) FROM segments"
)


class VerdictTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, monitor: str, segment: str | None, end: int) -> dict[str, Any] | None:
        rows = self._db.query(
            f"{_ALL} WHERE monitor = ? AND segment = ? AND window_end = ?", (monitor, segment or "", end)
        )
        return self._db.damage.readable(_SEAL, rows[0], content_of) if rows else None

    def newest(
        self, monitor: str, segment: str | None, *, end_above: int = -(1 << 62), limit: int = 400
    ) -> list[dict[str, Any]]:
        """Return the newest verdicts of windows that end after ``end_above``, oldest first."""
        rows = self._db.query(
            f"{_ALL} WHERE monitor = ? AND segment = ? AND window_end > ? ORDER BY window_end DESC LIMIT ?",
            (monitor, segment or "", end_above, limit),
        )
        return self._db.damage.all_readable(_SEAL, rows[::-1], content_of)

    def decode(self, data: dict[str, Any], *, table: str = _SEAL.table) -> Verdict | None:
        """Decode a verdict, or a late part; None for a damaged one of an older version, which is noted."""
        try:
            return verdict_from_json(data)
        except StoreTooNew:
            raise
        except StoreError as error:
            seal = SEALS[table]
            for row in self._db.query(f"SELECT * FROM {table} WHERE {_KEY}", _key_of(data)):  # noqa: S608 - constants
                problem = unreadable(seal, row, error)
                if isinstance(problem, StoreTooNew):
                    raise problem from error
                self._db.damage.note(table, seal.key_of(row), str(problem))
            return None

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
            f"SELECT {_SEAL.columns}, json_extract(content, '$.window.start') AS start,"  # noqa: S608 - constant
            " json_extract(content, '$.configuration') AS configuration,"
            " json_extract(content, '$.reference') AS reference, json_extract(content, '$.tiles') AS tiles"
            " FROM verdicts WHERE monitor = ?1 AND segment = '' AND json_valid(content) AND window_end > ?2"
            " AND window_end <="
            " coalesce((SELECT min(window_end) FROM verdicts WHERE monitor = ?1 AND segment = ''"
            " AND window_end >= ?3), ?3)",
            (monitor, within.start, within.end),
        )
        cuts = self._db.damage.all_readable(_SEAL, rows, _cut)
        return [cut for cut in cuts if cut.window.start < within.end]

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
            _SEAL.insert(),
            [
                _SEAL.values(
                    monitor, segment or "", end, content["state"], _real(content["evidence"]),
                    int(content["page"]), now, judged, json.dumps(content, ensure_ascii=True),
                )
                for segment, end, content in verdicts
            ],
        )  # fmt: skip

    @staticmethod
    def delete(connection: sqlite3.Connection, monitor: str, end: int) -> None:
        connection.execute(_DELETE, (monitor, end))

    @staticmethod
    def mark_final(connection: sqlite3.Connection, monitor: str, end: int) -> None:
        for row in connection.execute(_OF_WINDOW_ALL, (monitor, end)).fetchall():
            try:
                _SEAL.verify(row)
                final = {name: value for name, value in content_of(row).items() if name != "owed"}
            except DECODE_ERRORS:
                # Damaged: it stays as it is for whoever looks for it, and its window is decided.
                continue
            text = json.dumps(final, ensure_ascii=True)
            cells = [row[name] for name in _SEAL.cells[:-1]]
            connection.execute(
                "UPDATE verdicts SET content = ?, checksum = ? WHERE monitor = ? AND window_end = ?"
                " AND segment = ?",
                (text, checksum(*cells, text), monitor, end, row["segment"]),
            )


def content_of(row: sqlite3.Row) -> dict[str, Any]:
    data = json.loads(row["content"])
    if not isinstance(data, dict):
        raise TypeError(f"{type(data).__name__} instead of an object")
    return data


def _key_of(data: Mapping[str, Any]) -> tuple[str, str, int]:
    window = data.get("window")
    end = window.get("end") if isinstance(window, dict) else None
    return str(data.get("monitor")), str(data.get("segment") or ""), end if isinstance(end, int) else 0


def _real(value: float | None) -> float | None:
    # As SQLite returns it: no value for no number, and one zero.
    return None if value is None or isnan(value) else float(value) + 0.0


def _cut(row: sqlite3.Row) -> StoredCut:
    return StoredCut(
        window=Span(start=row["start"], end=row["window_end"]),
        configuration=row["configuration"],
        reference=row["reference"],
        tiles=tuple((start, version) for start, version in json.loads(row["tiles"])),
    )
