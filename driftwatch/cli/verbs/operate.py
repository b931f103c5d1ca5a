"""Verbs of a running daemon."""

from __future__ import annotations

from pathlib import Path

import click

from driftwatch.cli.verbs._completion import incident_keys
from driftwatch.cli.verbs._options import CONFIG, THE_MONITOR, guarded, say


@click.command()
@CONFIG
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@guarded
def run(config: Path, log_format: str, log_level: str) -> int:
    """Run the daemon until it is told to stop.

    \b
    Examples:
      driftwatch run driftwatch.yaml
      driftwatch run driftwatch.yaml --log-format json --log-level warning
    """
    from driftwatch.daemon.process import run_daemon

    return run_daemon(config, log_format=log_format, log_level=log_level)


@click.command()
@CONFIG
@THE_MONITOR
@click.option(
    "--incident", metavar="KEY", help="The incident; default: every open one.", shell_complete=incident_keys
)
@click.option(
    "--as", "verdict", type=click.Choice(["fixed", "accepted", "muted"]), required=True,
    help="fixed: it was mended. accepted: this is normal now, the reference is rebased. muted: quiet until.",
)  # fmt: skip
@click.option("--until", metavar="T", help="With muted: until when; a time, or 2d.")
@click.option("--note", default="", help="Why, for the audit trail.")
@guarded
def ack(config: Path, monitor: str, incident: str | None, verdict: str, until: str | None, note: str) -> None:
    """Close, accept or mute an incident; the request is kept as an audit record.

    \b
    Examples:
      driftwatch ack driftwatch.yaml --monitor test --as muted --until 2d --note "known outage"
      driftwatch ack driftwatch.yaml --monitor test --as accepted --note "the new price list"
    """
    from driftwatch.cli.verbs.ack import acknowledge

    click.echo(acknowledge(config, monitor, incident, verdict, until, note, say))
