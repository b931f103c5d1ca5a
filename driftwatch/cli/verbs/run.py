from __future__ import annotations

from pathlib import Path

import click

from driftwatch.cli.verbs._options import CONFIG, guarded


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
