"""Acknowledgements: requested through the store, applied by the process that owns the monitor."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database

_SEAL = SEALS["acknowledgements"]
_ALL = f"SELECT id, {_SEAL.columns}, applied_at, outcome FROM acknowledgements"  # noqa: S608 - constant


FIXED, ACCEPTED, MUTED, UNDO = "fixed", "accepted", "muted", "undo"
VERDICTS = (FIXED, ACCEPTED, MUTED, UNDO)
#: Begins the outcome of an undo that was applied. Stored.
UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneAcceptance:
    """An acceptance that was in force for a time: verdicts decided in it stand on what was accepted."""

    incident: str
    #: Nanoseconds; the acceptance was applied and undone.
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    id: int
    monitor: str
    #: Empty means every open incident.
    incident: str
    #: One of ``VERDICTS``.
    verdict: str
    until: int | None
    note: str
    who: str
    asked_at: int
    applied_at: int | None
    outcome: str


class Acknowledgements:
    """The audit trail of acknowledgements: rows are added and marked applied, never changed or removed."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def ask(
        self, monitor: str, incident: str, verdict: str, *, until: int | None, note: str, who: str, now: int
    ) -> int:
        """Store a request and return its id."""
        with self._db.transaction() as connection:
            cursor = connection.execute(
                _SEAL.insert(), _SEAL.values(monitor, incident, verdict, until, note, who, now)
            )
            return int(cursor.lastrowid or 0)

    def pending(self, monitor: str) -> list[Acknowledgement]:
        """Return requests that are not yet applied, oldest first."""
        rows = self._db.query(f"{_ALL} WHERE monitor = ? AND applied_at IS NULL ORDER BY id", (monitor,))
        return self._db.damage.all_readable(_SEAL, rows, _acknowledgement)

    def newest(self, monitor: str, limit: int) -> list[Acknowledgement]:
        rows = self._db.query(f"{_ALL} WHERE monitor = ? ORDER BY id DESC LIMIT ?", (monitor, limit))
        return self._db.damage.all_readable(_SEAL, rows, _acknowledgement)

    def undone(self, monitor: str) -> list[UndoneAcceptance]:
        """Return the acceptances that were undone, oldest first."""
        rows = self._db.query(
            f"{_ALL} WHERE monitor = ? AND verdict IN (?, ?) AND applied_at IS NOT NULL ORDER BY id",
            (monitor, ACCEPTED, UNDO),
        )
        undone, accepted = [], []
        for item in self._db.damage.all_readable(_SEAL, rows, _acknowledgement):
            if item.verdict == ACCEPTED:
                accepted.append(item)
            elif item.outcome.startswith(UNDONE):
                # The keys that an acceptance of all open incidents covered stand in its outcome.
                starts = [
                    one.applied_at or 0 for one in accepted if item.incident in (one.incident + one.outcome)
                ]
                undone.append(
                    UndoneAcceptance(
                        incident=item.incident, start=max(starts, default=0), end=item.applied_at or 0
                    )
                )
        return undone

    def undone_at(self, monitor: str, moment: int) -> UndoneAcceptance | None:
        """Return the acceptance that was in force then and is undone; a verdict decided then is marked."""
        return next((item for item in self.undone(monitor) if item.start <= moment < item.end), None)

    def get(self, number: int) -> Acknowledgement | None:
        rows = self._db.query(f"{_ALL} WHERE id = ?", (number,))
        return self._db.damage.readable(_SEAL, rows[0], _acknowledgement) if rows else None

    @staticmethod
    def mark_applied(connection: sqlite3.Connection, outcomes: Sequence[tuple[int, str]], now: int) -> None:
        """Mark requests as applied, each by its id and the outcome to record."""
        for number, outcome in outcomes:
            connection.execute(
                "UPDATE acknowledgements SET applied_at = ?, outcome = ? WHERE id = ?", (now, outcome, number)
            )


def _acknowledgement(row: sqlite3.Row) -> Acknowledgement:
    stored = Acknowledgement(**{name: row[name] for name in Acknowledgement.__dataclass_fields__})
    texts = (stored.incident, stored.verdict, stored.note, stored.who, stored.outcome)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("no text where one belongs")
    return stored
