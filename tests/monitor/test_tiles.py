"""Slices read more than once: before their window is decided, and after."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from daemon_world import MINUTE, NS, Inside, World, write_rows

from driftwatch.monitor.explain import explain
from driftwatch.summary.plan import OTHER_SEGMENT

HOUR = 60 * MINUTE
#: Midnight of a Tuesday.
START = 1_699_920_000 * NS


class Hours(World):
    """A world of windows of four hours whose gauges are refreshed hourly, in folders of one hour each."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        super().__init__(folder, start=START, step=HOUR, window={"length": "4h", "every": "1h"})
        self.configure(**changes)

    def configure(self, *, storage: dict[str, Any] | None = None, **changes: Any) -> None:
        source = {"type": "files", "path": str(self.folder / "m" / "**" / "*.parquet"), "time_column": "at"}
        self.settings["monitors"] = [{**self.monitor("m"), "source": source, **changes}]
        self.settings["storage"] = {"path": str(self.store), **(storage or {})}
        self.write()

    def place(self, number: int, part: int = 0) -> Path:
        day, hour = divmod(number, 24)
        return self.folder / "m" / f"date=2023-11-{14 + day}" / f"hour={hour:02}" / f"{part}.parquet"

    def hour(self, number: int, *, part: int = 0, rows: int = 200) -> Path:
        path = self.place(number, part)
        begin = self.start + number * HOUR
        write_rows(path, begin, begin + HOUR, rows, seed=number + 100 * part)
        return path


@pytest.fixture
def world(tmp_path: Path) -> Hours:
    return Hours(tmp_path)


def run_hours(inside: Inside, *numbers: int) -> None:
    for number in numbers:
        inside.to(60 * number)


def versions(inside: Inside, segment: str = "") -> dict[int, list[tuple[int, int]]]:
    """(version, rows) of every stored slice by hour."""
    versions_by_hour: dict[int, list[tuple[int, int]]] = {}
    rows = inside.daemon.session.database.query(
        "SELECT start, version, rows FROM tiles WHERE segment = ? ORDER BY start, version", (segment,)
    )
    for start, version, count in rows:
        versions_by_hour.setdefault((start - START) // HOUR, []).append((version, count))
    return versions_by_hour


def replays_equal(inside: Inside, hour: int, segment: str | None = None) -> bool:
    monitor = inside.daemon.runner.slot("m").monitor
    return explain(monitor.config, inside.daemon.session.history, segment, START + hour * HOUR).equal


def spoil(path: Path) -> None:
    """Replace a file by unreadable bytes that a listing does not tell from it."""
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path: Path) -> None:
    """A file as it is while it is being rewritten."""
    path.write_bytes(path.read_bytes()[:-100])


def test_a_slice_seen_by_a_glance_is_not_read_again_while_it_stays_the_same(world: Hours) -> None:
    for number in range(-4, 4):
        world.hour(number + 4)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4, 5, 6, 7)
        assert inside.ends() == [240]
        rows_read = inside.view().rows_read
        for number in (4, 5, 6):
            spoil(world.place(number))
        run_hours(inside, 8)
        assert inside.verdicts()[-1]["rows"] == 800
        assert inside.verdicts()[-1]["rejected_files"] == []
        assert inside.view().rows_read - rows_read == 200
        assert replays_equal(inside, 8)


def test_rows_between_a_glance_and_the_verdict_are_evidence(world: Hours) -> None:
    for number in range(8):
        world.hour(number)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4, 5, 6, 7)
        world.hour(4, part=1, rows=60)
        spoil(world.place(5))
        run_hours(inside, 8)
        assert inside.verdicts()[-1]["rows"] == 860
        assert versions(inside)[4] == [(1, 200), (2, 260)]
        assert versions(inside)[6] == [(1, 200)]
        assert replays_equal(inside, 8)


def test_a_flat_folder_is_decided_on_what_is_there(tmp_path: Path) -> None:
    world = World(tmp_path, window={"length": "4m", "every": "1m"})
    first = (world.start // MINUTE + 3) // 4 * 4 - world.start // MINUTE
    for number in range(first - 4, first + 4):
        world.minute(number)
    with world.inside(first) as inside:
        for minute in range(4):
            inside.to(first + minute)
        world.minute(first + 1, part=1, rows=60)
        inside.to(first + 4)
        assert [item["rows"] for item in inside.verdicts()] == [800, 860]


def test_a_file_a_glance_could_not_read_is_named_by_the_verdict(world: Hours) -> None:
    for number in range(8):
        world.hour(number)
    cut(world.hour(4, part=1))
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4, 5, 6, 7, 8)
        verdict = inside.verdicts()[-1]
        assert verdict["rows"] == 800
        assert [item["problem"] for item in verdict["rejected_files"]] == ["half_written"]


def test_late_rows_of_one_slice_are_a_new_version_of_that_slice(world: Hours) -> None:
    world.configure(segment_by={"column": "level", "most": 3}, storage={"row_sample": True})
    for number in range(12):
        world.hour(number)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4, 5, 6, 7, 8)
        verdicts = inside.verdicts()
        late_path = world.hour(6, part=1, rows=60)
        table = pq.read_table(late_path)
        pq.write_table(table.filter([level == "a" for level in table["level"].to_pylist()]), late_path)
        rows = pq.read_metadata(late_path).num_rows
        for number in (4, 5, 7):
            spoil(world.place(number))
        run_hours(inside, 9, 10, 11, 12)
        assert inside.view().late_rows == rows
        assert inside.verdicts()[:2] == verdicts
        assert versions(inside)[6] == [(1, 200), (2, 200 + rows)]
        assert {number: len(versions(inside)[number]) for number in (4, 5, 7)} == {4: 1, 5: 1, 7: 1}
        history = inside.daemon.session.history
        plan = inside.daemon.runner.slot("m").monitor.reference.plan
        parts = {
            segment: history.tiles.newest("m", segment, START + 6 * HOUR, START + 7 * HOUR, plan.fingerprint)[
                0
            ]
            for segment in plan.segments
            if segment != OTHER_SEGMENT
        }
        assert {part.version for part in parts.values()} == {2}
        assert sum(part.summary.rows for name, part in parts.items() if name is not None) == 200 + rows
        assert all(part.summary.sample is not None for part in parts.values())
        assert all(replays_equal(inside, 8, segment) for segment in plan.segments)


def test_a_segment_that_left_a_slice_is_not_counted_from_its_older_version(world: Hours) -> None:
    world.configure(segment_by={"column": "level", "most": 3})
    for number in range(8):
        world.hour(number)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4, 5, 6, 7)
        table = pq.read_table(world.place(5), partitioning=None)
        pq.write_table(table.filter([level != "b" for level in table["level"].to_pylist()]), world.place(5))
        run_hours(inside, 8)
        rows = inside.verdicts()[-1]["rows"]
        session = inside.daemon.session
        segment_rows = [
            session.history.verdicts.newest("m", name, limit=1)[-1]["rows"] for name in ("a", "b", "c")
        ]
        assert rows == sum(segment_rows) < 800
        assert all(replays_equal(inside, 8, name) for name in (None, "a", "b", "c"))


@pytest.mark.parametrize("loss", ["half written", "removed"])
def test_what_was_seen_is_not_unseen_by_a_later_look(world: Hours, loss: str) -> None:
    for number in range(16):
        world.hour(number)
    world.hour(5, part=1, rows=60)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4, 5, 6, 7, 8)
        verdicts = inside.verdicts()
        for path in (world.place(5), world.place(6)) if loss == "half written" else (world.place(6),):
            cut(path) if loss == "half written" else path.unlink()
        run_hours(inside, 9, 10, 11, 12)
        assert versions(inside)[5] == [(1, 260)]
        assert versions(inside)[6] == [(1, 200)]
        assert inside.verdicts()[:2] == verdicts
        assert inside.view().late_rows == 0
        world.hour(5)
        world.hour(5, part=2, rows=30)
        world.hour(6, part=1, rows=210)
        run_hours(inside, 13, 14, 15, 16)
        assert versions(inside)[5] == [(1, 260), (2, 290)]
        assert versions(inside)[6] == [(1, 200)] if loss == "half written" else [(1, 200), (2, 210)]


def test_a_correction_that_leaves_every_count_is_a_new_version_and_a_rewrite_is_not(world: Hours) -> None:
    for number in range(8):
        world.hour(number)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4, 5, 6, 7)
        for number, order in ((5, slice(None)), (6, slice(None, None, -1))):
            table = pq.ParquetFile(world.place(number)).read()
            values = table["x"].to_numpy()[order]
            pq.write_table(table.set_column(1, "x", [values]), world.place(number))
        run_hours(inside, 8)
        assert {number: len(versions(inside)[number]) for number in (5, 6)} == {5: 1, 6: 2}
        assert replays_equal(inside, 8)


def test_a_file_that_was_too_young_is_looked_at_again_though_it_did_not_change(world: Hours) -> None:
    source = {"type": "files", "path": str(world.folder / "m" / "**" / "*"), "time_column": "at"}
    world.configure(source={**source, "unfinished": "2s"})
    for number in range(12):
        world.hour(number)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4, 5, 6, 7)
        world.place(6).with_name("tail.csv").write_text("at,x,level\n2023-11-14T06:00:01Z,0.5,a")
        run_hours(inside, 8)
        assert [item["problem"] for item in inside.verdicts()[-1]["rejected_files"]] == ["half_written"]
        time.sleep(2.1)
        run_hours(inside, 9, 10, 11, 12)
        assert versions(inside)[6] == [(1, 200), (2, 201)]
        assert inside.view().late_rows == 1


def test_a_glance_that_fails_is_no_attempt_at_a_window(world: Hours) -> None:
    for number in range(8):
        world.hour(number)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4)
        (world.folder / "m").rename(world.folder / "gone")
        run_hours(inside, 5, 6, 7)
        assert dict(inside.view().failures)["source_unavailable"] == 3
        assert inside.view().owed_windows == 0
        run_hours(inside, 8)
        assert inside.view().owed_windows == 1
        (world.folder / "gone").rename(world.folder / "m")
        run_hours(inside, 9)
        assert [item["rows"] for item in inside.verdicts()] == [800, 800]
        assert inside.view().owed_windows == 0


def test_slices_of_another_reference_or_length_leave_decided_tiles_alone(world: Hours) -> None:
    for number in range(12):
        world.hour(number)
    with world.inside(4 * 60) as inside:
        run_hours(inside, 4)
        assert replays_equal(inside, 4)
    write_rows(world.folder / "reference.parquet", START - 40 * HOUR, START, 9000, seed=98)
    with world.inside(5 * 60) as inside:
        run_hours(inside, 5, 6, 7, 8)
        assert versions(inside)[1] == [(1, 200), (2, 200)]
        assert replays_equal(inside, 4)
        assert replays_equal(inside, 8)
    world.window = {"length": "4h", "every": "2h"}
    world.configure()
    with world.inside(10 * 60) as inside:
        run_hours(inside, 10, 12)
        assert [item["rows"] for item in inside.verdicts()] == [800, 800, 800]
        assert replays_equal(inside, 8)
        assert replays_equal(inside, 12)


def test_slices_of_local_days_count_every_row_once(world: Hours) -> None:
    """Midnight in New York is 5:00 UTC, where no slice of six hours begins by itself."""
    world.window = {"length": "1d", "every": "6h"}
    world.configure(timezone="America/New_York")
    for number in range(0, 60):
        world.hour(number, rows=100)
    with world.inside(29 * 60) as inside:
        run_hours(inside, 29, 30, 36, 42, 48, 53)
        assert inside.ends() == [29 * 60, 53 * 60]
        assert [item["rows"] for item in inside.verdicts()] == [2400, 2400]
        assert (
            sum(slice_versions[-1][1] for number, slice_versions in versions(inside).items() if number >= 29)
            == 2400
        )
