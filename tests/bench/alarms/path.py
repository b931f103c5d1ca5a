"""Rows through the real code: grids, ``Summary.of``, ``fresh_track``, ``streams``, ``decide``.

Only what a daemon does around it is left out: no file, no store, no exporter. Where many shifts look at the
same windows, what a shift does not touch is measured once (``Looked.changed``): the rows kept in the sample
are then those of the healthy window, which are as uniform a choice as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.config.models import MonitorConfig
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.hashing import combine, hash_levels, hash_numbers
from driftwatch.core.schema import NANOSECONDS, Column, Kind, Span
from driftwatch.core.windows import season_slot
from driftwatch.decide.breakage import breakages
from driftwatch.decide.decision import Decision, decide
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.state import SegmentState
from driftwatch.detectors.base import WindowGauges
from driftwatch.monitor.evaluate import Look, fresh_track, holding, looks, policy_for, streams
from driftwatch.reference.choose_projection import choose_projection, pool
from driftwatch.reference.joint import joint_null
from driftwatch.results.streams import Streams
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import Grid, LevelGrid, numeric_grid
from driftwatch.summary.plan import Plan
from driftwatch.summary.reference import Provenance, Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.serial import with_fingerprint
from driftwatch.summary.summary import Summary, total

Rows = dict[str, Float64Array | Levels]
#: Counts that come on top of the drawn rows, for windows too large to draw (``worlds.counted``).
Extra = Callable[[Plan, int], Mapping[str, Counts]]
HOUR = 3600
#: Rows the cells are frozen from, as ``columns.profile`` samples them.
_FROZEN_FROM = 100_000


def configure(
    length: str,
    budget: str,
    *,
    season: Sequence[str] = (),
    min_rows: int = 30,
    design_effect: float | None = None,
) -> MonitorConfig:
    """The monitor: all defaults but ``min_rows``, so that windows of a hundred rows are looked at."""
    return MonitorConfig.model_validate(
        {
            "name": "m", "reference": {"path": "x"}, "source": {"type": "files"},
            "window": {"length": length, "min_rows": min_rows}, "season": list(season),
            "alarm": {"false_pages": budget, "design_effect": design_effect},
        }
    )  # fmt: skip


def size(rows: Rows) -> int:
    """How many rows there are."""
    first = next(iter(rows.values()))
    return len(first.codes if isinstance(first, Levels) else first)


def take(rows: Rows, which: Int64Array) -> Rows:
    """The rows at these positions."""
    return {
        name: replace(values, codes=values.codes[which]) if isinstance(values, Levels) else values[which]
        for name, values in rows.items()
    }


def batch(rows: Rows) -> Batch:
    """Rows as a source delivers them."""
    columns: dict[str, Numbers | Levels] = {}
    hashes = []
    for name, values in rows.items():
        if isinstance(values, Levels):
            columns[name] = values
            hashes.append(hash_levels(values.codes, values.levels))
        else:
            columns[name] = Numbers(values=values)
            hashes.append(hash_numbers(values))
    return Batch(rows=len(hashes[0]), columns=columns, content=combine(hashes, 0))


def plan_of(parts: Sequence[Rows], sample_rows: int) -> Plan:
    """The cells of a reference made of these windows."""
    columns: list[Column] = []
    grids: dict[str, Grid] = {}
    step = max(1, -(-sum(size(part) for part in parts) // _FROZEN_FROM))
    for name, first in parts[0].items():
        if isinstance(first, Levels):
            found = [p.levels[code] for part in parts if isinstance(p := part[name], Levels)
                     for code in p.codes[p.codes >= 0]]  # fmt: skip
            known, counts = np.unique(found, return_counts=True)
            columns.append(Column(name=name, kind=Kind.CATEGORICAL))
            grids[name] = LevelGrid(levels=tuple(str(level) for level in known[np.argsort(-counts)][:200]))
            continue
        numbers = np.concatenate([p[::step] for part in parts if not isinstance(p := part[name], Levels)])
        columns.append(Column(name=name, kind=Kind.NUMERIC))
        grids[name] = numeric_grid(numbers[~np.isnan(numbers)])
    return with_fingerprint(Plan(columns=tuple(columns), grids=grids, sample_rows=sample_rows))


def opened(plan: Plan, rows: Rows, span: Span, extra: Extra | None, t: int) -> Summary:
    """The summary of one window, with the counts of the rows that were not drawn."""
    summary = Summary.of(plan, batch(rows), span)
    if extra is None:
        return summary
    more = extra(plan, t)
    counts = {
        name: item + more.get(name, Counts.zero(plan.grids[name])) for name, item in summary.counts.items()
    }
    return replace(summary, rows=max(item.rows for item in counts.values()), counts=counts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looked:
    """One window as measured: its rows, its sealed summary, and what each look said.

    ``picked`` are the positions of the rows in the summary's sample.
    """

    t: int
    rows: Rows
    summary: Summary
    streams: Streams
    picked: Int64Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Monitor:
    """One monitor (of one segment) that has learned its reference's ``blocks``."""

    config: MonitorConfig
    reference: Reference
    looks: tuple[Look, ...]
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
        timed: bool = True,
        sample_rows: int = 1000,
        extra: Extra | None = None,
    ) -> Monitor:
        """A monitor whose reference are these windows, the last of which ended at time 0."""
        plan = plan_of(parts, sample_rows)
        drawn = [
            opened(plan, part, cls._span(config, t), extra, t) for t, part in enumerate(parts, -len(parts))
        ]
        pooled = pool([part.sample for part in drawn if part.sample is not None], len(plan.columns))
        projection = choose_projection(plan.columns, plan.grids, pooled, 1)
        plan = with_fingerprint(replace(plan, projection=projection))
        blocks = tuple(replace(part, plan=plan.fingerprint).seal(plan).drop_sample() for part in drawn)
        reference = Reference(
            monitor="m", plan=plan, summary=total(blocks), fingerprint="f",
            joint=None if projection is None else joint_null(projection, pooled, 1),
            provenance=Provenance(source="", files=1, built_at=0, time_range=None),
            blocks=len(blocks) if timed else 0,
            block_rows=float(np.median([part.rows for part in blocks])) if timed else None,
        )  # fmt: skip
        chosen = looks(reference, None)
        first = fresh_track(reference, blocks if timed else (), chosen, config, "c")
        return cls(config=config, reference=reference, looks=chosen, blocks=blocks, first=first, extra=extra)

    def of_segment(self, segment: str | None, segments: int, parts: Sequence[Rows]) -> Monitor:
        """The same plan watched for these rows only, as ``segment_by`` does."""
        plan = self.reference.plan
        blocks = tuple(
            opened(plan, part, self._span(self.config, t), None, t).seal(plan).drop_sample()
            for t, part in enumerate(parts, -len(parts))
        )
        reference = replace(self.reference, segments={segment or "": total(blocks)}).at(segment)
        first = fresh_track(reference, blocks, self.looks, self.config, "c")
        return replace(
            self, reference=reference, blocks=blocks, first=first, segment=segment, segments=segments
        )  # fmt: skip

    @staticmethod
    def _span(config: MonitorConfig, t: int) -> Span:
        step = config.window.length * NANOSECONDS
        return Span(start=t * step, end=(t + 1) * step)

    def look(self, rows: Rows, t: int) -> Looked:
        """Measure window ``t``."""
        plan = self.reference.plan
        summary = opened(plan, rows, self._span(self.config, t), self.extra, t).seal(plan)
        return Looked(t=t, rows=rows, summary=summary, streams=self._said(summary))

    def _said(self, summary: Summary) -> Streams:
        return streams(self.reference, summary.with_room(), self.looks)

    def base(self, rows: Rows, t: int) -> Looked:
        """Measure window ``t`` such that ``changed`` can start from it."""
        content, limit = batch(rows).content, self.reference.plan.sample_rows
        picked = RowSample.of(content, np.arange(len(content), dtype=np.float64)[:, None], limit).rows[:, 0]
        return replace(self.look(rows, t), picked=picked.astype(np.int64))

    def recounted(self, before: Looked, rows: Rows) -> Summary:
        """The open summary of the same window with other ``rows``: only what changed is counted."""
        plan, sample = self.reference.plan, before.summary.sample
        if size(rows) != size(before.rows):
            return opened(plan, rows, before.summary.span, self.extra, before.t)
        if sample is None or before.picked is None:
            raise ValueError("only a window measured with base() can be changed")
        counts, kept = dict(before.summary.counts), sample.rows.copy()
        for place, column in enumerate(plan.columns):
            values, grid = rows[column.name], plan.grids[column.name]
            if values is not before.rows[column.name]:
                delivered = values if isinstance(values, Levels) else Numbers(values=values)
                counts[column.name] = Counts.of(grid, delivered)
                kept[:, place] = _sampled(values, before.picked, grid)
        return replace(before.summary, counts=counts, sample=replace(sample, rows=kept), sums=None)

    def changed(self, before: Looked, rows: Rows) -> Looked:
        """The same window with other ``rows``: what did not change is not counted again."""
        summary = self.recounted(before, rows).seal(self.reference.plan)
        return replace(before, rows=rows, summary=summary, streams=self._said(summary))

    def decide(self, segment_state: SegmentState, seen: Looked, *, words: bool = False) -> Decision:
        """Decide a window, with those held before it; the gauges are measured only where a page is worded."""
        summary = seen.summary
        streamed = seen.streams
        if segment_state.held is not None:
            summary = total([segment_state.held, seen.summary])
            telling = [look for look in self.looks if look[0].pools]
            streamed = streams(self.reference, summary.with_room(), telling)
        measured = Measurement(
            window=summary.span, rows=summary.rows,
            statistics=WindowGauges(reference=self.reference, window=summary, chosen=self.looks) if words else (),
            streams=streamed,
            breakages=breakages(self.reference, summary, segment_state.ordinary),
            slot=season_slot(seen.summary.span.start, tuple(self.config.season), self.config.timezone),
        )  # fmt: skip
        decision = decide(segment_state, measured, policy_for(self.config, self.segment, self.segments))
        return holding(segment_state, decision, seen.summary)


def altered(before: Rows, after: Rows) -> set[str]:
    """Columns that hold other values."""
    return {name for name, values in after.items() if values is not before[name]}


def _sampled(values: Float64Array | Levels, picked: Int64Array, grid: Grid) -> Float64Array:
    if not isinstance(values, Levels):
        return values[picked]
    assert isinstance(grid, LevelGrid)
    cells = grid.index(replace(values, codes=values.codes[picked])).astype(np.float64)
    return np.where(cells < 0, np.nan, cells)


def acknowledged(segment_state: SegmentState) -> SegmentState:
    """The track after somebody has looked at its pages: nothing is set aside any more."""
    return replace(segment_state, incidents=())
