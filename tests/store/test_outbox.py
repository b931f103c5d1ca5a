"""The stored outbox: a clock that is set back delays nothing for long, and a mute holds what was not said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from driftwatch.notify.base import IncidentKind, Message
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.outbox import MAX_BACKOFF_SECONDS, OutboxTable, message_to_json
from driftwatch.store.records import CheckRecord, StoredIncident

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND


def text_of(key: str, *, resolved: bool = False) -> str:
    return message_to_json(
        Message(
            key=key, kind=IncidentKind.DRIFT, monitor="m", segment=None, resolved=resolved, title="t",
            lines=("a",), unchanged="", window_start=0, window_end=1, onset=0, opened_at=1,
            resolved_at=None, state="drifting", reason="evidence_complete",
        )
    )  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new one."""
    store = Database(tmp_path)
    yield store
    store.close()


@pytest.fixture
def outbox(database: Database) -> OutboxTable:
    """A table with one message, queued at NOW and not tried yet."""
    queued = [("s", "k", "firing", None, text_of("k"))]
    History(database).commit(CheckRecord(monitor="m", now=NOW, messages=queued))
    return OutboxTable(database, lambda: NOW)


@pytest.mark.parametrize("back", [0, 1, HOUR, 1000 * HOUR])
def test_what_was_never_tried_waits_for_nothing(outbox: OutboxTable, back: int) -> None:
    assert len(outbox.due(NOW - back)) == 1


@pytest.mark.parametrize("back", [0, 1, HOUR, 1000 * HOUR])
def test_what_was_interrupted_waits_for_nothing(outbox: OutboxTable, back: int) -> None:
    (row,) = outbox.due(NOW)
    outbox.begin_attempt(row.id, NOW)
    assert [row.state for row in outbox.due(NOW - back)] == ["sending"]


def test_what_failed_waits_for_its_time_and_never_longer_than_the_longest_wait(outbox: OutboxTable) -> None:
    (row,) = outbox.due(NOW)
    longest = int(MAX_BACKOFF_SECONDS) * SECOND
    outbox.begin_attempt(row.id, NOW)
    outbox.retry(row.id, NOW + longest, "rate_limited")
    assert outbox.due(NOW) == []
    assert outbox.due(NOW + longest - 1) == []
    assert len(outbox.due(NOW + longest)) == 1
    assert len(outbox.due(NOW - 1)) == 1, "the clock was set back"
    assert len(outbox.due(NOW - 1000 * HOUR)) == 1
    outbox.retry(row.id, NOW + 60 * SECOND, "timeout")
    for back in (0, HOUR // 2, HOUR, 1000 * HOUR):
        waits = next((wait for wait in range(0, 3601, 60) if outbox.due(NOW - back + wait * SECOND)), None)
        assert waits is not None


def opened(key: str) -> CheckRecord:
    incident = StoredIncident(
        key=key, monitor="m", segment=None, kind="drift", columns=("a",), opened_at=1, onset=0,
        resolved_at=None, resolution=None, muted_until=None, content=text_of(key),
    )  # fmt: skip
    queued = [("s", key, "firing", None, text_of(key))]
    return CheckRecord(monitor="m", now=NOW, opened=[incident], messages=queued)


def due_messages(outbox: OutboxTable, now: int) -> list[tuple[str, bool]]:
    return [(row.message.key, row.message.resolved) for row in outbox.due(now)]


def test_what_could_not_be_sent_before_a_mute_is_sent_after_it(database: Database) -> None:
    """The receiver was down when somebody asked for quiet: its return must not wake them."""
    history, outbox = History(database), OutboxTable(database, lambda: NOW)
    history.commit(opened("k"))
    (row,) = outbox.due(NOW)
    outbox.begin_attempt(row.id, NOW)
    outbox.retry(row.id, NOW, "timeout")
    history.commit(CheckRecord(monitor="m", now=NOW, muted=[("k", NOW + HOUR)]))
    assert due_messages(outbox, NOW) == due_messages(outbox, NOW + HOUR - 1) == []
    assert outbox.waiting("s") == 0, "what is meant to wait is not late"
    history.commit(opened("another"))
    assert due_messages(outbox, NOW) == [("another", False)], "a mute keeps back no other incident"
    assert due_messages(outbox, NOW + HOUR) == [("k", False)]
    (row,) = outbox.due(NOW + HOUR)
    assert row.queued_at == NOW + HOUR, "the hours of a mute do not count as attempts that failed"


def test_an_incident_that_ends_while_it_is_muted_is_told_in_order(database: Database) -> None:
    history, outbox = History(database), OutboxTable(database, lambda: NOW)
    history.commit(opened("k"))
    history.commit(CheckRecord(monitor="m", now=NOW, muted=[("k", NOW + HOUR)]))
    ending = [("s", "k", "resolved", None, text_of("k", resolved=True))]
    history.commit(CheckRecord(monitor="m", now=NOW, messages=ending))
    assert due_messages(outbox, NOW) == [], "no end comes before its beginning"
    history.commit(CheckRecord(monitor="m", now=NOW, resolved=[("k", "quiet")]))
    assert due_messages(outbox, NOW) == [("k", False)]
    outbox.delivered(outbox.due(NOW)[0].id, NOW)
    assert due_messages(outbox, NOW) == [("k", True)]
