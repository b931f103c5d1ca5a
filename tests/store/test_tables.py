"""Each part of the history by itself: it writes and reads its own tables, and needs none of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import example
import pytest

from driftwatch.engines.local.readers.quarantine import QuarantinedPiece
from driftwatch.errors import StoreError
from driftwatch.sources.base import Piece
from driftwatch.store.database import Database
from driftwatch.store.records import ClockReading, StoredIncident, StoredTile
from driftwatch.store.tables.clock_table import ClockTable
from driftwatch.store.tables.incident_table import IncidentTable
from driftwatch.store.tables.quarantine_table import QuarantineTable
from driftwatch.store.tables.reference_tables import ReferenceTable
from driftwatch.store.tables.state_table import StateTable
from driftwatch.store.tables.tile_table import TileTable
from driftwatch.store.tables.verdict_table import VerdictTable
from driftwatch.summary.serial import encode_reference
from driftwatch.summary.summary import Summary

VIEW = example.calm()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    yield opened
    opened.close()


def window() -> Summary:
    summary = VIEW.segments[0].window
    assert summary is not None
    return summary


def tile(start: int, version: int, *, segment: str | None = None, plan: str = "p") -> StoredTile:
    summary = replace(window(), plan=plan)
    return StoredTile(segment=segment, start=start, version=version, source_version="s", summary=summary)


def test_the_newest_version_of_a_slice_is_the_newest_of_all_rows(database: Database) -> None:
    """A segment without rows in it has no tile in that version, and its older ones do not count."""
    tiles = TileTable(database)
    with database.transaction() as connection:
        tiles.write(
            connection,
            "m",
            [
                tile(10, 1), tile(10, 1, segment="a"), tile(10, 2), tile(20, 1), tile(20, 1, segment="a"),
                tile(30, 1), tile(10, 3, plan="another"),
            ],
        )  # fmt: skip
    assert tiles.newest_keys("m", None, 10, 30, "p") == [(10, 2, "s"), (20, 1, "s")]
    assert tiles.newest_keys("m", "a", 10, 30, "p") == [(20, 1, "s")]
    assert [(item.start, item.version) for item in tiles.newest("m", None, 0, 99, "p")] == [
        (10, 2), (20, 1), (30, 1),
    ]  # fmt: skip
    assert tiles.newest_versions("m", 0, 99) == {10: 3, 20: 1, 30: 1}, "over all plans"
    assert tiles.newest("m", None, 10, 20, "p")[0].summary.rows == window().rows
    assert tiles.get("m", "a", 10, 1) is not None
    assert tiles.get("m", "a", 10, 2) is None
    assert tiles.newest_keys("other", None, 0, 99, "p") == []


def test_verdicts_are_read_newest_first_and_given_oldest_first(database: Database) -> None:
    verdicts = VerdictTable(database)
    assert verdicts.last_end("m") is None
    content: dict[str, Any] = {"state": "ok", "evidence": None, "page": False}
    with database.transaction() as connection:
        verdicts.write(connection, "m", [(None, end, {**content, "end": end}) for end in (10, 30, 20)], 99)
        verdicts.write(connection, "m", [("a", 40, {**content, "end": 40})], 100)
    assert [item["end"] for item in verdicts.newest("m", None, limit=2)] == [20, 30]
    assert [item["end"] for item in verdicts.newest("m", None, end_above=20)] == [30]
    assert (verdicts.decided_at("m", None, 20), verdicts.decided_at("m", "a", 20)) == (99, None)
    assert verdicts.get("m", "a", 40) == {**content, "end": 40}
    assert verdicts.last_end("m") == 40, "of any segment"


def test_a_replay_starts_from_the_checkpoint_before_its_window(database: Database) -> None:
    states = StateTable(database)
    with database.transaction() as connection:
        for end in (10, 20, 30):
            states.write(connection, "m", [(None, end, b"%d" % end)], checkpoint=end != 20)
        states.write_initial(connection, "m", "rebased", [(None, 30, b"first"), ("a", 30, b"first of a")])
    assert states.current("m", None) == b"30"
    with database.transaction() as connection:
        states.write(connection, "m", [("a", 30, b"of a")], checkpoint=False)
    assert states.of_monitor("m") == [(None, b"30"), ("a", b"of a")]
    assert states.checkpoint_before("m", None, 30) == (10, b"10")
    assert states.checkpoint_before("m", None, 31) == (30, b"30")
    assert states.checkpoint_before("m", None, 10) is None
    assert (states.initial("m", "rebased", "a"), states.initial("m", "built", "a")) == (b"first of a", None)


def test_a_rebased_reference_is_in_force_and_the_built_one_is_found(database: Database) -> None:
    references, states = ReferenceTable(database), StateTable(database)
    built = VIEW.reference
    assert built is not None
    assert references.active(built.monitor) is None
    references.store(built, "key", {None: [window()], "a": [window(), window()]}, 5)
    rebased = replace(built, fingerprint="rebased")
    with database.transaction() as connection:
        references.write(connection, rebased, "key", 7)
        states.write_initial(connection, built.monitor, "rebased", [(None, 0, b"")])
    active = references.active(built.monitor)
    assert active is not None
    assert (active.reference.fingerprint, active.source_key, active.since) == ("rebased", "key", 7)
    found = references.built(built.monitor, "key")
    assert found is not None
    assert found.fingerprint == built.fingerprint
    assert references.built(built.monitor, "another key") is None
    assert references.active_fingerprint(built.monitor) == "rebased"
    assert references.source_key(built.monitor, "rebased") == "key"
    assert references.source_key(built.monitor, "another") == ""
    references.activate(built.monitor, built.fingerprint, 8)
    active = references.active(built.monitor)
    assert active is not None
    assert (active.reference.fingerprint, active.since) == (built.fingerprint, 8)
    old = references.get(built.monitor, built.fingerprint)
    assert old is not None
    assert encode_reference(old) == encode_reference(built)
    assert len(references.blocks(built.monitor, built.fingerprint, None)) == 1
    references.store(built, "key", {"a": [window()]}, 9)
    assert references.blocks(built.monitor, built.fingerprint, None) == [], "cut anew"


def incident(key: str, opened_at: int) -> StoredIncident:
    return StoredIncident(
        key=key, monitor="m", segment=None, kind="drift", columns=("a", "b"), opened_at=opened_at, onset=0,
        resolved_at=None, resolution=None, muted_until=None, content="{}",
    )  # fmt: skip


def test_an_incident_is_opened_and_resolved_once(database: Database) -> None:
    incidents = IncidentTable(database)
    first, second = incident("k1", 1), incident("k2", 2)
    with database.transaction() as connection:
        incidents.open(connection, [second, first])
        incidents.open(connection, [replace(first, opened_at=9)])
    assert incidents.of_monitor("m") == [first, second]
    with database.transaction() as connection:
        incidents.mute(connection, [("k2", 50)])
        incidents.resolve(connection, [("k1", "quiet")], 10)
        incidents.resolve(connection, [("k1", "fixed")], 11)
    assert incidents.of_monitor("m") == [replace(second, muted_until=50)]
    resolved = replace(first, resolved_at=10, resolution="quiet")
    assert incidents.of_monitor("m", only_open=False) == [resolved, replace(second, muted_until=50)]
    assert (incidents.get("k1"), incidents.get("k3")) == (resolved, None)
    assert incidents.monitors() == {"m"}


def test_an_open_incident_is_rewritten_whole_and_an_ended_one_stays(database: Database) -> None:
    incidents = IncidentTable(database)
    first, second = incident("k1", 1), incident("k2", 2)
    changed = replace(
        first, kind="broken", columns=("a", "b", "c"), onset=-1, segments=(None, "JFK"), content='{"n": 1}'
    )
    with database.transaction() as connection:
        incidents.open(connection, [first, second])
        incidents.mute(connection, [("k1", 50)])
        incidents.resolve(connection, [("k2", "quiet")], 10)
        incidents.update(connection, [changed, replace(second, columns=("z",))])
    assert incidents.get("k1") == replace(changed, muted_until=50), "a mute is not that of the check"
    assert incidents.get("k2") == replace(second, resolved_at=10, resolution="quiet")
    assert not any(count for _, count in database.damage.counts())
    with database.transaction() as connection:
        connection.execute("UPDATE incidents SET columns = '[\"x\"]' WHERE key = 'k1'")
    incidents.get("k1")
    assert dict(database.damage.counts())["incidents"] == 1, "the seal is that of the new cells"


@pytest.mark.parametrize("text", ["", "{", "7", '["JFK", 1]', "x" * 9])
def test_damaged_segments_of_an_incident_are_those_of_its_first_page(database: Database, text: str) -> None:
    incidents = IncidentTable(database)
    with database.transaction() as connection:
        incidents.open(connection, [replace(incident("k", 1), segments=(None, "JFK"))])
        connection.execute("UPDATE incidents SET segments = ?", (text,))
    (stored,) = incidents.of_monitor("m")
    assert stored.all_segments == (None,)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, StoreError])
def test_whatever_ends_a_transaction_undoes_it_and_the_next_one_works(
    database: Database, error: type[BaseException]
) -> None:
    def write(content: bytes) -> None:
        with database.transaction() as connection:
            StateTable.write(connection, "m", [(None, 1, content)], checkpoint=False)
            if content == b"undone":
                raise error

    with pytest.raises(error):
        write(b"undone")
    assert StateTable(database).current("m", None) is None
    write(b"kept")
    assert StateTable(database).current("m", None) == b"kept"


def test_a_store_that_is_closed_says_so(tmp_path: Path) -> None:
    """A check that outlives the daemon's patience finds it closed."""
    opened = Database(tmp_path)
    opened.close()
    with pytest.raises(StoreError, match="expected to write"), opened.transaction():
        pass
    with pytest.raises(StoreError, match="expected to read"):
        StateTable(opened).current("m", None)


@pytest.mark.parametrize("column", ["offset", "read_at"])
def test_a_damaged_reading_of_the_clock_is_as_none(database: Database, column: str) -> None:
    table = ClockTable(database)
    table.write(ClockReading(boot="one", offset=1, read_at=2))
    assert table.get() == ClockReading(boot="one", offset=1, read_at=2)
    with database.transaction() as connection:
        connection.execute(f"UPDATE clock_readings SET {column} = 'garbage'")
    assert table.get() is None


@pytest.mark.parametrize("column", ["size", "mtime", "until"])
def test_a_damaged_row_of_a_file_left_out_lets_the_file_be_tried_again(
    database: Database, column: str
) -> None:
    table = QuarantineTable(database)
    piece = Piece(path="/a", name="a", size=1, modified=2)
    item = QuarantinedPiece(source="s", piece=piece, detail="it crashed", until=9, conditions="c")
    table.add(item, now=3)
    assert table.of_source("s") == [item]
    with database.transaction() as connection:
        connection.execute(f"UPDATE quarantined_files SET {column} = 'garbage'")
    assert table.of_source("s") == []
