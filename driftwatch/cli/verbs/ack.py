"""`ack`, without printing."""

from __future__ import annotations

import getpass
from pathlib import Path

from driftwatch.cli.verbs._arguments import moment, stored
from driftwatch.config.load import load
from driftwatch.config.models import Config, MonitorConfig
from driftwatch.core.clock import SystemClock
from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.settings import parse_duration
from driftwatch.errors import ConfigError
from driftwatch.monitor.acknowledge import MUTED, apply_pending
from driftwatch.monitor.session import Say, chosen, opened
from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.locks import deciding


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
    from driftwatch.daemon.notifiers import deliver_waiting

    with opened(config, SystemClock(), say) as session:
        # The incident was opened under the reference in force; what its files say now must not replace it.
        active = session.history.active_reference(item.name)
        if active is not None:
            monitor = session.with_reference(item, active[0])
            apply_pending(monitor, session.acknowledgements, session.clock.now())
            deliver_waiting(session)
        done = session.acknowledgements.get(number)
        return done.outcome if done else "unknown"


def _until(text: str) -> int:
    """A time, or a duration from now such as 2d."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        return moment(text, "--until")
    return stored(SystemClock().now() + seconds * NANOSECONDS, text, "--until")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
