"""An acceptance is undone: what is in force, what is open, what receivers get, what stays and is marked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from daemon_world import MINUTE, Inside, World, write_rows

from driftwatch.cli import main
from driftwatch.core.schema import iso
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.monitor.explain import explain
from driftwatch.store.acknowledgements import UndoneAcceptance
from driftwatch.store.outbox import OutboxTable
from driftwatch.store.recovery.integrity import check_folder

WEBHOOK = {"type": "webhook", "url": "http://127.0.0.1:9/"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, settings={"notify": [WEBHOOK]})


@pytest.fixture
def inside(world: World) -> Iterator[Inside]:
    with world.inside(1, deliver=False) as inside:
        yield inside


def produce(world: World, inside: Inside, minutes: range, shift: float = 0.0) -> None:
    for number in minutes:
        world.minute(number, shift=shift)
        inside.to(number + 1)


def ask(inside: Inside, verdict: str, key: str = "") -> str:
    answers = inside.daemon.session.acknowledgements
    number = answers.ask("m", key, verdict, until=None, note="why", who="me", now=inside.clock.now())
    inside.daemon.runner.tick()
    assert inside.daemon.runner.wait_idle(30)
    answer = answers.get(number)
    assert answer is not None
    return answer.outcome


def state_of(inside: Inside, segment: str | None = None) -> SegmentState:
    content = inside.daemon.session.history.states.current("m", segment)
    assert content is not None
    return decode(content)


def reference_of(inside: Inside) -> str:
    fingerprint = inside.daemon.session.history.references.active_fingerprint("m")
    assert fingerprint is not None
    return fingerprint


def messages(inside: Inside) -> list[tuple[str, str]]:
    return [
        (row["kind"], row["state"])
        for row in inside.daemon.session.database.query("SELECT kind, state FROM outbox ORDER BY id")
    ]


def mark_delivered(inside: Inside) -> None:
    with inside.daemon.session.database.transaction() as connection:
        connection.execute("UPDATE outbox SET state = 'delivered', attempts = 1")


def incidents(inside: Inside) -> list[tuple[str, str | None]]:
    stored = inside.daemon.session.history.incidents.of_monitor("m", only_open=False)
    return [(item.kind, item.resolution) for item in stored]


def accepted(world: World, inside: Inside) -> str:
    """Let x shift, page, and be accepted; four windows follow. Return the key."""
    produce(world, inside, range(2))
    produce(world, inside, range(2, 8), shift=2.0)
    ((key, _),) = [(item.key, item) for item in inside.view().incidents]
    assert ask(inside, "accepted").startswith("accepted: 1 incident(s)")
    produce(world, inside, range(8, 12), shift=2.0)
    return str(key)


def test_the_former_reference_is_in_force_and_the_incident_is_open_without_a_page(
    world: World, inside: Inside
) -> None:
    produce(world, inside, range(2))
    former = reference_of(inside)
    produce(world, inside, range(2, 8), shift=2.0)
    before = state_of(inside)
    (incident,) = before.incidents
    ask(inside, "accepted")
    rebased = reference_of(inside)
    assert rebased != former
    produce(world, inside, range(8, 12), shift=2.0)
    later = state_of(inside)
    assert not later.incidents
    assert ask(inside, "undo", incident.key) == (
        f"undone: {incident.key} is open again, and the reference before it was accepted is in force"
    )
    state = state_of(inside)
    assert (reference_of(inside), state.reference) == (former, former)
    assert state.incidents == (incident,)
    assert incidents(inside) == [("drift", None)]
    assert [item.key for item in inside.view().incidents] == [incident.key]
    assert state.decided_until == later.decided_until
    # What x had learned is back; what level learned meanwhile is kept.
    for column, source in (("x", before), ("level", later)):
        for key in state.scores.keys:
            if key[1] == column and key in source.scores.keys:
                _assert_same_values(state, source, key)
    for key, position in state.shares.keys.positions.items():
        learned = (before if key[1] == "x" else later).shares
        np.testing.assert_array_equal(
            state.shares.blocks[:, position], learned.blocks[:, learned.keys.positions[key]]
        )
    produce(world, inside, range(12, 15), shift=2.0)
    assert incidents(inside) == [("drift", None)], "it is open and pages nobody anew"
    assert inside.state() == "drifting"
    assert inside.verdicts()[-1]["reference"] == former


def _assert_same_values(state: SegmentState, source: SegmentState, key: Any) -> None:
    ends = np.intersect1d(state.scores.ends, source.scores.ends)
    columns = [
        item.scores.values[np.isin(item.scores.ends, ends), item.scores.keys.positions[key]]
        for item in (state, source)
    ]
    np.testing.assert_array_equal(*columns)
    assert np.isfinite(columns[0]).any()


def test_a_receiver_that_was_told_of_the_end_is_told_of_the_real_one_and_of_nothing_in_between(
    world: World, inside: Inside
) -> None:
    produce(world, inside, range(2))
    produce(world, inside, range(2, 8), shift=2.0)
    (incident,) = inside.view().incidents
    ask(inside, "accepted")
    mark_delivered(inside)
    ask(inside, "undo", incident.key)
    outbox = OutboxTable(inside.daemon.session.database, inside.clock.now)
    assert outbox.due(inside.clock.now()) == []
    assert outbox.firing("webhook") == [], "a receiver that is sent again what is open fires nothing"
    produce(world, inside, range(8, 10), shift=2.0)
    assert outbox.due(inside.clock.now()) == []
    assert ask(inside, "fixed", incident.key) == "fixed: 1 incident(s)"
    (row,) = outbox.due(inside.clock.now())
    assert (row.message.key, row.message.resolved) == (incident.key, True)


def test_a_receiver_that_was_not_told_of_the_end_goes_on_firing(world: World, inside: Inside) -> None:
    produce(world, inside, range(2))
    produce(world, inside, range(2, 8), shift=2.0)
    (incident,) = inside.view().incidents
    mark_delivered(inside)
    ask(inside, "accepted")
    ask(inside, "undo", incident.key)
    assert messages(inside) == [("firing", "delivered")]
    outbox = OutboxTable(inside.daemon.session.database, inside.clock.now)
    assert [row.message.key for row in outbox.firing("webhook")] == [incident.key]


def test_verdicts_decided_meanwhile_stay_and_are_marked(world: World, inside: Inside) -> None:
    key = accepted(world, inside)
    before = inside.verdicts()
    inside.to(12.5)
    ask(inside, "undo", key)
    produce(world, inside, range(12, 14), shift=2.0)
    history, config = inside.daemon.session.history, inside.daemon.session.config.monitors[0]
    assert inside.verdicts()[: len(before)] == before, "no stored verdict is written again"
    at = [world.start + int(minute * MINUTE) for minute in (8, 12.5)]
    undone = inside.daemon.session.acknowledgements.undone("m")
    assert undone == [UndoneAcceptance(incident=key, start=at[0], end=at[1])]
    marks = {}
    for minute in (5, 9, 12, 14):
        end = world.start + minute * MINUTE
        assert explain(config, history, None, end).equal is True, minute
        words = ["explain", str(world.config), "--monitor", "m", "--window", iso(end), "--format", "json"]
        marks[minute] = json.loads(CliRunner().invoke(main, words).stdout)["undone_acceptance"]
    mark = {"incident": key, "from": iso(at[0]), "until": iso(at[1])}
    assert marks == {5: None, 9: mark, 12: mark, 14: None}
    text = CliRunner().invoke(main, [*words[:5], iso(world.start + 9 * MINUTE)]).stdout
    assert "decided while an acceptance was in force that was undone" in " ".join(text.split())
    for path in ("/api/v1/monitors/m/windows/", "/monitors/m/windows/"):
        pages = [inside.page(path + iso(world.start + minute * MINUTE)) for minute in (5, 9)]
        text = f"the acceptance of {key} was undone; it was in force when this was decided"
        assert [text in page for page in pages] == [False, True]


def test_beside_a_daemon_it_is_asked_for_and_the_daemon_applies_it(world: World, inside: Inside) -> None:
    key = accepted(world, inside)
    words = ["ack", str(world.config), "--monitor", "m", "--undo", key, "--note", "not agreed"]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stdout.startswith("asked (number ")) == (0, True)
    inside.to(12.2)
    assert [item.key for item in inside.view().incidents] == [key]
    newest = inside.daemon.past.browsing.acknowledgements("m")[0]
    assert (newest.verdict, newest.note, newest.outcome.partition(":")[0]) == ("undo", "not agreed", "undone")


def test_an_undo_outlives_a_restart_and_a_reference_built_anew(world: World) -> None:
    with world.inside(1, deliver=False) as inside:
        key = accepted(world, inside)
        former = ask(inside, "undo", key) and reference_of(inside)
    with world.inside(12, deliver=False) as inside:
        inside.to(12)
        assert reference_of(inside) == former
        assert [item.key for item in inside.view().incidents] == [key]
        world.options["model"] = {"version": "2"}
        world.write()
        inside.daemon.reload()
        assert inside.daemon.loader.wait(60)
        produce(world, inside, range(12, 14), shift=2.0)
        reference = inside.daemon.session.history.references.active("m")
        assert reference is not None
        assert reference.reference.fingerprint != former
        assert reference.reference.provenance.accepted == (), "the acceptance does not come back"
        assert [item.key for item in inside.view().incidents] == [key]
        assert check_folder(world.store, 0).is_sound


def test_an_acceptance_that_was_carried_to_a_reference_built_anew_is_undone(
    world: World, inside: Inside
) -> None:
    key = accepted(world, inside)
    world.options["model"] = {"version": "2"}
    world.write()
    inside.daemon.reload()
    assert inside.daemon.loader.wait(60)
    produce(world, inside, range(12, 14), shift=2.0)
    references = inside.daemon.session.history.references
    assert references.active("m").reference.provenance.accepted  # type: ignore[union-attr]
    assert ask(inside, "undo", key).startswith("undone: ")
    active = references.active("m")
    assert active is not None
    assert active.reference.provenance.accepted == ()
    assert active.reference.model_version == "2"
    assert state_of(inside).reference == active.reference.fingerprint
    produce(world, inside, range(14, 16), shift=2.0)
    assert [item.key for item in inside.view().incidents] == [key]


def test_it_is_refused_when_a_newer_acceptance_builds_on_it_until_that_is_undone(
    world: World, inside: Inside
) -> None:
    first = accepted(world, inside)
    produce(world, inside, range(12, 20), shift=5.0)
    (incident,) = inside.view().incidents
    ask(inside, "accepted")
    rebased = reference_of(inside)
    assert ask(inside, "undo", first) == (
        f"not undone: a newer acceptance builds on that of {first}. Undo the newer one first"
    )
    assert reference_of(inside) == rebased
    assert ask(inside, "undo", incident.key).startswith("undone: ")
    assert ask(inside, "undo", first).startswith("undone: ")
    active = inside.daemon.session.history.references.active("m")
    assert active is not None
    assert active.reference.provenance.accepted == ()
    assert {item.key for item in inside.view().incidents} == {first}, "x is in one incident"
    stored = inside.daemon.session.history.incidents.get(incident.key)
    assert stored is not None
    assert stored.resolution == "reference replaced"


def test_what_moved_against_the_reference_that_is_gone_ends_and_no_column_is_in_two(
    world: World, inside: Inside
) -> None:
    """Both would follow x, and page for one move of it."""
    key = accepted(world, inside)
    mark_delivered(inside)
    produce(world, inside, range(12, 20))
    (newer,) = inside.view().incidents
    assert newer.key != key
    mark_delivered(inside)
    assert ask(inside, "undo", key).startswith(f"undone: {key} is open again")
    (incident,) = state_of(inside).incidents
    assert (incident.key, incident.columns) == (key, ("x",))
    assert [item.key for item in inside.view().incidents] == [key]
    assert messages(inside)[-1] == ("resolved", "pending")
    stored = inside.daemon.session.history.incidents.get(newer.key)
    assert stored is not None
    assert stored.resolution == "reference replaced"


def test_what_was_no_acceptance_is_refused_by_name(world: World, inside: Inside) -> None:
    produce(world, inside, range(2))
    produce(world, inside, range(2, 8), shift=2.0)
    (incident,) = inside.view().incidents
    assert ask(inside, "undo", "m-drift-0") == "not undone: m has no incident m-drift-0"
    assert ask(inside, "undo", incident.key) == f"not undone: {incident.key} is open"
    ask(inside, "fixed")
    at = "2023-11-14 22:22Z"
    assert (
        ask(inside, "undo", incident.key)
        == f"not undone: {incident.key} was not accepted: it ended {at}, fixed"
    )
    assert incidents(inside) == [("drift", "fixed")]


def test_it_is_refused_when_the_reference_was_replaced_since(world: World, inside: Inside) -> None:
    key = accepted(world, inside)
    path = world.folder / "reference.parquet"
    write_rows(path, world.start - 40 * MINUTE, world.start, 8000, shift=1.9, seed=98)
    inside.daemon.reload()
    assert inside.daemon.loader.wait(60)
    inside.to(12.1)
    assert ask(inside, "undo", key) == (
        f"not undone: the reference that {key} was accepted on was replaced since"
    )


def test_where_what_was_usual_then_is_no_longer_stored_it_is_learned_from_the_reference(
    world: World, inside: Inside
) -> None:
    key = accepted(world, inside)
    with inside.daemon.session.database.transaction() as connection:
        connection.execute("DELETE FROM checkpoints")
    assert ask(inside, "undo", key).endswith(
        "what was usual then is no longer stored and is learned from the reference"
    )
    (incident,) = state_of(inside).incidents
    assert (incident.key, incident.columns) == (key, ("x",))
    produce(world, inside, range(12, 14), shift=2.0)
    assert inside.state() == "drifting"


def test_accepted_again_after_an_undo_it_can_be_undone_again(world: World, inside: Inside) -> None:
    key = accepted(world, inside)
    former = ask(inside, "undo", key) and reference_of(inside)
    produce(world, inside, range(12, 14), shift=2.0)
    assert ask(inside, "accepted", key).startswith("accepted: 1 incident(s)")
    assert reference_of(inside) != former
    assert ask(inside, "undo", key).startswith("undone: ")
    assert reference_of(inside) == former
    assert [item.incident for item in inside.daemon.session.acknowledgements.undone("m")] == [key, key]


# Segments: one key may be open in several states.


def segmented(world: World, inside: Inside) -> tuple[str, list[str | None]]:
    """Let x shift everywhere; give the incident of all rows to the states of two segments too."""
    world.options["segment_by"] = {"column": "level"}
    world.write()
    inside.daemon.reload()
    assert inside.daemon.loader.wait(60)
    produce(world, inside, range(2))
    produce(world, inside, range(2, 8), shift=2.0)
    stored = inside.daemon.session.history.incidents.of_monitor("m")
    whole = next(item for item in stored if item.segment is None)
    state = state_of(inside)
    (incident,) = state.incidents
    earlier = replace(incident, columns=("x",), quiet=(0,), onset=incident.onset - MINUTE)
    history = inside.daemon.session.history
    with inside.daemon.session.database.transaction() as connection:
        connection.execute("DELETE FROM incidents WHERE segment <> ''")
        connection.execute("DELETE FROM outbox WHERE segment <> ''")
        for segment in ("a", "b", "c", "other"):
            content = history.states.current("m", segment)
            if content is None:
                continue
            shared = (earlier,) if segment in ("a", "b") else ()
            changed = encode(replace(decode(content), incidents=shared))
            connection.execute(
                "UPDATE tracks SET content = ?, checksum = NULL WHERE monitor = 'm' AND segment = ?",
                (changed, segment),
            )
    slot = inside.daemon.runner.slots()[0]
    slot.monitor.segment_states.clear()
    return whole.key, [None, "a", "b"]


def test_an_incident_of_several_segments_is_answered_once_from_its_earliest_onset(
    world: World, inside: Inside
) -> None:
    key, holders = segmented(world, inside)
    onset = min(state_of(inside, segment).incidents[0].onset for segment in holders)
    outcome = ask(inside, "accepted", key)
    assert outcome.startswith(f"accepted: 1 incident(s); {key} covers x ")
    assert "in every segment (it was open in all rows, b, a), since 2023-11-14 22:15 UTC" in outcome
    assert [kind for kind, _ in messages(inside)] == ["firing", "resolved"]
    active = inside.daemon.session.history.references.active("m")
    assert active is not None
    (span,) = active.reference.provenance.accepted
    assert (span.start, span.columns[0]) == (onset, "x")
    assert all(not state_of(inside, segment).incidents for segment in holders)
    assert ask(inside, "undo", key).startswith("undone: ")
    for segment in holders:
        assert [item.key for item in state_of(inside, segment).incidents] == [key]
    assert incidents(inside) == [("drift", None)]


@pytest.mark.parametrize("verdict", ["fixed", "muted"])
def test_an_answer_to_a_key_is_recorded_once(world: World, inside: Inside, verdict: str) -> None:
    key, holders = segmented(world, inside)
    assert ask(inside, verdict, key) == f"{verdict}: 1 incident(s)"
    n_open = sum(bool(state_of(inside, segment).incidents) for segment in holders)
    assert n_open == (0 if verdict == "fixed" else 3)
    assert len(messages(inside)) == (2 if verdict == "fixed" else 1)
