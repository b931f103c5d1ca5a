"""`check` and `reference build`, without printing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftwatch.cli.verbs._arguments import Progress, as_one_or_many, moment, trail_to
from driftwatch.config.load import load
from driftwatch.config.models import Config, MonitorConfig
from driftwatch.core.clock import SystemClock
from driftwatch.core.windows import due, newest_closed
from driftwatch.errors import ConfigError, DataError, StoreForgot
from driftwatch.monitor.acknowledge import apply_pending
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.replay import Replay
from driftwatch.monitor.session import Say, Session, chosen, opened
from driftwatch.results.evidence_trail import Trail
from driftwatch.results.results import State, Verdict
from driftwatch.results.verdict_json import verdict_from_json, window_json
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.locks import deciding


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The newest verdicts of each monitor, all rows first, then its segments.

    ``trails`` are the windows that led up to them, of each (monitor, segment).
    """

    monitors: tuple[tuple[str, tuple[Verdict, ...]], ...]
    trails: Mapping[tuple[str, str | None], Trail]

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


def build_references(path: Path, name: str | None, say: Say, progress: Progress) -> None:
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
        with opened(config, SystemClock(), say) as session, progress("references built") as advance:
            for done, item in enumerate(picked, start=1):
                session.monitor(item, force=True)
                advance(done, len(picked))


def check_now(path: Path, name: str | None, at: str | None, say: Say, progress: Progress) -> Checked:
    """One check now of each monitor; beside a running daemon, that daemon's newest verdicts."""
    config = load(path)
    picked = chosen(config, name)
    if at is not None:
        return _look_back(config, picked, moment(at, "--at"), say, progress)
    with deciding(config.storage.path, say) as mine:
        if not mine:
            say("a daemon is running on this storage; these are its newest verdicts")
            return _daemons_verdicts(config, picked)
        with opened(config, SystemClock(), say) as session:
            found = _each(picked, progress, lambda item: _check_due(session, item))
            _deliver(session)
            return _checked(session.database, found)


def _each(
    picked: Sequence[MonitorConfig],
    progress: Progress,
    look: Callable[[MonitorConfig], tuple[Verdict, ...]],
) -> list[tuple[str, tuple[Verdict, ...]]]:
    found = []
    with progress("monitors checked") as advance:
        for item in picked:
            found.append((item.name, look(item)))
            advance(len(found), len(picked))
    return found


def _checked(database: Database, found: Sequence[tuple[str, tuple[Verdict, ...]]]) -> Checked:
    verdicts = [verdict for _, verdicts in found for verdict in verdicts]
    return Checked(
        monitors=tuple(found),
        trails={(verdict.monitor, verdict.segment): trail_to(database, verdict) for verdict in verdicts},
    )


def _look_back(
    config: Config, picked: Sequence[MonitorConfig], at: int, say: Say, progress: Progress
) -> Checked:
    """The newest window closed at ``at``, judged with what was known then; beside a daemon, too."""
    with opened(config, SystemClock(), say) as session:
        found = _each(picked, progress, lambda item: _as_of(session, item, at))
        return _checked(session.database, found)


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
            monitor.segment_states[segment] = replay.state_before(segment, window.end)
        except StoreForgot as error:
            session.say(f"{error} Judged by what the reference alone teaches.")
            monitor.segment_states[segment] = replay.fresh(segment)
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
        return _checked(database, [(item.name, _stored(history, None, item)) for item in picked])
    finally:
        database.close()


def _deliver(session: Session) -> None:
    """One attempt for every waiting message, so that who has no daemon is told too."""
    from driftwatch.daemon.notifiers import deliver_waiting

    deliver_waiting(session)
