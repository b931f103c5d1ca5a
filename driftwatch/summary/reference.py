"""The reference: a frozen test distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Column, Span, TypeNames
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedSpan:
    """Production data that somebody accepted as the new normal. Its field names are stored."""

    #: Columns and joint detectors.
    columns: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The origin of a reference, which is not part of its fingerprint. Its field names are stored."""

    source: str
    files: int
    built_at: int
    time_range: Span | None
    set_aside: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()
    #: Types of the reference's values; none in references of 0.1.0.
    types: TypeNames = field(default_factory=dict)
    #: The source's version of the data; empty where it is not stored, as in references of 0.1.0.
    data_version: str = ""
    #: Oldest first; none in references that 0.1.0 rebased.
    accepted: tuple[AcceptedSpan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JointNull:
    """Null distributions of the joint statistics, simulated once per reference."""

    #: ``[draws, B]``: MMD statistic by kernel width, each column sorted.
    kernel: Float64Array
    #: ``[draws]``: smallest p-value over the widths, sorted.
    smallest_rank: Float64Array
    #: ``[d, d]``: variance of the product of two scaled columns.
    variance: Float64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An immutable test distribution, as the daemon stores it and detectors read it.

    Notebooks use another class, ``driftwatch.Reference``, which wraps one.
    """

    monitor: str
    plan: Plan
    summary: Summary
    #: sha256 over plan and counts.
    fingerprint: str
    provenance: Provenance
    #: Number of time blocks of window length in the reference; 0 without a time column.
    blocks: int = 0
    #: Median number of rows of a block.
    block_rows: float | None = None
    joint: JointNull | None = None
    #: A new model version needs a new reference.
    model_name: str = ""
    model_version: str = ""
    segments: Mapping[str, Summary] = field(default_factory=dict)

    def for_segment(self, segment: str | None) -> Reference:
        """Return the reference of the segment's rows if there are any, else of all rows."""
        if segment is None or segment not in self.segments:
            return self
        segment_summary = self.segments[segment]
        block_rows = self.block_rows
        if block_rows is not None:
            block_rows *= segment_summary.rows / max(self.summary.rows, 1)
        return replace(self, summary=segment_summary, block_rows=block_rows)

    def leave_out(self, block: Summary) -> Reference:
        """Return the reference minus one of its blocks, for leave-one-out calibration."""
        return replace(self, summary=self.summary - block)
