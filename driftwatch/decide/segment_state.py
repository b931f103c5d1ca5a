"""State of a monitor segment between windows: histories, evidence, score model, incidents.

The state is immutable; ``decide`` returns the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.core.schema import Span
from driftwatch.decide.baseline.recent_shares import RecentShares
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import ScoreModel
from driftwatch.decide.baseline.share_history import ShareHistory
from driftwatch.decide.evalues.logspace import log_sum
from driftwatch.results.streams import Streams
from driftwatch.summary.summary import Summary

#: Kinds of incidents.
DRIFT, BROKEN, BLIND = "drift", "broken", "blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A cause that moved or broke some columns. Field names are stored.

    ``quiet`` counts the consecutive quiet windows of each column. Times are those of windows: one incident
    has one key in all segments, and a state in each.
    """

    key: str
    #: ``BROKEN`` while a column of it is broken.
    kind: str
    columns: tuple[str, ...]
    opened_at: int
    onset: int
    quiet: tuple[int, ...] = ()
    muted_until: int | None = None
    #: Columns of it that are broken, and those that never drifted.
    broken: tuple[str, ...] = ()
    only_broken: tuple[str, ...] = ()
    #: End of the newest page's window; None in states of older versions, and then that of the first page.
    paged_at: int | None = None
    #: Columns that were back while others were not.
    released: tuple[str, ...] = ()
    #: A further move is due to be paged once the newest page is old enough.
    page_due: bool = False
    #: End of the last window in which a column of it was out of its band.
    loud_until: int | None = None
    #: The longest time, in nanoseconds, after which it returned; 0 if it never went away.
    absence: int = 0
    #: Columns of it that were in an incident before, which went away.
    returned: tuple[str, ...] = ()

    @property
    def newest_page(self) -> int:
        return self.opened_at if self.paged_at is None else self.paged_at

    @property
    def moved(self) -> tuple[str, ...]:
        """Columns that drifted."""
        return tuple(name for name in self.columns if name not in self.only_broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastIncident:
    """An incident that went away by itself: what returns is the same. Field names are stored."""

    columns: tuple[str, ...]
    #: End of the last window in which it was there, and its longest absence until then, in nanoseconds.
    loud_until: int
    absence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentState:
    """State between windows, valid only for its ``reference`` and ``configuration``."""

    reference: str
    configuration: str
    healthy_windows: int = 0
    #: Judged windows of production since this reference; None if nobody asked for a burn-in at the beginning.
    production_windows: int | None = None
    decided_until: int | None = None
    #: Start of the first window after the last page.
    evidence_start: int | None = None
    #: Carried-over rows: the sum of windows that had too few rows each, judged once there are enough.
    carried_over: Summary | None = None
    #: Seconds of silent windows within the span of the carried-over rows.
    carried_silence: float = 0.0
    #: Windows with carried-over rows and without rows, if these do not fill their span between them.
    carried_spans: tuple[Span, ...] | None = None
    silent_spans: tuple[Span, ...] = ()
    shares: ShareHistory = field(default_factory=ShareHistory.empty)
    scores: ScoreHistory = field(default_factory=ScoreHistory.empty)
    score_model: ScoreModel | None = None
    #: (column, reason) of breakages that healthy windows have too (all null on some days).
    healthy_breakages: frozenset[tuple[str, str]] = frozenset()
    incidents: tuple[Incident, ...] = ()
    #: Newest last.
    past_incidents: tuple[PastIncident, ...] = ()
    #: Features of the last judged window that nobody could look at, and that the next one may watch again.
    unwatched: frozenset[str] = frozenset()
    #: Shares of the newest windows, which tell how far a column moved since an onset.
    recent_shares: RecentShares = field(default_factory=RecentShares)

    def carries(self, window: Span) -> bool:
        """Whether the window's rows are carried over."""
        if self.carried_over is None:
            return False
        spans = (self.carried_over.span,) if self.carried_spans is None else self.carried_spans
        return any(span.start <= window.start and window.end <= span.end for span in spans)

    def without_carried(self) -> SegmentState:
        return self.with_carried_of(SegmentState(reference=self.reference, configuration=self.configuration))

    def with_carried_of(self, other: SegmentState) -> SegmentState:
        return replace(
            self,
            carried_over=other.carried_over,
            carried_silence=other.carried_silence,
            carried_spans=other.carried_spans,
            silent_spans=other.silent_spans,
        )

    @property
    def incident_columns(self) -> frozenset[str]:
        return frozenset(column for incident in self.incidents for column in incident.columns)

    @property
    def suspended(self) -> frozenset[str]:
        """Columns and joint detectors that a page or an update named: nothing is learned from them."""
        return frozenset(
            column for incident in self.incidents if incident.kind != BLIND for column in incident.moved
        )

    @property
    def has_evidence(self) -> bool:
        # False after a page, until a window with a budget was judged.
        return self.log_evidence() > float("-inf")

    def log_evidence(self, memo: Memo = NO_MEMO) -> float:
        """Return the log of the evidence summed over all streams, -inf without evidence."""
        arrays = self.shares.log_m, self.scores.log_m
        return memo.last("log evidence", arrays, lambda: log_sum(*arrays))

    def with_streams(self, streams: Streams, memo: Memo = NO_MEMO) -> SegmentState:
        """Add streams that are new; they have a part of the budget from the next window on."""
        shares, scores = self.shares.with_streams(streams, memo), self.scores.with_streams(streams, memo)
        if shares is self.shares and scores is self.scores:
            return self
        return replace(self, shares=shares, scores=scores)

    def decide_until(self, end: int) -> SegmentState:
        """Move ``decided_until`` on to the end of a window; one judged late moves nothing."""
        return replace(self, decided_until=max(end, self.decided_until or end))

    def reset(self) -> SegmentState:
        """Clear all evidence."""
        return replace(self, shares=self.shares.reset(), scores=self.scores.reset(), evidence_start=None)
