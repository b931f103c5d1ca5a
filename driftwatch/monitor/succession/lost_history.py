"""Ends the incidents of a history that was lost, in the new one, and says by name what is gone with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from driftwatch.errors import StoreError, StoreTooNew
from driftwatch.monitor.incident_message import Ending, resolved_message
from driftwatch.monitor.session import Session
from driftwatch.notify.base import minute_text
from driftwatch.store.damage import DECODE_ERRORS
from driftwatch.store.records import CheckRecord, StoredIncident
from driftwatch.store.recovery.ledger import LOST_FILE, LedgerContent, read_ledger

log = logging.getLogger(__name__)
#: (subject, words, nanoseconds).
Note = Callable[[str, str, int], None]


def end_lost(session: Session, note: Note) -> None:
    """Tell the receivers of each lost incident that its end is unknown, and people what is gone.

    The messages are queued in the new history before the note of the loss is dropped: at least once, under
    the keys that their receivers know. Raises ``StoreError``.
    """
    path = session.config.storage.path / LOST_FILE
    lost = read_ledger(path)
    if lost is not None:
        for incident in lost.incidents:
            _end(session, incident)
        for line in loss_lines(lost):
            log.critical(line)
            note("store", line, session.clock.now())
    drop_note(path)
    session.history.ledger.refresh()


def drop_note(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: expected to delete it. Got {error}.") from error


def _end(session: Session, incident: StoredIncident) -> None:
    now = session.clock.now()
    try:
        text = resolved_message(incident.content, now, (), ending=Ending.UNKNOWN)
    except StoreTooNew:
        raise
    except DECODE_ERRORS:
        log.error("an incident of the lost history cannot be ended", extra={"key": incident.key})
        return
    session.history.commit(
        CheckRecord(
            monitor=incident.monitor,
            now=now,
            opened=[replace(incident, resolved_at=None, resolution=None, muted_until=None)],
            resolved=[(incident.key, str(Ending.UNKNOWN))],
            messages=[
                (item.sink, incident.key, "resolved", incident.segment, text)
                for item in session.config.notify
            ],
        )
    )


def loss_lines(lost: LedgerContent) -> Iterator[str]:
    """Say what is gone with a history, one fact a line."""
    place = f" and was set aside as {lost.file}" if lost.file else ""
    yield f"The history was lost: {lost.reason}{place}. It is empty before {minute_text(lost.lost_at)}."
    for span in lost.spans:
        if span.first is not None and span.last is not None:
            yield (
                f"{span.monitor}: the windows from {minute_text(span.first)} to {minute_text(span.last)} at "
                "least, their evidence and what production is usually like are gone; it begins anew from its "
                "reference."
            )
    for item in lost.accepted:
        yield (
            f"{item.monitor}: what was accepted of {', '.join(item.columns)} ({item.incident}, "
            f"{minute_text(item.at)}) is gone and may page again."
        )
    for incident in lost.incidents:
        muted = incident.muted_until
        yield (
            f"{incident.monitor}: the open incident {incident.key} is told as ended, unknown."
            + ("" if muted is None else f" Its mute until {minute_text(muted)} is gone.")
        )
