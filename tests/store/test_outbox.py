"""The stored outbox when the machine's clock is set back: nothing waits longer than the longest back-off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from driftwatch.notify.base import IncidentKind, Message
from driftwatch.notify.outbox import LONGEST_WAIT, message_to_json
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.outbox import OutboxTable
from driftwatch.store.records import CheckRecord

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[OutboxTable]:
    """A table with one message, queued at NOW and not tried yet."""
    database = Database(tmp_path)
    text = message_to_json(
        Message(
            key="k", kind=IncidentKind.DRIFT, monitor="m", segment=None, resolved=False, title="t",
            lines=("a",), unchanged="", window_start=0, window_end=1, onset=0, opened_at=1,
            resolved_at=None, state="drifting", reason="evidence_complete",
        )
    )  # fmt: skip
    History(database).commit(CheckRecord(monitor="m", now=NOW, messages=[("s", "k", "firing", None, text)]))
    yield OutboxTable(database, lambda: NOW)
    database.close()


@pytest.mark.parametrize("back", [0, 1, HOUR, 1000 * HOUR])
def test_what_was_never_tried_waits_for_nothing(outbox: OutboxTable, back: int) -> None:
    assert len(outbox.due(NOW - back)) == 1


@pytest.mark.parametrize("back", [0, 1, HOUR, 1000 * HOUR])
def test_what_was_interrupted_waits_for_nothing(outbox: OutboxTable, back: int) -> None:
    (row,) = outbox.due(NOW)
    outbox.sending(row.id, NOW)
    assert [row.state for row in outbox.due(NOW - back)] == ["sending"]


def test_what_failed_waits_for_its_time_and_never_longer_than_the_longest_wait(outbox: OutboxTable) -> None:
    (row,) = outbox.due(NOW)
    longest = int(LONGEST_WAIT) * SECOND
    outbox.sending(row.id, NOW)
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
