"""Whether the newest check of a segment is too old for its values to be shown as current."""

from __future__ import annotations

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView

#: Measured values are dropped when the newest check is older than this many intervals.
STALE_INTERVALS = 3


def is_stale(view: MonitorView, segment: SegmentView, now: int) -> bool:
    """True when the segment's newest check is older than three intervals, or there was none."""
    if segment.looked_at is None:
        return True
    return now - segment.looked_at > STALE_INTERVALS * view.interval_seconds * NANOSECONDS
