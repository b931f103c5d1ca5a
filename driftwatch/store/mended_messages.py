"""Tells a damaged message or incident from what is left of it: from its other copy, else from its columns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from driftwatch.notify.base import IncidentKind, Message
from driftwatch.store.damage import DECODE_ERRORS, SEALS
from driftwatch.store.records import AGAIN, StoredIncident

if TYPE_CHECKING:
    from driftwatch.store.database import Database

Decode = Callable[[str], Message]
#: The first line of a message whose own words are lost.
LOST_LINE = "what this message said was damaged in the history's file; its key and its monitor are right"


def mended_message(database: Database, row: sqlite3.Row, decode: Decode) -> Message:
    """Return the message of a damaged row of the outbox, under the same key."""
    kind = str(row["kind"])
    firing = _copy(database, str(row["key"]), decode)
    created_at = _whole(row["created_at"])
    if firing is None:
        firing = _plain(row["key"], row["monitor"], row["segment"], IncidentKind.DRIFT, created_at)
    if kind != "resolved":
        return replace(firing, again=kind.startswith(AGAIN))
    firing = replace(firing, again=False, resolved=True, resolved_at=created_at)
    return replace(firing, lines=(LOST_LINE, *firing.lines[:1]))


def mended_incident(
    database: Database, row: sqlite3.Row, decode: Decode, encode: Callable[[Message], str]
) -> StoredIncident:
    key = str(row["key"])
    firing = _decoded_message(row["content"], key, decode) or _copy(database, key, decode)
    kind = row["kind"] if row["kind"] in list(IncidentKind) else None
    opened_at = _whole(row["opened_at"])
    if firing is None:
        firing = _plain(key, row["monitor"], row["segment"], IncidentKind(kind or "drift"), opened_at)
    muted_until = row["muted_until"]
    return StoredIncident(
        key=key,
        monitor=str(row["monitor"]),
        segment=row["segment"] or None,
        kind=kind or str(firing.kind),
        columns=_names(row["columns"]),
        opened_at=opened_at,
        onset=_whole(row["onset"], firing.onset or opened_at),
        resolved_at=row["resolved_at"],
        resolution=row["resolution"],
        muted_until=muted_until if isinstance(muted_until, int) else None,
        content=encode(firing),
        segments=segments_of(row["segments"]),
    )


def _copy(database: Database, key: str, decode: Decode) -> Message | None:
    # The incident and every message that opened it hold the same text.
    queries = (
        ("incidents", "content", "SELECT * FROM incidents WHERE key = ?"),
        (
            "outbox",
            "message",
            "SELECT * FROM outbox WHERE key = ? AND kind <> 'resolved' ORDER BY id DESC",
        ),
    )
    for table, column, query in queries:
        for row in database.query(query, (key,)):
            try:
                SEALS[table].verify(row)
                return decode(row[column])
            except DECODE_ERRORS:
                continue
    return None


def _decoded_message(text: object, key: str, decode: Decode) -> Message | None:
    # The cell may be sound and another one of its row damaged.
    try:
        message = decode(text)  # type: ignore[arg-type]
    except DECODE_ERRORS:
        return None
    return message if message.key == key else None


def _plain(key: object, monitor: object, segment: object, kind: IncidentKind, at: int) -> Message:
    return Message(
        key=str(key),
        kind=kind,
        monitor=str(monitor),
        segment=str(segment) if segment else None,
        resolved=False,
        title=f"{monitor}: an incident whose text is lost",
        lines=(LOST_LINE,),
        unchanged="",
        window_start=at,
        window_end=at,
        onset=None,
        opened_at=at,
        resolved_at=None,
        state="",
        reason="",
    )


def _whole(value: object, default: int = 0) -> int:
    # Of a year that a message can name.
    return value if isinstance(value, int) and 0 <= value < 1 << 62 else default


def segments_of(text: object) -> tuple[str | None, ...]:
    """Decode the segments of an incident; damaged ones are as none, since no checksum covers them."""
    try:
        names = json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return ()
    is_sound = isinstance(names, list) and all(name is None or isinstance(name, str) for name in names)
    return tuple(names) if is_sound else ()


def _names(text: object) -> tuple[str, ...]:
    try:
        names = json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
