"""Cutting a reference into time blocks of window length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from driftwatch.columns.arrow.sampled_times import NO_TIME, moments
from driftwatch.columns.profile import Profile
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import boundaries
from driftwatch.summary.plan import Plan
from driftwatch.summary.projection import BANDWIDTHS, FREQUENCIES

#: Memory all blocks may take together while they are being counted.
BYTES = 640 << 20
#: Share of a window the reference may lack at an edge when no whole block tells how late rows begin.
_SLACK = 0.05
_DAY = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Boundaries ``edges``; blocks that begin at ``whole`` were seen from begin to end."""

    edges: list[int]
    whole: frozenset[int]
    note: str = ""


def cut(
    profile: Profile,
    plan: Plan,
    span: Span,
    *,
    length: int,
    align: str,
    exclude: Sequence[date] = (),
) -> Cut:
    """Aligned blocks over ``span`` of the reference.

    An edge block counts as whole when its rows begin (end) no later (earlier) than those of blocks inside,
    as far as the row sample tells. When all blocks would not fit in memory, the oldest are counted together
    as one stretch that belongs to the total only.
    """
    edges = boundaries(length, align, span.start, span.end)
    most = max(8, BYTES // (_block_bytes(plan) * len(plan.segments)))
    note, merged = "", len(edges) - 1 > most
    if merged:
        note = (
            f"{len(edges) - 1:,} blocks would not fit in memory: the newest {most:,} are kept apart, "
            "older rows count in the total only"
        )
        edges = [edges[0], *edges[-most - 1 :]]
    blocks = list(pairwise(edges))[1 if merged else 0 :]
    inside = blocks[0 if merged else 1 : -1]
    late, early = _edges_of(profile, plan, inside)
    tolerance = int(_SLACK * length * NANOSECONDS)
    whole = dict(blocks)
    if not merged and span.start - edges[0] > max(late, tolerance):
        whole.pop(edges[0])
    if edges[-1] - span.end > max(early, tolerance):
        whole.pop(edges[-2], None)
    zone = ZoneInfo(align) if length >= _DAY else ZoneInfo("UTC")
    kept = frozenset(start for start, end in whole.items() if not _touches(start, end, exclude, zone))
    return Cut(edges=edges, whole=kept, note=note)


def _edges_of(profile: Profile, plan: Plan, blocks: list[tuple[int, int]]) -> tuple[int, int]:
    """How late the sampled rows of a block begin, and how early before its end they stop, in nine of ten."""
    if plan.time_column is None or not blocks:
        return 0, 0
    times = moments(profile.sample[plan.time_column], plan.timezone)
    ordered = np.sort(times[times != NO_TIME])
    places = np.searchsorted(ordered, np.array(blocks, dtype=np.int64))
    filled = places[:, 0] < places[:, 1]
    if not filled.any():
        return 0, 0
    first, last = places[filled, 0], places[filled, 1] - 1
    limits = np.array(blocks, dtype=np.int64)[filled]
    late = np.quantile(ordered[first] - limits[:, 0], 0.9)
    early = np.quantile(limits[:, 1] - ordered[last], 0.9)
    return int(late), int(early)


def _block_bytes(plan: Plan) -> int:
    """About what one open block takes: counts, a row sample, and the sums it will get."""
    cells = sum(grid.cells + 5 for grid in plan.grids.values())
    sample = plan.sample_rows * (len(plan.columns) + 2)
    return 8 * (cells + sample + 2 * BANDWIDTHS * FREQUENCIES + 64 * 64) + 200 * len(plan.columns)


def _touches(start: int, end: int, days: Sequence[date], zone: ZoneInfo) -> bool:
    if not days:
        return False
    first, last = (
        datetime.fromtimestamp(moment // NANOSECONDS, tz=UTC).astimezone(zone).date()
        for moment in (start, end - 1)
    )
    return any(first <= day <= last for day in days)


__all__ = ["Cut", "cut"]
