"""``burn_in`` is the first windows of production, whatever the reference has; some streams only learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from driftwatch.cli import main
from driftwatch.config.load import load
from driftwatch.config.models import MonitorConfig
from driftwatch.core.clock import ReplayClock
from driftwatch.core.codec import unpack
from driftwatch.core.schema import Span, iso
from driftwatch.core.windows import boundary_after, parse_time
from driftwatch.decide.outcomes.burn_in import has_learned
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.evaluation.targets import policy_for
from driftwatch.monitor.session import open_session
from driftwatch.results.results import Reason, Verdict

DAY = 86_400 * 10**9
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
START = int(FIRST.timestamp()) * 10**9
ROWS, REFERENCE_DAYS, DAYS = 800, 20, 10


def day_of(number: int, *, rows: int = ROWS, shift: float = 0.0) -> pa.Table:
    """Rows of a day; ``shift`` is in standard deviations of both numbers."""
    rng = np.random.default_rng([3, number + 100])
    seconds = int(FIRST.timestamp()) + number * 86_400 + np.sort(rng.integers(0, 86_400, rows))
    return pa.table(
        {
            "at": pa.array(seconds, pa.timestamp("s", "UTC")),
            "x": rng.normal(shift, size=rows),
            "y": rng.normal(shift, size=rows),
            "c": rng.choice(["a", "b", "c"], rows),
        }
    )


def world(folder: Path, days: Sequence[pa.Table | None], settings: str = "", *, timed: bool = True) -> Path:
    """A configuration; production has one table a day, or none."""
    past = pa.concat_tables([day_of(number) for number in range(-REFERENCE_DAYS, 0)])
    pq.write_table(past if timed else past.drop_columns("at"), folder / "reference.parquet")
    (folder / "production").mkdir(exist_ok=True)
    for number, table in enumerate(days):
        if table is not None:
            pq.write_table(table, folder / "production" / f"{number:02}.parquet")
    time_column = ", time_column: at" if timed else ""
    path = folder / "c.yaml"
    path.write_text(
        f"version: 1\nstorage: {{path: {folder}/store}}\nmonitors:\n  - name: m\n"
        f"    reference: {{path: {folder}/reference.parquet{time_column}}}\n"
        f"    source: {{type: files, path: {folder}/production/*.parquet, time_column: at}}\n"
        f"    window: {{length: 1d, min_rows: 100}}\n{settings}"
    )
    return path


def checked(path: Path, first: int, last: int) -> tuple[list[Verdict], Monitor]:
    """Days from ``first`` to before ``last``, each from the state that is stored."""
    verdicts = []
    with open_session(load(path), ReplayClock(START), lambda _note: None) as session:
        for number in range(first, last):
            window = Span(start=START + number * DAY, end=START + (number + 1) * DAY)
            monitor = session.monitor(session.config.monitors[0])
            verdicts += monitor.check(window, window.end + DAY // 24).verdicts
    return verdicts, monitor


def load_settings(**settings: Any) -> MonitorConfig:
    return MonitorConfig.model_validate(
        {
            "name": "m", "reference": {"path": "x"}, "source": {"type": "files"},
            "window": {"length": "1h"}, **settings,
        }
    )  # fmt: skip


def states(verdicts: Sequence[Verdict]) -> str:
    return " ".join(str(verdict.state) for verdict in verdicts)


def answer(*words: object) -> Any:
    result = CliRunner().invoke(main, [*map(str, words), "--format", "json"])
    assert result.stdout, result.stderr
    return json.loads(result.stdout)


def test_the_first_days_of_production_calibrate_though_the_reference_has_times(tmp_path: Path) -> None:
    path = world(tmp_path, [day_of(number) for number in range(DAYS)], "    burn_in: 7d\n")
    verdicts, _ = checked(path, 0, DAYS)
    assert states(verdicts) == " ".join(["calibrating"] * 7 + ["ok"] * 3)
    assert {verdict.reason for verdict in verdicts[:7]} == {Reason.BURN_IN}
    assert {verdict.calibrating_until for verdict in verdicts[:7]} == {START + 7 * DAY}
    assert {verdict.calibrating_until for verdict in verdicts[7:]} == {None}
    detail = verdicts[2].detail
    assert "learning until 2026-03-09 00:00 UTC (window 3 of 7): breakage pages already" in detail
    assert "so do shares of rows beyond the tolerance (c, x, y)" in detail
    assert "scores are only learned (c, x, y, " in detail
    assert "learning until" not in verdicts[7].detail
    # The windows of a backtest are those of the daemon, and each is explained.
    windows = answer("backtest", path, "--no-inject")["windows"]
    assert [window["state"] for window in windows] == [str(verdict.state) for verdict in verdicts]
    assert windows[0]["calibrating_until"] == "2026-03-09T00:00:00Z"
    assert windows[7]["calibrating_until"] is None
    for verdict in (verdicts[0], verdicts[6], verdicts[9]):
        assert answer("explain", path, "--monitor", "m", "--window", iso(verdict.window.end))["equal"] is True
    shown = CliRunner().invoke(main, ["backtest", str(path), "--no-inject"]).stdout
    assert "learning until 2026-03-09" in shown


def test_without_the_key_the_windows_of_the_reference_count_and_nothing_new_is_stored(
    tmp_path: Path,
) -> None:
    verdicts, monitor = checked(world(tmp_path, [day_of(0)]), 0, 1)
    assert states(verdicts) == "ok"
    stored = monitor.segment_states[None]
    assert stored.production_windows is None
    assert "production_windows" not in unpack(encode(stored))[0]


def test_a_move_within_the_tolerance_is_learned_and_a_gross_one_pages_in_its_first_window(
    tmp_path: Path,
) -> None:
    # 0.1 standard deviations are 4 % of the rows: scores find them, shares are within 5 %.
    small = [day_of(number, shift=0.1) for number in range(DAYS)]
    at_once, _ = checked(world(tmp_path, small), 0, 5)
    assert any(verdict.page for verdict in at_once)
    (tmp_path / "again").mkdir()
    path = world(tmp_path / "again", small, "    burn_in: 7d\n")
    verdicts, monitor = checked(path, 0, 7)
    assert states(verdicts) == " ".join(["calibrating"] * 7)
    assert max(verdict.evidence or 0.0 for verdict in verdicts) < 0.5
    learned = monitor.segment_states[None]
    assert np.isneginf(learned.scores.log_m).all(), "no score has drawn evidence"
    assert learned.scores.windows == REFERENCE_DAYS + 7
    _, monitor = checked(path, 7, 8)
    assert np.isfinite(monitor.segment_states[None].scores.log_m).any()
    (tmp_path / "gross").mkdir()
    path = world(tmp_path / "gross", [day_of(0), day_of(1, shift=2.0)], "    burn_in: 7d\n")
    path.write_text(path.read_text() + "notify: [{type: webhook, url: 'http://127.0.0.1:9/'}]\n")
    verdicts, _ = checked(path, 0, 2)
    assert states(verdicts) == "calibrating drifting"
    assert verdicts[1].page
    assert {item.detector for item in verdicts[1].named} <= {"ks"}
    assert verdicts[1].calibrating_until == START + 7 * DAY
    assert "x" in verdicts[1].detail.partition("tolerance (")[2].partition(")")[0]
    with open_session(load(path), ReplayClock(START), lambda _note: None) as session:
        ((message,),) = session.database.query("SELECT message FROM outbox")
    assert "what is usual is learned until 2026-03-09 00:00Z" in message


def test_a_breakage_pages_during_the_burn_in(tmp_path: Path) -> None:
    broken = day_of(0).set_column(1, "x", pa.array([None] * ROWS, pa.float64()))
    verdicts, _ = checked(world(tmp_path, [broken], "    burn_in: 7d\n"), 0, 1)
    assert states(verdicts) == "broken"
    assert verdicts[0].page
    assert verdicts[0].detail.startswith("x: ")


def test_a_window_counts_when_it_was_judged(tmp_path: Path) -> None:
    """A day without rows and an excluded one do not; days that were judged together do, each."""
    days = [day_of(0), None, day_of(2), day_of(3, rows=60), day_of(4, rows=60), day_of(5), day_of(6)]
    path = world(tmp_path, days, "    burn_in: 4d\n    exclude: [2026-03-04]\n")
    verdicts, _ = checked(path, 0, len(days))
    assert states(verdicts) == "calibrating no_data insufficient insufficient calibrating calibrating ok"
    assert [verdict.calibrating_until for verdict in verdicts] == [
        START + 4 * DAY, None, None, None, START + 6 * DAY, START + 6 * DAY, None,
    ]  # fmt: skip


def test_the_count_survives_an_accepted_incident(tmp_path: Path) -> None:
    days = [day_of(0), *(day_of(number, shift=2.0) for number in range(1, DAYS))]
    path = world(tmp_path, days, "    burn_in: 5d\n")
    verdicts, _ = checked(path, 0, 2)
    assert verdicts[1].page
    result = CliRunner().invoke(main, ["ack", str(path), "--monitor", "m", "--as", "accepted"])
    assert result.exit_code == 0, result.stderr
    verdicts, _ = checked(path, 2, 7)
    assert states(verdicts) == "calibrating calibrating calibrating ok ok"
    end = iso(verdicts[2].window.end)
    assert answer("explain", path, "--monitor", "m", "--window", end)["equal"] is True


def test_a_burn_in_that_is_asked_for_later_counts_from_the_first_window(tmp_path: Path) -> None:
    path = world(tmp_path, [day_of(number) for number in range(DAYS)])
    text = path.read_text()
    assert states(checked(path, 0, 3)[0]) == "ok ok ok"
    path.write_text(text + "    burn_in: 5d\n")
    verdicts, _ = checked(path, 3, 5)
    assert states(verdicts) == "calibrating calibrating"
    assert verdicts[0].calibrating_until == START + 5 * DAY
    path.write_text(text + "    burn_in: 7d\n")
    assert states(checked(path, 5, 8)[0]) == "calibrating calibrating ok"
    # Decided without a burn-in, during the longer one, and after it.
    for number in (1, 5, 7):
        end = iso(START + (number + 1) * DAY)
        assert answer("explain", path, "--monitor", "m", "--window", end)["equal"] is True, number
    path.write_text(text + "    burn_in: 3d\n")
    assert states(checked(path, 8, 9)[0]) == "ok"


def test_slots_of_a_season_do_not_change_what_a_burn_in_counts(tmp_path: Path) -> None:
    settings = "    burn_in: 7d\n    season: [hour_of_week]\n"
    path = world(tmp_path, [day_of(number) for number in range(DAYS)], settings)
    verdicts, _ = checked(path, 0, DAYS)
    assert states(verdicts) == " ".join(["calibrating"] * 7 + ["ok"] * 3)
    assert {verdict.calibrating_until for verdict in verdicts[:7]} == {START + 7 * DAY}


def test_a_reference_without_times_says_until_when_it_learns(tmp_path: Path) -> None:
    path = world(tmp_path, [day_of(number) for number in range(DAYS)], timed=False)
    verdicts, _ = checked(path, 0, DAYS)
    assert states(verdicts) == " ".join(["calibrating"] * 9 + ["ok"])
    assert {verdict.calibrating_until for verdict in verdicts[:9]} == {START + 9 * DAY}
    assert "scores are only learned" in verdicts[0].detail
    assert "only learned" not in verdicts[8].detail, "eight windows are a baseline"


def test_a_state_of_0_1_0_counts_as_it_did() -> None:
    """It has one count for the reference's windows and production's."""
    config = load_settings(burn_in="4h")
    policy = policy_for(config, None, 1)
    assert (policy.production_burn_in, policy.burn_in) == (4, 0)
    early = replace(decode(encode(SegmentState(reference="r", configuration="c"))), healthy_windows=3)
    assert not has_learned(early, policy)
    assert has_learned(replace(early, healthy_windows=4), policy)
    assert not has_learned(replace(early, healthy_windows=99, production_windows=3), policy)


@pytest.mark.parametrize(("burn_in", "windows"), [("1h", 1), ("90m", 2), ("7d", 168), (0, 0)])
def test_a_window_that_begins_within_the_burn_in_is_one_of_it(burn_in: Any, windows: int) -> None:
    assert policy_for(load_settings(burn_in=burn_in), None, 1).production_burn_in == windows


def test_a_burn_in_of_days_ends_at_a_local_midnight_when_clocks_change() -> None:
    end = parse_time("2026-03-28T23:00:00Z")
    assert iso(boundary_after(end, 1, 86_400, "Europe/Berlin")) == "2026-03-29T22:00:00Z"
    assert boundary_after(end, 0, 86_400, "Europe/Berlin") == end
    last = FIRST + timedelta(days=14)
    assert boundary_after(START, 2, 7 * 86_400) == int(last.timestamp()) * 10**9
