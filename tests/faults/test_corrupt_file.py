"""A history whose file is corrupt is set aside, the daemon starts, and what was lost is told by name."""

from __future__ import annotations

import json
import logging
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from daemon_world import MINUTE, Inside
from damaged_stores import END, RowsOfAllKinds
from soak import length

from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.errors import StoreError
from driftwatch.monitor.incident_message import Ending
from driftwatch.monitor.session import open_session
from driftwatch.monitor.succession.lost_history import end_lost
from driftwatch.store.database import FILE, Database
from driftwatch.store.disk import CORRUPT_MARK, mark_corrupt
from driftwatch.store.history import History
from driftwatch.store.recovery import corrupt_file, ledger
from driftwatch.store.recovery.corrupt_file import is_corrupt, set_aside_if_corrupt
from driftwatch.store.recovery.ledger import LEDGER_FILE, LOST_FILE, LedgerContent, read_ledger
from driftwatch.store.recovery.salvage import salvaged
from driftwatch.store.reserve import Reserve

#: A start takes half a second here, and 5 s are promised on a machine that does nothing else. A start that
#: never ends must be found.
MAX_START_SECONDS = 60.0
KINDS = ("cut", "page", "bit", "header", "empty", "bytes")
NS = 1_000_000_000


def spoil(path: Path, kind: str, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if kind == "cut":
        del data[rng.randrange(1, len(data)) :]
    elif kind == "page":
        page = rng.randrange(len(data) // 4096)
        data[page * 4096 : (page + 1) * 4096] = rng.randbytes(4096)
    elif kind == "bit":
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "header":
        data[:100] = rng.randbytes(100)
    elif kind == "empty":
        data.clear()
    else:
        for _ in range(20):
            place = rng.randrange(len(data) - 16)
            data[place : place + 16] = rng.randbytes(16)
    path.write_bytes(data)


def rows(store: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(store / FILE)) as link:
        return link.execute(sql).fetchall()


def open_keys(store: Path) -> list[str]:
    return [row[0] for row in rows(store, "SELECT key FROM incidents WHERE resolved_at IS NULL")]


def last_minutes(inside: Inside, name: str) -> int:
    (row,) = inside.daemon.session.database.query(
        "SELECT max(window_end) FROM verdicts WHERE monitor = ?", (name,)
    )
    return (int(row[0]) - inside.start) // MINUTE


def troubles(inside: Inside) -> str:
    return "\n".join(item.words for item in inside.daemon.snapshot().own_health.troubles)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(length(24, 504)))
def test_a_daemon_starts_on_every_corrupt_file_and_looks_on(
    story: RowsOfAllKinds, store: Path, number: int
) -> None:
    kind = KINDS[number % len(KINDS)]
    keys = open_keys(store)
    spoil(store / FILE, kind, random.Random(1800 + number))
    for _ in range(2):
        began = time.monotonic()
        with story.world.inside(END + 1, deliver=False) as inside:
            assert time.monotonic() - began < MAX_START_SECONDS
            inside.to(END + 2)
            # Damage that shows only when it is read ends this life, and the next start begins anew.
            if (store / CORRUPT_MARK).exists():
                continue
            assert inside.daemon.snapshot().ready
            assert [last_minutes(inside, name) for name in "mn"] == [END + 2, END + 2]
            lost = bool(list(store.glob(f"{FILE}.corrupt-*"))) or kind == "empty"
            words = troubles(inside)
        if lost:
            assert "The history was lost" in words
            assert "what was accepted of x" in words
            assert all(f"the open incident {key} is told as ended, unknown" in words for key in keys)
            assert set(keys) <= {
                row[0] for row in rows(store, "SELECT key FROM outbox WHERE kind = 'resolved'")
            }
        return
    pytest.fail("a corrupt file outlived two starts")


def test_what_was_lost_is_told_under_the_keys_that_receivers_know(story: RowsOfAllKinds, store: Path) -> None:
    (key,) = open_keys(store)
    (store / FILE).write_bytes(b"\0" * 9000)
    with story.world.inside(END + 1, deliver=False) as inside:
        words = troubles(inside)
        ended = inside.daemon.session.history.incidents.get(key)
        assert inside.daemon.snapshot().store_errors == 1
    assert ended is not None
    assert (ended.resolution, ended.resolved_at is not None) == (str(Ending.UNKNOWN), True)
    ((sink, text),) = rows(store, f"SELECT sink, message FROM outbox WHERE key = '{key}'")
    message = json.loads(text)
    assert (sink, message["resolved"], message["key"]) == ("webhook", True, key)
    assert message["title"].endswith("ended, its history was lost")
    assert "the history was lost" in message["lines"][1]
    assert "It is empty before 2023-11-14 22:29Z" in words
    assert "the windows from 2023-11-14 22:18Z" in words
    assert "Its mute until" in words
    assert not (store / LOST_FILE).exists()
    assert read_ledger(store / LEDGER_FILE) is not None


def test_nothing_is_told_twice_after_a_second_start(story: RowsOfAllKinds, store: Path) -> None:
    (store / FILE).write_bytes(b"")
    for _ in range(2):
        with story.world.inside(END + 1, deliver=False) as inside:
            words = troubles(inside)
    assert words == ""
    assert rows(store, "SELECT count(*) FROM outbox WHERE kind = 'resolved'") == [(1,)]


def test_a_file_that_is_gone_is_told_and_a_first_start_is_not(story: RowsOfAllKinds, store: Path) -> None:
    for part in store.glob("driftwatch.sqlite*"):
        part.unlink()
    with story.world.inside(END + 1, deliver=False) as inside:
        assert "its file is gone" in troubles(inside)
    shutil.rmtree(store)
    with story.world.inside(END + 1, deliver=False) as inside:
        assert troubles(inside) == ""


def test_without_a_ledger_the_file_itself_is_asked(story: RowsOfAllKinds, store: Path) -> None:
    """Older versions wrote none, and a ledger may be damaged as well."""
    (key,) = open_keys(store)
    (store / LEDGER_FILE).write_text("{}")
    data = bytearray((store / FILE).read_bytes())
    tiles = rows(store, "SELECT rootpage FROM sqlite_master WHERE name = 'tiles'")[0][0]
    data[(tiles - 1) * 4096 : tiles * 4096] = random.Random(1).randbytes(4096)
    (store / FILE).write_bytes(data)
    content = salvaged(store / FILE)
    assert [item.key for item in content.incidents] == [key]
    assert [item.monitor for item in content.spans] == ["m", "n"]
    with story.world.inside(END + 1, deliver=False) as inside:
        assert f"the open incident {key} is told as ended, unknown" in troubles(inside)
        assert "what was accepted of x" in troubles(inside)


def test_damage_that_shows_only_when_it_is_read_is_marked_for_the_next_start(
    story: RowsOfAllKinds, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrupt_file, "_SEARCH_SECONDS", -1.0)
    monkeypatch.setattr(corrupt_file, "_STEPS_PER_LOOK", 1)
    data = bytearray((store / FILE).read_bytes())
    page = rows(store, "SELECT rootpage FROM sqlite_master WHERE name = 'tracks'")[0][0]
    data[(page - 1) * 4096 : page * 4096] = random.Random(1).randbytes(4096)
    (store / FILE).write_bytes(data)
    with closing(Database(store)) as database, pytest.raises(StoreError, match="malformed"):
        History(database).states.of_monitor("m")
    assert (store / CORRUPT_MARK).exists()
    with story.world.inside(END + 1, deliver=False) as inside:
        assert "turned out to be corrupt while it was in use" in troubles(inside)
    assert not (store / CORRUPT_MARK).exists()
    assert is_corrupt(next(store.glob(f"{FILE}.corrupt-*[0-9]")), 60.0)


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_file_that_turns_corrupt_ends_the_process_for_a_start_that_sets_it_aside(
    story: RowsOfAllKinds, store: Path, is_marked: bool
) -> None:
    reasons: list[str] = []
    with story.world.inside(END + 1) as inside:
        inside.daemon.on_give_up = reasons.append
        if is_marked:
            mark_corrupt(store / FILE)
        inside.daemon.session.database.on_error(sqlite3.SQLITE_CORRUPT)
        for _ in range(3):
            inside.daemon.store_care.watch.look()
        assert not inside.daemon.store_care.watch.may_decide
        assert "store: corrupt" in inside.page("/-/ready")
    # Without the mark the next start might take the file for sound, again and again.
    assert bool(reasons) is is_marked
    assert all("The process ends" in reason for reason in reasons)


def test_the_outage_of_a_corrupt_file_ends_with_the_start_that_sets_it_aside(
    story: RowsOfAllKinds, store: Path
) -> None:
    """It was noted beside the file, and stayed for ever: not ready, "a restart sets the file aside"."""
    with story.world.inside(END + 1) as inside:
        inside.daemon.session.database.on_error(sqlite3.SQLITE_CORRUPT)
        inside.daemon.store_care.watch.look()
        assert inside.daemon.snapshot().own_health.store.state == "corrupt"
    (store / FILE).write_bytes(b"\0" * 9000)
    for part in ("-wal", "-shm"):
        (store / f"{FILE}{part}").unlink(missing_ok=True)
    with story.world.inside(END + 1) as inside:
        assert "The history was lost" in troubles(inside)
        assert inside.daemon.snapshot().own_health.store.state == "ok"
        assert inside.daemon.snapshot().own_health.not_ready_reasons() == ()
    assert "corrupt" not in Reserve(store).read_note()


def test_a_corrupt_file_on_a_disk_that_takes_no_change_is_set_aside_later(
    story: RowsOfAllKinds, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon serves meanwhile, and what the ledger knows is not forgotten."""
    (key,) = open_keys(store)
    (store / FILE).write_bytes(b"\0" * 9000)

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(corrupt_file, "write_ledger", refuse)
        with story.world.inside(END + 1, deliver=False) as inside:
            assert inside.daemon.snapshot().own_health.not_ready_reasons()
            inside.daemon.session.history.ledger.refresh()
            assert ledger_keys(store) == [key]
            patch.undo()
            inside.daemon.store_care.watch.look()
            assert inside.daemon.snapshot().own_health.store.state == "ok"
            assert f"the open incident {key} is told as ended, unknown" in troubles(inside)
            assert inside.daemon.loader.wait(30)
            inside.to(END + 2)
            assert last_minutes(inside, "m") == END + 2
            assert inside.daemon.snapshot().store_errors == 1


def test_damage_that_ends_the_opening_ends_it_once(
    story: RowsOfAllKinds, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that is short, or cannot begin on a full disk, does not see it."""
    with monkeypatch.context() as patch:
        patch.setattr(corrupt_file, "is_corrupt", lambda *_: False)
        data = bytearray((store / FILE).read_bytes())
        data[:100] = b"\0" * 100
        (store / FILE).write_bytes(data)
        with pytest.raises(StoreError):
            Database(store)
        assert set_aside_if_corrupt(store, 1) is not None


def test_a_move_that_ends_amid_is_taken_up_without_another_search(
    story: RowsOfAllKinds, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slower start sees less, and would go on with a file whose incidents are noted as lost."""
    data = bytearray((store / FILE).read_bytes())
    data[8192:12288] = random.Random(1).randbytes(4096)
    (store / FILE).write_bytes(data)
    with monkeypatch.context() as patch:
        steps_of_a_move(patch, 1)
        patch.setattr(corrupt_file, "is_corrupt", lambda *_: True)
        with pytest.raises(Crash):
            set_aside_if_corrupt(store, 1)
    assert (store / LOST_FILE).exists()
    monkeypatch.setattr(corrupt_file, "is_corrupt", lambda *_: False)
    assert set_aside_if_corrupt(store, 2) is not None


def test_a_mark_says_nothing_about_another_file(store: Path) -> None:
    (store / CORRUPT_MARK).write_text("1 2")
    assert set_aside_if_corrupt(store, 1) is None
    assert not (store / CORRUPT_MARK).exists()


class Crash(Exception):
    """The process ends."""


def steps_of_a_move(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the process end at the ``number``-th change of a file."""
    changes = iter(range(1000))

    def counted(original: Any) -> Any:
        def change(*words: Any, **options: Any) -> Any:
            if next(changes) == number:
                raise Crash
            return original(*words, **options)

        return change

    for name in ("rename", "unlink", "replace"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))


def begin(story: RowsOfAllKinds) -> None:
    """What a daemon does with its history before anything else."""
    config, clock = load(story.world.config), ReplayClock(story.world.start + (END + 1) * MINUTE)
    set_aside_if_corrupt(config.storage.path, clock.now())
    with open_session(config, clock, logging.info, checkpoints=True) as session:
        end_lost(session, lambda *_: None)


def test_a_crash_at_any_step_of_the_move_loses_no_incident(
    story: RowsOfAllKinds, store: Path, tmp_path: Path
) -> None:
    (key,) = open_keys(store)
    for number in range(20):
        folder = tmp_path / str(number)
        shutil.copytree(store, folder)
        (folder / FILE).write_bytes(b"\0" * 9000)
        story.world.write(storage={"path": str(folder)})
        with pytest.MonkeyPatch.context() as patch:
            steps_of_a_move(patch, number)
            try:
                begin(story)
                is_over = True
            except Crash:
                is_over = False
        begin(story)
        assert rows(folder, "SELECT key, kind FROM outbox WHERE kind = 'resolved'") == [(key, "resolved")]
        assert not (folder / LOST_FILE).exists()
        shutil.rmtree(folder)
        if is_over:
            break
    assert number > 4, "the move has several steps"


def ledger_keys(store: Path) -> list[str]:
    content = read_ledger(store / LEDGER_FILE)
    assert content is not None
    return [item.key for item in content.incidents]


def test_a_crash_around_a_commit_leaves_no_incident_out_of_the_ledger(
    story: RowsOfAllKinds, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written before the commit that opens one and after the one that ends it."""
    opened = open_keys(store)
    assert ledger_keys(store) == opened
    monkeypatch.setattr(ledger.Ledger, "refresh", lambda _: None)
    with story.world.inside(END, deliver=False) as inside:
        answers = inside.daemon.session.acknowledgements
        answers.ask("m", "", "fixed", until=None, note="", who="me", now=inside.clock.now())
        inside.to(END + 2)
    (new,) = open_keys(store)
    assert new not in opened
    assert ledger_keys(store) == [*opened, new], "one too many, never one too few"
    monkeypatch.undo()
    with story.world.inside(END + 2, deliver=False):
        pass
    assert ledger_keys(store) == [new]


def test_a_ledger_that_cannot_be_written_costs_no_commit(
    story: RowsOfAllKinds, store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_path: Path, _content: LedgerContent) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger, "write_ledger", full)
    with story.world.inside(END, deliver=False) as inside, caplog.at_level(logging.ERROR):
        inside.to(END + 2)
        assert last_minutes(inside, "m") == END + 2
        assert inside.view("m").failures == ()
    assert "the ledger cannot be written" in caplog.messages


def files(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir())


def test_a_sound_file_stays(story: RowsOfAllKinds, store: Path) -> None:
    with story.world.inside(END + 1, deliver=False) as inside:
        assert troubles(inside) == ""
    assert not [name for name in files(store) if "corrupt" in name or "lost" in name]
