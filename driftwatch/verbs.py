"""What the command line's verbs do, without printing."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftwatch.acknowledging import MUTED, apply_pending
from driftwatch.backtest import Backtest, backtest, with_faults
from driftwatch.clock import SystemClock
from driftwatch.config.load import load
from driftwatch.config.schema import Config, MonitorConfig
from driftwatch.errors import ConfigError, DataError, StoreForgot
from driftwatch.explaining import Explanation, explain
from driftwatch.monitor import Monitor
from driftwatch.replaying import Replay
from driftwatch.report import verdict_from_json, window_json
from driftwatch.session import Say, Session, chosen, opened
from driftwatch.settings import parse_duration
from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.locks import deciding
from driftwatch.summary.result import State, Verdict
from driftwatch.summary.schema import NANOSECONDS, iso
from driftwatch.windows import due, newest_closed, parse_time

#: Shows a named piece of work; what it gives is told how much is done, and of how much.
Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]

#: Times whose nanoseconds, and those of the windows around them, fit 64 bits.
_EARLIEST, _LATEST = parse_time("1700-01-01"), parse_time("2200-01-01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The newest verdicts of each monitor, all rows first, then its segments."""

    monitors: tuple[tuple[str, tuple[Verdict, ...]], ...]

    @property
    def newest(self) -> tuple[Verdict, ...]:
        """All verdicts."""
        return tuple(verdict for _, verdicts in self.monitors for verdict in verdicts)

    def to_json(self) -> Any:
        """One object for one monitor, else a list; segments are listed within."""
        objects = []
        for name, verdicts in self.monitors:
            windows = [window_json(verdict) for verdict in verdicts]
            objects.append({"monitor": name, **windows[0], "segments": windows[1:]})
        return as_one_or_many(objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtests:
    """The backtest of each monitor whose data could be read, and why that of others could not."""

    results: tuple[Backtest, ...]
    failures: tuple[DataError, ...] = ()

    def to_json(self) -> Any:
        """One object when one monitor was asked for, else a list of those that could be had."""
        objects = [item.to_json() for item in self.results]
        return objects if self.failures else as_one_or_many(objects)


def as_one_or_many(objects: list[dict[str, Any]]) -> Any:
    """One object when there is one monitor, else an array."""
    return objects[0] if len(objects) == 1 else objects


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """1 moved, 3 could not look, 5 not judged yet, 0 ok; the first that applies.

    A segment counts when it moved. Beyond that all rows together speak for their monitor: the rest of the
    levels is mostly too small to be judged, and would keep a healthy monitor from ever being ok.
    """
    if any(verdict.state.moved for verdict in verdicts):
        return 1
    states = {verdict.state for verdict in verdicts if verdict.segment is None}
    if any(not state.looked for state in states):
        return 3
    return 5 if states & {State.CALIBRATING, State.INSUFFICIENT} else 0


def moment(text: str, option: str) -> int:
    """Nanoseconds of a time given on the command line."""
    try:
        found = parse_time(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f'{option}: expected an ISO 8601 time such as 2013-12-31T00:00:00Z. Got "{text}".'
        ) from error
    if not _EARLIEST <= found <= _LATEST:
        raise ConfigError(f'{option}: expected a time between the years 1700 and 2200. Got "{text}".')
    return found


def build_references(path: Path, name: str | None, say: Say) -> None:
    """Build and store references; refused beside a daemon, which judges with the ones it has."""
    config = load(path)
    picked = chosen(config, name)
    with deciding(config.storage.path, say) as mine:
        if not mine:
            raise ConfigError(
                f"{config.storage.path}: expected no daemon on this storage. One is running, and its "
                "references must not change behind its back. Reload it (SIGHUP): it builds those whose data "
                "or settings changed. To build one anew all the same, stop it first."
            )
        with opened(config, SystemClock(), say) as session:
            for item in picked:
                session.monitor(item, force=True)


def check_now(path: Path, name: str | None, at: str | None, say: Say) -> Checked:
    """One check now of each monitor; beside a running daemon, that daemon's newest verdicts."""
    config = load(path)
    picked = chosen(config, name)
    if at is not None:
        return _look_back(config, picked, moment(at, "--at"), say)
    with deciding(config.storage.path, say) as mine:
        if not mine:
            say("a daemon is running on this storage; these are its newest verdicts")
            return _daemons_verdicts(config, picked)
        with opened(config, SystemClock(), say) as session:
            found = [(item.name, _check_due(session, item)) for item in picked]
            _deliver(session)
    return Checked(monitors=tuple(found))


def _look_back(config: Config, picked: Sequence[MonitorConfig], at: int, say: Say) -> Checked:
    """The newest window closed at ``at``, judged with what was known then; beside a daemon, too."""
    with opened(config, SystemClock(), say) as session:
        found = [(item.name, _as_of(session, item, at)) for item in picked]
    return Checked(monitors=tuple(found))


def _as_of(session: Session, config: MonitorConfig, at: int) -> tuple[Verdict, ...]:
    window = newest_closed(at, config.window.length, config.window.lag, config.timezone)
    reference, blocks = session.references().for_a_look(config, rebased=True)
    monitor = session.with_reference(config, reference)
    replay = Replay(
        config=config,
        history=session.history,
        reference=reference,
        blocks=blocks,
        chosen=monitor.looks,
        configuration=monitor.configuration,
    )
    for segment in reference.plan.segments:
        try:
            monitor.tracks[segment] = replay.track_before(segment, window.end)
        except StoreForgot as error:
            session.say(f"{error} Judged by what the reference alone teaches.")
            monitor.tracks[segment] = replay.fresh(segment)
    return monitor.check(window, at, record=False).verdicts


def _check_due(session: Session, config: MonitorConfig) -> tuple[Verdict, ...]:
    now = session.clock.now()
    monitor = apply_pending(session.monitor(config), session.acknowledgements, now)
    last = session.history.last_end(config.name)
    waiting = due(last, now, config.window.length, config.window.lag, config.timezone)
    verdicts: tuple[Verdict, ...] = ()
    for window in waiting[-session.config.limits.catch_up :]:
        outcome = monitor.check(window, now)
        verdicts = outcome.verdicts
        if not outcome.final:
            break
    return verdicts or _stored(session.history, monitor, config)


def _stored(history: History, monitor: Monitor | None, config: MonitorConfig) -> tuple[Verdict, ...]:
    active = history.active_reference(config.name)
    segments = active[0].plan.segments if active else (None,)
    found = []
    for segment in segments:
        newest = history.verdicts(config.name, segment, limit=1)
        found += [verdict_from_json(item) for item in newest]
    if not found:
        raise DataError(f"{config.name}: expected a verdict in the store. There is none yet.")
    return tuple(found)


def _daemons_verdicts(config: Config, picked: Sequence[MonitorConfig]) -> Checked:
    database = Database(config.storage.path, read_only=True)
    try:
        history = History(database)
        return Checked(monitors=tuple((item.name, _stored(history, None, item)) for item in picked))
    finally:
        database.close()


def _deliver(session: Session) -> None:
    """One attempt for every waiting message, so that who has no daemon is told too."""
    from driftwatch.daemon.sending import deliver_waiting

    deliver_waiting(session)


def run_backtests(
    path: Path,
    name: str | None,
    start: str | None,
    end: str | None,
    say: Say,
    progress: Progress,
    *,
    inject: bool = True,
) -> Backtests:
    """Backtest each monitor, and inject faults into its history. ``progress`` shows a named piece of work.

    One whose data cannot be read leaves the others. Raises its ``DataError`` when it was the only one.
    """
    config = load(path)
    first = None if start is None else moment(start, "--from")
    last = None if end is None else moment(end, "--to")
    if first is not None and last is not None and last <= first:
        raise ConfigError(f'--to: expected a time after --from, which is "{start}". Got "{end}".')
    picked = chosen(config, name)
    found: list[Backtest] = []
    failures: list[DataError] = []
    with opened(config, SystemClock(), say) as session:
        for item in picked:
            try:
                found.append(_backtest(session, item, first, last, progress, inject=inject))
            except DataError as error:
                failures.append(error)
    if len(picked) == 1 and failures:
        raise failures[0]
    return Backtests(results=tuple(found), failures=tuple(failures))


def _backtest(
    session: Session,
    item: MonitorConfig,
    first: int | None,
    last: int | None,
    progress: Progress,
    *,
    inject: bool,
) -> Backtest:
    reference, blocks = session.references().for_a_look(item, rebased=False)
    with progress(f"{item.name}: windows") as advance:
        result = backtest(item, reference, blocks, session.readers, start=first, end=last, progress=advance)
    if inject:
        with progress(f"{item.name}: columns injected") as advance:
            result = with_faults(result, item, reference, advance)
    return result


def explain_window(path: Path, name: str, window: str, segment: str | None) -> Explanation:
    """The working behind one stored verdict."""
    config = load(path)
    (item,) = chosen(config, name)
    end = moment(window, "--window")
    database = Database(config.storage.path, read_only=True)
    try:
        history = History(database)
        if history.verdict(name, segment, end) is None:
            raise ConfigError(_no_window(history, name, segment, window))
        return explain(item, history, segment, end)
    finally:
        database.close()


def _no_window(history: History, name: str, segment: str | None, window: str) -> str:
    where = name if segment is None else f'{name}, segment "{segment}"'
    known = [verdict_from_json(item).window.end for item in history.verdicts(name, segment, limit=5)]
    listed = ", ".join(iso(end) for end in known) or "none"
    return (
        f'--window: expected the end of a stored window of {where}. Got "{window}". Newest: {listed}. '
        "`check` and `run` store windows; `backtest` and `check --at` do not."
    )


def acknowledge(
    path: Path, name: str, incident: str | None, verdict: str, until: str | None, note: str, say: Say
) -> str:
    """Ask for an acknowledgement; applied by the running daemon, or at once when there is none."""
    config = load(path)
    (item,) = chosen(config, name)
    if (until is not None) != (verdict == MUTED):
        raise ConfigError("--until: expected with --as muted, and only there.")
    last = None if until is None else _until(until)
    database = Database(config.storage.path)
    try:
        known = [found.key for found in History(database).incidents(name)]
        if incident is not None and incident not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(
                f'--incident: expected an open incident of {name}. Got "{incident}". Open: {listed}.'
            )
        if not known:
            raise ConfigError(f"{name}: expected an open incident. There is none.")
        number = Acknowledgements(database).ask(
            name, incident or "", verdict, until=last, note=note, who=_who(), now=SystemClock().now()
        )
    finally:
        database.close()
    with deciding(config.storage.path, say) as mine:
        if not mine:
            return f"asked (number {number}); the running daemon applies it within seconds"
        return f"done (number {number}): {_apply(config, item, number, say)}"


def _apply(config: Config, item: MonitorConfig, number: int, say: Say) -> str:
    with opened(config, SystemClock(), say) as session:
        # The incident was opened under the reference in force; what its files say now must not replace it.
        active = session.history.active_reference(item.name)
        if active is not None:
            monitor = session.with_reference(item, active[0])
            apply_pending(monitor, session.acknowledgements, session.clock.now())
            _deliver(session)
        done = session.acknowledgements.get(number)
        return done.outcome if done else "unknown"


def _until(text: str) -> int:
    """A time, or a duration from now such as 2d."""
    try:
        return SystemClock().now() + parse_duration(text) * NANOSECONDS
    except ValueError:
        return moment(text, "--until")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
