"""The test distribution, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Column, Span
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a reference came from; not part of its fingerprint."""

    source: str
    files: int
    built_at: int
    time_range: Span | None
    set_aside: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JointNull:
    """What the joint statistics look like when nothing changed, simulated once per reference.

    ``kernel[draws, B]`` are null values of the MMD statistic per kernel width, each column sorted, and
    ``smallest_rank[draws]`` the null of the smallest p-value over widths, sorted. ``variance[d, d]`` is
    the variance of the product of two scaled columns.
    """

    kernel: Float64Array
    smallest_rank: Float64Array
    variance: Float64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An immutable test distribution.

    ``summary`` is its total on the plan's cells. ``segments`` holds the same per segment. ``blocks`` is
    how many time blocks of window length it was cut into (0 when it has no time column), ``block_rows`` the
    rows that one usually has. ``fingerprint`` is a sha256 over plan and counts; a new model version is a new
    reference.
    """

    monitor: str
    plan: Plan
    summary: Summary
    fingerprint: str
    provenance: Provenance
    blocks: int = 0
    block_rows: float | None = None
    joint: JointNull | None = None
    model_name: str = ""
    model_version: str = ""
    segments: dict[str, Summary] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # What is worked out of a reference, three times its own size, stays with it: many windows are held
        # against the same one. There may be 200 segments: of theirs it goes with what ``at`` gives.
        if self.summary.worked is None:
            object.__setattr__(self, "summary", self.summary.with_room())

    def forget(self) -> None:
        """Give back what was worked out. Whoever is at work on it holds what they need."""
        if self.summary.worked is not None:
            self.summary.worked.clear()

    def at(self, segment: str | None) -> Reference:
        """The reference seen by one segment: its own rows when there are any, else all rows."""
        if segment is None or segment not in self.segments:
            return self
        own = self.segments[segment]
        rows = self.block_rows
        if rows is not None:
            rows *= own.rows / max(self.summary.rows, 1)
        return replace(self, summary=own, block_rows=rows)

    def without(self, block: Summary) -> Reference:
        """The reference less one of its own blocks, for leave-one-out calibration."""
        return replace(self, summary=self.summary - block)
