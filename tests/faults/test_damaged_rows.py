"""One damaged row costs that row: it is named and counted, and everybody else's verdicts stay bit for bit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from daemon_world import Inside
from damaged_stores import DAMAGES, END, RowsOfAllKinds, damage_row
from soak import IS_SOAK

from driftwatch.decide.state_codec import decode
from driftwatch.errors import StoreDamaged, StoreTooNew
from driftwatch.monitor.check import mend
from driftwatch.monitor.explain import explain
from driftwatch.notify.base import Message
from driftwatch.store.damage import SEALS, checksum
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.migrations import MIGRATIONS
from driftwatch.store.outbox import OutboxTable
from driftwatch.store.tables.state_table import StateTable

#: The newest row of these is read by a check, its page or a delivery; the others are read by those who ask.
READ_BY_THE_DAEMON = {
    "reference_versions", "active_references", "verdicts", "tracks", "incidents", "selftests",
    "selftest_trials", "owed_windows",
}  # fmt: skip
STORED = [table for table in SEALS if table != "trial_references"]


@dataclass(frozen=True)
class After:
    """What a daemon made of a store in the next two windows."""

    n: str
    m: str
    ends: list[int]
    failures: tuple[tuple[str, int], ...]
    counts: dict[str, int]
    troubles: tuple[str, ...]
    metrics: str
    ready: bool
    detail: str
    evidence: float | None


@pytest.fixture(scope="module")
def undamaged(story: RowsOfAllKinds, tmp_path_factory: pytest.TempPathFactory) -> After:
    story.copy(tmp_path_factory.mktemp("undamaged"))
    return after(story)


def after(story: RowsOfAllKinds) -> After:
    with story.world.inside(END + 0.5, deliver=False) as inside:
        for minutes in (END + 0.5, END + 1, END + 2):
            inside.to(minutes)
        return _state_of(inside)


def _state_of(inside: Inside) -> After:
    snapshot, database = inside.daemon.snapshot(), inside.daemon.session.database
    view = inside.view("m")
    rows = database.query("SELECT window_end FROM verdicts WHERE monitor = 'm' ORDER BY window_end")
    verdict = view.segment(None).verdict
    return After(
        n=json.dumps(inside.verdicts("n")[-2:]),
        m=json.dumps(inside.verdicts("m")[-2:]),
        ends=[row[0] for row in rows],
        failures=view.failures,
        counts={table: count for table, count in database.damage.counts() if count},
        troubles=tuple(f"{item.subject}: {item.words}" for item in snapshot.own_health.troubles),
        metrics=inside.page(),
        ready=snapshot.ready,
        detail=verdict.detail,
        evidence=verdict.evidence,
    )


def cases() -> Iterator[tuple[str, str]]:
    """Every table with every damage in a soak; else each table with one damage, each damage several times."""
    for number, table in enumerate(STORED):
        for damage in DAMAGES if IS_SOAK else (DAMAGES[number % len(DAMAGES)],):
            yield table, damage


@pytest.mark.soak
@pytest.mark.parametrize(("table", "damage"), list(cases()))
def test_a_damaged_row_costs_that_row(
    story: RowsOfAllKinds, store: Path, undamaged: After, table: str, damage: str
) -> None:
    assert damage_row(store, table, damage)
    state = after(story)
    assert state.n == undamaged.n, "bit for bit"
    assert state.ends == undamaged.ends, "no window is lost and none is judged twice"
    assert state.failures == undamaged.failures == ()
    assert state.ready
    if table in READ_BY_THE_DAEMON:
        assert state.counts == {table: 1}
        assert any(f"store, table {table}" in text and "monitor m" in text for text in state.troubles)
    expected = state.counts.get(table, 0)
    assert f'driftwatch_store_damaged_rows_total{{table="{table}"}} {expected}' in state.metrics
    if table != "reference_versions":
        assert state.m == undamaged.m, "all of it can be worked out again"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("table", STORED)
def test_every_damage_of_every_table_is_found(
    story: RowsOfAllKinds, store: Path, table: str, damage: str
) -> None:
    assert damage_row(store, table, damage)
    with closing(Database(store, read_only=True)) as database:
        sound = [_is_sound(table, row) for row in database.query(f"SELECT * FROM {table}")]
    assert sound.count(False) == 1


def _is_sound(table: str, row: Any) -> bool:
    assert row["checksum"] is not None, "every writer seals its rows"
    try:
        SEALS[table].verify(row)
    except StoreDamaged:
        return False
    return True


def test_every_table_of_the_schema_is_sealed() -> None:
    statements = [text for step in MIGRATIONS for text in step]
    tables = {text.split()[2] for text in statements if text.startswith("CREATE TABLE")}
    # Its rows are read again from the files that they name.
    # They hold no history: a row that cannot be used is as none.
    assert tables - set(SEALS) == {"quarantined_files", "clock_readings", "daemon_start"}


@pytest.mark.parametrize(
    "cells",
    [(None, 1, "a"), (0.1, -0.0, b""), ("ä", "", "x" * 5000), (1 << 62, "\udcff", b"\x00\xff")],
)
def test_a_checksum_knows_its_cells_from_others(cells: tuple[object, ...]) -> None:
    assert checksum(*cells) == checksum(*cells)
    assert checksum(*cells) != checksum("another", *cells[1:])
    assert checksum(*cells) != checksum(*cells[:-1], b"another")


def test_content_with_a_right_checksum_that_cannot_be_read_is_of_a_newer_version(
    story: RowsOfAllKinds, store: Path
) -> None:
    """It is news and no damage: nothing begins anew over it."""
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        link.row_factory = sqlite3.Row
        row = link.execute("SELECT * FROM tracks WHERE monitor = 'm'").fetchone()
        cells = [*(row[name] for name in SEALS["tracks"].cells[:-1]), b"of the future"]
        link.execute(
            "UPDATE tracks SET content = ?, checksum = ? WHERE monitor = 'm'", (cells[-1], checksum(*cells))
        )
        link.commit()
    with closing(Database(store)) as database, pytest.raises(StoreTooNew, match="newer driftwatch wrote it"):
        History(database).states.read("m", None, _refuse)
    state = after(story)
    assert dict(state.failures)["store_error"] >= 1
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        assert link.execute("SELECT content FROM tracks WHERE monitor = 'm'").fetchone() == (cells[-1],)


def _refuse(data: bytes) -> bytes:
    raise ValueError(data)


def _spoil(store: Path, *statements: str) -> None:
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        for statement in statements:
            link.execute(statement)
        link.commit()


def test_a_row_of_an_older_version_is_damaged_when_it_cannot_be_read(
    story: RowsOfAllKinds, store: Path, undamaged: After
) -> None:
    """It carries no checksum."""
    _spoil(
        store,
        *(f"UPDATE {table} SET checksum = NULL" for table in SEALS),
        "UPDATE tracks SET content = x'4457310000' WHERE monitor = 'm'",
        "UPDATE verdicts SET content = '{\"state\": 1}' WHERE monitor = 'm' AND state = 'stale'",
    )
    state = after(story)
    assert state.n == undamaged.n
    assert state.ends == undamaged.ends
    assert state.counts["tracks"] == 1
    assert state.failures == ()


def test_a_state_that_cannot_be_worked_out_goes_on_from_its_check_point_and_says_so(
    story: RowsOfAllKinds, store: Path, undamaged: After
) -> None:
    """A window since the check point is damaged too: its evidence is dropped, and its incident is not."""
    _spoil(
        store,
        "DELETE FROM checkpoints WHERE monitor = 'm' AND id ="
        " (SELECT max(id) FROM checkpoints WHERE monitor = 'm')",
        "UPDATE tracks SET content = x'00' WHERE monitor = 'm'",
        "UPDATE verdicts SET content = 'gone' WHERE monitor = 'm' AND page = 1 AND window_end ="
        " (SELECT max(window_end) FROM verdicts WHERE monitor = 'm' AND page = 1)",
    )
    with story.world.inside(END + 0.5, deliver=False) as inside:
        inside.to(END + 0.5)
        verdict = inside.verdicts("m")[-1]
        assert "goes on from the check point of the window ending" in verdict["detail"]
        assert [item.key for item in inside.view("m").incidents] == _open_keys(store)
        inside.to(END + 2)
        state = _state_of(inside)
    assert state.n == undamaged.n
    assert state.ends == undamaged.ends
    assert _pages(store) == 2, "as before: what paged is not paged again"


@pytest.mark.parametrize("page", [0, 1])
def test_evidence_of_before_a_page_does_not_count_again(
    story: RowsOfAllKinds, store: Path, page: int
) -> None:
    """A check point has evidence, and the window judged since is damaged: did it page, or not?"""
    with closing(Database(store)) as database:
        state = History(database).states.current("n", None)
        assert state is not None
        assert decode(state).has_evidence
        with database.transaction() as connection:
            StateTable.write(connection, "n", [(None, 1, state)], checkpoint=True, judged=1)
    _spoil(
        store,
        "UPDATE tracks SET content = x'00' WHERE monitor = 'n'",
        f"UPDATE verdicts SET content = 'gone', page = {page} WHERE monitor = 'n' AND window_end ="
        " (SELECT max(window_end) FROM verdicts WHERE monitor = 'n')",
    )
    with story.world.inside(END, deliver=False) as inside:
        slot = inside.daemon.runner.slot("n")
        assert slot is not None
        assert mend(slot.monitor, None).has_evidence is not bool(page)


def test_a_state_without_a_check_point_begins_anew_and_says_so(
    story: RowsOfAllKinds, store: Path, undamaged: After
) -> None:
    _spoil(
        store,
        "UPDATE checkpoints SET content = x'00' WHERE monitor = 'm'",
        "UPDATE beginnings SET content = x'00' WHERE monitor = 'm'",
        "UPDATE tracks SET content = x'00' WHERE monitor = 'm'",
    )
    with story.world.inside(END + 0.5, deliver=False) as inside:
        inside.to(END + 0.5)
        verdict = inside.verdicts("m")[-1]
        assert "the stored state was damaged and begins anew" in verdict["detail"]
        assert verdict["evidence_before"] in (None, 0.0)
        assert [item.key for item in inside.view("m").incidents] == _open_keys(store)
        inside.to(END + 2)
        state = _state_of(inside)
    assert state.n == undamaged.n
    assert state.ends == undamaged.ends
    assert _pages(store) == 2


def _open_keys(store: Path) -> list[str]:
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        return [row[0] for row in link.execute("SELECT key FROM incidents WHERE resolved_at IS NULL")]


def _pages(store: Path) -> int:
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        (count,) = link.execute("SELECT count(*) FROM verdicts WHERE monitor = 'm' AND page = 1").fetchone()
    return int(count)


def test_a_damaged_reference_is_built_again_from_its_files(story: RowsOfAllKinds, store: Path) -> None:
    with closing(Database(store)) as database:
        before = History(database).references.active_fingerprint("n")
    assert damage_row(store, "reference_versions", "digit", "n")
    with story.world.inside(END + 0.5, deliver=False) as inside:
        inside.to(END + 2)
        assert inside.daemon.session.history.references.active_fingerprint("n") == before
        assert not inside.daemon.session.history.references.is_damaged("n")
        assert inside.state("n") == "ok"


def test_what_was_accepted_on_a_damaged_reference_is_named(
    story: RowsOfAllKinds, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert damage_row(store, "reference_versions", "digit", where="content IS NOT NULL")
    with caplog.at_level("INFO"):
        after(story)
    assert any("what was accepted is gone with the damaged reference" in text for text in caplog.messages)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_message_is_told_from_what_is_left_and_stops_no_other(
    story: RowsOfAllKinds, store: Path, damage: str
) -> None:
    assert damage_row(store, "outbox", damage)
    messages = _deliver(story)
    assert len(messages) == 3
    assert {message.monitor for message in messages} == {"m"}
    assert messages[-1].title == messages[-1].title.strip()
    assert "inputs drifted" in messages[-1].title, "the incident has a copy of the text"


def test_a_damaged_message_without_a_copy_is_told_by_its_key(story: RowsOfAllKinds, store: Path) -> None:
    assert damage_row(store, "outbox", "garbage")
    assert damage_row(store, "incidents", "garbage")
    messages = _deliver(story)
    assert [message.key for message in messages][-1:] == _open_keys(store)
    assert "whose text is lost" in messages[-1].title
    assert not messages[-1].resolved


def test_a_damaged_incident_is_ended_under_its_key(story: RowsOfAllKinds, store: Path) -> None:
    (key,) = _open_keys(store)
    assert damage_row(store, "incidents", "garbage")
    assert damage_row(store, "outbox", "garbage")
    with story.world.inside(END, deliver=False) as inside:
        inside.daemon.session.acknowledgements.ask(
            "m", key, "fixed", until=None, note="", who="me", now=inside.clock.now()
        )
        inside.to(END + 0.5)
        assert key not in [item.key for item in inside.view("m").incidents]
    assert (key, True) in [(item.key, item.resolved) for item in _deliver(story)]


def _deliver(story: RowsOfAllKinds) -> list[Message]:
    """All messages that are due now, in order."""
    messages: list[Message] = []
    with story.world.inside(END, deliver=False) as inside:
        session = inside.daemon.session
        table = OutboxTable(session.database, session.clock.now)
        # A mute holds the newest one.
        with session.database.transaction() as connection:
            connection.execute("UPDATE incidents SET muted_until = NULL")
        while rows := table.due(session.clock.now()):
            for row in rows:
                messages.append(row.message)
                table.delivered(row.id, session.clock.now())
    return messages


def test_late_rows_of_a_window_with_a_damaged_part_are_not_judged_twice(
    story: RowsOfAllKinds, store: Path, undamaged: After
) -> None:
    assert damage_row(store, "late_parts", "digit")
    state = after(story)
    assert state.n == undamaged.n
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        assert link.execute("SELECT count(*) FROM late_parts").fetchone() == (1,)


def test_a_damaged_tile_of_a_decided_window_is_named_by_explain(story: RowsOfAllKinds, store: Path) -> None:
    assert damage_row(store, "tiles", "flipped", "n")
    with story.world.inside(END, deliver=False) as inside:
        history = inside.daemon.session.history
        end = history.verdicts.last_end("n")
        assert end is not None
        config = inside.daemon.config.monitor("n")
        assert config is not None
        explanation = explain(config, history, None, end)
    assert "One of them is damaged" in str(explanation.gone)
    assert explanation.stored.window.end == end
