"""An incident is open, then its reference, settings or monitor change: receivers and people are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from daemon_world import MINUTE, Inside, World, driftwatch, write_rows
from peers import until
from receivers import Peer, peer_of

SHIFTED_FROM, MINUTES = 2, 8


@pytest.fixture
def peer(tmp_path: Path) -> Any:
    """A receiver of PagerDuty's events."""
    pagerduty = peer_of("pagerduty")
    with pagerduty.serving(tmp_path):
        yield pagerduty


@pytest.fixture
def world(tmp_path: Path, peer: Peer) -> World:
    """Production has moved since the third minute."""
    world = World(tmp_path / "world", settings={"notify": [peer.settings(tmp_path)]})
    for number in range(60):
        world.minute(number, shift=0.0 if number < SHIFTED_FROM else 2.0)
    return world


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()


def paged(inside: Inside) -> str:
    """Run until the incident is open, and return its key."""
    for minute in range(2, MINUTES + 1):
        inside.to(minute)
    (incident,) = inside.view().incidents
    return str(incident.key)


def reload(inside: Inside, minutes: float) -> None:
    inside.daemon.reload()
    assert inside.daemon.loader.wait(60)
    inside.to(minutes)


def resolutions(inside: Inside) -> dict[str, str | None]:
    rows = inside.daemon.session.database.query("SELECT key, resolution FROM incidents ORDER BY opened_at")
    return {row["key"]: row["resolution"] for row in rows}


def assert_events(peer: Peer, events: list[tuple[str, bool]]) -> None:
    """What the receiver got of these incidents: a key, and whether it was resolved."""
    keys = {key for key, _ in events}
    until(lambda: len([item for item in peer.received if item.incident in keys]) >= len(events), 20)
    assert [(item.incident, item.resolved) for item in peer.received if item.incident in keys] == events
    assert not peer.complaints


def replace_reference(world: World, shift: float = 2.0) -> None:
    write_rows(
        world.folder / "reference.parquet", world.start - 40 * MINUTE, world.start, 8000, shift=shift, seed=98
    )


def assert_replaced(world: World, inside: Inside, peer: Peer, key: str) -> None:
    assert resolutions(inside) == {key: "reference replaced"}
    assert not inside.view().incidents
    assert 'driftwatch_incident_open{kind="drift",monitor="m",segment=""} 0' in inside.page()
    assert_events(peer, [(key, False), (key, True)])
    text = peer.received[-1].text
    assert (
        "ended because the reference was replaced by one of other data, not because the inputs are back"
        in text
    )
    assert text.startswith("[resolved] m: ended, reference replaced")
    answer = driftwatch("ack", world.config, "--monitor", "m", "--incident", key, "--as", "fixed")
    assert answer.returncode == 2
    assert f"{key} ended 20" in answer.stderr
    assert "reference replaced" in answer.stderr
    for minute in range(MINUTES + 2, MINUTES + 6):
        inside.to(minute)
    assert inside.state() in ("ok", "calibrating")


def test_a_replaced_reference_file_ends_the_incident(world: World, peer: Peer) -> None:
    with world.inside(1) as inside:
        key = paged(inside)
        replace_reference(world)
        reload(inside, MINUTES + 1)
        assert_replaced(world, inside, peer, key)


def test_another_reference_under_another_model_version_ends_the_incident(world: World, peer: Peer) -> None:
    with world.inside(1) as inside:
        key = paged(inside)
    replace_reference(world)
    world.options["model"] = {"name": "risk", "version": "2"}
    world.write()
    with world.inside(MINUTES) as inside:
        assert resolutions(inside) == {key: None}, "not by the loader: a turn takes over"
        inside.to(MINUTES + 1)
        assert_replaced(world, inside, peer, key)


def test_another_model_version_with_the_same_reference_ends_nothing(world: World, peer: Peer) -> None:
    with world.inside(1) as inside:
        key = paged(inside)
        state = inside.daemon.runner.slot("m").monitor.segment_state(None)
        world.options["model"] = {"name": "risk", "version": "2"}
        world.write()
        reload(inside, MINUTES)
        monitor = inside.daemon.runner.slot("m").monitor
        assert monitor.reference.model_version == "2"
        successor = monitor.segment_state(None)
        assert successor.reference == monitor.reference.fingerprint != state.reference
        assert successor.healthy_windows == state.healthy_windows, "all that was learned holds"
        assert_events(peer, [(key, False)])
        inside.to(MINUTES + 1)
        assert [item.key for item in inside.view().incidents] == [key]


def test_another_window_length_ends_no_incident(world: World, peer: Peer) -> None:
    with world.inside(1) as inside:
        key = paged(inside)
        world.window["length"] = "2m"
        world.write()
        for minute in range(MINUTES, MINUTES + 7):
            reload(inside, minute)
        assert [item.key for item in inside.view().incidents] == [key]
        assert inside.state() == "drifting"
        assert_events(peer, [(key, False)])
        acknowledgement = driftwatch("ack", world.config, "--monitor", "m", "--as", "accepted")
        assert acknowledgement.returncode == 0, acknowledgement.stderr
        inside.to(MINUTES + 6)
        assert_events(peer, [(key, False), (key, True)])
        for minute in range(MINUTES + 8, MINUTES + 16, 2):
            inside.to(minute)
        assert not inside.view().incidents, "counted again on the new plan, where the shift began"


def test_a_renamed_monitor_ends_its_incidents(world: World, peer: Peer) -> None:
    with world.inside(1) as inside:
        key = paged(inside)
        renamed = {**world.monitor("m"), "name": "renamed"}
        world.write(monitors=[renamed])
        reload(inside, MINUTES)
        assert resolutions(inside)[key] == "monitor removed"
        assert_events(peer, [(key, False), (key, True)])
        (text,) = [item.text for item in peer.received if item.resolved]
        assert "ended because the configuration no longer has this monitor" in text
        assert 'monitor="m"' not in inside.page()
        world.write()
        reload(inside, MINUTES + 1)
        assert not inside.view().incidents or inside.view().incidents[0].key != key, "no zombie"


def test_what_was_accepted_stays_in_force_when_settings_change(world: World, peer: Peer) -> None:
    with world.inside(1) as inside:
        key = paged(inside)
        answer = driftwatch("ack", world.config, "--monitor", "m", "--as", "accepted")
        assert answer.returncode == 0, answer.stderr
        inside.to(MINUTES + 1)
        assert resolutions(inside) == {key: "accepted"}
        changes: list[dict[str, Any]] = [
            {"model": {"name": "risk", "version": "2"}},
            {"segment_by": {"column": "level"}},
            {"columns": {"level": {"role": "ignore"}}},
            {"window": {"length": "2m", "min_rows": 50}},
        ]
        for step, change in enumerate(changes):
            world.options = change
            world.write()
            reload(inside, MINUTES + 2 + 4 * step)
            reload(inside, MINUTES + 4 + 4 * step)
            assert resolutions(inside) == {key: "accepted"}, change
            assert inside.state() in ("ok", "calibrating"), change


def test_a_check_closes_what_the_configuration_no_longer_has(world: World, peer: Peer) -> None:
    with world.inside(1) as inside:
        key = paged(inside)
        assert_events(peer, [(key, False)])
    world.write(monitors=[{**world.monitor("m"), "name": "renamed"}])
    assert "monitor removed" in driftwatch("check", world.config).stderr
    assert_events(peer, [(key, False), (key, True)])


@pytest.mark.parametrize("detectors", [None, ["ks", "chi2", "missing"]])
def test_a_column_that_nobody_watches_leaves_its_incident(
    world: World, peer: Peer, detectors: list[str] | None
) -> None:
    with world.inside(1) as inside:
        key = paged(inside)
        world.options["columns"] = {"x": {"role": "ignore"}}
        if detectors is not None:
            world.options["detectors"] = detectors
        world.write()
        reload(inside, MINUTES)
        incidents = inside.daemon.runner.slot("m").monitor.segment_state(None).incidents
        assert not incidents
        for minute in range(MINUTES + 1, MINUTES + 6):
            inside.to(minute)
        assert resolutions(inside) == {key: "no longer watched"}
        assert_events(peer, [(key, False), (key, True)])
