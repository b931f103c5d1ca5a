"""Queries behind the pages: windows, statistics over time, references, messages, acknowledgements."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from driftwatch.results.evidence_trail import Trail
from driftwatch.results.results import State
from driftwatch.store.acknowledgements import Acknowledgement, Acknowledgements
from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database
from driftwatch.store.tables.verdict_table import content_of

#: Verdicts of wide monitors take megabytes: few are in memory at a time.
_VERDICTS_PER_QUERY = 8
#: The index covers these columns, so that the content of verdicts is never read.
_WINDOW_COLUMNS = (
    "window_end, state, evidence, page, decided_at FROM verdicts INDEXED BY verdicts_listed"
    " WHERE monitor = ? AND segment = ?"
)
_VERDICT, _CONFIGURATION = SEALS["verdicts"], SEALS["configurations"]
_STATES = frozenset(str(state) for state in State)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """The verdict on a part of late rows, without its statistics."""

    number: int
    state: str
    page: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWindow:
    """A window without its statistics."""

    end: int
    state: str
    evidence: float | None
    page: bool
    decided_at: int
    #: It waits for its rows.
    owed: bool = False
    #: Its rows that came late.
    parts: tuple[StoredPart, ...] = ()

    @property
    def has_page(self) -> bool:
        return self.page or any(part.page for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A reference that is or was in force."""

    fingerprint: str
    stored_at: int
    #: Accepted from production.
    rebased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSending:
    """A message in the outbox and the state of its delivery."""

    sink: str
    kind: str
    #: pending, sending, delivered or dead.
    state: str
    attempts: int
    created_at: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrend:
    """Statistics of the requested columns in one window."""

    end: int
    state: str
    reference: str
    #: Requested columns that did not change.
    unchanged: frozenset[str]
    statistics: tuple[Mapping[str, Any], ...]


class Browsing:
    """Read-only queries for the pages; callers limit their size."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def windows(
        self, monitor: str, segment: str | None, *, end_below: int | None = None, limit: int = 100
    ) -> list[StoredWindow]:
        """Return the newest windows that end before ``end_below``, newest first."""
        rows = self._db.query(
            f"SELECT {_WINDOW_COLUMNS} AND window_end < ? ORDER BY window_end DESC LIMIT ?",
            (monitor, segment or "", _end_below(end_below), limit),
        )
        return self._windows(monitor, segment, rows)

    def _windows(self, monitor: str, segment: str | None, rows: Sequence[sqlite3.Row]) -> list[StoredWindow]:
        rows = [row for row in rows if self._is_listable(row)]
        ends = [row["window_end"] for row in rows]
        span = (monitor, min(ends, default=0), max(ends, default=0))
        owed = self._db.query(
            "SELECT window_end FROM owed_windows WHERE monitor = ? AND window_end BETWEEN ? AND ?", span
        )
        parts = self._db.query(
            "SELECT window_end, part, state, page FROM late_parts WHERE monitor = ? AND window_end BETWEEN ?"
            " AND ? AND segment = ? ORDER BY window_end, part",
            (*span, segment or ""),
        )
        parts_by_end: dict[int, list[StoredPart]] = {}
        for row in parts:
            part = StoredPart(number=row["part"], state=row["state"], page=bool(row["page"]))
            parts_by_end.setdefault(row["window_end"], []).append(part)
        owed_ends = {row["window_end"] for row in owed}
        return [
            StoredWindow(
                end=row["window_end"],
                state=row["state"],
                evidence=row["evidence"],
                page=bool(row["page"]),
                decided_at=row["decided_at"],
                owed=row["window_end"] in owed_ends,
                parts=tuple(parts_by_end.get(row["window_end"], ())),
            )
            for row in rows
        ]

    def _is_listable(self, row: sqlite3.Row) -> bool:
        # The index that lists windows has no checksum.
        evidence = row["evidence"]
        if row["state"] in _STATES and (evidence is None or isinstance(evidence, float | int)):
            return True
        self._db.damage.note("verdicts", f"window_end {row['window_end']}", "its listing cannot be read")
        return False

    def trail(self, monitor: str, segment: str | None, *, end_below: int | None = None, limit: int) -> Trail:
        """Return the evidence of the newest windows that end before ``end_below``, oldest first."""
        windows = self.windows(monitor, segment, end_below=end_below, limit=limit)
        return [(item.end, item.evidence, item.state, item.has_page) for item in reversed(windows)]

    def following(self, monitor: str, segment: str | None, end: int, limit: int = 1) -> list[StoredWindow]:
        """Return windows that end after ``end``, oldest first."""
        rows = self._db.query(
            f"SELECT {_WINDOW_COLUMNS} AND window_end > ? ORDER BY window_end LIMIT ?",
            (monitor, segment or "", end, limit),
        )
        return self._windows(monitor, segment, rows)

    def count(self, monitor: str, segment: str | None) -> int:
        rows = self._db.query(
            "SELECT count(*) FROM verdicts INDEXED BY verdicts_listed WHERE monitor = ? AND segment = ?",
            (monitor, segment or ""),
        )
        return int(rows[0][0])

    def trend(
        self,
        monitor: str,
        segment: str | None,
        columns: Sequence[str],
        *,
        end_below: int | None = None,
        limit: int,
        max_bytes: int,
    ) -> list[StoredTrend]:
        """Return statistics of ``columns`` in the newest windows, oldest first.

        Reads at most ``limit`` windows, fewer when their verdicts exceed ``max_bytes`` together.
        """
        # The stored text is searched, so that only the objects of these columns are decoded.
        trends: list[StoredTrend] = []
        marks = [f'"column": {json.dumps(column)}, "value": ' for column in columns]
        requested, size = frozenset(columns), 0
        for row in self._texts(monitor, segment, end_below, limit):
            size += len(row["content"])
            if trends and size > max_bytes:
                break
            trend = self._db.damage.readable(_VERDICT, row, partial(_trend, marks=marks, requested=requested))
            if trend is not None:
                trends.append(trend)
        return trends[::-1]

    def _texts(
        self, monitor: str, segment: str | None, end_below: int | None, limit: int
    ) -> Iterator[sqlite3.Row]:
        end, remaining = _end_below(end_below), limit
        while remaining > 0:
            rows = self._db.query(
                f"SELECT {_VERDICT.columns} FROM verdicts WHERE monitor = ? AND segment = ? AND"  # noqa: S608 - constant
                " window_end < ? ORDER BY window_end DESC LIMIT ?",
                (monitor, segment or "", end, min(remaining, _VERDICTS_PER_QUERY)),
            )
            yield from rows
            if len(rows) < _VERDICTS_PER_QUERY:
                return
            end, remaining = rows[-1]["window_end"], remaining - len(rows)

    def versions(self, monitor: str) -> list[StoredVersion]:
        """Return the monitor's references, oldest first."""
        rows = self._db.query(
            "SELECT fingerprint, stored_at, EXISTS (SELECT 1 FROM beginnings b WHERE b.monitor ="
            " r.monitor AND b.fingerprint = r.fingerprint) AS rebased FROM reference_versions r"
            " WHERE monitor = ? ORDER BY stored_at, fingerprint",
            (monitor,),
        )
        return [StoredVersion(fingerprint=row[0], stored_at=row[1], rebased=bool(row[2])) for row in rows]

    def configuration(self, monitor: str, fingerprint: str) -> dict[str, Any] | None:
        """Return the configuration, without secrets, that has the hash stored in a verdict, or None."""
        rows = self._db.query(
            f"SELECT {_CONFIGURATION.columns} FROM configurations WHERE monitor = ? AND fingerprint = ?",  # noqa: S608 - constant
            (monitor, fingerprint),
        )
        return self._db.damage.readable(_CONFIGURATION, rows[0], content_of) if rows else None

    def sendings(self, incident: str) -> list[StoredSending]:
        """Return the incident's messages, oldest first."""
        rows = self._db.query(
            "SELECT sink, kind, state, attempts, created_at, reason FROM outbox WHERE key = ? ORDER BY id",
            (incident,),
        )
        return [StoredSending(**dict(row)) for row in rows]

    def part_times(self, monitor: str, segment: str | None, end: int) -> dict[int, int]:
        """Return when each part of a window's late rows was decided, in nanoseconds."""
        rows = self._db.query(
            "SELECT part, decided_at FROM late_parts WHERE monitor = ? AND segment = ? AND window_end = ?",
            (monitor, segment or "", end),
        )
        return {int(row[0]): int(row[1]) for row in rows}

    def acknowledgements(self, monitor: str, limit: int = 50) -> list[Acknowledgement]:
        return Acknowledgements(self._db).newest(monitor, limit)


def _end_below(end: int | None) -> int:
    return (1 << 63) - 1 if end is None else end


def _trend(row: sqlite3.Row, *, marks: Sequence[str], requested: frozenset[str]) -> StoredTrend:
    text = row["content"]
    return StoredTrend(
        end=row["window_end"],
        state=row["state"],
        reference=_value_of(text, '"reference": '),
        unchanged=frozenset(_value_of(text, '"unchanged": ')) & requested,
        statistics=tuple(item for mark in marks for item in _objects_with(text, mark)),
    )


def _value_of(text: str, mark: str) -> Any:
    # The verdict's own keys stand behind its statistics: the last match is the verdict's.
    return _DECODER.raw_decode(text, text.rindex(mark) + len(mark))[0]


def _objects_with(text: str, mark: str) -> Iterator[Mapping[str, Any]]:
    # Yields the JSON objects in which ``mark`` follows the detector.
    # JSON escapes quotation marks within strings, so no text from data can look like the mark.
    position = text.find(mark)
    while position >= 0:
        start = text.rfind('{"detector": "', 0, position)
        item, end = _DECODER.raw_decode(text, start)
        yield item
        position = text.find(mark, max(end, position + 1))
