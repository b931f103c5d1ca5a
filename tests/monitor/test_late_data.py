"""Windows whose rows come late are judged when they come, and late rows of a decided one are evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from driftwatch.core.schema import Span
from driftwatch.errors import SourceTimeout
from driftwatch.monitor.acknowledge import apply_pending
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.explain import explain
from driftwatch.monitor.tiles import reread_window
from driftwatch.results.results import Reason, State
from tests.support.late_world import DAY, FIRST, PRODUCTION, LateWorld, rows


@pytest.fixture
def world(tmp_path: Path) -> LateWorld:
    return LateWorld(folder=tmp_path)


def states(world: LateWorld, monitor: object) -> list[str]:
    return [str(verdict.state) for verdict in world.verdicts(monitor)]  # type: ignore[arg-type]


def test_windows_given_up_are_owed_and_judged_in_order_when_they_come(world: LateWorld) -> None:
    """Loads stop for six days, then all arrive; the first four at x3."""
    with world.session() as (_, monitor):
        for day in range(3):
            world.write(day)
        world.run(monitor, [24, 48, 72])
        world.run(monitor, [96, 120, 144, 168, 192])
        owed = monitor.history.owed.of_monitor("m")
        assert [item.window.end for item in owed] == [world.end(day) for day in range(3, 8)]
        assert [verdict.owed for verdict in world.verdicts(monitor)] == [False] * 3 + [True] * 5
        for day in range(3, 9):
            world.write(day, scale=3 if day < 7 else 1)
        world.run(monitor, [216])
        verdicts = world.verdicts(monitor)
        assert [verdict.page for verdict in verdicts[3:5]].count(True) == 1
        assert {verdict.state for verdict in verdicts[4:]} == {State.DRIFTING}
        assert [verdict.late for verdict in verdicts] == [False] * 3 + [True] * 5 + [False]
        assert "its rows came late: judged 5 days after its time" in verdicts[3].detail
        assert not monitor.history.owed.of_monitor("m")


def test_the_windows_are_judged_as_if_they_had_come_in_time(tmp_path: Path) -> None:
    results = []
    for name, hours in (("late", [24, 48, 72, 192]), ("prompt", [24, 48, 72, 96, 120, 144, 168, 192])):
        (tmp_path / name).mkdir()
        world = LateWorld(folder=tmp_path / name)
        with world.session() as (_, monitor):
            for day in range(2):
                world.write(day)
            for hour in hours:
                for day in range(int(hour // 24) if name == "prompt" or hour > 100 else 2):
                    world.write(day)
                world.run(monitor, [hour])
            results.append([(v.window.end, v.state, v.evidence, v.rows) for v in world.verdicts(monitor)])
    late, prompt = results
    assert late == prompt


def test_a_newer_row_alone_ends_nothing(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        for day in (0, 2):
            world.write(day)
        world.run(monitor, [24, 48, 72])
        assert states(world, monitor) == ["ok", "no_data", "ok"]
        world.write(1, scale=3)
        (outcome,) = world.run(monitor, [80])
        assert outcome.verdicts[0].state is State.DRIFTING  # type: ignore[union-attr]
        assert [verdict.late for verdict in world.verdicts(monitor)] == [False, True, False]


def test_a_window_is_given_up_when_the_source_has_answered_for_its_patience(tmp_path: Path) -> None:
    world = LateWorld(folder=tmp_path, settings={"window": {"patience": "3d"}})
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24, 48, 72, 96])
        assert [item.waited // DAY for item in monitor.history.owed.of_monitor("m")] == [2, 1, 0]
        world.run(monitor, [120])
        assert [item.window.end for item in monitor.history.owed.of_monitor("m")] == [
            world.end(day) for day in (2, 3, 4)
        ]
        verdict = world.verdicts(monitor)[1]
        assert (verdict.state, verdict.owed) == (State.STALE, False)
        world.write(1, scale=3)
        world.run(monitor, [121])
        assert world.verdicts(monitor)[1] == verdict, "it is final"


def test_waiting_takes_no_time_while_nobody_looks(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24, 48])
    with world.session() as (_, monitor):
        world.run(monitor, [24 * 30])
        (item, *_) = monitor.history.owed.of_monitor("m")
        assert item.waited == DAY, "of 28 days one at most"


def test_waiting_takes_no_time_while_the_source_fails(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24, 48])
        production, away = world.folder / "production", world.folder / "away"
        production.rename(away)
        for hour in (60, 71):
            with pytest.raises(Exception, match="expected"):
                world.run(monitor, [hour])
        away.rename(production)
        world.run(monitor, [71.5, 71.75])
        (item, *_) = monitor.history.owed.of_monitor("m")
        assert item.waited == DAY // 96


def test_late_rows_are_a_part_of_their_own(world: LateWorld) -> None:
    """200 rows at midnight, 1,800 at x3 three hours later."""
    with world.session() as (_, monitor):
        for day in range(3):
            world.write(day)
        world.run(monitor, [24, 48, 72])
        world.write(3, 200)
        world.run(monitor, [96])
        world.write(3, 1_800, name="late", scale=3)
        (late_data,) = world.run(monitor, [99])
        assert (late_data.rows, late_data.corrected_slices) == (1_800, 0)  # type: ignore[union-attr]
        (part,) = world.parts(monitor, 3)
        assert (part.state, part.page, part.late, part.part, part.rows) == (
            State.DRIFTING, True, True, 1, 1_800,
        )  # fmt: skip
        assert [item.column for item in part.named] == ["amount"]
        assert "1,800 rows that came after the window was decided on 200" in part.detail
        decided = world.verdicts(monitor)[3]
        assert (decided.state, decided.rows, decided.late) == (State.OK, 200, False)
        assert [item.key for item in monitor.history.incidents.of_monitor("m")] == [part.incident]
        assert world.run(monitor, [100]) == [], "nothing is judged twice"


def test_healthy_late_rows_are_ok(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.write(1, 200)
        world.run(monitor, [24, 48])
        world.write(1, 1_800, name="late")
        world.run(monitor, [51])
        (part,) = world.parts(monitor, 1)
        assert (part.state, part.page) == (State.OK, False)
        assert part.watched is not None
        assert part.watched.drawn == part.watched.of == 2


def test_few_late_rows_are_counted_and_judged_together_with_the_next(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24])
        world.write(0, 60, name="a", scale=100)
        (first,) = world.run(monitor, [25])
        assert (first.rows, first.outcome) == (60, None)  # type: ignore[union-attr]
        world.write(0, 70, name="bb", scale=100)
        world.run(monitor, [26])
        (part,) = world.parts(monitor, 0)
        assert part.rows == 130


def test_rows_too_few_to_move_their_window_say_so(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0, 9_000)
        world.run(monitor, [24])
        world.write(0, 300, name="a", scale=100)
        world.run(monitor, [25])
        (part,) = world.parts(monitor, 0)
        assert (part.state, part.reason, part.page) == (State.INSUFFICIENT, Reason.TOO_FEW_ROWS, False)
        assert "cannot move the window's traffic by more than the tolerance" in part.detail


def test_a_correction_in_place_is_no_late_part(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24])
        before = world.verdicts(monitor)
        world.write(0, 1_000, scale=50)
        (late_data,) = world.run(monitor, [25])
        assert (late_data.rows, late_data.corrected_slices) == (0, 1)  # type: ignore[union-attr]
        assert not world.parts(monitor, 0)
        assert world.verdicts(monitor) == before


def test_late_rows_after_a_correction_are_judged_without_it(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24])
        world.write(0, 1_000, scale=1.5)
        world.run(monitor, [25])
        world.write(0, 300, name="late")
        world.run(monitor, [26])
        (part,) = world.parts(monitor, 0)
        assert (part.rows, part.earlier_rows) == (300, 1_000)


def test_late_rows_of_a_window_with_too_few_rows_complete_it(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.write(1, 50)
        world.run(monitor, [24, 48])
        assert world.verdicts(monitor)[1].reason is Reason.TOO_FEW_ROWS
        world.write(1, 1_950, name="late", scale=3)
        world.run(monitor, [51])
        (part,) = world.parts(monitor, 1)
        assert (part.state, part.page, part.rows, part.judged_rows) == (State.DRIFTING, True, 1_950, 2_000)
        assert monitor.segment_state(None).carried_over is None


def test_a_part_spends_no_budget(world: LateWorld) -> None:
    """Without evidence to multiply there is none: the budget of the window was spent before."""
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24])
        before = monitor.segment_state(None)
        world.write(0, 1_000, name="late")
        world.run(monitor, [25])
        after = monitor.segment_state(None)
        assert (before.shares.log_m == -float("inf")).tolist() == (
            after.shares.log_m == -float("inf")
        ).tolist()
        for name in ("log_m", "cusum", "onset", "values", "level"):
            left, right = (getattr(state.scores, name) for state in (before, after))
            assert np.array_equal(left, right, equal_nan=True), name
        assert before.healthy_windows == after.healthy_windows


def test_every_verdict_can_be_explained_in_the_order_of_judging(world: LateWorld) -> None:
    with world.session() as (session, monitor):
        for day in (0, 2, 3):
            world.write(day, 1_000 if day != 2 else 400)
        world.run(monitor, [24, 48, 72])
        world.write(1)
        world.write(2, 700, name="late", scale=1.2)
        world.run(monitor, [75, 96])
        world.write(3, 900, name="late")
        world.run(monitor, [99])
        for day in range(4):
            explanation = explain(monitor.config, session.history, None, world.end(day))
            assert explanation.equal, day
        assert len(world.parts(monitor, 2)) == len(world.parts(monitor, 3)) == 1


def test_a_blind_incident_stays_while_newer_windows_are_owed(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24, 48, 72, 96])
        (blind,) = monitor.history.incidents.of_monitor("m")
        assert (blind.kind, blind.opened_at) == ("blind", world.end(1))
        world.write(1)
        world.run(monitor, [100])
        assert [item.key for item in monitor.history.incidents.of_monitor("m")] == [blind.key]
        world.write(2)
        world.write(3)
        world.run(monitor, [101])
        assert not monitor.history.incidents.of_monitor("m")


def test_a_quiet_night_opens_no_incident(tmp_path: Path) -> None:
    world = LateWorld(folder=tmp_path)
    with world.session() as (_, monitor):
        for day in (0, 2):
            world.write(day)
        world.run(monitor, [24, 48, 72, 90, 95])
        assert not monitor.history.incidents.of_monitor("m", only_open=False)
        assert monitor.history.owed.count("m") == 1
        assert world.end(1) > FIRST


def test_late_rows_page_anew_after_their_window_was_repaired(world: LateWorld) -> None:
    """Window and part name the same column: two incidents, so that the second is told as well."""

    def write_without_amount(count: int, name: str) -> None:
        table = rows(PRODUCTION + timedelta(days=1), count, 7).drop_columns(["amount"])
        pq.write_table(table, world.folder / "production" / f"01{name}.parquet")

    with world.session() as (session, monitor):
        world.write(0)
        world.run(monitor, [24])
        write_without_amount(1_000, "")
        world.run(monitor, [48])
        (first,) = monitor.history.incidents.of_monitor("m")
        session.acknowledgements.ask("m", first.key, "fixed", until=None, note="", who="x", now=1)
        monitor = apply_pending(monitor, session.acknowledgements, FIRST + 2 * DAY)
        assert not monitor.history.incidents.of_monitor("m")
        write_without_amount(3_000, "late")
        world.run(monitor, [50])
        (part,) = world.parts(monitor, 1)
        (second,) = monitor.history.incidents.of_monitor("m")
        assert second.columns == first.columns == ("amount",)
        assert second.key == part.incident != first.key


def test_owed_windows_of_another_length_are_cut_anew(tmp_path: Path) -> None:
    """A day judged beside hours would be a window of 24 times their rows."""
    world = LateWorld(folder=tmp_path)
    with world.session() as (_, monitor):
        for day in (0, 2):
            world.write(day)
        world.run(monitor, [24, 48, 72])
        assert [item.window for item in monitor.history.owed.of_monitor("m")] == [world.window(1)]
    world.configure({"window": {"length": "6h"}})
    with world.session() as (_, monitor):
        world.run(monitor, [73])
        owed = [item.window for item in monitor.history.owed.of_monitor("m")]
        quarter = DAY // 4
        assert [(item.start, item.end) for item in owed] == [
            (FIRST + DAY + k * quarter, FIRST + DAY + (k + 1) * quarter) for k in range(4)
        ]
        world.write(1)
        world.run(monitor, [74])
        late = [verdict for verdict in world.verdicts(monitor) if verdict.late]
        assert [verdict.rows for verdict in late] == [250] * 4


def test_one_decided_window_that_cannot_be_read_hides_no_other(
    world: LateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.session() as (_, monitor):
        for day in range(3):
            world.write(day)
        world.run(monitor, [24, 48, 72])

        def refuse(tile_source: object, edges: list[int]) -> object:
            if edges[0] == world.window(0).start:
                raise SourceTimeout("too slow")
            return reread_window(tile_source, edges)  # type: ignore[arg-type]

        monkeypatch.setattr("driftwatch.monitor.past.late_parts.reread_window", refuse)
        for day in (0, 2):
            world.write(day, 300, name="late")
        found = world.run(monitor, [73])
        assert [(item.error, item.rows) for item in found] == [("too slow", 0), ("", 300)]  # type: ignore[union-attr]
        monkeypatch.undo()
        (again,) = world.run(monitor, [74])
        assert again.rows == 300  # type: ignore[union-attr]


def test_windows_kept_by_retention_are_explained_with_the_late_parts_judged_between(tmp_path: Path) -> None:
    world = LateWorld(folder=tmp_path, settings={"window": {"min_rows": 50}})
    with world.session() as (_, monitor):
        monitor.recorder = replace(monitor.recorder, checkpoint_windows=4)
        for day in range(14):
            world.write(day, 600)
            world.run(monitor, [24 * (day + 1)])
            world.write(day, 700, name="late", scale=1.1)
            world.run(monitor, [24 * (day + 1) + 1])
        cutoff = world.end(9) + DAY // 2
        monitor.history.forget(cutoff, cutoff)
        kept = range(10, 14)
        assert [explain(monitor.config, monitor.history, None, world.end(day)).equal for day in kept] == [
            True
        ] * 4
        parts = [explain(monitor.config, monitor.history, None, world.end(day), 1) for day in kept]
        assert [part.equal for part in parts] == [True] * 4


def test_a_window_whose_late_rows_paged_stays_when_retention_ends(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        for day in range(3):
            world.write(day)
        world.run(monitor, [24, 48, 72])
        world.write(3, 200)
        world.run(monitor, [96])
        world.write(3, 1_800, name="late", scale=3)
        world.run(monitor, [99])
        (part,) = world.parts(monitor, 3)
        assert part.page
        monitor.history.forget(world.end(100), world.end(100))
        assert [verdict.window for verdict in world.verdicts(monitor)] == [world.window(3)]
        assert world.parts(monitor, 3) == [part]


def test_rows_that_were_judged_go_and_come_back_are_no_late_rows(world: LateWorld) -> None:
    """A file is written again in two steps, both readable: no row is evidence twice."""
    with world.session() as (_, monitor):
        for day in range(3):
            world.write(day)
        world.run(monitor, [24, 48, 72])
        path = world.folder / "production" / "02.parquet"
        whole = pq.read_table(path)
        pq.write_table(whole.slice(0, 100), path)
        world.run(monitor, [73])
        pq.write_table(whole, path)
        world.run(monitor, [74])
        assert world.parts(monitor, 2) == []
        world.write(2, 500, name="late")
        world.run(monitor, [75])
        assert [part.rows for part in world.parts(monitor, 2)] == [500]
        assert explain(monitor.config, monitor.history, None, world.end(2), 1).equal


def test_the_clock_set_forward_takes_a_quarter_of_the_patience_at_most(tmp_path: Path) -> None:
    world = LateWorld(folder=tmp_path, settings={"window": {"length": "1h", "patience": "8h"}})
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24, 25, 25 + 48, 25.1, 25.2])
        first, *_ = monitor.history.owed.of_monitor("m")
        assert first.window.end == FIRST + 25 * DAY // 24
        assert 2 * DAY // 24 <= first.waited <= 2.2 * DAY // 24


def failing(monitor: Monitor, monkeypatch: pytest.MonkeyPatch, ends: set[int], version: str) -> list[int]:
    """Let reads of the windows with these ends time out, and every version be a new one if it is empty."""
    reads: list[int] = []
    whole, count = monitor.readers.tiles, [0]

    def tiles(plan: object, source: object, edges: list[int], **options: object) -> object:
        reads.append(edges[-1])
        if edges[-1] in ends:
            raise SourceTimeout("too slow")
        return whole(plan, source, edges, **options)  # type: ignore[arg-type]

    def versions(_source: object, spans: Sequence[Span], **_options: object) -> list[str]:
        count[0] += 1
        return [version or str(count[0]) for _ in spans]

    monkeypatch.setattr(monitor.readers, "tiles", tiles)
    monkeypatch.setattr(monitor.readers, "versions", versions)
    return reads


def test_three_timeouts_in_a_minute_are_not_the_end_of_a_window(
    world: LateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are there all the time, so that their version never changes."""
    with world.session() as (_, monitor):
        for day in range(3):
            world.write(day)
        world.run(monitor, [24])
        slow = {world.end(1)}
        reads = failing(monitor, monkeypatch, slow, "same")
        world.run(monitor, [48, 48.01, 48.02, 48.03, 48.04, 48.05])
        assert 3 <= reads.count(world.end(1)) <= 4
        slow.clear()
        world.run(monitor, [49.1])
        assert states(world, monitor) == ["ok", "ok"]


def test_a_window_that_is_never_read_in_time_hides_no_other_though_the_source_always_changes(
    world: LateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.session() as (_, monitor):
        world.write(0)
        world.run(monitor, [24, 48, 72])
        world.write(2)
        failing(monitor, monkeypatch, {world.end(1)}, "")
        world.run(monitor, [73, 74, 75, 76])
        assert states(world, monitor)[2] == "ok"
        world.run(monitor, [77, 78])
        (owed,) = monitor.history.owed.of_monitor("m")
        assert owed.window == world.window(1)
        assert owed.waited > 0, "and its patience ends one day"


def test_one_read_tells_that_neighbouring_windows_are_still_without_rows(
    world: LateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new file changes the version of every span of its folder, and a restart forgets the versions."""
    for day in (0, 9):
        world.write(day)
    with world.session() as (_, monitor):
        world.run(monitor, [24, 24 * 10])
        assert len(monitor.history.owed.of_monitor("m")) == 8
    with world.session() as (_, monitor):
        reads = failing(monitor, monkeypatch, set(), "")
        world.run(monitor, [24 * 10.1])
        assert reads.count(world.end(8)) == 1
        assert not {world.end(day) for day in range(1, 8)} & set(reads)
        world.write(4, scale=3)
        world.run(monitor, [24 * 10.2])
        owed = [item.window for item in monitor.history.owed.of_monitor("m")]
        assert owed == [world.window(day) for day in (1, 2, 3, 5, 6, 7, 8)]
        assert world.verdicts(monitor)[4].late
