from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from driftwatch.cli.verbs._arguments import checked_moment, moment_of
from driftwatch.cli.verbs._completion import incident_keys
from driftwatch.cli.verbs._options import CONFIG, THE_MONITOR, guarded, say
from driftwatch.core.clock import SystemClock
from driftwatch.errors import ConfigError

if TYPE_CHECKING:
    from driftwatch.config.models import Config, MonitorConfig


@click.command()
@CONFIG
@THE_MONITOR
@click.option(
    "--incident", metavar="KEY", help="The incident; default: every open one.", shell_complete=incident_keys
)
@click.option(
    "--as", "verdict", type=click.Choice(["fixed", "accepted", "muted"]), required=True,
    help="fixed: it is repaired. accepted: this is normal now, the reference is rebased. "
    "muted: quiet until --until.",
)  # fmt: skip
@click.option("--until", metavar="T", help="With muted: quiet until then; a time, or 2d.")
@click.option("--note", default="", help="Why, for the audit trail.")
@guarded
def ack(config: Path, monitor: str, incident: str | None, verdict: str, until: str | None, note: str) -> None:
    """Close, accept or mute an incident; the request is kept as an audit record.

    \b
    Examples:
      driftwatch ack driftwatch.yaml --monitor test --as muted --until 2d --note "known outage"
      driftwatch ack driftwatch.yaml --monitor test --as accepted --note "the new price list"
    """
    click.echo(acknowledge(config, monitor, incident, verdict, until, note))


def acknowledge(
    path: Path, name: str, incident: str | None, verdict: str, until: str | None, note: str
) -> str:
    from driftwatch.config.load import load
    from driftwatch.monitor.acknowledge import MUTED, ended_text
    from driftwatch.monitor.session import select_monitors
    from driftwatch.store.acknowledgements import Acknowledgements
    from driftwatch.store.database import Database
    from driftwatch.store.locks import deciding, refuse_orphans
    from driftwatch.store.tables.incident_table import IncidentTable

    config = load(path)
    (monitor,) = select_monitors(config, name)
    if (until is not None) != (verdict == MUTED):
        raise ConfigError("--until: expected with --as muted, and only there.")
    muted_until = None if until is None else _until(until)
    refuse_orphans(config.storage.path)
    database = Database(config.storage.path)
    try:
        incidents = IncidentTable(database)
        open_keys = [item.key for item in incidents.of_monitor(name)]
        if incident is not None and incident not in open_keys:
            keys = ", ".join(open_keys) or "none"
            raise ConfigError(
                f'--incident: expected an open incident of {name}. Got "{incident}" '
                f"({ended_text(incidents, name, incident)}). Open: {keys}."
            )
        if not open_keys:
            raise ConfigError(f"{name}: expected an open incident. Got {ended_text(incidents, name, '')}.")
        number = Acknowledgements(database).ask(
            name, incident or "", verdict, until=muted_until, note=note, who=_user(), now=SystemClock().now()
        )
    finally:
        database.close()
    with deciding(config.storage.path, say) as has_lock:
        if not has_lock:
            return f"asked (number {number}); the running daemon applies it within seconds"
        return f"done (number {number}): {_apply(config, monitor, number)}"


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
