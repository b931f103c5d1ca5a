"""What can be detected at all: the evidence of a stream that knows the change and its distribution.

In each window it multiplies its evidence by the exact likelihood ratio (``shifts.Line.gain``), with the
recursion of every stream, ``M <- (M + w) * e``. ``w`` is the largest part of the page budget that any single
stream of an owner the change moves has in a window (``decide.budget.log_weights`` of the monitor's state). It
pages when M reaches 1, so it needs evidence ``-log w``: who knows the change must pay the budget all the
same. A line is *reachable* when 90 % of the oracle's runs page within 30 windows, which is what ours must do.

A second oracle knows the change, but of the baseline only the monitor's healthy windows. Where these are few,
nothing detects small shifts: the means of 38 windows and of the 30 after them differ by chance alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from alarms.path import Monitor
from driftwatch.core.schema import Span
from driftwatch.decide.budget import log_weights
from driftwatch.decide.evalues.stream_index import owner_of
from driftwatch.decide.segment_state import SegmentState
from driftwatch.monitor.evaluation.targets import policy_for

MIN_REACHED_SHARE = 0.9


def log_weight(monitor: Monitor, segment_state: SegmentState, window: Span, owners: frozenset[str]) -> float:
    """Log of the largest part of the budget that one stream of these owners has in a window."""
    policy = policy_for(monitor.config, monitor.segment, monitor.segments)
    weights = log_weights(segment_state, policy, window)
    shares, scores = weights.shares, weights.scores
    owner_weights = [
        float(weight)
        for keys, weights in ((segment_state.shares.keys, shares), (segment_state.scores.keys, scores))
        for key, weight in zip(keys, weights, strict=True)
        if owner_of(key) in owners
    ]
    return max(owner_weights, default=-np.inf)


def delay(gains: Iterable[float], log_w: float) -> int | None:
    """Windows until the evidence reaches 1, the first counted as 1; None when it never does.

    >>> delay([2.0, 2.0, 2.0], -3.5)
    2
    >>> delay([2.0, 2.0], -9.0) is None
    True
    """
    log_m = -np.inf
    for number, gain in enumerate(gains, 1):
        log_m = float(np.logaddexp(log_m, log_w)) + gain
        if log_m >= 0:
            return number
    return None


def learned_gains(gains: Iterable[float], windows: int) -> Iterator[float]:
    """The gains of the second oracle, which learned the baseline from ``windows`` windows.

    ``T`` windows compared with a mean of ``n`` others tell as much of a shift as ``1 / (1/T + 1/n)`` windows
    compared with a known mean, so each cumulative gain is divided by ``1 + T/n`` (exact for a normal
    distribution, and in the limit of small shifts for any).

    >>> [round(gain, 2) for gain in learned_gains([1.0, 1.0, 1.0], 3)]
    [0.75, 0.45, 0.3]
    """
    total = previous_total = 0.0
    for number, gain in enumerate(gains, 1):
        total += gain
        corrected_total = total / (1 + number / windows)
        yield corrected_total - previous_total
        previous_total = corrected_total


def reachable(delays: Sequence[int | None], max_windows: int) -> bool:
    """Whether enough of the oracle's runs page within ``max_windows``."""
    return sum(item is not None and item <= max_windows for item in delays) >= MIN_REACHED_SHARE * max(
        len(delays), 1
    )
