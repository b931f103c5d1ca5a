"""Decides whether a segment's newest check is too old for its values to be shown as current."""

from __future__ import annotations

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView

#: Measured values are dropped when the newest check is older than this many intervals.
STALE_INTERVALS = 3


def is_stale(view: MonitorView, segment: SegmentView, now: int) -> bool:
    if segment.usable_at is None:
        return True
    return now - segment.usable_at > STALE_INTERVALS * view.interval_seconds * NANOSECONDS
