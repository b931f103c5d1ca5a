"""One file that ends its reader blinds no monitor: it is named and left out, and the others are judged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from late_world import DAY, FIRST, PRODUCTION, LateWorld, rows

from driftwatch.engines.local.pool import FilesRead, ReaderPool
from driftwatch.engines.local.readers.quarantine import Quarantine, source_key
from driftwatch.engines.local.readers.reader_handle import Reader
from driftwatch.errors import PieceLeftOut, ReaderDied, SourceTimeout
from driftwatch.monitor.check import Outcome
from driftwatch.monitor.past.late_parts import LateData
from driftwatch.results.results import FileProblem, Reason, State
from driftwatch.sources.files import FilesConfig
from driftwatch.summary.plan import Plan

FAULTS = Path(__file__).parents[1] / "support" / "faulty_readers"
#: Seconds of a read: a loaded machine starts a reader and reads a small file within them.
LIMIT = 8.0


@pytest.fixture(autouse=True)
def _faulty_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAULTS), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Readers that were started: one more for each that was lost."""
    pids: list[int] = []
    start = Reader.start

    def counted() -> Reader:
        reader = start()
        pids.append(reader.process.pid)
        return reader

    monkeypatch.setattr(Reader, "start", counted)
    return pids


def poison(path: Path, fault: str, day: int = 0, count: int = 1_000) -> Path:
    """Write good rows that end or stop their reader."""
    table = rows(PRODUCTION.replace(day=PRODUCTION.day + day), count, 500 + day)
    pq.write_table(table.replace_schema_metadata({"fault": f"FAULT-{fault}"}), path)
    return path


def outcomes(results: list[Outcome | LateData]) -> list[Outcome]:
    return [item for item in results if isinstance(item, Outcome)]


def quarantined(outcome: Outcome) -> list[str]:
    return [
        item.name for item in outcome.verdicts[0].rejected_files if item.problem is FileProblem.QUARANTINED
    ]


@pytest.mark.parametrize("gap", ["", "\n", "\r"])
def test_brackets_beside_good_files_hide_no_row(tmp_path: Path, gap: str, starts: list[int]) -> None:
    """Thirty thousand of them ended Arrow, also on a line each, also in a column that nobody watches."""
    source = {"type": "files", "path": str(tmp_path / "production" / "*"), "time_column": "ts"}
    world = LateWorld(tmp_path, {"source": source})
    world.write(0)
    nested = f"[{gap}" * 30_000 + "]" * 30_000
    line = f'{{"ts": "2026-01-29T12:00:00Z", "amount": 1, "note": {nested}}}\n'
    good = '{"ts": "2026-01-29T12:00:00Z", "amount": 1, "age": 1, "note": 1}\n' * 2_000
    (tmp_path / "production" / "brackets.jsonl").write_text(good + line)
    with world.session() as (_session, monitor):
        (outcome,) = outcomes(world.run(monitor, [24.5]))
    verdict = outcome.verdicts[0]
    assert (verdict.rows, [(item.name, item.problem) for item in verdict.rejected_files]) == (
        1_000,
        [("brackets.jsonl", FileProblem.UNREADABLE)],
    )
    assert "64 objects and lists" in verdict.rejected_files[0].detail
    assert verdict.state is State.OK
    assert len(starts) == 1, "a reader was lost"


@pytest.mark.parametrize(("fault", "word"), [("segv", "ends the process"), ("much", "limits.memory")])
def test_a_file_that_ends_its_reader_is_left_out_by_name(
    tmp_path: Path, starts: list[int], fault: str, word: str
) -> None:
    world = LateWorld(tmp_path)
    for day in (0, 1):
        world.write(day)
        world.write(day, 500, name="b")
    poison(tmp_path / "production" / "00a.parquet", fault)
    with world.session() as (_session, monitor):
        (first,) = outcomes(world.run(monitor, [24.5]))
        assert (first.verdicts[0].rows, first.failure) == (1_500, None)
        assert quarantined(first) == ["00a.parquet"]
        assert word in first.verdicts[0].rejected_files[0].detail
        lost = len(starts)
        # The read, the file alone, and a good one.
        assert lost == 3
        (second,) = outcomes(world.run(monitor, [48.5]))
        assert (second.verdicts[0].rows, quarantined(second)) == (1_500, ["00a.parquet"])
        assert len(starts) == lost, "a file in quarantine costs nothing"
    with world.session() as (_session, monitor):
        third = monitor.check(world.window(0), FIRST + 3 * DAY, record=False)
        assert (third.verdicts[0].rows, quarantined(third)) == (1_500, ["00a.parquet"])
        assert len(starts) == lost + 1, "after a restart it is still known"


def test_a_changed_file_is_tried_at_once_and_its_rows_are_late(tmp_path: Path, starts: list[int]) -> None:
    world = LateWorld(tmp_path)
    world.write(0)
    path = poison(tmp_path / "production" / "00a.parquet", "segv")
    with world.session() as (_session, monitor):
        (first,) = outcomes(world.run(monitor, [24.5]))
        assert (first.verdicts[0].rows, quarantined(first)) == (1_000, ["00a.parquet"])
        assert outcomes(world.run(monitor, [25, 26, 27])) == []
        pq.write_table(rows(PRODUCTION, 700, 9), path)
        lost = len(starts)
        world.run(monitor, [28])
        late = monitor.history.late_parts.of_window("m", None, world.end(0))
        window = monitor.check(world.window(0), FIRST + 2 * DAY, record=False).verdicts[0]
        assert (window.rows, window.rejected_files) == (1_700, ())
        assert len(late) == 1, "its rows were not found"
        assert len(starts) == lost


def test_a_poisoned_file_that_is_poison_again_is_named_again(tmp_path: Path) -> None:
    world = LateWorld(tmp_path)
    world.write(0)
    path = poison(tmp_path / "production" / "00a.parquet", "segv")
    with world.session() as (_session, monitor):
        world.run(monitor, [24.5])
        poison(path, "segv", count=900)
        again = monitor.check(world.window(0), FIRST + 2 * DAY, record=False)
        assert (again.verdicts[0].rows, quarantined(again)) == (1_000, ["00a.parquet"])


@pytest.mark.parametrize("has_other_days", [False, True])
def test_a_window_whose_only_file_is_poison_is_an_error_that_names_it(
    tmp_path: Path, has_other_days: bool
) -> None:
    """Alone in its source nothing tells it from a sick machine: it is tried again, and not left out."""
    world = LateWorld(tmp_path)
    poison(tmp_path / "production" / "00a.parquet", "segv")
    if has_other_days:
        world.write(1)
    with world.session() as (_session, monitor):
        (outcome,) = outcomes(world.run(monitor, [24.5]))
    (verdict,) = outcome.verdicts
    assert verdict.state is State.SOURCE_ERROR
    assert outcome.failure is (Reason.ALL_FILES_UNREADABLE if has_other_days else Reason.READER_DIED)
    assert "00a.parquet" in verdict.detail
    assert quarantined(outcome) == (["00a.parquet"] if has_other_days else [])


def test_several_files_are_found_one_after_the_other(tmp_path: Path) -> None:
    world = LateWorld(tmp_path)
    world.write(0)
    for name in "abc":
        poison(tmp_path / "production" / f"00{name}.parquet", "segv")
    with world.session() as (_session, monitor):
        (outcome,) = outcomes(world.run(monitor, [24.5]))
    assert outcome.verdicts[0].rows == 1_000
    assert quarantined(outcome) == [f"00{name}.parquet" for name in "abc"]


def test_a_poisoned_file_among_the_references_is_noted(tmp_path: Path) -> None:
    world = LateWorld(tmp_path)
    (tmp_path / "references").mkdir()
    (tmp_path / "reference.parquet").rename(tmp_path / "references" / "a.parquet")
    poison(tmp_path / "references" / "b.parquet", "segv")
    world.configure({"reference": {"path": str(tmp_path / "references" / "*"), "time_column": "ts"}})
    for _ in range(2):
        with world.session() as (_session, monitor):
            provenance = monitor.reference.provenance
            built_at = provenance.built_at
            assert provenance.files == 1
            assert any("b.parquet: quarantined" in note for note in provenance.notes)
            world.clock.set(world.clock.now() + DAY)
    with world.session() as (_session, monitor):
        assert monitor.reference.provenance.built_at == built_at, "it was built again"


def source(folder: Path) -> FilesConfig:
    return FilesConfig(type="files", path=str(folder / "*.parquet"), time_column="ts")


@pytest.fixture
def pool() -> Iterator[ReaderPool]:
    pool = ReaderPool(1)
    yield pool
    pool.close()


def counted(pool: ReaderPool, folder: Path, seconds: float = LIMIT) -> int:
    counts = pool.row_counts(source(folder), 86_400, seconds=seconds, memory=1 << 30)
    return sum(counts.values())


def good(folder: Path, *names: str, **metadata: str) -> None:
    for place, name in enumerate(names):
        table = rows(PRODUCTION, 100, place).replace_schema_metadata(metadata)
        pq.write_table(table, folder / f"{name}.parquet")


@pytest.mark.parametrize("fault", ["hang", "kill"])
def test_a_file_that_stops_its_reader_is_left_out_if_the_others_are_read_well(
    tmp_path: Path, pool: ReaderPool, fault: str
) -> None:
    good(tmp_path, "a", "c")
    poison(tmp_path / "b.parquet", fault)
    assert counted(pool, tmp_path, 5.0) == 200


def test_a_file_that_changes_while_it_is_searched_for_is_left_out(
    tmp_path: Path, pool: ReaderPool, starts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is being written does: at each look it has another size and time."""
    good(tmp_path, "a", "c")
    path = poison(tmp_path / "b.parquet", "segv")
    start = Reader.start

    def grown() -> Reader:
        with path.open("ab") as file:
            file.write(b"more")
        return start()

    monkeypatch.setattr(Reader, "start", grown)
    assert counted(pool, tmp_path, 20.0) == 200
    assert len(starts) == 3


def test_a_real_file_that_ends_arrow_is_left_out(tmp_path: Path, pool: ReaderPool) -> None:
    """Two flipped bytes of a footer end pyarrow 26 by SIGABRT; a later one may refuse them as any damage."""
    content = (Path(__file__).parent / "files" / "sigabrt.parquet").read_bytes()
    moments = pa.array([0] * 100, pa.timestamp("us"))
    for name in ("a", "c"):
        pq.write_table(pa.table({"t": moments, "a": [1.0] * 100}), tmp_path / f"{name}.parquet")
    (tmp_path / "b.parquet").write_bytes(content)
    config = FilesConfig(type="files", path=str(tmp_path / "*.parquet"), time_column="t")
    for _ in range(2):
        files_read = FilesRead()
        with suppress(PieceLeftOut):
            batches = pool.batches(config, None, seconds=LIMIT, memory=1 << 30, files_read=files_read)
            assert sum(batch.num_rows for batch in batches) == 200
    assert [item.name for item in files_read.rejected] == ["b.parquet"]
    assert files_read.files == 2


@pytest.mark.parametrize("seconds", [1.2, 600])
def test_a_slow_disk_blames_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Each alone is in time, or none is."""
    monkeypatch.setenv("PYTHON_FAULT_SECONDS", str(seconds))
    good(tmp_path, "a", "b", "c", "d", fault="FAULT-slow")
    quarantine, limit = Quarantine(), 3.0
    pool = ReaderPool(1, quarantine=quarantine)
    try:
        for _ in range(2):
            with pytest.raises(SourceTimeout, match=r"\.parquet open"):
                counted(pool, tmp_path, limit)
            assert quarantine.of(source_key(source(tmp_path)), limit, 1 << 30) == {}
    finally:
        pool.close()


def test_a_disk_that_hangs_amid_a_read_blames_no_file(tmp_path: Path) -> None:
    """The file that was open fails alone, and many before it were read well; but they are no more."""
    good(tmp_path, "a", "b", "c", "d", "e", "f", fault="FAULT-fine")
    good(tmp_path, "g", fault="FAULT-turn")
    quarantine, limit = Quarantine(), 3.0
    pool = ReaderPool(1, quarantine=quarantine)
    try:
        with pytest.raises(SourceTimeout, match=r"g\.parquet open"):
            counted(pool, tmp_path, limit)
        assert quarantine.of(source_key(source(tmp_path)), limit, 1 << 30) == {}
    finally:
        pool.close()


def test_a_request_that_every_file_fails_blames_none(
    tmp_path: Path, pool: ReaderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bug of a counter does, or a plan too large for the memory."""
    plan = Plan(columns=(), grids={}, time_column="ts")
    good(tmp_path, "a", "b")
    with pytest.raises(ReaderDied, match="reader failed unexpectedly"):
        pool.tiles(plan, source(tmp_path), [FIRST, FIRST], seconds=LIMIT, memory=1 << 30, rows=10**6)
    assert counted(pool, tmp_path) == 200


def test_rows_that_are_streamed_say_to_read_again_without_the_file(tmp_path: Path, pool: ReaderPool) -> None:
    good(tmp_path, "a", "c")
    poison(tmp_path / "b.parquet", "segv")
    limits = {"seconds": LIMIT, "memory": 1 << 30}
    with pytest.raises(ReaderDied, match=r"b\.parquet: read again"):
        list(pool.batches(source(tmp_path), None, **limits))  # type: ignore[arg-type]
    batches = list(pool.batches(source(tmp_path), None, **limits))  # type: ignore[arg-type]
    assert pa.Table.from_batches(batches).num_rows == 200
    extent = pool.extent(source(tmp_path), **limits)  # type: ignore[arg-type]
    assert extent is not None
    assert pool.newest(source(tmp_path), extent.end, **limits) == extent.end - 1  # type: ignore[arg-type]


def test_other_limits_try_a_file_again(tmp_path: Path, pool: ReaderPool, starts: list[int]) -> None:
    good(tmp_path, "a")
    poison(tmp_path / "b.parquet", "segv")
    assert counted(pool, tmp_path) == 100
    lost = len(starts)
    assert counted(pool, tmp_path) == 100
    assert len(starts) == lost
    assert counted(pool, tmp_path, LIMIT + 1) == 100
    assert len(starts) > lost
