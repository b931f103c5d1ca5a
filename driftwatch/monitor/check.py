"""Checks one window: reads its tiles, evaluates every segment, records. The time is an argument."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.decision import Decision
from driftwatch.decide.incidents import BLIND, incident_key
from driftwatch.decide.segment_state import Incident, SegmentState, decode
from driftwatch.detectors.base import requires_sums
from driftwatch.errors import DataError, ReaderDied, SchemaMismatch, SourceTimeout, TooManyRows
from driftwatch.monitor.evaluate import (
    Target,
    add_untimed_note,
    evaluate_window,
    gauges,
    initial_segment_state,
    policy_for,
    render_gauges,
    select_targets,
)
from driftwatch.monitor.record import Recorder, configuration_of
from driftwatch.monitor.selftest import Selftest, abandon_after_error
from driftwatch.monitor.tiles import (
    TileReading,
    TileSource,
    moved_window,
    read_missing,
    read_window,
    reread_window,
)
from driftwatch.results.results import Reason, State, Statistic, Verdict
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord, StoredSelftest, StoredTile
from driftwatch.summary.moving_sum import MovingSum
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool

#: Bytes of slice sums that one monitor keeps for its sliding window.
_MAX_MOVING_SUM_BYTES = 1 << 24
log = logging.getLogger(__name__)

#: Window lengths to wait for a late or failing source before the window is given up.
PATIENCE_WINDOWS = 2
#: Attempts before a read that kills its reader is given up.
MAX_READ_ATTEMPTS = 3


def configuration_hash(config: MonitorConfig) -> str:
    return configuration_of(config)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    verdicts: tuple[Verdict, ...]
    #: False while the window stays due.
    final: bool
    #: Only gauges were refreshed: there are no verdicts.
    is_refresh: bool = False
    #: Gauges by segment.
    gauges: dict[str | None, tuple[Statistic, ...]] = field(default_factory=dict)
    #: Summaries by segment, for drawing.
    windows: dict[str | None, Summary] = field(default_factory=dict)
    #: Why nothing was read.
    failure: Reason | None = None
    rows_read: int = 0
    #: ``retained_slices`` and ``untimed_rows`` as in ``TileReading``.
    retained_slices: int = 0
    untimed_rows: int | None = None
    read_seconds: float = 0.0
    newest_row: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LateData:
    #: Rows that reading a decided window again found.
    rows: int = 0
    retained_slices: int = 0


@dataclass(slots=True, kw_only=True)
class Monitor:
    config: MonitorConfig
    reference: Reference
    history: History
    readers: ReaderPool
    recorder: Recorder
    #: Failed reads by window end.
    attempts: dict[int, int] = field(default_factory=dict)
    segment_states: dict[str | None, SegmentState] = field(default_factory=dict)
    configuration: str = ""
    targets: tuple[Target, ...] = ()
    selftest: Selftest | None = None
    #: The plan's fingerprint, and the sums of the last gauge refresh by segment.
    moving_sums: tuple[str, dict[str | None, MovingSum]] | None = None

    def __post_init__(self) -> None:
        self.configuration = configuration_hash(self.config)
        self.targets = select_targets(self.reference, self.config.detectors)
        self.selftest = Selftest.from_config(self.config, self.reference, self.targets)

    def segment_state(self, segment: str | None) -> SegmentState:
        """Return a segment's state: the last committed or stored one, or else one learned from the reference.

        A changed configuration keeps the baseline and the evidence, so that the page budget is not reset.
        """
        if segment in self.segment_states:
            return self.segment_states[segment]
        stored = self.history.segment_state(self.config.name, segment)
        if stored is not None:
            segment_state = decode(stored)
            if segment_state.reference == self.reference.fingerprint:
                return replace(segment_state, configuration=self.configuration)
        blocks = self.history.blocks(self.config.name, self.reference.fingerprint, segment)
        return initial_segment_state(
            self.reference.for_segment(segment), blocks, self.targets, self.config, self.configuration
        )

    def check(self, window: Span, now: int, *, record: bool = True) -> Outcome:
        """Check one window and, with ``record``, commit the result in one transaction.

        A failing source gives a could-not-look verdict, never an exception. While the window's data may still
        arrive, the outcome is not ``final``.
        """
        try:
            reading = read_window(self._tile_source(), window)
        except DataError as error:
            return self._could_not_look(
                window, now, *_state_and_reason(error), detail=str(error), record=record
            )
        n_rows = sum(summary.rows for (_, segment), summary in reading.tiles.items() if segment is None)
        if n_rows == 0:
            return self._check_empty_window(window, now, reading, record=record)
        self.attempts.pop(window.end, None)
        summaries = reading.segment_summaries(self.reference.plan, window)
        evaluations = {
            segment: self._evaluate(segment, summary, reading) for segment, summary in summaries.items()
        }
        verdicts = tuple(verdict for _, verdict in evaluations.values())
        if record:
            selftest = self._advance_selftest(summaries[None], evaluations[None][0])
            if self.recorder.commit_check(window, now, self._tiles_to_store(reading), evaluations, selftest):
                self.segment_states = {
                    segment: decision.segment_state for segment, (decision, _) in evaluations.items()
                }
            else:
                self.segment_states = {}
        return Outcome(
            verdicts=verdicts,
            final=True,
            windows=summaries,
            rows_read=reading.rows_read,
            retained_slices=reading.retained_slices,
            untimed_rows=reading.untimed_rows,
            read_seconds=reading.read_seconds,
            newest_row=reading.newest_row,
        )

    def _tile_source(self) -> TileSource:
        return TileSource(
            config=self.config,
            plan=self.reference.plan,
            history=self.history,
            readers=self.readers,
            sums=requires_sums(detector for detector, _ in self.targets),
            sample=self.recorder.keep_samples,
        )

    def _evaluate(
        self, segment: str | None, summary: Summary, reading: TileReading
    ) -> tuple[Decision, Verdict]:
        decision, verdict = evaluate_window(
            self.reference,
            summary,
            self.targets,
            self.segment_state(segment),
            self.config,
            segment=segment,
            tiles=reading.tile_versions(segment),
            rejected=reading.rejected,
            newest_row=reading.newest_row,
            untimed_rows=(reading.untimed_rows or 0) if segment is None else 0,
        )
        return decision, render_gauges(verdict)

    def _advance_selftest(self, window: Summary, decision: Decision) -> StoredSelftest | None:
        if self.selftest is None:
            return None
        stored = self.history.selftest(self.config.name)
        try:
            return self.selftest.advance(stored, self.segment_state(None), window, decision)
        except Exception:
            # Whatever fails in the self-test, the check goes on.
            log.exception("self-test failed", extra={"monitor": self.config.name})
            return abandon_after_error(stored, window)

    def _tiles_to_store(self, reading: TileReading) -> list[StoredTile]:
        return self.recorder.stored_tiles(reading.new_tiles, reading.versions, reading.source_versions)

    def reread_window(self, window: Span, now: int) -> LateData:
        """Store changed data of a decided window as new tile versions; its verdict stays.

        Raises the source's errors.
        """
        reading = reread_window(self._tile_source(), window)
        if reading is None:
            return LateData()
        if reading.new_tiles:
            tiles = self._tiles_to_store(reading)
            self.history.commit(CheckRecord(monitor=self.config.name, now=now, tiles=tiles))
        return LateData(rows=reading.late_rows, retained_slices=reading.retained_slices)

    def refresh_gauges(self, window: Span, now: int) -> Outcome:
        """Recompute the gauges over a sliding window and store its tiles; the evidence does not change."""
        try:
            tile_source, moving_sums = self._tile_source(), self._moving_sums()
            reading = read_missing(tile_source, window, moving_sums)
        except DataError as error:
            return self._could_not_look(
                window, now, *_state_and_reason(error), detail=str(error), record=False
            )
        tiles = self._tiles_to_store(reading)
        self.history.commit(CheckRecord(monitor=self.config.name, now=now, tiles=tiles))
        summaries = moved_window(tile_source, window, reading, moving_sums)
        gauges_by_segment = {
            segment: tuple(gauges(self.reference.for_segment(segment), summary, self.targets))
            for segment, summary in summaries.items()
        }
        return Outcome(
            verdicts=(),
            gauges=gauges_by_segment,
            final=False,
            is_refresh=True,
            windows=summaries,
            untimed_rows=reading.untimed_rows,
            newest_row=reading.newest_row,
        )

    def _moving_sums(self) -> dict[str | None, MovingSum]:
        plan = self.reference.plan
        # Row samples cannot be subtracted from sums, so they start new ones at each refresh.
        if self.moving_sums is None or self.moving_sums[0] != plan.fingerprint or self.recorder.keep_samples:
            needs_sums, max_bytes = (
                requires_sums(detector for detector, _ in self.targets),
                _MAX_MOVING_SUM_BYTES // len(plan.segments),
            )
            self.moving_sums = (
                plan.fingerprint,
                {segment: MovingSum(sums=needs_sums, max_sum_bytes=max_bytes) for segment in plan.segments},
            )
        return self.moving_sums[1]

    def _check_empty_window(self, window: Span, now: int, reading: TileReading, *, record: bool) -> Outcome:
        if reading.rejected:
            names = ", ".join(f"{item.name} ({item.problem})" for item in reading.rejected[:5])
            return self._could_not_look(
                window, now, State.SOURCE_ERROR, Reason.ALL_FILES_UNREADABLE,
                detail=f"no row of this window was found, and files could not be read: {names}",
                record=record, reading=reading,
            )  # fmt: skip
        try:
            limits = self.config.limits
            extent = self.readers.extent(
                self.config.source, seconds=limits.seconds, memory=int(limits.memory)
            )
        except DataError as error:
            return self._could_not_look(
                window, now, *_state_and_reason(error), detail=str(error), record=record
            )
        newest_row = None if extent is None else extent.end - 1
        if newest_row is not None and newest_row >= window.end:
            return self._could_not_look(
                window, now, State.NO_DATA, Reason.NO_ROWS, newest_row=newest_row, final=True, record=record,
                detail="the source has newer rows, but none in this window", reading=reading,
            )  # fmt: skip
        state, reason, detail = State.STALE, Reason.SOURCE_BEHIND, "the source's newest row is older"
        if newest_row is None and reading.untimed_rows:
            state, reason = State.SOURCE_ERROR, Reason.SCHEMA_MISMATCH
            detail = f"no row has a usable event time in {self.reference.plan.time_column!r}"
        elif newest_row is None:
            state, reason, detail = State.NO_DATA, Reason.NO_ROWS, "the source has no rows"
        return self._could_not_look(
            window, now, state, reason, detail=detail, newest_row=newest_row, record=record, reading=reading
        )

    def _could_not_look(
        self,
        window: Span,
        now: int,
        state: State,
        reason: Reason,
        *,
        detail: str,
        record: bool,
        newest_row: int | None = None,
        final: bool | None = None,
        reading: TileReading | None = None,
    ) -> Outcome:
        """Return an outcome that changes neither baseline nor evidence; the window may stay due."""
        overdue_ns = now - window.end - self.config.window.lag * NANOSECONDS
        attempt = self.attempts.get(window.end, 0) + 1
        if record:
            self.attempts[window.end] = attempt
        if final is None:
            is_patient = overdue_ns < PATIENCE_WINDOWS * (window.end - window.start)
            is_unreachable = reason is Reason.SOURCE_UNAVAILABLE
            final = not is_patient and not is_unreachable and attempt >= MAX_READ_ATTEMPTS
        untimed_rows = reading.untimed_rows if reading else None
        verdicts = tuple(
            Verdict(
                monitor=self.config.name, segment=segment, window=window, rows=0, state=state, reason=reason,
                detail=add_untimed_note(detail, untimed_rows or 0), untimed_rows=untimed_rows or 0,
                rejected_files=reading.rejected if reading else (), newest_row=newest_row,
                reference=self.reference.fingerprint, configuration=self.configuration,
            )
            for segment in self.reference.plan.segments
        )  # fmt: skip
        if record:
            self._record_could_not_look(window, now, verdicts, final=final, overdue_ns=overdue_ns)
        if final:
            self.attempts.pop(window.end, None)
        return Outcome(
            verdicts=verdicts, final=final, failure=reason, untimed_rows=untimed_rows, newest_row=newest_row
        )

    def _record_could_not_look(
        self, window: Span, now: int, verdicts: tuple[Verdict, ...], *, final: bool, overdue_ns: int
    ) -> None:
        segment_state, incident = self.segment_state(None), None
        # An incident opens once a whole window is overdue.
        if overdue_ns >= window.end - window.start and all(
            item.kind != BLIND for item in segment_state.incidents
        ):
            policy = policy_for(self.config, None, 1)
            incident = Incident(
                key=incident_key(policy, BLIND, window, ()),
                kind=BLIND,
                columns=(),
                opened_at=window.end,
                onset=window.start,
            )
            segment_state = replace(segment_state, incidents=(*segment_state.incidents, incident))
        if final or incident:
            self.recorder.commit_could_not_look(
                window, now, verdicts if final else verdicts[:0], verdicts[0], segment_state, incident
            )
            self.segment_states[None] = segment_state


_REASON_OF_ERROR: tuple[tuple[type[DataError], Reason], ...] = (
    (SourceTimeout, Reason.SOURCE_TIMEOUT),
    (ReaderDied, Reason.READER_DIED),
    (TooManyRows, Reason.TOO_MANY_ROWS),
    (SchemaMismatch, Reason.SCHEMA_MISMATCH),
)


def _state_and_reason(error: DataError) -> tuple[State, Reason]:
    reasons = (reason for kind, reason in _REASON_OF_ERROR if isinstance(error, kind))
    return State.SOURCE_ERROR, next(reasons, Reason.SOURCE_UNAVAILABLE)
