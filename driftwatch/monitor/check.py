"""Checks one window: reads its tiles, evaluates every segment, records. The time is an argument.

"Could not look" is a verdict on the same road: the reading carries the failure, the evaluation turns it into
verdicts that change neither baseline nor evidence, and the window stays owed (``past/look_again.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.segment_state import BLIND, SegmentState
from driftwatch.decide.state_codec import decode
from driftwatch.detectors.base import requires_sums
from driftwatch.errors import DataError, StoreDamaged
from driftwatch.monitor.evaluation.could_not_look import (
    blind_key,
    could_not_look,
    explain_empty,
    explain_rejected,
    explain_undecodable,
    opens_incident,
)
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.initial_state import initial_segment_state, with_production_windows
from driftwatch.monitor.evaluation.pages_elsewhere import PagesElsewhere
from driftwatch.monitor.evaluation.window_verdict import (
    Decided,
    Evaluation,
    mark_verdict,
    render_gauges,
    with_note,
)
from driftwatch.monitor.incident_message import Ending
from driftwatch.monitor.incidents.incident_records import open_segments
from driftwatch.monitor.page_texts.moved_segment import with_places
from driftwatch.monitor.reading import Failure, Reading
from driftwatch.monitor.record import Evaluations, Recorder, configuration_of
from driftwatch.monitor.replay import Replay
from driftwatch.monitor.selftest import Selftest, abandon_after_error
from driftwatch.monitor.stray_rows import present_of
from driftwatch.monitor.succession.damaged_state import mended_state
from driftwatch.monitor.tiles import TileSource, moved_window, read_missing, read_window
from driftwatch.results.results import Reason, Statistic, Verdict
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord, OwedWindow, StoredSelftest, StoredTile
from driftwatch.summary.moving_sum import MovingSum
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool

#: Bytes of slice sums that one monitor keeps for its sliding window.
_MAX_MOVING_SUM_BYTES = 1 << 24
log = logging.getLogger(__name__)


def configuration_hash(config: MonitorConfig) -> str:
    return configuration_of(config)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    verdicts: tuple[Verdict, ...]
    reading: Reading
    #: Summaries by segment, for drawing.
    windows: Mapping[str | None, Summary] = field(default_factory=dict)
    #: Only gauges were refreshed: there are no verdicts.
    is_refresh: bool = False
    #: Gauges by segment.
    gauges: Mapping[str | None, tuple[Statistic, ...]] = field(default_factory=dict)

    @property
    def failure(self) -> Reason | None:
        """Why nothing was evaluated: the window stays owed."""
        return None if self.reading.failure is None else self.reading.failure.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedLook:
    """What the newest look at an owed window found."""

    #: Nanoseconds.
    at: int
    #: The source's version of the window's data.
    version: str
    failures: int
    #: Another read of that version would find the same, or fail as well.
    is_settled: bool
    #: It could not be read, for a reason that may pass without a change of the data.
    has_failed: bool
    #: The source had no newer row either: once it has, the window is quiet and not late.
    is_behind: bool = False


@dataclass(slots=True, kw_only=True)
class Monitor:
    config: MonitorConfig
    reference: Reference
    history: History
    readers: ReaderPool
    recorder: Recorder
    #: What was seen of owed windows, by their end.
    owed_looks: dict[int, OwedLook] = field(default_factory=dict)
    #: The source's versions of decided slices at the newest look.
    slice_versions: dict[Span, str] = field(default_factory=dict)
    segment_states: dict[str | None, SegmentState] = field(default_factory=dict)
    #: Why states are not those that were stored: the next verdict of these segments says so.
    mended: dict[str | None, str] = field(default_factory=dict)
    #: The plan's fingerprint, and the sums of the last gauge refresh by segment.
    moving_sums: tuple[str, dict[str | None, MovingSum]] | None = None
    configuration: str = field(init=False)
    evaluator: Evaluator = field(init=False)
    selftest: Selftest | None = field(init=False)

    def __post_init__(self) -> None:
        self.configuration = configuration_hash(self.config)
        self.evaluator = Evaluator.from_config(
            self.reference,
            self.config,
            self._blocks,
        )
        self.selftest = Selftest.from_config(self.evaluator.context, self.evaluator.targets, self.config)

    def _blocks(self, segment: str | None) -> Sequence[Summary]:
        return self.history.references.blocks(self.config.name, self.reference.fingerprint, segment)

    def segment_state(self, segment: str | None) -> SegmentState:
        """Return a segment's state: the last committed or stored one, or else one learned from the reference.

        A changed configuration keeps the baseline and the evidence, so that the page budget is not reset.
        """
        if segment in self.segment_states:
            return self.segment_states[segment]
        segment_state = _stored_state(self, segment)
        if segment_state is not None and segment_state.reference == self.reference.fingerprint:
            segment_state = with_production_windows(
                segment_state, segment, self.config, self.history.verdicts
            )
            return replace(segment_state, configuration=self.configuration)
        return initial_segment_state(
            self.evaluator.segment_context(segment),
            self._blocks(segment),
            self.evaluator.targets,
            self.config,
            self.configuration,
        )

    def check(self, window: Span, now: int, *, record: bool = True) -> Outcome:
        """Check one window and, with ``record``, commit the result in one transaction.

        A failing source gives a could-not-look verdict, never an exception; the window then stays owed.
        """
        reading = self._read(window, now)
        summaries = {} if reading.failure else reading.segment_summaries(self.reference.plan, window)
        evaluations = _with_notes(self._evaluate(window, now, reading, summaries), self.mended)
        if record:
            evaluations = self._marked(window, now, reading, evaluations)
            self._record(window, now, reading, summaries, evaluations)
        return Outcome(
            verdicts=tuple(item.verdict for item in evaluations.values()),
            reading=reading.drop_tiles(),
            windows=summaries,
        )

    def drop_derived_arrays(self) -> None:
        """Drop what was derived from the reference; the next window computes it again."""
        self.evaluator.context.memo.clear()

    def _read(self, window: Span, now: int) -> Reading:
        try:
            reading = read_window(self.tile_source(), window, now)
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

    def tile_source(self) -> TileSource:
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
            is_lasting = opens_blind_incident(self, window, now)
            return could_not_look(
                reading,
                reading.failure,
                window,
                self.evaluator,
                self.configuration,
                self.segment_state(None) if is_lasting else None,
            )
        blind_state = self.segment_state(None)
        is_blind = any(
            item.kind == BLIND for item in blind_state.incidents
        ) and self.history.owed.holds_newer(self.config.name, window.end)
        states = {segment: self.segment_state(segment) for segment in summaries}
        pages, evaluations = PagesElsewhere(states), dict[str | None, Evaluation]()
        for segment, summary in summaries.items():
            evaluation = self.evaluator.evaluate(
                summary,
                states[segment],
                segment=segment,
                reading=reading,
                is_blind=is_blind,
                other_pages=pages.of(segment),
            )
            pages.update(segment, evaluation.segment_state)
            verdict = with_places(evaluation.verdict, self.evaluator.reference, summaries)
            evaluations[segment] = replace(evaluation, verdict=render_gauges(verdict))
        return evaluations

    def overdue(self, window: Span, now: int) -> int:
        """Return the nanoseconds since the window could be judged."""
        return now - window.end - self.config.window.lag * NANOSECONDS

    def _marked(
        self, window: Span, now: int, reading: Reading, evaluations: Evaluations
    ) -> dict[str | None, Evaluation]:
        """Mark verdicts that may be replaced, and those on rows that came late."""
        overdue = self.overdue(window, now)
        if reading.failure:
            marks: dict[str, Any] = {"owed": True}
        elif overdue >= window.end - window.start and self.history.owed.holds_window(
            self.config.name, window.end
        ):
            marks = {"late": True}
        else:
            return dict(evaluations)
        return {
            segment: replace(item, verdict=mark_verdict(item.verdict, overdue, **marks))
            for segment, item in evaluations.items()
        }

    def _record(
        self,
        window: Span,
        now: int,
        reading: Reading,
        summaries: Mapping[str | None, Summary],
        evaluations: Evaluations,
    ) -> None:
        tiles: list[StoredTile] = []
        selftest = owed = None
        if reading.failure:
            has_answered = reading.failure.reason is not Reason.SOURCE_UNAVAILABLE
            owed = OwedWindow(window=window, answered_at=now if has_answered else None)
        else:
            tiles = self.recorder.tiles_to_store(reading)
            selftest = self._advance_selftest(summaries[None], evaluations[None])
        self.commit(window, now, evaluations, tiles=tiles, selftest=selftest, owed=owed)

    def commit(
        self,
        window: Span,
        now: int,
        evaluations: Evaluations,
        *,
        tiles: Sequence[StoredTile],
        selftest: StoredSelftest | None = None,
        owed: OwedWindow | None = None,
        part: int = 0,
    ) -> None:
        """Commit a window or a part of late rows in one transaction, and go on from its states."""
        evaluations = self.recorder.with_new_keys(evaluations)
        if not self.recorder.commit(
            window,
            now,
            evaluations,
            open_in=open_segments(evaluations, self.reference.plan.segments, self.segment_state),
            tiles=tiles,
            selftest=selftest,
            owed=owed,
            part=part,
        ):
            self.segment_states = {}
            return
        for segment, evaluation in evaluations.items():
            if isinstance(evaluation, Decided):
                self.segment_states[segment] = evaluation.segment_state
                self.mended.pop(segment, None)

    def _advance_selftest(self, window: Summary, evaluation: Evaluation) -> StoredSelftest | None:
        if self.selftest is None:
            return None
        stored = self.history.selftests.get(self.config.name)
        try:
            return self.selftest.advance(stored, self.segment_state(None), window, evaluation)
        except Exception:  # supervisor: a bug of the self-test must not stop the check
            log.exception("self-test failed", extra={"monitor": self.config.name})
            return abandon_after_error(stored, window)

    def refresh_gauges(self, window: Span, now: int) -> Outcome:
        """Recompute the gauges over a sliding window and store its tiles; the evidence does not change."""
        try:
            tile_source, moving_sums = self.tile_source(), self._moving_sums()
            reading = read_missing(tile_source, window, moving_sums)
        except DataError as error:
            return Outcome(verdicts=(), reading=Reading(failure=Failure.from_error(error)))
        tiles = self.recorder.tiles_to_store(reading)
        self.history.commit(CheckRecord(monitor=self.config.name, now=now, tiles=tiles))
        summaries = moved_window(tile_source, window, reading, moving_sums)
        evaluator, gauges_by_segment = self.evaluator, {}
        for segment, summary in summaries.items():
            left_out = evaluator.left_out(summary, self.segment_state(segment), segment)
            gauges_by_segment[segment] = tuple(evaluator.gauges(summary, segment, left_out))
        return Outcome(
            verdicts=(),
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


def _stored_state(monitor: Monitor, segment: str | None) -> SegmentState | None:
    try:
        return monitor.history.states.read(monitor.config.name, segment, decode)
    except StoreDamaged:
        # It is stored with the next check.
        return mend(monitor, segment)


def mend(monitor: Monitor, segment: str | None) -> SegmentState:
    """Let a monitor go on with a mended state in place of the damaged one. Raises ``StoreError``."""
    name, fingerprint = monitor.config.name, monitor.reference.fingerprint
    replay = Replay(
        history=monitor.history,
        evaluator=monitor.evaluator,
        blocks=partial(monitor.history.references.blocks, name, fingerprint),
        configuration=monitor.configuration,
    )
    mended = mended_state(replay, segment)
    if not mended.is_exact:
        monitor.mended[segment] = mended.words
    monitor.segment_states[segment] = mended.state
    return mended.state


def _with_notes(
    evaluations: Mapping[str | None, Evaluation], notes: Mapping[str | None, str]
) -> dict[str | None, Evaluation]:
    return {
        segment: replace(item, verdict=with_note(item.verdict, notes.get(segment, "")))
        for segment, item in evaluations.items()
    }


def opens_blind_incident(monitor: Monitor, window: Span, now: int) -> bool:
    """Whether a look that fails opens an incident: none that somebody closed, but the next window's."""
    last_end = monitor.history.verdicts.last_end(monitor.config.name)
    if not opens_incident(window, monitor.overdue(window, now), last_end, monitor.segment_state(None)):
        return False
    stored = monitor.history.incidents.get(blind_key(monitor.config, window))
    return stored is None or stored.resolution in list(Ending)
