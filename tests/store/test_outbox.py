"""The stored outbox: a clock that is set back delays nothing for long, and a mute holds what was not said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from driftwatch.notify.base import IncidentKind, Message
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.outbox import MAX_BACKOFF_SECONDS, OutboxTable, message_from_json, message_to_json
from driftwatch.store.records import CheckRecord, StoredIncident, again_kind

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


def queue(database: Database, key: str, kind: str) -> None:
    text = text_of(key, resolved=kind == "resolved")
    History(database).commit(CheckRecord(monitor="m", now=NOW, messages=[("s", key, kind, None, text)]))


def test_what_is_told_again_is_the_newest_page_that_was_delivered(database: Database) -> None:
    history, outbox = History(database), OutboxTable(database, lambda: NOW)
    history.commit(opened("k"))
    for kind in (again_kind(5), again_kind(9)):
        (row,) = outbox.due(NOW)
        outbox.delivered(row.id, NOW)
        newest = row.id
        queue(database, "k", kind)
        assert [row.id for row in outbox.firing("s")] == [newest], "what waits was told to nobody"
    (row,) = outbox.due(NOW)
    outbox.delivered(row.id, NOW)
    assert [item.id for item in outbox.firing("s")] == [row.id]


def test_an_incident_that_is_open_again_after_its_end_is_told_from_its_next_page_on(
    database: Database,
) -> None:
    """Its end was sent: to refresh what was sent before would page without a reason."""
    history, outbox = History(database), OutboxTable(database, lambda: NOW)
    history.commit(opened("k"))
    queue(database, "k", "resolved")
    while rows := outbox.due(NOW):
        outbox.delivered(rows[0].id, NOW)
    assert outbox.firing("s") == []
    queue(database, "k", again_kind(9))
    (row,) = [row for row in outbox.due(NOW) if not row.message.resolved]
    outbox.delivered(row.id, NOW)
    assert [item.id for item in outbox.firing("s")] == [row.id]


def test_messages_are_stored_as_before_where_nothing_new_is_said() -> None:
    """Stores of other versions read them, and recorded ones stay what they are."""
    plain = message_from_json(text_of("k"))
    assert not {"segments", "again", "ended"} & json.loads(text_of("k")).keys()
    several = replace(plain, segments=(None, "JFK"), again=True, ended="quiet for 3 windows")
    assert message_from_json(message_to_json(several)) == several
    assert message_from_json(message_to_json(plain)) == plain


def test_a_damaged_page_is_told_as_what_it_is(database: Database) -> None:
    history, outbox = History(database), OutboxTable(database, lambda: NOW)
    history.commit(opened("k"))
    queue(database, "k", again_kind(9))
    with database.transaction() as connection:
        connection.execute("UPDATE outbox SET message = 'x'")
    rows = {
        row.message.again: row
        for row in map(outbox._row, database.query("SELECT *, NULL AS muted_until FROM outbox"))
    }
    assert set(rows) == {False, True}
    assert all(row.message.key == "k" and row.message.lines == ("a",) for row in rows.values())
