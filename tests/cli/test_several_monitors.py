"""Verbs with several monitors: one that fails is an error in its place, and the others get their results."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from days import REFERENCE_DAYS, SHIFTED_FROM, csv_text

from driftwatch.cli import main
from driftwatch.cli.verbs._each_monitor import exit_code_of
from driftwatch.config.models import MonitorConfig
from driftwatch.monitor.reference_in_force import References
from driftwatch.store.locks import DaemonLock
from driftwatch.summary.reference import Reference

CALM_DAY = 4


def days_ago(count: int) -> str:
    return (datetime.now(UTC) - timedelta(days=count)).strftime("%Y-%m-%d")


@pytest.fixture(scope="module")
def texts() -> tuple[str, str]:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=SHIFTED_FROM + 3)
    reference = csv_text(first - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, REFERENCE_DAYS, 1)
    return reference, csv_text(first, SHIFTED_FROM + 3, SHIFTED_FROM, 2)


@pytest.fixture
def config(tmp_path: Path, texts: tuple[str, str]) -> Path:
    """Three monitors of the same data; the reference file of ``two`` is gone."""
    (tmp_path / "reference.csv").write_text(texts[0])
    (tmp_path / "current.csv").write_text(texts[1])
    lines = ["version: 1", f"storage: {{path: {tmp_path}/store}}", "monitors:"]
    for name in ("one", "two", "three"):
        file = "gone.csv" if name == "two" else "reference.csv"
        lines += [
            f"  - name: {name}",
            f"    reference: {{path: {tmp_path}/{file}, time_column: when}}",
            f"    source: {{type: files, path: {tmp_path}/current.csv, time_column: when}}",
            "    window: {length: 1d, min_rows: 100}",
        ]
    path = tmp_path / "c.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def rows(config: Path, sql: str) -> list[Any]:
    with sqlite3.connect(config.parent / "store" / "driftwatch.sqlite") as connection:
        return [row[0] for row in connection.execute(sql)]


def contents(result: Result) -> dict[str, Any]:
    """What JSON says of each monitor, which stand in the order of the configuration."""
    objects = json.loads(result.stdout)
    assert [item["monitor"] for item in objects] == ["one", "two", "three"]
    return {item["monitor"]: item for item in objects}


def test_check_judges_and_stores_the_monitors_beside_one_whose_reference_is_gone(config: Path) -> None:
    result = call("check", config, "--format", "json")
    monitors = contents(result)
    assert set(monitors["two"]) == {"monitor", "error"}
    assert "gone.csv" in monitors["two"]["error"]
    assert {monitors[name]["state"] for name in ("one", "three")} == {"drifting"}
    assert rows(config, "SELECT monitor FROM verdicts ORDER BY monitor") == ["one", "three"]
    assert result.exit_code == 1, "a page comes before what could not be read"
    calm = call("check", config, "--at", days_ago(CALM_DAY), "--format", "json")
    assert {contents(calm)[name]["state"] for name in ("one", "three")} == {"ok"}
    assert calm.exit_code == 3


def test_the_terminal_has_one_line_in_the_place_of_the_result(config: Path) -> None:
    result = call("check", config)
    (line,) = [line for line in result.stdout.splitlines() if "gone.csv" in line]
    assert line.startswith("two: ")
    assert line.count("two: ") == 1
    positions = [result.stdout.rindex(text) for text in ("\none  ", "\ntwo: ", "\nthree  ")]
    assert positions == sorted(positions)
    assert "gone.csv" not in result.stderr


def test_backtest_replays_the_monitors_beside_one_that_fails(config: Path) -> None:
    words = ("backtest", config, "--no-inject", "--format", "json")
    result = call(*words)
    monitors = contents(result)
    assert set(monitors["two"]) == {"monitor", "error"}
    assert all(len(monitors[name]["pages"]) == 1 for name in ("one", "three"))
    assert result.exit_code == 3
    assert call(*words, "--fail-on-drift").exit_code == 1
    calm = ("--from", days_ago(SHIFTED_FROM + 3), "--to", days_ago(3))
    assert call(*words, "--fail-on-drift", *calm).exit_code == 3
    text = call(*words[:-2]).stdout
    (line,) = [line for line in text.splitlines() if "gone.csv" in line]
    assert text.index("\none  ") < text.index(f"\n{line}") < text.index("\nthree  ")


def test_the_other_references_are_built(config: Path) -> None:
    result = call("reference", "build", config)
    assert result.exit_code == 3
    assert rows(config, "SELECT monitor FROM active_references ORDER BY monitor") == ["one", "three"]
    (line,) = result.stdout.splitlines()
    assert line.startswith("two: ")
    (config.parent / "gone.csv").write_text((config.parent / "reference.csv").read_text())
    assert call("reference", "build", config).exit_code == 0


@pytest.mark.parametrize("verb", ["check", "backtest", "reference build"])
def test_a_monitor_that_is_the_only_one_ends_as_ever(config: Path, verb: str) -> None:
    result = call(*verb.split(), config, "--monitor", "two")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-1].startswith("driftwatch: ")
    assert "gone.csv" in result.stderr


def test_settings_that_do_not_fit_the_data_of_one_monitor_count_as_3(config: Path) -> None:
    text = config.read_text().replace("gone.csv", "reference.csv")
    config.write_text(text.replace("  - name: three", "    weights: {amonut: 2, ciyt: 2}\n  - name: three"))
    result = call("check", config, "--at", days_ago(CALM_DAY), "--format", "json")
    error = contents(result)["two"]["error"]
    assert 'Did you mean "amount"?' in error
    assert 'Did you mean "city"?' in error
    assert result.exit_code == 3
    assert call("check", config, "--monitor", "two").exit_code == 2
    config.write_text(text.replace("    window", "    windw", 1))
    assert call("check", config).exit_code == 2, "a broken file as a whole"


def test_an_internal_error_of_one_monitor_counts_as_4_and_stops_no_other(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_force = References.in_force

    def broken(self: References, settings: MonitorConfig, *, force: bool = False) -> Reference:
        if settings.name == "two":
            raise ZeroDivisionError("a bug")
        return in_force(self, settings, force=force)

    monkeypatch.setattr(References, "in_force", broken)
    result = call("check", config, "--format", "json")
    assert contents(result)["two"]["error"] == ("internal error. ZeroDivisionError: a bug. Please report it.")
    assert result.exit_code == 4
    assert rows(config, "SELECT monitor FROM verdicts ORDER BY monitor") == ["one", "three"]
    assert call("check", config, "--monitor", "two").exit_code == 4
    monkeypatch.undo()
    assert call("check", config).exit_code == 1


def test_beside_a_daemon_a_monitor_without_a_verdict_is_no_end(config: Path) -> None:
    call("check", config)
    lock = DaemonLock(config.parent / "store")
    try:
        result = call("check", config, "--format", "json")
        alone = call("check", config, "--monitor", "two")
    finally:
        lock.release()
    monitors = contents(result)
    assert "these are its newest verdicts" in result.stderr
    assert "expected a verdict in the store" in monitors["two"]["error"]
    assert monitors["three"]["state"] == "drifting"
    assert result.exit_code == 1
    assert (alone.exit_code, alone.stdout) == (3, "")


def test_of_several_exit_codes_the_first_of_the_order_applies() -> None:
    order = [4, 1, 3, 5, 0]
    for position, code in enumerate(order):
        assert exit_code_of(reversed(order[position:])) == code
    assert exit_code_of([]) == 0


def test_a_name_in_an_error_does_not_control_the_terminal(config: Path) -> None:
    """A reference file without rows, whose name sets the title of the window."""
    evil = config.parent / "\x1b]0;pwn\x07.csv"
    evil.write_text("when,fare\n")
    config.write_text(
        config.read_text().replace(f"{config.parent}/gone.csv", f'"{config.parent}/\\e]0;pwn\\a.csv"')
    )
    result = call("check", config, "--format", "json")
    assert "\x1b]0;pwn" in contents(result)["two"]["error"]
    assert "two: monitor 'two': reference" in result.stderr
    assert "\x1b" not in result.stderr + result.stdout
    assert "\x07" not in result.stderr + result.stdout
