"""What people look up: windows page by page, statistics over time, references, what was sent and said."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driftwatch.results.evidence_trail import Trail
from driftwatch.store.acknowledgements import Acknowledgement
from driftwatch.store.database import Database

#: Verdicts are read so many at a time, so that a look at many wide ones holds few of them.
_AT_ONCE = 8
#: The index holds all of it, so that wide verdicts are passed over.
_LISTED = (
    "window_end, state, evidence, page, decided_at FROM verdicts INDEXED BY verdicts_listed"
    " WHERE monitor = ? AND segment = ?"
)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWindow:
    """One decided window without its statistics."""

    end: int
    state: str
    evidence: float | None
    page: bool
    decided_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A reference that is or was in force. ``rebased``: accepted from production, not built from files."""

    fingerprint: str
    stored_at: int
    rebased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSending:
    """A message that was queued: ``state`` is pending, sending, delivered or dead."""

    sink: str
    kind: str
    state: str
    attempts: int
    created_at: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrend:
    """The statistics of some columns in one window, as the store has them, and which did not change."""

    end: int
    state: str
    reference: str
    unchanged: frozenset[str]
    statistics: tuple[Mapping[str, Any], ...]


class Browsing:
    """Read-only looks into the history, each bounded by what its caller asks for."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def windows(
        self, monitor: str, segment: str | None, *, before: int | None = None, limit: int = 100
    ) -> list[StoredWindow]:
        """The newest windows that end before ``before``, newest first."""
        rows = self._db.query(
            f"SELECT {_LISTED} AND window_end < ? ORDER BY window_end DESC LIMIT ?",
            (monitor, segment or "", _below(before), limit),
        )
        return [_window(row) for row in rows]

    def trail(self, monitor: str, segment: str | None, *, before: int | None = None, limit: int) -> Trail:
        """The evidence of the newest windows that end before ``before``, oldest first."""
        found = self.windows(monitor, segment, before=before, limit=limit)
        return [(item.end, item.evidence, item.state, item.page) for item in reversed(found)]

    def following(self, monitor: str, segment: str | None, end: int, limit: int = 1) -> list[StoredWindow]:
        """The windows that end after ``end``, oldest first."""
        rows = self._db.query(
            f"SELECT {_LISTED} AND window_end > ? ORDER BY window_end LIMIT ?",
            (monitor, segment or "", end, limit),
        )
        return [_window(row) for row in rows]

    def count(self, monitor: str, segment: str | None) -> int:
        """How many windows are stored."""
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
        before: int | None = None,
        limit: int,
        most_bytes: int,
    ) -> list[StoredTrend]:
        """Statistics of ``columns`` in the newest windows, oldest first: at most ``limit`` windows.

        Fewer when their verdicts are larger than ``most_bytes`` together. The stored text is searched, not
        decoded: of a thousand columns only the few asked for are.
        """
        found: list[StoredTrend] = []
        marks = [f'"column": {json.dumps(column)}, "value": ' for column in columns]
        wanted, size = frozenset(columns), 0
        for end, state, text in self._texts(monitor, segment, before, limit):
            size += len(text)
            if found and size > most_bytes:
                break
            picked = tuple(item for mark in marks for item in _picked(text, mark))
            found.append(
                StoredTrend(
                    end=end,
                    state=state,
                    reference=_after(text, '"reference": '),
                    unchanged=frozenset(_after(text, '"unchanged": ')) & wanted,
                    statistics=picked,
                )
            )
        return found[::-1]

    def _texts(
        self, monitor: str, segment: str | None, before: int | None, limit: int
    ) -> Iterator[tuple[int, str, str]]:
        last, left = _below(before), limit
        while left > 0:
            rows = self._db.query(
                "SELECT window_end, state, content FROM verdicts WHERE monitor = ? AND segment = ? AND"
                " window_end < ? ORDER BY window_end DESC LIMIT ?",
                (monitor, segment or "", last, min(left, _AT_ONCE)),
            )
            yield from ((row[0], row[1], row[2]) for row in rows)
            if len(rows) < _AT_ONCE:
                return
            last, left = rows[-1][0], left - len(rows)

    def versions(self, monitor: str) -> list[StoredVersion]:
        """Every stored reference of a monitor, oldest first."""
        rows = self._db.query(
            "SELECT fingerprint, stored_at, EXISTS (SELECT 1 FROM beginnings b WHERE b.monitor ="
            " r.monitor AND b.fingerprint = r.fingerprint) AS rebased FROM reference_versions r"
            " WHERE monitor = ? ORDER BY stored_at, fingerprint",
            (monitor,),
        )
        return [StoredVersion(fingerprint=row[0], stored_at=row[1], rebased=bool(row[2])) for row in rows]

    def configuration(self, monitor: str, fingerprint: str) -> dict[str, Any] | None:
        """The configuration that a verdict carries the hash of, its secrets left out; None: not stored."""
        rows = self._db.query(
            "SELECT content FROM configurations WHERE monitor = ? AND fingerprint = ?", (monitor, fingerprint)
        )
        return json.loads(rows[0][0]) if rows else None

    def sendings(self, incident: str) -> list[StoredSending]:
        """What was sent about an incident, oldest first."""
        rows = self._db.query(
            "SELECT sink, kind, state, attempts, created_at, reason FROM outbox WHERE key = ? ORDER BY id",
            (incident,),
        )
        return [StoredSending(**dict(row)) for row in rows]

    def versions_of_slice(self, monitor: str, start: int) -> list[tuple[int, int]]:
        """(version, rows) of one slice, all rows, oldest first."""
        rows = self._db.query(
            "SELECT version, rows FROM tiles WHERE monitor = ? AND segment = '' AND start = ?"
            " ORDER BY version",
            (monitor, start),
        )
        return [(int(row[0]), int(row[1])) for row in rows]

    def acknowledgements(self, monitor: str, limit: int = 50) -> list[Acknowledgement]:
        """What people said, newest first."""
        rows = self._db.query(
            "SELECT * FROM acknowledgements WHERE monitor = ? ORDER BY id DESC LIMIT ?", (monitor, limit)
        )
        return [Acknowledgement(**dict(row)) for row in rows]


def _below(before: int | None) -> int:
    return (1 << 63) - 1 if before is None else before


def _window(row: sqlite3.Row) -> StoredWindow:
    return StoredWindow(
        end=row["window_end"],
        state=row["state"],
        evidence=row["evidence"],
        page=bool(row["page"]),
        decided_at=row["decided_at"],
    )


def _after(text: str, mark: str) -> Any:
    """What a verdict holds under one of its own keys, which come after its statistics."""
    return _DECODER.raw_decode(text, text.rindex(mark) + len(mark))[0]


def _picked(text: str, mark: str) -> Iterator[Mapping[str, Any]]:
    """Every JSON object of ``text`` that begins with a detector and goes on with ``mark``.

    Quotation marks within strings are escaped in JSON, so no text from data reads like the mark.
    """
    at = text.find(mark)
    while at >= 0:
        begins = text.rfind('{"detector": "', 0, at)
        item, ends = _DECODER.raw_decode(text, begins)
        yield item
        at = text.find(mark, max(ends, at + 1))
