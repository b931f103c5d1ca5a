"""The outbox: messages committed with the check that caused them, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from driftwatch.notify.base import IncidentKind, Message
from driftwatch.store.database import Database

#: Seconds between two attempts at most, also when the receiver asks for more.
LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One message for one notifier.

    ``state`` is ``sending`` when an attempt was begun whose end nobody saw. ``queued_at`` (nanoseconds) is
    when it was written; None when unknown. ``reason`` is why the last attempt failed.
    """

    id: int
    sink: str
    message: Message
    attempts: int
    state: Literal["pending", "sending"]
    queued_at: int | None = None
    reason: str = ""


def message_to_json(message: Message) -> str:
    """A message as ASCII JSON."""
    return json.dumps(asdict(message), ensure_ascii=True, sort_keys=True)


def message_from_json(text: str) -> Message:
    """The message that ``message_to_json`` was given. Keys of a newer version are left out.

    An older version stored no trail.
    Raises ``ValueError`` or ``TypeError`` when ``text`` is no message.
    """
    data = json.loads(text)
    known = {name: data[name] for name in Message.__dataclass_fields__ if name in data}
    trail = tuple((end, evidence, state, page) for end, evidence, state, page in data.get("trail", ()))
    made = {"kind": IncidentKind(data["kind"]), "lines": tuple(data["lines"]), "trail": trail}
    return Message(**{**known, **made})


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
