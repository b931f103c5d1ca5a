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


def column_is_beyond(pair: ColumnPair, detectors: Sequence[Detector]) -> bool:
    """Whether a column is; one without streams is judged by its p-values alone."""
    streams = [
        item
        for detector in detectors
        if isinstance(detector, ColumnDetector) and detector.applies(pair.column, pair.context.reference)
        for item in detector.streams(pair)
    ]
    return not streams or is_beyond_minimum(streams)


def joint_is_beyond(window: WindowContext, detector: JointDetector) -> bool:
    streams = detector.streams(window)
    return not streams or is_beyond_minimum(streams)
