"""Checks one window: reads its tiles, evaluates every segment, records. The time is an argument.

"Could not look" is a verdict on the same road: the reading carries the failure, the evaluation turns it into
verdicts that change neither baseline nor evidence, and recording waits until the window is given up.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode
from driftwatch.detectors.base import requires_sums
from driftwatch.errors import DataError
from driftwatch.monitor.evaluation.could_not_look import (
    could_not_look,
    explain_empty,
    explain_rejected,
    explain_undecodable,
)
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.initial_state import initial_segment_state
from driftwatch.monitor.evaluation.window_verdict import Decided, Evaluation, render_gauges
from driftwatch.monitor.reading import Failure, Reading
from driftwatch.monitor.record import Evaluations, Recorder, configuration_of
from driftwatch.monitor.selftest import Selftest, abandon_after_error
from driftwatch.monitor.stray_rows import present_of
from driftwatch.monitor.tiles import TileSource, moved_window, read_missing, read_window, reread_window
from driftwatch.results.results import Reason, Statistic, Verdict
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
    reading: Reading
    #: Summaries by segment, for drawing.
    windows: Mapping[str | None, Summary] = field(default_factory=dict)
    #: Only gauges were refreshed: there are no verdicts.
    is_refresh: bool = False
    #: Gauges by segment.
    gauges: Mapping[str | None, tuple[Statistic, ...]] = field(default_factory=dict)

    @property
    def failure(self) -> Reason | None:
        """Why nothing was evaluated."""
        return None if self.reading.failure is None else self.reading.failure.reason


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
    #: The plan's fingerprint, and the sums of the last gauge refresh by segment.
    moving_sums: tuple[str, dict[str | None, MovingSum]] | None = None
    configuration: str = field(init=False)
    evaluator: Evaluator = field(init=False)
    selftest: Selftest | None = field(init=False)

    def __post_init__(self) -> None:
        self.configuration = configuration_hash(self.config)
        self.evaluator = Evaluator.from_config(self.reference, self.config)
        self.selftest = Selftest.from_config(self.evaluator.context, self.evaluator.targets, self.config)

    def segment_state(self, segment: str | None) -> SegmentState:
        """Return a segment's state: the last committed or stored one, or else one learned from the reference.

        A changed configuration keeps the baseline and the evidence, so that the page budget is not reset.
        """
        if segment in self.segment_states:
            return self.segment_states[segment]
        stored = self.history.states.current(self.config.name, segment)
        if stored is not None:
            segment_state = decode(stored)
            if segment_state.reference == self.reference.fingerprint:
                return replace(segment_state, configuration=self.configuration)
        return initial_segment_state(
            self.evaluator.segment_context(segment),
            self.history.references.blocks(self.config.name, self.reference.fingerprint, segment),
            self.evaluator.targets,
            self.config,
            self.configuration,
        )

    def check(self, window: Span, now: int, *, record: bool = True) -> Outcome:
        """Check one window and, with ``record``, commit the result in one transaction.

        A failing source gives a could-not-look verdict, never an exception. While the window's data may still
        arrive, the outcome is not ``final``.
        """
        reading = self._read(window, now)
        summaries = {} if reading.failure else reading.segment_summaries(self.reference.plan, window)
        evaluations = self._evaluate(window, now, reading, summaries)
        final = self._is_final(window, now, reading.failure, record=record)
        if record:
            self._record(window, now, reading, summaries, evaluations, final=final)
        return Outcome(
            verdicts=tuple(item.verdict for item in evaluations.values()),
            final=final,
            reading=reading.drop_tiles(),
            windows=summaries,
        )

    def drop_derived_arrays(self) -> None:
        """Drop what was derived from the reference; the next window computes it again."""
        self.evaluator.context.memo.clear()

    def _read(self, window: Span, now: int) -> Reading:
        try:
            reading = read_window(self._tile_source(), window, now)
            if reading.rows:
                return reading
            if reading.rejected:
                return explain_rejected(reading)
            if any(item.start is not None for item in reading.undecodable):
                return explain_undecodable(reading)
            config, limits = self.config, self.config.limits
            newest_row = self.readers.newest(
                config.source, present_of(config, now), seconds=limits.seconds, memory=int(limits.memory)
            )
        except DataError as error:
            return Reading(failure=Failure.from_error(error))
        return explain_empty(reading, window, newest_row, self.reference.plan.time_column)

    def _tile_source(self) -> TileSource:
        return TileSource(
            config=self.config,
            plan=self.reference.plan,
            history=self.history,
            readers=self.readers,
            sums=requires_sums(detector for detector, _ in self.evaluator.targets),
            sample=self.recorder.keep_samples,
        )

    def _evaluate(
        self, window: Span, now: int, reading: Reading, summaries: Mapping[str | None, Summary]
    ) -> dict[str | None, Evaluation]:
        if reading.failure:
            # An incident opens once a whole window is overdue.
            is_overdue = self._overdue_ns(window, now) >= window.end - window.start
            return could_not_look(
                reading,
                reading.failure,
                window,
                self.evaluator,
                self.configuration,
                self.segment_state(None) if is_overdue else None,
            )
        evaluations: dict[str | None, Evaluation] = {}
        for segment, summary in summaries.items():
            evaluation = self.evaluator.evaluate(
                summary, self.segment_state(segment), segment=segment, reading=reading
            )
            evaluations[segment] = replace(evaluation, verdict=render_gauges(evaluation.verdict))
        return evaluations

    def _overdue_ns(self, window: Span, now: int) -> int:
        return now - window.end - self.config.window.lag * NANOSECONDS

    def _is_final(self, window: Span, now: int, failure: Failure | None, *, record: bool) -> bool:
        """Return whether the window is decided or given up; a failure counts as an attempt."""
        attempt = self.attempts.get(window.end, 0) + 1
        is_patient = self._overdue_ns(window, now) < PATIENCE_WINDOWS * (window.end - window.start)
        final = (
            failure is None
            or failure.final
            or (
                not is_patient
                and failure.reason is not Reason.SOURCE_UNAVAILABLE
                and attempt >= MAX_READ_ATTEMPTS
            )
        )
        if final:
            self.attempts.pop(window.end, None)
        elif record:
            self.attempts[window.end] = attempt
        return final

    def _record(
        self,
        window: Span,
        now: int,
        reading: Reading,
        summaries: Mapping[str | None, Summary],
        evaluations: Evaluations,
        *,
        final: bool,
    ) -> None:
        tiles: list[StoredTile] = []
        selftest = None
        if not reading.failure:
            tiles = self._tiles_to_store(reading)
            selftest = self._advance_selftest(summaries[None], evaluations[None])
        if not self.recorder.commit(window, now, evaluations, tiles=tiles, selftest=selftest, final=final):
            self.segment_states = {}
            return
        for segment, evaluation in evaluations.items():
            if isinstance(evaluation, Decided):
                self.segment_states[segment] = evaluation.segment_state

    def _advance_selftest(self, window: Summary, evaluation: Evaluation) -> StoredSelftest | None:
        if self.selftest is None:
            return None
        stored = self.history.selftests.get(self.config.name)
        try:
            return self.selftest.advance(stored, self.segment_state(None), window, evaluation)
        except Exception:  # supervisor: a bug of the self-test must not stop the check
            log.exception("self-test failed", extra={"monitor": self.config.name})
            return abandon_after_error(stored, window)

    def _tiles_to_store(self, reading: Reading) -> list[StoredTile]:
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
            return Outcome(verdicts=(), final=False, reading=Reading(failure=Failure.from_error(error)))
        tiles = self._tiles_to_store(reading)
        self.history.commit(CheckRecord(monitor=self.config.name, now=now, tiles=tiles))
        summaries = moved_window(tile_source, window, reading, moving_sums)
        gauges_by_segment = {
            segment: tuple(self.evaluator.gauges(summary, segment)) for segment, summary in summaries.items()
        }
        return Outcome(
            verdicts=(),
            final=False,
            reading=reading.drop_tiles(),
            is_refresh=True,
            windows=summaries,
            gauges=gauges_by_segment,
        )

    def _moving_sums(self) -> dict[str | None, MovingSum]:
        plan = self.reference.plan
        # Row samples cannot be subtracted from sums, so they start new ones at each refresh.
        if self.moving_sums is None or self.moving_sums[0] != plan.fingerprint or self.recorder.keep_samples:
            needs_sums, max_bytes = (
                requires_sums(detector for detector, _ in self.evaluator.targets),
                _MAX_MOVING_SUM_BYTES // len(plan.segments),
            )
            self.moving_sums = (
                plan.fingerprint,
                {segment: MovingSum(sums=needs_sums, max_sum_bytes=max_bytes) for segment in plan.segments},
            )
        return self.moving_sums[1]
