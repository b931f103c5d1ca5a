"""Real child processes on real files: what they answer, and what is left when they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plugin_folder import installed_plugins

from driftwatch.core import plugins
from driftwatch.core.schema import Column, Kind, Span
from driftwatch.decoders.base import UndecodableMessages, UndecodableReason
from driftwatch.engines.local.count import summarise
from driftwatch.engines.local.pool import FilesRead, ReaderPool, TilesRead
from driftwatch.errors import DataError, ReaderDied, SchemaMismatch, SourceTimeout, SourceUnavailable
from driftwatch.results.results import FileProblem
from driftwatch.sources.files import FilesConfig, open_source
from driftwatch.summary.grid import LevelGrid, numeric_grid
from driftwatch.summary.plan import Plan, Segmentation
from driftwatch.summary.serial import encode_summary, with_fingerprint

DAY = 86400 * 10**9
MIB = 1 << 20
LIMITS: dict[str, Any] = {"seconds": 60.0, "memory": 1 << 30}


def plan(salt: int = 0, **changes: Any) -> Plan:
    settings: dict[str, Any] = {
        "columns": (Column(name="x", kind=Kind.NUMERIC), Column(name="c", kind=Kind.CATEGORICAL)),
        "grids": {"x": numeric_grid(np.linspace(0, 1, 500)), "c": LevelGrid(levels=("a",))},
        "identity_columns": ("t",),
        "time_column": "t",
        "segmentation": Segmentation(column="c", levels=("a",)),
        "salt": salt,
    }
    return with_fingerprint(Plan(**(settings | changes)))


PLAN = plan()


def config(path: Path | str, **changes: Any) -> FilesConfig:
    return FilesConfig(**({"type": "files", "path": str(path), "time_column": "t"} | changes))


def write(path: Path, day: int, rows: int = 100, **options: Any) -> Path:
    rng = np.random.default_rng(day)
    times = pa.array(day * DAY + rng.integers(0, DAY, rows)).cast(pa.timestamp("ns"))
    table = pa.table({"t": times, "x": rng.random(rows), "c": pa.array(rng.choice(["a", "b"], rows))})
    pq.write_table(table, path, **options)
    return path


def read(pool: ReaderPool, source: FilesConfig, edges: list[int], **changes: Any) -> TilesRead:
    return pool.tiles(PLAN, source, edges, **(LIMITS | {"rows": 10**8} | changes))


def children() -> set[int]:
    """Our own children, zombies included."""
    pids: set[int] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended since it was listed
            pids |= {int(pid) for pid in (task / "children").read_text().split()}
    return pids


def busy(pool: ReaderPool) -> int:
    """The process id of a child at work, as soon as there is one."""
    for _ in range(2000):
        for reader in list(pool.processes.busy):
            return reader.process.pid
        time.sleep(0.005)
    raise AssertionError("no child is at work")


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    initial_pids = children()
    pool = ReaderPool(1)
    yield pool
    pool.close()
    assert children() <= initial_pids


def test_tiles_are_what_this_process_would_have_counted(pool: ReaderPool, tmp_path: Path) -> None:
    for day in (1, 2):
        write(tmp_path / f"{day}.parquet", day)
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    source, edges = config(tmp_path / "*.parquet"), [DAY, 2 * DAY, 3 * DAY, 4 * DAY]
    got = read(pool, source, edges)
    mine = summarise(PLAN, open_source(source).read(None, None).batches, edges)
    assert {key: encode_summary(part) for key, part in got.tiles.items()} == {
        key: encode_summary(part) for key, part in mine.tiles.items()
    }
    assert (got.rows, got.files, got.untimed_rows, got.unchanged) == (200, 2, 0, False)
    assert got.newest_row == mine.newest_row
    assert [(item.name, item.problem) for item in got.rejected] == [("cut.parquet", FileProblem.HALF_WRITTEN)]
    assert got.tiles[3 * DAY, None].rows == 0


def test_tiles_come_without_sums_and_samples_when_nobody_reads_them(pool: ReaderPool, tmp_path: Path) -> None:
    source, edges = config(write(tmp_path / "1.parquet", 1)), [DAY, 2 * DAY]
    whole = read(pool, source, edges).tiles[DAY, None]
    bare = read(pool, source, edges, sums=False, sample=False).tiles[DAY, None]
    assert whole.sample is not None
    assert (bare.sample, bare.sums) == (None, None)
    assert (bare.rows, bare.counts) == (whole.rows, whole.counts)


def test_another_engine_and_a_decoder_run_in_the_child(tmp_path: Path) -> None:
    bodies = ['{"x": 0.5, "c": "a"}\n{"x": 7}', "{", None, '{"c": {}, "x": 1}', "[]"]
    times = pa.array([DAY, DAY + 1, DAY + 2, 2 * DAY, 9 * DAY]).cast(pa.timestamp("ns"))
    pq.write_table(pa.table({"t": times, "body": bodies}), tmp_path / "messages.parquet")
    source, edges = config(tmp_path), [DAY, 2 * DAY, 3 * DAY]
    groups = {
        "driftwatch.engines": {"plain": "plain_engine"},
        "driftwatch.decoders": {"lines": "lines_decoder"},
    }
    with installed_plugins(groups):
        decode = plugins.load("decoders", "lines").CONFIG(type="lines", column="body")
        engine = plugins.load("engines", "plain").CONFIG()
        pool = ReaderPool(1)
        try:
            local = read(pool, source, edges, decode=decode)
            plain = read(pool, source, edges, decode=decode, engine=engine)
            [version] = read(pool, source, edges[:2], engine=engine, decode=decode).versions
        finally:
            pool.close()
    assert {key: part.rows for key, part in local.tiles.items()} == {
        (DAY, None): 2, (DAY, "a"): 1, (DAY, "other"): 1, (2 * DAY, None): 1, (2 * DAY, "other"): 1,
    }  # fmt: skip
    assert local.tiles[2 * DAY, None].counts["c"].wrong_type == 1
    assert local.undecodable == tuple(
        UndecodableMessages(start=DAY, reason=reason, messages=1)
        for reason in (UndecodableReason.EMPTY, UndecodableReason.SYNTAX)
    ), "the last one belongs to another time"
    assert local.tiles[DAY, None].sample is not None
    assert {key: encode_summary(part) for key, part in plain.tiles.items()} == {
        key: encode_summary(replace(part, sample=None, sums=None)) for key, part in local.tiles.items()
    }
    for name in ("rows", "newest_row", "untimed_rows", "undecodable", "files", "rejected"):
        assert getattr(plain, name) == getattr(local, name)
    assert version == open_source(source).version(Span(start=DAY, end=2 * DAY))


def test_tiles_of_a_known_version_are_not_read_again(pool: ReaderPool, tmp_path: Path) -> None:
    for day in (1, 2, 3):
        folder = tmp_path / f"date=1970-01-0{day + 1}"
        folder.mkdir()
        write(folder / "a.parquet", day)
    source, edges = config(tmp_path / "**" / "*.parquet"), [DAY, 2 * DAY, 3 * DAY, 4 * DAY]
    first = read(pool, source, edges, stored_versions=[None] * 3)
    assert {start for start, _ in first.tiles} == {DAY, 2 * DAY, 3 * DAY}
    assert first.versions == tuple(
        open_source(source).version(Span(start=day * DAY, end=(day + 1) * DAY)) for day in (1, 2, 3)
    )
    assert len(set(first.versions)) == 3
    second = read(pool, source, edges, stored_versions=first.versions)
    assert (second.unchanged, second.tiles, second.rows, second.versions) == (True, {}, 0, first.versions)
    (tmp_path / "date=1970-01-03" / "a.parquet").write_bytes(b"PAR1 and no more")
    outer = read(pool, source, edges, stored_versions=[None, second.versions[1], "another"])
    assert {start for start, _ in outer.tiles} == {DAY, 2 * DAY, 3 * DAY}
    between = read(pool, source, edges, stored_versions=[None, outer.versions[1], "another"])
    assert (between.rows, between.files, between.rejected) == (200, 2, ())
    assert {start for start, _ in between.tiles} == {DAY, 3 * DAY}
    assert read(pool, source, [DAY, 2 * DAY]).versions == first.versions[:1]
    assert read(pool, source, edges).versions == (), "nobody asked"


def test_more_plans_than_a_child_remembers(pool: ReaderPool, tmp_path: Path) -> None:
    source = config(write(tmp_path / "a.parquet", 1))
    plans = [plan(salt) for salt in range(12)]
    for item in [*plans, *plans[::-1], plans[5]]:
        got = pool.tiles(item, source, [DAY, 2 * DAY], rows=1000, **LIMITS)
        assert got.tiles[DAY, None].plan == item.fingerprint


def test_a_child_that_forgot_a_plan_is_sent_it_again(pool: ReaderPool, tmp_path: Path) -> None:
    source = config(write(tmp_path / "a.parquet", 1))
    pool.ping()
    pool.processes.idle[0].plans[plan(99).fingerprint] = None
    assert pool.tiles(plan(99), source, [DAY, 2 * DAY], rows=1000, **LIMITS).rows == 100


def test_extent_version_and_rows(pool: ReaderPool, tmp_path: Path) -> None:
    source = config(write(tmp_path / "a.parquet", 1, rows=200_000))
    extent = pool.extent(source, **LIMITS)
    assert extent == open_source(source).extent()
    spans = [None, Span(start=0, end=DAY)]
    assert pool.versions(source, spans, **LIMITS) == open_source(source).versions(spans)
    batches = list(pool.batches(source, None, **LIMITS))
    got = pa.Table.from_batches([batch.select(["t", "x"]) for batch in batches])
    assert got.equals(pq.read_table(source.path, columns=["t", "x"]))
    assert {str(kind) for batch in batches for kind in batch.schema.types if "dictionary" in str(kind)}
    x_batches = list(pool.batches(source, ["x"], **LIMITS))
    assert "c" not in x_batches[0].schema.names


def test_rows_may_be_left_half_read_and_say_what_was_left_out(pool: ReaderPool, tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 1, rows=300_000, row_group_size=50_000)
    (tmp_path / "b.parquet").touch()
    rows = pool.batches(config(tmp_path / "*.parquet"), None, **LIMITS)
    assert next(rows).num_rows > 0
    rows.close()
    files_read = FilesRead()
    assert sum(
        batch.num_rows for batch in pool.batches(config(tmp_path), None, files_read=files_read, **LIMITS)
    )
    assert files_read.files == 1
    assert [item.problem for item in files_read.rejected] == [FileProblem.EMPTY]


def test_errors_of_the_source_keep_their_type_text_and_child(pool: ReaderPool, tmp_path: Path) -> None:
    pool.ping()
    initial_pids = children()
    with pytest.raises(SourceUnavailable, match="expected at least one file"):
        read(pool, config(tmp_path / "*.parquet"), [DAY, 2 * DAY])
    with pytest.raises(SchemaMismatch, match="expected a time_column"):
        pool.extent(config(write(tmp_path / "a.parquet", 1), time_column=None), **LIMITS)
    with pytest.raises(DataError, match="expected at most 99 rows"):
        read(pool, config(tmp_path), [DAY, 2 * DAY], rows=99)
    assert children() == initial_pids


def test_a_child_past_its_deadline_is_killed(pool: ReaderPool, tmp_path: Path) -> None:
    source = config(write(tmp_path / "a.parquet", 1))
    pool.ping()
    (pid,) = (reader.process.pid for reader in pool.processes.idle)
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(SourceTimeout, match=r"limits\.seconds"):
        read(pool, source, [DAY, 2 * DAY], seconds=0.3)
    assert time.monotonic() - started < 2.0
    assert pid not in children()
    assert read(pool, source, [DAY, 2 * DAY]).rows == 100


def test_a_child_that_is_killed_at_work_is_replaced(pool: ReaderPool, tmp_path: Path) -> None:
    source = config(write(tmp_path / "a.parquet", 1))
    pool.ping()
    (pid,) = (reader.process.pid for reader in pool.processes.idle)
    os.kill(pid, signal.SIGSTOP)
    killer = threading.Thread(target=lambda: os.kill(busy(pool), signal.SIGKILL))
    killer.start()
    with pytest.raises(ReaderDied, match="SIGKILL"):
        read(pool, source, [DAY, 2 * DAY])
    killer.join()
    assert pid not in children()
    assert read(pool, source, [DAY, 2 * DAY]).rows == 100


def test_a_child_that_died_while_idle_is_not_noticed(pool: ReaderPool, tmp_path: Path) -> None:
    source = config(write(tmp_path / "a.parquet", 1))
    pool.ping()
    pid = pool.processes.idle[0].process.pid
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert read(pool, source, [DAY, 2 * DAY]).rows == 100
    assert pid not in children()


def bomb(path: Path) -> Path:
    """A file of some kilobytes that holds one value of 200 MB, ten thousand times."""
    values = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(10_000, np.int32)), pa.array(["x" * 200_000_000])
    )
    times = pa.array([DAY] * 10_000).cast(pa.timestamp("ns"))
    pq.write_table(
        pa.table({"t": times, "c": values, "x": pa.array([1.0] * 10_000)}),
        path,
        compression="zstd",
        write_statistics=False,
    )
    assert path.stat().st_size < MIB
    return path


def test_a_memory_bomb_is_contained_and_named(pool: ReaderPool, tmp_path: Path) -> None:
    bomb(tmp_path / "bomb.parquet")
    write(tmp_path / "good.parquet", 1)
    got = read(pool, config(tmp_path), [DAY, 2 * DAY], memory=256 * MIB)
    assert [(item.name, item.problem) for item in got.rejected] == [("bomb.parquet", FileProblem.TOO_LARGE)]
    assert "limits.memory" in got.rejected[0].detail
    assert got.rows == 100


def test_a_child_out_of_memory_says_which_limit_and_is_replaced(pool: ReaderPool, tmp_path: Path) -> None:
    source = config(write(tmp_path / "a.parquet", 1, rows=2_000))
    levels = tuple(f"{place:0>300}" for place in range(120_000))
    huge = plan(grids={**PLAN.grids, "c": LevelGrid(levels=levels)})
    pool.ping()
    initial_pids = children()
    with pytest.raises(ReaderDied, match=r"more than the 16 MiB that limits\.memory allows \(beside \d+ MiB"):
        pool.tiles(huge, source, [DAY, 2 * DAY], rows=10**6, seconds=60, memory=16 * MIB)
    assert not children() & initial_pids
    assert read(pool, source, [DAY, 2 * DAY]).rows == 2_000


def test_a_crash_of_the_source_names_its_kind_and_no_row(pool: ReaderPool, tmp_path: Path) -> None:
    source = config(write(tmp_path / "a.parquet", 1))
    with pytest.raises(ReaderDied, match=r"ValueError at count\.py"):
        read(pool, source, [2 * DAY, DAY])
    assert read(pool, source, [DAY, 2 * DAY]).rows == 100


def test_calls_wait_for_a_free_child_and_close_ends_them(tmp_path: Path) -> None:
    initial_pids = children()
    pool = ReaderPool(1, spare=1)
    source = config(write(tmp_path / "a.parquet", 1))
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(read(pool, source, [DAY, 2 * DAY]).rows))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [100] * 4
    assert len(children() - initial_pids) <= 2
    failures: list[Exception] = []

    def stuck() -> None:
        try:
            read(pool, source, [DAY, 2 * DAY])
        except ReaderDied as error:
            failures.append(error)

    for reader in pool.processes.idle:
        os.kill(reader.process.pid, signal.SIGSTOP)
    waiting = threading.Thread(target=stuck)
    waiting.start()
    busy(pool)
    started = time.monotonic()
    pool.close(0.2)
    waiting.join()
    assert time.monotonic() - started < 3.0
    assert children() <= initial_pids
    assert "closed" in str(failures[0])
    with pytest.raises(ReaderDied, match="closed"):
        pool.ping()
    pool.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_children_die_with_their_parent_but_not_with_the_thread_that_asked(tmp_path: Path) -> None:
    program = """
        import os, signal, threading
        from driftwatch.engines.local.pool import ReaderPool
        pool = ReaderPool(1)
        thread = threading.Thread(target=pool.ping)
        thread.start(); thread.join()
        pool.ping()
        child = pool.processes.idle[0]
        os.kill(child.process.pid, signal.SIGSTOP)
        print(child.process.pid, child.alive, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    pid, was_alive = ran.stdout.split()
    assert was_alive == "True", ran.stderr
    ends = time.monotonic() + 5
    while alive(int(pid)) and time.monotonic() < ends:
        time.sleep(0.02)
    assert not alive(int(pid))


def test_a_child_keeps_its_limits_and_its_output_to_itself(pool: ReaderPool, tmp_path: Path) -> None:
    read(pool, config(write(tmp_path / "a.parquet", 1)), [DAY, 2 * DAY])
    pid = pool.processes.idle[0].process.pid
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if "core file" in line).split()[4] == "0"
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
    assert os.getpgid(pid) == pid
    assert "pandas" not in Path(f"/proc/{pid}/maps").read_text()
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert str(tmp_path).encode() not in command


def test_a_module_in_the_working_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyarrow.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    pool = ReaderPool(1)
    try:
        pool.ping()
    finally:
        pool.close()
