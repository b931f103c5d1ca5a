"""A window whose tiles are kept is explained; an older one names the retention that would have kept it."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from driftwatch.cli import main
from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.schema import Span, iso
from driftwatch.monitor.explain import explain
from driftwatch.monitor.session import Session, open_session
from driftwatch.store.database import FILE

HOUR = 3600 * 10**9
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 10**9
#: Hours of the reference, and of production; of tiles, and of verdicts that are kept.
REFERENCE_HOURS, HOURS, TILES, VERDICTS = 12, 26, 8, 16
#: Windows between two check points: half of the windows whose tiles are kept.
CADENCE = 4
SEGMENTS = (None, "a")


def hours(first: int, last: int) -> pa.Table:
    rng = np.random.default_rng([5, first + 100])
    rows = 60 * (last - first)
    seconds = np.sort(rng.integers(first * 3600, last * 3600, rows)) + START // 10**9
    return pa.table(
        {
            "at": pa.array(seconds, pa.timestamp("s", "UTC")),
            "x": rng.normal(size=rows),
            "c": rng.choice(["a", "b"], rows, p=[0.7, 0.3]),
        }
    )


def world(folder: Path, *, tiles: int = TILES, verdicts: int = VERDICTS) -> Path:
    pq.write_table(hours(-REFERENCE_HOURS, 0), folder / "reference.parquet")
    pq.write_table(hours(0, HOURS), folder / "production.parquet")
    path = folder / "c.yaml"
    path.write_text(
        f"version: 1\nstorage: {{path: {folder}/store}}\n"
        f"retention: {{tiles: {tiles}h, verdicts: {verdicts}h}}\nmonitors:\n  - name: m\n"
        f"    reference: {{path: {folder}/reference.parquet, time_column: at}}\n"
        f"    source: {{type: files, path: {folder}/production.parquet, time_column: at}}\n"
        "    window: {length: 1h, min_rows: 20}\n    detectors: [ks, chi2, missing]\n"
        "    segment_by: {column: c, most: 1}\n"
    )
    return path


def cutoffs(session: Session, now: int) -> tuple[int, int]:
    retention = session.config.retention
    return now - retention.tiles * 10**9, now - retention.verdicts * 10**9


def unexplained(session: Session, first: int, last: int) -> list[tuple[int, str | None]]:
    """Windows, by the hour in which they begin, and segments that are not recomputed as they were stored."""
    config = session.config.monitors[0]
    return [
        (hour, segment)
        for hour in range(first, last)
        for segment in SEGMENTS
        if explain(config, session.history, segment, START + (hour + 1) * HOUR).equal is not True
    ]


def old_tiles(session: Session, cutoff: int) -> int:
    sql = "SELECT count(DISTINCT start) FROM tiles WHERE start < ?"
    return int(session.database.query(sql, (cutoff,))[0][0])


def lived(path: Path) -> None:
    """Every hour is judged, and what is past retention is deleted at once."""
    with open_session(load(path), ReplayClock(START), lambda _note: None) as session:
        monitor = session.monitor(session.config.monitors[0])
        for hour in range(HOURS):
            window = Span(start=START + hour * HOUR, end=START + (hour + 1) * HOUR)
            monitor.check(window, window.end)
            session.history.forget(*cutoffs(session, window.end))
            kept_from = max(0, hour + 1 - min(TILES, VERDICTS))
            if hour % 5 == 0:
                assert unexplained(session, kept_from, hour + 1) == [], hour
            assert old_tiles(session, cutoffs(session, window.end)[0]) <= CADENCE


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def explained(path: Path, hour: int, *words: str) -> Result:
    end = iso(START + (hour + 1) * HOUR)
    return call("explain", path, "--monitor", "m", "--window", end, *words)


def execute(path: Path, *statements: str) -> None:
    with sqlite3.connect(path.parent / "store" / FILE) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = world(tmp_path_factory.mktemp("past"))
    lived(path)
    return path


def test_every_window_whose_tiles_are_kept_is_explained_from_the_nearest_check_point(past: Path) -> None:
    for hour in (HOURS - TILES, HOURS - 1):
        for segment in ((), ("--segment", "a")):
            result = explained(past, hour, "--format", "json", *segment)
            assert (result.exit_code, json.loads(result.stdout)["equal"]) == (0, True)


def test_a_window_past_its_tiles_is_shown_as_stored_with_the_retention_that_would_have_kept_it(
    past: Path,
) -> None:
    hour = HOURS - VERDICTS + 1
    result = explained(past, hour, "--format", "json")
    content: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == 3
    assert content["window"]["end"] == iso(START + (hour + 1) * HOUR)
    assert content["window"]["state"] in ("ok", "calibrating")
    assert (content["recomputed"], content["equal"], content["healthy_windows"]) == (None, None, None)
    assert "They are past retention.tiles." in content["error"]
    assert "not recomputed. retention.tiles is 8h; " in content["error"]
    assert "d would have kept them." in content["error"]
    assert content["error"] in result.stderr
    shown = explained(past, hour)
    assert shown.exit_code == 3
    assert "NOT recomputed: m: expected the tiles of the window" in shown.stdout
    assert "every number is the same" not in shown.stdout


def test_a_window_whose_verdict_is_forgotten_is_replayed_and_names_the_retention_of_verdicts(
    past: Path,
) -> None:
    result = explained(past, 2, "--format", "json")
    content: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (content["from"], content["window"]["end"]) == ("replay", iso(START + 3 * HOUR))
    assert "It is past retention.verdicts, 16h: " in content["error"]
    assert content["error"] in result.stderr
    source = past.parent / "production.parquet"
    hidden = source.rename(past.parent / "hidden")
    try:
        gone = explained(past, 2)
    finally:
        hidden.rename(source)
    assert (gone.exit_code, gone.stdout) == (3, "")
    assert "It is past retention.verdicts, 16h: " in gone.stderr
    # Before the monitor's first window, after its last one, and no window at all.
    for hour in (-5, HOURS):
        assert explained(past, hour).exit_code == 2
    odd = iso(START + 2 * HOUR + HOUR // 2)
    assert call("explain", past, "--monitor", "m", "--window", odd).exit_code == 2
    assert explained(past, 2, "--segment", "none").exit_code == 2


def test_verdicts_that_are_kept_shorter_than_tiles_are_explained(tmp_path: Path) -> None:
    path = world(tmp_path, tiles=VERDICTS, verdicts=TILES)
    with open_session(load(path), ReplayClock(START), lambda _note: None) as session:
        monitor = session.monitor(session.config.monitors[0])
        for hour in range(HOURS):
            window = Span(start=START + hour * HOUR, end=START + (hour + 1) * HOUR)
            monitor.check(window, window.end)
            session.history.forget(*cutoffs(session, window.end))
        assert unexplained(session, HOURS - TILES, HOURS) == []


def test_nothing_of_a_monitor_that_is_gone_stays(tmp_path: Path) -> None:
    path = world(tmp_path)
    lived(path)
    with open_session(load(path), ReplayClock(START), lambda _note: None) as session:
        session.history.forget(*cutoffs(session, START + (HOURS + TILES + 1) * HOUR))
        for table in ("tiles", "checkpoints"):
            assert session.database.query(f"SELECT count(*) FROM {table}")[0][0] == 0


def test_what_an_older_version_deleted_is_exit_3_and_never_4(tmp_path: Path) -> None:
    """It kept no check point before the oldest tile."""
    path = world(tmp_path)
    lived(path)
    oldest = START + (HOURS - 3) * HOUR
    execute(path, f"DELETE FROM tiles WHERE start < {oldest}", "DELETE FROM checkpoints")
    result = explained(path, HOURS - 1, "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)["recomputed"]) == (3, None)
    at = iso(START + HOURS * HOUR)
    looked_back = call("check", path, "--at", at, "--format", "json")
    assert looked_back.exit_code in (0, 5)
    assert "Judged by what the reference alone teaches" in looked_back.stderr
    execute(path, "DELETE FROM reference_versions")
    for words in ((), ("--format", "json")):
        result = explained(path, HOURS - 1, *words)
        assert result.exit_code == 3
        assert "It is gone. The verdict is shown as it was stored, not recomputed." in " ".join(
            result.stdout.split()
        )
