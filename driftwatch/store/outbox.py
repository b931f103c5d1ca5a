"""The outbox: messages committed with the check that caused them, and the state of their delivery."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from driftwatch.core.stored_format import StoredFormat
from driftwatch.notify.base import IncidentKind, Message
from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database
from driftwatch.store.mended_messages import mended_message
from driftwatch.store.records import AGAIN

_SEAL = SEALS["outbox"]
MESSAGE = StoredFormat(name="message", version=1)
_YOUNGER_FIELDS = ("segments", "ended", "again", "effects", "paged_until", "further_since")
#: The longest back-off between two attempts, also when the receiver asks for more.
MAX_BACKOFF_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """A queued message for one notifier."""

    id: int
    sink: str
    message: Message
    attempts: int
    #: ``sending`` after an attempt whose outcome was not recorded.
    state: Literal["pending", "sending"]
    #: In nanoseconds; None when unknown.
    queued_at: int | None = None
    #: Why the last attempt failed.
    reason: str = ""


def message_to_json(message: Message) -> str:
    data = asdict(message)
    for name in _YOUNGER_FIELDS:
        # Messages without them are stored as before there were such fields.
        if not data[name]:
            del data[name]
    return json.dumps(MESSAGE.numbered(data), ensure_ascii=True, sort_keys=True)


def message_from_json(text: str) -> Message:
    """Decode what ``message_to_json`` encoded.

    Raises ``StoreTooNew``, and ``ValueError`` or ``TypeError`` for other texts.
    """
    data, _ = MESSAGE.migrated(json.loads(text), {})
    # Unknown keys are dropped, and what is missing is as it is by default.
    fields = {name: data[name] for name in Message.__dataclass_fields__ if name in data}
    trail = tuple((end, evidence, state, page) for end, evidence, state, page in data.get("trail", ()))
    parsed = {
        "kind": IncidentKind(data["kind"]),
        "lines": tuple(data["lines"]),
        "trail": trail,
        "segments": tuple(data.get("segments", ())),
        "effects": tuple((column, text) for column, text in data.get("effects", ())),
    }
    return Message(**{**fields, **parsed})


# Undelivered messages. A mute holds the pages of its incident until it, or the incident, ends.
_OPEN = (
    "WITH open AS (SELECT outbox.*, muted_until,"
    " outbox.kind <> 'resolved' AND resolved_at IS NULL AND coalesce(muted_until, 0) > ? AS held"
    " FROM outbox LEFT JOIN incidents ON incidents.key = outbox.key WHERE state IN ('pending', 'sending'))"
)
# Untried and interrupted messages are due at once. A time beyond the longest back-off was written before the
# clock was set back, and is due too: a row then waits at most the longest back-off.
_DUE = "(attempts = 0 OR state = 'sending' OR next_at <= ? OR next_at > ?)"
_MAX_BACKOFF = int(MAX_BACKOFF_SECONDS * 1e9)


class OutboxTable:
    """The table of queued messages, in order per (monitor, segment, sink)."""

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self._db = database
        self._now = now

    @staticmethod
    def queue(
        connection: sqlite3.Connection,
        monitor: str,
        messages: Sequence[tuple[str, str, str, str | None, str]],
        now: int,
    ) -> None:
        """Queue messages (sink, key, kind, segment, JSON text); one that is queued already stays as it is."""
        for sink, key, kind, segment, message in messages:
            if kind.startswith(AGAIN):
                _drop_pages_again(connection, "superseded", key, sink)
            connection.execute(
                f"{_SEAL.insert('next_at')} ON CONFLICT DO NOTHING",
                _SEAL.values(sink, key, kind, monitor, segment or "", now, message, unsealed=(now,)),
            )

    @staticmethod
    def end(connection: sqlite3.Connection, keys: Sequence[str]) -> None:
        """Drop what waits to be paged again: nobody is woken after the end."""
        for key in keys:
            _drop_pages_again(connection, "ended", key)

    @staticmethod
    def move_retries(connection: sqlite3.Connection, monitor: str, by: int) -> None:
        connection.execute(
            "UPDATE outbox SET next_at = next_at + ? WHERE monitor = ? AND state = 'pending'", (by, monitor)
        )

    def due(self, now: int) -> list[OutboxRow]:
        # A muted message delays only messages of its own incident.
        rows = self._db.query(
            f"{_OPEN} SELECT * FROM open WHERE NOT held AND {_DUE} AND NOT EXISTS ("  # noqa: S608 - constant
            " SELECT 1 FROM open AS earlier WHERE earlier.id < open.id AND earlier.sink = open.sink"
            " AND earlier.monitor = open.monitor AND earlier.segment = open.segment"
            " AND (earlier.key = open.key OR NOT earlier.held)) ORDER BY id",
            (now, now, now + _MAX_BACKOFF),
        )
        # The age of a message counts from the end of its mute.
        return [
            replace(self._row(row), queued_at=max(row["created_at"], row["muted_until"] or 0)) for row in rows
        ]

    def begin_attempt(self, number: int, now: int) -> None:
        self._set(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1, next_at = ? WHERE id = ?",
            (now, number),
        )

    def delivered(self, number: int, now: int) -> None:
        self._set(
            "UPDATE outbox SET state = 'delivered', next_at = ?, reason = '' WHERE id = ?", (now, number)
        )

    def retry(self, number: int, next_at: int, reason: str) -> None:
        self._set(
            "UPDATE outbox SET state = 'pending', next_at = ?, reason = ? WHERE id = ?",
            (next_at, reason, number),
        )

    def dead(self, number: int, reason: str) -> None:
        """Mark a message as undeliverable, because another attempt cannot succeed."""
        self._set("UPDATE outbox SET state = 'dead', reason = ? WHERE id = ?", (reason, number))

    def firing(self, sink: str) -> list[OutboxRow]:
        # The newest page of each key stands for it, unless its end was queued since.
        rows = self._db.query(
            "SELECT outbox.*, muted_until FROM outbox JOIN incidents ON incidents.key = outbox.key"
            " WHERE sink = ? AND outbox.kind <> 'resolved' AND state = 'delivered' AND resolved_at IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM outbox AS newer WHERE newer.sink = outbox.sink"
            " AND newer.key = outbox.key AND newer.id > outbox.id"
            " AND (newer.state = 'delivered' OR newer.kind = 'resolved')) ORDER BY outbox.id",
            (sink,),
        )
        now = self._now()
        return [_muted(self._row(row), row["muted_until"], now) for row in rows]

    def waiting(self, sink: str) -> int:
        rows = self._db.query(
            f"{_OPEN} SELECT count(*) FROM open WHERE sink = ? AND NOT held",  # noqa: S608 - constant
            (self._now(), sink),
        )
        return int(rows[0][0])

    def _row(self, row: Any) -> OutboxRow:
        message = self._db.damage.readable(_SEAL, row, lambda row: message_from_json(row["message"]))
        if message is None:
            # It is told from what is left, so that no other message waits for it.
            message = mended_message(self._db, row, message_from_json)
        return _outbox_row(row, message)

    def _set(self, sql: str, parameters: tuple[object, ...]) -> None:
        with self._db.transaction() as connection:
            connection.execute(sql, parameters)


def _drop_pages_again(connection: sqlite3.Connection, reason: str, key: str, sink: str | None = None) -> None:
    connection.execute(
        "UPDATE outbox SET state = 'dead', reason = ? WHERE key = ? AND sink = coalesce(?, sink)"
        " AND kind LIKE ? AND state IN ('pending', 'sending')",
        (reason, key, sink, f"{AGAIN}%"),
    )


def _muted(row: OutboxRow, until: int | None, now: int) -> OutboxRow:
    is_muted = until is not None and until > now
    return replace(row, message=replace(row.message, muted_until=until)) if is_muted else row


def _outbox_row(row: Any, message: Message) -> OutboxRow:
    return OutboxRow(
        id=row["id"],
        sink=row["sink"],
        message=replace(message, possible_duplicate=row["state"] == "sending"),
        attempts=row["attempts"],
        state="sending" if row["state"] == "sending" else "pending",
        queued_at=row["created_at"],
        reason=row["reason"] or "",
    )
