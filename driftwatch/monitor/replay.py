"""Evaluates stored windows again, from the nearest checkpoint on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Span, iso
from driftwatch.decide.baseline.recent_shares import RecentShares
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.state_codec import decode
from driftwatch.decoders.base import UndecodableMessages, UndecodableReason
from driftwatch.errors import StoreDamaged, StoreForgot
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.initial_state import initial_segment_state, with_production_windows
from driftwatch.monitor.evaluation.late_rows import Growth, LateRows, evaluate_late_rows
from driftwatch.monitor.evaluation.window_verdict import render_gauges
from driftwatch.monitor.reading import Reading
from driftwatch.results.results import NamedColumn, Reason, Verdict
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.store.history import History
from driftwatch.store.records import Blocks
from driftwatch.store.tables.judging_order import END_OF_ORDER, NO_PLACE
from driftwatch.summary.plan import Plan
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    history: History
    evaluator: Evaluator
    #: Blocks of the reference; loaded only when no state is stored.
    blocks: Blocks
    #: Configuration hash of the segment states.
    configuration: str

    @property
    def config(self) -> MonitorConfig:
        return self.evaluator.config

    @property
    def reference(self) -> Reference:
        return self.evaluator.reference

    def state_before(self, segment: str | None, end: int, part: int = 0) -> SegmentState:
        """Return a segment's state just before the window ending at ``end``, or a part of its late rows.

        Raises ``StoreForgot`` when windows judged before are stored and their tiles are past retention.
        """
        judged = self.history.judging.place(self.config.name, segment, end, part)
        place, segment_state = self._start(segment, judged)
        segment_state = replace(segment_state, configuration=self.configuration)
        for data in self.history.judging.between(self.config.name, segment, place, judged):
            stored = verdict_from_json(data)
            if stored.state.has_data and stored.reference == self.reference.fingerprint:
                segment_state, _ = self.reevaluate(segment_state, stored, gauges=False)
        return segment_state

    def newest_state(self, segment: str | None, max_windows: int) -> SegmentState:
        """Return a segment's state after all that was judged, as it was stored.

        Raises ``StoreForgot`` if that takes more windows or one of them would be decided otherwise now.
        """
        place, segment_state = self._start(segment, END_OF_ORDER)
        windows = self.history.judging.between(self.config.name, segment, place, END_OF_ORDER)
        if len(windows) > max_windows:
            raise StoreForgot(f"{self.config.name}: expected a check point within {max_windows} windows.")
        for data in windows:
            stored = verdict_from_json(data)
            if not stored.state.has_data:
                continue
            if stored.reference != self.reference.fingerprint:
                raise StoreForgot(f"{self.config.name}: windows were judged on another reference since.")
            segment_state, verdict = self.reevaluate(segment_state, stored, gauges=False)
            if (verdict.evidence, verdict.page, verdict.state) != (
                stored.evidence,
                stored.page,
                stored.state,
            ):
                raise StoreForgot(f"{self.config.name}: a window would be decided otherwise now.")
        return segment_state

    def reevaluate(
        self, segment_state: SegmentState, stored: Verdict, *, gauges: bool = True
    ) -> tuple[SegmentState, Verdict]:
        """Return the next state and the verdict, from the tiles that the window was decided on."""
        reading = self._reading(stored)
        segment_state = replace(self._as_decided(segment_state, stored), configuration=stored.configuration)
        if stored.part:
            evaluation = evaluate_late_rows(
                self.evaluator,
                self._late_rows(stored),
                segment_state,
                stored.segment,
                reading.drop_tiles(),
                gauges=gauges,
                other_pages=stored.other_pages,
            )
        else:
            evaluation = self.evaluator.evaluate(
                _window_sum(reading, self.reference.plan, stored.window),
                segment_state,
                segment=stored.segment,
                reading=reading,
                gauges=gauges,
                other_pages=stored.other_pages,
            )
        if evaluation is None:
            return segment_state, stored
        # Stored counts do not tell in which type their values came, nor when, nor of other segments.
        verdict = replace(
            render_gauges(evaluation.verdict),
            late_rows=stored.late_rows,
            type_changes=stored.type_changes,
            late=stored.late,
            detail=stored.detail if stored.late else evaluation.verdict.detail,
            named=_with_places(evaluation.verdict, stored),
        )
        if stored.calibrating_until is None and verdict.calibrating_until is not None:
            # Verdicts of 0.1.0 did not say until when the monitor learns.
            verdict = replace(verdict, calibrating_until=None, detail=stored.detail)
        return evaluation.segment_state, verdict

    def _late_rows(self, stored: Verdict) -> LateRows:
        """Return the late rows that a part was judged on, from its tiles and those before."""
        segment, growths = stored.segment, []
        for (start, later), (_, earlier) in zip(stored.tiles, stored.earlier_tiles, strict=True):
            before = self.history.tiles.get(self.config.name, segment, start, earlier)
            after = self.history.tiles.get(self.config.name, segment, start, later)
            growths.append(
                Growth(
                    start=start,
                    versions=(earlier, later),
                    before={} if before is None else {segment: before.summary},
                    after={} if after is None else {segment: after.summary},
                )
            )
        return LateRows(
            window=stored.window,
            part=stored.part,
            growths=tuple(growths),
            earlier_rows={segment: stored.earlier_rows},
        )

    def _as_decided(self, segment_state: SegmentState, stored: Verdict) -> SegmentState:
        """Count production's windows or not as the verdict did: a burn-in may be asked for only later."""
        if stored.calibrating_until is not None:
            verdicts = self.history.verdicts
            return with_production_windows(segment_state, stored.segment, self.config, verdicts)
        is_judged = stored.reason not in (Reason.TOO_FEW_ROWS, Reason.EXCLUDED)
        if segment_state.production_windows == 0 and is_judged:
            return replace(segment_state, production_windows=None)
        return segment_state

    def window_summary(self, stored: Verdict) -> Summary:
        """Sum the rows of a stored verdict. Raises ``StoreForgot`` when a tile is past retention."""
        if stored.part:
            self._reading(stored)
            return self._late_rows(stored).summary(stored.segment) or Summary.zero(
                self.reference.plan, stored.window
            )
        return _window_sum(self._reading(stored), self.reference.plan, stored.window)

    def _reading(self, stored: Verdict) -> Reading:
        name, segment = self.config.name, stored.segment
        tiles = {}
        for start, version in stored.tiles:
            tile = self.history.tiles.get(name, segment, start, version)
            if tile is None and self.history.tiles.holds(name, segment, start, version):
                raise StoreDamaged(
                    f"{name}: expected the tiles of the window ending {iso(stored.window.end)}. One of them "
                    "is damaged in the store."
                )
            if tile is None:
                raise StoreForgot(
                    f"{name}: expected the tiles of the window ending {iso(stored.window.end)}. "
                    "They are past retention.tiles.",
                    start=start,
                )
            tiles[start, segment] = tile.summary
        return Reading(
            tiles=tiles,
            versions=dict(stored.tiles),
            rejected=stored.rejected_files,
            other_columns=stored.other_columns,
            newest_row=stored.newest_row,
            untimed_rows=stored.untimed_rows,
            before_history_rows=stored.before_history_rows,
            future_rows=stored.future_rows,
            undecodable=tuple(
                UndecodableMessages(
                    start=stored.window.start, reason=UndecodableReason(reason), messages=messages
                )
                for reason, messages in stored.undecodable
            ),
        )

    def initial_state(self, segment: str | None) -> SegmentState:
        return initial_segment_state(
            self.evaluator.segment_context(segment),
            self.blocks(segment),
            self.evaluator.targets,
            self.config,
            self.configuration,
        )

    def _start(self, segment: str | None, judged: int) -> tuple[int, SegmentState]:
        """Return a state from before a place in the order of judging, and its own place."""
        name, fingerprint = self.config.name, self.reference.fingerprint
        checkpoint = self.history.states.checkpoint_before(name, segment, judged)
        if checkpoint is not None:
            place, segment_state = checkpoint[0], decode(checkpoint[1])
            if segment_state.reference == fingerprint:
                return place, segment_state
        beginning = self.history.states.initial(name, fingerprint, segment)
        if beginning is None:
            return NO_PLACE, self.initial_state(segment)
        segment_state = decode(beginning)
        if segment_state.decided_until is not None and segment_state.decided_until < judged:
            return segment_state.decided_until, segment_state
        # The window is older than the rebase: keep the accepted data, not the evidence and incidents.
        return NO_PLACE, replace(
            segment_state.reset(), incidents=(), decided_until=None, recent_shares=RecentShares()
        )


def _with_places(verdict: Verdict, stored: Verdict) -> tuple[NamedColumn, ...]:
    places = {item.column: item.place for item in stored.named}
    return tuple(replace(item, place=places.get(item.column, "")) for item in verdict.named)


def _window_sum(reading: Reading, plan: Plan, window: Span) -> Summary:
    # A segment's window without rows has no tiles.
    tiles = reading.tiles.values()
    return replace(total(tiles) if tiles else Summary.zero(plan, window).seal(plan), span=window)
