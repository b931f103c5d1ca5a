"""The self-test of the live path: a fault injected beside the real windows, and whether it is found.

A *trial* copies the track as it stood before a window, puts a fault of one column into that window and every
later one, and judges them by the arithmetic of every check. It ends in one of four ways, looked for in this
order after each window:

- ``false_alarm``: the real windows paged for statistics while the fault was under trial. They are the control
  arm, so the trial says nothing of the fault. Whether something really moved then, nobody knows: it counts.
- ``abandoned``: a real column broke, or what is judged is not what the trial began with (another reference,
  configuration, fault, or a window that the trial did not see). Nothing was measured.
- ``detected``: the shadow paged. The delay counts judged windows, 1 is the first with the fault.
- ``missed``: ``within`` windows were judged without a page.

Windows that could not be looked at, have too few rows or are excluded count for nothing; too few rows are
held, with the fault in them, as the real ones are. A trial begins whatever its first real window will say, so
that the control arm is not chosen by its outcome: what was known before it must be healthy, learned, with no
incident open. The fault is of counts only: what the joint detectors' sums would add is not in the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import erf, sqrt

import numpy as np

from driftwatch.config.models import MonitorConfig, SelftestConfig
from driftwatch.core.codec import pack, unpack
from driftwatch.core.plugins import unknown
from driftwatch.core.schema import NANOSECONDS
from driftwatch.decide.decision import Decision
from driftwatch.decide.incidents import BLIND, BROKEN, DRIFT
from driftwatch.decide.state import SegmentState, decode, encode
from driftwatch.errors import ConfigError
from driftwatch.monitor.evaluate import Look, judge, policy_for
from driftwatch.results.results import Reason
from driftwatch.store.records import StoredSelftest, StoredTrial
from driftwatch.summary.faults import Fault, injection, spread
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Windows within which a fault has to page when ``within`` is not said.
WITHIN = 10
#: Shares of rows that a fault of a column without a spread may take.
_SHARES = (0.01, 0.99)
_UNJUDGED = (Reason.TOO_FEW_ROWS, Reason.EXCLUDED)


class Ending(StrEnum):
    """How a trial ended; the label ``outcome``."""

    DETECTED = "detected"
    MISSED = "missed"
    FALSE_ALARM = "false_alarm"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A fault under way. ``segment_state`` is the shadow's; ``windows`` of at most ``within`` were judged so far.

    ``begun_at`` is the start of the first window with the fault in it, nanoseconds.
    """

    column: str
    fault: Fault
    size: float
    within: int
    begun_at: int
    segment_state: SegmentState
    windows: int = 0

    def ended(self, ending: Ending, at: int, *, delay: int | None = None, named: bool = False) -> StoredTrial:
        """What is kept of it once it is over, in the window that ends ``at``."""
        return StoredTrial(
            begun_at=self.begun_at,
            ended_at=at,
            column=self.column,
            fault=self.fault,
            size=self.size,
            within=self.within,
            outcome=ending,
            delay=delay,
            named=named,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selftest:
    """What the trials of one monitor have in common. ``columns`` are injected into in turn."""

    settings: SelftestConfig
    config: MonitorConfig
    reference: Reference
    chosen: Sequence[Look]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, config: MonitorConfig, reference: Reference, chosen: Sequence[Look]) -> Selftest | None:
        """The monitor's self-test; None when it is off.

        Raises ``ConfigError`` when no detector that can page looks at a column, or at the one named.
        """
        settings = config.selftest
        if settings is None:
            return None
        looked = {column for detector, column in chosen if detector.evidence and column is not None}
        names = tuple(column.name for column in reference.plan.columns if column.name in looked)
        if not names:
            raise ConfigError(
                f"monitor {config.name!r}: selftest: expected a column of its own for a detector that can "
                "page. All that is listed under detectors looks at all columns together."
            )
        if settings.column is not None and settings.column not in names:
            told = unknown("watched column", settings.column, names)
            raise ConfigError(f"monitor {config.name!r}: selftest.column: {told}")
        wanted = names if settings.column is None else (settings.column,)
        counts = reference.summary.counts
        columns = tuple(name for name in wanted if counts[name].present)
        return cls(settings=settings, config=config, reference=reference, chosen=chosen, columns=columns)

    @property
    def within(self) -> int:
        """Judged windows in which a fault has to page."""
        asked = self.settings.within
        return WITHIN if asked is None else -(-asked // self.config.window.length)

    def fault(self, column: str) -> tuple[Fault, float]:
        """What is injected into a column, and its size.

        A shift where there is a spread. Else a share of the rows: as far, in total variation, as the shift
        moves a normal column; they take one value, or lose theirs where only that is watched.
        """
        grid, counts = self.reference.plan.grids[column], self.reference.summary.counts[column]
        watching = {item.name for item, name in self.chosen if name == column and item.evidence}
        if watching != {"missing"} and spread(grid, counts) is not None:
            return Fault.SHIFT, self.settings.shift
        share = round(erf(self.settings.shift / sqrt(8)), 2)
        share = min(max(share, _SHARES[0]), _SHARES[1])
        return Fault.MISSING if watching == {"missing"} else Fault.VALUE, share

    def like(self, trial: Trial | StoredTrial) -> bool:
        """True when a trial of today would be of that fault, for as many windows."""
        today = trial.column in self.columns and self.fault(trial.column)
        return today == (trial.fault, trial.size) and trial.within == self.within

    def advance(
        self, known: StoredSelftest, before: SegmentState, window: Summary, real: Decision
    ) -> StoredSelftest | None:
        """One more window of all rows that was looked at: what is to be stored with it; None for no change.

        ``before`` is the real track before the window, ``real`` what was decided of it. Both are only read.
        """
        if known.trial is not None:
            trial = decode_trial(known.trial)
            if not self._goes_on(trial, before):
                return _after(known, trial.ended(Ending.ABANDONED, window.span.end))
        elif self._due(known, before, window, real):
            trial = self._begun(known, before, window)
            known = replace(known, begun_at=window.span.start)
        else:
            return None
        found = self.step(trial, window, real)
        if isinstance(found, StoredTrial):
            return _after(known, found)
        return replace(known, trial=encode_trial(found), ended=None)

    def step(self, trial: Trial, window: Summary, real: Decision) -> Trial | StoredTrial:
        """The trial after one more window, or its end."""
        end, kinds = window.span.end, {item.kind for item in real.opened}
        if DRIFT in kinds:
            return trial.ended(Ending.FALSE_ALARM, end)
        if kinds:
            return trial.ended(Ending.ABANDONED, end)
        grid, counts = self.reference.plan.grids[trial.column], self.reference.summary.counts[trial.column]
        faulty = injection(grid, counts, trial.column, trial.fault, trial.size).into(window)
        shadow, _ = judge(
            self.reference, faulty, self.chosen, trial.segment_state, self.config, segment=None, gauges=False
        )
        windows = trial.windows + (real.reason not in _UNJUDGED)
        if shadow.page:
            opened = {name for incident in shadow.opened for name in incident.columns}
            return trial.ended(Ending.DETECTED, end, delay=windows, named=trial.column in opened)
        if windows >= trial.within:
            return trial.ended(Ending.MISSED, end)
        return replace(trial, segment_state=shadow.segment_state, windows=windows)

    def _goes_on(self, trial: Trial, before: SegmentState) -> bool:
        """True when the shadow saw the same windows on the same terms, and the fault is still asked for."""
        shadow = trial.segment_state
        return self.like(trial) and (shadow.reference, shadow.configuration, shadow.decided_until) == (
            before.reference,
            before.configuration,
            before.decided_until,
        )

    def _due(self, known: StoredSelftest, before: SegmentState, window: Summary, real: Decision) -> bool:
        if not self.columns or real.reason is Reason.EXCLUDED or before.held is not None:
            return False
        # Half a window of grace: days are 23 or 25 hours long when the clock changes.
        wait = self.settings.every * NANOSECONDS - (window.span.end - window.span.start) // 2
        if known.begun_at is not None and window.span.start - known.begun_at < wait:
            return False
        open_before = any(item.kind != BLIND for item in before.incidents)
        broke = any(item.kind == BROKEN for item in real.opened)
        learned = before.healthy_windows >= policy_for(self.config, None, 1).burn_in
        return learned and not open_before and not broke

    def _begun(self, known: StoredSelftest, before: SegmentState, window: Summary) -> Trial:
        column = self.columns[known.trials % len(self.columns)]
        fault, size = self.fault(column)
        return Trial(
            column=column,
            fault=fault,
            size=size,
            within=self.within,
            begun_at=window.span.start,
            segment_state=before,
        )


def failed(known: StoredSelftest, window: Summary) -> StoredSelftest:
    """After a step that raised: the trial is given up, and the next one waits for its time."""
    begun_at = known.begun_at if known.trial is not None else window.span.start
    return replace(known, begun_at=begun_at, abandoned=known.abandoned + 1, trial=None, ended=None)


def _after(known: StoredSelftest, ended: StoredTrial) -> StoredSelftest:
    measured = ended.outcome != Ending.ABANDONED
    return replace(
        known,
        detected=known.detected + (ended.outcome == Ending.DETECTED),
        missed=known.missed + (ended.outcome == Ending.MISSED),
        false_alarm=known.false_alarm + (ended.outcome == Ending.FALSE_ALARM),
        abandoned=known.abandoned + (not measured),
        delay_windows=known.delay_windows + (ended.delay or 0),
        measured_at=ended.ended_at if measured else known.measured_at,
        trial=None,
        ended=ended,
    )


def encode_trial(trial: Trial) -> bytes:
    """A trial under way as bytes."""
    header = {
        "column": trial.column,
        "fault": str(trial.fault),
        "size": trial.size,
        "within": trial.within,
        "begun_at": trial.begun_at,
        "windows": trial.windows,
    }
    return pack(header, {"track": np.frombuffer(encode(trial.segment_state), dtype=np.uint8)})


def decode_trial(data: bytes) -> Trial:
    """The trial that ``encode_trial`` was given. Raises ``StoreError`` on anything else."""
    header, arrays = unpack(data)
    header["fault"] = Fault(header["fault"])
    return Trial(**header, segment_state=decode(arrays["track"].tobytes()))
