"""The data of the benchmark: ten kinds of numeric column, four of them with heavy ties, 2 % missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harness import CACHE

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.state import SegmentState
from driftwatch.detectors.base import WindowGauges
from driftwatch.engines.local.count import summarise
from driftwatch.monitor.evaluate import Look, fresh_track, judge, looks
from driftwatch.reference import build_reference
from driftwatch.reference.build import Built
from driftwatch.results.gauges import Gauges
from driftwatch.results.results import Verdict
from driftwatch.sources.base import SourceConfig
from driftwatch.summary.summary import Summary

HOUR = 3600 * NANOSECONDS
START = 1_767_225_600 * NANOSECONDS
MISSING = 0.02
_BATCH = 1 << 16


def values(kind: int, rows: int, random: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One column of ``rows`` values."""
    match kind % 10:
        case 0 | 1:
            return random.standard_normal(rows)
        case 2:
            return np.exp(random.standard_normal(rows))
        case 3:
            return random.standard_t(3, rows)
        case 4:
            return random.uniform(0, 1000, rows)
        case 5:
            return random.gamma(2.0, 3.0, rows)
        case 6:
            return random.standard_normal(rows).round(2)
        case 7:
            return random.poisson(6, rows).astype(np.float64)
        case 8:
            return random.integers(0, 15, rows).astype(np.float64)
        case _:
            return np.where(random.random(rows) < 0.6, 0.0, random.exponential(1.0, rows))


def numbers(
    rows: int, columns: int, *, seed: int, start: int = START, span: int = HOUR, kind: type = np.float64
) -> list[pa.RecordBatch]:
    """Rows of ``columns`` numeric columns with event times evenly over ``[start, start + span)``."""

    def made(column: int, n: int, random: np.random.Generator) -> tuple[str, pa.Array]:
        drawn = values(column, n, random).astype(kind)
        return f"c{column:03}", pa.array(drawn, mask=random.random(n) < MISSING)

    return _batches(rows, columns, made, seed, start, span)


def levels(
    rows: int, columns: int, *, seed: int, start: int = START, span: int = HOUR
) -> list[pa.RecordBatch]:
    """Rows of ``columns`` text columns of 10, 100, 1,000, 10,000, 10, ... levels, Zipf."""
    texts = {
        size: pa.array([f"level-{place:05}" for place in range(size)]) for size in (10, 100, 1000, 10_000)
    }

    def made(column: int, n: int, random: np.random.Generator) -> tuple[str, pa.Array]:
        size = (10, 100, 1000, 10_000)[column % 4]
        codes = np.minimum(random.zipf(1.2, n) - 1, size - 1).astype(np.int32)
        coded = pa.DictionaryArray.from_arrays(pa.array(codes, mask=random.random(n) < MISSING), texts[size])
        return f"s{column:03}", coded.cast(pa.string())

    return _batches(rows, columns, made, seed, start, span)


def _batches(
    rows: int,
    columns: int,
    made: Callable[[int, int, np.random.Generator], tuple[str, pa.Array]],
    seed: int,
    start: int,
    span: int,
) -> list[pa.RecordBatch]:
    """Batches with the time ``at`` and every column that ``made(column, rows, random)`` names and draws."""
    batches = []
    for first in range(0, rows, _BATCH):
        n = min(_BATCH, rows - first)
        random = np.random.default_rng((seed, first))
        at = start + (first + np.arange(n)) * (span // rows)
        data: dict[str, pa.Array] = {"at": pa.array(at.astype("datetime64[ns]"), pa.timestamp("ns", "UTC"))}
        data.update(made(column, n, random) for column in range(columns))
        batches.append(pa.RecordBatch.from_pydict(data))
    return batches


def stored(name: str, batches: Any) -> Path:
    """The rows as a Parquet file (snappy, dictionaries: what pyarrow writes), made once."""
    path = CACHE / f"{name}.parquet"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        draft = path.with_suffix(".draft")
        pq.write_table(pa.Table.from_batches(batches()), draft)
        draft.rename(path)
    return path


def numbers_of(kept: Measurement | Verdict) -> tuple[Gauges, ...]:
    """Every number of every gauge: what a check decides with. Objects and words are made when read."""
    if not isinstance(kept.statistics, WindowGauges):
        raise TypeError("expected gauges that are measured when they are read. Got something else.")
    return kept.statistics.numbers


@dataclass(frozen=True, kw_only=True)
class World:
    """A monitor with its reference, as the daemon holds it."""

    config: MonitorConfig
    built: Built
    looks: tuple[Look, ...]
    segment_state: SegmentState

    def summary(self, batches: Any, start: int = START, *, sample: bool = False) -> Summary:
        """One window's summary, sealed; without joint statistics only with ``sample`` with one of rows."""
        plan = self.built.reference.plan
        joint = self.config.detectors is None
        if not (joint or sample):
            # As readers have it: only the joint statistics need sums of a sample, and rows told apart for it.
            plan = replace(plan, sample_rows=0, carried=())
        return summarise(plan, batches, [start, start + HOUR], seal=joint).tiles[start, None]

    def judge(
        self, window: Summary, segment_state: SegmentState | None = None, *, gauges: bool = True
    ) -> Any:
        """The decision and its verdict, with every number of every gauge unless ``gauges`` is False."""
        found = judge(
            self.built.reference, window, self.looks, segment_state or self.segment_state, self.config,
            segment=None, gauges=gauges,
        )  # fmt: skip
        if gauges:
            numbers_of(found[1])
        return found


@cache
def world(
    columns: int,
    *,
    rows: int = 100_000,
    hours: int = 24,
    kind: str = "numbers",
    detectors: tuple[str, ...] | None = None,
) -> World:
    """A reference of ``rows`` rows over ``hours`` hours before ``START``."""
    make = numbers if kind == "numbers" else levels
    config = MonitorConfig(
        name="bench",
        reference={"path": "memory", "time_column": "at"},
        source=SourceConfig(type="files", time_column="at"),
        window={"length": "1h"},
        detectors=None if detectors is None else list(detectors),
    )
    batches = make(rows, columns, seed=1, start=START - hours * HOUR, span=hours * HOUR)
    built = build_reference(config, lambda: iter(batches), built_at=0, source="memory", files=1)
    chosen = looks(built.reference, config.detectors)
    segment_state = fresh_track(built.reference, built.blocks, chosen, config, "bench")
    return World(config=config, built=built, looks=chosen, segment_state=segment_state)


UNIVARIATE = ("ks", "psi", "js", "wasserstein", "chi2", "tv", "missing", "unseen", "out_of_range", "volume")
