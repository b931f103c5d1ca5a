"""Reads what can be read of a corrupt file: its open incidents, what was accepted, the span of its windows.

Only for a history without a ledger, as older versions left it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from driftwatch.store.damage import DECODE_ERRORS, SEALS
from driftwatch.store.database import uri_of
from driftwatch.store.mended_messages import segments_of
from driftwatch.store.outbox import message_from_json
from driftwatch.store.records import StoredIncident
from driftwatch.store.recovery.ledger import Accepted, LedgerContent, MonitorSpan

#: A start has five seconds in all.
_SECONDS = 1.0
_STEPS_PER_LOOK = 1_000


def salvaged(path: Path) -> LedgerContent:
    """Return what a file still says of its history; empty when nothing of it can be read."""
    if not path.exists() or path.stat().st_size == 0:
        return LedgerContent()
    with closing(sqlite3.connect(uri_of(path, "rw"), uri=True, isolation_level=None)) as link:
        link.row_factory = sqlite3.Row
        link.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        deadline = time.monotonic() + _SECONDS
        link.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS_PER_LOOK)
        incidents = [item for row in _rows(link, "SELECT * FROM incidents") for item in _incident(row)]
        spans = _rows(
            link,
            "SELECT monitor, min(window_end) AS first, max(window_end) AS last FROM verdicts"
            " INDEXED BY verdicts_listed WHERE segment = '' GROUP BY monitor",
        )
        return LedgerContent(
            incidents=tuple(item for item in incidents if item.resolved_at is None),
            accepted=tuple(
                Accepted(
                    monitor=item.monitor, incident=item.key, columns=item.columns, at=item.resolved_at or 0
                )
                for item in incidents
                if item.resolution == "accepted"
            ),
            spans=tuple(
                MonitorSpan(monitor=row["monitor"], first=row["first"], last=row["last"]) for row in spans
            ),
        )


def _rows(link: sqlite3.Connection, query: str) -> Iterator[Any]:
    try:
        yield from link.execute(query)
    except sqlite3.Error:
        # What came before the damage is told.
        return


def _incident(row: Any) -> Iterator[StoredIncident]:
    try:
        # Files of older versions have fewer cells.
        cells = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row iterates over its values
        if "checksum" in cells:
            SEALS["incidents"].verify(row)
        message_from_json(cells["content"])
        fields: dict[str, Any] = {name: cells.get(name) for name in StoredIncident.__dataclass_fields__}
        decoded = {
            "segment": cells["segment"] or None,
            "columns": tuple(json.loads(cells["columns"])),
            "segments": segments_of(cells.get("segments")),
        }
        yield StoredIncident(**{**fields, **decoded})
    except DECODE_ERRORS:
        return
