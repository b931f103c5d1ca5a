"""Wide windows, from a Parquet file and from memory to the decided verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Line, Options, measure_time, peak
from worlds import HOUR, START, UNIVARIATE, World, cached_parquet, levels, numbers, world

from driftwatch.core.memory import retain_freed_memory
from driftwatch.core.plugins import load
from driftwatch.core.schema import Span
from driftwatch.engines.local.child import REUSED_MEGABYTES

ROWS, COLUMNS = 1_000_000, 100


def open_file_source(path: Path) -> Any:
    module = load("sources", "files")
    settings = {"type": "files", "path": str(path), "time_column": "at", "unfinished": 0}
    return module.open_source(module.CONFIG.model_validate(settings))


def check_window(monitor: World, path: Path, *, sample: bool = False) -> None:
    """Read, summarise and judge one window, as a reader and the daemon do."""
    names = [column.name for column in monitor.build.reference.plan.columns]
    reading = open_file_source(path).read(Span(start=START, end=START + HOUR), [*names, "at"])
    monitor.judge(monitor.summary(reading.batches, sample=sample))


def _sampling_seconds(monitor: World, path: Path, options: Options) -> float:
    """CPU seconds of the same check where the row sample hashes each row over all of its columns."""
    return measure_time(lambda: check_window(monitor, path, sample=True), options.runs).cpu


def decode(path: Path, texts: list[str] | None = None) -> None:
    """Decode every batch of the file."""
    parquet = pq.ParquetFile(path, read_dictionary=texts)
    for _ in parquet.iter_batches(batch_size=1 << 16, use_threads=False):
        pass


def sort_columns(batches: list[pa.RecordBatch]) -> None:
    """Sort each whole column once, nulls filled."""
    table = pa.Table.from_batches(batches)
    for name in table.column_names[1:]:
        values = np.concatenate([part.to_numpy(zero_copy_only=False) for part in table[name].chunks])
        values.sort()


def _sort_work(kind: type) -> Callable[[], None]:
    """Work that sorts each column once; the columns are laid out in advance."""
    table = pa.Table.from_batches(numbers(ROWS, COLUMNS, seed=2, kind=kind))
    columns = [np.ascontiguousarray(table[name].to_numpy()) for name in table.column_names[1:]]
    buffer = np.empty_like(columns[0])

    def work() -> None:
        for column in columns:
            np.copyto(buffer, column)
            buffer.sort()

    return work


def _count_work(path: Path, texts: list[str]) -> Callable[[], None]:
    """Work that counts the codes of each column once; the codes are laid out in advance."""
    table = pq.read_table(path, columns=texts, read_dictionary=texts).unify_dictionaries()
    columns = []
    for name in texts:
        parts = [part.indices.fill_null(0).to_numpy() for part in table[name].chunks]
        columns.append([part.astype(np.int64) for part in parts])

    def work() -> None:
        for column in columns:
            for codes in column:
                np.bincount(codes)

    return work


def _from_parquet(kind: type, name: str, options: Options) -> Line:
    retain_freed_memory(REUSED_MEGABYTES)
    path = cached_parquet(f"wide-{name}", lambda: numbers(ROWS, COLUMNS, seed=2, kind=kind))
    monitor = world(COLUMNS, detectors=UNIVARIATE)
    peak_mib = peak(lambda: check_window(monitor, path))
    timing = measure_time(lambda: check_window(monitor, path), options.runs)
    decode_timing, sort_timing = (
        measure_time(lambda: decode(path), options.runs),
        measure_time(_sort_work(kind), options.runs),
    )
    floor = decode_timing.cpu + sort_timing.cpu
    target = 1.3 * floor
    return Line(
        name=f"wide.{name}",
        what=f"{ROWS:,} x {COLUMNS} {name}, Parquet to verdict, univariate",
        value=timing.cpu,
        target=target,
        floor=floor,
        floor_is="decode + one sort per column",
        wall=timing.wall,
        mib=peak_mib,
        beside={
            "decode": decode_timing.cpu,
            "sort": sort_timing.cpu,
            "with the row sample that joint statistics take": _sampling_seconds(monitor, path, options),
            "wall / CPU": timing.wall / timing.cpu,
            "MiB allowed": 350,
        },
    )


def wide_float64(options: Options) -> Iterator[Line]:
    """Point 1."""
    yield _from_parquet(np.float64, "float64", options)


def wide_float32(options: Options) -> Iterator[Line]:
    """Point 1, single precision."""
    yield _from_parquet(np.float32, "float32", options)


def wide_memory(options: Options) -> Iterator[Line]:
    """Point 1 without the file; and ``compare``, which is exact to the last row."""
    from driftwatch import compare

    batches = numbers(ROWS, COLUMNS, seed=2)
    monitor = world(COLUMNS, detectors=UNIVARIATE)
    timing = measure_time(lambda: monitor.judge(monitor.summary(iter(batches))), options.runs)
    sort_timing = measure_time(_sort_work(np.float64), options.runs)
    yield Line(
        name="wide.memory",
        what=f"{ROWS:,} x {COLUMNS} float64, memory to verdict, univariate",
        value=timing.cpu,
        floor=sort_timing.cpu,
        floor_is="one sort per column",
        wall=timing.wall,
    )
    reference = pa.Table.from_batches(numbers(100_000, COLUMNS, seed=1))
    window = pa.Table.from_batches(batches)
    compare_timing = measure_time(
        lambda: compare(reference, window, detectors=["ks", "psi", "js", "wasserstein"]), 1, warm=0
    )
    yield Line(
        name="wide.compare",
        what=f"compare(): 100,000 against {ROWS:,} x {COLUMNS}, exact KS and Wasserstein",
        value=compare_timing.cpu,
        floor=sort_timing.cpu,
        floor_is="one sort per column",
        wall=compare_timing.wall,
    )


def categorical(options: Options) -> Iterator[Line]:
    """Point 3."""
    retain_freed_memory(REUSED_MEGABYTES)
    columns = 20
    path = cached_parquet("levels", lambda: levels(ROWS, columns, seed=2))
    monitor = world(columns, kind="levels", detectors=UNIVARIATE)
    texts = [f"s{column:03}" for column in range(columns)]
    peak_mib = peak(lambda: check_window(monitor, path))
    timing = measure_time(lambda: check_window(monitor, path), options.runs)
    decode_timing, count_timing = (
        measure_time(lambda: decode(path, texts), options.runs),
        measure_time(_count_work(path, texts), options.runs),
    )
    yield Line(
        name="categorical",
        what=f"{columns} x {ROWS:,} strings, 10 to 10,000 levels, Parquet to verdict",
        value=timing.cpu,
        target=0.25,
        floor=decode_timing.cpu + count_timing.cpu,
        floor_is="decoding dictionary codes + one count per column",
        wall=timing.wall,
        mib=peak_mib,
        beside={
            "decode": decode_timing.cpu,
            "count": count_timing.cpu,
            "with the row sample that joint statistics take": _sampling_seconds(monitor, path, options),
        },
    )


LINES = {
    "wide.float64": wide_float64,
    "wide.float32": wide_float32,
    "wide.memory": wide_memory,
    "categorical": categorical,
}
