"""What is taken over when a reference, settings or a monitor change, in the store and in a daemon's turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from daemon_world import MINUTE, Inside, World, write_rows

from driftwatch.config.load import load
from driftwatch.config.models import Config
from driftwatch.decide.segment_state import Incident
from driftwatch.decide.state_codec import decode, encode
from driftwatch.errors import StoreError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.explain import explain
from driftwatch.monitor.succession import take_over as succession
from driftwatch.monitor.succession.next_state import watched_part
from driftwatch.monitor.succession.take_over import take_over
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord
from driftwatch.summary.reference import Reference
from driftwatch.summary.serial import encode_reference


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, settings={"notify": [{"type": "webhook", "url": "http://127.0.0.1:9/"}]})


@pytest.fixture
def inside(world: World) -> Iterator[Inside]:
    with world.inside(1, deliver=False) as inside:
        yield inside


def history(inside: Inside) -> History:
    return inside.daemon.session.history


def monitor(inside: Inside) -> Monitor:
    slot = inside.daemon.runner.slot("m")
    assert slot is not None
    return slot.monitor


def produce(world: World, inside: Inside, minutes: range, **production: Any) -> None:
    for number in minutes:
        world.minute(number, **production)
        inside.to(number + 1)


def reload(inside: Inside, minutes: float) -> None:
    inside.daemon.reload()
    assert inside.daemon.loader.wait(60)
    inside.to(minutes)


def resolutions(inside: Inside) -> list[tuple[str, str | None]]:
    rows = inside.daemon.session.database.query(
        "SELECT kind, resolution FROM incidents ORDER BY opened_at, key"
    )
    return [(row["kind"], row["resolution"]) for row in rows]


def fired(inside: Inside) -> list[tuple[str, str]]:
    return [
        (row["key"], row["kind"])
        for row in inside.daemon.session.database.query("SELECT key, kind FROM outbox ORDER BY id")
    ]


def replace_reference(world: World, shift: float) -> None:
    path = world.folder / "reference.parquet"
    write_rows(path, world.start - 40 * MINUTE, world.start, 8000, shift=shift, seed=98)


def ask(inside: Inside, verdict: str, minutes: float, until: int | None = None) -> str:
    acknowledgements = inside.daemon.session.acknowledgements
    number = acknowledgements.ask("m", "", verdict, until=until, note="", who="me", now=inside.clock.now())
    inside.to(minutes)
    answer = acknowledgements.get(number)
    assert answer is not None
    return answer.outcome


def test_an_incident_on_no_state_is_closed(world: World, inside: Inside) -> None:
    """Stores of 0.1.0 have such incidents: it began anew with each reference."""
    produce(world, inside, range(6), shift=2.0)
    database = inside.daemon.session.database
    state = history(inside).states.current("m", None)
    assert state is not None
    orphaned = encode(replace(decode(state), incidents=()))
    with database.transaction() as connection:
        connection.execute("UPDATE tracks SET content = ?, checksum = NULL", (orphaned,))
    notes: list[str] = []
    take_over(monitor(inside), inside.clock.now(), notes.append)
    assert resolutions(inside) == [("drift", "reference replaced")]
    assert notes == ["m: 1 open incident(s) ended: reference replaced"]
    assert [kind for _, kind in fired(inside)] == ["firing", "resolved"]
    take_over(monitor(inside), inside.clock.now(), notes.append)
    assert len(notes) == 1, "another run changes nothing"


@pytest.mark.parametrize("replaced", [False, True])
def test_an_incident_of_two_segments_is_one_also_when_the_reference_changes(
    tmp_path: Path, replaced: bool
) -> None:
    options = {"segment_by": {"column": "level", "most": 3}}
    settings = {"notify": [{"type": "webhook", "url": "http://127.0.0.1:9/"}]}
    world = World(tmp_path, settings=settings, options=options)
    with world.inside(1, deliver=False) as inside:
        for number in range(6):
            world.minute(number, rows=600, shift=2.0)
            inside.to(number + 1)
        key = _one_incident_of_two_segments(inside)
        if replaced:
            replace_reference(world, 2.0)
            reload(inside, 6)
        else:
            take_over(monitor(inside), inside.clock.now(), lambda _: None)
        row = history(inside).incidents.get(key)
        assert row is not None
        assert row.resolution == ("reference replaced" if replaced else None)
        assert row.segments == (None, "a")
        assert [kind for name, kind in fired(inside) if name == key] == ["firing", "resolved"][: 1 + replaced]


def _one_incident_of_two_segments(inside: Inside) -> str:
    """Rewrite the store as if that of segment a had joined that of all rows, and no other was open."""
    states = {segment: decode(data) for segment, data in history(inside).states.of_monitor("m")}
    (whole,), (part,) = states[None].incidents, states["a"].incidents
    row = history(inside).incidents.get(whole.key)
    assert row is not None
    shared = replace(part, key=whole.key)
    changed = {
        segment: replace(state, incidents={None: (whole,), "a": (shared,)}.get(segment, ()))
        for segment, state in states.items()
    }
    others = [item for item in history(inside).incidents.of_monitor("m") if item.key != whole.key]
    history(inside).commit(
        CheckRecord(
            monitor="m",
            now=inside.clock.now(),
            segment_states=[
                (name, state.decided_until or 0, encode(state)) for name, state in changed.items()
            ],
            updated=[replace(row, segments=(None, "a"))],
            resolved=[(item.key, "quiet") for item in others],
        )
    )
    monitor(inside).segment_states.clear()
    return whole.key


def test_columns_that_are_not_watched_leave_an_incident_with_all_that_is_known_of_them(
    world: World, inside: Inside
) -> None:
    incident = Incident(
        key="k", kind="broken", columns=("gone", "x"), opened_at=1, onset=0, quiet=(1, 2),
        broken=("gone", "x"), only_broken=("gone",), paged_at=7, absence=5,
    )  # fmt: skip
    part = watched_part(incident, monitor(inside))
    assert part == replace(incident, columns=("x",), quiet=(2,), broken=("x",), only_broken=())
    drift = replace(incident, broken=("gone",))
    part = watched_part(drift, monitor(inside))
    assert part == replace(drift, kind="drift", columns=("x",), quiet=(2,), broken=(), only_broken=())
    part = watched_part(replace(incident, quiet=()), monitor(inside))
    assert part is not None
    assert part.quiet == (0,)


def test_an_answer_to_an_ended_incident_says_when_and_why_it_ended(world: World, inside: Inside) -> None:
    produce(world, inside, range(6), shift=2.0)
    (incident,) = inside.view().incidents
    replace_reference(world, 2.0)
    reload(inside, 6)
    text = f"{incident.key} ended 2023-11-14 22:20Z: reference replaced"
    assert ask(inside, "fixed", 6) == f"no open incident; {text}"
    with pytest.raises(StoreError, match=text):
        inside.daemon.past.ask(
            "m", incident.key, "fixed", until=None, note="", who="me", now=inside.clock.now()
        )


def test_a_monitor_that_cannot_look_cannot_look_for_another_reference(world: World, inside: Inside) -> None:
    produce(world, inside, range(2))
    for minute in (4, 6):
        inside.to(minute)
    assert resolutions(inside) == [("blind", None)]
    replace_reference(world, 0.1)
    reload(inside, 6)
    assert monitor(inside).reference.fingerprint == history(inside).references.active_fingerprint("m")
    assert resolutions(inside) == [("blind", None)]
    assert [item.kind for item in monitor(inside).segment_state(None).incidents] == ["blind"]
    for number in range(2, 8):
        world.minute(number)
    inside.to(8)
    assert resolutions(inside) == [("blind", "looked again")]


def test_a_monitor_that_comes_back_and_still_cannot_look_says_so_anew(world: World, inside: Inside) -> None:
    produce(world, inside, range(2))
    for minute in (4, 6):
        inside.to(minute)
    ((key, _),) = fired(inside)
    world.write(monitors=[{**world.monitor("m"), "name": "other"}])
    reload(inside, 6)
    assert resolutions(inside) == [("blind", "monitor removed")]
    world.write()
    reload(inside, 7)
    inside.to(9)
    assert [item for item in fired(inside) if item[0].startswith("m-")] == [
        (key, "firing"),
        (key, "resolved"),
        (f"{key}-2", "firing"),
    ]
    (incident,) = history(inside).incidents.of_monitor("m")
    assert [item.key for item in monitor(inside).segment_state(None).incidents] == [incident.key]


def test_a_mute_outlives_a_change_of_settings(world: World, inside: Inside) -> None:
    produce(world, inside, range(6), shift=2.0)
    until = inside.clock.now() + 9 * MINUTE
    assert ask(inside, "muted", 6, until) == "muted: 1 incident(s)"
    world.options["segment_by"] = {"column": "level"}
    world.write()
    reload(inside, 6)
    (incident,) = monitor(inside).segment_state(None).incidents
    assert incident.muted_until == until
    assert [item.muted_until for item in history(inside).incidents.of_monitor("m")] == [until]


def test_a_crash_in_the_middle_changes_nothing(
    world: World, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(world, inside, range(6), shift=2.0)
    replace_reference(world, 2.0)
    monkeypatch.setattr(succession._TakeOver, "_commit", lambda *arguments: 1 / 0)
    reload(inside, 7)
    assert resolutions(inside) == [("drift", None)]
    assert inside.ends() == [1, 2, 3, 4, 5, 6], "no window is judged before"
    monkeypatch.undo()
    inside.to(9)
    assert resolutions(inside)[0] == ("drift", "reference replaced")


def accepted(world: World, inside: Inside) -> Reference:
    produce(world, inside, range(2))
    produce(world, inside, range(2, 8), shift=2.0)
    assert ask(inside, "accepted", 8).startswith("accepted: 1 incident(s); m-drift-")
    reference = monitor(inside).reference
    (span,) = reference.provenance.accepted
    assert span.columns == ("x",)
    assert (span.start - world.start, span.end - world.start) == (2 * MINUTE, 8 * MINUTE)
    return reference


def assert_in_force(world: World, inside: Inside, old: Reference) -> None:
    new = monitor(inside).reference
    assert new.fingerprint != old.fingerprint
    assert history(inside).references.active_fingerprint("m") == new.fingerprint
    assert new.summary.counts["x"] == old.summary.counts["x"]
    assert new.provenance.accepted == old.provenance.accepted
    produce(world, inside, range(8, 12), shift=2.0)
    assert resolutions(inside) == [("drift", "accepted")]


@pytest.mark.parametrize("options", [{"model": {"version": "2"}}, {"segment_by": {"column": "level"}}])
def test_what_was_accepted_has_the_same_counts_on_the_new_reference(
    world: World, inside: Inside, options: dict[str, Any]
) -> None:
    old = accepted(world, inside)
    world.options = options
    world.write()
    reload(inside, 8)
    assert_in_force(world, inside, old)
    assert all(
        monitor(inside).segment_state(name).shares.keys for name in monitor(inside).reference.plan.segments
    )


def without_source(world: World, inside: Inside, **options: Any) -> list[str]:
    """Take over with settings, the accepted rows being gone from the source, and return what is said."""
    for path in (world.folder / "m").glob("*.parquet"):
        path.unlink()
    world.options = options
    notes: list[str] = []
    session = replace(inside.daemon.session.reconfigured(_config(world)), say=notes.append)
    take_over(session.monitor(session.config.monitors[0]), inside.clock.now(), session.say)
    return [note for note in notes if "cannot be counted" in note]


def test_what_was_accepted_is_kept_where_the_source_has_lost_it(world: World, inside: Inside) -> None:
    old = accepted(world, inside)
    assert without_source(world, inside, columns={"level": {"role": "ignore"}}) == []
    reload(inside, 8)
    assert_in_force(world, inside, old)


def test_what_was_accepted_and_cannot_be_counted_is_named(world: World, inside: Inside) -> None:
    accepted(world, inside)
    assert without_source(world, inside, columns={"x": {"kind": "categorical"}}) == [
        "m: what was accepted of x cannot be counted on the new reference: the source no longer has those "
        "rows, and it may page again"
    ]


def test_what_was_accepted_and_cannot_be_counted_by_segment_is_named(world: World, inside: Inside) -> None:
    accepted(world, inside)
    assert without_source(world, inside, segment_by={"column": "level"}) == [
        "m: what was accepted of x cannot be counted by segment, only of all rows: the source no longer has "
        "those rows, and it may page again"
    ]


def _config(world: World) -> Config:
    world.write()
    return load(world.config)


def test_what_0_1_0_accepted_is_known_from_its_incidents(world: World, inside: Inside) -> None:
    old = accepted(world, inside)
    bare = replace(old, provenance=replace(old.provenance, accepted=(), data_version=""))
    with inside.daemon.session.database.transaction() as connection:
        connection.execute(
            "UPDATE reference_versions SET content = ?, checksum = NULL WHERE fingerprint = ?",
            (encode_reference(bare), old.fingerprint),
        )
    world.options["segment_by"] = {"column": "level"}
    world.write()
    reload(inside, 8)
    assert monitor(inside).reference.summary.counts["x"] == old.summary.counts["x"]


def test_what_was_accepted_while_a_new_reference_was_built_counts_too(world: World, inside: Inside) -> None:
    """The loader stores a reference in its own thread; the old monitor may still be answered."""
    produce(world, inside, range(2))
    produce(world, inside, range(2, 8), shift=2.0)
    old_monitor = monitor(inside)
    world.options["model"] = {"version": "2"}
    session = inside.daemon.session.reconfigured(_config(world))
    replacement = session.monitor(session.config.monitors[0])
    assert ask(inside, "accepted", 8).startswith("accepted: 1 incident(s); m-drift-")
    rebased = monitor(inside).reference
    assert rebased.model_version == old_monitor.reference.model_version == ""
    inside.daemon.runner.add(replacement, None)
    inside.to(8)
    reference = monitor(inside).reference
    assert reference.model_version == "2"
    assert reference.summary.counts["x"] == rebased.summary.counts["x"]
    active = history(inside).references.active("m")
    assert active is not None
    assert active.reference.fingerprint == reference.fingerprint
    reload(inside, 8)
    assert monitor(inside).reference.fingerprint == reference.fingerprint, "nothing is built again"


def test_what_was_accepted_while_other_data_came_into_force_ends_with_the_old_data(
    world: World, inside: Inside
) -> None:
    produce(world, inside, range(2))
    produce(world, inside, range(2, 8), shift=2.0)
    replace_reference(world, 1.9)
    session = inside.daemon.session
    replacement = session.monitor(session.config.monitors[0])
    assert ask(inside, "accepted", 8).startswith("accepted: 1 incident(s); m-drift-")
    assert history(inside).references.active_fingerprint("m") != replacement.reference.fingerprint
    inside.daemon.runner.add(replacement, None)
    inside.to(8)
    assert history(inside).references.active_fingerprint("m") == replacement.reference.fingerprint
    reload(inside, 8)
    assert monitor(inside).reference.fingerprint == replacement.reference.fingerprint


@pytest.mark.parametrize("options", [{"model": {"version": "2"}}, {"segment_by": {"column": "level"}}])
def test_rows_that_wait_for_others_go_on_waiting(tmp_path: Path, options: dict[str, Any]) -> None:
    world = World(tmp_path)
    with world.inside(1, deliver=False) as inside:
        produce(world, inside, range(3), rows=20)
        waiting = monitor(inside).segment_state(None).carried_over
        assert waiting is None or waiting.rows < 50
        produce(world, inside, range(3, 4), rows=20)
        waiting = monitor(inside).segment_state(None).carried_over
        assert waiting is not None
        world.options = options
        world.write()
        reload(inside, 4)
        state = monitor(inside).segment_state(None)
        assert state.carried_over is not None
        assert (state.carried_over.rows, state.carried_over.span) == (waiting.rows, waiting.span)
        assert state.carried_over.plan == monitor(inside).reference.plan.fingerprint


def test_an_owed_window_between_rows_that_wait_is_counted_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.inside(1, deliver=False) as inside:
        produce(world, inside, range(1), rows=20)
        produce(world, inside, range(2, 3), rows=20)
        waiting = monitor(inside).segment_state(None).carried_over
        assert waiting is not None
        assert (waiting.rows, inside.view().owed_windows) == (40, 1)
        world.minute(1, rows=20)
        world.options = {"segment_by": {"column": "level"}}
        world.write()
        reload(inside, 3)
        late = inside.verdicts()[1]
        assert (late["rows"], late["judged_rows"]) == (20, 60)
        assert inside.view().owed_windows == 0


def test_explain_repeats_a_window_after_a_take_over(world: World, inside: Inside) -> None:
    produce(world, inside, range(2))
    produce(world, inside, range(2, 6), shift=2.0)
    for options in ({"model": {"version": "2"}}, {"segment_by": {"column": "level"}}):
        world.options = options
        world.write()
        reload(inside, inside.ends()[-1])
        last = inside.ends()[-1]
        produce(world, inside, range(last, last + 2), shift=2.0)
        for segment in monitor(inside).reference.plan.segments:
            end = world.start + (last + 2) * MINUTE
            explanation = explain(monitor(inside).config, history(inside), segment, end)
            assert explanation.equal, json.dumps(explanation.to_json())[:500]
