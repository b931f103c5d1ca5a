"""Late rows of windows that were decided before the settings changed, and what a part may say of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.late_world import LateWorld


@pytest.fixture
def world(tmp_path: Path) -> LateWorld:
    return LateWorld(folder=tmp_path)


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
