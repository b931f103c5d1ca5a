from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftwatch.cli.verbs._arguments import checked_moment, moment_of
from driftwatch.cli.verbs._completion import accepted_keys, incident_keys
from driftwatch.cli.verbs._options import CONFIG, THE_MONITOR, guarded, say
from driftwatch.core.clock import SystemClock
from driftwatch.errors import ConfigError

if TYPE_CHECKING:
    from driftwatch.config.models import Config, MonitorConfig
    from driftwatch.store.database import Database

#: What the store keeps as the verdict of an answer, and how the outcome of an undo begins: its imports are
#: too slow for a command line.
FIXED, ACCEPTED, MUTED, UNDO, UNDONE = "fixed", "accepted", "muted", "undo", "undone"


@click.command()
@CONFIG
@THE_MONITOR
@click.option(
    "--incident", metavar="KEY", help="The incident; default: every open one.", shell_complete=incident_keys
)
@click.option(
    "--as", "verdict", type=click.Choice([FIXED, ACCEPTED, MUTED]),
    help="fixed: it is repaired. accepted: this is normal now, the reference is rebased. "
    "muted: quiet until --until.",
)  # fmt: skip
@click.option(
    "--undo", metavar="KEY", shell_complete=accepted_keys,
    help="Take the acceptance of this incident back: the reference before it is in force again, and the "
    "incident is open.",
)  # fmt: skip
@click.option("--until", metavar="T", help="With muted: quiet until then; a time, or 2d.")
@click.option("--note", default="", help="Why, for the audit trail.")
@guarded
def ack(
    config: Path,
    monitor: str,
    incident: str | None,
    verdict: str | None,
    undo: str | None,
    until: str | None,
    note: str,
) -> None:
    """Close, accept or mute an incident, or take its acceptance back; kept as an audit record.

    \b
    Examples:
      driftwatch ack driftwatch.yaml --monitor test --as muted --until 2d --note "known outage"
      driftwatch ack driftwatch.yaml --monitor test --as accepted --note "the new price list"
      driftwatch ack driftwatch.yaml --monitor test --undo test-drift-a2f3d11bda --note "not agreed"
    """
    if (verdict is None) == (undo is None):
        raise ConfigError("ack: expected one of --as and --undo.")
    if undo is not None and incident is not None:
        raise ConfigError("--incident: expected with --as alone; --undo names the incident itself.")
    click.echo(acknowledge(config, monitor, undo or incident, verdict or UNDO, until, note))


def acknowledge(
    path: Path, name: str, incident: str | None, verdict: str, until: str | None, note: str
) -> str:
    from driftwatch.config.load import load
    from driftwatch.monitor.session import select_monitors
    from driftwatch.store.acknowledgements import Acknowledgements
    from driftwatch.store.database import Database
    from driftwatch.store.locks import deciding, refuse_orphans

    config = load(path)
    (monitor,) = select_monitors(config, name)
    if (until is not None) != (verdict == MUTED):
        raise ConfigError("--until: expected with --as muted, and only there.")
    muted_until = None if until is None else _until(until)
    refuse_orphans(config.storage.path)
    database = Database(config.storage.path)
    try:
        _require_answerable(database, name, incident, verdict)
        number = Acknowledgements(database).ask(
            name, incident or "", verdict, until=muted_until, note=note, who=_user(), now=SystemClock().now()
        )
    finally:
        database.close()
    with deciding(config.storage.path, say) as has_lock:
        if not has_lock:
            return f"asked (number {number}); the running daemon applies it within seconds"
        outcome = _apply(config, monitor, number)
    if verdict == UNDO and not outcome.startswith(UNDONE):
        raise ConfigError(f"--undo: {outcome}.")
    return f"done (number {number}): {outcome}"


def _require_answerable(database: Database, name: str, incident: str | None, verdict: str) -> None:
    """Raise ``ConfigError`` if the incident is not one that such an answer is for."""
    from driftwatch.monitor.acceptance.undo import undo_refusal
    from driftwatch.monitor.acknowledge import ended_text
    from driftwatch.store.tables.incident_table import IncidentTable

    incidents = IncidentTable(database)
    if verdict == UNDO:
        key, stored = incident or "", incidents.get(incident or "")
        if refusal := undo_refusal(name, key, stored if stored and stored.monitor == name else None):
            raise ConfigError(f"--undo: expected an incident that was accepted. Got {refusal}.")
        return
    open_keys = [item.key for item in incidents.of_monitor(name)]
    if incident is not None and incident not in open_keys:
        keys = ", ".join(open_keys) or "none"
        raise ConfigError(
            f'--incident: expected an open incident of {name}. Got "{incident}" '
            f"({ended_text(incidents, name, incident)}). Open: {keys}."
        )
    if not open_keys:
        raise ConfigError(f"{name}: expected an open incident. Got {ended_text(incidents, name, '')}.")


def _apply(config: Config, monitor_config: MonitorConfig, number: int) -> str:
    from driftwatch.daemon.notifiers import deliver_waiting
    from driftwatch.monitor.acknowledge import apply_pending
    from driftwatch.monitor.session import open_session
    from driftwatch.monitor.succession.removed_monitors import close_removed
    from driftwatch.monitor.succession.take_over import take_over

    with open_session(config, SystemClock(), say) as session:
        # The incident was opened under the reference in force; what its files say now must not replace it.
        active = session.history.references.active(monitor_config.name)
        if active is not None:
            monitor = session.with_reference(monitor_config, active.reference)
            now = session.clock.now()
            close_removed(session)
            apply_pending(take_over(monitor, now, session.say), session.acknowledgements, now)
            deliver_waiting(session)
        acknowledgement = session.acknowledgements.get(number)
        return acknowledgement.outcome if acknowledgement else "unknown"


def _until(text: str) -> int:
    from driftwatch.core.schema import NANOSECONDS
    from driftwatch.core.settings import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError:
        return moment_of(text, "--until")
    return checked_moment(SystemClock().now() + seconds * NANOSECONDS, text, "--until")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
