"""What could be found at all: evidence of a stream that knows the change, its law and nothing else.

Each window it multiplies its evidence by the exact likelihood ratio (``shifts.Line.gain``), by the same
recursion as every stream, ``M <- (M + w) * e``, with the largest part ``w`` of the page budget that any
single stream of an owner the change moves has in a window (``decide.budget.log_weights`` of the monitor
as it stands). It pages when M reaches 1, so the evidence it needs is ``-log w``: knowing the change leaves
the budget to be paid. A line is *reachable* when 90 % of the oracle's runs page within 30 windows, for that
is what is asked of ours.

A second oracle knows the change as well, and of what is usual only what the monitor does: its healthy
windows. Where they are few no one tells small shifts: the means of 38 windows and of the 30 after them lie
apart by chance alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from alarms.path import Monitor
from driftwatch.core.schema import Span
from driftwatch.decide.budget import log_weights
from driftwatch.decide.evalues.stream_index import owner_of
from driftwatch.decide.state import SegmentState
from driftwatch.monitor.evaluate import policy_for

REACHED = 0.9


def log_weight(monitor: Monitor, segment_state: SegmentState, window: Span, owners: frozenset[str]) -> float:
    """Log of the largest part of the budget that one stream of these owners has in a window."""
    policy = policy_for(monitor.config, monitor.segment, monitor.segments)
    shares, scores = log_weights(segment_state, policy, window)
    found = [
        float(weight)
        for keys, weights in ((segment_state.shares.keys, shares), (segment_state.scores.keys, scores))
        for key, weight in zip(keys, weights, strict=True)
        if owner_of(key) in owners
    ]
    return max(found, default=-np.inf)


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


def learned(gains: Iterable[float], windows: int) -> Iterator[float]:
    """The gains of the second oracle, which learned what is usual from so many windows.

    ``T`` windows held against a mean of ``n`` others tell as much of a shift as ``1 / (1/T + 1/n)`` windows
    held against a known mean, so what was gained up to each is divided by ``1 + T/n`` (exact for a normal
    law, and in the limit of small shifts for any).

    >>> [round(gain, 2) for gain in learned([1.0, 1.0, 1.0], 3)]
    [0.75, 0.45, 0.3]
    """
    total = before = 0.0
    for number, gain in enumerate(gains, 1):
        total += gain
        now = total / (1 + number / windows)
        yield now - before
        before = now


def reachable(delays: Sequence[int | None], within: int) -> bool:
    """Whether enough of the oracle's runs page in time."""
    return sum(item is not None and item <= within for item in delays) >= REACHED * max(len(delays), 1)
