"""The history: all or nothing, once per window, and still there after anything."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from driftwatch.errors import StoreError, StoreTooNew
from driftwatch.notify.base import IncidentKind, Message
from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.database import FILE, Database
from driftwatch.store.history import History
from driftwatch.store.locks import DaemonLock, daemon_running
from driftwatch.store.migrations import MIGRATIONS
from driftwatch.store.outbox import OutboxTable, message_to_json
from driftwatch.store.records import CheckRecord, StoredIncident, StoredSelftest, StoredTrial


def verdict(end: int, *, page: bool = False) -> dict[str, Any]:
    return {"state": "ok", "evidence": 0.5, "page": page, "end": end}


def message(key: str, *, resolved: bool = False) -> str:
    return message_to_json(
        Message(
            key=key, kind=IncidentKind.DRIFT, monitor="m", segment=None, resolved=resolved, title="t",
            lines=("a",), unchanged="", window_start=0, window_end=1, onset=0, opened_at=1,
            resolved_at=None, state="drifting", reason="evidence_complete",
        )
    )  # fmt: skip


def record(end: int, **changes: Any) -> CheckRecord:
    base: dict[str, Any] = {
        "monitor": "m",
        "now": end + 5,
        "verdicts": [(None, end, verdict(end))],
        "segment_states": [(None, end, f"track {end}".encode())],
    }
    return CheckRecord(**{**base, **changes})


@pytest.fixture
def database(tmp_path: Path) -> Any:
    opened = Database(tmp_path / "store")
    yield opened
    opened.close()


def test_a_window_is_decided_once(database: Database) -> None:
    history = History(database)
    assert history.commit(record(10))
    assert not history.commit(record(10, segment_states=[(None, 10, b"another")]))
    assert history.states.current("m", None) == b"track 10"
    assert history.verdicts.last_end("m") == 10


def test_a_failing_commit_leaves_nothing(database: Database) -> None:
    history = History(database)
    with pytest.raises(StoreError, match="expected to write"):
        history.commit(record(10, messages=[("sink", "k", "firing", None, None)]))  # type: ignore[list-item]
    assert history.verdicts.last_end("m") is None
    assert history.states.current("m", None) is None
    assert history.commit(record(10))


def test_messages_keep_their_order_and_their_key(database: Database) -> None:
    history, outbox = History(database), OutboxTable(database, lambda: 50)
    incident = StoredIncident(
        key="k", monitor="m", segment=None, kind="drift", columns=("a",), opened_at=1, onset=0,
        resolved_at=None, resolution=None, muted_until=None, content=message("k"),
    )  # fmt: skip
    history.commit(record(10, opened=[incident], messages=[("s", "k", "firing", None, message("k"))]))
    history.commit(
        record(
            20,
            resolved=[("k", "quiet")],
            messages=[("s", "k", "resolved", None, message("k", resolved=True))],
        )
    )
    (first,) = outbox.due(100)
    assert first.message.resolved is False
    outbox.begin_attempt(first.id, 100)
    (duplicate,) = outbox.due(100)
    assert duplicate.state == "sending"
    assert duplicate.message.possible_duplicate
    assert duplicate.message.key == first.message.key
    outbox.retry(first.id, 200, "timeout")
    assert outbox.due(150) == []
    outbox.delivered(first.id, 201)
    (second,) = outbox.due(300)
    assert second.message.resolved
    assert outbox.firing("s") == [], "a resolved incident is not refreshed"


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Database(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreTooNew, match="newer driftwatch"):
        Database(tmp_path)


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_an_older_schema_is_brought_up_to_date_and_keeps_what_it_holds(tmp_path: Path, version: int) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            connection.execute(statement)
    connection.execute("INSERT INTO tracks VALUES ('m', '', x'01')")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()
    for _ in range(2):
        opened = Database(tmp_path)
        assert opened.query("PRAGMA user_version")[0][0] == len(MIGRATIONS)
        assert History(opened).states.current("m", None) == b"\x01"
        assert History(opened).states.initial("m", "f", None) is None
        assert History(opened).selftests.get("m") == StoredSelftest()
        opened.close()


def trial(begun_at: int) -> StoredTrial:
    return StoredTrial(
        begun_at=begun_at, ended_at=begun_at + 2, column="a b", fault="shift", size=0.5, within=10,
        outcome="detected", delay=2, named=True,
    )  # fmt: skip


def test_a_self_test_is_stored_with_its_window_or_not_at_all(database: Database) -> None:
    history = History(database)
    assert history.selftests.get("m") == StoredSelftest()
    under_way = StoredSelftest(begun_at=9, trial=b"shadow")
    assert history.commit(record(10, selftest=under_way))
    assert history.selftests.get("m") == under_way
    assert history.selftests.get("other") == StoredSelftest()
    ended = StoredSelftest(begun_at=9, detected=1, delay_windows=2, measured_at=11, ended=trial(9))
    assert not history.commit(record(10, selftest=ended)), "the window was decided"
    with pytest.raises(StoreError):
        history.commit(record(11, selftest=ended, messages=[("s", "k", "firing", None, None)]))  # type: ignore[list-item]
    assert history.selftests.get("m") == under_way
    assert history.selftests.trials("m") == []
    assert history.commit(record(11, selftest=ended))
    assert history.selftests.get("m") == replace(ended, ended=None)
    assert history.selftests.trials("m") == [trial(9)]
    assert history.commit(record(12))
    assert history.selftests.get("m").detected == 1, "a check without a change leaves it alone"


def test_retention_keeps_what_paged(database: Database) -> None:
    history = History(database)
    for end, page in ((10, True), (11, False), (20, False)):
        history.commit(record(end, verdicts=[(None, end, verdict(end, page=page))]))
    history.forget(0, 13)
    assert [item["end"] for item in history.verdicts.newest("m", None)] == [10, 20]


def test_retention_drops_old_trials_and_no_count(database: Database) -> None:
    history = History(database)
    for end in (10, 20):
        counts = StoredSelftest(begun_at=end, missed=end // 10, ended=trial(end))
        history.commit(record(end, selftest=counts))
    history.forget(0, 13)
    assert history.selftests.trials("m") == [trial(20)]
    assert history.selftests.get("m").missed == 2


_OPENER = """
import sys
from pathlib import Path
from driftwatch.store.database import Database
print("ready", flush=True)
sys.stdin.readline()
Database(Path(sys.argv[1])).close()
"""


def test_processes_that_open_a_new_history_at_once_wait_for_each_other(tmp_path: Path) -> None:
    # Another one is about to write its first page: SQLite refuses the change to WAL without waiting.
    writer = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    pipe = subprocess.PIPE
    openers = [
        subprocess.Popen([sys.executable, "-c", _OPENER, str(tmp_path)], stdin=pipe, stdout=pipe, text=True)
        for _ in range(4)
    ]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline().strip() == "ready"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        openers[0].wait(0.5)
    writer.execute("ROLLBACK")
    writer.close()
    for opener in openers:
        opener.communicate(timeout=20)
        assert opener.returncode == 0
    Database(tmp_path).close()


def test_something_else_than_a_history_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Database(tmp_path)


def test_one_daemon_per_storage(tmp_path: Path) -> None:
    assert not daemon_running(tmp_path)
    lock = DaemonLock(tmp_path)
    with pytest.raises(StoreError, match=f"Process {os.getpid()} holds it"):
        DaemonLock(tmp_path)
    assert daemon_running(tmp_path)
    lock.release()
    assert not daemon_running(tmp_path)
    DaemonLock(tmp_path).release()


def test_acknowledgements_are_an_audit_trail(database: Database) -> None:
    acknowledgements = Acknowledgements(database)
    number = acknowledgements.ask("m", "k", "accepted", until=None, note="season", who="me", now=5)
    assert [item.id for item in acknowledgements.pending("m")] == [number]
    History(database).commit(CheckRecord(monitor="m", now=9, acknowledged=[(number, "accepted: 1")]))
    assert acknowledgements.pending("m") == []
    acknowledgement = acknowledgements.get(number)
    assert acknowledgement is not None
    assert (
        acknowledgement.note,
        acknowledgement.who,
        acknowledgement.applied_at,
        acknowledgement.outcome,
    ) == ("season", "me", 9, "accepted: 1")


_WRITER = """
import sys
from pathlib import Path
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.locks import DaemonLock, daemon_running
from driftwatch.store.records import CheckRecord
history = History(Database(Path(sys.argv[1])))
end = (history.verdicts.last_end("m") or 0) + 1
print("ready", flush=True)
while True:
    content = {"state": "ok", "evidence": 0.1, "page": False, "end": end}
    history.commit(CheckRecord(monitor="m", now=end, verdicts=[(None, end, content), ("s", end, content)],
                               segment_states=[(s, end, str(end).encode()) for s in (None, "s")]))
    end += 1
"""


def test_kill_9_in_a_loop_loses_and_doubles_nothing(tmp_path: Path) -> None:
    reached = 0
    for cycle in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready"
        try:
            child.wait(0.05 + 0.02 * cycle)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        database = Database(tmp_path)
        history = History(database)
        last = history.verdicts.last_end("m") or 0
        assert last > reached, "the loop must keep writing, or the kills hit an idle process"
        for segment in (None, "s"):
            ends = [item["end"] for item in history.verdicts.newest("m", segment, limit=1 << 30)]
            assert ends == list(range(1, last + 1))
            assert history.states.current("m", segment) == str(last).encode()
        assert database.query("PRAGMA integrity_check")[0][0] == "ok"
        database.close()
        reached = last
