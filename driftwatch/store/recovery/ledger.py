"""A small file beside the history: what must be told when the history is lost.

It has the open incidents with their messages, what was accepted, and the span of the windows. An incident is
added before the commit that opens it and dropped after the commit that ends it: a crash leaves one too many,
never one too few. Each start of the daemon writes it anew from the history.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from driftwatch.errors import StoreError
from driftwatch.store.database import Database, Footing
from driftwatch.store.records import StoredIncident
from driftwatch.store.tables.incident_table import IncidentTable
from driftwatch.store.tables.verdict_table import VerdictTable

log = logging.getLogger(__name__)

LEDGER_FILE = "driftwatch.ledger.json"
#: The ledger of a history that was set aside, until its incidents are ended in the new one.
LOST_FILE = "driftwatch.lost.json"
_MAX_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A drift that ``ack --as accepted`` made part of the reference in force."""

    monitor: str
    incident: str
    columns: tuple[str, ...]
    #: Nanoseconds.
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSpan:
    monitor: str
    #: Ends of the first and last decided window, in nanoseconds.
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerContent:
    incidents: tuple[StoredIncident, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    spans: tuple[MonitorSpan, ...] = ()
    #: Why and when the history was lost, and where its file is now; empty in the ledger of a sound one.
    reason: str = ""
    lost_at: int = 0
    file: str = ""


class Ledger:
    """A failure to write is logged and costs no commit: the next change and the next start write it again."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._path = database.path.with_name(LEDGER_FILE)

    def add(self, incidents: Sequence[StoredIncident]) -> None:
        if incidents:
            content = read_ledger(self._path) or LedgerContent()
            keys = {item.key for item in incidents}
            others = tuple(item for item in content.incidents if item.key not in keys)
            self._write(
                LedgerContent(incidents=(*others, *incidents), accepted=content.accepted, spans=content.spans)
            )

    def refresh(self) -> None:
        """Write what the history says now."""
        if self._db.footing is Footing.MEMORY:
            # The history is in a file that cannot be opened at present.
            return
        with self._db.locked():
            try:
                content = ledger_of(self._db)
            except StoreError as error:
                log.error("the ledger cannot be brought up to date", extra={"error": str(error)})
                return
            self._write(content)

    def _write(self, content: LedgerContent) -> None:
        try:
            write_ledger(self._path, content)
        except OSError as error:
            log.error("the ledger cannot be written", extra={"file": str(self._path), "error": str(error)})


def ledger_of(database: Database) -> LedgerContent:
    """Read from a history what its ledger has. Raises ``StoreError``."""
    incidents, verdicts = IncidentTable(database), VerdictTable(database)
    names = [row[0] for row in database.query("SELECT DISTINCT monitor FROM active_references")]
    rebased = database.query(
        "SELECT DISTINCT a.monitor FROM active_references a JOIN beginnings b"
        " ON b.monitor = a.monitor AND b.fingerprint = a.fingerprint"
    )
    return LedgerContent(
        incidents=tuple(item for name in sorted(incidents.monitors()) for item in incidents.of_monitor(name)),
        accepted=tuple(
            Accepted(monitor=item.monitor, incident=item.key, columns=item.columns, at=item.resolved_at or 0)
            for (name,) in rebased
            for item in incidents.of_monitor(name, only_open=False)
            if item.resolution == "accepted"
        ),
        spans=tuple(
            MonitorSpan(monitor=name, first=verdicts.first_end(name), last=verdicts.last_end(name))
            for name in names
        ),
    )


def write_ledger(path: Path, content: LedgerContent) -> None:
    """Replace a ledger at once. Raises ``OSError``."""
    text = json.dumps(asdict(content), ensure_ascii=True, sort_keys=True)
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="ascii") as file:
        draft.chmod(0o600)
        file.write(json.dumps({"checksum": zlib.crc32(text.encode()), "content": text}))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_ledger(path: Path) -> LedgerContent | None:
    """Return a ledger; None for none and for a damaged one."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        data = json.loads(path.read_text(encoding="ascii"))
        if zlib.crc32(data["content"].encode()) != data["checksum"]:
            return None
        return _content(json.loads(data["content"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _content(data: dict[str, Any]) -> LedgerContent:
    # A newer version may have written more.
    fields = StoredIncident.__dataclass_fields__
    incidents = [
        {**{name: item[name] for name in fields if name in item}, "segments": tuple(item.get("segments", ()))}
        for item in data["incidents"]
    ]
    return LedgerContent(
        incidents=tuple(StoredIncident(**_with_tuple(item)) for item in incidents),
        accepted=tuple(Accepted(**_with_tuple(item)) for item in data["accepted"]),
        spans=tuple(MonitorSpan(**item) for item in data["spans"]),
        reason=data["reason"],
        lost_at=data["lost_at"],
        file=data["file"],
    )


def _with_tuple(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "columns": tuple(item["columns"])}


def merged(contents: Iterable[LedgerContent]) -> LedgerContent:
    """Return what several lost histories had together, with the words of the newest."""
    items = list(contents)
    incidents = {item.key: item for content in items for item in content.incidents}
    newest = items[-1]
    return LedgerContent(
        incidents=tuple(incidents.values()),
        accepted=tuple(dict.fromkeys(item for content in items for item in content.accepted)),
        spans=tuple(dict.fromkeys(item for content in items for item in content.spans)),
        reason=newest.reason,
        lost_at=newest.lost_at,
        file=newest.file,
    )
