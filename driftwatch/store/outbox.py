"""The outbox: messages committed with the check that caused them, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from driftwatch.notify.outbox import LONGEST_WAIT, OutboxRow, message_from_json
from driftwatch.store.database import Database

# Messages on their way. Who asked for quiet is not told of an incident before the mute ends, or the incident.
_OPEN = (
    "WITH open AS (SELECT outbox.*, muted_until,"
    " outbox.kind = 'firing' AND resolved_at IS NULL AND coalesce(muted_until, 0) > ? AS held"
    " FROM outbox LEFT JOIN incidents ON incidents.key = outbox.key WHERE state IN ('pending', 'sending'))"
)
# Untried and interrupted messages wait for nothing, and no wait is longer than the longest: a later time
# was written before the clock was set back.
_DUE = "(attempts = 0 OR state = 'sending' OR next_at <= ? OR next_at > ?)"
_LONGEST = int(LONGEST_WAIT * 1e9)


class OutboxTable:
    """The outbox of one store. Order is kept per (monitor, segment, sink)."""

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self._db = database
        self._now = now

    def due(self, now: int) -> list[OutboxRow]:
        """Rows whose time has come, oldest first; none that waits for an earlier one of its kind.

        After the clock was set back a row waits for the longest back-off at most. One that is held by a mute
        keeps back only what is of the same incident, and is as young as the end of the mute.
        """
        rows = self._db.query(
            f"{_OPEN} SELECT * FROM open WHERE NOT held AND {_DUE} AND NOT EXISTS ("  # noqa: S608 - constant
            " SELECT 1 FROM open AS earlier WHERE earlier.id < open.id AND earlier.sink = open.sink"
            " AND earlier.monitor = open.monitor AND earlier.segment = open.segment"
            " AND (earlier.key = open.key OR NOT earlier.held)) ORDER BY id",
            (now, now, now + _LONGEST),
        )
        return [replace(_row(row), queued_at=max(row["created_at"], row["muted_until"] or 0)) for row in rows]

    def sending(self, number: int, now: int) -> None:
        """An attempt begins; committed first, so that a crash in the middle is visible."""
        self._set(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1, next_at = ? WHERE id = ?",
            (now, number),
        )

    def delivered(self, number: int, now: int) -> None:
        """The receiver has it."""
        self._set(
            "UPDATE outbox SET state = 'delivered', next_at = ?, reason = '' WHERE id = ?", (now, number)
        )

    def retry(self, number: int, next_at: int, reason: str) -> None:
        """Try again at ``next_at``."""
        self._set(
            "UPDATE outbox SET state = 'pending', next_at = ?, reason = ? WHERE id = ?",
            (next_at, reason, number),
        )

    def dead(self, number: int, reason: str) -> None:
        """Trying again cannot help."""
        self._set("UPDATE outbox SET state = 'dead', reason = ? WHERE id = ?", (reason, number))

    def firing(self, sink: str) -> list[OutboxRow]:
        """Delivered messages of open incidents, which a refresh sends again; muted ones say until when."""
        rows = self._db.query(
            "SELECT outbox.*, muted_until FROM outbox JOIN incidents ON incidents.key = outbox.key"
            " WHERE sink = ? AND outbox.kind = 'firing' AND state = 'delivered' AND resolved_at IS NULL"
            " ORDER BY outbox.id",
            (sink,),
        )
        now = self._now()
        return [_muted(_row(row), row["muted_until"], now) for row in rows]

    def waiting(self, sink: str) -> int:
        """How many messages of a sink are not delivered yet; those that a mute holds are not late."""
        found = self._db.query(
            f"{_OPEN} SELECT count(*) FROM open WHERE sink = ? AND NOT held",  # noqa: S608 - constant
            (self._now(), sink),
        )
        return int(found[0][0])

    def _set(self, sql: str, parameters: tuple[object, ...]) -> None:
        with self._db.transaction() as connection:
            connection.execute(sql, parameters)


def _muted(row: OutboxRow, until: int | None, now: int) -> OutboxRow:
    quiet = until is not None and until > now
    return replace(row, message=replace(row.message, muted_until=until)) if quiet else row


def _row(row: Any) -> OutboxRow:
    message = message_from_json(row["message"])
    return OutboxRow(
        id=row["id"],
        sink=row["sink"],
        message=replace(message, possible_duplicate=row["state"] == "sending"),
        attempts=row["attempts"],
        state="sending" if row["state"] == "sending" else "pending",
        queued_at=row["created_at"],
        reason=row["reason"] or "",
    )
