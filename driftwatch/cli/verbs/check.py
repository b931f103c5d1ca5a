from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftwatch.cli.verbs._arguments import as_one_or_many, moment_of, trail_to
from driftwatch.cli.verbs._clock_notes import note_clock_behind, note_clock_set
from driftwatch.cli.verbs._each_monitor import (
    MonitorFailure,
    MonitorResult,
    exit_code_of,
    failures_in,
    for_each_monitor,
    report,
)
from driftwatch.cli.verbs._options import CONFIG, FORMAT, MONITOR, guarded, say
from driftwatch.core.clock import SystemClock
from driftwatch.errors import DataError, StoreForgot

if TYPE_CHECKING:
    from driftwatch.config.models import Config, MonitorConfig
    from driftwatch.monitor.check import Monitor
    from driftwatch.monitor.session import Session
    from driftwatch.results.evidence_trail import Trail
    from driftwatch.results.results import Verdict
    from driftwatch.store.database import Database
    from driftwatch.store.history import History

Verdicts = tuple["Verdict", ...]
#: Verdicts that are looked through for one that can be read.
_MAX_DAMAGED_VERDICTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorCheck:
    #: The newest verdicts: all rows, then segments.
    verdicts: Verdicts
    #: Of these, the verdicts on late rows of their window.
    late_parts: Verdicts = ()
    #: What this check judged of older windows: owed ones whose rows came and late rows, in this order.
    late_windows: Verdicts = ()

    def to_json(self, name: str) -> dict[str, Any]:
        from driftwatch.results.verdict_json import judged_window_json

        windows = [
            judged_window_json(verdict, [item for item in self.late_parts if item.segment == verdict.segment])
            for verdict in self.verdicts
        ]
        late_windows = [judged_window_json(verdict) for verdict in self.late_windows]
        return {"monitor": name, **windows[0], "segments": windows[1:], "late_windows": late_windows}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    #: The result of each monitor.
    monitors: tuple[MonitorResult[MonitorCheck], ...]
    #: By (monitor, segment).
    trails: Mapping[tuple[str, str | None], Trail]

    @property
    def exit_code(self) -> int:
        return exit_code_of(_exit_code(item.content) for item in self.monitors)

    @property
    def late_windows(self) -> Verdicts:
        return tuple(verdict for check in self._checks for verdict in check.late_windows)

    @property
    def _checks(self) -> list[MonitorCheck]:
        return [item.content for item in self.monitors if isinstance(item.content, MonitorCheck)]

    def to_json(self) -> Any:
        return as_one_or_many([_result_json(item) for item in self.monitors])


def _result_json(result: MonitorResult[MonitorCheck]) -> dict[str, Any]:
    if isinstance(result.content, MonitorFailure):
        return {**result.content.to_json()}
    return result.content.to_json(result.monitor)


@click.command()
@CONFIG
@MONITOR
@click.option("--at", metavar="TIME", help="Check as of this time; writes and sends nothing.")
@FORMAT
@guarded
def check(config: Path, monitor: str | None, at: str | None, output_format: str) -> int:
    """Check the newest closed window of each monitor, now.

    Older windows whose rows came late are judged first.

    \b
    Examples:
      driftwatch check driftwatch.yaml
      driftwatch check driftwatch.yaml --monitor test --at 2026-03-01 --format json
    """
    from driftwatch.cli.output import show_checks, show_json, show_late_verdicts

    result = check_monitors(config, monitor, at)
    if output_format == "json":
        show_json(result.to_json())
        report(failures_in(result.monitors))
    else:
        show_checks(
            [
                (
                    item.monitor,
                    item.content.error if isinstance(item.content, MonitorFailure) else item.content.verdicts,
                )
                for item in result.monitors
            ],
            result.trails,
        )
        show_late_verdicts(result.late_windows, "judged late, because the rows came late")
    return result.exit_code


def _exit_code(content: MonitorCheck | MonitorFailure) -> int:
    """Return 1 moved, 3 could not look, 5 not judged yet, 0 ok, or that of the failure.

    What was judged late counts if it moved.

    Segments count only if they moved: rare levels are mostly too small to be judged, and would keep a healthy
    monitor from ever being ok.
    """
    from driftwatch.results.results import State

    if isinstance(content, MonitorFailure):
        return content.exit_code
    if any(verdict.state.moved for verdict in (*content.verdicts, *content.late_windows)):
        return 1
    states = {verdict.state for verdict in content.verdicts if verdict.segment is None}
    if any(not state.has_data for state in states):
        return 3
    return 5 if states & {State.CALIBRATING, State.INSUFFICIENT} else 0


def check_monitors(path: Path, name: str | None, at: str | None) -> CheckResult:
    """Check now, or as of ``at``; while a daemon runs, return its newest verdicts."""
    from driftwatch.config.load import load
    from driftwatch.daemon.notifiers import deliver_waiting
    from driftwatch.monitor.session import open_session, select_monitors
    from driftwatch.monitor.succession.removed_monitors import close_removed
    from driftwatch.store.locks import deciding

    config = load(path)
    monitors = select_monitors(config, name)
    if at is not None:
        moment = moment_of(at, "--at")
        # Stores nothing, so that no lock is needed beside a daemon.
        with open_session(config, SystemClock(), say) as session:
            results = _check_each(monitors, lambda monitor: _verdicts_at(session, monitor, moment))
            return _check_result(session.database, results)
    with deciding(config.storage.path, say) as has_lock:
        if not has_lock:
            say("a daemon is running on this storage; these are its newest verdicts")
            return _daemon_verdicts(config, monitors)
        with open_session(config, SystemClock(), say) as session:
            note_clock_set(session)
            close_removed(session)
            results = _check_each(monitors, lambda monitor: _due_verdicts(session, monitor))
            # One attempt for every waiting message: nobody else sends them where no daemon runs.
            deliver_waiting(session)
            return _check_result(session.database, results)


def _check_each(
    monitors: Sequence[MonitorConfig], check_monitor: Callable[[MonitorConfig], MonitorCheck]
) -> tuple[MonitorResult[MonitorCheck], ...]:
    from driftwatch.cli.output import progress

    with progress("monitors checked") as advance:
        return for_each_monitor(monitors, check_monitor, advance)


def _check_result(database: Database, results: tuple[MonitorResult[MonitorCheck], ...]) -> CheckResult:
    return CheckResult(monitors=results, trails=dict(_trails(database, results)))


def _trails(
    database: Database, results: Sequence[MonitorResult[MonitorCheck]]
) -> Iterator[tuple[tuple[str, str | None], Trail]]:
    for item in results:
        if not isinstance(item.content, MonitorFailure):
            for verdict in item.content.verdicts:
                yield (verdict.monitor, verdict.segment), trail_to(database, verdict)


def _verdicts_at(session: Session, config: MonitorConfig, at: int) -> MonitorCheck:
    """Judge the window that was newest at ``at``, from the state before it."""
    from driftwatch.core.windows import newest_closed_window
    from driftwatch.monitor.evaluation.initial_state import with_production_windows
    from driftwatch.monitor.replay import Replay

    window = newest_closed_window(at, config.window.length, config.window.lag, config.timezone)
    reference, blocks = session.references().for_replay(config, rebased=True)
    monitor = session.with_reference(config, reference)
    monitor.evaluator.blocks = blocks
    replay = Replay(
        history=session.history,
        evaluator=monitor.evaluator,
        blocks=blocks,
        configuration=monitor.configuration,
    )
    for segment in reference.plan.segments:
        try:
            segment_state = replay.state_before(segment, window.end)
            monitor.segment_states[segment] = with_production_windows(
                segment_state, segment, config, session.history.verdicts
            )
        except StoreForgot as error:
            session.say(f"{error} Judged by what the reference alone teaches.")
            monitor.segment_states[segment] = replay.initial_state(segment)
    # Rows later than a moment of the past are in no future.
    outcome = monitor.check(window, max(at, session.clock.now()), record=False)
    return MonitorCheck(verdicts=outcome.verdicts)


def _due_verdicts(session: Session, config: MonitorConfig) -> MonitorCheck:
    from driftwatch.core.windows import due_windows
    from driftwatch.monitor.acknowledge import apply_pending
    from driftwatch.monitor.past.look_again import PASSING_FAILURES
    from driftwatch.monitor.succession.take_over import take_over

    now = session.clock.now()
    monitor = take_over(session.monitor(config), now, session.say)
    monitor = apply_pending(monitor, session.acknowledgements, now)
    late_windows = tuple(_late_verdicts(session, monitor, now))
    last_end = session.history.verdicts.last_end(config.name)
    note_clock_behind(session, config, last_end, now)
    windows = due_windows(last_end, now, config.window.length, config.window.lag, config.timezone)
    verdicts: Verdicts = ()
    for window in windows[-session.config.limits.catch_up :]:
        outcome = monitor.check(window, now)
        verdicts = outcome.verdicts
        if outcome.failure in PASSING_FAILURES:
            break
    return _newest_verdicts(session.history, config, verdicts, late_windows)


def _late_verdicts(session: Session, monitor: Monitor, now: int) -> Iterator[Verdict]:
    """Judge owed windows whose rows came, and late rows; a source that fails stops no due window."""
    from driftwatch.monitor.past.look_again import look_again, windows_within_patience

    config, last_end = monitor.config, session.history.verdicts.last_end(monitor.config.name)
    decided = (
        [] if last_end is None else windows_within_patience(last_end, config.window, config.timezone, now)
    )
    try:
        for look in look_again(monitor, now, decided):
            outcome = look.outcome if look.late_data is None else look.late_data.outcome
            if look.late_data is not None and look.late_data.error:
                session.say(f"{config.name}: could not look at a past window again. {look.late_data.error}")
            if outcome is not None and outcome.failure is None:
                yield from outcome.verdicts
    except DataError as error:
        session.say(f"{config.name}: could not look at past windows again. {error}")


def _newest_verdicts(
    history: History, config: MonitorConfig, verdicts: Verdicts = (), late_windows: Verdicts = ()
) -> MonitorCheck:
    """Return the newest verdicts, of this check or stored, as they read while incidents are open."""
    from driftwatch.decide.incidents.open_verdict import with_open_incidents

    incidents = history.incidents.of_monitor(config.name)
    newest = [with_open_incidents(item, incidents) for item in verdicts or _stored_verdicts(history, config)]
    late_parts = [
        history.verdicts.decode(data, table="late_parts")
        for item in newest
        for data in history.late_parts.of_window(config.name, item.segment, item.window.end)
    ]
    return MonitorCheck(
        verdicts=tuple(newest),
        late_parts=tuple(item for item in late_parts if item is not None),
        late_windows=late_windows,
    )


def _stored_verdicts(history: History, config: MonitorConfig) -> Verdicts:
    active = history.references.active(config.name)
    segments = active.reference.plan.segments if active else (None,)
    verdicts = []
    for segment in segments:
        # The newest may be damaged.
        rows = history.verdicts.newest(config.name, segment, limit=_MAX_DAMAGED_VERDICTS)
        stored = (history.verdicts.decode(row) for row in reversed(rows))
        verdicts += list(islice((item for item in stored if item is not None), 1))
    if not verdicts:
        raise DataError(f"{config.name}: expected a verdict in the store. There is none yet.")
    return tuple(verdicts)


def _daemon_verdicts(config: Config, monitors: Sequence[MonitorConfig]) -> CheckResult:
    from driftwatch.store.database import Database
    from driftwatch.store.history import History

    database = Database(config.storage.path, read_only=True)
    try:
        history = History(database)
        results = for_each_monitor(monitors, lambda monitor: _newest_verdicts(history, monitor))
        return _check_result(database, results)
    finally:
        database.close()
