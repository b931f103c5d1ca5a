"""Late rows of windows that were decided before the settings changed, and what a part may say of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.monitor.acknowledge import apply_pending
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.explain import explain
from driftwatch.monitor.past.late_parts import LateData
from driftwatch.monitor.reading import Reading
from driftwatch.results.results import FileProblem, RejectedFile
from tests.support.late_world import FIRST, LateWorld

HOUR = 3600 * NANOSECONDS


@pytest.fixture
def world(tmp_path: Path) -> LateWorld:
    return LateWorld(folder=tmp_path)


def states(world: LateWorld, monitor: Monitor) -> list[str]:
    return [str(verdict.state) for verdict in world.verdicts(monitor)]


def make_constant(world: LateWorld, name: str) -> None:
    """Give all rows of a file the same age, one that most days have."""
    path = world.folder / "production" / f"{name}.parquet"
    table = pq.read_table(path)
    ages = pa.array([40.0] * table.num_rows)
    pq.write_table(table.set_column(table.schema.get_field_index("age"), "age", ages), path)


def test_a_part_that_breaks_no_column_names_none_as_broken(world: LateWorld) -> None:
    """A tenth of the day comes late, all of one value: of the whole day that is nothing."""
    with world.session() as (_, monitor):
        world.write(0, 950)
        world.run(monitor, [24])
        world.write(0, 120, name="b", first_hour=22)
        make_constant(world, "00b")
        world.run(monitor, [30])
        (part,) = world.parts(monitor, 0)
        assert (part.part, part.rows, part.breakages) == (1, 120, ())
        assert not part.state.moved or part.named


def test_a_part_that_is_most_of_its_window_may_break_a_column(world: LateWorld) -> None:
    with world.session() as (_, monitor):
        world.write(0, 300)
        world.run(monitor, [24])
        world.write(0, 900, name="b")
        path = world.folder / "production" / "00b.parquet"
        pq.write_table(pq.read_table(path).drop_columns(["age"]), path)
        world.run(monitor, [30])
        (part,) = world.parts(monitor, 0)
        assert [item.column for item in part.breakages] == ["age"]
        assert str(part.state) == "broken"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"length": "1d"}, {"length": "1d", "every": "6h"}),
        ({"length": "1d", "every": "6h"}, {"length": "1d"}),
        ({"length": "1d", "every": "6h"}, {"length": "1d", "every": "3h"}),
        ({"length": "12h"}, {"length": "1d"}),
    ],
)
def test_late_rows_are_judged_in_windows_that_other_settings_cut(
    tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    world = LateWorld(folder=tmp_path, settings={"window": before})
    world.write(0, 600)
    with world.session() as (_, monitor):
        world.run(monitor, [12, 24])
    world.configure({"window": after})
    with world.session() as (_, monitor):
        monitor.refresh_gauges(Span(start=world.window(0).start + 6 * HOUR, end=FIRST + 30 * HOUR), 0)
        world.write(1)
        world.run(monitor, [48])
        world.write(0, 900, name="b", scale=3)
        world.run(monitor, [54])
        parts = world.parts(monitor, 0)
        assert [(part.part, part.state.moved, part.window.end) for part in parts] == [(1, True, world.end(0))]
        assert sum(part.rows for part in parts) == (450 if before["length"] == "12h" else 900)
        explanation = explain(monitor.config, monitor.history, None, world.end(0), part=1)
        assert explanation.recomputed is not None
        assert explanation.recomputed.evidence == parts[0].evidence
        assert not world.run(monitor, [55])


def test_a_window_that_could_not_be_read_is_read_again_though_its_files_stay_as_they_are(
    world: LateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights of a file are mended: neither its size nor its time changes."""

    def refuse(tile_source: object, window: Span, now: int) -> Reading:
        return Reading(
            rejected=(RejectedFile(name="00.parquet", problem=FileProblem.UNREADABLE, detail="no right"),)
        )

    with world.session() as (_, monitor):
        world.write(0)
        world.write(1)
        monkeypatch.setattr("driftwatch.monitor.check.read_window", refuse)
        world.run(monitor, [24, 24.1, 48, 48.1, 72, 72.1])
        assert all(verdict.owed for verdict in world.verdicts(monitor))
        monkeypatch.undo()
        assert not world.run(monitor, [72.5])
        world.run(monitor, [73.2])
        assert states(world, monitor) == ["ok", "ok", "stale"]


def test_late_rows_that_another_reference_keeps_from_being_judged_are_counted_and_told(
    world: LateWorld,
) -> None:
    world.write(0, 600)
    with world.session() as (_, monitor):
        world.run(monitor, [24])
    world.configure({"columns": {"age": {"role": "ignore"}}})
    with world.session() as (_, monitor):
        assert not world.run(monitor, [25])
        world.write(0, 400, name="b", scale=3)
        (late_data,) = world.run(monitor, [30])
        assert isinstance(late_data, LateData)
        assert (late_data.rows, late_data.outcome) == (400, None)
        assert "400 rows came after the window to 2026-01-30 00:00 UTC was judged on 600" in late_data.error
        assert not world.run(monitor, [31])
        world.write(0, 50, name="c")
        (more,) = world.run(monitor, [32])
        assert more.rows == 450  # type: ignore[union-attr]


def test_an_outage_that_goes_on_after_somebody_closed_its_incident_opens_the_next_one(
    world: LateWorld,
) -> None:
    with world.session() as (session, monitor):
        world.write(0)
        world.run(monitor, [24, 48, 72, 72.1])
        (first,) = monitor.history.incidents.of_monitor("m")
        session.acknowledgements.ask("m", first.key, "fixed", until=None, note="", who="x", now=1)
        monitor = apply_pending(monitor, session.acknowledgements, FIRST + 73 * HOUR)
        world.run(monitor, [74, 95])
        assert not monitor.history.incidents.of_monitor("m")
        world.run(monitor, [96.5, 97])
        (second,) = monitor.history.incidents.of_monitor("m")
        assert (second.kind, second.key == first.key) == ("blind", False)
        assert [item.key for item in monitor.segment_state(None).incidents] == [second.key]
