"""What the command line says of windows judged late and of late rows, and how it exits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from driftwatch.cli import main
from driftwatch.core.schema import NANOSECONDS, Span, iso
from driftwatch.errors import SourceUnavailable
from tests.support.late_world import FIRST, LateWorld


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LateWorld:
    world = LateWorld(folder=tmp_path)
    monkeypatch.setattr("driftwatch.cli.verbs.check.SystemClock", lambda: world.clock)
    monkeypatch.setenv("COLUMNS", "160")
    return world


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def check_at(world: LateWorld, hour: float) -> tuple[int, Any]:
    world.clock.set(FIRST + int(hour * 3600) * NANOSECONDS)
    result = call("check", world.path, "--format", "json")
    assert result.exit_code in (0, 1, 3, 5), result.output
    return result.exit_code, json.loads(result.stdout)


def ends(windows: list[Any]) -> list[str]:
    return [item["end"] for item in windows]


def test_a_check_judges_owed_windows_before_the_due_one(world: LateWorld) -> None:
    """Loads stop for days, then all arrive; the first of them at x3."""
    world.write(0)
    check_at(world, 24)
    code, answer = check_at(world, 48)
    assert (code, answer["state"], answer["owed"], answer["late_windows"]) == (3, "stale", True, [])
    check_at(world, 72)
    for day in range(1, 4):
        world.write(day, scale=3 if day == 1 else 1)
    code, answer = check_at(world, 96)
    assert ends(answer["late_windows"]) == [iso(world.end(1)), iso(world.end(2))]
    assert [(item["late"], item["part"]) for item in answer["late_windows"]] == [(True, 0)] * 2
    assert [item["page"] for item in answer["late_windows"]] == [True, False]
    assert (code, answer["end"], answer["owed"], answer["late"]) == (1, iso(world.end(3)), False, False)


def test_late_rows_stand_beside_their_window_and_count_in_the_exit_code(world: LateWorld) -> None:
    """200 rows at midnight, 1,800 at x3 three hours later."""
    world.write(0)
    check_at(world, 24)
    world.write(1, 200)
    code, answer = check_at(world, 48)
    assert (code, answer["state"], answer["late_parts"]) == (0, "ok", [])
    world.write(1, 1_800, name="late", scale=3)
    code, answer = check_at(world, 51)
    (late_window,) = answer["late_windows"]
    assert (late_window["state"], late_window["late"], late_window["part"]) == ("drifting", True, 1)
    assert ends(answer["late_parts"]) == [iso(world.end(1))]
    assert (code, answer["state"], answer["reason"], answer["rows"]) == (1, "drifting", "incident_open", 200)
    assert answer["incident"] == late_window["incident"]
    assert "amount" not in answer["unchanged"]
    code, answer = check_at(world, 52)
    assert (code, answer["state"], answer["late_windows"]) == (1, "drifting", []), "until the next window"


def test_what_somebody_repaired_is_no_news_in_the_next_check(world: LateWorld) -> None:
    world.write(0)
    check_at(world, 24)
    world.write(1, 200)
    check_at(world, 48)
    world.write(1, 1_800, name="late", scale=3)
    check_at(world, 51)
    assert call("ack", world.path, "--monitor", "m", "--as", "fixed").exit_code == 0
    code, answer = check_at(world, 52)
    assert (code, answer["state"]) == (0, "ok")
    assert [item["state"] for item in answer["late_parts"]] == ["drifting"]


def test_the_terminal_lists_what_was_judged_late(world: LateWorld) -> None:
    world.write(0)
    world.write(1, 200)
    check_at(world, 24)
    check_at(world, 48)
    world.write(1, 1_800, name="late", scale=3)
    world.clock.set(FIRST + 51 * 3600 * NANOSECONDS)
    result = call("check", world.path)
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert "judged late, because the rows came late" in text
    assert "late rows, part 1 drifting PAGE" in text
    assert "1,800 rows that came after the window was decided on 200" in text


def test_a_source_that_fails_for_past_windows_stops_no_due_one(
    world: LateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(0)
    check_at(world, 24)

    def fails(*_: object) -> Iterator[Span]:
        raise SourceUnavailable("the archive does not answer")
        yield

    monkeypatch.setattr("driftwatch.monitor.past.look_again.look_again", fails)
    world.write(1)
    world.clock.set(FIRST + 48 * 3600 * NANOSECONDS)
    result = call("check", world.path, "--format", "json")
    assert "m: could not look at past windows again. the archive does not answer" in result.stderr
    assert (result.exit_code, json.loads(result.stdout)["end"]) == (0, iso(world.end(1)))


def test_a_part_is_explained_and_a_window_lists_its_parts(world: LateWorld) -> None:
    world.write(0)
    world.write(1, 200)
    check_at(world, 24)
    check_at(world, 48)
    for count, name in ((900, "a"), (1_200, "bb")):
        world.write(1, count, name=name, scale=3)
        check_at(world, 51 + len(name))
    words = ("explain", world.path, "--monitor", "m", "--window", iso(world.end(1)))
    window = json.loads(call(*words, "--format", "json").stdout)
    assert (window["equal"], window["window"]["state"], window["window"]["part"]) == (True, "ok", 0)
    assert [item["part"] for item in window["window"]["late_parts"]] == [1, 2]
    for number, rows in ((1, 900), (2, 1_200)):
        part = json.loads(call(*words, "--part", number, "--format", "json").stdout)
        assert part["equal"], number
        assert (part["window"]["part"], part["window"]["rows"], part["window"]["late_parts"]) == (
            number, rows, [],
        )  # fmt: skip
    text = " ".join(call(*words, "--part", 1).stdout.split())
    assert "900 late rows, part 1" in text
    assert "did not change" not in text
    result = call(*words, "--part", 3)
    assert (result.exit_code, result.stderr) == (
        2,
        "--part: expected a part of the late rows of that window. Got 3; it has 2 parts.\n",
    )
