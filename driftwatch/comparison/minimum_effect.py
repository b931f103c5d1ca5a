"""Which differences are worth knowing: beyond the daemon's tolerance of a share or floor of a score.

Without these limits a million rows would fail a build for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from driftwatch.detectors.base import ColumnDetector, ColumnPair, Detector, JointDetector, WindowContext
from driftwatch.results.results import Score, Shares

#: Share of the rows that may move where a detector has no tolerance of its own, as a monitor's default.
TOLERANCE = 0.05


def is_beyond_minimum(streams: Iterable[Shares | Score]) -> bool:
    return any(_is_beyond(item) for item in streams)


def _is_beyond(item: Shares | Score) -> bool:
    if isinstance(item, Score):
        return (abs(item.value) if item.signed else item.value) > item.floor
    tolerance = TOLERANCE if item.tolerance is None else item.tolerance
    share = item.successes / np.maximum(item.trials, 1)
    return bool((np.abs(share - item.reference) > tolerance)[item.trials > 0].any())


def column_detectors_within(pair: ColumnPair, detectors: Sequence[Detector]) -> frozenset[str]:
    """Return the detectors whose difference is within their own minimum.

    A detector without streams has none: it counts only where no other detector has any.
    """
    streams = {
        detector.name: tuple(detector.streams(pair))
        for detector in detectors
        if isinstance(detector, ColumnDetector) and detector.applies(pair.column, pair.context.reference)
    }
    has_minimum = any(streams.values())
    return frozenset(name for name, items in streams.items() if has_minimum and not is_beyond_minimum(items))


def joint_is_beyond(window: WindowContext, detector: JointDetector) -> bool:
    streams = detector.streams(window)
    return not streams or is_beyond_minimum(streams)
