"""Late parts and windows judged late are replayed bit for bit, in every segment and after restarts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from driftwatch.decide.state_codec import encode
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.replay import Replay
from driftwatch.results.results import Reason, State, Verdict
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.store.records import CheckRecord
from driftwatch.store.tables.judging_order import NO_PLACE
from tests.support.late_world import LateWorld

SEGMENTS = {"segment_by": {"column": "region", "most": 2}, "window": {"min_rows": 100}}
_END = 1 << 62


def replay_of(monitor: Monitor) -> Replay:
    blocks = partial(monitor.history.references.blocks, "m", monitor.reference.fingerprint)
    return Replay(
        history=monitor.history,
        evaluator=Evaluator.from_config(monitor.reference, monitor.config, blocks),
        blocks=blocks,
        configuration=monitor.configuration,
    )


def judged(monitor: Monitor, segment: str | None) -> list[Verdict]:
    """Return all verdicts of windows and parts in the order of judging."""
    rows = monitor.history.judging.between("m", segment, NO_PLACE, _END)
    return [verdict_from_json(row) for row in rows]


def events(world: LateWorld) -> list[tuple[float, tuple[tuple[int, int, str, float], ...]]]:
    """(hour of the look, (day, rows, name, scale) of the files that came before)."""
    return [
        (24, ((0, 1_000, "", 1.0),)),
        (48, ()),
        (72, ((2, 500, "", 1.0),)),
        (75, ((1, 900, "", 1.3), (2, 300, "late", 1.1))),
        (96, ((3, 60, "", 1.0),)),
        (99, ((3, 400, "late", 1.0), (2, 400, "later", 1.0))),
        (120, ((4, 800, "", 1.0), (3, 700, "later", 1.2))),
        (123, ((4, 700, "late", 3.0),)),
        (144, ((5, 900, "", 1.0), (4, 200, "later", 1.0))),
    ]


def run(world: LateWorld, *, restarts: bool) -> dict[str | None, tuple[list[Verdict], bytes]]:
    def act(monitor: Monitor, event: tuple[float, tuple[tuple[int, int, str, float], ...]]) -> None:
        hour, files = event
        for day, count, name, scale in files:
            world.write(day, count, name=name, scale=scale)
        world.run(monitor, [hour])

    if restarts:
        for event in events(world):
            with world.session() as (_, monitor):
                act(monitor, event)
    with world.session() as (_, monitor):
        for event in () if restarts else events(world):
            act(monitor, event)
        return {
            # Hashes of the reference and the configuration contain the folder.
            segment: (
                judged(monitor, segment),
                encode(replace(monitor.segment_state(segment), reference="r", configuration="c")),
            )
            for segment in monitor.reference.plan.segments
        }


def test_segments_judge_their_late_rows_the_same_after_restarts(tmp_path: Path) -> None:
    results = []
    for name in ("through", "restarted"):
        (tmp_path / name).mkdir()
        results.append(run(LateWorld(folder=tmp_path / name, settings=SEGMENTS), restarts=name != "through"))
    through, restarted = results
    assert through.keys() == restarted.keys() == {None, "north", "south", "other"}
    for segment in (None, "north", "south"):
        left, right = through[segment], restarted[segment]
        assert [(v.window.end, v.part, v.state, v.evidence, v.rows) for v in left[0]] == [
            (v.window.end, v.part, v.state, v.evidence, v.rows) for v in right[0]
        ], segment
        assert len([v for v in left[0] if v.part]) >= 4, segment
        assert len([v for v in left[0] if v.late and not v.part]) == 1, segment
        assert left[1] == right[1], segment


def test_every_verdict_and_part_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    world = LateWorld(folder=tmp_path, settings=SEGMENTS)
    run(world, restarts=True)
    with world.session() as (_, monitor):
        replay = replay_of(monitor)
        for segment in monitor.reference.plan.segments:
            for stored in judged(monitor, segment):
                if not stored.state.has_data:
                    continue
                state_before = replay.state_before(segment, stored.window.end, stored.part)
                state, recomputed = replay.reevaluate(state_before, stored)
                assert recomputed == stored, (segment, stored.window.end, stored.part)
            assert encode(state) == encode(monitor.segment_state(segment)), segment


def test_a_parts_rows_and_those_before_are_the_newest_version(tmp_path: Path) -> None:
    world = LateWorld(folder=tmp_path, settings=SEGMENTS)
    run(world, restarts=False)
    with world.session() as (_, monitor):
        for segment in monitor.reference.plan.segments:
            for day in range(5):
                window = verdict_from_json(monitor.history.verdicts.get("m", segment, world.end(day)) or {})
                rows = window.rows
                for data in monitor.history.late_parts.of_window("m", segment, world.end(day)):
                    part = verdict_from_json(data)
                    assert part.earlier_rows == rows, (segment, day, part.part)
                    rows += part.rows
                newest = monitor.history.tiles.newest(
                    "m", segment, window.window.start, window.window.end, monitor.reference.plan.fingerprint
                )
                assert sum(tile.summary.rows for tile in newest) == rows, (segment, day)


def test_a_part_is_judged_once_and_stored_with_its_tiles_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = LateWorld(folder=tmp_path)
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24])
        world.write(0, 500, name="late")
        before = encode(monitor.segment_state(None))

        class Killed(BaseException):
            pass

        def die(*_arguments: object, **_options: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr("driftwatch.store.history._write_verdicts", die)
            with pytest.raises(Killed):
                world.run(monitor, [25])
    with world.session() as (_, monitor):
        plan = monitor.reference.plan.fingerprint
        window = world.window(0)
        tiles = monitor.history.tiles.newest("m", None, window.start, window.end, plan)
        assert sum(tile.summary.rows for tile in tiles) == 1_000
        assert encode(monitor.segment_state(None)) == before
        world.run(monitor, [26])
        (part,) = world.parts(monitor, 0)
        assert part.rows == 500
        content = monitor.history.late_parts.of_window("m", None, window.end)[0]
        again = CheckRecord(monitor="m", now=1, verdicts=[(None, window.end, content)], part=1)
        assert not monitor.history.commit(again)
        assert len(world.parts(monitor, 0)) == 1


def test_late_rows_after_a_page_took_the_evidence_are_not_ok(tmp_path: Path) -> None:
    """An incident that is closed at once leaves nothing to multiply until a window with a budget comes."""
    world = LateWorld(folder=tmp_path)
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24])
        monitor.segment_states[None] = monitor.segment_state(None).reset()
        world.write(0, 1_000, name="late", scale=9)
        world.run(monitor, [25])
        (part,) = world.parts(monitor, 0)
        assert (part.state, part.reason, part.page) == (
            State.INSUFFICIENT, Reason.COLUMNS_UNWATCHED, False,
        )  # fmt: skip
        assert "a page took the evidence" in part.detail
