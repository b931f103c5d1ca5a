"""The self-test on the live path: exported and shown, through restarts, and nothing real is touched by it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daemon_world import MINUTE, Inside, World, fetch, write_rows
from soak import length

from driftwatch.core.schema import Span
from driftwatch.daemon.status.selftest_view import summarise_trials
from driftwatch.monitor.selftest import Selftest, decode_trial
from driftwatch.store.damage import SEALS
from driftwatch.store.database import FILE

FAULT = {"every": "5m", "shift": 2, "within": "4m"}
#: Too small to be found: the trial lasts as long as it may.
SMALL = {"every": "1h", "shift": 0.001, "within": "8m", "column": "x"}
REAL = ("verdicts", "tracks", "checkpoints", "tiles", "incidents", "outbox")


def trial_world(folder: Path, selftest: dict[str, Any] | None, minutes: int = 0) -> World:
    world = World(folder, options={} if selftest is None else {"selftest": selftest})
    for number in range(minutes):
        world.minute(number)
    return world


@contextmanager
def watched(world: World, minutes: float) -> Iterator[Inside]:
    """A daemon that was there from the first minute on and has decided all windows since."""
    with world.inside(1) as inside:
        inside.to(1)
        inside.to(minutes)
        yield inside


def table(folder: Path, name: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{folder / 'store' / FILE}?mode=ro", uri=True)
    try:
        return sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
    finally:
        connection.close()


def stored_trial(folder: Path) -> bytes:
    ((content,),) = table(folder, "(SELECT trial FROM selftests)")
    return bytes(content)


def counted(inside: Inside) -> dict[str, float]:
    matches = re.findall(
        r'^driftwatch_selftest_trials_total\{.*outcome="(\w+)"\} (\S+)$', inside.page(), re.M
    )
    return {outcome: float(number) for outcome, number in matches}


def gauge_values(inside: Inside, name: str) -> list[float]:
    matches = re.findall(rf"^driftwatch_selftest_{name}\{{.*\}} (\S+)$", inside.page(), re.M)
    return [float(value) for value in matches]


def test_nothing_real_is_touched(tmp_path: Path) -> None:
    """The same history twice, a page at its end, in the same store's place: every real table is the same."""
    world = trial_world(tmp_path, None)
    world.settings["notify"] = [{"type": "webhook", "url": "http://127.0.0.1:9/"}]
    world.settings["web"] = {"listen": "127.0.0.1:0", "external_url": "http://localhost"}
    for number in range(70):
        world.minute(number, shift=0.0 if number < 66 else 3.0)
    real, trials = [], []
    for selftest in (None, FAULT):
        world.options = {} if selftest is None else {"selftest": selftest}
        world.write()
        for part in world.store.glob("*"):
            part.unlink()
        with watched(world, 70) as inside:
            assert len(inside.ends()) == 70
        real.append({name: table(tmp_path, name) for name in REAL})
        # The rest of a message says when delivering it failed.
        real[-1]["outbox"] = [row[:7] for row in real[-1]["outbox"]]
        trials.append(len(table(tmp_path, "selftest_trials")))
    assert trials[0] == 0
    assert trials[1] >= 13
    assert real[0]["incidents"]
    assert real[0]["checkpoints"]
    assert real[0]["outbox"]
    for name in REAL:
        assert real[0][name] == real[1][name], name


def test_it_is_measured_exported_and_said(tmp_path: Path) -> None:
    world = trial_world(tmp_path, FAULT, 12)
    with world.inside(1) as inside:
        inside.to(1)
        inside.to(12)
        selftest = inside.daemon.session.history.selftests.get("m")
        assert selftest.detected == 3
        assert counted(inside) == {"detected": 3, "missed": 0, "false_alarm": 0, "abandoned": 0}
        assert gauge_values(inside, "delay_windows_total") == [selftest.delay_windows]
        assert selftest.measured_at is not None
        assert gauge_values(inside, "last_end_timestamp_seconds") == [selftest.measured_at / 1e9]
        trials = inside.daemon.session.history.selftests.trials("m")
        assert [item.column for item in trials] == ["x", "level", "x"]
        assert all(item.named for item in trials)
        text = inside.page("/monitors/m")
        assert summarise_trials(trials) in text
        assert "found 3 of 3 injected faults (shifts of 2 spreads, one value in 68 % of rows), median" in text
        assert "; 0 false alarms<" in text


def test_nothing_is_said_of_it_when_it_is_off_or_has_measured_nothing(tmp_path: Path) -> None:
    world = trial_world(tmp_path, SMALL, 2)
    with watched(world, 2) as inside:
        assert counted(inside) == {"detected": 0, "missed": 0, "false_alarm": 0, "abandoned": 0}
        assert gauge_values(inside, "delay_windows_total") == []
        assert gauge_values(inside, "last_end_timestamp_seconds") == []
        assert "selftest: no trial of an injected fault has come to its end yet" in inside.page("/monitors/m")
        world.options = {}
        world.write()
        assert fetch(inside.daemon.server.url + "-/reload", "POST")[0] == 200
        inside.daemon.loader.wait(20)
        inside.to(2.5)
        assert "driftwatch_selftest" not in inside.page()
        assert "selftest" not in inside.page("/monitors/m")


@pytest.mark.soak
@pytest.mark.parametrize("selftest", [FAULT, {**FAULT, "shift": 0.2}, SMALL], ids=["found", "missed", "long"])
def test_a_restart_in_between_changes_nothing(tmp_path: Path, selftest: dict[str, Any]) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, parts = (trial_world(tmp_path / name, selftest, 14) for name in ("whole", "parts"))
    with watched(whole, 14):
        pass
    for minute in (*range(1, 14, length(2, 1)), 14):
        with parts.inside(minute) as inside:
            inside.to(minute)
    trials = table(whole.folder, "selftest_trials")
    assert trials
    assert table(parts.folder, "selftest_trials") == trials
    (whole_row,), (parts_row,) = table(whole.folder, "selftests"), table(parts.folder, "selftests")
    # The reference's fingerprint is in the shadow's segment state and knows when it was built.
    assert whole_row[:-1] == parts_row[:-1]
    assert (whole_row[-1] is None) == (parts_row[-1] is None)


def test_a_decided_window_changes_nothing_when_it_is_run_again(tmp_path: Path) -> None:
    world = trial_world(tmp_path, SMALL, 3)
    with watched(world, 3) as inside:
        rows = table(tmp_path, "selftests")
        assert stored_trial(tmp_path) is not None
        monitor = inside.daemon.runner.slot("m").monitor  # type: ignore[union-attr]
        for number in (0, 2):
            start = world.start + number * MINUTE
            monitor.check(Span(start=start, end=start + MINUTE), inside.clock.now())
        assert table(tmp_path, "selftests") == rows
        world.minute(3)
        inside.to(4)
        trial = decode_trial(stored_trial(tmp_path))
        assert trial.windows == 4


def test_windows_that_cannot_be_looked_at_neither_count_nor_end_a_trial(tmp_path: Path) -> None:
    world = trial_world(tmp_path, SMALL, 2)
    with watched(world, 2) as inside:
        for number in (5, 6):
            world.minute(number)
        inside.to(7)
        assert inside.ends() == [1, 2, 6, 7]
        trial = decode_trial(stored_trial(tmp_path))
        assert (trial.windows, trial.begun_at) == (4, world.start)
        for number in range(7, 11):
            world.minute(number)
        inside.to(11)
        (ended,) = inside.daemon.session.history.selftests.trials("m")
        assert (ended.outcome, ended.ended_at) == ("missed", world.start + 11 * MINUTE)


def test_a_real_shift_under_trial_is_told_apart(tmp_path: Path) -> None:
    world = trial_world(tmp_path, SMALL, 2)
    for number in range(2, 8):
        world.minute(number, shift=3.0)
    with watched(world, 8) as inside:
        assert [item.kind for item in inside.view().incidents] == ["drift"]
        assert counted(inside) == {"detected": 0, "missed": 0, "false_alarm": 1, "abandoned": 0}
        assert gauge_values(inside, "delay_windows_total") == []
        text = inside.page("/monitors/m")
        assert "come to its end yet; 1 false alarm, if nothing really moved then" in text


@pytest.mark.parametrize("change", [{"tolerance": 0.1}, {"selftest": {**SMALL, "shift": 0.5}}])
def test_another_configuration_abandons_the_trial(tmp_path: Path, change: dict[str, Any]) -> None:
    world = trial_world(tmp_path, SMALL, 4)
    with watched(world, 2) as inside:
        world.options |= change
        world.write()
        assert fetch(inside.daemon.server.url + "-/reload", "POST")[0] == 200
        inside.daemon.loader.wait(20)
        inside.to(3)
        assert counted(inside) == {"detected": 0, "missed": 0, "false_alarm": 0, "abandoned": 1}
        assert gauge_values(inside, "last_end_timestamp_seconds") == []


def test_another_reference_abandons_the_trial(tmp_path: Path) -> None:
    world = trial_world(tmp_path, SMALL, 3)
    with watched(world, 2):
        pass
    write_rows(tmp_path / "reference.parquet", world.start - 40 * MINUTE, world.start, 8000, seed=98)
    with world.inside(3) as inside:
        inside.to(3)
        assert len(inside.ends()) == 3
        assert counted(inside) == {"detected": 0, "missed": 0, "false_alarm": 0, "abandoned": 1}


def test_a_self_test_that_fails_stops_no_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("a bug")

    world = trial_world(tmp_path, SMALL, 6)
    with watched(world, 2) as inside:
        monkeypatch.setattr(Selftest, "step", broken)
        inside.to(4)
        assert inside.ends() == [1, 2, 3, 4]
        assert counted(inside) == {"detected": 0, "missed": 0, "false_alarm": 0, "abandoned": 1}
        assert inside.view().last_failure == ""


def test_a_column_that_is_not_there_is_an_error_and_leaves_the_others(tmp_path: Path) -> None:
    world = trial_world(tmp_path, {**SMALL, "column": "xx"}, 2)
    with watched(world, 2) as inside:
        assert inside.ends() == []
        assert "selftest.column: unknown watched column" in inside.view().last_failure


def test_a_store_of_before_goes_on(tmp_path: Path) -> None:
    world = trial_world(tmp_path, None, 9)
    with watched(world, 4):
        pass
    with sqlite3.connect(world.store / FILE) as connection:
        for table_of_later in ("selftests", "selftest_trials", "configurations"):
            connection.execute(f"DROP TABLE {table_of_later}")
        for table_of_later in ("owed_windows", "late_parts"):
            connection.execute(f"DROP TABLE {table_of_later}")
        for table_of_later in ("quarantined_files", "clock_readings", "daemon_start"):
            connection.execute(f"DROP TABLE {table_of_later}")
        for index in ("verdicts_judged", "verdicts_listed"):
            connection.execute(f"DROP INDEX {index}")
        for name in ("verdicts", "checkpoints"):
            connection.execute(f"ALTER TABLE {name} DROP COLUMN judged")
        for name in SEALS.keys() - {
            "selftests",
            "selftest_trials",
            "configurations",
            "owed_windows",
            "late_parts",
        }:
            connection.execute(f"ALTER TABLE {name} DROP COLUMN checksum")
        connection.execute("ALTER TABLE incidents DROP COLUMN segments")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    verdicts, tiles = table(tmp_path, "verdicts"), table(tmp_path, "tiles")
    world.options = {"selftest": SMALL}
    world.write()
    with world.inside(9) as inside:
        assert inside.ends() == [1, 2, 3, 4]
        inside.to(9)
        # The columns of later versions come last: judged and checksum, or checksum.
        assert [row[:-2] for row in table(tmp_path, "verdicts") if row[:-2] in verdicts] == verdicts
        assert [row[:-1] for row in table(tmp_path, "tiles") if row[:-1] in tiles] == tiles
        trial = decode_trial(stored_trial(tmp_path))
        assert (trial.begun_at, trial.windows) == (world.start + 4 * MINUTE, 5)
