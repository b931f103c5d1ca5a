"""Self-test of the live path: measures whether a fault in copies of the real windows is detected.

A *trial* copies the segment state before a window, puts a fault of one column into that window and every
later one, and evaluates them as checks do (the *shadow*). After each window the first of these that applies
ends it:

- ``false_alarm``: the real windows, the control arm, paged for drift meanwhile, so the trial says
  nothing of the fault. It counts, because nobody knows whether something really moved.
- ``abandoned``: a real column broke, reference, configuration or fault changed, or the trial missed a window.
  Nothing was measured.
- ``detected``: the shadow paged. The delay counts judged windows, 1 is the first with the fault.
- ``missed``: ``within`` windows were judged without a page.

Windows without data, with too few rows or excluded do not count; too few rows are carried over, fault
included. A trial begins whatever the verdict of its first real window, so that the control arm is not chosen
by its outcome; the state before it must be healthy, past its burn-in and without an incident. Faults change
counts only, so detection by joint detectors is not measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import erf, sqrt

import numpy as np

from driftwatch.config.models import MonitorConfig, SelftestConfig
from driftwatch.core.plugins import unknown_name_message
from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.stored_format import StoredFormat
from driftwatch.decide.outcomes.burn_in import has_learned
from driftwatch.decide.segment_state import BLIND, BROKEN, DRIFT, SegmentState
from driftwatch.decide.state_codec import decode, encode
from driftwatch.detectors.base import ReferenceContext, Target
from driftwatch.errors import ConfigError
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.targets import policy_for
from driftwatch.monitor.evaluation.window_verdict import Evaluation
from driftwatch.results.results import Reason
from driftwatch.store.records import StoredSelftest, StoredTrial
from driftwatch.summary.faults import Fault, make_injection, robust_scale
from driftwatch.summary.summary import Summary

TRIAL = StoredFormat(name="trial of a self-test", version=1)
#: Windows within which a fault has to page when ``selftest.within`` is not set.
DEFAULT_TRIAL_WINDOWS = 10
#: Least and largest share of rows for a fault of a column without a scale.
_SHARE_BOUNDS = (0.01, 0.99)
_UNJUDGED_REASONS = (Reason.TOO_FEW_ROWS, Reason.EXCLUDED)


class TrialOutcome(StrEnum):
    """How a trial ended, as values of the metric label ``outcome``."""

    DETECTED = "detected"
    MISSED = "missed"
    FALSE_ALARM = "false_alarm"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    column: str
    fault: Fault
    size: float
    #: Most windows to judge.
    within: int
    #: Start of the first window with the fault, nanoseconds.
    begun_at: int
    #: State after the windows with the fault (the shadow).
    segment_state: SegmentState
    #: Windows judged so far.
    windows: int = 0

    def result(
        self, outcome: TrialOutcome, ended_at: int, *, delay: int | None = None, named: bool = False
    ) -> StoredTrial:
        return StoredTrial(
            begun_at=self.begun_at,
            ended_at=ended_at,
            column=self.column,
            fault=self.fault,
            size=self.size,
            within=self.within,
            outcome=outcome,
            delay=delay,
            named=named,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selftest:
    """Injects faults into ``columns`` in turn."""

    settings: SelftestConfig
    evaluator: Evaluator
    columns: tuple[str, ...]

    @classmethod
    def from_config(
        cls, context: ReferenceContext, targets: tuple[Target, ...], config: MonitorConfig
    ) -> Selftest | None:
        """Return the self-test, or None when it is off; trials have a memo for states of their own.

        Raises ``ConfigError`` when no detector that can page measures a column.
        """
        settings, reference = config.selftest, context.reference
        if settings is None:
            return None
        measured_columns = {
            column for detector, column in targets if detector.evidence and column is not None
        }
        names = tuple(column.name for column in reference.plan.columns if column.name in measured_columns)
        if not names:
            raise ConfigError(
                f"monitor {config.name!r}: selftest: expected a column of its own for a detector that can "
                "page. All that is listed under detectors looks at all columns together."
            )
        if settings.column is not None and settings.column not in names:
            problem = unknown_name_message("watched column", settings.column, names)
            raise ConfigError(f"monitor {config.name!r}: selftest.column: {problem}")
        selected = names if settings.column is None else (settings.column,)
        counts = reference.summary.counts
        columns = tuple(name for name in selected if counts[name].present)
        return cls(settings=settings, evaluator=Evaluator(context, targets, config), columns=columns)

    @property
    def max_windows(self) -> int:
        seconds = self.settings.within
        return (
            DEFAULT_TRIAL_WINDOWS if seconds is None else -(-seconds // self.evaluator.config.window.length)
        )

    def fault(self, column: str) -> tuple[Fault, float]:
        """Return the fault to inject into a column, and its size.

        Where only missing values are watched, a share of the rows loses its value. Otherwise a column with a
        scale is shifted; in any other one a share of the rows takes one value. That share is the total
        variation that the shift causes in a normal distribution.
        """
        reference = self.evaluator.reference
        grid, counts = reference.plan.grids[column], reference.summary.counts[column]
        values_read = any(
            item.reads_values for item, name in self.evaluator.targets if name == column and item.evidence
        )
        if values_read and robust_scale(grid, counts) is not None:
            return Fault.SHIFT, self.settings.shift
        share = round(erf(self.settings.shift / sqrt(8)), 2)
        share = min(max(share, _SHARE_BOUNDS[0]), _SHARE_BOUNDS[1])
        return Fault.VALUE if values_read else Fault.MISSING, share

    def matches_settings(self, trial: Trial | StoredTrial) -> bool:
        current = trial.column in self.columns and self.fault(trial.column)
        return current == (trial.fault, trial.size) and trial.within == self.max_windows

    def advance(
        self, stored: StoredSelftest, segment_state: SegmentState, window: Summary, evaluation: Evaluation
    ) -> StoredSelftest | None:
        """Return the self-test to store after one more window (all segments together); None if unchanged.

        ``segment_state`` (before the window) and ``evaluation`` belong to the real window and stay unchanged.
        """
        if stored.trial is not None:
            trial = decode_trial(stored.trial)
            if not self._continues(trial, segment_state):
                return _with_result(stored, trial.result(TrialOutcome.ABANDONED, window.span.end))
        elif self._is_due(stored, segment_state, window, evaluation):
            trial = self._new_trial(stored, segment_state, window)
            stored = replace(stored, begun_at=window.span.start)
        else:
            return None
        next_trial = self.step(trial, window, evaluation)
        if isinstance(next_trial, StoredTrial):
            return _with_result(stored, next_trial)
        return replace(stored, trial=encode_trial(next_trial), ended=None)

    def step(self, trial: Trial, window: Summary, evaluation: Evaluation) -> Trial | StoredTrial:
        # What joins an incident of another segment moved as well.
        changed = (*evaluation.opened, *evaluation.updated)
        end, kinds = window.span.end, {item.kind for item in changed}
        if DRIFT in kinds:
            return trial.result(TrialOutcome.FALSE_ALARM, end)
        if kinds:
            return trial.result(TrialOutcome.ABANDONED, end)
        reference = self.evaluator.reference
        grid, counts = reference.plan.grids[trial.column], reference.summary.counts[trial.column]
        faulty = make_injection(grid, counts, trial.column, trial.fault, trial.size).apply(window)
        shadow = self.evaluator.evaluate(faulty, trial.segment_state, gauges=False)
        windows = trial.windows + (evaluation.verdict.reason not in _UNJUDGED_REASONS)
        if shadow.verdict.page:
            named_columns = {name for incident in shadow.opened for name in incident.columns}
            return trial.result(
                TrialOutcome.DETECTED, end, delay=windows, named=trial.column in named_columns
            )
        if windows >= trial.within:
            return trial.result(TrialOutcome.MISSED, end)
        return replace(trial, segment_state=shadow.segment_state, windows=windows)

    def _continues(self, trial: Trial, segment_state: SegmentState) -> bool:
        shadow = trial.segment_state
        return self.matches_settings(trial) and (
            shadow.reference,
            shadow.configuration,
            shadow.decided_until,
        ) == (
            segment_state.reference,
            segment_state.configuration,
            segment_state.decided_until,
        )

    def _is_due(
        self, stored: StoredSelftest, segment_state: SegmentState, window: Summary, evaluation: Evaluation
    ) -> bool:
        if (
            not self.columns
            or evaluation.verdict.reason is Reason.EXCLUDED
            or segment_state.carried_over is not None
        ):
            return False
        # Half a window of grace: days are 23 or 25 hours long when the clock changes.
        wait = self.settings.every * NANOSECONDS - (window.span.end - window.span.start) // 2
        if stored.begun_at is not None and window.span.start - stored.begun_at < wait:
            return False
        has_incident = any(item.kind != BLIND for item in segment_state.incidents)
        breaks = any(item.kind == BROKEN for item in evaluation.opened)
        is_learned = has_learned(segment_state, policy_for(self.evaluator.config, None, 1))
        return is_learned and not has_incident and not breaks

    def _new_trial(self, stored: StoredSelftest, segment_state: SegmentState, window: Summary) -> Trial:
        column = self.columns[stored.trials % len(self.columns)]
        fault, size = self.fault(column)
        return Trial(
            column=column,
            fault=fault,
            size=size,
            within=self.max_windows,
            begun_at=window.span.start,
            segment_state=segment_state,
        )


def abandon_after_error(stored: StoredSelftest, window: Summary) -> StoredSelftest:
    # The next trial starts when it is due, not at once.
    begun_at = stored.begun_at if stored.trial is not None else window.span.start
    return replace(stored, begun_at=begun_at, abandoned=stored.abandoned + 1, trial=None, ended=None)


def _with_result(stored: StoredSelftest, result: StoredTrial) -> StoredSelftest:
    is_measured = result.outcome != TrialOutcome.ABANDONED
    return replace(
        stored,
        detected=stored.detected + (result.outcome == TrialOutcome.DETECTED),
        missed=stored.missed + (result.outcome == TrialOutcome.MISSED),
        false_alarm=stored.false_alarm + (result.outcome == TrialOutcome.FALSE_ALARM),
        abandoned=stored.abandoned + (not is_measured),
        delay_windows=stored.delay_windows + (result.delay or 0),
        measured_at=result.ended_at if is_measured else stored.measured_at,
        trial=None,
        ended=result,
    )


def encode_trial(trial: Trial) -> bytes:
    header = {
        "column": trial.column,
        "fault": str(trial.fault),
        "size": trial.size,
        "within": trial.within,
        "begun_at": trial.begun_at,
        "windows": trial.windows,
    }
    return TRIAL.pack(header, {"track": np.frombuffer(encode(trial.segment_state), dtype=np.uint8)})


def decode_trial(data: bytes) -> Trial:
    """Decode a stored trial. Raises ``StoreError`` on other bytes."""
    header, arrays = TRIAL.unpack(data)
    header["fault"] = Fault(header["fault"])
    return Trial(**header, segment_state=decode(arrays["track"].tobytes()))
