"""``driftwatch store``: a history is checked, backed up and restored; nothing is told twice or forgotten."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from damaged_stores import END, RowsOfAllKinds, damage_row

from driftwatch.cli import main
from driftwatch.store.migrations import MIGRATIONS


def verb(story: RowsOfAllKinds, *words: object) -> Result:
    name, *rest = words
    return CliRunner().invoke(main, ["store", str(name), str(story.world.config), *map(str, rest)])


def query(store: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        return link.execute(sql).fetchall()


def open_keys(store: Path) -> list[str]:
    return [row[0] for row in query(store, "SELECT key FROM incidents WHERE resolved_at IS NULL")]


def test_a_sound_history_is_said_to_be_sound(story: RowsOfAllKinds, store: Path) -> None:
    result = verb(story, "check")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(str(store / "driftwatch.sqlite"))
    assert result.output.rstrip().endswith("all sound")


def test_a_check_names_each_damaged_row_and_changes_nothing(story: RowsOfAllKinds, store: Path) -> None:
    damage_row(store, "verdicts", "digit")
    damage_row(store, "outbox", "garbage")
    before = (store / "driftwatch.sqlite").read_bytes()
    result = verb(story, "check", "--format", "json")
    data = json.loads(result.stdout)
    assert result.exit_code == 3
    assert {item["table"] for item in data["faults"]} == {"verdicts", "outbox"}
    assert all("monitor m" in item["key"] or "sink webhook" in item["key"] for item in data["faults"])
    assert (data["sound"], data["structure"]) == (False, [])
    assert (store / "driftwatch.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "table", "words"),
    [
        ("DELETE FROM reference_versions WHERE monitor = 'm'", "active_references", "is not stored"),
        ("DELETE FROM tracks WHERE monitor = 'm'", "incidents", "on no state"),
        ("UPDATE verdicts SET state = 'ok', checksum = NULL WHERE page = 1", "verdicts", "something else"),
        ("UPDATE outbox SET state = 'lost'", "outbox", "state 'lost'"),
    ],
)
def test_rows_that_contradict_each_other_are_named(
    story: RowsOfAllKinds, store: Path, statement: str, table: str, words: str
) -> None:
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        link.execute(statement)
        link.commit()
    result = verb(story, "check", "--format", "json")
    faults = json.loads(result.stdout)["faults"]
    assert result.exit_code == 3
    assert {item["table"] for item in faults} == {table}
    assert words in faults[0]["detail"]


def test_a_verdict_whose_tiles_are_gone_is_named_within_retention_only(
    story: RowsOfAllKinds, store: Path
) -> None:
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        link.execute("DELETE FROM tiles WHERE monitor = 'm'")
        link.commit()
    assert verb(story, "check").exit_code == 0, "its windows are of 2023, and tiles are kept for less"
    story.world.write(storage={"path": str(store)}, retention={"tiles": "36500d", "verdicts": "36500d"})
    result = verb(story, "check", "--format", "json")
    faults = json.loads(result.stdout)["faults"]
    assert {item["table"] for item in faults} == {"verdicts"}
    assert "tiles are not stored" in faults[0]["detail"]


def test_a_file_that_cannot_be_used_is_exit_code_2(story: RowsOfAllKinds, store: Path) -> None:
    path = store / "driftwatch.sqlite"
    for content in (b"no database at all " * 500, path.read_bytes()[:50_000]):
        path.write_bytes(content)
        result = verb(story, "check")
        assert result.exit_code == 2, result.output
        assert "unusable" in result.output or "not a database" in result.output
    path.unlink()
    assert verb(story, "check").exit_code == 2


def test_a_newer_history_is_refused_by_name_with_the_way_back(story: RowsOfAllKinds, store: Path) -> None:
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        link.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = (store / "driftwatch.sqlite").read_bytes()
    for words in (["store", "check"], ["check"], ["run"]):
        result = CliRunner().invoke(main, [*words, str(story.world.config)])
        assert result.exit_code == 2, words
        assert "a newer driftwatch wrote it" in result.output
        assert "`driftwatch store restore`" in result.output
    assert (store / "driftwatch.sqlite").read_bytes() == before, "and not set aside"


def test_a_backup_beside_a_running_daemon_is_whole(story: RowsOfAllKinds, store: Path) -> None:
    target = store.parent / "backup.sqlite"
    with story.world.inside(END + 0.5, deliver=False) as inside:
        inside.to(END + 1)
        result = verb(story, "backup", target)
        assert result.exit_code == 0, result.output
        inside.to(END + 2)
        assert len(inside.verdicts("n")) > 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in target.parent.iterdir()) == ["backup.sqlite", "store"]
    with closing(sqlite3.connect(target)) as link:
        (copied,) = link.execute("SELECT count(*) FROM verdicts WHERE monitor = 'n'").fetchone()
    assert copied == 12


def test_a_backup_replaces_no_file_unless_told_to(story: RowsOfAllKinds, store: Path) -> None:
    target = store.parent / "backup.sqlite"
    target.write_text("precious")
    refused = verb(story, "backup", target)
    assert refused.exit_code == 2
    assert "--force" in refused.output
    assert target.read_text() == "precious"
    assert verb(story, "backup", target, "--force").exit_code == 0
    assert target.stat().st_size > 100_000
    assert verb(story, "backup", store / "driftwatch.sqlite", "--force").exit_code == 2, "not onto itself"


def test_a_backup_of_damaged_rows_is_made_and_said(story: RowsOfAllKinds, store: Path) -> None:
    damage_row(store, "tiles", "flipped")
    target = store.parent / "backup.sqlite"
    result = verb(story, "backup", target)
    assert result.exit_code == 3
    assert "damaged rows" in result.output
    assert target.exists()
    refused = verb(story, "restore", target)
    assert refused.exit_code == 3
    assert "--force" in refused.output
    assert verb(story, "restore", target, "--force").exit_code == 0


def test_a_restored_history_goes_on_and_the_old_one_is_kept(story: RowsOfAllKinds, store: Path) -> None:
    target = store.parent / "backup.sqlite"
    assert verb(story, "backup", target).exit_code == 0
    with story.world.inside(END + 0.5, deliver=False) as inside:
        inside.to(END + 2)
        expected = inside.verdicts("n")
    (store / "driftwatch.sqlite").write_bytes(b"gone " * 1000)
    result = verb(story, "restore", target)
    assert result.exit_code == 0, result.output
    assert "n: ends with the window to" in result.output
    (kept,) = store.glob("driftwatch.sqlite.replaced-*[0-9]")
    assert kept.read_bytes().startswith(b"gone ")
    with story.world.inside(END + 0.5, deliver=False) as inside:
        inside.to(END + 2)
        assert inside.verdicts("n") == expected


def test_what_opened_or_ended_since_the_backup_is_told_as_unknown_and_fires_no_more(
    story: RowsOfAllKinds, store: Path
) -> None:
    (key,) = open_keys(store)
    target = store.parent / "backup.sqlite"
    assert verb(story, "backup", target).exit_code == 0
    with story.world.inside(END + 0.5, deliver=False) as inside:
        answers = inside.daemon.session.acknowledgements
        answers.ask("m", "", "fixed", until=None, note="", who="me", now=inside.clock.now())
        inside.to(END + 2)
        (opened,) = open_keys(store)
    assert opened != key, "the drift went on, under a new key"
    result = verb(story, "restore", target)
    assert result.exit_code == 0, result.output
    assert f"{opened}: told as ended, unknown" in result.output
    assert open_keys(store) == []
    assert set(
        query(store, "SELECT key, kind FROM outbox WHERE message LIKE '%ended, its history was lost%'")
    ) == {
        (key, "resolved"),
        (opened, "resolved"),
    }


def test_a_restore_beside_a_daemon_is_refused(story: RowsOfAllKinds, store: Path) -> None:
    target = store.parent / "backup.sqlite"
    assert verb(story, "backup", target).exit_code == 0
    with story.world.inside(END, deliver=False):
        result = verb(story, "restore", target)
    assert result.exit_code == 2
    assert "expected to be the only daemon here" in result.output
    assert not list(store.glob("*.replaced-*"))


def test_a_restore_of_what_is_no_backup_changes_nothing(story: RowsOfAllKinds, store: Path) -> None:
    before = (store / "driftwatch.sqlite").read_bytes()
    foreign = store.parent / "foreign"
    foreign.write_bytes(b"hello " * 1000)
    for source in (foreign, store.parent / "absent"):
        assert verb(story, "restore", source).exit_code in (2, 3)
    assert (store / "driftwatch.sqlite").read_bytes() == before
    assert sorted(path.name for path in store.glob(".restore*")) == []


def test_a_crash_amid_a_restore_parts_no_commit_from_the_history(
    story: RowsOfAllKinds, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed daemon's newest commits are in the log beside the file, which is moved first."""
    assert verb(story, "backup", tmp_path / "backup.sqlite").exit_code == 0
    killed = tmp_path / "killed"
    with closing(sqlite3.connect(store / "driftwatch.sqlite")) as link:
        link.execute("UPDATE outbox SET reason = 'newest commit'")
        link.commit()
        shutil.copytree(store, killed)
    assert (killed / "driftwatch.sqlite-wal").stat().st_size > 0
    story.world.write(storage={"path": str(killed)})

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.link", crash)
    assert verb(story, "restore", tmp_path / "backup.sqlite").exit_code != 0
    assert query(killed, "SELECT DISTINCT reason FROM outbox") == [("newest commit",)]
