"""Data of the benchmark: ten kinds of numeric column, four with heavy ties; 2 % of the values are missing."""

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
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import WindowGauges
from driftwatch.engines.local.count import summarise
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.initial_state import initial_segment_state
from driftwatch.monitor.evaluation.window_verdict import Decided
from driftwatch.reference import build_reference
from driftwatch.reference.build import ReferenceBuild
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

    def draw_column(column: int, n: int, random: np.random.Generator) -> tuple[str, pa.Array]:
        column_values = values(column, n, random).astype(kind)
        return f"c{column:03}", pa.array(column_values, mask=random.random(n) < MISSING)

    return _batches(rows, columns, draw_column, seed, start, span)


def levels(
    rows: int, columns: int, *, seed: int, start: int = START, span: int = HOUR
) -> list[pa.RecordBatch]:
    """Rows of ``columns`` text columns of 10, 100, 1,000, 10,000, 10, ... levels, Zipf."""
    texts = {
        size: pa.array([f"level-{place:05}" for place in range(size)]) for size in (10, 100, 1000, 10_000)
    }

    def draw_column(column: int, n: int, random: np.random.Generator) -> tuple[str, pa.Array]:
        size = (10, 100, 1000, 10_000)[column % 4]
        codes = np.minimum(random.zipf(1.2, n) - 1, size - 1).astype(np.int32)
        column_values = pa.DictionaryArray.from_arrays(
            pa.array(codes, mask=random.random(n) < MISSING), texts[size]
        )
        return f"s{column:03}", column_values.cast(pa.string())

    return _batches(rows, columns, draw_column, seed, start, span)


def _batches(
    rows: int,
    columns: int,
    draw_column: Callable[[int, int, np.random.Generator], tuple[str, pa.Array]],
    seed: int,
    start: int,
    span: int,
) -> list[pa.RecordBatch]:
    """Batches with the time ``at`` and the columns that ``draw_column(column, rows, random)`` gives."""
    batches = []
    for first in range(0, rows, _BATCH):
        n = min(_BATCH, rows - first)
        random = np.random.default_rng((seed, first))
        times = start + (first + np.arange(n)) * (span // rows)
        data: dict[str, pa.Array] = {
            "at": pa.array(times.astype("datetime64[ns]"), pa.timestamp("ns", "UTC"))
        }
        data.update(draw_column(column, n, random) for column in range(columns))
        batches.append(pa.RecordBatch.from_pydict(data))
    return batches


def cached_parquet(name: str, batches: Any) -> Path:
    """The rows as a Parquet file (snappy, dictionaries: the defaults of pyarrow), written once."""
    path = CACHE / f"{name}.parquet"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        draft = path.with_suffix(".draft")
        pq.write_table(pa.Table.from_batches(batches()), draft)
        draft.rename(path)
    return path


def numbers_of(measurement: Measurement | Verdict) -> tuple[Gauges, ...]:
    """Every number of every gauge, which a check needs; gauge objects and their texts are built when read."""
    if not isinstance(measurement.statistics, WindowGauges):
        raise TypeError("expected gauges that are measured when they are read. Got something else.")
    return measurement.statistics.numbers


@dataclass(frozen=True, kw_only=True)
class World:
    """A monitor with its reference, as in a daemon."""

    config: MonitorConfig
    build: ReferenceBuild
    evaluator: Evaluator
    segment_state: SegmentState

    def summary(self, batches: Any, start: int = START, *, sample: bool = False) -> Summary:
        """One window's sealed summary; without joint statistics it has a row sample only with ``sample``."""
        plan = self.build.reference.plan
        joint = self.config.detectors is None
        if not (joint or sample):
            # As in readers: only joint statistics need sums of a sample, and identity columns for it.
            plan = replace(plan, sample_rows=0, identity_columns=())
        return summarise(plan, batches, [start, start + HOUR], seal=joint).tiles[start, None]

    def judge(
        self, window: Summary, segment_state: SegmentState | None = None, *, gauges: bool = True
    ) -> Decided:
        """The evaluation, with every number of every gauge unless ``gauges`` is False."""
        evaluation = self.evaluator.evaluate(window, segment_state or self.segment_state, gauges=gauges)
        if gauges:
            numbers_of(evaluation.verdict)
        return evaluation


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
    build = build_reference(config, lambda: iter(batches), built_at=0, source="memory", files=1)
    evaluator = Evaluator.from_config(build.reference, config)
    segment_state = initial_segment_state(evaluator.context, build.blocks, evaluator.targets, config, "bench")
    return World(config=config, build=build, evaluator=evaluator, segment_state=segment_state)


UNIVARIATE = ("ks", "psi", "js", "wasserstein", "chi2", "tv", "missing", "unseen", "out_of_range", "volume")
