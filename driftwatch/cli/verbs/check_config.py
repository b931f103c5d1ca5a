from __future__ import annotations

from pathlib import Path

import click

from driftwatch.cli.verbs._options import CONFIG, guarded


@click.command()
@CONFIG
@guarded
def check_config(config: Path) -> None:
    """Report every error of a configuration at once, with file and line.

    \b
    Examples:
      driftwatch check-config driftwatch.yaml
    """
    from driftwatch.config.load import load

    monitors = load(config).monitors
    names = ", ".join(monitor.name for monitor in monitors)
    click.echo(f"{config}: good. {len(monitors)} monitor(s): {names}")
