"""A source that hangs, in listing too, takes a limit of time and one process, and hides no other source."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from driftwatch.cli import main
from driftwatch.engines.local.pool import ReaderPool
from driftwatch.engines.local.readers import reader_handle
from driftwatch.engines.local.readers.reader_handle import Reader
from driftwatch.errors import ReaderDied, SourceTimeout
from driftwatch.sources.files import FilesConfig
from driftwatch.sources.sql import SqlConfig

FAULTS = Path(__file__).parents[1] / "support" / "faulty_readers"
MEMORY = 1 << 30
#: Seconds of a read that hangs, and of one that does not on a loaded machine.
SHORT, LONG = 1.5, 60.0


@pytest.fixture(autouse=True)
def _faulty_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAULTS), os.environ.get("PYTHONPATH", "")]))


def share(folder: Path, name: str) -> FilesConfig:
    path = folder / name
    path.mkdir()
    pq.write_table(pa.table({"t": ["2026-01-01T00:00:00Z"], "x": [1.0]}), path / "a.parquet")
    return FilesConfig(type="files", path=str(path), time_column="t")


def test_a_listing_that_hangs_is_a_time_out_of_every_call(tmp_path: Path) -> None:
    source = share(tmp_path, "hanging-share")
    pool = ReaderPool(1)
    try:
        for call in (
            lambda: pool.versions(source, [None], seconds=SHORT, memory=MEMORY),
            lambda: pool.extent(source, seconds=SHORT, memory=MEMORY),
            lambda: pool.newest(source, 1 << 62, seconds=SHORT, memory=MEMORY),
            lambda: pool.row_counts(source, 60, seconds=SHORT, memory=MEMORY),
            lambda: list(pool.batches(source, None, seconds=SHORT, memory=MEMORY)),
        ):
            with pytest.raises(SourceTimeout, match=r"hanging-share: .*limits\.seconds"):
                call()
    finally:
        pool.close()


@pytest.mark.parametrize("verb", ["init", "compare"])
def test_a_verb_reads_files_in_a_process_with_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    path = str(share(tmp_path, "hanging-share").path)
    words = ["init", path, "--current", path] if verb == "init" else ["compare", path, path]
    monkeypatch.setattr("driftwatch.cli.verbs._one_off_files.SECONDS", SHORT)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 3
    assert "limits.seconds" in result.output


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"table": "scores"}, "table 'scores': "),
        ({"query": "SELECT t,\n x FROM scores"}, "query 'SELECT t, x FROM scores': "),
    ],
)
def test_a_database_that_hangs_is_told_with_its_query(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    """And one whose reader dies."""
    source = SqlConfig(type="sql", url=f"sqlite:///{tmp_path}/s.db", time_column="t", **settings)  # type: ignore[arg-type]
    pool = ReaderPool(1)
    try:
        for number, error in ((signal.SIGSTOP, SourceTimeout), (signal.SIGSEGV, ReaderDied)):
            pool.ping()
            os.kill(pool.processes.idle[0].process.pid, signal.SIGSTOP)
            if number is signal.SIGSEGV:
                threading.Timer(0.3, os.kill, (pool.processes.idle[0].process.pid, number)).start()
                threading.Timer(0.4, os.kill, (pool.processes.idle[0].process.pid, signal.SIGCONT)).start()
            with pytest.raises(error, match=f"^{re.escape(words)}"):
                pool.versions(source, [None], seconds=SHORT, memory=MEMORY)
    finally:
        pool.close()


class Unkillable:
    """A process that a signal does not end, as one in the kernel of a dead share."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.is_freed = False

    def kill(self) -> None:
        if self.is_freed:
            self.process.kill()

    def wait(self, seconds: float | None = None) -> int:
        if not self.is_freed:
            raise subprocess.TimeoutExpired("reader", seconds or 0.0)
        return self.process.wait(seconds)

    def __getattr__(self, name: str) -> object:
        return getattr(self.process, name)


def test_a_reader_that_cannot_be_killed_is_one_and_blocks_its_source_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, well = share(tmp_path, "hanging-share"), share(tmp_path, "share")
    processes: list[Unkillable] = []
    start = Reader.start

    def unkillable() -> Reader:
        reader = start()
        processes.append(Unkillable(reader.process))
        reader.process = processes[-1]  # type: ignore[assignment]
        return reader

    monkeypatch.setattr(Reader, "start", unkillable)
    monkeypatch.setattr(reader_handle.os, "killpg", lambda _group, _signal: None)
    monkeypatch.setattr(reader_handle, "END_SECONDS", 0.1)
    pool = ReaderPool(1)
    try:
        with pytest.raises(SourceTimeout, match=r"limits\.seconds"):
            pool.versions(hanging, [None], seconds=SHORT, memory=MEMORY)
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(SourceTimeout, match=f"process {processes[0].pid}.*cannot be killed"):
                pool.versions(hanging, [None], seconds=LONG, memory=MEMORY)
            assert time.monotonic() - started < SHORT
        assert len(pool.versions(well, [None], seconds=LONG, memory=MEMORY)) == 1
        assert len(processes) == 2, "a process is lost to a share once"
        processes[0].is_freed = True
        processes[0].process.kill()
        processes[0].process.wait()
        with pytest.raises(SourceTimeout, match=r"limits\.seconds"):
            pool.versions(hanging, [None], seconds=SHORT, memory=MEMORY)
        assert len(processes) == 2
    finally:
        for item in processes:
            item.is_freed = True
        pool.close()
        for item in processes:
            item.process.kill()
            item.process.wait()
