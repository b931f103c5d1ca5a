"""Splits a reference into time blocks of window length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from driftwatch.columns.arrow.sampled_times import NO_TIME, epoch_nanoseconds
from driftwatch.columns.profile import Profile
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import window_boundaries
from driftwatch.summary.plan import Plan
from driftwatch.summary.projection import N_BANDWIDTHS, N_FREQUENCIES, N_PARTIAL_FREQUENCIES

#: Memory of all blocks while they are counted.
MAX_BLOCKS_BYTES = 640 << 20
#: Share of a window that may have no rows at an edge, when no inner block shows how late rows begin.
_MAX_EDGE_GAP_SHARE = 0.05
_DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBlocks:
    #: Block boundaries, nanoseconds since 1970 UTC.
    edges: Sequence[int]
    #: Starts of the blocks that the reference covers completely.
    complete_starts: frozenset[int]
    note: str = ""


def split_into_blocks(
    profile: Profile,
    plan: Plan,
    span: Span,
    *,
    length: int,
    align: str,
    exclude: Sequence[date] = (),
) -> TimeBlocks:
    """Split ``span`` into aligned blocks of ``length`` seconds, and find the complete ones.

    The first (last) block is complete when its rows begin (end) no later (earlier) than those of inner
    blocks, as far as the row sample shows.
    """
    edges = window_boundaries(length, align, span.start, span.end)
    max_blocks = max(8, MAX_BLOCKS_BYTES // (_block_bytes(plan) * len(plan.segments)))
    note, is_merged = "", len(edges) - 1 > max_blocks
    # When the blocks would not fit in memory, the oldest are counted as one that belongs to the total only.
    if is_merged:
        note = (
            f"{len(edges) - 1:,} blocks would not fit in memory: the newest {max_blocks:,} are kept apart, "
            "older rows count in the total only"
        )
        edges = [edges[0], *edges[-max_blocks - 1 :]]
    blocks = list(pairwise(edges))[1 if is_merged else 0 :]
    inner_blocks = blocks[0 if is_merged else 1 : -1]
    start_gap, end_gap = _edge_gaps(profile, plan, inner_blocks)
    tolerance = int(_MAX_EDGE_GAP_SHARE * length * NANOSECONDS)
    complete_blocks = dict(blocks)
    if not is_merged and span.start - edges[0] > max(start_gap, tolerance):
        complete_blocks.pop(edges[0])
    if edges[-1] - span.end > max(end_gap, tolerance):
        complete_blocks.pop(edges[-2], None)
    zone = ZoneInfo(align) if length >= _DAY_SECONDS else ZoneInfo("UTC")
    complete_starts = frozenset(
        start for start, end in complete_blocks.items() if not _overlaps(start, end, exclude, zone)
    )
    return TimeBlocks(edges=edges, complete_starts=complete_starts, note=note)


def _edge_gaps(profile: Profile, plan: Plan, blocks: list[tuple[int, int]]) -> tuple[int, int]:
    """Return 90 % quantiles of the nanoseconds before a block's first sampled row and after its last."""
    if plan.time_column is None or not blocks:
        return 0, 0
    times = epoch_nanoseconds(profile.sample[plan.time_column], plan.timezone)
    sorted_times = np.sort(times[times != NO_TIME])
    positions = np.searchsorted(sorted_times, np.array(blocks, dtype=np.int64))
    has_rows = positions[:, 0] < positions[:, 1]
    if not has_rows.any():
        return 0, 0
    first_rows, last_rows = positions[has_rows, 0], positions[has_rows, 1] - 1
    limits = np.array(blocks, dtype=np.int64)[has_rows]
    start_gap = np.quantile(sorted_times[first_rows] - limits[:, 0], 0.9)
    end_gap = np.quantile(limits[:, 1] - sorted_times[last_rows], 0.9)
    return int(start_gap), int(end_gap)


def _block_bytes(plan: Plan) -> int:
    cells = sum(grid.n_cells + 5 for grid in plan.grids.values())
    sample = plan.sample_rows * (len(plan.columns) + 2)
    features = 2 * N_BANDWIDTHS * (N_FREQUENCIES + N_PARTIAL_FREQUENCIES)
    return 8 * (cells + sample + features + 64 * 64) + 200 * len(plan.columns)


def _overlaps(start: int, end: int, days: Sequence[date], zone: ZoneInfo) -> bool:
    if not days:
        return False
    first_day, last_day = (
        datetime.fromtimestamp(time // NANOSECONDS, tz=UTC).astimezone(zone).date()
        for time in (start, end - 1)
    )
    return any(first_day <= day <= last_day for day in days)


__all__ = ["TimeBlocks", "split_into_blocks"]
