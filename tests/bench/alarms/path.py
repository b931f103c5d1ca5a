"""Takes rows through grids, ``Summary.from_batch``, ``initial_segment_state``, ``streams`` and ``decide``.

Files, store and exporter are left out. Where many shifts change the same windows, columns that a shift does
not change are counted once (``Monitor.change``): the sample then has the rows of the healthy window, which
are as uniform a choice as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.config.models import MonitorConfig
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.hashing import hash_levels, hash_numbers, hash_rows
from driftwatch.core.schema import NANOSECONDS, Column, Kind, Span
from driftwatch.core.windows import season_slot
from driftwatch.decide.breakage import breakages
from driftwatch.decide.decision import Decision, decide
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import ReferenceContext, WindowGauges
from driftwatch.monitor.evaluation.carried_rows import carry_over
from driftwatch.monitor.evaluation.evaluator import Evaluator, streams
from driftwatch.monitor.evaluation.healthy_blocks import resting_detectors
from driftwatch.monitor.evaluation.initial_state import initial_segment_state
from driftwatch.monitor.evaluation.targets import policy_for
from driftwatch.reference.choose_projection import choose_projection, pool
from driftwatch.reference.joint import joint_null
from driftwatch.results.streams import Streams
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import Grid, LevelGrid, numeric_grid
from driftwatch.summary.plan import Plan, Segmentation
from driftwatch.summary.reference import Provenance, Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.serial import with_fingerprint
from driftwatch.summary.summary import Summary, total

Rows = dict[str, Float64Array | Levels]
#: Counts that come on top of the drawn rows, for windows too large to draw (``worlds.small_shift_counts``).
Extra = Callable[[Plan, int], Mapping[str, Counts]]
HOUR = 3600
#: Rows that grids are built from at most, as ``columns.profile`` samples them.
MAX_GRID_ROWS = 100_000


def configure(
    length: str,
    budget: str,
    *,
    season: Sequence[str] = (),
    min_rows: int = 30,
    design_effect: float | None = None,
) -> MonitorConfig:
    """The monitor: all defaults except ``min_rows``, so that windows of a hundred rows are judged."""
    return MonitorConfig.model_validate(
        {
            "name": "m", "reference": {"path": "x"}, "source": {"type": "files"},
            "window": {"length": length, "min_rows": min_rows}, "season": list(season),
            "alarm": {"false_pages": budget, "design_effect": design_effect},
        }
    )  # fmt: skip


def size(rows: Rows) -> int:
    first = next(iter(rows.values()))
    return len(first.codes if isinstance(first, Levels) else first)


def take(rows: Rows, positions: Int64Array) -> Rows:
    return {
        name: replace(values, codes=values.codes[positions])
        if isinstance(values, Levels)
        else values[positions]
        for name, values in rows.items()
    }


def batch(rows: Rows) -> Batch:
    """Rows as a batch of a source."""
    columns: dict[str, Numbers | Levels] = {}
    hashes = []
    for name, values in rows.items():
        if isinstance(values, Levels):
            columns[name] = values
            hashes.append(hash_levels(values.codes, values.levels))
        else:
            columns[name] = Numbers(values=values)
            hashes.append(hash_numbers(values))
    return Batch(rows=len(hashes[0]), columns=columns, content_hashes=hash_rows(hashes, 0))


def plan_of(parts: Sequence[Rows], sample_rows: int, segmentation: Segmentation | None = None) -> Plan:
    """The plan of a reference that consists of these windows."""
    columns: list[Column] = []
    grids: dict[str, Grid] = {}
    step = max(1, -(-sum(size(part) for part in parts) // MAX_GRID_ROWS))
    for name, first in parts[0].items():
        if isinstance(first, Levels):
            level_values = [p.levels[code] for part in parts if isinstance(p := part[name], Levels)
                     for code in p.codes[p.codes >= 0]]  # fmt: skip
            levels, counts = np.unique(level_values, return_counts=True)
            columns.append(Column(name=name, kind=Kind.CATEGORICAL))
            grids[name] = LevelGrid(levels=tuple(str(level) for level in levels[np.argsort(-counts)][:200]))
            continue
        numbers = np.concatenate([p[::step] for part in parts if not isinstance(p := part[name], Levels)])
        columns.append(Column(name=name, kind=Kind.NUMERIC))
        grids[name] = numeric_grid(numbers[~np.isnan(numbers)])
    plan = Plan(columns=tuple(columns), grids=grids, sample_rows=sample_rows, segmentation=segmentation)
    return with_fingerprint(plan)


def summarise_window(plan: Plan, rows: Rows, span: Span, extra: Extra | None, t: int) -> Summary:
    """The open summary of one window, with the counts of the rows that are not drawn."""
    summary = Summary.from_batch(plan, batch(rows), span)
    if extra is None:
        return summary
    extra_counts = extra(plan, t)
    counts = {
        name: item + extra_counts.get(name, Counts.zero(plan.grids[name]))
        for name, item in summary.counts.items()
    }
    return replace(summary, rows=max(item.rows for item in counts.values()), counts=counts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredWindow:
    """One measured window: its rows, its sealed summary, and the streams of every target.

    ``sample_positions`` are the positions of the rows in the summary's sample.
    """

    t: int
    rows: Rows
    summary: Summary
    streams: Streams
    sample_positions: Int64Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Monitor:
    """One monitor (of one segment) with the summaries of its reference's ``blocks``."""

    config: MonitorConfig
    evaluator: Evaluator
    blocks: tuple[Summary, ...]
    first: SegmentState
    segment: str | None = None
    segments: int = 1
    extra: Extra | None = None

    @classmethod
    def learn(
        cls,
        config: MonitorConfig,
        parts: Sequence[Rows],
        *,
        has_times: bool = True,
        sample_rows: int = 1000,
        extra: Extra | None = None,
        segmentation: Segmentation | None = None,
    ) -> Monitor:
        """A monitor whose reference consists of these windows, the last of which ends at time 0."""
        plan = plan_of(parts, sample_rows, segmentation)
        summaries = [
            summarise_window(plan, part, cls._span(config, t), extra, t)
            for t, part in enumerate(parts, -len(parts))
        ]
        pooled = pool([part.sample for part in summaries if part.sample is not None], len(plan.columns))
        projection = choose_projection(plan.columns, plan.grids, pooled, 1)
        plan = with_fingerprint(replace(plan, projection=projection))
        blocks = tuple(replace(part, plan=plan.fingerprint).seal(plan).drop_sample() for part in summaries)
        reference = Reference(
            monitor="m", plan=plan, summary=total(blocks), fingerprint="f",
            joint=None if projection is None else joint_null(projection, pooled, 1),
            provenance=Provenance(source="", files=1, built_at=0, time_range=None),
            blocks=len(blocks) if has_times else 0,
            block_rows=float(np.median([part.rows for part in blocks])) if has_times else None,
        )  # fmt: skip
        evaluator = Evaluator.from_config(reference, config, lambda _: blocks if has_times else ())
        first = initial_segment_state(
            evaluator.context, blocks if has_times else (), evaluator.targets, config, "c"
        )
        return cls(config=config, evaluator=evaluator, blocks=blocks, first=first, extra=extra)

    @property
    def reference(self) -> Reference:
        return self.evaluator.reference

    def of_segment(self, segment: str | None, segments: int, parts: Sequence[Rows]) -> Monitor:
        """The same plan for the rows of one segment, as ``segment_by`` does."""
        plan = self.reference.plan
        blocks = tuple(
            summarise_window(plan, part, self._span(self.config, t), None, t).seal(plan).drop_sample()
            for t, part in enumerate(parts, -len(parts))
        )
        reference = replace(self.reference, segments={segment or "": total(blocks)}).for_segment(segment)
        targets = self.evaluator.targets
        evaluator = Evaluator(ReferenceContext(reference), targets, self.config, lambda _: blocks)
        first = initial_segment_state(evaluator.context, blocks, evaluator.targets, self.config, "c")
        return replace(
            self, evaluator=evaluator, blocks=blocks, first=first, segment=segment, segments=segments
        )

    @staticmethod
    def _span(config: MonitorConfig, t: int) -> Span:
        step = config.window.length * NANOSECONDS
        return Span(start=t * step, end=(t + 1) * step)

    def measure(self, rows: Rows, t: int) -> MeasuredWindow:
        plan = self.reference.plan
        summary = summarise_window(plan, rows, self._span(self.config, t), self.extra, t).seal(plan)
        return MeasuredWindow(t=t, rows=rows, summary=summary, streams=self._streams(summary))

    def _streams(self, summary: Summary) -> Streams:
        return streams(self.evaluator.context.window(summary), self.evaluator.targets)

    def base(self, rows: Rows, t: int) -> MeasuredWindow:
        """Measure window ``t`` such that ``change`` can start from it."""
        content, limit = batch(rows).content_hashes, self.reference.plan.sample_rows
        positions = RowSample.from_rows(
            content, np.arange(len(content), dtype=np.float64)[:, None], limit
        ).rows[:, 0]
        return replace(self.measure(rows, t), sample_positions=positions.astype(np.int64))

    def recount(self, base: MeasuredWindow, rows: Rows) -> Summary:
        """The open summary of the same window with other ``rows``: only changed columns are counted.

        Raises ``ValueError`` unless the window comes from ``base``.
        """
        plan, sample = self.reference.plan, base.summary.sample
        if size(rows) != size(base.rows):
            return summarise_window(plan, rows, base.summary.span, self.extra, base.t)
        if sample is None or base.sample_positions is None:
            raise ValueError("only a window measured with base() can be changed")
        counts, sample_rows = dict(base.summary.counts), sample.rows.copy()
        for place, column in enumerate(plan.columns):
            values, grid = rows[column.name], plan.grids[column.name]
            if values is not base.rows[column.name]:
                column_values = values if isinstance(values, Levels) else Numbers(values=values)
                counts[column.name] = Counts.from_column(grid, column_values)
                sample_rows[:, place] = _sample_values(values, base.sample_positions, grid)
        return replace(base.summary, counts=counts, sample=replace(sample, rows=sample_rows), sums=None)

    def change(self, base: MeasuredWindow, rows: Rows) -> MeasuredWindow:
        """The same window with other ``rows``: only changed columns are counted."""
        summary = self.recount(base, rows).seal(self.reference.plan)
        return replace(base, rows=rows, summary=summary, streams=self._streams(summary))

    def decide(
        self, segment_state: SegmentState, window: MeasuredWindow, *, with_gauges: bool = False
    ) -> Decision:
        """Decide a window with the carried-over rows; only the texts of pages need gauges."""
        summary = window.summary
        window_streams = window.streams
        if segment_state.carried_over is not None:
            summary = total([segment_state.carried_over, window.summary])
            pooling_targets = [target for target in self.evaluator.targets if target[0].pools]
            window_streams = streams(self.evaluator.context.window(summary), pooling_targets)
        window_breakages = breakages(self.reference, summary, segment_state.healthy_breakages)
        left_out = self.evaluator.left_out(summary, segment_state, self.segment, window_breakages)
        context = self.evaluator.context.window(summary, left_out)
        if left_out.columns:
            is_pooled = segment_state.carried_over is not None
            targets = [item for item in self.evaluator.targets if item[0].pools or not is_pooled]
            window_streams = streams(context, targets)
        resting = resting_detectors(self.evaluator.targets, context, window_streams)
        measurement = Measurement(
            window=summary.span, rows=summary.rows,
            statistics=(
                WindowGauges(context, self.evaluator.targets) if with_gauges else ()
            ),
            streams=window_streams,
            breakages=window_breakages,
            slot=season_slot(window.summary.span.start, tuple(self.config.season), self.config.timezone),
            joint_readers=self.evaluator.joint_readers, suspended_joint=frozenset(resting),
            effect_order=self.evaluator.effect_order,
        )  # fmt: skip
        decision = decide(segment_state, measurement, policy_for(self.config, self.segment, self.segments))
        return carry_over(segment_state, decision, window.summary)


def altered_columns(base: Rows, rows: Rows) -> set[str]:
    """Columns whose values differ."""
    return {name for name, values in rows.items() if values is not base[name]}


def _sample_values(values: Float64Array | Levels, positions: Int64Array, grid: Grid) -> Float64Array:
    if not isinstance(values, Levels):
        return values[positions]
    assert isinstance(grid, LevelGrid)
    cells = grid.index(replace(values, codes=values.codes[positions])).astype(np.float64)
    return np.where(cells < 0, np.nan, cells)


def acknowledge(segment_state: SegmentState) -> SegmentState:
    """The segment state after its pages are acknowledged: no column is suspended."""
    return replace(segment_state, incidents=())
