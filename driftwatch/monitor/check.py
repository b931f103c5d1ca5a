"""One check: pull, summarise, test, decide, record. The clock is an argument; nothing here is a thread."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.decision import Decision
from driftwatch.decide.incidents import BLIND, incident_key
from driftwatch.decide.state import Incident, SegmentState, decode
from driftwatch.detectors.base import reads_sums
from driftwatch.errors import DataError, ReaderDied, SchemaMismatch, SourceTimeout, TooManyRows
from driftwatch.monitor.evaluate import (
    Look,
    fresh_track,
    gauges,
    judge,
    looks,
    policy_for,
    with_untimed,
    worded,
)
from driftwatch.monitor.record import Recorder, configuration_of
from driftwatch.monitor.selftest import Selftest, failed
from driftwatch.monitor.tiles import TileReading, TileSource, glance, late, pull, slid
from driftwatch.results.results import Reason, State, Statistic, Verdict
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord, StoredSelftest, StoredTile
from driftwatch.summary.moving_sum import MovingSum
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool

#: Bytes of the sums of slices that one monitor keeps for its sliding window.
_MOST_SUMS = 1 << 24
log = logging.getLogger(__name__)

#: Lengths of a window a late or failing source is waited for before the window is given up, and said so.
PATIENCE = 2
#: Attempts before a read that kills its reader is given up.
ATTEMPTS = 3


def configuration_hash(config: MonitorConfig) -> str:
    """sha256 of everything in a monitor's configuration that decides, its secrets left out."""
    return configuration_of(config)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one check came to. ``final`` says the window is decided; else it stays due.

    ``windows`` are the summaries by segment, for drawing; ``failure`` is the reason when nothing was read. Of
    a ``glance`` there are no verdicts, only ``gauges`` by segment. ``kept`` is as in ``Late``, ``untimed`` as
    in ``TileReading``.
    """

    verdicts: tuple[Verdict, ...]
    final: bool
    glance: bool = False
    gauges: dict[str | None, tuple[Statistic, ...]] = field(default_factory=dict)
    windows: dict[str | None, Summary] = field(default_factory=dict)
    failure: Reason | None = None
    rows_read: int = 0
    kept: int = 0
    untimed: int | None = None
    read_seconds: float = 0.0
    newest_row: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """What a second look at a decided window found.

    ``rows`` came late. ``kept`` slices have fewer rows at the source than were seen, because rows are gone or
    a file cannot be read: what was seen stays.
    """

    rows: int = 0
    kept: int = 0


@dataclass(slots=True, kw_only=True)
class Monitor:
    """One model's inputs watched: its configuration, reference, history, and the readers to pull with."""

    config: MonitorConfig
    reference: Reference
    history: History
    readers: ReaderPool
    recorder: Recorder
    attempts: dict[int, int] = field(default_factory=dict)
    segment_states: dict[str | None, SegmentState] = field(default_factory=dict)
    configuration: str = ""
    looks: tuple[Look, ...] = ()
    selftest: Selftest | None = None
    sums: tuple[str, dict[str | None, MovingSum]] | None = None

    def __post_init__(self) -> None:
        self.configuration = configuration_hash(self.config)
        self.looks = looks(self.reference, self.config.detectors)
        self.selftest = Selftest.of(self.config, self.reference, self.looks)

    def segment_state(self, segment: str | None) -> SegmentState:
        """What is remembered for a segment; from the reference's own blocks when nothing is yet.

        A changed configuration keeps what was learned and the evidence: the budget goes on. What was
        committed last is remembered, so the store is asked once.
        """
        if segment in self.segment_states:
            return self.segment_states[segment]
        stored = self.history.segment_state(self.config.name, segment)
        if stored is not None:
            segment_state = decode(stored)
            if segment_state.reference == self.reference.fingerprint:
                return replace(segment_state, configuration=self.configuration)
        blocks = self.history.blocks(self.config.name, self.reference.fingerprint, segment)
        return fresh_track(self.reference.at(segment), blocks, self.looks, self.config, self.configuration)

    def check(self, window: Span, now: int, *, record: bool = True) -> Outcome:
        """Check one window and, with ``record``, commit all of it in one transaction.

        A source that fails gives a verdict of a could-not-look state, never an exception; ``final`` is
        False while the window is still waited for.
        """
        try:
            read = pull(self._wells(), window)
        except DataError as error:
            return self._blind(window, now, *_failure(error), detail=str(error), record=record)
        rows = sum(part.rows for (_, name), part in read.tiles.items() if name is None)
        if rows == 0:
            return self._nothing(window, now, read, record=record)
        self.attempts.pop(window.end, None)
        parts = read.windows(self.reference.plan, window)
        decided = {name: self._decide(name, part, read) for name, part in parts.items()}
        verdicts = tuple(verdict for _, verdict in decided.values())
        if record:
            tested = self._tested(parts[None], decided[None][0])
            if self.recorder.check(window, now, self._fresh(read), decided, tested):
                self.segment_states = {
                    name: decision.segment_state for name, (decision, _) in decided.items()
                }
            else:
                self.segment_states = {}
        return Outcome(
            verdicts=verdicts,
            final=True,
            windows=parts,
            rows_read=read.rows,
            kept=read.kept,
            untimed=read.untimed,
            read_seconds=read.seconds,
            newest_row=read.newest_row,
        )

    def _wells(self) -> TileSource:
        return TileSource(
            config=self.config,
            plan=self.reference.plan,
            history=self.history,
            readers=self.readers,
            sums=reads_sums(detector for detector, _ in self.looks),
            sample=self.recorder.keep_samples,
        )

    def _decide(self, segment: str | None, part: Summary, read: TileReading) -> tuple[Decision, Verdict]:
        decision, verdict = judge(
            self.reference,
            part,
            self.looks,
            self.segment_state(segment),
            self.config,
            segment=segment,
            tiles=read.used(segment),
            rejected=read.rejected,
            newest_row=read.newest_row,
            untimed=(read.untimed or 0) if segment is None else 0,
        )
        return decision, worded(verdict)

    def _tested(self, window: Summary, real: Decision) -> StoredSelftest | None:
        """What the window changes of the self-test. Whatever fails in it, the check itself goes on."""
        if self.selftest is None:
            return None
        known = self.history.selftest(self.config.name)
        try:
            return self.selftest.advance(known, self.segment_state(None), window, real)
        except Exception:
            log.exception("self-test failed", extra={"monitor": self.config.name})
            return failed(known, window)

    def _fresh(self, read: TileReading) -> list[StoredTile]:
        return self.recorder.stored(read.fresh, read.versions, read.sources)

    def late(self, window: Span, now: int) -> Late:
        """Look again at a decided window: changed data becomes a new version of its tiles.

        The verdict keeps the version it was decided on. Raises the source's errors.
        """
        read = late(self._wells(), window)
        if read is None:
            return Late()
        if read.fresh:
            tiles = self._fresh(read)
            self.history.commit(CheckRecord(monitor=self.config.name, now=now, tiles=tiles))
        return Late(rows=read.late_rows, kept=read.kept)

    def glance(self, window: Span, now: int) -> Outcome:
        """Refresh the gauges over a sliding window: its tiles are kept, no evidence comes of it."""
        try:
            wells, sums = self._wells(), self._sums()
            read = glance(wells, window, sums)
        except DataError as error:
            return self._blind(window, now, *_failure(error), detail=str(error), record=False)
        tiles = self._fresh(read)
        self.history.commit(CheckRecord(monitor=self.config.name, now=now, tiles=tiles))
        parts = slid(wells, window, read, sums)
        shown = {
            name: tuple(gauges(self.reference.at(name), part, self.looks)) for name, part in parts.items()
        }
        return Outcome(
            verdicts=(),
            gauges=shown,
            final=False,
            glance=True,
            windows=parts,
            untimed=read.untimed,
            newest_row=read.newest_row,
        )

    def _sums(self) -> dict[str | None, MovingSum]:
        """The sums of the last glance; none when rows are kept, which cannot be taken away again."""
        plan = self.reference.plan
        if self.sums is None or self.sums[0] != plan.fingerprint or self.recorder.keep_samples:
            read, most = reads_sums(detector for detector, _ in self.looks), _MOST_SUMS // len(plan.segments)
            self.sums = plan.fingerprint, {name: MovingSum(sums=read, most=most) for name in plan.segments}
        return self.sums[1]

    def _nothing(self, window: Span, now: int, read: TileReading, *, record: bool) -> Outcome:
        if read.rejected:
            names = ", ".join(f"{item.name} ({item.problem})" for item in read.rejected[:5])
            return self._blind(
                window, now, State.SOURCE_ERROR, Reason.ALL_FILES_UNREADABLE,
                detail=f"no row of this window was found, and files could not be read: {names}",
                record=record, read=read,
            )  # fmt: skip
        try:
            limits = self.config.limits
            extent = self.readers.extent(
                self.config.source, seconds=limits.seconds, memory=int(limits.memory)
            )
        except DataError as error:
            return self._blind(window, now, *_failure(error), detail=str(error), record=record)
        newest = None if extent is None else extent.end - 1
        if newest is not None and newest >= window.end:
            return self._blind(
                window, now, State.NO_DATA, Reason.NO_ROWS, newest=newest, final=True, record=record,
                detail="the source has newer rows, but none in this window", read=read,
            )  # fmt: skip
        state, reason, detail = State.STALE, Reason.SOURCE_BEHIND, "the source's newest row is older"
        if newest is None and read.untimed:
            state, reason = State.SOURCE_ERROR, Reason.SCHEMA_MISMATCH
            detail = f"no row has a usable event time in {self.reference.plan.time_column!r}"
        elif newest is None:
            state, reason, detail = State.NO_DATA, Reason.NO_ROWS, "the source has no rows"
        return self._blind(window, now, state, reason, detail=detail, newest=newest, record=record, read=read)

    def _blind(
        self,
        window: Span,
        now: int,
        state: State,
        reason: Reason,
        *,
        detail: str,
        record: bool,
        newest: int | None = None,
        final: bool | None = None,
        read: TileReading | None = None,
    ) -> Outcome:
        """Could not look. Nothing is learned and no evidence changes; the window may stay due."""
        overdue = now - window.end - self.config.window.lag * NANOSECONDS
        tries = self.attempts.get(window.end, 0) + 1
        if record:
            self.attempts[window.end] = tries
        if final is None:
            patient = overdue < PATIENCE * (window.end - window.start)
            unreachable = reason is Reason.SOURCE_UNAVAILABLE
            final = not patient and not unreachable and tries >= ATTEMPTS
        untimed = read.untimed if read else None
        verdicts = tuple(
            Verdict(
                monitor=self.config.name, segment=name, window=window, rows=0, state=state, reason=reason,
                detail=with_untimed(detail, untimed or 0), untimed_rows=untimed or 0,
                rejected_files=read.rejected if read else (), newest_row=newest,
                reference=self.reference.fingerprint, configuration=self.configuration,
            )
            for name in self.reference.plan.segments
        )  # fmt: skip
        if record:
            self._record_blind(window, now, verdicts, final=final, overdue=overdue)
        if final:
            self.attempts.pop(window.end, None)
        return Outcome(verdicts=verdicts, final=final, failure=reason, untimed=untimed, newest_row=newest)

    def _record_blind(
        self, window: Span, now: int, verdicts: tuple[Verdict, ...], *, final: bool, overdue: int
    ) -> None:
        """Store what could not be looked at; say so to the notifiers once a whole window is overdue."""
        segment_state, opened = self.segment_state(None), None
        if overdue >= window.end - window.start and all(
            item.kind != BLIND for item in segment_state.incidents
        ):
            policy = policy_for(self.config, None, 1)
            opened = Incident(
                key=incident_key(policy, BLIND, window, ()),
                kind=BLIND,
                columns=(),
                opened_at=window.end,
                onset=window.start,
            )
            segment_state = replace(segment_state, incidents=(*segment_state.incidents, opened))
        if final or opened:
            self.recorder.blind(
                window, now, verdicts if final else verdicts[:0], verdicts[0], segment_state, opened
            )
            self.segment_states[None] = segment_state


_REASONS: tuple[tuple[type[DataError], Reason], ...] = (
    (SourceTimeout, Reason.SOURCE_TIMEOUT),
    (ReaderDied, Reason.READER_DIED),
    (TooManyRows, Reason.TOO_MANY_ROWS),
    (SchemaMismatch, Reason.SCHEMA_MISMATCH),
)


def _failure(error: DataError) -> tuple[State, Reason]:
    found = (reason for kind, reason in _REASONS if isinstance(error, kind))
    return State.SOURCE_ERROR, next(found, Reason.SOURCE_UNAVAILABLE)
