"""One window of a backtest with what its verdict rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftwatch.core.schema import iso
from driftwatch.decide.segment_state import SegmentState
from driftwatch.errors import ConfigError
from driftwatch.results.results import Verdict
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedWindow:
    verdict: Verdict
    state_before: SegmentState
    #: None without rows.
    summary: Summary | None


def edges_to(end: int, edges: Sequence[int], monitor: str) -> list[int]:
    """Return the edges of the windows up to the one that ends at ``end``. Raises ``ConfigError``."""
    if end not in edges[1:]:
        raise ConfigError(
            f"--window: expected the end of a window of {monitor}, stored or of its source's history, from "
            f"{iso(edges[0])} to {iso(edges[-1])}. Got {iso(end)}."
        )
    return list(edges[: edges.index(end) + 1])
