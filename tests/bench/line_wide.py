"""Wide windows: from a Parquet file, and from memory, to the decided verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Line, Options, peak, timed
from worlds import HOUR, START, UNIVARIATE, World, levels, numbers, stored, world

from driftwatch.core.memory import keep_some
from driftwatch.core.plugins import load
from driftwatch.core.schema import Span
from driftwatch.engines.local.child import KEPT

ROWS, COLUMNS = 1_000_000, 100


def opened(path: Path) -> Any:
    """The file as a source."""
    module = load("sources", "files")
    given = {"type": "files", "path": str(path), "time_column": "at", "unfinished": 0}
    return module.open_source(module.CONFIG.model_validate(given))


def check(one: World, path: Path, *, sample: bool = False) -> None:
    """What a reader and the daemon do with one window: read, summarise, judge."""
    names = [column.name for column in one.built.reference.plan.columns]
    reading = opened(path).read(Span(start=START, end=START + HOUR), [*names, "at"])
    one.judge(one.summary(reading.batches, sample=sample))


def _sampled(one: World, path: Path, options: Options) -> float:
    """The same check by a monitor that has rows told apart too: each is hashed over all of its columns."""
    return timed(lambda: check(one, path, sample=True), options.runs).cpu


def decode(path: Path, texts: list[str] | None = None) -> None:
    """Every batch of the file, and nothing else."""
    parquet = pq.ParquetFile(path, read_dictionary=texts)
    for _ in parquet.iter_batches(batch_size=1 << 16, use_threads=False):
        pass


def sort_columns(batches: list[pa.RecordBatch]) -> None:
    """One sort of each whole column, its holes filled."""
    table = pa.Table.from_batches(batches)
    for name in table.column_names[1:]:
        whole = np.concatenate([part.to_numpy(zero_copy_only=False) for part in table[name].chunks])
        whole.sort()


def _sorted(kind: type) -> Callable[[], None]:
    """Only the sorts are timed: the columns are laid out before."""
    table = pa.Table.from_batches(numbers(ROWS, COLUMNS, seed=2, kind=kind))
    columns = [np.ascontiguousarray(table[name].to_numpy()) for name in table.column_names[1:]]
    room = np.empty_like(columns[0])

    def work() -> None:
        for column in columns:
            np.copyto(room, column)
            room.sort()

    return work


def _counted(path: Path, texts: list[str]) -> Callable[[], None]:
    """One count of the codes of each column: laid out before."""
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
    keep_some(KEPT)
    path = stored(f"wide-{name}", lambda: numbers(ROWS, COLUMNS, seed=2, kind=kind))
    one = world(COLUMNS, detectors=UNIVARIATE)
    most = peak(lambda: check(one, path))
    ours = timed(lambda: check(one, path), options.runs)
    read, order = timed(lambda: decode(path), options.runs), timed(_sorted(kind), options.runs)
    floor = read.cpu + order.cpu
    target = 1.3 * floor
    return Line(
        name=f"wide.{name}",
        what=f"{ROWS:,} x {COLUMNS} {name}, Parquet to verdict, univariate",
        value=ours.cpu,
        target=target,
        floor=floor,
        floor_is="decode + one sort per column",
        wall=ours.wall,
        mib=most,
        beside={
            "decode": read.cpu,
            "sort": order.cpu,
            "with the row sample that joint statistics take": _sampled(one, path, options),
            "wall / CPU": ours.wall / ours.cpu,
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
    """Point 1 without the file, and exact to the last row: what ``compare`` does."""
    from driftwatch import compare

    batches = numbers(ROWS, COLUMNS, seed=2)
    one = world(COLUMNS, detectors=UNIVARIATE)
    ours = timed(lambda: one.judge(one.summary(iter(batches))), options.runs)
    order = timed(_sorted(np.float64), options.runs)
    yield Line(
        name="wide.memory",
        what=f"{ROWS:,} x {COLUMNS} float64, memory to verdict, univariate",
        value=ours.cpu,
        floor=order.cpu,
        floor_is="one sort per column",
        wall=ours.wall,
    )
    before = pa.Table.from_batches(numbers(100_000, COLUMNS, seed=1))
    after = pa.Table.from_batches(batches)
    exact = timed(lambda: compare(before, after, detectors=["ks", "psi", "js", "wasserstein"]), 1, warm=0)
    yield Line(
        name="wide.compare",
        what=f"compare(): 100,000 against {ROWS:,} x {COLUMNS}, exact KS and Wasserstein",
        value=exact.cpu,
        floor=order.cpu,
        floor_is="one sort per column",
        wall=exact.wall,
    )


def categorical(options: Options) -> Iterator[Line]:
    """Point 3."""
    keep_some(KEPT)
    columns = 20
    path = stored("levels", lambda: levels(ROWS, columns, seed=2))
    one = world(columns, kind="levels", detectors=UNIVARIATE)
    texts = [f"s{column:03}" for column in range(columns)]
    most = peak(lambda: check(one, path))
    ours = timed(lambda: check(one, path), options.runs)
    read, count = timed(lambda: decode(path, texts), options.runs), timed(_counted(path, texts), options.runs)
    yield Line(
        name="categorical",
        what=f"{columns} x {ROWS:,} strings, 10 to 10,000 levels, Parquet to verdict",
        value=ours.cpu,
        target=0.25,
        floor=read.cpu + count.cpu,
        floor_is="decoding dictionary codes + one count per column",
        wall=ours.wall,
        mib=most,
        beside={
            "decode": read.cpu,
            "count": count.cpu,
            "with the row sample that joint statistics take": _sampled(one, path, options),
        },
    )


LINES = {
    "wide.float64": wide_float64,
    "wide.float32": wide_float32,
    "wide.memory": wide_memory,
    "categorical": categorical,
}
