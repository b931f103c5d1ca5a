"""`check`, `ack` and `explain` as processes beside a real daemon, and `check` alone as cron starts it."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from daemon_world import MINUTE, Running, World, driftwatch, hourly, running, write_rows
from peers import Receiver, alertmanager, get_json, until

from driftwatch.core.windows import parse_time
from driftwatch.store.database import FILE


def drifted(folder: Path, **settings: Any) -> World:
    """A world whose newest hour is so far away that its first check is a page."""
    world = hourly(folder, **settings)
    world.minute(4, rows=2000, shift=6.0)
    return world


def stored(world: World, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{world.store / FILE}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def newest(daemon: Running) -> str:
    assert daemon.url, "it lives"
    return str(until(daemon.checked)[-1])


@pytest.mark.parametrize(("moved", "code"), [(False, 0), (True, 1)])
def test_check_prints_the_verdict_of_the_daemon_and_leaves_nothing(
    tmp_path: Path, moved: bool, code: int
) -> None:
    world = drifted(tmp_path) if moved else hourly(tmp_path)
    everything = "SELECT segment, window_end, content FROM verdicts", "SELECT segment, content FROM tracks"
    with running(world.config) as daemon:
        end = newest(daemon)
        rows = [stored(world, sql) for sql in everything]
        # Rows that came since are the daemon's to see: `check` does not look by itself.
        world.minute(4, rows=2000, shift=-6.0)
        result = driftwatch("check", world.config, "--format", "json")
        assert "these are its newest verdicts" in result.stderr
        assert [stored(world, sql) for sql in everything] == rows
        shown = json.loads(result.stdout)
        (verdict,) = [json.loads(row[0]) for row in stored(world, "SELECT content FROM verdicts")]
        assert result.returncode == code
        assert (shown["monitor"], shown["end"], shown["page"]) == ("m", end, moved)
        assert (shown["state"], shown["rows"]) == ("drifting" if moved else "ok", 2000 if moved else 200)
        assert shown["evidence"] == verdict["evidence"]
        assert driftwatch("check", world.config).returncode == code
        assert daemon.end() == 0


def test_explain_is_equal_before_and_after_a_daemon_rebased_the_reference(tmp_path: Path) -> None:
    world = drifted(tmp_path)
    with running(world.config) as daemon:
        end = newest(daemon)
        explain = ("explain", world.config, "--monitor", "m", "--window", end, "--format", "json")
        explanation = json.loads(driftwatch(*explain).stdout)
        assert explanation["equal"] is True
        acknowledgement = driftwatch(
            "ack", world.config, "--monitor", "m", "--as", "accepted", "--note", "the season"
        )
        assert acknowledgement.returncode == 0, acknowledgement.stderr
        assert "the running daemon applies it" in acknowledgement.stdout
        until(lambda: daemon.logged("reference rebased"))
        until(lambda: stored(world, "SELECT 1 FROM incidents WHERE resolved_at IS NOT NULL"))
        result = driftwatch(*explain)
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout) == explanation, (
            "the verdict is replayed on the reference it was made with"
        )
        assert daemon.end() == 0


def test_a_reference_is_not_built_behind_the_back_of_a_daemon(tmp_path: Path) -> None:
    world = hourly(tmp_path)
    build = ("reference", "build", world.config)
    everything = "SELECT * FROM active_references", "SELECT * FROM reference_versions", "SELECT * FROM blocks"
    with running(world.config) as daemon:
        assert newest(daemon)
        rows = [stored(world, sql) for sql in everything]
        refused = driftwatch(*build)
        assert (refused.returncode, refused.stdout) == (2, "")
        for phrase in ("expected no daemon", "Reload it (SIGHUP)", "stop it first"):
            assert phrase in refused.stderr
        assert [stored(world, sql) for sql in everything] == rows
        # What the message says works: the daemon builds what changed.
        begin = world.start - 40 * world.step
        write_rows(world.folder / "reference.parquet", begin, world.start, 9000, seed=1)
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: daemon.logged("m: reference built from 9,000 rows"))
        until(lambda: stored(world, everything[0]) != rows[0])
        assert daemon.end() == 0
    result = driftwatch(*build)
    assert result.returncode == 0, result.stderr
    assert "since it was asked for" in result.stderr


def test_a_check_from_cron_tells_a_webhook_once(tmp_path: Path, receiver: Receiver) -> None:
    world = drifted(tmp_path, settings={"notify": [{"type": "webhook", "url": receiver.url}]})
    receiver.answers = [(503, {}), (200, {})]
    assert driftwatch("check", world.config).returncode == 1
    assert len(receiver.requests) == 1, "it does not wait for a receiver that is down"
    until(lambda: stored(world, "SELECT next_at FROM outbox")[0][0] < time.time_ns(), 5)
    for _ in range(2):
        # Nothing new is due: the page that waited is delivered, then nothing is left.
        assert driftwatch("check", world.config).returncode == 1
    first, second = receiver.bodies()
    ((key,),) = stored(world, "SELECT key FROM outbox WHERE state = 'delivered'")
    assert key in json.dumps(first)
    assert key in json.dumps(second)


@pytest.mark.peer
def test_a_check_from_cron_raises_an_alert_in_a_real_alertmanager(tmp_path: Path, receiver: Receiver) -> None:
    with alertmanager(tmp_path / "alertmanager", receiver.url) as url:
        (tmp_path / "world").mkdir()
        world = drifted(tmp_path / "world", settings={"notify": [{"type": "alertmanager", "urls": [url]}]})
        result = driftwatch("check", world.config, "--format", "json")
        assert result.returncode == 1, result.stderr
        (alert,) = until(lambda: receiver.alerts("firing"))
        ((key,),) = stored(world, "SELECT key FROM incidents")
        assert (alert["labels"]["incident"], alert["labels"]["monitor"]) == (key, "m")
        # Which of its streams is the strongest depends on the hour's rows; both have moved by far.
        moved = r"^x: (above the reference's range|median -?0\.0\d+ → )"
        assert re.search(moved, alert["annotations"]["description"], re.MULTILINE)


@pytest.mark.peer
def test_an_alert_from_cron_lasts_until_the_next_check_and_ends_with_its_incident(
    tmp_path: Path, receiver: Receiver
) -> None:
    (tmp_path / "world").mkdir()
    with alertmanager(tmp_path / "alertmanager", receiver.url) as url:
        notify = [{"type": "alertmanager", "urls": [url]}]
        world = hourly(tmp_path / "world", window={"lag": "3h"}, settings={"notify": notify})
        world.minute(1, shift=float("nan"))
        ends = []
        for _ in range(2):
            began = time.time_ns() // 1_000_000 * 1_000_000
            assert driftwatch("check", world.config).returncode == 1
            (alert,) = get_json(f"{url}/api/v2/alerts")
            ends.append(parse_time(alert["endsAt"]))
            lasts = (2 * 60 + 180) * MINUTE
            assert began + lasts <= ends[-1] <= time.time_ns() + lasts
        assert ends[1] > ends[0], "the second check had nothing to decide, and told it again"
        # Three hours more are over now, and quiet.
        world.window["lag"] = "0s"
        world.write()
        assert driftwatch("check", world.config).returncode == 0
        (ended,) = until(lambda: receiver.alerts("resolved"))
        ((key,),) = stored(world, "SELECT key FROM incidents WHERE resolved_at IS NOT NULL")
        assert ended["labels"]["incident"] == alert["labels"]["incident"] == key
        assert len(receiver.alerts("firing")) == 1
        assert get_json(f"{url}/api/v2/alerts") == []


def test_an_acknowledgement_without_a_daemon_is_told_at_once(tmp_path: Path, receiver: Receiver) -> None:
    world = drifted(tmp_path, settings={"notify": [{"type": "webhook", "url": receiver.url}]})
    assert driftwatch("check", world.config).returncode == 1
    assert driftwatch("ack", world.config, "--monitor", "m", "--as", "fixed").returncode == 0
    assert [body["status"] for body in receiver.bodies()] == ["firing", "resolved"]
