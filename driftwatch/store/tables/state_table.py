"""The segment states: the current one, checkpoints, and the initial one of each rebased reference."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import count
from typing import TypeVar

from driftwatch.errors import StoreDamaged
from driftwatch.store.damage import SEALS, decoded
from driftwatch.store.database import Database
from driftwatch.store.tables.judging_order import END_OF_ORDER

T = TypeVar("T")
_CURRENT, _CHECKPOINT, _BEGINNING = SEALS["tracks"], SEALS["checkpoints"], SEALS["beginnings"]
_OF_MONITOR = f"SELECT {_CURRENT.columns} FROM tracks WHERE monitor = ? ORDER BY segment"  # noqa: S608 - constant
#: (segment, decided until, bytes).
SegmentStates = Sequence[tuple[str | None, int, bytes]]


class StateTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def current(self, monitor: str, segment: str | None) -> bytes | None:
        return self.read(monitor, segment, bytes)

    def read(self, monitor: str, segment: str | None, decode: Callable[[bytes], T]) -> T | None:
        """Return a segment's decoded state. Raises ``StoreDamaged`` and ``StoreTooNew``."""
        rows = self._db.query(
            f"SELECT {_CURRENT.columns} FROM tracks WHERE monitor = ? AND segment = ?",  # noqa: S608 - constant
            (monitor, segment or ""),
        )
        return self._decoded(rows[0], decode) if rows else None

    def of_monitor(self, monitor: str) -> list[tuple[str | None, bytes]]:
        """Return the current state of every segment that ever had one; damaged ones are left out."""
        rows = self._db.query(_OF_MONITOR, (monitor,))
        return self._db.damage.all_readable(
            _CURRENT, rows, lambda row: (row["segment"] or None, _bytes_of(row))
        )

    def damaged(self, monitor: str, decode: Callable[[bytes], object]) -> list[str | None]:
        """Return the segments whose state is damaged. Raises ``StoreTooNew``."""
        segments: list[str | None] = []
        for row in self._db.query(_OF_MONITOR, (monitor,)):
            try:
                self._decoded(row, decode)
            except StoreDamaged:
                segments.append(row["segment"] or None)
        return segments

    def forget_damage(self, monitor: str, segment: str | None) -> None:
        """A sound state was stored in place of a damaged one: another damage counts again."""
        key = _CURRENT.key_of({"monitor": monitor, "segment": segment or ""})
        self._db.damage.forget(_CURRENT.table, key)

    def _decoded(self, row: sqlite3.Row, decode: Callable[[bytes], T]) -> T:
        try:
            return decoded(_CURRENT, row, lambda row: decode(_bytes_of(row)))
        except StoreDamaged as error:
            self._db.damage.note(_CURRENT.table, _CURRENT.key_of(row), str(error))
            raise

    def checkpoint_before(self, monitor: str, segment: str | None, judged: int) -> tuple[int, bytes] | None:
        """Return the newest readable state stored before a place in the order of judging, and its place."""
        for number in count():
            rows = self._checkpoint(monitor, segment, judged, number)
            if not rows:
                return None
            checkpoint = self._db.damage.readable(
                _CHECKPOINT, rows[0], lambda row: (int(row["place"]), _bytes_of(row))
            )
            if checkpoint is not None:
                return checkpoint
        return None

    def _checkpoint(self, monitor: str, segment: str | None, judged: int, number: int) -> list[sqlite3.Row]:
        return self._db.query(
            f"SELECT coalesce(judged, decided_until) AS place, {_CHECKPOINT.columns} FROM checkpoints"  # noqa: S608 - constant
            " WHERE monitor = ? AND segment = ? AND coalesce(judged, decided_until) < ? ORDER BY id DESC"
            " LIMIT 1 OFFSET ?",
            (monitor, segment or "", judged, number),
        )

    def former(self, monitor: str, segment: str | None, matches: Callable[[bytes], T | None]) -> T | None:
        """Return the newest readable check point that ``matches`` does not refuse."""
        numbers = count()
        while rows := self._checkpoint(monitor, segment, END_OF_ORDER, next(numbers)):
            state = self._db.damage.readable(_CHECKPOINT, rows[0], lambda row: matches(_bytes_of(row)))
            if state is not None:
                return state
        return None

    def initial(self, monitor: str, fingerprint: str, segment: str | None) -> bytes | None:
        """Return the segment state with which a rebased reference began; None for a built one.

        Raises ``StoreDamaged``.
        """
        rows = self._db.query(
            f"SELECT {_BEGINNING.columns} FROM beginnings WHERE monitor = ? AND fingerprint = ?"  # noqa: S608 - constant
            " AND segment = ?",
            (monitor, fingerprint, segment or ""),
        )
        return decoded(_BEGINNING, rows[0], _bytes_of) if rows else None

    def is_rebased(self, monitor: str, fingerprint: str) -> bool:
        query = "SELECT 1 FROM beginnings WHERE monitor = ? AND fingerprint = ? LIMIT 1"
        return bool(self._db.query(query, (monitor, fingerprint)))

    @staticmethod
    def write(
        connection: sqlite3.Connection,
        monitor: str,
        states: SegmentStates,
        *,
        checkpoint: bool,
        judged: int | None = None,
    ) -> None:
        """Replace the current states; with ``checkpoint``, a replay can start from them too.

        ``judged`` is their place in the order of judging, None where that is what they are decided until.
        """
        for segment, _, content in states:
            key = (monitor, segment or "")
            connection.execute(_CURRENT.insert(verb="INSERT OR REPLACE"), _CURRENT.values(*key, content))
        if checkpoint:
            StateTable.write_checkpoints(connection, monitor, states, judged)

    @staticmethod
    def write_checkpoints(
        connection: sqlite3.Connection, monitor: str, states: SegmentStates, judged: int | None
    ) -> None:
        for segment, until, content in states:
            place = None if judged == until else judged
            connection.execute(
                _CHECKPOINT.insert(), _CHECKPOINT.values(monitor, segment or "", until, place, content)
            )

    @staticmethod
    def write_initial(
        connection: sqlite3.Connection, monitor: str, fingerprint: str, states: SegmentStates
    ) -> None:
        connection.executemany(
            _BEGINNING.insert(verb="INSERT OR REPLACE"),
            [
                _BEGINNING.values(monitor, fingerprint, segment or "", content)
                for segment, _, content in states
            ],
        )


def _bytes_of(row: sqlite3.Row) -> bytes:
    content = row["content"]
    if not isinstance(content, bytes):
        raise TypeError(f"{type(content).__name__} instead of bytes")
    return content
