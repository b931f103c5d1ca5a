"""What could be found at all: evidence of a stream that knows the change, its law and nothing else.

Each window it multiplies its evidence by the exact likelihood ratio (``shifts.Line.gain``), by the same
recursion as every stream, ``M <- (M + w) * e``, with the largest part ``w`` of the page budget that any
single stream of an owner the change moves has in a window (``decide.evidence.log_weights`` of the monitor
as it stands). It pages when M reaches 1, so the evidence it needs is ``-log w``: knowing the change leaves
the budget to be paid. A line is *reachable* when 90 % of the oracle's runs page within 30 windows, for that
is what is asked of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from alarms.path import Monitor
from driftwatch.decide.evidence import log_weights
from driftwatch.decide.keys import owner_of
from driftwatch.decide.track import Track
from driftwatch.measure import policy_for
from driftwatch.summary.schema import Span

REACHED = 0.9


def log_weight(monitor: Monitor, track: Track, window: Span, owners: frozenset[str]) -> float:
    """Log of the largest part of the budget that one stream of these owners has in a window."""
    policy = policy_for(monitor.config, monitor.segment, monitor.segments)
    shares, scores = log_weights(track, policy, window)
    found = [
        float(weight)
        for keys, weights in ((track.shares.keys, shares), (track.scores.keys, scores))
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


def reachable(delays: Sequence[int | None], within: int) -> bool:
    """Whether enough of the oracle's runs page in time."""
    return sum(item is not None and item <= within for item in delays) >= REACHED * max(len(delays), 1)
